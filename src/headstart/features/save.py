"""Features as a file for other programs: Parquet or NumPy's .npz, written piece by piece.

Never a second copy of the matrix in memory: Parquet in row groups, .npz array by array in slices.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from headstart.base.errors import BadOptions, DataError
from headstart.base.events import warn
from headstart.base.files import written_aside
from headstart.features.extract import Extraction
from headstart.features.taps import Tap
from headstart.images.collect import clean
from headstart.images.table import ImageTable

FORMATS = (".parquet", ".npz")
GROUP_BYTES = 16_000_000
OWN = ("path", "digest", "split")


@dataclass(frozen=True)
class Saved:
    """What was written: rows, columns in order, and the width of each layer's vectors."""

    path: Path
    n: int
    columns: tuple[str, ...]
    layers: dict[str, int]


def check_format(path: str | Path) -> None:
    """Refuse a file name of another format.

    Raises
    ------
    BadOptions
    """
    if Path(path).suffix.lower() not in FORMATS:
        raise BadOptions([f"out: {path}: write to a file that ends in {' or '.join(FORMATS)}"])


def save_features(table: ImageTable, found: Extraction, path: str | Path) -> Saved:
    """Write path, digest, split, labels and one vector a layer for every readable image.

    Parameters
    ----------
    table : ImageTable
    found : Extraction
        Of the table's images, in its order.
    path : path
        Ends in .parquet or .npz; an older file is replaced whole.

    Returns
    -------
    Saved
        A layer's column is called LAYER, or LAYER/POOLING where several poolings were taken; a label column
        whose name is taken already is called label_NAME.

    Raises
    ------
    BadOptions, DataError
    """
    check_format(path)
    rows = np.flatnonzero(found.ok)
    if not len(rows):
        raise DataError(f"{table.name}: none of the images could be read")
    layers = _layer_names(list(found.features))
    labels = _label_names(table, set(layers) | set(OWN))
    columns: dict[str, list[Any]] = {
        "path": [clean(table.paths[row]) for row in rows],
        "digest": [table.digests[row] for row in rows],
        "split": [None if table.splits is None else table.splits[row] for row in rows],
        **{name: [table.labels[target][row] for row in rows] for name, target in labels.items()},
    }
    facts = {
        "backbone": found.card.to_dict(),
        "engine": found.engine,
        "source": table.source,
        "data": table.name,
    }
    write = _write_parquet if Path(path).suffix.lower() == ".parquet" else _write_npz
    with written_aside(path) as aside:
        write(aside, columns, {name: found.features[tap] for name, tap in layers.items()}, rows, facts)
    widths = {name: int(found.features[tap].shape[1]) for name, tap in layers.items()}
    return Saved(Path(path), len(rows), (*columns, *layers), widths)


def _layer_names(taps: Sequence[Tap]) -> dict[str, Tap]:
    several = len({tap.pooling for tap in taps}) > 1
    return {str(tap) if several else tap.layer: tap for tap in taps}


def _label_names(table: ImageTable, taken: set[str]) -> dict[str, str]:
    names = {}
    for target in table.targets:
        name = target
        while name in taken:
            name = f"label_{name}"
        if name != target:
            warn(f"the label column {target!r} is written as {name!r}: its name is taken")
        taken.add(name)
        names[name] = target
    return names


def _write_parquet(
    path: Path,
    columns: dict[str, list[Any]],
    layers: dict[str, np.ndarray],
    rows: np.ndarray,
    facts: dict[str, Any],
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    fields = [pa.field(name, pa.string()) for name in columns]
    fields += [pa.field(name, pa.list_(pa.float32(), matrix.shape[1])) for name, matrix in layers.items()]
    schema = pa.schema(fields, metadata={"headstart": json.dumps(facts, ensure_ascii=False)})
    size = _group_rows(layers)
    with (
        path.open("wb") as file,  # not by name: Arrow takes no name that is no UTF-8
        pq.ParquetWriter(file, schema, compression="zstd", use_dictionary=list(columns)) as writer,
    ):
        for at in range(0, len(rows), size):
            part = rows[at : at + size]
            arrays = [pa.array(values[at : at + size], pa.string()) for values in columns.values()]
            arrays += [_lists(matrix[part]) for matrix in layers.values()]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema), row_group_size=size)


def _lists(matrix: np.ndarray) -> Any:
    import pyarrow as pa

    flat = pa.array(np.ascontiguousarray(matrix, np.float32).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, matrix.shape[1])


def _write_npz(
    path: Path,
    columns: dict[str, list[Any]],
    layers: dict[str, np.ndarray],
    rows: np.ndarray,
    facts: dict[str, Any],
) -> None:
    size = _group_rows(layers)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        texts = {
            name: ["" if value is None else value for value in values] for name, values in columns.items()
        }
        for name, values in {**texts, "headstart": [json.dumps(facts, ensure_ascii=False)]}.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.array(values, dtype=str), allow_pickle=False)
        for name, matrix in layers.items():
            header = {"descr": "<f4", "fortran_order": False, "shape": (len(rows), matrix.shape[1])}
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array_header_1_0(file, header)
                for at in range(0, len(rows), size):
                    file.write(np.ascontiguousarray(matrix[rows[at : at + size]], "<f4").tobytes())


def _group_rows(layers: dict[str, np.ndarray]) -> int:
    """Rows of a piece: about 16 MB of vectors, between 1 and 10,000."""
    width = sum(matrix.shape[1] for matrix in layers.values())
    return int(np.clip(GROUP_BYTES // max(1, 4 * width), 1, 10_000))
