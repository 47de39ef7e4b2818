"""One look at every image, as it is decoded for its features or else once more: all that an audit measures of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.base.ahead import ahead
from headstart.base.errors import BadImage
from headstart.base.events import Progress, emit
from headstart.base.runtime import n_threads
from headstart.features.duplicates import LEAST_SIDE, MIN_SIDE, Prints, small_pictures
from headstart.images.decode import (
    DECODING_ERRORS,
    FORMATS,
    HEADER_BYTES,
    SCALE_MARGIN,
    ImageItem,
    Picture,
    open_picture,
)
from headstart.images.geometry import turned, upright
from headstart.images.resize import resize
from headstart.images.table import ImageTable, Problem

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

GREY = np.array([0.299, 0.587, 0.114], np.float32)
LONGER = 192
"""Longer side in pixels at which sharpness is measured."""
MAKE, MODEL = 0x010F, 0x0110
NUMBERS = (
    "height", "width", "bytes", "brightness", "contrast", "darkest", "brightest", "entropy", "sharpness",
)  # fmt: skip
BORDER_NUMBERS = 16


@dataclass(frozen=True, eq=False)
class Looks:
    """What a look at every image gave; rows as in the table.

    Attributes
    ----------
    prints : Prints
    numbers : dict of str to float32 array (n,)
        `height`, `width` in pixels, upright; `bytes` of the file (0 for images that are no files); `brightness`,
        `contrast` (standard deviation), `darkest`, `brightest` (5 and 95 % points) in grey levels 0 to 255;
        `entropy` in bits of 32 grey levels; `sharpness`: mean difference of neighbours over that of pixels four
        apart, about a quarter where all is smooth.
    border : ndarray of float32, shape (n, 16)
        Of each side: the mean step from the outermost line to the next, the mean step after that, mean and
        deviation of the outermost line.
    cameras : tuple of str
        Maker and model in the EXIF data; "" where there is none.
    problems : tuple of Problem
        Files that cannot be decoded, and why.
    """

    prints: Prints
    numbers: dict[str, Floats]
    border: Floats
    cameras: tuple[str, ...]
    problems: tuple[Problem, ...]

    @property
    def ok(self) -> NDArray[np.bool_]:
        """Which images could be decoded."""
        return self.prints.ok


@dataclass(frozen=True, eq=False)
class _Look:
    grey: NDArray[np.uint8]
    colours: NDArray[np.uint8]
    numbers: tuple[float, ...]
    border: Floats
    camera: str


class Looking:
    """Looks at the images of a table under way: pictures that others decode are seen, `rest` decodes what is left.

    Equal files are looked at once. Which pictures came from others makes no difference to what is measured: those
    decoded at too small a scale are not taken.

    Parameters
    ----------
    table : ImageTable
    min_side : int
        Least side in pixels that JPEGs are decoded at; below `MIN_SIDE` that is taken.
    """

    def __init__(self, table: ImageTable, min_side: int = MIN_SIDE) -> None:
        n = len(table)
        self._table, self._min_side = table, max(min_side, MIN_SIDE)
        self._looks: dict[str, _Look | str] = {}
        self._prints = Prints.empty(n)
        self._numbers = np.zeros((n, len(NUMBERS)), np.float32)
        self._border = np.zeros((n, BORDER_NUMBERS), np.float32)

    def see(self, row: int, picture: Picture | BadImage) -> None:
        """Look at a picture of a row, or hear why there is none; from any thread."""
        if isinstance(picture, BadImage):
            self._looks[self._table.digests[row]] = picture.reason
        elif picture.scale == 1 or min(picture.pixels.shape[:2]) >= math.ceil(MIN_SIDE * SCALE_MARGIN):
            self._looks[self._table.digests[row]] = _looked(self._table.item(row), picture)

    def rest(self) -> Looks:
        """All looks, once the images that nobody has shown are decoded, in threads."""
        left: dict[str, int] = {}
        for row, digest in enumerate(self._table.digests):
            if digest not in self._looks:
                left.setdefault(digest, row)
        items = [self._table.item(row) for row in left.values()]
        found = ahead(lambda item: _look(item, self._min_side), items, n_threads())
        for done, (digest, seen) in enumerate(zip(left, found, strict=True), 1):
            self._looks[digest] = seen
            if done % 256 == 0 or done == len(left):
                emit(Progress("look", done, len(left)))
        return self._gathered()

    def _gathered(self) -> Looks:
        prints, problems = self._prints, []
        cameras = [""] * len(self._table)
        for row, digest in enumerate(self._table.digests):
            seen = self._looks[digest]
            if isinstance(seen, str):
                problems.append(Problem(self._table.paths[row], seen))
                continue
            prints.grey[row], prints.colours[row], prints.ok[row] = seen.grey, seen.colours, True
            prints.large[row] = min(seen.numbers[:2]) >= LEAST_SIDE
            self._numbers[row], self._border[row], cameras[row] = seen.numbers, seen.border, seen.camera
        columns = {name: self._numbers[:, at] for at, name in enumerate(NUMBERS)}
        return Looks(prints, columns, self._border, tuple(cameras), tuple(problems))


def look(table: ImageTable, min_side: int = MIN_SIDE) -> Looks:
    """Decode every image once, in threads, and measure it."""
    return Looking(table, min_side).rest()


def _look(item: ImageItem, min_side: int) -> _Look | str:
    try:
        picture = open_picture(item, min_side=min_side)
    except BadImage as error:
        return error.reason
    return _looked(item, picture)


def _looked(item: ImageItem, picture: Picture) -> _Look:
    pixels = upright(picture.pixels, picture.orientation)
    high, wide = picture.height, picture.width
    if turned(picture.orientation):
        high, wide = wide, high
    grey, colours = small_pictures(np.ascontiguousarray(pixels))
    middle = _middle(pixels)
    size, camera = _file(item) if isinstance(item, Path) else (0, "")
    numbers = (float(high), float(wide), float(size), *_light(grey), sharpness(middle))
    return _Look(grey, colours, numbers, _border(pixels), camera)


def _light(grey: NDArray[np.uint8]) -> tuple[float, ...]:
    counts = np.bincount(grey.ravel() >> 3, minlength=32)
    shares = counts[counts > 0] / grey.size
    low, high = np.percentile(grey, (5, 95))
    entropy = -float((shares * np.log2(shares)).sum())
    return float(grey.mean()), float(grey.std()), float(low), float(high), entropy


def _middle(pixels: NDArray[np.uint8]) -> Floats:
    """The image in grey with a longer side of at most `LONGER`."""
    high, wide = pixels.shape[:2]
    scale = LONGER / max(high, wide)
    if scale < 1:
        size = max(1, round(high * scale)), max(1, round(wide * scale))
        box = (0.0, 0.0, float(wide), float(high))
        pixels = resize(np.ascontiguousarray(pixels), box, *size, "box")
    made: Floats = pixels @ GREY
    return made


def sharpness(grey: Floats) -> float:
    """Mean step between neighbours over the mean step of pixels four apart; 1 where there is nothing to see."""
    if min(grey.shape) < 16:
        return 1.0
    near = np.abs(np.diff(grey, axis=1)).mean() + np.abs(np.diff(grey, axis=0)).mean()
    far = np.abs(grey[:, 4:] - grey[:, :-4]).mean() + np.abs(grey[4:] - grey[:-4]).mean()
    return float(near / far) if far > 1.0 else 1.0


def _border(pixels: NDArray[np.uint8]) -> Floats:
    """Steps at the four sides, and mean and deviation of the outermost lines."""
    found = np.zeros(BORDER_NUMBERS, np.float32)
    if min(pixels.shape[:2]) < 4:
        return found
    sides = (pixels, pixels[::-1], pixels.swapaxes(0, 1), pixels.swapaxes(0, 1)[::-1])
    for at, side in enumerate(sides):
        first, second, third = (side[line] @ GREY for line in range(3))
        found[4 * at : 4 * at + 4] = (
            np.abs(first - second).mean(), np.abs(second - third).mean(), first.mean(), first.std(),
        )  # fmt: skip
    return found


def _file(path: Path) -> tuple[int, str]:
    """Bytes of a file, and the camera that its EXIF data name."""
    try:
        with path.open("rb") as file:
            head = file.read(HEADER_BYTES)
        size = path.stat().st_size
        return size, _camera(path) if b"Exif\0\0" in head or b"eXIf" in head else ""
    except OSError:
        return 0, ""


def _camera(path: Path) -> str:
    """Maker and model; EXIF data that cannot be read say nothing."""
    from PIL import Image

    try:
        with Image.open(path, formats=FORMATS) as image:
            exif = image.getexif()
        words: Sequence[Any] = [exif.get(MAKE), exif.get(MODEL)]
    except DECODING_ERRORS:
        return ""
    return " ".join(" ".join(str(word).split()) for word in words if word)[:80].replace("\0", "")
