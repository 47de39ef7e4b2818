"""From what was typed to image tables and image files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.base.errors import BadOptions
from headstart.base.events import Notice, emit
from headstart.cli.declared import DataOptions

if TYPE_CHECKING:
    from headstart.images.table import ImageTable


def open_table(data: str, options: DataOptions) -> ImageTable:
    """The image table of a source; unusable files are told."""
    return _told(scanned(data, options))


def open_on_target(data: str, options: DataOptions, also: Sequence[str] = ()) -> ImageTable:
    """As `scanned_on_target`; unusable files are told."""
    return _told(scanned_on_target(data, options, also))


def scanned(data: str, options: DataOptions) -> ImageTable:
    """The image table of a source; unusable files are among its problems."""
    from headstart.images.scan import scan

    return scan(data, label_columns=options.label_columns, **_columns(options))


def scanned_on_target(data: str, options: DataOptions, also: Sequence[str] = ()) -> ImageTable:
    """As `scanned`; what is named as a target, or `also`, is a label column, whatever it looks like."""
    if not options.target and not also:
        return scanned(data, options)
    return _on_targets(data, options, also)[0]


def open_targets(
    data: str, options: DataOptions, also: Sequence[str] = ()
) -> tuple[ImageTable, tuple[str, ...]]:
    """The image table of a source and the label columns that `target` names, with commas; see `scan_targets`.

    Raises
    ------
    UnknownName
        No such column.
    """
    table, targets = _on_targets(data, options, also)
    return _told(table), targets


def _on_targets(data: str, options: DataOptions, also: Sequence[str]) -> tuple[ImageTable, tuple[str, ...]]:
    from headstart.images.scan_targets import scan_targets

    return scan_targets(
        data, options.target, label_columns=options.label_columns, also=also, **_columns(options)
    )


def spoken_of(entries: Sequence[str]) -> list[str]:
    """The columns of which something is said, of entries COLUMN=VALUE."""
    return list(dict.fromkeys(entry.partition("=")[0].strip() for entry in entries if "=" in entry))


def read_kinds(entries: Sequence[str], table: ImageTable) -> dict[str, str]:
    """What is said of label columns by entries COLUMN=KIND.

    Raises
    ------
    BadOptions
        Every entry that is no such, names no label column, or says what the column does not hold.
    """
    from headstart.images.column_kinds import check_kind
    from headstart.methods.target_words import read_pairs

    found: list[str] = []
    kinds = read_pairs({"kind": entries}, table.targets, found)["kind"]
    for name, kind in kinds.items():
        try:
            check_kind(name, kind, table.labels[name])
        except BadOptions as error:
            found += error.mistakes
    if found:
        raise BadOptions(found)
    return kinds


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
