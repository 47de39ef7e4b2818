"""Small JPEGs for reports: decoded, shrunk and written anew, so none of the original's metadata remains."""

from __future__ import annotations

import base64
import io

from PIL import Image

from headstart.images.decode import ImageItem, decode


def thumbnail(item: ImageItem, side: int = 160) -> bytes:
    """A JPEG whose longer side has at most `side` pixels (small images are enlarged only to 48).

    Raises
    ------
    BadImage
        The image cannot be read.
    """
    image = Image.fromarray(decode(item, min_side=side))
    longest = max(image.size)
    goal = side if longest > side else max(longest, min(48, side))
    size = (max(1, round(image.width * goal / longest)), max(1, round(image.height * goal / longest)))
    kept = Image.Resampling.NEAREST if goal > longest else Image.Resampling.BICUBIC
    buffer = io.BytesIO()
    image.resize(size, kept).save(buffer, "JPEG", quality=82, optimize=True)
    return buffer.getvalue()


def data_uri(jpeg: bytes) -> str:
    """A JPEG as the address of an image inside a page."""
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii")
