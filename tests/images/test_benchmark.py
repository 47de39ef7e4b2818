"""Benchmark files as they are distributed, and files that lie about themselves."""

import gzip
import io
import pickle
import struct
import zipfile

import numpy as np
import pytest

from headstart.base.errors import DataError
from headstart.images.decode import decode
from headstart.images.scan import scan

RNG = np.random.default_rng(0)


def idx(array):
    return b"\0\0\x08" + bytes([array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def grey(n, side=28):
    return RNG.integers(0, 255, (n, side, side)).astype(np.uint8)


def mnist(folder, *, zipped):
    images = {"train": grey(5), "t10k": grey(3)}
    for stem, pixels in images.items():
        labels = np.arange(len(pixels), dtype=np.uint8)
        for name, array in ((f"{stem}-images-idx3-ubyte", pixels), (f"{stem}-labels-idx1-ubyte", labels)):
            if zipped:
                (folder / f"{name}.gz").write_bytes(gzip.compress(idx(array)))
            else:
                (folder / name).write_bytes(idx(array))
    return images


@pytest.mark.parametrize("zipped", [False, True])
def test_mnist_files_give_pixels_labels_and_splits(tmp_path, zipped):
    images = mnist(tmp_path, zipped=zipped)
    table = scan(tmp_path)
    assert table.splits == ("test",) * 3 + ("train",) * 5
    assert table.labels["label"] == ("0", "1", "2", "0", "1", "2", "3", "4")
    assert np.array_equal(table.pixels, np.concatenate([images["t10k"], images["train"]]))
    assert decode(table.item(0)).shape == (28, 28, 3)
    assert len(set(table.paths)) == 8
    one = scan(next(tmp_path.glob("train-images*")))
    assert one.splits is None
    assert one.digests == table.digests[3:]


def test_idx_files_that_lie_are_refused_before_anything_is_allocated(tmp_path):
    mnist(tmp_path, zipped=False)
    path = tmp_path / "train-images-idx3-ubyte"
    good = path.read_bytes()
    for data, message in (
        (good[:-1], "declares"),
        (good + b"x", "declares"),
        (b"\0\0\x08\x03" + struct.pack(">III", 2**31, 2**31, 2**31), "declares"),
        (good[:9], "ends in its header"),
        (b"\0\0\x0d\x03" + good[4:], "unsigned bytes"),
        (b"hello", "unsigned bytes"),
    ):
        path.write_bytes(data)
        with pytest.raises(DataError, match=message):
            scan(tmp_path)
    path.unlink()
    zipped = tmp_path / "train-images-idx3-ubyte.gz"
    for data, message in (
        (gzip.compress(good[:-1]), "declares"),
        (gzip.compress(good + b"\0" * 5000), "declares"),
        (gzip.compress(b"\0\0\x08\x03" + struct.pack(">III", 60000, 1000, 1000)), "declares"),
        (gzip.compress(good)[:-40], "cannot be read"),
        (b"not gzip", "cannot be read"),
    ):
        zipped.write_bytes(data)
        with pytest.raises(DataError, match=message):
            scan(tmp_path)


def test_labels_without_images_and_images_without_labels_are_refused(tmp_path):
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx(grey(2)))
    with pytest.raises(DataError, match="no file of labels"):
        scan(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(np.zeros(3, np.uint8)))
    with pytest.raises(DataError, match="3 labels for 2 images"):
        scan(tmp_path)
    (tmp_path / "train-images-idx3-ubyte").unlink()
    with pytest.raises(DataError, match="without one of images"):
        scan(tmp_path)


def test_cifar_10_binary(tmp_path):
    pixels = RNG.integers(0, 255, (4, 3, 32, 32)).astype(np.uint8)
    labels = np.array([0, 1, 1, 0], np.uint8)
    records = [bytes([label]) + image.tobytes() for label, image in zip(labels, pixels, strict=True)]
    (tmp_path / "data_batch_1.bin").write_bytes(records[0] + records[1])
    (tmp_path / "data_batch_2.bin").write_bytes(records[2])
    (tmp_path / "test_batch.bin").write_bytes(records[3])
    (tmp_path / "batches.meta.txt").write_text("airplane\nautomobile\n\n")
    table = scan(tmp_path)
    assert table.labels == {"label": ("airplane", "automobile", "automobile", "airplane")}
    assert table.splits == ("train", "train", "train", "test")
    assert np.array_equal(table.pixels, pixels.transpose(0, 2, 3, 1))
    (tmp_path / "batches.meta.txt").write_text("airplane\n")
    with pytest.raises(DataError, match="only 1 class names"):
        scan(tmp_path)
    (tmp_path / "test_batch.bin").write_bytes(records[3][:-1])
    with pytest.raises(DataError, match="no whole number of records"):
        scan(tmp_path)


def test_cifar_100_binary_keeps_fine_and_coarse_labels(tmp_path):
    record = bytes([1, 2]) + RNG.integers(0, 255, 3072).astype(np.uint8).tobytes()
    (tmp_path / "train.bin").write_bytes(record * 2)
    (tmp_path / "test.bin").write_bytes(record)
    (tmp_path / "fine_label_names.txt").write_text("a\nb\nc\n")
    (tmp_path / "coarse_label_names.txt").write_text("A\nB\n")
    table = scan(tmp_path)
    assert table.targets == ("fine", "coarse")
    assert table.labels == {"fine": ("c",) * 3, "coarse": ("B",) * 3}
    assert sorted(table.splits) == ["test", "train", "train"]


def test_the_pickled_cifar_is_refused_with_the_way_out(tmp_path):
    (tmp_path / "data_batch_1").write_bytes(pickle.dumps({"data": 1}))
    with pytest.raises(DataError, match="download the binary version"):
        scan(tmp_path)


def test_npz_in_keras_and_medmnist_style(tmp_path):
    colour = RNG.integers(0, 255, (3, 8, 8, 3)).astype(np.uint8)
    np.savez(tmp_path / "keras.npz", x_train=colour, y_train=[0, 1, 2], x_test=colour[:1], y_test=[[1]])
    table = scan(tmp_path / "keras.npz")
    assert table.splits == ("train", "train", "train", "test")
    assert table.labels == {"label": ("0", "1", "2", "1")}
    parts = {}
    for split in ("train", "val", "test"):
        parts |= {
            f"{split}_images": grey(2, 8)[..., None],
            f"{split}_labels": np.array([[1, 0, 1], [0, 0, 0]]),
        }
    np.savez_compressed(tmp_path / "med.npz", **parts)
    table = scan(tmp_path / "med.npz")
    assert set(table.splits) == {"train", "validation", "test"}
    assert table.labels["label_1"] == ("1", "0") * 3
    assert table.pixels.shape == (6, 8, 8)
    with pytest.raises(DataError, match=r"several \.npz"):
        scan(tmp_path)


def test_npz_without_splits_one_hot_and_float(tmp_path):
    np.savez(tmp_path / "a.npz", images=np.linspace(0, 1, 3 * 16).reshape(3, 4, 4), labels=np.eye(3))
    table = scan(tmp_path)
    assert table.splits is None
    assert table.labels == {"label": ("0", "1", "2")}
    assert table.pixels.max() == 255


def test_npz_files_that_lie_or_hold_code_are_refused(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, images=np.array([{"a": 1}], dtype=object), labels=[0])
    with pytest.raises(DataError, match="pickled objects"):
        scan(path)
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "|u1", "fortran_order": False, "shape": (10**9, 64, 64)}
    )
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("images.npy", header.getvalue())
        archive.writestr("labels.npy", header.getvalue())
    with pytest.raises(DataError, match="declares"):
        scan(path)
    for arrays, message in (
        ({"weights": np.zeros(3)}, "no images under the names"),
        ({"images": np.zeros((2, 784), np.uint8), "labels": [0, 1]}, "expected"),
        ({"images": np.full((2, 4, 4), 200.0), "labels": [0, 1]}, "divide by its maximum"),
        ({"images": np.zeros((2, 4, 4), np.uint8), "labels": [0]}, "1 labels for 2 images"),
    ):
        np.savez(path, **arrays)
        with pytest.raises(DataError, match=message):
            scan(path)
    path.write_bytes(b"PK not a zip")
    with pytest.raises(DataError, match=r"not a readable \.npz"):
        scan(path)
