"""Parquet files with the images inside, as the Hugging Face `datasets` library writes and reads them.

A column `image` of {bytes, path}, a column a target, and a column `group` of text where there are groups. A target of
classes is of integers, whose class names stand in the schema's `huggingface` note; one of numbers is of floats, and one
of sets of labels of text (`a;b`). The note `headstart` names the targets, as numbers and texts alone do not show that
they are labels. Files hold at most about 500 MB, and row groups are small, so that readers need little memory.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart.base.errors import DataError
from headstart.base.events import Progress, emit
from headstart.images.collect import clean
from headstart.images.column_kinds import column_kind
from headstart.images.file_names import file_name
from headstart.images.hub_parquet import TARGETS_NOTE
from headstart.images.table import ImageTable

SHARD_BYTES = 500 << 20
GROUP_ROWS = 100
IMAGE, GROUP = "image", "group"


def write_parquet(table: ImageTable, out: Path) -> list[Path]:
    """Write data/SPLIT-00000-of-0000N.parquet for each split; the files, in order.

    Raises
    ------
    DataError
        An original can no longer be read.
    """
    folder = out / "data"
    folder.mkdir()
    made = []
    for split in dict.fromkeys(table.splits or ("train",)):
        rows = table.rows(split) if table.splits else list(range(len(table)))
        shards = list(_shards(table, rows))
        for number, shard in enumerate(shards):
            path = folder / f"{split}-{number:05d}-of-{len(shards):05d}.parquet"
            _write(table, shard, path)
            made.append(path)
    return made


def _shards(table: ImageTable, rows: list[int]) -> Iterator[list[int]]:
    shard: list[int] = []
    size = 0
    for row in rows:
        item = table.item(row)
        size += item.stat().st_size if isinstance(item, Path) else item.nbytes
        shard.append(row)
        if size >= SHARD_BYTES:
            yield shard
            shard, size = [], 0
    if shard:
        yield shard


def _write(table: ImageTable, rows: list[int], path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {name: _column(table, name) for name in table.targets}
    schema = _schema(table, columns)
    with pq.ParquetWriter(path, schema) as writer:
        for at in range(0, len(rows), GROUP_ROWS):
            some = rows[at : at + GROUP_ROWS]
            held: dict[str, Any] = {IMAGE: [_image(table, row) for row in some]}
            held.update({name: [column.cells[row] for row in some] for name, column in columns.items()})
            if table.groups:
                held[GROUP] = [table.groups[row] for row in some]
            writer.write_table(pa.table(held, schema=schema))
            emit(Progress(f"write {path.name}", at + len(some), len(rows)))


@dataclass(frozen=True)
class _Column:
    """A target as it is stored: the Arrow type by name, the feature of the `datasets` library, a value an image."""

    kind: str
    feature: dict[str, Any]
    cells: Sequence[float | int | str | None]


def _column(table: ImageTable, name: str) -> _Column:
    labels = table.labels[name]
    kind = column_kind(labels)
    if kind == "number":
        numbers = [None if label is None else float(label) for label in labels]
        return _Column("float64", {"dtype": "float64", "_type": "Value"}, numbers)
    if kind == "labels":
        return _Column("string", {"dtype": "string", "_type": "Value"}, labels)
    classes = table.classes(name)
    code = {label: at for at, label in enumerate(classes)}
    codes = [None if label is None else code[label] for label in labels]
    return _Column("int64", {"names": list(classes), "_type": "ClassLabel"}, codes)


def _schema(table: ImageTable, columns: dict[str, _Column]) -> Any:
    import pyarrow as pa

    fields = [pa.field(IMAGE, pa.struct([("bytes", pa.binary()), ("path", pa.string())]))]
    fields += [pa.field(name, pa.type_for_alias(column.kind)) for name, column in columns.items()]
    features: dict[str, Any] = {IMAGE: {"_type": "Image"}}
    features.update({name: column.feature for name, column in columns.items()})
    if table.groups:
        fields.append(pa.field(GROUP, pa.string()))
        features[GROUP] = {"dtype": "string", "_type": "Value"}
    notes = {"huggingface": {"info": {"features": features}}, TARGETS_NOTE: {"targets": list(columns)}}
    return pa.schema(fields, metadata={name: json.dumps(note) for name, note in notes.items()})


def _image(table: ImageTable, row: int) -> dict[str, Any]:
    item = table.item(row)
    name = file_name(table, row)
    if isinstance(item, Path):
        try:
            return {"bytes": item.read_bytes(), "path": name}
        except FileNotFoundError as error:
            raise DataError(f"{clean(table.paths[row])}: no longer there") from error
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(item).save(buffer, "PNG")
    return {"bytes": buffer.getvalue(), "path": name}
