"""`prepare` gives the pixels that timm's evaluation transform gives."""

import io
import itertools

import numpy as np
import pytest
from PIL import Image

from headstart.backbones.card import Preprocessing
from headstart.base.errors import BadImage, BadOptions
from headstart.images import resize
from headstart.images.decode import decode
from headstart.images.geometry import ORIENTATIONS
from headstart.images.prepare import normalise, prepare

LITE0 = Preprocessing(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))


def photo(width, height, seed=0):
    """Structure at several scales, as in a photograph."""
    rng = np.random.default_rng(seed)
    image = np.zeros((height, width, 3))
    for cells in (3, 9, 27):
        coarse = Image.fromarray(rng.integers(0, 255, (cells, cells, 3)).astype(np.uint8))
        image += np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC)) / 3
    return Image.fromarray(image.astype(np.uint8))


def encoded(image, kind="JPEG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def by_timm(image, how):
    from timm.data import create_transform

    transform = create_transform(
        (3, how.height, how.width),
        interpolation=how.interpolation,
        mean=how.mean,
        std=how.std,
        crop_pct=how.crop,
        crop_mode=how.crop_mode,
        normalize=False,
    )
    return transform(image).permute(1, 2, 0).numpy()


@pytest.mark.parametrize("size", [(400, 533), (533, 400), (300, 300), (100, 80), (257, 1000), (1000, 31)])
def test_it_equals_timms_evaluation_transform(size):
    data = encoded(photo(*size), quality=95)
    ours = prepare(data, LITE0, fast=False).astype(int)
    theirs = by_timm(Image.open(io.BytesIO(data)).convert("RGB"), LITE0).astype(int)
    assert ours.shape == (224, 224, 3)
    assert np.abs(ours - theirs).max() <= 2
    assert np.abs(ours - theirs).mean() < 0.1


@pytest.mark.parametrize(
    ("mode", "interpolation", "crop", "size"),
    list(
        itertools.product(
            ("center", "squash", "border"), ("bicubic", "bilinear"), (0.9, 1.0), ((96, 96), (64, 96))
        )
    ),
)
def test_it_equals_timm_for_other_cards_too(mode, interpolation, crop, size):
    how = Preprocessing(
        height=size[0],
        width=size[1],
        interpolation=interpolation,
        crop=crop,
        crop_mode=mode,
        mean=(0.5, 0.4, 0.3),
    )
    for shape in ((211, 150), (150, 211)):
        image = photo(*shape)
        difference = np.abs(prepare(image, how).astype(int) - by_timm(image, how).astype(int))
        assert difference.max() <= 3
        assert difference.mean() < 0.15


def test_a_scaled_decode_stays_within_the_stated_tolerance():
    for width, height in ((400, 533), (1600, 1200), (700, 700)):
        data = encoded(photo(width, height), quality=92)
        whole = prepare(data, LITE0, fast=False).astype(int)
        scaled = prepare(data, LITE0).astype(int)
        assert np.abs(whole - scaled).mean() < 2


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic", "lanczos"])
@pytest.mark.parametrize("size", [(400, 533), (1200, 700), (31, 47)])
def test_the_fast_resizer_gives_pillows_pixels_up_to_rounding(size, interpolation):
    how = Preprocessing(interpolation=interpolation)
    fast = prepare(photo(*size), how).astype(int)
    difference = np.abs(fast - prepare(photo(*size), how, fast=False).astype(int))
    assert difference.mean() < 0.3
    assert difference.max() <= 3


def test_pillow_resizes_where_the_fast_resizer_is_missing(monkeypatch):
    here = prepare(photo(400, 533), LITE0).astype(int)
    monkeypatch.setattr(resize, "_fast", lambda: None)
    monkeypatch.setattr(resize, "installed", lambda package: False)
    assert resize.resizer_name().startswith("pillow")
    assert np.abs(prepare(photo(400, 533), LITE0).astype(int) - here).mean() < 0.2


def test_a_file_a_pillow_image_and_an_array_give_the_same_pixels():
    image = photo(300, 260)
    as_array = prepare(np.asarray(image), LITE0)
    assert np.array_equal(as_array, prepare(image, LITE0))
    assert np.array_equal(as_array, prepare(encoded(image, "PNG"), LITE0))


def test_preparing_leaves_the_callers_array_alone():
    array = np.asarray(photo(224, 224)).copy()
    before = array.copy()
    prepare(array, Preprocessing(crop=1.0))
    decode(array)[:] = 0
    assert np.array_equal(array, before)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_an_image_stored_on_its_side_gives_the_upright_pixels(orientation, kind):
    image = photo(403, 301)
    undo = {6: 8, 8: 6}.get(orientation, orientation)
    stored = image if undo == 1 else image.transpose(ORIENTATIONS[undo])
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = prepare(encoded(stored, kind, exif=exif, quality=98), LITE0).astype(int)
    assert np.abs(turned - prepare(image, LITE0).astype(int)).mean() < 1.5


def test_tiny_and_extreme_images_are_enlarged():
    for size in ((1, 1), (1, 3000), (3000, 1), (5, 7)):
        assert prepare(Image.new("RGB", size, (9, 8, 7)), LITE0).shape == (224, 224, 3)


def test_normalising_is_subtracting_the_mean_and_dividing_by_the_deviation():
    batch = np.random.default_rng(0).integers(0, 256, (2, 5, 7, 3)).astype(np.uint8)
    how = Preprocessing()
    expected = ((batch / 255 - how.mean) / how.std).transpose(0, 3, 1, 2)
    planes = normalise(batch, how)
    assert planes.dtype == np.float32
    assert planes.flags.c_contiguous
    assert np.abs(planes - expected).max() < 1e-5


def test_bad_options_and_bad_images_are_refused():
    with pytest.raises(BadOptions, match=r"interpolation.*crop mode"):
        prepare(photo(10, 10), Preprocessing(interpolation="magic", crop_mode="edge"))
    with pytest.raises(BadImage):
        prepare(b"nothing", LITE0)
