"""Views of an image for training: seeded crops, mirrors and colours, drawn from one decode of the file.

A view is a pure function of (policy, seed, image digest, number): the same number gives the same pixels,
whatever else runs. Random resized crops follow Szegedy et al., Going Deeper with Convolutions, CVPR 2015
(section 6), as torchvision draws them; colours are scaled as in torchvision's ColorJitter. What most policies
begin with (crop, mirror, colours) is done here without torch, the crop in one with the resize; the operators of
`headstart.images.augment` follow.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageEnhance

from headstart.backbones.card import Preprocessing
from headstart.base.errors import BadOptions
from headstart.base.hashing import digest_bytes, digest_json
from headstart.images.decode import ImageItem, open_picture
from headstart.images.erase import erased
from headstart.images.geometry import upright
from headstart.images.prepare import prepare
from headstart.images.resize import resize

if TYPE_CHECKING:
    from headstart.images.augment import Policy

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
        A crop covers between this share and all of the image's area; 1 cuts as evaluation does.
    mirror : float
        Probability of a mirror image (left and right).
    colour : float
        Brightness, contrast and saturation are scaled by factors drawn from 1 - colour .. 1 + colour.
    then : Policy, optional
        What follows.
    erase : float
        Probability that a rectangle becomes noise, last of all (`headstart.images.erase`).
    """

    name: str
    least_area: float = 1.0
    mirror: float = 0.0
    colour: float = 0.0
    then: Policy | None = None
    erase: float = 0.0

    @property
    def changes(self) -> bool:
        """Whether views differ from what evaluation sees."""
        drawn = self.mirror > 0 or self.colour > 0 or self.erase > 0
        return self.least_area < 1 or drawn or self.then is not None

    def digest(self) -> str:
        """Hash of all that decides a view beside seed, image and number."""
        then: dict[str, Any] = {"then": self.then.digest()} if self.then is not None else {}
        then.update({"erase": self.erase} if self.erase else {})
        return digest_json({
            "name": self.name if self.then is None else "", "least_area": self.least_area, "mirror": self.mirror,
            "colour": self.colour, **then,
        })  # fmt: skip


POLICIES = {
    each.name: each
    for each in (
        ViewPolicy("none"),
        ViewPolicy("crop", least_area=0.5),
        ViewPolicy("light", least_area=0.5, mirror=0.5),
        ViewPolicy("medium", least_area=0.35, mirror=0.5, colour=0.3),
    )
}


def policy(name: str | Path | Policy) -> ViewPolicy:
    """How views differ, by the name of a policy, from a TOML file (a name that ends in .toml) or a policy.

    Raises
    ------
    UnknownName, BadOptions
    """
    if isinstance(name, str) and name in POLICIES:
        return POLICIES[name]
    from headstart.images.augment import find_policy

    return as_views(find_policy(name))


def as_views(by: Policy) -> ViewPolicy:
    """A policy with its leading crop, mirror and colours taken out, to be done in one with the resize.

    Raises
    ------
    BadOptions
        It mixes images of a batch, which a view cannot.
    """
    if by.mixes:
        raise BadOptions([
            f"augment: the policy {by.name!r} mixes images of a batch; in training give --mixup or --cutmix"
        ])  # fmt: skip
    rest, least, mirror, colour = list(by.steps), 1.0, 0.0, 0.0
    if rest and getattr(rest[0], "op", "") == "random_resized_crop" and rest[0].p == 1:
        given = dict(rest[0].values)  # type: ignore[union-attr]
        if set(given) == {"area"} and not isinstance(given["area"], tuple):
            least = float(given["area"])
            rest = rest[1:]
    if rest and getattr(rest[0], "op", "") == "horizontal_flip":
        mirror = rest[0].p
        rest = rest[1:]
    if rest and getattr(rest[0], "op", "") == "colour_jitter" and rest[0].p == 1:
        given = dict(rest[0].values)  # type: ignore[union-attr]
        strengths = {given.pop(each, None) for each in ("brightness", "contrast", "saturation")}
        if not given and len(strengths) == 1 and isinstance(strength := strengths.pop(), float):
            colour = strength
            rest = rest[1:]
    return ViewPolicy(by.name, least, mirror, colour, replace(by, steps=tuple(rest)) if rest else None)


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
    if not by.changes or all(number == PLAIN for number in numbers):
        out[:] = prepare(item, how)
        return out
    if by.least_area >= 1:
        plain = prepare(item, how)
        for at, number in enumerate(numbers):
            draw = generator(by, seed, digest, number)
            out[at] = plain if number == PLAIN else _changed(plain, how, by, draw)
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
    return _changed(resize(whole, box, how.height, how.width, how.interpolation), how, by, draw)


def _changed(view: np.ndarray, how: Preprocessing, by: ViewPolicy, draw: np.random.Generator) -> np.ndarray:
    """The steps after the crop, and what erasing leaves."""
    view = _stepped(view, how, by, draw)
    return erased(view, draw) if by.erase and draw.random() < by.erase else view


def _stepped(view: np.ndarray, how: Preprocessing, by: ViewPolicy, draw: np.random.Generator) -> np.ndarray:
    if by.mirror and draw.random() < by.mirror:
        view = view[:, ::-1]
    if by.colour:
        view = _coloured(view, by.colour, draw)
    if by.then is None:
        return view
    from headstart.images.augment import augment

    view = augment(view, by.then, draw)
    if view.shape[:2] == (how.height, how.width):
        return view
    return resize(view, (0, 0, view.shape[1], view.shape[0]), how.height, how.width, how.interpolation)


def _coloured(view: np.ndarray, strength: float, draw: np.random.Generator) -> np.ndarray:
    """Brightness, contrast and saturation scaled, in drawn order."""
    image = Image.fromarray(np.ascontiguousarray(view))
    kinds = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)
    for at in draw.permutation(3):
        image = kinds[at](image).enhance(float(draw.uniform(1 - strength, 1 + strength)))
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
