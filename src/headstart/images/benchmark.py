"""Benchmark files as they are distributed: IDX (MNIST and its kin), CIFAR-10/-100 binary, `.npz`.

Sizes that a header declares are checked against the file's length before anything of that size is allocated,
and nothing is unpickled.
"""

from __future__ import annotations

import gzip
import math
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from headstart.base.errors import DataError
from headstart.images.arrays import array_table
from headstart.images.npz import npz_parts
from headstart.images.table import ImageTable

MAX_ARRAY_BYTES = 4 << 30
IDX_IMAGES = re.compile(r"^(?P<stem>.*)images(?P<gap>[-.])idx3(?P<end>[-.]ubyte(?:\.gz)?)$", re.IGNORECASE)
IDX_ANY = re.compile(r"^.*(?:images|labels)[-.]idx[13][-.]ubyte(?:\.gz)?$", re.IGNORECASE)
CIFAR10 = re.compile(r"^(?:data_batch_\d+|test_batch)\.bin$")
CIFAR100 = re.compile(r"^(?:train|test)\.bin$")
PICKLED = re.compile(r"^(?:data_batch_\d+|test_batch|train|test)$")
CIFAR_PIXELS = 3 * 32 * 32
SPLIT_WORDS = {"train": "train", "t10k": "test", "test": "test", "val": "validation"}


@dataclass(frozen=True)
class Benchmark:
    """Files of one kind: "idx", "cifar10", "cifar100", "npz" or "pickle" (which is refused)."""

    kind: str
    files: tuple[Path, ...]


def benchmark_files(source: Path) -> Benchmark | None:
    """The benchmark files in a folder, or the one that `source` is; None where there are none."""
    files = [source] if source.is_file() else sorted(path for path in source.iterdir() if path.is_file())
    for kind, pattern in (("idx", IDX_ANY), ("cifar10", CIFAR10), ("cifar100", CIFAR100)):
        if found := tuple(path for path in files if pattern.match(path.name)):
            return Benchmark(kind, found)
    if found := tuple(path for path in files if path.suffix.lower() == ".npz"):
        return Benchmark("npz", found)
    if found := tuple(path for path in files if PICKLED.match(path.name) and _is_pickle(path)):
        return Benchmark("pickle", found)
    return None


def scan_benchmark(source: Path, benchmark: Benchmark) -> ImageTable:
    """The image table of benchmark files; the images are its `pixels`.

    Raises
    ------
    DataError
        A file of another size than its header or format says, labels without images, or pickled files.
    """
    name = source.stem if source.is_file() else source.name
    if benchmark.kind == "idx":
        return _idx_table(name, benchmark.files)
    if benchmark.kind == "npz":
        if len(benchmark.files) > 1:
            names = ", ".join(path.name for path in benchmark.files)
            raise DataError(f"{source} holds several .npz files ({names}); give one of them")
        return array_table(name, *npz_parts(benchmark.files[0], limit=MAX_ARRAY_BYTES))
    if benchmark.kind == "pickle":
        raise DataError(
            f"{source} holds the pickled (Python) version of CIFAR, and unpickling can run any code; "
            "download the binary version (cifar-10-binary or cifar-100-binary) instead"
        )
    return _cifar_table(name, benchmark)


def read_idx(path: Path) -> np.ndarray:
    """A uint8 array from an IDX file, plain or gzipped.

    Raises
    ------
    DataError
        No IDX file of bytes, or a length that differs from what its header declares.
    """
    opened = gzip.open if path.suffix.lower() == ".gz" else open
    try:
        with opened(path, "rb") as file:
            start = file.read(4)
            if len(start) < 4 or start[:3] != b"\0\0\x08" or not 1 <= start[3] <= 4:
                raise DataError(f"{path}: not an IDX file of unsigned bytes")
            sides = file.read(4 * start[3])
            if len(sides) < 4 * start[3]:
                raise DataError(f"{path}: truncated: it ends in its header")
            shape = struct.unpack(f">{start[3]}I", sides)
            n_bytes = math.prod(shape)
            _check_declared(path, n_bytes, 4 + len(sides))
            data = bytearray()
            while piece := file.read(min(1 << 20, n_bytes + 1 - len(data))):
                data += piece
    except (OSError, EOFError) as error:
        raise DataError(f"{path}: cannot be read ({error})") from error
    if len(data) != n_bytes:
        raise DataError(f"{path}: its header declares {n_bytes} bytes, it holds {len(data)} or more")
    return np.frombuffer(bytes(data), np.uint8).reshape(shape)


