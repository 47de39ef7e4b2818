"""Every operator: the same on PIL images, arrays and tensors; seeded; bounded; with a real effect."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from headstart.base.errors import BadOptions
from headstart.images.augment import OPERATORS, Policy, Step, augment, augment_batch

ALONE = [name for name in OPERATORS if OPERATORS[name].takes != "batch"]
MIXING = [name for name in OPERATORS if OPERATORS[name].takes == "batch"]
COLOURS_ONLY = {"hsv", "lab", "colour_space"}


def photo(height=48, width=64):
    """Colours, soft shading and hard edges."""
    y, x = np.mgrid[:height, :width]
    picture = np.stack([x * 255 // width, y * 255 // height, (x + y) * 3 % 200], -1)
    picture[10:30, 20:40] = [220, 60, 30]
    return picture.astype(np.uint8)


def one(name, **values):
    return Policy(name, (Step(name, tuple(values.items())),))


def draw(seed=1):
    return np.random.default_rng(seed)


def test_each_operator_that_is_promised_is_there():
    promised = [
        "gaussian_blur",
        "motion_blur",
        "median_blur",
        "sharpen",
        "sobel",
        "canny",
        "laplacian",
        "gaussian_noise",
        "salt_and_pepper",
        "poisson_noise",
        "jpeg",
        "invert",
        "pad",
        "center_crop",
        "random_crop",
        "random_resized_crop",
        "horizontal_flip",
        "vertical_flip",
        "rotate",
        "shear",
        "zoom",
        "shift",
        "perspective",
        "elastic",
        "resize",
        "grey",
        "hsv",
        "lab",
        "colour_space",
        "brightness",
        "contrast",
        "gamma",
        "equalise",
        "clahe",
        "colour_jitter",
        "posterise",
        "solarise",
        "cutout",
        "mixup",
        "cutmix",
        "mosaic",
        "rand_augment",
        "trivial_augment",
        "augmix",
    ]
    assert set(promised) <= set(OPERATORS)
    assert all(
        each.help and all(p.help or p.choices for p in each.parameters)
        for each in map(OPERATORS.__getitem__, OPERATORS)
    )


@pytest.mark.parametrize("name", ALONE)
def test_images_arrays_and_tensors_come_out_alike(name):
    pixels = photo()
    tensor = torch.from_numpy(pixels.transpose(2, 0, 1).copy())
    policy = one(name)
    array = augment(pixels, policy, draw())
    assert array.dtype == np.uint8 and array.shape[2] == 3
    assert np.array_equal(array, np.asarray(augment(Image.fromarray(pixels), policy, draw())))
    as_bytes = augment(tensor, policy, draw())
    as_floats = augment(tensor.float() / 255, policy, draw())
    assert as_bytes.dtype == torch.uint8 and as_floats.dtype == torch.float32
    for other in (as_bytes.numpy().astype(float), 255 * as_floats.numpy().astype(float)):
        assert other.shape == array.transpose(2, 0, 1).shape
        assert np.abs(array.transpose(2, 0, 1) - other).mean() < 3, "the same image up to rounding"
    assert float(as_floats.min()) >= 0 and float(as_floats.max()) <= 1
    assert np.array_equal(pixels, photo()), "what came in is not changed"


@pytest.mark.parametrize("name", [each for each in ALONE if each != "trivial_augment"])
def test_each_operator_changes_a_photo_and_is_seeded(name):
    results = [augment(photo(), one(name), draw(seed)) for seed in (3, 3, 4, 5, 6, 7)]
    assert np.array_equal(results[0], results[1])
    changed = [each.shape != photo().shape or not np.array_equal(each, photo()) for each in results]
    assert name == "resize" or any(changed)


@pytest.mark.parametrize("name", sorted(set(ALONE) - COLOURS_ONLY))
def test_grey_images_stay_grey_images(name):
    flat = photo()[..., :1]
    out = augment(flat, one(name), draw())
    assert out.ndim == 3 and out.shape[2] == 1
    assert augment(flat[..., 0], one(name), draw()).ndim == 2


@pytest.mark.parametrize("name", sorted(COLOURS_ONLY))
def test_operators_on_colours_refuse_grey_images(name):
    with pytest.raises(BadOptions, match="three channels"):
        augment(photo()[..., :1], one(name), draw())


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(ALONE), st.integers(1, 40), st.integers(1, 40), st.integers(0, 99))
def test_small_and_odd_images_pass_through_every_operator(name, height, width, seed):
    out = augment(photo(height, width), one(name), draw(seed))
    assert out.dtype == np.uint8 and min(out.shape[:2]) >= 1


WARPS = {
    "rotate": {"degrees": (-180, 180)}, "shear": {"x": (-60, 60), "y": (-50, 50)}, "zoom": {"factor": (0.1, 3)},
    "shift": {"x": (-1, 1), "y": (-1, 1)}, "perspective": {"distortion": (0, 0.5)}, "elastic": {"alpha": (0, 0.3)},
}  # fmt: skip


@pytest.mark.parametrize("border", ["reflect", "replicate"])
@pytest.mark.parametrize("name", sorted(WARPS))
def test_no_black_corner_comes_into_view_where_the_border_is_the_image(name, border):
    white = np.full((30, 45, 3), 255, np.uint8)
    for seed in range(12):
        assert augment(white, one(name, border=border, **WARPS[name]), draw(seed)).min() >= 250


def test_a_constant_border_has_the_grey_that_was_asked_for():
    out = augment(
        np.full((20, 20, 3), 255, np.uint8), one("shift", x=0.5, y=0, border="constant", fill=77), draw()
    )
    assert (out[:, :10] == 77).all() and (out[:, 10:] == 255).all()


def test_half_turns_and_flips_move_pixels_exactly():
    pixels = photo()
    assert np.array_equal(augment(pixels, one("rotate", degrees=180), draw()), pixels[::-1, ::-1])
    assert np.array_equal(augment(pixels, one("horizontal_flip"), draw()), pixels[:, ::-1])
    assert np.array_equal(augment(pixels, one("vertical_flip"), draw()), pixels[::-1])
    assert np.array_equal(augment(pixels, one("invert"), draw()), 255 - pixels)


def test_rotation_is_against_the_clock():
    pixels = np.zeros((41, 41, 3), np.uint8)
    pixels[18:23, 32:40] = 255  # at three o'clock
    out = augment(pixels, one("rotate", degrees=90, border="constant"), draw())
    assert out[2:9, 18:23].mean() > 200 and out[33:40, 18:23].mean() < 20  # at twelve


def test_noise_has_the_strength_that_was_asked_for():
    grey = np.full((200, 200, 3), 128, np.uint8)
    noisy = augment(grey, one("gaussian_noise", sigma=0.05), draw()).astype(float)
    assert abs(noisy.std() / 255 - 0.05) < 0.002
    spoilt = augment(grey, one("salt_and_pepper", share=0.2, salt=0.25), draw())
    assert abs((spoilt == 255).mean() - 0.05) < 0.01 and abs((spoilt == 0).mean() - 0.15) < 0.01
    shot = augment(grey, one("poisson_noise", photons=100), draw()).astype(float) / 255
    assert abs(shot.std() - np.sqrt(128 / 255 / 100)) < 0.005


def test_edges_alone_are_white_on_black():
    for name in ("sobel", "canny", "laplacian"):
        edges = augment(photo(), one(name, blend=1.0), draw()).astype(float)
        assert edges[12:28, 24:36].mean() < 60 and edges[8:32, 18:42].max() > 200


@pytest.mark.parametrize("name", MIXING)
def test_mixing_gives_arrays_and_tensors_alike_and_labels_that_tell_the_shares(name):
    images = np.stack([np.full((16, 16, 3), level, np.uint8) for level in (0, 80, 160, 240)])
    labels = np.eye(4, dtype=np.float32)
    draws = [draw(each) for each in range(4)]
    out, soft = augment_batch(images, one(name), draws, labels)
    tensors, soft_tensors = augment_batch(
        torch.from_numpy(images.transpose(0, 3, 1, 2).copy()), one(name), [draw(each) for each in range(4)],
        torch.from_numpy(labels),
    )  # fmt: skip
    assert np.abs(out.transpose(0, 3, 1, 2).astype(int) - tensors.numpy()).max() <= 1
    assert np.allclose(soft, soft_tensors.numpy(), atol=1e-6) and np.allclose(soft.sum(1), 1)
    told = soft @ np.array([0, 80, 160, 240])
    assert np.allclose(out.mean(axis=(1, 2, 3)), told, atol=1.0), "labels say what the pixels hold"


def test_mixing_without_labels_or_batch_is_refused():
    with pytest.raises(BadOptions, match="labels of shape"):
        augment_batch(np.zeros((2, 8, 8, 3), np.uint8), one("mixup"), [draw(), draw()])
    with pytest.raises(BadOptions, match="batch"):
        augment(photo(), one("mixup"), draw())


@pytest.mark.parametrize(
    "bad", [np.zeros((4, 4, 3)), np.zeros((4, 4, 7), np.uint8), "photo.jpg", torch.zeros(2, 2)]
)
def test_what_is_no_image_is_refused(bad):
    with pytest.raises(BadOptions, match="expected"):
        augment(bad, Policy("none"), draw())
