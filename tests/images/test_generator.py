"""Generators: Keras's meaning, checked against Keras itself; seeded, lazy, resumable; taken by loaders and estimators."""

import json
import os
import subprocess
import sys
import tracemalloc
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from headstart.base.errors import BadImage, BadOptions, DataError
from headstart.images.augment import Policy, Step
from headstart.images.generator import ImageGenerator
from headstart.images.scan import scan

SIZES = [(40, 30), (31, 64), (50, 50)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three classes of unequal size; JPEG, PNG and BMP; one nested folder; a text file in between."""
    root = tmp_path_factory.mktemp("photos")
    draw = np.random.default_rng(0)
    for name, count in (("zebra", 5), ("ant", 9), ("cow", 7)):
        for at in range(count):
            place = root / name / ("more" if at == 3 else "")
            place.mkdir(parents=True, exist_ok=True)
            height, width = SIZES[at % 3]
            small = draw.integers(0, 255, (6, 6, 3)).astype(np.uint8)
            image = Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)
            image.save(place / f"{at:02d}.{('jpg', 'png', 'bmp')[at % 3]}", quality=95)
    (root / "ant" / "notes.txt").write_text("no image")
    return root


@pytest.fixture(scope="module")
def keras():
    os.environ["KERAS_BACKEND"] = "torch"
    return pytest.importorskip("keras")


def keras_generator(**options):
    from keras.src.legacy.preprocessing.image import ImageDataGenerator

    return ImageDataGenerator(**options)


# ---- against Keras ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["categorical", "sparse", "input", None])
@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"])
def test_folders_give_what_keras_gives_to_the_pixel(keras, folder, mode, interpolation):
    options = {
        "target_size": (24, 36),
        "class_mode": mode,
        "batch_size": 4,
        "shuffle": False,
        "interpolation": interpolation,
    }
    theirs = keras_generator(rescale=1 / 255).flow_from_directory(folder, **options)
    ours = ImageGenerator(rescale=1 / 255).flow_from_directory(folder, **options)
    assert ours.class_indices == theirs.class_indices == {"ant": 0, "cow": 1, "zebra": 2}
    assert sorted(ours.filenames) == sorted(theirs.filenames) and ours.samples == theirs.samples == 21
    assert len(ours) == len(theirs) == 6 and ours.num_classes == theirs.num_classes
    assert ours.image_shape == theirs.image_shape
    seen = [collected(each, 6, mode) for each in (ours, theirs)]
    by_name = [
        dict(zip(names.filenames, images, strict=True))
        for names, (images, _) in zip((ours, theirs), seen, strict=True)
    ]
    for name in ours.filenames:
        assert np.abs(by_name[0][name] - by_name[1][name]).max() < 1e-6, name
    if mode in ("categorical", "sparse"):
        labels = [
            dict(zip(each.filenames, found[1].tolist(), strict=True))
            for each, found in zip((ours, theirs), seen, strict=True)
        ]
        assert labels[0] == labels[1]


def collected(flow, steps, mode):
    batches = list(islice(flow, steps))
    images = np.concatenate([each if mode is None else each[0] for each in batches])
    return images, None if mode is None else np.concatenate([each[1] for each in batches])


def test_binary_labels_are_keras_labels(keras, folder):
    options = {
        "classes": ["cow", "ant"],
        "class_mode": "binary",
        "shuffle": False,
        "batch_size": 16,
        "target_size": (8, 8),
    }
    theirs, ours = (
        keras_generator().flow_from_directory(folder, **options),
        ImageGenerator().flow_from_directory(folder, **options),
    )
    assert ours.class_indices == theirs.class_indices == {"cow": 0, "ant": 1}
    assert np.array_equal(next(ours)[1], next(theirs)[1]) and next(ours)[1].dtype == np.float32


def test_the_grain_dataset_of_keras_has_the_same_classes_counts_and_pixels(keras, folder):
    pytest.importorskip("grain")
    theirs = keras.utils.image_dataset_from_directory(
        folder,
        label_mode="int",
        batch_size=5,
        image_size=(50, 50),
        shuffle=False,
        format="grain",
        verbose=False,
    )
    ours = ImageGenerator().flow_from_directory(
        folder, (50, 50), class_mode="sparse", batch_size=5, shuffle=False, interpolation="bilinear"
    )
    batches = [(np.asarray(images), np.asarray(labels)) for images, labels in theirs]
    assert len(batches) == len(ours)
    assert sorted(np.concatenate([labels for _, labels in batches])) == sorted(ours.classes)
    same = {tuple(np.rint(image).astype(int).ravel()[:300]) for images, _ in batches for image in images}
    whole = [np.rint(ours.pixels(row, 0)).astype(int) for row in range(ours.n)]
    square = [
        each
        for each, name in zip(whole, ours.filenames, strict=True)
        if Image.open(folder / name).size == (50, 50)
    ]
    assert len(square) >= 5, "images that need no resize have the same pixels"
    assert all(tuple(each.ravel()[:300]) in same for each in square)


@pytest.mark.parametrize(
    "center, std, zca", [(True, False, False), (True, True, False), (True, False, True), (False, False, True)]
)
def test_featurewise_statistics_are_those_of_keras(keras, center, std, zca):
    x = np.random.default_rng(1).integers(0, 256, (30, 6, 5, 3)).astype(np.uint8)
    options = {
        "featurewise_center": center,
        "featurewise_std_normalization": std,
        "zca_whitening": zca,
        "rescale": 1 / 255,
    }
    theirs = keras_generator(**options)
    theirs.fit(x)
    ours = ImageGenerator(**options).fit(x)
    expected = next(theirs.flow(x.astype(np.float32), batch_size=30, shuffle=False))
    assert np.abs(next(ours.flow(x, batch_size=30, shuffle=False)) - expected).max() < 2e-3


# ---- splits -----------------------------------------------------------------------------------------------------


def test_the_validation_part_is_drawn_at_random_a_class_and_never_augmented(folder):
    generator = ImageGenerator("heavy", validation_split=0.25)
    train, held = (
        generator.flow_from_directory(folder, (16, 16), seed=3, subset=each)
        for each in ("training", "validation")
    )
    assert not set(train.filenames) & set(held.filenames) and train.n + held.n == 21
    assert set(np.unique(held.classes)) == {0, 1, 2}
    again = generator.flow_from_directory(folder, (16, 16), seed=4, subset="validation")
    assert set(again.filenames) != set(held.filenames), "another seed, another part"
    assert np.array_equal(held.pixels(2, 0), held.pixels(2, 5))
    assert not np.array_equal(train.pixels(2, 0), train.pixels(2, 5))


def test_a_class_of_one_image_stays_in_training():
    flow = ImageGenerator(validation_split=0.5).flow(
        np.zeros((5, 4, 4, 3), np.uint8), list("aaaab"), subset="training"
    )
    assert set(flow.classes) == {0, 1}


# ---- order, seeds, state ------------------------------------------------------------------------------------------


def medium(folder, **options):
    return ImageGenerator("medium", **options).flow_from_directory(folder, (20, 20), batch_size=4, seed=7)


def test_an_epoch_shows_every_image_once_and_the_stream_never_ends(folder):
    flow = medium(folder)
    shown = [flow.rows(index, 0) for index in range(len(flow))]
    assert sorted(np.concatenate(shown)) == list(range(21))
    assert sum(len(images) for images, _ in islice(flow, 3 * len(flow))) == 63 and flow.epoch == 3


def test_batches_do_not_depend_on_the_number_of_threads_or_on_what_was_asked_before(folder):
    one, four = medium(folder, n_workers=1), medium(folder, n_workers=4)
    four[5], four[2]
    for (a, x), (b, y) in zip(islice(one, 14), islice(four, 14), strict=True):
        assert np.array_equal(a, b) and np.array_equal(x, y)


@pytest.mark.parametrize("stop", [1, 4, 6, 9])
def test_a_stream_goes_on_where_it_stood(folder, stop):
    flow = medium(folder)
    for _ in range(stop):
        next(flow)
    state = json.loads(json.dumps(flow.state_dict()))
    rest = [next(flow)[0] for _ in range(5)]
    other = medium(folder)
    other.load_state_dict(state)
    assert all(np.array_equal(a, next(other)[0]) for a in rest)


def test_a_state_of_another_flow_is_refused(folder):
    state = medium(folder).state_dict()
    other = ImageGenerator("light").flow_from_directory(folder, (20, 20), batch_size=4, seed=7)
    with pytest.raises(BadOptions, match="another policy"):
        other.load_state_dict(state)
    for broken in ({}, {**state, "batch_index": 99}, {**state, "epoch": -1}):
        with pytest.raises(BadOptions):
            medium(folder).load_state_dict(broken)


@pytest.mark.parametrize("n_workers", [0, 2])
def test_a_data_loader_takes_a_flow_in_any_number_of_processes(folder, n_workers):
    flow = medium(folder)
    next(flow)  # its threads run in this process
    flow.set_epoch(2)
    loader = torch.utils.data.DataLoader(flow, batch_size=None, num_workers=n_workers)
    seen = [(images, labels) for images, labels in loader]
    assert len(seen) == len(flow) and isinstance(seen[0][0], torch.Tensor)
    for index, (images, labels) in enumerate(seen):
        expected = flow[index]
        assert np.array_equal(images.numpy(), expected[0]) and np.array_equal(labels.numpy(), expected[1])


def test_memory_does_not_grow_with_the_folder(tmp_path):
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8))
    picture.save(tmp_path / "one.jpg")
    peaks = []
    for count in (40, 1200):
        root = tmp_path / f"n{count}"
        for name in "ab":
            (root / name).mkdir(parents=True)
            for at in range(count // 2):
                os.link(tmp_path / "one.jpg", root / name / f"{at}.jpg")
        flow = ImageGenerator("light").flow_from_directory(root, (64, 64), batch_size=8)
        next(flow)
        tracemalloc.start()
        for _ in islice(flow, 30):
            pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.3 * peaks[0] + 500_000


# ---- forms ---------------------------------------------------------------------------------------------------------


def test_a_backbone_decides_size_scale_and_layout(folder):
    flow = ImageGenerator(preprocessing="lite0").flow_from_directory(folder, batch_size=3, shuffle=False)
    images, _ = next(flow)
    assert images.shape == (3, 3, 224, 224) and images.dtype == np.float32
    from headstart.backbones.load import card
    from headstart.images.prepare import normalise, prepare

    how = card("lite0").preprocessing
    expected = normalise(prepare(folder / flow.filenames[0], how)[None], how)[0]
    assert np.abs(images[0] - expected).max() < 1e-5


def test_arrays_of_one_channel_come_out_grey():
    x = np.random.default_rng(0).integers(0, 255, (4, 9, 7)).astype(np.uint8)
    flow = ImageGenerator().flow(x, shuffle=False, color_mode="grayscale")
    assert np.array_equal(next(flow), x[..., None].astype(np.float32))
    assert next(ImageGenerator().flow(x, shuffle=False)).shape == (4, 9, 7, 3)


def test_a_table_with_several_columns_gives_several_outputs(tmp_path):
    for at in range(6):
        Image.new("RGB", (10, 10), (40 * at, 0, 0)).save(tmp_path / f"{at}.png")
    rows = "\n".join(f"{at}.png,{'ab'[at % 2]},{'xyz'[at % 3]}" for at in range(6))
    (tmp_path / "truth.csv").write_text(f"path,shape,colour\n{rows}\n")
    table = scan(tmp_path)
    flow = ImageGenerator().flow_from_table(
        table, class_mode="multi_output", target_size=(10, 10), shuffle=False
    )
    images, labels = next(flow)
    assert [each.tolist() for each in labels] == [[0, 1] * 3, [0, 1, 2] * 2] and images.shape == (
        6,
        10,
        10,
        3,
    )
    one = ImageGenerator().flow_from_table(
        tmp_path, "colour", target_size=(10, 10), class_mode="sparse", shuffle=False
    )
    assert next(one)[1].tolist() == [0, 1, 2] * 2 and one.class_indices == {"x": 0, "y": 1, "z": 2}


def test_mixed_batches_have_soft_labels(folder):
    policy = Policy("mixed", (Step("horizontal_flip", p=0.5), Step("mixup", (("alpha", 1.0),))))
    flow = ImageGenerator(policy).flow_from_directory(folder, (12, 12), batch_size=8, seed=1)
    images, labels = next(flow)
    assert images.shape == (8, 12, 12, 3) and np.allclose(labels.sum(1), 1) and (labels.max(1) < 1).any()
    with pytest.raises(BadOptions, match="categorical"):
        ImageGenerator(policy).flow_from_directory(folder, (12, 12), class_mode="sparse")


def test_a_broken_file_is_named_when_its_batch_comes(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "bad.jpg").write_bytes(b"no image at all")
    with pytest.raises(BadImage, match=r"bad\.jpg"):
        next(ImageGenerator().flow_from_directory(tmp_path, (8, 8)))


@pytest.mark.parametrize(
    "options, call, said",
    [
        ({"validation_split": 1.5}, {}, "validation_split"),
        ({"data_format": "nhwc"}, {}, "data_format"),
        ({"preprocessing": "lite0", "rescale": 1 / 255}, {}, "rescale"),
        ({}, {"batch_size": 0}, "batch_size"),
        ({}, {"subset": "training"}, "needs validation_split"),
        ({}, {"color_mode": "cmyk"}, "color_mode"),
        ({}, {"interpolation": "cubic"}, "interpolation"),
        ({}, {"target_size": (0, 5)}, "target_size"),
        ({}, {"class_mode": "onehot"}, "class_mode"),
        ({}, {"class_mode": "binary"}, "two classes"),
    ],
)
def test_bad_options_are_told(folder, options, call, said):
    with pytest.raises(BadOptions, match=said):
        ImageGenerator(**options).flow_from_directory(folder, **call)


def test_bad_sources_are_told(tmp_path, folder):
    for place, said in ((tmp_path / "absent", "no such folder"), (tmp_path, "no image in a class folder")):
        with pytest.raises(DataError, match=said):
            ImageGenerator().flow_from_directory(place)
    with pytest.raises(DataError, match="no class folder called"):
        ImageGenerator().flow_from_directory(folder, classes=["ant", "../../etc"])
    for x in (
        np.zeros((2, 3, 3, 3), np.float32) + 0.5,
        np.full((2, 3, 3, 3), 300),
        "x.jpg",
        np.zeros((2, 2)),
        [],
    ):
        with pytest.raises(BadOptions):
            ImageGenerator().flow(x)
    with pytest.raises(BadOptions, match="3 labels"):
        ImageGenerator().flow(np.zeros((2, 3, 3, 3), np.uint8), [1, 2, 3])
    with pytest.raises(BadOptions, match="not learned"):
        next(ImageGenerator(featurewise_center=True).flow(np.zeros((2, 3, 3, 3), np.uint8)))


def test_help_and_import_stay_quick():
    heavy = ("torch", "kornia", "torchvision")
    names = "headstart.cli.main, headstart.methods.probe, headstart.images.generator"
    code = f"import sys, {names}; sys.exit(any(each in sys.modules for each in {heavy}))"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path.home()).returncode == 0
