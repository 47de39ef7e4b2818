"""Parquet files with the images inside, as the Hugging Face `datasets` library writes and reads them.

A column `image` of {bytes, path}, an integer column a target, whose class names stand in the schema's `huggingface`
note, and a column `group` of text where there are groups. Files hold at most about 500 MB, and row groups are small,
so that readers need little memory.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from headstart.base.errors import DataError
from headstart.base.events import Progress, emit
from headstart.images.collect import clean
from headstart.images.file_names import file_name
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

    schema = _schema(table)
    codes = {name: {label: at for at, label in enumerate(table.classes(name))} for name in table.targets}
    with pq.ParquetWriter(path, schema) as writer:
        for at in range(0, len(rows), GROUP_ROWS):
            some = rows[at : at + GROUP_ROWS]
            columns: dict[str, Any] = {IMAGE: [_image(table, row) for row in some]}
            for name in table.targets:
                labels = (table.labels[name][row] for row in some)
                columns[name] = [None if label is None else codes[name][label] for label in labels]
            if table.groups:
                columns[GROUP] = [table.groups[row] for row in some]
            writer.write_table(pa.table(columns, schema=schema))
            emit(Progress(f"write {path.name}", at + len(some), len(rows)))


def _schema(table: ImageTable) -> Any:
    import pyarrow as pa

    fields = [pa.field(IMAGE, pa.struct([("bytes", pa.binary()), ("path", pa.string())]))]
    fields += [pa.field(name, pa.int64()) for name in table.targets]
    features: dict[str, Any] = {IMAGE: {"_type": "Image"}}
    features.update(
        {name: {"names": list(table.classes(name)), "_type": "ClassLabel"} for name in table.targets}
    )
    if table.groups:
        fields.append(pa.field(GROUP, pa.string()))
        features[GROUP] = {"dtype": "string", "_type": "Value"}
    note = json.dumps({"info": {"features": features}})
    return pa.schema(fields, metadata={"huggingface": note})


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
