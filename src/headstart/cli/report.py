"""`headstart report`: a study as HTML, PDF, Markdown, LaTeX tables and slides, with references."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from headstart.base.options import option
from headstart.cli.flags import Json, build, verb
from headstart.cli.screen import shown
from headstart.cli.text import printable, say, say_json

EXAMPLE = """
headstart report runs/photos
headstart report runs/photos --format pdf,slides --style author-date
headstart report runs/photos --format all --out paper/
"""
FORMATS = ("html", "pdf", "markdown", "latex", "slides", "all")
STYLES = ("numbered", "alphabetic", "author-date")


@dataclass(frozen=True, kw_only=True)
class ReportOptions:
    """What `report` takes beside the study."""

    format: tuple[str, ...] = option(("html",), "what to write; pdf needs the extra pdf", choices=FORMATS)
    style: str = option("numbered", "how papers are cited", choices=STYLES)
    out: str | None = option(
        None, "where the files go; a file that you have changed is not replaced (default: STUDY/report)",
        metavar="FOLDER",
    )  # fmt: skip


def add_to(app: typer.Typer) -> None:
    """Make `report` a verb of the app."""
    verb(app, ReportOptions, example=EXAMPLE)(report)


def report(
    study: Annotated[
        str, typer.Argument(metavar="STUDY", help="Output folder of a study.", show_default=False)
    ],
    json: Json = False,
    **flags: Any,
) -> None:
    """Write the report of a study, finished or not, in several formats.

    The paper stands in academic order with references; words that only you can add are marked. The slides take
    15 to 20 minutes and end with a backup.
    """
    options = build(ReportOptions, flags)
    from headstart.report.outputs import build_outputs, write_outputs
    from headstart.study.record import load_record

    folder = Path(options.out) if options.out else Path(study) / "report"
    with shown():
        record = load_record(study)
        outputs = build_outputs(record, options.format, style=options.style)
        written = write_outputs(outputs, folder)
    if json:
        files = {name: str(folder / name) for name in outputs.files}
        say_json(
            {
                "study": study,
                "folder": str(folder),
                "style": options.style,
                "files": files,
                "cited": outputs.cited,
                "minutes": outputs.minutes,
                "n_planned": record.n_planned,
                "n_runs": len(record.results),
            }
        )
        return
    for place in written:
        if place.parent == folder:
            say(printable(place))
    if not record.planned:
        say(
            "nothing of the study was planned or run yet: the report says what was asked; its command goes on"
        )
    elif len(record.results) < record.n_planned:
        say(
            f"the study is not complete: {len(record.results):,} of {record.n_planned:,} planned runs were made"
        )
