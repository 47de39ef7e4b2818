"""`headstart archive`: a study as one zip file: spec, packages, results, report, references; no images unless asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import typer

from headstart.base.options import option
from headstart.cli.flags import Json, build, verb
from headstart.cli.report import STYLES
from headstart.cli.screen import shown
from headstart.cli.text import printable, say, say_json

EXAMPLE = """
headstart archive runs/photos --out photos.zip
headstart archive runs/photos --out photos.zip --images
"""


@dataclass(frozen=True, kw_only=True)
class ArchiveOptions:
    """What `archive` takes beside the study."""

    out: str = option("study.zip", "the archive; an older one of Headstart is replaced", metavar="FILE.zip")
    images: bool = option(False, "with the images of the study, and pictures in its report")
    style: str = option("numbered", "how papers are cited", choices=STYLES)


def add_to(app: typer.Typer) -> None:
    """Make `archive` a verb of the app."""
    verb(app, ArchiveOptions, example=EXAMPLE)(archive)


def archive(
    study: Annotated[
        str, typer.Argument(metavar="STUDY", help="Output folder of a study.", show_default=False)
    ],
    json: Json = False,
    **flags: Any,
) -> None:
    """Pack a study into one file: how to repeat it, results as CSV and Parquet, report, slides, references.

    Equal studies give equal archives. Paths of your machine are shortened; names of classes and files stay.
    """
    options = build(ArchiveOptions, flags)
    from headstart.report.archive import write_archive
    from headstart.study.record import load_record

    with shown():
        made = write_archive(load_record(study), options.out, images=options.images, style=options.style)
    if json:
        say_json(
            {
                "study": study,
                "out": str(made.path),
                "bytes": made.path.stat().st_size,
                "files": made.files,
                "n_images": made.n_images,
                "left_out": made.left_out,
            }
        )
        return
    say(printable(f"{made.path}: {len(made.files)} files, {made.path.stat().st_size / 1e6:.1f} MB"))
    for line in made.left_out:
        say(printable(f"left out: {line}"))
