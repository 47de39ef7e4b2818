"""Every mistake of a study at once, of whatever kind: options, names, networks, engines, images, second test folders."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from headstart.base.errors import BadOptions, HeadstartError, UnknownName, UsageError
from headstart.base.events import unheard
from headstart.images.scan import HUB
from headstart.images.table_file import TABLE_EXTENSIONS, read_table_file
from headstart.images.whereabouts import Whereabouts
from headstart.study.given_folds import no_table
from headstart.study.resolve import Variant, resolve
from headstart.study.shifted import check_folder
from headstart.study.sources import Source, scan_shifted, scan_sources
from headstart.study.spec import StudySpec
from headstart.study.spec_folders import shifted_folders
from headstart.study.spec_values import with_mistakes

MOST_FILES = 2000
PATH_COLUMN, SEVERAL = "path_column", ("label_columns", "target")
COLUMNS = (PATH_COLUMN, "group_column", "split_column", "fold_column", *SEVERAL)
"""Options that name columns of a table file."""


def check_study(spec: StudySpec, unread: Sequence[str] = ()) -> tuple[Variant, ...]:
    """The networks of a spec in which nothing is wrong.

    Parameters
    ----------
    spec : StudySpec
        Of the options that could be read.
    unread : sequence of str
        A sentence on each option that could not.

    Raises
    ------
    BadOptions
        Every mistake of the spec. Where there is one the images are looked at too, so that a folder that is not
        there or a column that it lacks is told with it.
    """
    found: Sequence[str] = ()
    variants: tuple[Variant, ...] = ()
    try:
        variants = resolve(spec)
    except BadOptions as error:
        found = error.mistakes
    if unread or found:
        raise BadOptions(with_mistakes(unread, [*found, *mistakes_of_images(spec)]))
    return variants


def refused(spec: StudySpec, error: HeadstartError) -> HeadstartError:
    """The error that images of a study gave, or, where more is wrong with them, one that tells all of it."""
    found = mistakes_of_images(spec)
    if not all(map(_is_looked_at, spec.data)) and not any(str(error) in line for line in found):
        found = [*(error.mistakes if isinstance(error, BadOptions) else [f"data: {error}"]), *found]
    return error if len(found) < 2 else BadOptions(found)


def mistakes_of_images(spec: StudySpec) -> list[str]:
    """What is wrong with each source of images and with each second test folder, under the name of its option.

    Sets of Hugging Face are not fetched for it, and of a folder of more than 2,000 files nothing is read: a mistyped
    option is told at once.
    """
    wrong: list[str] = []
    sources: dict[int, Source] = {}
    folders: dict[int, str] = {}
    with suppress(BadOptions):  # told with the options
        folders = shifted_folders(spec.data, spec.shifted)
    with unheard():
        for at, given in enumerate(spec.data):
            if not _is_looked_at(given):
                continue
            found, source = _looked_at(given, spec)
            wrong += found
            if source is not None:
                sources[at] = source
        for at, folder in folders.items():
            wrong += _of_shifted(folder, sources.get(at), spec)
    return list(dict.fromkeys(wrong))


def _looked_at(given: str, spec: StudySpec) -> tuple[list[str], Source | None]:
    """What is wrong with a source, and the source where nothing is."""
    columns = _missing_columns(given, spec)
    wrong = list(columns.values())
    # what else is wrong shows without the columns that it lacks
    left: dict[str, Any] = {name: () if name in SEVERAL else "" for name in columns}
    try:
        (source,) = scan_sources(replace(spec, data=(given,), **left))
    except BadOptions as error:
        wrong += error.mistakes
    except HeadstartError as error:
        # without its own column of paths nothing else can be said of the rows
        wrong += [] if PATH_COLUMN in columns else [f"data: {error}"]
    else:
        return wrong, None if wrong else source
    return wrong, None


def _missing_columns(given: str, spec: StudySpec) -> dict[str, str]:
    """Options that name columns which a table file has not, each with a sentence on it."""
    path = Path(given).expanduser()
    if path.is_dir() and spec.fold_column:
        return {"fold_column": no_table(given)}
    if path.suffix.lower() not in TABLE_EXTENSIONS or not path.is_file():
        return {}
    try:
        known = read_table_file(path, Whereabouts(path.parent.absolute(), [])).columns
    except HeadstartError:  # told where it is scanned
        return {}
    named: dict[str, Sequence[str]] = {
        option: value if option in SEVERAL else (value,)
        for option in COLUMNS
        if (value := getattr(spec, option))
    }
    wrong: dict[str, str] = {}
    for option, names in named.items():
        if lacking := [name for name in names if name not in known]:
            said = "; ".join(str(UnknownName("column", name, known, f"in {path.name}")) for name in lacking)
            wrong[option] = f"{option}: {said}"
    return wrong


def _of_shifted(folder: str, source: Source | None, spec: StudySpec) -> list[str]:
    """What is wrong with a second test folder; its classes are held against the images only where these can be read."""
    if not _is_looked_at(folder):
        return []
    try:
        table = scan_shifted(folder, spec if source is not None else replace(spec, target=()))
        if source is not None and not source.outputs:
            check_folder(table, source.table.classes(source.target), source.target, source.table.name)
    except UsageError as error:
        said = str(error)
        return [said if said.startswith("shifted:") else f"shifted: {said}"]
    return []


def _is_looked_at(given: str) -> bool:
    """Whether a source is scanned to find mistakes: not where that may take longer than a user waits for them."""
    if not given or given.startswith(HUB):
        return False
    folder = Path(given)
    return not folder.is_dir() or sum(1 for _ in islice(folder.rglob("*"), MOST_FILES + 1)) <= MOST_FILES