def _check_declared(path: Path, n_bytes: int, n_header: int) -> None:
    """A plain file has exactly the declared length; deflate shrinks no more than 1032 to 1."""
    length = path.stat().st_size
    if path.suffix.lower() == ".gz":
        possible = n_bytes <= 1032 * length
    else:
        possible = n_bytes == length - n_header
    if not possible or n_bytes > MAX_ARRAY_BYTES:
        raise DataError(f"{path}: its header declares {n_bytes} bytes, the file has {length}")


def _idx_table(name: str, files: Sequence[Path]) -> ImageTable:
    parts: dict[str, np.ndarray] = {}
    labels: dict[str, dict[str, tuple[str | None, ...]]] = {}
    for path in files:
        match = IDX_IMAGES.match(path.name)
        if match is None:
            continue
        split = _split_of(match["stem"]) if len(files) > 1 else ""
        if split in parts:
            raise DataError(f"{path.name}: a second file of images for the {split or 'only'} part")
        partner = _label_file(path, match)
        parts[split] = read_idx(path)
        codes = read_idx(partner)
        if codes.ndim != 1 or parts[split].ndim != 3:
            raise DataError(
                f"{path.name} and {partner.name}: images in three dimensions and labels in one expected"
            )
        labels[split] = {"label": tuple(str(code) for code in codes.tolist())}
    if not parts:
        raise DataError(f"{files[0]}: a file of labels without one of images")
    if "" in parts and len(parts) > 1:
        raise DataError(f"{name}: names of the IDX files say no split (train, t10k, test)")
    return array_table(name, parts, labels)


def _label_file(images: Path, match: re.Match[str]) -> Path:
    """The labels that belong to a file of images, gzipped or not."""
    plain = re.sub(r"\.gz$", "", match["end"], flags=re.IGNORECASE)
    for gap in (match["gap"], "-", "."):
        for end in (match["end"], plain, plain + ".gz"):
            found = images.with_name(f"{match['stem']}labels{gap}idx1{end}")
            if found.is_file():
                return found
    raise DataError(f"{images.name}: no file of labels beside it ({match['stem']}labels-idx1-ubyte)")


def _split_of(stem: str) -> str:
    return next((split for word, split in SPLIT_WORDS.items() if word in stem.casefold()), "")


def _cifar_table(name: str, benchmark: Benchmark) -> ImageTable:
    ten = benchmark.kind == "cifar10"
    targets = ("label",) if ten else ("fine", "coarse")
    folder = benchmark.files[0].parent
    names = {
        target: _names(folder / file)
        for target, file in (
            ("label", "batches.meta.txt"),
            ("fine", "fine_label_names.txt"),
            ("coarse", "coarse_label_names.txt"),
        )
        if target in targets
    }
    records: dict[str, list[np.ndarray]] = {}
    for path in benchmark.files:
        split = "test" if path.name.startswith("test") else "train"
        records.setdefault(split, []).append(_cifar_records(path, len(targets)))
    parts: dict[str, np.ndarray] = {}
    labels: dict[str, dict[str, tuple[str | None, ...]]] = {}
    for split, pieces in records.items():
        key = split if len(records) > 1 or len(benchmark.files) > 1 else ""
        rows = np.concatenate(pieces)
        parts[key] = rows[:, len(targets) :].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
        # CIFAR-100 stores the coarse label first, the fine one second
        at = {"label": 0, "coarse": 0, "fine": 1}
        labels[key] = {target: _named(rows[:, at[target]], names[target], folder) for target in targets}
    return array_table(name, parts, labels)


def _cifar_records(path: Path, n_labels: int) -> np.ndarray:
    length, record = path.stat().st_size, n_labels + CIFAR_PIXELS
    if not 0 < length <= MAX_ARRAY_BYTES or length % record:
        raise DataError(f"{path}: {length} bytes are no whole number of records of {record} bytes")
    return np.fromfile(path, np.uint8).reshape(-1, record)


def _names(path: Path) -> list[str]:
    if not path.is_file():
        return []
    return [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def _named(codes: np.ndarray, names: Sequence[str], folder: Path) -> tuple[str | None, ...]:
    if not names:
        return tuple(str(code) for code in codes.tolist())
    if codes.max() >= len(names):
        raise DataError(f"{folder}: label {codes.max()}, but only {len(names)} class names")
    return tuple(names[code] for code in codes.tolist())


def _is_pickle(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(1) == b"\x80"
