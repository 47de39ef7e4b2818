"""Thumbnails are small JPEGs without the original's metadata."""

import io

import pytest
from PIL import Image

from headstart.base.errors import BadImage
from headstart.images.thumbnail import data_uri, thumbnail


def test_a_thumbnail_is_small_upright_and_without_metadata(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010F] = "secret maker"
    path = tmp_path / "a.jpg"
    Image.new("RGB", (640, 320), (10, 200, 30)).save(path, exif=exif)
    image = Image.open(io.BytesIO(thumbnail(path, 100)))
    assert image.size == (50, 100)
    assert not image.getexif()
    assert b"secret" not in thumbnail(path)


def test_tiny_images_are_enlarged_a_little_and_broken_ones_refused():
    assert Image.open(io.BytesIO(thumbnail(Image.new("L", (8, 8))))).size == (48, 48)
    assert Image.open(io.BytesIO(thumbnail(Image.new("L", (2000, 1))))).size == (160, 1)
    with pytest.raises(BadImage):
        thumbnail(b"broken")


def test_a_data_address_holds_the_jpeg():
    assert data_uri(b"\xff\xd8").startswith("data:image/jpeg;base64,/9g=")
