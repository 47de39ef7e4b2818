"""Parquet files with the images inside, one or a folder of shards, as the Hugging Face hub and `datasets` lay them out.

The images are written into the cache once, under names made of their content, so that all else works on files; what
is written and where is told. No path that a file gives is ever a place to write to.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from headstart.base.errors import BadOptions, DataError
from headstart.base.events import Notice, Progress, emit
from headstart.base.files import folder_written_aside
from headstart.base.hashing import digest_bytes, digest_file
from headstart.base.runtime import cache_folder
from headstart.images.collect import SPLIT_NAMES, Row, build_table, clean, is_system
from headstart.images.hub_parquet import holds_images, part_of, size_of, write_images
from headstart.images.scan_table import Wanted
from headstart.images.table import ImageTable, Problem

PARQUET = ".parquet"
DATA_FOLDERS = ("data", "default")
MAX_UNPACKED_BYTES = 50 << 30
SPARE_BYTES = 1 << 30
"""Disk that must stay free beside the images."""
FORMAT = "3"


def image_parquet(folder: Path) -> dict[Path, str | None]:
    """Parquet files with images in a folder, its data/ and its split folders, by the split that their place says.

    Raises
    ------
    DataError
        A Parquet file that cannot be read, or files of several configurations.
    """
    places = [folder, *(folder / name for name in DATA_FOLDERS)]
    places += [place / name for place in places for name in SPLIT_NAMES]
    files = [path for place in places if place.is_dir() for path in sorted(place.glob(f"*{PARQUET}"))]
    found = [path for path in files if not is_system(path.name) and path.is_file() and holds_images(path)]
    parts = {path: part_of(path.relative_to(folder).as_posix()) for path in found}
    if len({part.config for part in parts.values()}) > 1:
        configs = ", ".join(sorted({part.config for part in parts.values()}))
        raise DataError(f"{folder} holds several configurations ({configs}); give the folder of one")
    return {path: part.split for path, part in parts.items()}


def scan_parquet(
    files: Mapping[Path, str | None], wanted: Wanted, *, name: str, on_bad: str = "skip"
) -> ImageTable:
    """The image table of Parquet files with images inside.

    Parameters
    ----------
    files : dict of Path to str or None
        Each with the split that its name gives.
    wanted : Wanted
        Label and group columns; found by type and name where not given.
    name : str
    on_bad : {"skip", "fail"}

    Raises
    ------
    BadOptions
        A path or split column, or a folder of images, was named: the images are inside.
    DataError
        Not readable, too large, or labels that differ between files.
    UnknownName
        A column that was named is absent.
    """
    refused = [
        name for name in ("path_column", "image_root", "split_column") if getattr(wanted, name) is not None
    ]
    if refused:
        raise BadOptions([
            f"{name}: Parquet with images inside takes label and group columns alone" for name in refused
        ])  # fmt: skip
    content = [digest_file(path) + (split or "") for path, split in files.items()]
    content.append(json.dumps([wanted.label_columns, wanted.group_column]))
    digest = digest_bytes(*(each.encode() for each in content))
    folder = cache_folder() / "datasets" / "parquet" / f"{digest}-{FORMAT}"
    if not (folder / "table.json").is_file():
        _check_room(files, folder)
        with folder_written_aside(folder) as aside:
            held = _unpacked(files, aside / "images", wanted)
            (aside / "table.json").write_text(json.dumps(held), encoding="utf-8")
        said = f"{clean(name)}: the {len(held['rows']):,} images inside the Parquet files were written to"
        emit(Notice(f"{said} {folder} (`headstart cache` shows and clears it)"))
    held = json.loads((folder / "table.json").read_text(encoding="utf-8"))
    rows = [Row(row["path"], tuple(row["labels"]), row["group"], row["split"]) for row in held["rows"]]
    problems = [Problem(**problem) for problem in held["problems"]]
    if not held["splits"]:
        rows = [Row(row.path, row.labels, row.group) for row in rows]
    return build_table(folder / "images", rows, problems, name=name, targets=held["targets"], on_bad=on_bad)


def _check_room(files: Mapping[Path, str | None], folder: Path) -> None:
    """Refuse what would not fit, before anything is written."""
    size = sum(size_of(path) for path in files)
    if size > MAX_UNPACKED_BYTES:
        raise DataError(
            f"{next(iter(files)).parent}: images of {size >> 30} GiB, the limit is {MAX_UNPACKED_BYTES >> 30} GiB"
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder.parent).free
    if size + SPARE_BYTES > free:
        raise DataError(
            f"{folder.parent}: the images take {size / 1e9:.1f} GB and {free / 1e9:.1f} GB are free; "
            "make room, or name another cache folder in HEADSTART_CACHE"
        )


def _unpacked(files: Mapping[Path, str | None], images: Path, wanted: Wanted) -> dict[str, Any]:
    seen: Counter[str] = Counter()
    rows: list[Row] = []
    problems: list[Problem] = []
    targets: tuple[str, ...] | None = None
    splits = {SPLIT_NAMES.get(split or "") for split in files.values()}
    for done, (path, split) in enumerate(files.items(), 1):
        if len(files) > 1 and split not in SPLIT_NAMES:
            raise DataError(f"{path}: no split is called {split!r}; name the files train, validation or test")
        found = write_images(
            path, images, SPLIT_NAMES.get(split or "", "train"), seen, name=str(path),
            labels=wanted.label_columns, group=wanted.group_column,
        )  # fmt: skip
        if targets is not None and targets != found.targets:
            raise DataError(f"{path} has labels {', '.join(found.targets)}, others {', '.join(targets)}")
        targets = found.targets
        rows += found.rows
        problems += found.problems
        emit(Progress("images out of Parquet files", done, len(files)))
    images.mkdir(parents=True, exist_ok=True)
    return {
        "targets": targets or (),
        "rows": [asdict(row) for row in rows],
        "problems": [asdict(problem) for problem in problems],
        "splits": len(splits) > 1,
    }
