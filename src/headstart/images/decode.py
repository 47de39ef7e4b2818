"""From a file, bytes, array or Pillow image to 8-bit RGB pixels, safely.

Only JPEG, PNG, WebP, BMP, GIF (first frame) and TIFF are opened; the pixel count is checked on the header,
before anything is decoded; EXIF orientation is applied. Whatever is wrong becomes a `BadImage` with a reason
of a few words. Ordinary JPEGs are decoded at a smaller scale where that suffices (see `jpeg`, `prepare`).
"""

from __future__ import annotations

import io
import math
import stat
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import PIL
import simplejpeg
from PIL import Image

from headstart.base.errors import BadImage
from headstart.images.geometry import ORIENTATIONS, upright
from headstart.images.jpeg import JpegHeader, Truncated, decode_ordinary, read_jpeg_header
from headstart.images.modes import array_to_rgb, to_rgb
from headstart.images.resize import resizer_name

ImageItem = str | Path | bytes | np.ndarray | Image.Image
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
EXTENSIONS = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".dib", ".gif", ".tif", ".tiff"}
)
MAX_PIXELS = 100_000_000
MAX_FILE_BYTES = 1 << 30
SCALE_MARGIN = 0.97
DECODER = (
    f"2:simplejpeg{simplejpeg.__version__}:pillow{PIL.__version__}:{resizer_name()}:margin{SCALE_MARGIN}"
)

HEADER_BYTES = 1 << 16
ORIENTATION_TAG = 0x0112
DECODING_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    ArithmeticError,
    LookupError,
    TypeError,
    AttributeError,
    EOFError,
    RuntimeError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


@dataclass(frozen=True)
class Picture:
    """A decoded image as stored, before it is turned upright.

    Attributes
    ----------
    pixels : ndarray of uint8, shape (h, w, 3)
        Red, green, blue.
    height, width : int
        Stored size in pixels, before any scaling.
    scale : float
        Size of `pixels` relative to the stored size (1/2, 1/4 or 1/8 for a scaled JPEG, else 1).
    orientation : int
        EXIF orientation 1..8.
    """

    pixels: np.ndarray
    height: int
    width: int
    scale: float = 1.0
    orientation: int = 1


