"""From what was typed to image tables and image files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.base.events import Notice, emit
from headstart.cli.declared import DataOptions

if TYPE_CHECKING:
    from headstart.images.table import ImageTable


def open_table(data: str, options: DataOptions) -> ImageTable:
    """The image table of a source; unusable files are told."""
    return _told(scanned(data, options))


def open_on_target(data: str, options: DataOptions) -> ImageTable:
    """As `scanned_on_target`; unusable files are told."""
    return _told(scanned_on_target(data, options))


def scanned(data: str, options: DataOptions) -> ImageTable:
    """The image table of a source; unusable files are among its problems."""
    from headstart.images.scan import scan

    return scan(data, label_columns=options.label_columns, **_columns(options))


def scanned_on_target(data: str, options: DataOptions) -> ImageTable:
    """As `scanned`; what is named as a target is a label column, whatever it looks like."""
    from headstart.images.scan_targets import scan_targets

    if not options.target:
        return scanned(data, options)
    return scan_targets(data, options.target, label_columns=options.label_columns, **_columns(options))[0]


def open_targets(data: str, options: DataOptions) -> tuple[ImageTable, tuple[str, ...]]:
    """The image table of a source and the label columns that `target` names, with commas; see `scan_targets`.

    Raises
    ------
    UnknownName
        No such column.
    """
    from headstart.images.scan_targets import scan_targets

    table, targets = scan_targets(
        data, options.target, label_columns=options.label_columns, **_columns(options)
    )
    return _told(table), targets


def _columns(options: DataOptions) -> dict[str, Any]:
    return {
        "path_column": options.path_column or None,
        "image_root": options.image_root or None,
        "group_column": options.group_column or None,
        "split_column": options.split_column or None,
        "on_bad": options.on_bad,
    }


def _told(table: ImageTable) -> ImageTable:
    from headstart.images.collect import told

    if table.problems:
        emit(Notice(f"{table.name}: left out {told(table.problems)}", "warning"))
    return table


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
