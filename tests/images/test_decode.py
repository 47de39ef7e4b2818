"""Decoding is safe and exact: every format, every mode, every orientation, every kind of broken file."""

import io
import os
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from headstart.base.errors import BadImage
from headstart.images.decode import DECODER, check_header, decode
from headstart.images.geometry import ORIENTATIONS


def scene(width=60, height=40):
    """A smooth picture whose corners differ."""
    y, x = np.mgrid[:height, :width]
    return np.stack([255 * x // width, 255 * y // height, np.full_like(x, 90)], axis=-1).astype(np.uint8)


def encoded(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def jpeg(array=None, **options):
    return encoded(Image.fromarray(scene() if array is None else array), "JPEG", **{"quality": 95, **options})


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "WEBP", "GIF", "JPEG"])
def test_every_format_comes_out_as_rgb(kind, tmp_path):
    path = tmp_path / f"image.{kind.lower()}"
    image = Image.fromarray(scene())
    image.save(path, kind, **({"lossless": True} if kind == "WEBP" else {}))
    pixels = decode(path)
    assert pixels.shape == (40, 60, 3)
    assert pixels.dtype == np.uint8
    lossless = kind in ("PNG", "BMP", "TIFF", "WEBP")
    assert np.abs(pixels.astype(int) - scene()).mean() <= (0 if lossless else 8)


@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_decoded_whole_equals_pillow_bit_for_bit(subsampling, progressive):
    data = jpeg(subsampling=subsampling, progressive=progressive)
    assert np.array_equal(decode(data), np.asarray(Image.open(io.BytesIO(data)).convert("RGB")))


def test_grey_and_one_bit_images_get_three_equal_channels():
    grey = scene()[:, :, 0]
    for data in (encoded(Image.fromarray(grey), "PNG"), encoded(Image.fromarray(grey), "JPEG", quality=100)):
        pixels = decode(data)
        assert np.array_equal(pixels[..., 0], pixels[..., 1])
        assert np.array_equal(pixels[..., 0], pixels[..., 2])
        assert np.abs(pixels[..., 0].astype(int) - grey).max() <= 3
    bits = Image.fromarray(grey > 100)
    assert np.array_equal(decode(encoded(bits, "PNG"))[..., 0], np.where(grey > 100, 255, 0))


def test_transparency_is_composited_over_white():
    rgba = np.dstack([scene(), np.zeros((40, 60), np.uint8)])
    rgba[:, 30:, 3] = 255
    rgba[0, 0, 3] = 128
    pixels = decode(encoded(Image.fromarray(rgba), "PNG"))
    assert (pixels[1:, :30] == 255).all()
    assert np.array_equal(pixels[:, 30:], scene()[:, 30:])
    assert 120 <= pixels[0, 0, 0] <= 135
    assert np.array_equal(decode(rgba), pixels)
    grey_alpha = Image.fromarray(rgba).convert("LA")
    assert (decode(encoded(grey_alpha, "PNG"))[1:, :30] == 255).all()


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_a_transparent_palette_colour_becomes_white(kind):
    indices = np.zeros((10, 10), np.uint8)
    indices[:, 5:] = 1
    image = Image.fromarray(indices, "P")
    image.putpalette([200, 0, 0, 0, 0, 200])
    pixels = decode(encoded(image, kind, transparency=0))
    assert (pixels[:, :5] == 255).all()
    assert (pixels[:, 5:] == (0, 0, 200)).all()


def test_a_palette_with_an_alpha_for_each_colour():
    image = Image.fromarray(np.arange(2, dtype=np.uint8).repeat(8).reshape(4, 4), "P")
    image.putpalette([200, 0, 0, 0, 0, 200])
    pixels = decode(encoded(image, "PNG", transparency=bytes([255, 0])))
    assert (pixels[0] == (200, 0, 0)).all()
    assert (pixels[3] == 255).all()


def test_a_transparent_colour_of_a_plain_png_becomes_white():
    data = encoded(Image.new("RGB", (4, 4), (10, 20, 30)), "PNG", transparency=(10, 20, 30))
    assert (decode(data) == 255).all()
    data = encoded(Image.new("L", (4, 4), 7), "PNG", transparency=7)
    assert (decode(data) == 255).all()


def test_the_first_frame_of_an_animation_is_used():
    frames = [Image.new("RGB", (8, 8), colour) for colour in ((250, 0, 0), (0, 250, 0))]
    for kind in ("GIF", "WEBP", "TIFF"):
        data = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
        red, green, _ = decode(data)[0, 0]
        assert red > 200 > 50 > green


def test_sixteen_bit_images_are_scaled_not_cut():
    deep = np.array([[0, 128, 129, 257, 30000, 65535]], np.uint16)
    expected = np.rint(deep / 257).astype(np.uint8)
    for kind in ("PNG", "TIFF"):
        assert np.array_equal(decode(encoded(Image.fromarray(deep), kind))[..., 0], expected)
    assert np.array_equal(decode(deep)[..., 0], expected)


def test_wide_integer_and_float_tiffs_follow_the_stated_rule():
    good = Image.fromarray(np.array([[0, 65535]], np.int32))
    assert decode(encoded(good, "TIFF"))[0, :, 0].tolist() == [0, 255]
    bad = Image.fromarray(np.array([[0, 70000]], np.int32))
    with pytest.raises(BadImage, match=r"outside 0\.\.65535"):
        decode(encoded(bad, "TIFF"))
    unit = Image.fromarray(np.array([[0, 1]], np.float32))
    assert decode(encoded(unit, "TIFF"))[0, :, 0].tolist() == [0, 255]
    with pytest.raises(BadImage, match=r"outside 0\.\.1"):
        decode(encoded(Image.fromarray(np.array([[0, 2]], np.float32)), "TIFF"))


def test_cmyk_jpeg_and_tiff_are_read():
    cmyk = Image.fromarray(scene()).convert("CMYK")
    assert np.abs(decode(encoded(cmyk, "TIFF")).astype(int) - scene()).max() <= 2
    data = encoded(cmyk, "JPEG", quality=95)
    assert np.abs(decode(data).astype(int) - scene()).mean() < 6
    assert decode(data, min_side=8).shape == (40, 60, 3)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_orientation_is_applied(orientation, kind):
    upright = Image.fromarray(scene(64, 48))
    undo = {6: 8, 8: 6}.get(orientation, orientation)
    stored = upright if undo == 1 else upright.transpose(ORIENTATIONS[undo])
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(stored, kind, exif=exif, **({"quality": 95} if kind in ("JPEG", "WEBP") else {}))
    pixels = decode(data)
    assert pixels.shape == (48, 64, 3)
    assert np.abs(pixels.astype(int) - scene(64, 48)).mean() < 5


@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_a_scaled_jpeg_keeps_its_orientation(orientation):
    stored = Image.fromarray(scene(160, 80))
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = decode(encoded(stored, "JPEG", exif=exif), min_side=40)
    assert sorted(pixels.shape) == [3, 40, 80]
    assert (pixels.shape[0] > pixels.shape[1]) == (orientation == 6)


def test_a_broken_exif_block_does_not_make_an_image_unreadable():
    for block in (
        b"Exif\0\0",
        b"Exif\0\0II*\0\xff\xff\xff\xff",
        b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\1" * 9,
    ):
        assert decode(jpeg(exif=block)).shape == (40, 60, 3)
    no_such = Image.Exif()
    no_such[0x0112] = 99
    assert decode(jpeg(exif=no_such)).shape == (40, 60, 3)


@pytest.mark.parametrize(
    ("side", "expected"), [(80, 80), (60, 80), (42, 80), (41, 40), (21, 40), (20, 20), (1, 10), (500, 80)]
)
def test_a_scaled_decode_is_the_smallest_that_stays_large_enough(side, expected):
    data = jpeg(scene(120, 80))
    assert min(decode(data, min_side=side).shape[:2]) == expected
    grey = encoded(Image.fromarray(scene(120, 80)[..., 0]), "JPEG")
    assert decode(grey, min_side=40).shape == (40, 60, 3)


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9, 0.999])
@pytest.mark.parametrize("min_side", [None, 16])
def test_truncated_jpegs_are_refused_on_both_paths(share, min_side):
    noise = np.random.default_rng(0).integers(0, 255, (80, 120, 3)).astype(np.uint8)
    for data in (
        jpeg(noise),
        jpeg(noise, progressive=True),
        encoded(Image.fromarray(noise).convert("CMYK"), "JPEG"),
    ):
        with pytest.raises(BadImage):
            decode(data[: int(share * len(data))], min_side=min_side)


