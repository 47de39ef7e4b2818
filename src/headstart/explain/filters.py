"""What single channels do: first filters, feature maps, the images that excite a channel, a convolution step by step.

Zeiler and Fergus, Visualizing and Understanding Convolutional Networks, ECCV 2014.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from headstart.base.errors import BackboneError, BadOptions
from headstart.base.events import Progress, emit
from headstart.explain.spatial import Spatial, frozen, watched, without_mirror
from headstart.explain.target import Target

BATCH = 16


def first_convolution(target: Target) -> tuple[str, nn.Conv2d]:
    """Name and module of the first convolution of colours (in a ViT the one that cuts the image into patches).

    Raises
    ------
    BackboneError
        There is none.
    """
    for name, part in target.net.named_modules():
        if isinstance(part, nn.Conv2d) and part.in_channels == 3 and part.kernel_size != (1, 1):
            return name, part
    raise BackboneError(f"{target.name}: no convolution takes the three colours of an image")


def first_filters(target: Target) -> np.ndarray:
    """Kernels of the first convolution: float32 (filters, height, width, 3), as they weigh red, green and blue."""
    weight = first_convolution(target)[1].weight.detach().float()
    return weight.permute(0, 2, 3, 1).numpy().copy()


def feature_maps(target: Target, pixels: np.ndarray, layer: str | None = None) -> np.ndarray:
    """What a layer gives for images.

    Parameters
    ----------
    target : Target
    pixels : ndarray of uint8, shape (n, height, width, 3)
    layer : str, optional
        Name or alias; by default the last with rows and columns.

    Returns
    -------
    ndarray of float32, shape (n, channels, rows, columns)

    Raises
    ------
    BadOptions
        The layer has no rows and columns.
    UnknownName
    """
    place = target.layer(layer)
    parts = [_run(target, pixels[at : at + BATCH], place) for at in range(0, len(pixels), BATCH)]
    return torch.cat(parts).numpy()


def _run(target: Target, pixels: np.ndarray, place: Spatial) -> Tensor:
    caught: dict[str, Tensor] = {}
    with frozen(target.net), watched(target.net, [place], caught), torch.no_grad():
        target.net(target.images(pixels))
    return place.maps(caught[place.name]).float().contiguous().clone()


@dataclass(frozen=True, eq=False)
class Exciting:
    """The images that excite a channel most.

    Attributes
    ----------
    channel : int
    rows : ndarray of int64, shape (k,)
        Numbers of the images, the most exciting first.
    values : ndarray of float32, shape (k,)
        Largest value of the channel in each.
    places : ndarray of float64, shape (k, 2)
        Where it lies: row and column, 0 .. 1 of the image's height and width.
    """

    channel: int
    rows: np.ndarray
    values: np.ndarray
    places: np.ndarray


def exciting_images(
    target: Target, pixels: np.ndarray, channels: list[int], *, layer: str | None = None, k: int = 8
) -> list[Exciting]:
    """For each channel of a layer the images in which it is largest.

    Parameters
    ----------
    target : Target
    pixels : ndarray of uint8, shape (n, height, width, 3)
        The images of a set.
    channels : list of int
    layer : str, optional
    k : int
        Images a channel.

    Raises
    ------
    BadOptions
        A channel out of range; `k` below 1.
    """
    place = target.layer(layer)
    wrong = [
        f"channel: {each} is outside 0 .. {place.channels - 1} of layer {place.name}"
        for each in channels
        if not 0 <= each < place.channels
    ]
    if k < 1:
        wrong.append(f"k: {k} is below 1")
    if wrong:
        raise BadOptions(wrong)
    best, where = [], []
    for at in range(0, len(pixels), BATCH):
        flat = _run(target, pixels[at : at + BATCH], place)[:, channels].flatten(2)
        value, index = flat.max(2)
        best.append(value.numpy())
        where.append(index.numpy())
        emit(Progress("channels", min(at + BATCH, len(pixels)), len(pixels)))
    values, places = np.concatenate(best), np.concatenate(where)
    return [_exciting(place, channel, values[:, at], places[:, at], k) for at, channel in enumerate(channels)]


def _exciting(place: Spatial, channel: int, values: np.ndarray, index: np.ndarray, k: int) -> Exciting:
    rows = np.argsort(-values, kind="stable")[:k]
    found = np.stack([index[rows] // place.columns, index[rows] % place.columns], axis=1)
    return Exciting(channel, rows, values[rows], (found + 0.5) / (place.rows, place.columns))


def strongest_channels(maps: np.ndarray, k: int) -> list[int]:
    """Channels (of one image, (channels, rows, columns)) that stand out most: largest value over the mean of all."""
    peak = maps.reshape(len(maps), -1).max(1)
    return [int(each) for each in np.argsort(-peak, kind="stable")[:k]]


@dataclass(frozen=True, eq=False)
class Convolution:
    """A convolution as a picture, and its sum at one place, number by number.

    Attributes
    ----------
    layer : str
    channel : int
        The filter.
    kernel : ndarray of float32, shape (height, width, 3)
    bias : float
    response : ndarray of float32, shape (rows, columns)
        The filter's output over the whole image.
    place : tuple of int
        Row and column of the response that is worked out: the strongest.
    window : tuple of int
        Top, left, height and width of what it sees, in pixels of the image (may reach over the edge).
    patch, product : ndarray of float32, shape (height, width, 3)
        What lies there, normalised; patch times kernel. The products' sum and the bias are the response.
    """

    layer: str
    channel: int
    kernel: np.ndarray
    bias: float
    response: np.ndarray
    place: tuple[int, int]
    window: tuple[int, int, int, int]
    patch: np.ndarray
    product: np.ndarray


def convolution(target: Target, pixels: np.ndarray, channel: int | None = None) -> Convolution:
    """One filter of the first convolution at work on one image, uint8 (height, width, 3).

    Parameters
    ----------
    channel : int, optional
        The filter; by default the one whose response varies most over the image.

    Raises
    ------
    BadOptions
        No such filter.
    """
    name, part = first_convolution(target)
    given: dict[str, Tensor] = {}

    def keep(module: nn.Module, inputs: tuple[Tensor, ...], out: Tensor) -> None:
        given["in"], given["out"] = inputs[0].detach(), out.detach().clone()

    hook = part.register_forward_hook(keep)
    try:
        with frozen(target.net), without_mirror(target.net), torch.no_grad():
            target.net(target.images(pixels[None]))
    finally:
        hook.remove()
    n = given["out"].shape[1]
    if channel is not None and not 0 <= channel < n:
        raise BadOptions([f"channel: {channel} is outside 0 .. {n - 1} of layer {name}"])
    chosen = int(given["out"][0].flatten(1).std(1).argmax()) if channel is None else channel
    response = given["out"][0, chosen].float().numpy()
    row, column = (int(each) for each in np.unravel_index(np.abs(response).argmax(), response.shape))
    return _at(name, part, given["in"][0].float(), chosen, response, (row, column))


def _at(
    name: str, part: nn.Conv2d, image: Tensor, channel: int, response: np.ndarray, place: tuple[int, int]
) -> Convolution:
    """The sum at one place, from the padded input of the convolution."""
    high, wide = part.kernel_size
    (down, right), (step_down, step_right) = part.dilation, part.stride
    need = [(place[0] * step_down, down * (high - 1) + 1), (place[1] * step_right, right * (wide - 1) + 1)]
    padding = _padding(part, tuple(image.shape[1:]), response.shape)
    padded = torch.nn.functional.pad(image, padding)
    (top, tall), (left, broad) = need
    patch = padded[:, top : top + tall : down, left : left + broad : right].permute(1, 2, 0).numpy().copy()
    kernel = part.weight[channel].detach().float().permute(1, 2, 0).numpy().copy()
    bias = float(part.bias[channel].detach()) if part.bias is not None else 0.0
    window = (top - padding[2], left - padding[0], tall, broad)
    return Convolution(name, channel, kernel, bias, response, place, window, patch, patch * kernel)


def _padding(part: nn.Conv2d, size: tuple[int, ...], out: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Left, right, top, bottom as the convolution pads; what TensorFlow calls "same" where it has grown by itself."""
    found: list[int] = []
    own = part.padding if isinstance(part.padding, tuple) else (0, 0)
    same = isinstance(part.padding, str) or "Same" in type(part).__name__
    for axis in (1, 0):
        if same:
            reach = part.dilation[axis] * (part.kernel_size[axis] - 1) + 1
            total = max(0, (out[axis] - 1) * part.stride[axis] + reach - size[axis])
            found += [total // 2, total - total // 2]
        else:
            found += [int(own[axis])] * 2
    return found[0], found[1], found[2], found[3]
