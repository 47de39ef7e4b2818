"""Images and labels out of a Parquet file as Hugging Face lays it out: an image is {bytes, path} or plain bytes."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart.base.errors import DataError, UnknownName
from headstart.base.hashing import digest_bytes
from headstart.images.collect import SPLIT_NAMES, Row, clean
from headstart.images.columns import GROUP_NAMES, LABEL_NAMES
from headstart.images.decode import MAX_FILE_BYTES
from headstart.images.table import Problem
from headstart.images.table_file import cell_text

TARGETS_NOTE = "headstart"
"""Note in the schema of a file that `headstart dataset build` wrote: which columns are labels."""
MAX_ROW_GROUP_BYTES = 8 << 30
BATCH_ROWS = 64
BYTES_NAMES = ("image", "img", "image_bytes", "img_bytes", "bytes", "jpg", "jpeg", "png")
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


def part_of(path: str) -> Part:
    """Configuration and split that a Parquet file's place in the repository says.

    Examples
    --------
    >>> part_of("data/train-00000-of-00001.parquet")
    Part(config='default', split='train')
    >>> part_of("plain/validation/0000.parquet")
    Part(config='plain', split='validation')
    """
    folders = path.split("/")[:-1]
    stem = path.split("/")[-1].removesuffix(".parquet")
    split = re.split(r"-\d{4,}(?:-of-|$)", stem)[0].casefold()
    if folders and folders[-1].casefold().removeprefix("partial-") in SPLIT_NAMES:
        split = folders.pop().casefold().removeprefix("partial-")
    config = "/".join(folders)
    return Part("default" if config in ("", "data") else config.removeprefix("data/"), split)


def holds_images(path: Path) -> bool:
    """Whether a Parquet file has a column of images.

    Raises
    ------
    DataError
        Not a Parquet file.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return any(_is_image(field.name, field.type) for field in pq.read_schema(path))
    except (pa.ArrowException, OSError) as error:
        raise unreadable(path, error) from error


def size_of(path: Path) -> int:
    """Bytes that the columns of a Parquet file take when unpacked, as its footer says."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        meta = pq.read_metadata(path)
    except (pa.ArrowException, OSError) as error:
        raise unreadable(path, error) from error
    return sum(int(meta.row_group(number).total_byte_size) for number in range(meta.num_row_groups))


def unreadable(path: Path, error: Exception) -> DataError:
    """The error of a file that is no Parquet."""
    return DataError(f"{path}: not a readable Parquet file ({' '.join(str(error).split())[:120]})")


@dataclass(frozen=True)
class Written:
    """What one Parquet file held: rows whose images are written, label columns, what could not be used."""

    targets: tuple[str, ...]
    rows: tuple[Row, ...]
    problems: tuple[Problem, ...]


def write_images(
    path: Path, folder: Path, split: str, seen: Counter[str], *, name: str, labels: Sequence[str] = (),
    group: str | None = None,
) -> Written:  # fmt: skip
    """Write every image of a Parquet file into `folder` under a name made of its content.

    `seen` counts contents over all files of the data set, so that a repeated image gets a name of its own; `labels`
    and `group` are columns, found by type and name where not given.

    Raises
    ------
    DataError
        Not a Parquet file, or one without a column of images.
    UnknownName
        A column that was named is absent.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows: list[Row] = []
    problems: list[Problem] = []
    try:
        with pq.ParquetFile(path) as file:
            _check_groups(file, name)
            image, targets, group = _columns(file.schema_arrow, name, labels, group)
            wanted = dict.fromkeys([image, *targets, *([] if group is None else [group])])
            read = [_reader(file.schema_arrow, target) for target in targets]
            number = 0
            for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=list(wanted)):
                for record in batch.to_pylist():
                    told = tuple(look(record[target]) for look, target in zip(read, targets, strict=True))
                    place = f"{split} row {number}"
                    number += 1
                    made = _write_one(record[image], folder, split, seen)
                    if made is None:
                        problems.append(Problem(place, "no image bytes in the Parquet file"))
                    elif targets and all(label is None for label in told):
                        problems.append(Problem(place, "no label"))
                    else:
                        whole = None if group is None else record[group]
                        rows.append(Row(made, told, None if whole is None else clean(str(whole)), split))
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
        features = _note(schema, "huggingface")["info"]["features"]
    except (KeyError, TypeError):
        return {}
    return features if isinstance(features, dict) else {}


def _noted_targets(schema: Any, plain: Sequence[str]) -> list[str]:
    """The label columns that a file of our own names; [] in any other."""
    note = _note(schema, TARGETS_NOTE)
    said = note.get("targets") if isinstance(note, dict) else None
    if not isinstance(said, list):
        return []
    return [name for name in plain if name in said]


def _note(schema: Any, name: str) -> Any:
    try:
        return json.loads((schema.metadata or {}).get(name.encode(), b"{}"))
    except (ValueError, RecursionError):
        return {}


def _kind(features: dict[str, Any], column: str) -> str:
    feature = features.get(column)
    return str(feature.get("_type", "")) if isinstance(feature, dict) else ""


def _columns(
    schema: Any, name: str, labels: Sequence[str], group: str | None
) -> tuple[str, tuple[str, ...], str | None]:
    """Columns of images, labels and groups."""
    import pyarrow as pa

    features = _features(schema)
    images = [field.name for field in schema if _is_image(field.name, field.type)]
    images.sort(key=lambda column: (_kind(features, column) != "Image", column not in ("image", "img")))
    if not images:
        raise DataError(f"{name}: no column of images (columns: {', '.join(schema.names)})")
    plain = [field.name for field in schema if not pa.types.is_nested(field.type)]
    for each in (*labels, *([] if group is None else [group])):
        if each not in plain:
            raise UnknownName("column", each, plain, f"in {name}")
    known = list(labels) or _noted_targets(schema, plain)
    groups = [column for column in plain if column.casefold() in GROUP_NAMES and column not in known]
    group = group or (groups[0] if groups else None)
    targets = known or [column for column in schema.names if _kind(features, column) == "ClassLabel"]
    targets = targets or [column for column in plain if column.casefold() in LABEL_NAMES]
    return images[0], tuple(column for column in targets if column in labels or column != group), group


def _is_image(name: str, kind: Any) -> bool:
    """{bytes, path}, or plain bytes in a column that is called so."""
    import pyarrow as pa

    if not pa.types.is_struct(kind):
        return name.casefold() in BYTES_NAMES and _is_binary(kind)
    index = kind.get_field_index("bytes")
    return index >= 0 and _is_binary(kind.field(index).type)


def _is_binary(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _reader(schema: Any, target: str) -> Callable[[Any], str | None]:
    """How a stored label becomes text: a class number by its name, anything else as it is."""
    feature = _features(schema).get(target)
    names = feature.get("names") if isinstance(feature, dict) else None

    def look(value: Any) -> str | None:
        if value is None or (isinstance(value, int) and not isinstance(value, bool) and value < 0 and names):
            return None
        if isinstance(names, list) and isinstance(value, int) and value < len(names):
            return clean(str(names[value]))
        text = cell_text(value)
        return None if text is None else clean(text)

    return look


def _write_one(cell: Any, folder: Path, split: str, seen: Counter[str]) -> str | None:
    """Write one image; the same content a second time gets a number. None where there are no bytes."""
    data = cell.get("bytes") if isinstance(cell, dict) else cell
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