def test_a_jpeg_whose_middle_is_missing_is_refused_although_it_ends_well():
    data = jpeg(np.random.default_rng(0).integers(0, 255, (80, 120, 3)).astype(np.uint8))
    with pytest.raises(BadImage, match="truncated"):
        decode(data[: len(data) // 2] + b"\xff\xd9")


def test_junk_after_a_jpeg_does_no_harm():
    assert decode(jpeg() + b"\0\0trailing bytes").shape == (40, 60, 3)


@pytest.mark.parametrize("kind", ["PNG", "GIF", "WEBP", "TIFF", "BMP"])
def test_truncated_files_of_other_formats_are_refused(kind):
    noise = np.random.default_rng(0).integers(0, 255, (40, 60, 3)).astype(np.uint8)
    data = encoded(Image.fromarray(noise), kind)
    for share in (0.01, 0.5, 0.9):
        with pytest.raises(BadImage):
            decode(data[: int(share * len(data))])


def png_header(width, height):
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))
    idat = b"IDAT" + zlib.compress(b"\0" * 10)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk
        + struct.pack(">I", len(idat) - 4)
        + idat
        + struct.pack(">I", zlib.crc32(idat))
    )


def test_bombs_are_refused_on_the_header_alone(tmp_path):
    patched = bytearray(jpeg())
    at = patched.index(b"\xff\xc0")
    patched[at + 5 : at + 9] = struct.pack(">HH", 65000, 65000)
    for name, data in {"a.jpg": bytes(patched), "b.png": png_header(100_000, 100_000)}.items():
        path = tmp_path / name
        path.write_bytes(data)
        for look in (decode, check_header):
            with pytest.raises(BadImage, match="pixels"):
                look(path)
    with pytest.raises(BadImage, match="above the limit"):
        decode(jpeg(), max_pixels=1000)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty file"),
        (b"<html>not found</html>", "not an image"),
        (b"\xff\xd8\xff", "not an image|truncated"),
    ],
)
def test_files_that_are_no_images_say_why(tmp_path, content, reason):
    path = tmp_path / "photo.jpg"
    path.write_bytes(content)
    for look in (decode, check_header):
        with pytest.raises(BadImage, match=reason) as caught:
            look(path)
        assert caught.value.path == str(path)
    with pytest.raises(BadImage, match="<bytes>"):
        decode(content)


