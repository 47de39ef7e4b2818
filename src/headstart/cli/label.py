"""`headstart label`: a local page on which one person labels a folder of images, keyboard first."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from headstart.base.errors import BadOptions, DataError
from headstart.base.options import option
from headstart.cli.declared import VectorOptions
from headstart.cli.flags import Json, build, verb
from headstart.cli.screen import shown
from headstart.cli.text import printable, say, say_json

EXAMPLE = """
headstart label photos/ --classes dress,shoes,hat
headstart label photos/
headstart label photos/ --classes-file names.txt --port 8000
"""


@dataclass(frozen=True, kw_only=True)
class LabelOptions(VectorOptions):
    """What `label` takes beside its folder."""

    classes: tuple[str, ...] = option(
        (), "names of the classes; the first ten have a digit key", metavar="NAMES"
    )
    classes_file: str | None = option(
        None, "a text file with one class a line, for many classes or names with commas", metavar="FILE"
    )
    out: str | None = option(
        None, "folder of the labels (default: NAME-labels beside the images)", metavar="DIR"
    )
    port: int = option(0, "port on 127.0.0.1; 0 takes any free one", low=0, high=65535)
    open: bool = option(False, "open the page in the browser")


def add_to(app: typer.Typer) -> None:
    """Make `label` a verb of the app."""
    verb(app, LabelOptions, example=EXAMPLE)(label)


def label(
    folder: Annotated[
        str, typer.Argument(metavar="FOLDER", help="The folder of images to label.", show_default=False)
    ],
    json: Json = False,
    **flags: Any,
) -> None:
    """Label a folder of images on a page of your own: similar images in rows, a suggestion for each, all by keyboard.

    The page is served on this machine alone. Every label is on disk as it is given; the same command goes on
    where it was left. Labels are written as labels.csv, which every command reads.
    """
    options = build(LabelOptions, flags)
    classes = _classes(options)
    from headstart.dataset.session import open_session
    from headstart.features.extractor import FeatureExtractor
    from headstart.web.serve import LocalServer

    names = ("backbone", "layer", "pooling", "engine", "precision", "input_size", "cache_gb")
    extractor = FeatureExtractor(**{name: getattr(options, name) for name in names})
    server = LocalServer(options.port)
    try:
        with shown(), open_session(folder, classes, options.out, extractor=extractor) as session:
            _serve(server, session, options.open)
            facts = session.to_dict()
    finally:
        server.close()
    if json:
        say_json(facts)
        return
    for line in lines(facts):
        say(line)


def _classes(options: LabelOptions) -> tuple[str, ...]:
    if options.classes_file is None:
        return options.classes
    if options.classes:
        raise BadOptions(
            ["classes: come from --classes or from --classes-file, not from both; leave one out"]
        )
    path = Path(options.classes_file).expanduser()
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 at byte {error.start}; save it as UTF-8") from error
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def _serve(server: Any, session: Any, opens: bool) -> None:
    from headstart.web.label import label_app
    from headstart.web.refitter import Refitter

    def ready() -> None:
        sys.stderr.write(
            f"label page: {server.address}\nEvery label is kept at once; Ctrl-C or Finish ends it.\n"
        )
        sys.stderr.flush()
        if opens:
            import webbrowser

            webbrowser.open(server.address)

    with Refitter(session) as refitter:
        server.run(label_app(session, refitter, server.stop), ready)


def lines(facts: dict[str, Any]) -> list[str]:
    """What was labelled, as text."""
    classes = sorted(facts["classes"].items(), key=lambda item: -item[1])
    shown_classes = ", ".join(f"{name} {n:,}" for name, n in classes[:12])
    more = f", and {len(classes) - 12:,} classes more" if len(classes) > 12 else ""
    said = [
        f"labelled: {facts['n_labelled']:,} of {facts['n']:,} images; skipped: {facts['n_skipped']:,}",
        f"classes: {shown_classes}{more}",
        f"labels: {facts['table']}",
        f"use them: headstart study {facts['table']} --image-root {facts['images']}",
    ]
    return [printable(line) for line in said]
