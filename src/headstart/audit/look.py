"""One look at every image: decoded once at a small scale, measured in all the ways that an audit asks for."""

from __future__ import annotations

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
from headstart.images.decode import DECODING_ERRORS, FORMATS, HEADER_BYTES, ImageItem, open_picture
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


def look(table: ImageTable) -> Looks:
    """Decode every image once, in threads, and measure it."""
    n = len(table)
    prints = Prints.empty(n)
    numbers = np.zeros((n, len(NUMBERS)), np.float32)
    border = np.zeros((n, BORDER_NUMBERS), np.float32)
    cameras, problems = [""] * n, []
    for row, seen in enumerate(ahead(_look, table.items(), n_threads())):
        if isinstance(seen, str):
            problems.append(Problem(table.paths[row], seen))
        else:
            prints.grey[row], prints.colours[row], prints.ok[row] = seen.grey, seen.colours, True
            prints.large[row] = min(seen.numbers[:2]) >= LEAST_SIDE
            numbers[row], border[row], cameras[row] = seen.numbers, seen.border, seen.camera
        if row % 256 == 255 or row + 1 == n:
            emit(Progress("look", row + 1, n))
    columns = {name: numbers[:, at] for at, name in enumerate(NUMBERS)}
    return Looks(prints, columns, border, tuple(cameras), tuple(problems))


def _look(item: ImageItem) -> _Look | str:
    try:
        picture = open_picture(item, min_side=MIN_SIDE)
    except BadImage as error:
        return error.reason
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
