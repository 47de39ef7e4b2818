"""Images and labels out of an `.npz` file (Keras style, MedMNIST style, plain), without unpickling."""

from __future__ import annotations

import math
import zipfile
import zlib
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from headstart.base.errors import DataError
from headstart.images.modes import to_uint8

PAIRS = (
    ("train", "x_train", "y_train"),
    ("validation", "x_val", "y_val"),
    ("validation", "x_valid", "y_valid"),
    ("test", "x_test", "y_test"),
    ("train", "train_images", "train_labels"),
    ("validation", "val_images", "val_labels"),
    ("test", "test_images", "test_labels"),
    ("", "images", "labels"),
    ("", "x", "y"),
    ("", "data", "target"),
)
Labels = dict[str, dict[str, tuple[str | None, ...]]]


def npz_parts(path: Path, *, limit: int) -> tuple[dict[str, np.ndarray], Labels]:
    """Pixels and labels of each split ("" where there is none).

    Raises
    ------
    DataError
        No known pair of arrays, pickled objects, or a size that differs from what the header declares.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = {name.removesuffix(".npy").casefold(): name for name in archive.namelist()}
            pairs = [pair for pair in PAIRS if pair[1] in names]
            if not pairs:
                known = "x_train/y_train, train_images/train_labels or images/labels"
                raise DataError(
                    f"{path}: no images under the names {known}; it holds {', '.join(sorted(names))}"
                )
            parts: dict[str, np.ndarray] = {}
            labels: Labels = {}
            for split, image_key, label_key in pairs if pairs[0][0] else pairs[:1]:
                parts[split] = _as_pixels(_read(archive, names[image_key], path, limit), path, image_key)
                if label_key in names:
                    labels[split] = _as_labels(_read(archive, names[label_key], path, limit), path, label_key)
                else:
                    labels[split] = {}
    except (zipfile.BadZipFile, OSError, zlib.error, EOFError, NotImplementedError) as error:
        raise DataError(f"{path}: not a readable .npz file ({error})") from error
    return parts, labels


def _read(archive: zipfile.ZipFile, name: str, path: Path, limit: int) -> np.ndarray:
    info = archive.getinfo(name)
    with archive.open(info) as file:
        try:
            version = npy.read_magic(file)
            read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
            shape, fortran, dtype = read_header(file)
        except ValueError as error:
            raise DataError(f"{path}: {name} is no array ({error})") from error
        if dtype.hasobject:
            raise DataError(
                f"{path}: {name} holds pickled objects, which can run any code; save plain arrays"
            )
        n_bytes = math.prod(shape) * dtype.itemsize
        if n_bytes != info.file_size - file.tell() or n_bytes > limit or n_bytes > 1032 * info.compress_size:
            raise DataError(f"{path}: {name} declares {n_bytes} bytes, the archive holds {info.file_size}")
        data = file.read(n_bytes)
    if len(data) != n_bytes:
        raise DataError(f"{path}: {name} is truncated")
    return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")


def _as_pixels(array: np.ndarray, path: Path, key: str) -> np.ndarray:
    if array.ndim == 4 and array.shape[3] == 1:
        array = array[..., 0]
    if array.ndim == 4 and array.shape[1] == 3 and array.shape[3] != 3:
        array = array.transpose(0, 2, 3, 1)
    if array.ndim not in (3, 4) or (array.ndim == 4 and array.shape[3] != 3) or 0 in array.shape:
        raise DataError(f"{path}: {key} has shape {array.shape}; (n, h, w) or (n, h, w, 3) expected")
    try:
        return to_uint8(array)
    except ValueError as error:
        raise DataError(f"{path}: {key}: {error}") from error


def _as_labels(array: np.ndarray, path: Path, key: str) -> dict[str, tuple[str | None, ...]]:
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim == 1:
        return {"label": _words(array)}
    if array.ndim == 2 and array.dtype.kind in "buif":
        if array.shape[1] > 2 and ((array == 0) | (array == 1)).all() and (array.sum(axis=1) == 1).all():
            return {"label": _words(array.argmax(axis=1))}
        return {f"label_{at + 1}": _words(array[:, at]) for at in range(array.shape[1])}
    raise DataError(f"{path}: {key} has shape {array.shape}; (n,) or (n, targets) expected")


def _words(array: np.ndarray) -> tuple[str | None, ...]:
    if array.dtype.kind == "S":
        return tuple(value.decode("utf-8", "backslashreplace") for value in array.tolist())
    if array.dtype.kind == "f" and (np.mod(array, 1) == 0).all():
        array = array.astype(np.int64)
    return tuple(str(value) for value in array.tolist())