def test_other_formats_are_not_opened():
    image = Image.fromarray(scene())
    for kind in ("PPM", "TGA", "ICO", "PCX"):
        with pytest.raises(BadImage, match="not an image of a known format"):
            decode(encoded(image, kind))
    with pytest.raises(BadImage, match="not an image of a known format"):
        decode(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n")


def test_things_that_are_not_files_say_so(tmp_path):
    with pytest.raises(BadImage, match="no such file"):
        decode(tmp_path / "absent.jpg")
    with pytest.raises(BadImage, match="not a file"):
        decode(tmp_path)
    with pytest.raises(BadImage):
        decode("nul\0byte.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(BadImage, match="not a file"):
        check_header(tmp_path / "pipe.jpg")


def test_arrays_follow_stated_rules():
    array = scene()
    assert np.array_equal(decode(array), array)
    assert np.array_equal(decode(array[..., :1])[..., 2], array[..., 0])
    assert np.array_equal(decode(array / 255), array)
    assert np.array_equal(decode((array / 255).astype(np.float32)), array)
    assert np.array_equal(decode(array.astype(np.uint16) * 257), array)
    assert np.array_equal(decode(array[::-1, ::2]), array[::-1, ::2])


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((4, 4), np.int64),
        np.zeros((4, 4), bool),
        np.full((4, 4), 200.0),
        np.full((4, 4), np.nan),
        np.full((4, 4, 3), -0.1),
        np.zeros((4, 4, 2), np.uint8),
        np.zeros((3, 4, 4), np.uint8)[..., None],
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((), np.uint8),
        np.zeros((4,), np.uint8),
    ],
)
def test_other_arrays_are_refused(array):
    with pytest.raises(BadImage, match="image array"):
        decode(array)


def test_pillow_images_are_read_with_their_orientation_and_left_alone():
    data = jpeg()
    image = Image.open(io.BytesIO(data))
    assert np.array_equal(decode(image), decode(data))
    palette = Image.fromarray(scene()).convert("P")
    decode(palette)
    assert palette.mode == "P"


def test_many_threads_may_decode_at_once():
    data = jpeg(scene(200, 160))
    alone = decode(data, min_side=50)
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: decode(data, min_side=50), range(64)))
    assert all(np.array_equal(alone, each) for each in results)


def test_the_decoder_names_its_versions():
    assert "simplejpeg" in DECODER
    assert "pillow" in DECODER
