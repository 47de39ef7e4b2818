"""Corruptions at five severities, from mild to severe, to test how a method stands a change of the images.

In the manner of Hendrycks and Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and
Perturbations", ICLR 2019 (arXiv 1903.12261), by the operators of this package: the values are their own, so figures
do not compare with published ones. Every image is first brought to 256 pixels on its shorter side. Importing
this loads the standard library and NumPy alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, overload

from headstart.base.errors import UnknownName
from headstart.base.hashing import digest_json

if TYPE_CHECKING:
    import numpy as np

    from headstart.images.decode import ImageItem

VERSION = "1"
"""Raised when the same corruption would give other pixels."""
SIDE = 256
SEVERITIES = (1, 2, 3, 4, 5)
ALL = "all"
Value = float | tuple[float, float]


@dataclass(frozen=True)
class Corruption:
    """One corruption.

    Attributes
    ----------
    name : str
    op : str
        Operator of the registry.
    parameter : str
        What grows with the severity.
    values : tuple of float
        One a severity.
    others : tuple of (name, value)
        What stays the same; a pair is drawn from, by the image's content.
    """

    name: str
    op: str
    parameter: str
    values: tuple[float, ...]
    others: tuple[tuple[str, Value], ...] = ()


CORRUPTIONS: dict[str, Corruption] = {
    each.name: each
    for each in (
        Corruption("gaussian_noise", "gaussian_noise", "sigma", (0.04, 0.08, 0.12, 0.18, 0.26)),
        Corruption("shot_noise", "poisson_noise", "photons", (200, 60, 25, 12, 5)),
        Corruption("impulse_noise", "salt_and_pepper", "share", (0.01, 0.03, 0.06, 0.12, 0.2)),
        Corruption("gaussian_blur", "gaussian_blur", "sigma", (0.8, 1.4, 2.0, 3.0, 4.5)),
        Corruption("motion_blur", "motion_blur", "length", (5, 9, 13, 19, 27), (("degrees", (0, 360)),)),
        Corruption("brightness", "brightness", "factor", (1.2, 1.4, 1.6, 1.9, 2.3)),
        Corruption("darkness", "brightness", "factor", (0.8, 0.6, 0.45, 0.3, 0.18)),
        Corruption("contrast", "contrast", "factor", (0.75, 0.5, 0.35, 0.22, 0.12)),
        Corruption("saturation", "saturation", "factor", (0.6, 0.3, 0.0, 2.0, 4.0)),
        Corruption("jpeg", "jpeg", "quality", (60, 35, 20, 12, 7)),
        Corruption("pixelate", "resize", "scale", (0.6, 0.45, 0.33, 0.25, 0.16)),
    )
}


def find_corruptions(names: Sequence[str]) -> tuple[str, ...]:
    """The corruptions of these names, in the order of the registry; "all" stands for every one.

    Raises
    ------
    UnknownName
        The first that there is not, with the nearest names.
    """
    for name in names:
        if name != ALL and name not in CORRUPTIONS:
            raise UnknownName("corruption", name, [ALL, *CORRUPTIONS])
    return tuple(name for name in CORRUPTIONS if ALL in names or name in names)


def condition(name: str, severity: int) -> str:
    """A corruption at a severity in one word.

    Examples
    --------
    >>> condition("jpeg", 3)
    'jpeg/3'
    """
    return f"{name}/{severity}"


def corrupted_digest(digest: str, name: str, severity: int) -> str:
    """Content hash of an image under a corruption."""
    kind = CORRUPTIONS[name]
    value = [kind.op, kind.parameter, kind.values[severity - 1], [list(each) for each in kind.others]]
    return digest_json(["corrupted", VERSION, SIDE, digest, name, value])


def corrupt(item: ImageItem, digest: str, name: str, severity: int) -> np.ndarray:
    """An image under a corruption; what is drawn depends on its content alone.

    Parameters
    ----------
    item : path, bytes, ndarray or PIL.Image.Image
    digest : str
        Content hash of the image.
    name : str
        One of `CORRUPTIONS`.
    severity : int
        1..5.

    Returns
    -------
    ndarray of uint8, shape (h, w, 3)
        The shorter side has 256 pixels.

    Raises
    ------
    BadImage
        The image cannot be read.
    """
    import numpy as np

    from headstart.images.augment.apply import augment
    from headstart.images.augment.policy import Policy, Step
    from headstart.images.resize import resize

    kind = CORRUPTIONS[name]
    plain = _at_side(item)
    values = ((kind.parameter, kind.values[severity - 1]), *kind.others)
    draw = np.random.default_rng(int(corrupted_digest(digest, name, severity), 16))
    found: np.ndarray = augment(plain, Policy(name, (Step(kind.op, values),)), draw)
    if found.shape != plain.shape:  # pixelate: back to the size it had
        box = (0.0, 0.0, float(found.shape[1]), float(found.shape[0]))
        found = resize(found, box, plain.shape[0], plain.shape[1], "nearest", exact=True)
    return found


def _at_side(item: ImageItem) -> np.ndarray:
    import numpy as np

    from headstart.images.decode import decode
    from headstart.images.resize import resize

    pixels = decode(item, min_side=SIDE)
    height, width = pixels.shape[:2]
    scale = SIDE / min(height, width)
    tall, wide = max(1, math.floor(height * scale + 0.5)), max(1, math.floor(width * scale + 0.5))
    box = (0.0, 0.0, float(width), float(height))
    return np.array(resize(pixels, box, tall, wide, "bicubic"))


class CorruptedItems(Sequence["np.ndarray"]):
    """Images under corruptions, made when they are asked for: one is in memory at a time.

    Parameters
    ----------
    items : sequence
        Images as `decode` takes them.
    digests : sequence of str
        Their content hashes.
    conditions : sequence of (corruption, severity)
        Item `at` is image `at % n` under condition `at // n`.
    """

    def __init__(
        self, items: Sequence[ImageItem], digests: Sequence[str], conditions: Sequence[tuple[str, int]]
    ) -> None:
        self._items, self._digests, self._conditions = items, digests, conditions

    def __len__(self) -> int:
        return len(self._items) * len(self._conditions)

    @overload
    def __getitem__(self, at: int) -> np.ndarray: ...
    @overload
    def __getitem__(self, at: slice) -> list[np.ndarray]: ...
    def __getitem__(self, at: int | slice) -> np.ndarray | list[np.ndarray]:
        if isinstance(at, slice):
            return [self[each] for each in range(*at.indices(len(self)))]
        if not 0 <= at < len(self):
            raise IndexError(at)
        number, row = divmod(at, len(self._items))
        return corrupt(self._items[row], self._digests[row], *self._conditions[number])
