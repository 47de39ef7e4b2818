"""Images and labels out of a Parquet file as Hugging Face lays it out: an image is {bytes, path}."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart.base.errors import DataError
from headstart.base.hashing import digest_bytes
from headstart.images.collect import Row, clean
from headstart.images.columns import LABEL_NAMES
from headstart.images.decode import MAX_FILE_BYTES
from headstart.images.table import Problem

MAX_ROW_GROUP_BYTES = 8 << 30
BATCH_ROWS = 64
SUFFIXES = (
    (b"\xff\xd8", ".jpg"),
    (b"\x89PNG", ".png"),
    (b"GIF8", ".gif"),
    (b"BM", ".bmp"),
    (b"RIFF", ".webp"),
)


@dataclass(frozen=True)
class Part:
    """Configuration and split of a Parquet file."""

    config: str
    split: str


@dataclass(frozen=True)
class Written:
    """What one Parquet file held: rows whose images are written, label columns, what could not be used."""

    targets: tuple[str, ...]
    rows: tuple[Row, ...]
    problems: tuple[Problem, ...]


def write_images(path: Path, folder: Path, split: str, seen: Counter[str], *, name: str) -> Written:
    """Write every image of a Parquet file into `folder` under a name made of its content.

    `seen` counts contents over all files of the data set, so that a repeated image gets a name of its own.

    Raises
    ------
    DataError
        Not a Parquet file, or one without a column of images.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows: list[Row] = []
    problems: list[Problem] = []
    try:
        with pq.ParquetFile(path) as file:
            _check_groups(file, name)
            image, targets = _columns(file.schema_arrow, name)
            read = [_reader(file.schema_arrow, target) for target in targets]
            number = 0
            for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=[image, *targets]):
                for record in batch.to_pylist():
                    labels = tuple(look(record[target]) for look, target in zip(read, targets, strict=True))
                    place = f"{split} row {number}"
                    number += 1
                    made = _write_one(record[image], folder, split, seen)
                    if made is None:
                        problems.append(Problem(place, "no image bytes in the Parquet file"))
                    elif targets and all(label is None for label in labels):
                        problems.append(Problem(place, "no label"))
                    else:
                        rows.append(Row(made, labels, split=split))
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"{name}: a Parquet file cannot be read ({' '.join(str(error).split())[:120]})"
        ) from error
    return Written(targets, tuple(rows), tuple(problems))


def _check_groups(file: Any, name: str) -> None:
    for number in range(file.metadata.num_row_groups):
        size = file.metadata.row_group(number).total_byte_size
        if size > MAX_ROW_GROUP_BYTES:
            raise DataError(
                f"{name}: a row group of {size >> 30} GiB, the limit is {MAX_ROW_GROUP_BYTES >> 30} GiB"
            )


def _features(schema: Any) -> dict[str, Any]:
    """The features that the `datasets` library noted in the schema, by column."""
    try:
        noted = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        features = noted["info"]["features"]
    except (ValueError, KeyError, TypeError):
        return {}
    return features if isinstance(features, dict) else {}


def _kind(features: dict[str, Any], column: str) -> str:
    feature = features.get(column)
    return str(feature.get("_type", "")) if isinstance(feature, dict) else ""


def _columns(schema: Any, name: str) -> tuple[str, tuple[str, ...]]:
    import pyarrow as pa

    features = _features(schema)
    images = [field.name for field in schema if _is_image(field.type)]
    images.sort(key=lambda column: (_kind(features, column) != "Image", column not in ("image", "img")))
    if not images:
        raise DataError(f"{name}: no column of images (columns: {', '.join(schema.names)})")
    targets = [column for column in schema.names if _kind(features, column) == "ClassLabel"]
    if not targets:
        plain = [field.name for field in schema if not pa.types.is_nested(field.type)]
        targets = [column for column in plain if column.casefold() in LABEL_NAMES]
    return images[0], tuple(targets)


def _is_image(kind: Any) -> bool:
    import pyarrow as pa

    if not pa.types.is_struct(kind):
        return False
    index = kind.get_field_index("bytes")
    if index < 0:
        return False
    content = kind.field(index).type
    return bool(pa.types.is_binary(content) or pa.types.is_large_binary(content))


def _reader(schema: Any, target: str) -> Callable[[Any], str | None]:
    """How a stored label becomes text: a class number by its name, anything else as it is."""
    feature = _features(schema).get(target)
    names = feature.get("names") if isinstance(feature, dict) else None

    def look(value: Any) -> str | None:
        if value is None or (isinstance(value, int) and not isinstance(value, bool) and value < 0 and names):
            return None
        if isinstance(names, list) and isinstance(value, int) and value < len(names):
            return clean(str(names[value]))
        return clean(str(value))

    return look


def _write_one(cell: Any, folder: Path, split: str, seen: Counter[str]) -> str | None:
    """Write one image; the same content a second time gets a number. None where there are no bytes."""
    data = cell.get("bytes") if isinstance(cell, dict) else None
    if not data or len(data) > MAX_FILE_BYTES:
        return None
    digest = digest_bytes(data)
    seen[digest] += 1
    again = f"-{seen[digest]}" if seen[digest] > 1 else ""
    suffix = next((suffix for magic, suffix in SUFFIXES if data.startswith(magic)), ".tif")
    place = folder / split / digest[:2]
    place.mkdir(parents=True, exist_ok=True)
    (place / f"{digest}{again}{suffix}").write_bytes(data)
    return f"{split}/{digest[:2]}/{digest}{again}{suffix}"
