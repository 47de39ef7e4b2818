"""A report is written where it would say something new: a finished study that is read again keeps the one it has.

The file's last line names what it was made from and what it holds; where either differs it is written anew.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from pathlib import Path

from headstart.base.files import write_text
from headstart.base.hashing import digest_bytes
from headstart.study.records import StudyRecord
from headstart.study.rows import plain


def keep_report(record: StudyRecord, path: str | Path) -> Path:
    """Write the report of a study, unless the file there is the one that this record gives.

    Parameters
    ----------
    record : StudyRecord
    path : path
        Where the file goes; one that was changed, or is of another record, is replaced whole.

    Returns
    -------
    Path
        The file.
    """
    place, key = Path(path), record_key(record)
    if _is_of(place, key):
        return place
    from headstart.report.answers import load_answers
    from headstart.report.build import build_document
    from headstart.report.html import render

    text = render(build_document(record, load_answers(record)))
    return write_text(place, text + _last_line(key, text))


def record_key(record: StudyRecord) -> str:
    """Hash of all that a report shows, and of the code that writes it; the seconds of reading it again left out."""
    tables = [
        [name, table.root, table.digest(), len(table.problems), list(table.splits or ())]
        for name, table in record.tables.items()
    ]
    results = [[each.cell.id, each.status, each.error, each.seconds] for each in record.results]
    rows = [
        [each.dataset, each.method, each.per_class, each.status]
        for each in (*record.summaries, *record.sized)
    ]
    others = [
        record.command, record.spec, record.targets, record.best, record.best_retrieval, record.warnings,
        record.machine, record.versions, record.n_planned, record.audits, record.advised, list(record.networks),
        record.unadvised, record.engines, [each.method for each in record.cut], record.tricks, sorted(record.maps),
        record.divided, record.digests,
    ]  # fmt: skip
    text = json.dumps(plain([_code(), tables, results, rows, others]), sort_keys=True)
    return digest_bytes(text.encode())  # ASCII, whatever the names of files hold


def _is_of(place: Path, key: str) -> bool:
    try:
        text = place.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False
    body, found, _ = text.rpartition("<!-- of ")
    return bool(found) and text == body + _last_line(key, body)


def _last_line(key: str, body: str) -> str:
    return f"<!-- of {key} {digest_bytes(body.encode())} -->\n"


@cache
def _code() -> str:
    """Hash of the modules and templates of this package."""
    home = files("headstart.report")
    parts = [home, home.joinpath("sections"), home.joinpath("templates")]
    names = sorted(
        (str(at), each.name, each)
        for at, part in enumerate(parts)
        for each in part.iterdir()
        if each.is_file()
    )
    return digest_bytes(*(each.read_bytes() for _, _, each in names))
