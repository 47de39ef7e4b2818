"""Sources that `scan` does not know: folders with metadata.csv or .jsonl a split, Parquet with images inside, COCO.

Whatever else a source is, `scan` reads it. Paths in files are not trusted: an image must lie inside the folder.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from headstart.base.errors import DataError, UnknownName
from headstart.base.files import folder_written_aside
from headstart.base.hashing import digest_bytes, digest_file
from headstart.base.runtime import cache_folder
from headstart.dataset.read_coco import coco_files, read_coco
from headstart.images.collect import SPLIT_NAMES, Row, build_table, looks_like_image, walk
from headstart.images.columns import LABEL_NAMES
from headstart.images.hub import part_of
from headstart.images.hub_parquet import write_images
from headstart.images.scan import scan
from headstart.images.table import ImageTable, Problem
from headstart.images.table_file import MAX_TABLE_BYTES, read_table_file
from headstart.images.whereabouts import Whereabouts

METADATA = ("metadata.jsonl", "metadata.csv", "metadata.parquet")
NAME = "file_name"
NOT_LABELS = (NAME, "split", "group")
FORMAT = "1"


def read_source(source: str | Path, **columns: Any) -> ImageTable:
    """The image table of any source that `dataset build` takes, a video apart.

    Parameters
    ----------
    source : str or Path
        What `scan` takes; a folder with metadata.csv or metadata.jsonl (in it or in its split folders); Parquet
        files with images inside, one or a folder of them; a COCO file or a folder that holds one a split.
    **columns
        See `scan`; they are about ground-truth files.

    Raises
    ------
    DataError, UnknownName
    """
    on_bad = columns.get("on_bad", "skip")
    place = Path(source).expanduser().absolute()
    if place.is_file() and place.suffix.lower() == ".json":
        return read_coco({place: None}, columns.get("image_root"), on_bad=on_bad)
    if place.is_file() and place.suffix.lower() == ".parquet" and _holds_images(place):
        return _parquet({place: None}, place.stem, on_bad)
    if place.is_dir():
        if files := _metadata(place):
            return _imagefolder(place, files, on_bad, columns.get("label_columns") or ())
        if parquet := _image_parquet(place):
            return _parquet(parquet, place.name, on_bad)
        if coco := coco_files(place):
            return read_coco(coco, columns.get("image_root") or place, on_bad=on_bad, name=place.name)
    return scan(source, **columns)


# ---- metadata beside images, as `datasets` reads them --------------------------------------------------------


def _metadata(folder: Path) -> dict[Path, str | None]:
    """Metadata files with the split that their folder gives; metadata.csv in the folder itself is for `scan`."""
    if (folder / METADATA[0]).is_file():
        return {folder / METADATA[0]: None}
    found: dict[Path, str | None] = {}
    for below in sorted(path for path in folder.iterdir() if path.is_dir()):
        split = SPLIT_NAMES.get(below.name.casefold())
        there = [below / name for name in METADATA if (below / name).is_file()]
        if split is not None and there:
            if len(there) > 1:
                raise DataError(f"{below} holds {there[0].name} and {there[1].name}; leave one")
            found[there[0]] = split
    return found


def _imagefolder(
    root: Path, files: Mapping[Path, str | None], on_bad: str, wanted: Sequence[str]
) -> ImageTable:
    rows: dict[str, Row] = {}
    problems: list[Problem] = []
    targets: tuple[str, ...] | None = None
    listed = [path for path in walk(root, relative_to=root) if looks_like_image(root / path)]
    for file, split in files.items():
        inside = file.parent.relative_to(root).as_posix()
        where = Whereabouts(
            file.parent,
            [p for p in walk(file.parent, relative_to=file.parent) if looks_like_image(file.parent / p)],
        )
        records = _records(file, where)
        names = _label_names(records, file, wanted)
        if targets is not None and names != targets:
            raise DataError(f"{file}: labels {', '.join(names)}, other splits have {', '.join(targets)}")
        targets = names
        for number, record in enumerate(records, 1):
            said = f"{file.name} row {number}"
            found = where.find(str(record.get(NAME) or ""))
            if isinstance(found, Problem):
                problems.append(Problem(str(record.get(NAME)), f"{found.reason} ({said})"))
                continue
            path = found if inside == "." else f"{inside}/{found}"
            labels = tuple(None if record.get(name) is None else str(record[name]) for name in names)
            group = record.get("group")
            part = split or SPLIT_NAMES.get(str(record.get("split") or "").casefold())
            row = Row(path, labels, None if group is None else str(group), part)
            if path in rows and rows[path] != row:
                problems.append(
                    Problem(path, f"named twice with different labels ({said}); the first is used")
                )
                continue
            rows[path] = row
    problems += [Problem(path, "not named in the metadata") for path in listed if path not in rows]
    return build_table(
        root, list(rows.values()), problems, name=root.name, targets=targets or (), on_bad=on_bad
    )


def _records(file: Path, where: Whereabouts) -> list[dict[str, Any]]:
    if file.suffix != ".jsonl":
        columns = read_table_file(file, where).columns
        if NAME not in columns:
            raise DataError(f"{file}: no column {NAME!r}")
        return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    if file.stat().st_size > MAX_TABLE_BYTES:
        raise DataError(f"{file}: a metadata file above {MAX_TABLE_BYTES >> 20} MiB")
    records = []
    try:
        for number, line in enumerate(file.read_text(encoding="utf-8").split("\n"), 1):
            if line.strip():
                record = json.loads(line)
                if not isinstance(record, dict) or NAME not in record:
                    raise DataError(f"{file} line {number}: expected an object with {NAME!r}")
                records.append(record)
    except DataError:
        raise
    except (ValueError, RecursionError) as error:
        raise DataError(f"{file} line {number}: not JSON ({error})") from error
    return records


def _label_names(records: list[dict[str, Any]], file: Path, wanted: Sequence[str]) -> tuple[str, ...]:
    """The wanted columns, else those that are labels by name, else every plain column."""
    keys = list(dict.fromkeys(key for record in records for key in record if key not in NOT_LABELS))
    for name in wanted:
        if name not in keys:
            raise UnknownName("column", name, keys, f"in {file.name}")
    if wanted:
        return tuple(wanted)
    by_name = [
        key for key in keys if key.casefold() in LABEL_NAMES or key.casefold().endswith(("_label", "_class"))
    ]
    plain = [key for key in keys if all(isinstance(record.get(key), str | int | None) for record in records)]
    names = tuple(by_name or plain)
    if not names and keys:
        raise DataError(f"{file}: no column of labels (columns: {', '.join(keys)})")
    return names


# ---- Parquet with images inside ------------------------------------------------------------------------------


def _holds_images(path: Path) -> bool:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        schema = pq.read_schema(path)
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"{path}: not a readable Parquet file ({' '.join(str(error).split())[:120]})"
        ) from error
    return any(
        pa.types.is_struct(field.type) and field.type.get_field_index("bytes") >= 0 for field in schema
    )


def _image_parquet(folder: Path) -> dict[Path, str | None]:
    """Parquet files with images in a folder or in its data/, by the split that their names give."""
    files = sorted([*folder.glob("*.parquet"), *folder.glob("data/*.parquet")])
    return {path: part_of(path.name).split for path in files if _holds_images(path)}


def _parquet(files: Mapping[Path, str | None], name: str, on_bad: str) -> ImageTable:
    """Images are written into the cache once, under names made of their content."""
    content = [digest_file(path) + (split or "") for path, split in files.items()]
    folder = (
        cache_folder()
        / "datasets"
        / "parquet"
        / f"{digest_bytes(*(each.encode() for each in content))}-{FORMAT}"
    )
    if not (folder / "table.json").is_file():
        with folder_written_aside(folder) as aside:
            (aside / "table.json").write_text(
                json.dumps(_unpacked(files, aside / "images")), encoding="utf-8"
            )
    held = json.loads((folder / "table.json").read_text(encoding="utf-8"))
    rows = [Row(row["path"], tuple(row["labels"]), None, row["split"]) for row in held["rows"]]
    problems = [Problem(**problem) for problem in held["problems"]]
    if not held["splits"]:
        rows = [Row(row.path, row.labels) for row in rows]
    return build_table(folder / "images", rows, problems, name=name, targets=held["targets"], on_bad=on_bad)


def _unpacked(files: Mapping[Path, str | None], images: Path) -> dict[str, Any]:
    seen: Counter[str] = Counter()
    rows: list[Row] = []
    problems: list[Problem] = []
    targets: tuple[str, ...] | None = None
    splits = {SPLIT_NAMES.get(split or "") for split in files.values()}
    for path, split in files.items():
        if len(files) > 1 and split not in SPLIT_NAMES:
            raise DataError(f"{path}: no split is called {split!r}; name the files train, validation or test")
        found = write_images(path, images, SPLIT_NAMES.get(split or "", "train"), seen, name=str(path))
        if targets is not None and targets != found.targets:
            raise DataError(f"{path} has labels {', '.join(found.targets)}, others {', '.join(targets)}")
        targets = found.targets
        rows += found.rows
        problems += found.problems
    images.mkdir(parents=True, exist_ok=True)
    return {
        "targets": targets or (),
        "rows": [asdict(row) for row in rows],
        "problems": [asdict(problem) for problem in problems],
        "splits": len(splits) > 1,
    }
