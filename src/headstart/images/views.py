"""Views of an image for training: seeded crops, mirrors and colours, drawn from one decode of the file.

A view is a pure function of (policy, seed, image digest, number): the same number gives the same pixels,
whatever else runs. Random resized crops follow Szegedy et al., Going Deeper with Convolutions, CVPR 2015
(section 6), as torchvision draws them; colours are scaled as in torchvision's ColorJitter.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from PIL import Image, ImageEnhance

from headstart.backbones.card import Preprocessing
from headstart.base.errors import UnknownName
from headstart.base.hashing import digest_bytes, digest_json
from headstart.images.decode import ImageItem, open_picture
from headstart.images.geometry import upright
from headstart.images.prepare import prepare
from headstart.images.resize import resize

PLAIN = -1
"""Number of the view that evaluation sees: resized and cropped as the weights expect, nothing drawn."""
TRIES = 10


@dataclass(frozen=True)
class ViewPolicy:
    """How views differ.

    Attributes
    ----------
    name : str
    least_area : float
        A crop covers between this share and all of the image's area; 1 crops nothing.
    mirror : float
        Probability of a mirror image (left and right).
    colour : float
        Brightness, contrast and saturation are scaled by factors drawn from 1 - colour .. 1 + colour.
    """

    name: str
    least_area: float = 1.0
    mirror: float = 0.0
    colour: float = 0.0

    def digest(self) -> str:
        """Hash of all that decides a view beside seed, image and number."""
        return digest_json(asdict(self))


POLICIES = {
    each.name: each
    for each in (
        ViewPolicy("none"),
        ViewPolicy("crop", least_area=0.5),
        ViewPolicy("light", least_area=0.5, mirror=0.5),
        ViewPolicy("medium", least_area=0.35, mirror=0.5, colour=0.3),
    )
}


def policy(name: str) -> ViewPolicy:
    """The policy of that name.

    Raises
    ------
    UnknownName
    """
    if name not in POLICIES:
        raise UnknownName("augmentation", name, POLICIES)
    return POLICIES[name]


def views_of(
    item: ImageItem, digest: str, numbers: Sequence[int], how: Preprocessing, by: ViewPolicy, seed: int
) -> np.ndarray:
    """Some views of one image, decoded once.

    Parameters
    ----------
    item : path, bytes, ndarray or PIL.Image.Image
    digest : str
        Content hash of the image: what is drawn depends on it, not on the image's place in a table.
    numbers : sequence of int
        Numbers of the views; `PLAIN` is the view of evaluation.
    how : Preprocessing
        Size and interpolation.
    by : ViewPolicy
    seed : int

    Returns
    -------
    ndarray of uint8, shape (len(numbers), how.height, how.width, 3)

    Raises
    ------
    BadImage
        The image cannot be read.
    """
    out = np.empty((len(numbers), how.height, how.width, 3), np.uint8)
    if by.name == "none" or all(number == PLAIN for number in numbers):
        out[:] = prepare(item, how)
        return out
    side = max(how.height, how.width) / math.sqrt(by.least_area)
    picture = open_picture(item, min_side=math.ceil(side))
    whole = np.ascontiguousarray(upright(picture.pixels, picture.orientation))
    for at, number in enumerate(numbers):
        if number == PLAIN:
            out[at] = prepare(item, how)
        else:
            out[at] = _view(whole, how, by, generator(by, seed, digest, number))
    return out


def generator(by: ViewPolicy, seed: int, digest: str, number: int) -> np.random.Generator:
    """The generator of one view."""
    name = digest_bytes(by.digest().encode(), str(seed).encode(), digest.encode(), str(number).encode())
    return np.random.default_rng(int(name, 16))


def _view(whole: np.ndarray, how: Preprocessing, by: ViewPolicy, draw: np.random.Generator) -> np.ndarray:
    box = crop_box(whole.shape[0], whole.shape[1], how.height / how.width, by.least_area, draw)
    view = resize(whole, box, how.height, how.width, how.interpolation)
    if draw.random() < by.mirror:
        view = view[:, ::-1]
    return _coloured(view, by.colour, draw) if by.colour else view


def _coloured(view: np.ndarray, strength: float, draw: np.random.Generator) -> np.ndarray:
    """Brightness, contrast and saturation scaled, in this order."""
    image = Image.fromarray(np.ascontiguousarray(view))
    for kind in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        image = kind(image).enhance(float(draw.uniform(1 - strength, 1 + strength)))
    return np.asarray(image)


def crop_box(
    height: int, width: int, shape: float, least_area: float, draw: np.random.Generator
) -> tuple[float, float, float, float]:
    """Left, top, right, bottom of a random crop: area and aspect drawn, place drawn within the image.

    Parameters
    ----------
    shape : float
        Height over width of the view; the crop's aspect is drawn from 3/4 to 4/3 of it.
    least_area : float
        Least share of the image's area.
    """
    for _ in range(TRIES):
        area = height * width * draw.uniform(least_area, 1.0)
        aspect = shape * math.exp(draw.uniform(math.log(3 / 4), math.log(4 / 3)))
        high, wide = math.sqrt(area * aspect), math.sqrt(area / aspect)
        if high <= height and wide <= width:
            top, left = draw.uniform(0, height - high), draw.uniform(0, width - wide)
            return left, top, left + wide, top + high
    wide = min(width, height / shape)
    high = wide * shape
    top, left = draw.uniform(0, height - high), draw.uniform(0, width - wide)
    return left, top, left + wide, top + high
