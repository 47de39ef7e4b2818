"""The images of a study for its archive, under names that stay inside it."""

from __future__ import annotations

import io
from collections.abc import Collection
from pathlib import Path, PurePosixPath

import numpy as np

from headstart.images.table import ImageTable
from headstart.report.archive_inputs import image_folders
from headstart.report.wording import count
from headstart.study.records import StudyRecord


def image_files(
    record: StudyRecord, packed: Collection[str] = ()
) -> tuple[dict[str, bytes], tuple[str, ...]]:
    """Every image by its name in the archive, and a sentence on those that cannot be read any more.

    Parameters
    ----------
    record : StudyRecord
    packed : collection of str
        Datasets whose images go in as the files that they came in.
    """
    files: dict[str, bytes] = {}
    left_out: list[str] = []
    folders = image_folders(record)
    for name, table in record.tables.items():
        folder = folders[name]
        if name in packed:
            continue
        if table.pixels is not None:
            out = io.BytesIO()
            np.save(out, np.asarray(table.pixels), allow_pickle=False)
            files[f"{folder}/pixels.npy"] = out.getvalue()
            continue
        missing = 0
        for row in range(len(table)):
            try:
                content = (Path(table.root) / table.paths[row]).read_bytes()
            except (OSError, ValueError):
                missing += 1
                continue
            files[f"{folder}/{inside(table, row)}"] = content
        if missing:
            left_out.append(
                f"{count(missing, 'image')} of {table.name}: no longer readable where the study found them"
            )
    return files, tuple(left_out)


def inside(table: ImageTable, row: int) -> str:
    """The path of an image below its folder; its digest where the path leads elsewhere or is no plain text."""
    path = table.paths[row].replace("\\", "/")
    parts = PurePosixPath(path).parts
    plain = path.isprintable() and not path.startswith("/") and ":" not in path
    if parts and plain and ".." not in parts:
        return str(PurePosixPath(*parts))
    return f"{table.digests[row]}{Path(path).suffix if Path(path).suffix.isalnum() else ''}"
