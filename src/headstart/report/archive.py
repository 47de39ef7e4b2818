"""One archive of a study: all that is needed to repeat, check and cite it; no images unless asked.

Equal studies give equal bytes: the files are sorted and carry one date. Paths of the user's machine are shortened
to their last name, and texts that a spreadsheet would run as a formula are quoted.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from headstart.base.errors import DataError, UsageError
from headstart.base.files import plain_name, written_aside
from headstart.base.optional import installed
from headstart.report.archive_images import image_files
from headstart.report.archive_inputs import inputs_of
from headstart.report.archive_tables import (
    crossing_rows,
    csv_text,
    method_rows,
    parquet_bytes,
    run_rows,
    sized_rows,
    split_rows,
)
from headstart.report.archive_wheel import wheel_files
from headstart.report.archive_words import NOT_PACKED, PACKAGES, lock_text, readme, repeat_text
from headstart.report.outputs import FORMATS, PDF, build_outputs
from headstart.report.sources import NUMBERED
from headstart.report.trick_csv import tricks_csv
from headstart.report.without_paths import without_paths
from headstart.study.records import StudyRecord
from headstart.study.trick_effects import trick_tables

COMMENT = b"Headstart archive"
DATE = (1980, 1, 1, 0, 0, 0)
STORED = (".pdf", ".jpg", ".jpeg", ".png", ".webp", ".parquet", ".whl")


@dataclass(frozen=True)
class Archive:
    """What was archived.

    Attributes
    ----------
    path : Path
    files : tuple of str
        Names inside, sorted.
    n_images : int
    left_out : tuple of str
        What is not there, and why.
    """

    path: Path
    files: tuple[str, ...]
    n_images: int
    left_out: tuple[str, ...]


def write_archive(
    record: StudyRecord, path: str | Path, *, images: bool = False, style: str = NUMBERED
) -> Archive:
    """Write a study as one zip file.

    Parameters
    ----------
    record : StudyRecord
        Finished or not.
    path : path
        The file; an older archive of Headstart is replaced.
    images : bool
        Whether the images themselves go in, too.
    style : {"numbered", "alphabetic", "author-date"}
        Of the references.

    Raises
    ------
    DataError
        Another file is in the way.
    UsageError
        Nothing was planned or run yet.
    """
    place = Path(path)
    check_archive(place)
    if not record.planned:
        raise UsageError(
            f"nothing of the study in {record.folder} was planned or run yet, so there is nothing to archive; run its "
            "command again"
        )
    given = inputs_of(record, pictures=images)
    files, left_out = archive_files(record, style=style, pictures=images)
    files["study.toml"] = _toml(given.spec).encode()
    pictures, unread = image_files(record, given.packed) if images else ({}, ())
    files |= pictures | given.files
    left_out += unread + given.left_out
    files["README.md"] = readme(without_paths(record), sorted(files), left_out).encode()
    sums = "".join(f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in sorted(files))
    files["SHA256SUMS"] = sums.encode()
    with written_aside(place) as aside:
        aside.write_bytes(zipped(files))
    return Archive(place, tuple(sorted(files)), len(pictures), left_out)


def check_archive(place: Path) -> None:
    """Refuse to replace anything but an archive of Headstart.

    Raises
    ------
    DataError
    """
    if place.is_dir():
        raise DataError(f"out: {place} is a folder; name a file, e.g. {place / 'study.zip'}")
    if place.exists():
        ours = zipfile.is_zipfile(place)
        if ours:
            with zipfile.ZipFile(place) as old:
                ours = old.comment == COMMENT
        if not ours:
            raise DataError(f"out: {place} is no archive of Headstart and is not replaced; name another file")


def archive_files(
    record: StudyRecord, *, style: str = NUMBERED, pictures: bool = False
) -> tuple[dict[str, bytes], tuple[str, ...]]:
    """Every file but the spec and what it names, by its name, and what is left out."""
    clean = without_paths(record)
    left_out: tuple[str, ...] = ()
    formats: tuple[str, ...] = FORMATS
    if not installed("typst"):
        formats = tuple(name for name in FORMATS if name != PDF)
        left_out = ('paper.pdf: typst is not installed (pip install "headstart[pdf]")',)
    # answers and pictures are read where the study lies; what is written shows none of its paths
    shown = _at(clean, record)
    outputs = build_outputs(shown, formats, style=style, pictures=pictures)
    files = {f"report/{name}": content for name, content in outputs.files.items()}
    runs, own = run_rows(clean), wheel_files()
    if own is None:
        left_out += (f"{NOT_PACKED}: it was never installed as a package where the archive was made",)
    else:
        files[f"{PACKAGES}/{own[0]}"] = zipped(own[1], comment=b"")
    files |= {
        "repeat.sh": repeat_text(packed=own is not None).encode(),
        "requirements.txt": lock_text(clean.versions, f"./{PACKAGES}/{own[0]}" if own else "").encode(),
        "results.csv": csv_text(runs).encode(),
        "results.parquet": parquet_bytes(runs),
        "methods.csv": csv_text(method_rows(shown)).encode(),
    }
    if clean.sized:
        files["images_a_class.csv"] = csv_text(sized_rows(shown)).encode()
        files["crossings.csv"] = csv_text(crossing_rows(shown)).encode()
    if tricks := trick_tables(shown):
        files["tricks.csv"] = tricks_csv(tricks).encode()
    for at, (name, table) in enumerate(clean.tables.items()):
        plain = plain_name(name, ascii_only=True) or f"dataset-{at}"
        files[f"splits/{at}-{plain}.csv"] = csv_text(split_rows(table)).encode()
    if not pictures:
        left_out += ("the images: they were not asked for (--images)",)
    return files, left_out


def _at(clean: StudyRecord, record: StudyRecord) -> StudyRecord:
    """The record without paths in its texts, which still finds its store and its images."""
    tables = {name: replace(table, root=record.tables[name].root) for name, table in clean.tables.items()}
    return replace(clean, folder=record.folder, tables=tables)


def _toml(spec: dict[str, Any]) -> str:
    import tomli_w

    plain = json.loads(json.dumps({name: value for name, value in spec.items() if value is not None}))
    return tomli_w.dumps(plain)


def zipped(files: dict[str, bytes], comment: bytes = COMMENT) -> bytes:
    """The files as a zip whose bytes depend on nothing else."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        made.comment = comment
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, DATE)
            entry.create_system = 3
            entry.external_attr = (0o100755 if name.endswith(".sh") else 0o100644) << 16
            entry.compress_type = zipfile.ZIP_STORED if name.endswith(STORED) else zipfile.ZIP_DEFLATED
            made.writestr(entry, files[name], compresslevel=6)
    return buffer.getvalue()
