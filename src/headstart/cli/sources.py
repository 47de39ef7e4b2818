"""From what was typed to image tables and image files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from headstart.base.errors import BadOptions, DataError
from headstart.base.events import Notice, emit
from headstart.cli.declared import DataOptions

if TYPE_CHECKING:
    from headstart.images.table import ImageTable


def open_table(data: str, options: DataOptions) -> ImageTable:
    """The image table of a source; unusable files are told."""
    from headstart.images.collect import told

    table = scanned(data, options)
    if table.problems:
        emit(Notice(f"{table.name}: left out {told(table.problems)}", "warning"))
    return table


def scanned(data: str, options: DataOptions) -> ImageTable:
    """The image table of a source; unusable files are among its problems."""
    from headstart.images.scan import scan

    return scan(
        data,
        path_column=options.path_column or None,
        label_columns=options.label_columns,
        image_root=options.image_root or None,
        group_column=options.group_column or None,
        split_column=options.split_column or None,
        on_bad=options.on_bad,
    )


def open_targets(data: str, options: DataOptions) -> tuple[ImageTable, tuple[str, ...]]:
    """The image table of a source and the label columns that `target` names, with commas.

    A column that does not look like one of labels is read as one because it is named.

    Raises
    ------
    UnknownName
        No such column.
    """
    asked = tuple(dict.fromkeys(part.strip() for part in options.target.split(",") if part.strip()))
    try:
        table = open_table(data, options)
    except DataError:
        if not asked or options.label_columns:
            raise
        return open_table(data, replace(options, label_columns=asked)), asked
    if not asked:
        return table, (table.target(None),)
    if options.target in table.labels:
        return table, (options.target,)
    lacking = [name for name in asked if name not in table.labels]
    if lacking and not options.label_columns:
        try:
            table = open_table(data, replace(options, label_columns=asked))
        except BadOptions:  # no table in the source, so no further columns
            table.target(lacking[0])
    return table, tuple(table.target(name) for name in asked)


def image_files(given: list[str]) -> list[Path]:
    """The files, and the images of the folders, in order; other files of a folder are counted aloud."""
    from headstart.images.collect import looks_like_image, walk

    found: list[Path] = []
    for name in given:
        place = Path(name)
        if not place.is_dir():
            found.append(place)
            continue
        inside = [place / path for path in walk(place, relative_to=place)]
        images = [path for path in inside if looks_like_image(path)]
        if len(images) < len(inside) or not images:
            others = len(inside) - len(images)
            emit(Notice(f"{name}: images: {len(images)}; other files, passed over: {others}"))
        found += images
    return found
