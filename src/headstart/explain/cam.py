"""Class-activation maps: where in the image the channels lie that raise (or span) a score.

Grad-CAM: Selvaraju et al., ICCV 2017. Grad-CAM++: Chattopadhay et al., WACV 2018. Layer-CAM: Jiang et al., IEEE TIP
2021. Eigen-CAM: Muhammad and Yeasin, IJCNN 2020. The network runs without a gradient up to the layer and with one
behind it, so a map costs little more than a forward pass.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from headstart.base.errors import BadOptions, UnknownName
from headstart.explain.spatial import Spatial, frozen, without_mirror
from headstart.explain.target import Target

CAMS = ("gradcam", "gradcam++", "layercam", "eigencam")
TINY = 1e-12
BATCH = 16


@dataclass(frozen=True, eq=False)
class Maps:
    """Maps of some images.

    Attributes
    ----------
    method : str
    output : str
        Which output of the model.
    classes : ndarray of int64, shape (n,)
        What is explained of each image.
    coarse : ndarray of float32, shape (n, rows, columns)
        As computed, at least 0; of a gradient or an occlusion at the size of the image.
    values : ndarray of float32, shape (n, height, width)
        Enlarged to the image, scaled so that the largest value of each is 1 (a map of zeros stays zero).
    layer : str
        Where it was computed; "" for the image itself.
    signed : ndarray of float32
        As `coarse`, with what speaks against the class below 0.
    gap : ndarray of float64, shape (n,), or None
        Of integrated gradients: what is missing of the difference of scores that they add up to, as a share of it.
    """

    method: str
    output: str
    classes: np.ndarray
    coarse: np.ndarray
    values: np.ndarray
    layer: str
    signed: np.ndarray
    gap: np.ndarray | None = None


def class_activation(
    target: Target,
    pixels: np.ndarray,
    classes: Sequence[int],
    *,
    method: str = "gradcam",
    layer: str | None = None,
    output: str | None = None,
    batch: int = BATCH,
) -> Maps:
    """Class-activation maps.

    Parameters
    ----------
    target : Target
    pixels : ndarray of uint8, shape (n, height, width, 3)
        As `Target.prepared` gives them.
    classes : sequence of int
        Number of the class of each image.
    method : {"gradcam", "gradcam++", "layercam", "eigencam"}
        Eigen-CAM does not look at the class: it shows the main direction of the layer.
    layer : str, optional
        Name or alias; the last with rows and columns that the scores depend on, by default.
    output : str, optional

    Raises
    ------
    UnknownName, BadOptions
    """
    if method not in CAMS:
        raise UnknownName("map", method, CAMS)
    target.check_gradient()
    numbers = checked_classes(target, pixels, classes, output)
    part = target.of(output)
    place = part.layer(layer, output)
    parts = []
    for at in range(0, len(pixels), batch):
        chosen = torch.from_numpy(numbers[at : at + batch])
        maps, slopes = activations(part, pixels[at : at + batch], place, chosen, output)
        parts.append(FORMULAS[method](maps, slopes))
    signed = torch.cat(parts).numpy()
    name = target.output(output).name
    return finished(method, name, numbers, signed, pixels.shape[1:3], place.name)


def checked_classes(
    target: Target, pixels: np.ndarray, classes: Sequence[int], output: str | None
) -> np.ndarray:
    """Numbers of classes as int64 (n,).

    Raises
    ------
    BadOptions
        Out of range, or not one an image.
    """
    out = target.output(output)
    if len(classes) != len(pixels):
        raise BadOptions([f"classes: one an image is needed ({len(pixels)}), got {len(classes)}"])
    return np.array([out.number(int(each)) for each in classes], np.int64)


def activations(
    target: Target, pixels: np.ndarray, place: Spatial, chosen: Tensor, output: str | None = None
) -> tuple[Tensor, Tensor]:
    """What the layer gives and the slope of each image's score in it: both (n, channels, rows, columns).

    `target` is `Target.of(output)`.

    Raises
    ------
    BadOptions
        The scores do not depend on the layer: it lies behind what a head on frozen features reads, say.
    """
    kept: dict[str, Tensor] = {}
    calls = 0

    def cut(part: Any, given: Any, out: Tensor) -> Tensor | None:
        nonlocal calls
        calls += 1
        if calls < place.calls:
            return None
        kept["leaf"] = out.detach().requires_grad_(True)
        torch.set_grad_enabled(True)
        return kept["leaf"].clone()

    images = target.images(pixels)
    hook = target.net.get_submodule(place.name).register_forward_hook(cut)
    before = torch.is_grad_enabled()
    try:
        with frozen(target.net), without_mirror(target.net):
            torch.set_grad_enabled(False)
            scores = target.scores(images, output)
            picked = scores.gather(1, chosen[:, None]).sum()
            leads = picked.requires_grad
            slopes = torch.autograd.grad(picked, kept["leaf"], allow_unused=True)[0] if leads else None
    finally:
        torch.set_grad_enabled(before)
        hook.remove()
    if slopes is None:
        near = target.called(target.layer(None, output).name)
        raise BadOptions([f"layer: the scores do not depend on {target.called(place.name)}; take {near}"])
    return place.maps(kept["leaf"]).detach().float(), place.maps(slopes).float()


# ---- the formulas: activations and slopes (n, c, h, w) to signed maps (n, h, w) --------------------------------


def grad_cam(maps: Tensor, slopes: Tensor) -> Tensor:
    """Channels weighed by their mean slope (Selvaraju et al. 2017, equations 1 and 2)."""
    return (slopes.mean((2, 3), keepdim=True) * maps).sum(1)


def grad_cam_pp(maps: Tensor, slopes: Tensor) -> Tensor:
    """Positive slopes, weighed by place (Chattopadhay et al. 2018, equations 10 and 19 for exponential scores)."""
    square, cube = slopes.square(), slopes.pow(3)
    below = 2 * square + maps.sum((2, 3), keepdim=True) * cube
    alpha = torch.where(below.abs() > TINY, square / torch.where(below.abs() > TINY, below, 1.0), 0.0)
    return ((alpha * slopes.clamp(min=0)).sum((2, 3), keepdim=True) * maps).sum(1)


def layer_cam(maps: Tensor, slopes: Tensor) -> Tensor:
    """Every position weighed by its own positive slope (Jiang et al. 2021, equation 5)."""
    out: Tensor = (slopes.clamp(min=0) * maps).sum(1)
    return out


def eigen_cam(maps: Tensor, slopes: Tensor) -> Tensor:
    """Positions along the first right singular vector of the layer, its sign so that the sum is positive."""
    flat = maps.flatten(2).transpose(1, 2)
    _, _, right = torch.linalg.svd(flat, full_matrices=False)
    along: Tensor = (flat @ right[:, 0, :, None])[..., 0]
    along = along * torch.where(along.sum(1, keepdim=True) < 0, -1.0, 1.0)
    return along.reshape(len(maps), *maps.shape[2:])


FORMULAS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "gradcam": grad_cam, "gradcam++": grad_cam_pp, "layercam": layer_cam, "eigencam": eigen_cam,
}  # fmt: skip


def finished(
    method: str, output: str, classes: np.ndarray, signed: np.ndarray, size: tuple[int, ...], layer: str
) -> Maps:
    """Signed maps (n, rows, columns) as `Maps` for images of `size`."""
    coarse = np.maximum(signed, 0).astype(np.float32)
    return Maps(method, output, classes, coarse, enlarged(coarse, size), layer, signed.astype(np.float32))


def enlarged(maps: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Maps (n, rows, columns) at the size of the image (bilinear), the largest value of each 1."""
    big = torch.from_numpy(np.ascontiguousarray(maps, np.float32))[:, None]
    if big.shape[2:] != tuple(size):
        big = torch.nn.functional.interpolate(big, size=tuple(size), mode="bilinear", align_corners=False)
    out = big[:, 0].numpy()
    top = out.max((1, 2), keepdims=True) if out.size else out
    return np.asarray(np.divide(out, top, out=np.zeros_like(out), where=top > 0))