def decode(item: ImageItem, *, min_side: int | None = None, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Pixels of an image, upright.

    Parameters
    ----------
    item : path, bytes, ndarray or PIL.Image.Image
        For arrays see `modes.array_to_rgb`.
    min_side : int, optional
        A JPEG may be decoded at 1/2, 1/4 or 1/8 of its size while both sides stay at least `SCALE_MARGIN * min_side`.
    max_pixels : int
        Most pixels an image may have.

    Returns
    -------
    ndarray of uint8, shape (h, w, 3)
        Red, green, blue.

    Raises
    ------
    BadImage
        Empty, truncated, too large or no image of a known format.
    """
    picture = open_picture(item, min_side=min_side, max_pixels=max_pixels)
    return np.array(upright(picture.pixels, picture.orientation), order="C")


def open_picture(item: ImageItem, *, min_side: int | None = None, max_pixels: int = MAX_PIXELS) -> Picture:
    """`decode` before the image is turned upright, so that the caller can crop first and turn after."""
    name = name_of(item)
    try:
        if isinstance(item, np.ndarray):
            _check_size(item.shape[0] if item.ndim else 0, item.shape[1] if item.ndim > 1 else 0, max_pixels)
            pixels = array_to_rgb(item)
            return Picture(pixels, *pixels.shape[:2])
        if isinstance(item, Image.Image):
            return _from_pillow(item, max_pixels)
        data = item if isinstance(item, bytes) else _read(Path(item))
        return _from_bytes(data, min_side, max_pixels)
    except DECODING_ERRORS as error:
        raise BadImage(name, reason_of(error)) from error


def check_header(path: str | Path, *, max_pixels: int = MAX_PIXELS) -> None:
    """Look at a file's header only: is it an image of a known format, within the pixel limit?

    Truncation is found at the one full decode, not here.

    Raises
    ------
    BadImage
    """
    place = Path(path)
    try:
        _check_file(place)
        with place.open("rb") as file:
            _check_open_file(file, max_pixels)
    except DECODING_ERRORS as error:
        raise BadImage(str(path), reason_of(error)) from error


def name_of(item: ImageItem) -> str:
    """What an item is called in messages: its path, or what kind of thing it is."""
    if isinstance(item, str | Path):
        return str(item)
    return {np.ndarray: "<array>", bytes: "<bytes>"}.get(type(item), "<image>")


def reason_of(error: Exception) -> str:
    """An error of a decoder in a few words for a person."""
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, PermissionError):
        return "may not be read (permission denied)"
    if isinstance(error, PIL.UnidentifiedImageError):
        return "not an image of a known format (JPEG, PNG, WebP, BMP, GIF, TIFF)"
    if isinstance(error, Image.DecompressionBombError):
        return "too many pixels (a decompression bomb?)"
    words = " ".join(str(error).split())
    if isinstance(error, OSError | EOFError | struct.error) and any(
        clue in words.lower()
        for clue in ("truncat", "incomplete", "unexpected end", "cannot read", "not enough")
    ):
        return "truncated: the data ends before the image does"
    if any(clue in words for clue in ("broken data", "decoder error", "unrecognized data", "cannot load")):
        words = f"damaged: {words}"
    return (words or type(error).__name__)[:160]


def _read(path: Path) -> bytes:
    _check_file(path)
    return path.read_bytes()


def _check_file(path: Path) -> None:
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("not a file")
    if status.st_size == 0:
        raise ValueError("empty file")
    if status.st_size > MAX_FILE_BYTES:
        raise ValueError(f"file of {status.st_size >> 20} MiB; the limit is {MAX_FILE_BYTES >> 20} MiB")


def _check_size(height: int, width: int, max_pixels: int) -> None:
    if height * width > max_pixels:
        limit = f"{max_pixels / 1e6:g} million"
        raise ValueError(f"{height} x {width} pixels, above the limit of {limit} (a decompression bomb?)")


def _check_open_file(file: BinaryIO, max_pixels: int) -> None:
    header = read_jpeg_header(file.read(HEADER_BYTES))
    if header is not None:
        _check_size(header.height, header.width, max_pixels)
        if header.ordinary:
            return
    file.seek(0)
    with Image.open(file, formats=FORMATS) as image:
        _check_size(image.height, image.width, max_pixels)


def _from_bytes(data: bytes, min_side: int | None, max_pixels: int) -> Picture:
    if not data:
        raise ValueError("empty file")
    header = read_jpeg_header(data)
    if header is not None:
        _check_size(header.height, header.width, max_pixels)
        if header.ordinary and (picture := _ordinary_jpeg(data, header, min_side)):
            return picture
    with Image.open(io.BytesIO(data), formats=FORMATS) as image:
        return _from_pillow(image, max_pixels)


def _ordinary_jpeg(data: bytes, header: JpegHeader, min_side: int | None) -> Picture | None:
    try:
        pixels, scale = decode_ordinary(
            data, header, None if min_side is None else math.ceil(min_side * SCALE_MARGIN)
        )
    except Truncated:
        raise
    except ValueError:
        return None  # a recoverable flaw: Pillow judges the same bytes next
    return Picture(pixels, header.height, header.width, scale, header.orientation)


def _from_pillow(image: Image.Image, max_pixels: int) -> Picture:
    _check_size(image.height, image.width, max_pixels)
    image.load()
    orientation = _orientation(image)
    rgb = to_rgb(image)
    return Picture(np.asarray(rgb), rgb.height, rgb.width, 1.0, orientation)


def _orientation(image: Image.Image) -> int:
    """EXIF orientation; a block that cannot be read says nothing (1)."""
    try:
        value = image.getexif().get(ORIENTATION_TAG, 1)
    except DECODING_ERRORS:
        return 1
    return value if isinstance(value, int) and value in ORIENTATIONS else 1
