"""From any source of images to an image table: `scan` finds out what the source is.

A folder of class folders, with or without train/, validation/, test/; a folder of images with a ground-truth
file; a packaged set by name; benchmark files as they are distributed; `hf:OWNER/NAME`. Nothing is silently
dropped: what cannot be used is in `problems`, with its reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from headstart.base.errors import BadOptions, DataError, UnknownName
from headstart.base.events import Notice, emit
from headstart.images.benchmark import benchmark_files, scan_benchmark
from headstart.images.collect import SPLIT_NAMES, check_on_bad, finished, is_system, subfolders
from headstart.images.columns import NoColumns
from headstart.images.packaged import DATASETS
from headstart.images.scan_folder import scan_folder
from headstart.images.scan_table import Wanted, scan_table
from headstart.images.table import ImageTable
from headstart.images.table_file import TABLE_EXTENSIONS

PACKAGED, HUB = "packaged:", "hf:"


def scan(
    source: str | Path,
    *,
    path_column: str | None = None,
    label_columns: Sequence[str] = (),
    image_root: str | Path | None = None,
    group_column: str | None = None,
    split_column: str | None = None,
    on_bad: str = "skip",
) -> ImageTable:
    """The image table of a source.

    Parameters
    ----------
    source : str or Path
        A folder, a ground-truth file (.csv, .tsv, .parquet), a benchmark file, the name of a packaged set
        (see `packaged.DATASETS`), or `hf:OWNER/NAME[@REVISION][:CONFIG]`.
    path_column, label_columns, group_column, split_column : optional
        Columns of the ground-truth file; found by name and content where not given.
    image_root : str or Path, optional
        Folder that the paths in the ground-truth file are relative to; the file's own by default.
    on_bad : {"skip", "fail"}
        Whether unusable files become `problems` or an error.

    Raises
    ------
    DataError
        The source is no such thing, holds no image, or holds a problem while `on_bad` is "fail".
    UnknownName
        No such packaged set or column.

    Examples
    --------
    >>> table = scan("digits")
    >>> len(table), table.targets
    (1797, ('label',))
    """
    check_on_bad(on_bad)
    wanted = Wanted(
        path_column,
        (label_columns,) if isinstance(label_columns, str) else tuple(label_columns),
        None if image_root is None else Path(image_root),
        group_column,
        split_column,
    )
    text = str(source)
    if text.startswith(HUB):
        from headstart.images.hub import load_hub

        return finished(load_hub(text[len(HUB) :]), on_bad)
    place = Path(source).expanduser()
    if (name := _packaged_name(text, place)) is not None:
        return _from_package(name, wanted)
    if place.is_dir():
        return _from_folder(place.absolute(), wanted, on_bad)
    if place.is_file():
        return _from_file(place.absolute(), wanted, on_bad)
    raise UnknownName("file, folder or packaged set", text, DATASETS)


def _packaged_name(text: str, place: Path) -> str | None:
    if text.startswith(PACKAGED):
        return text[len(PACKAGED) :]
    if text not in DATASETS:
        return None
    if place.exists():
        raise DataError(f"{text!r} is a packaged set and a path here; write packaged:{text} or ./{text}")
    return text


def _from_package(name: str, wanted: Wanted) -> ImageTable:
    table = DATASETS[name].load()
    if not wanted.label_columns:
        return table
    return replace(
        table, labels={target: table.labels[table.target(target)] for target in wanted.label_columns}
    )


def _from_file(path: Path, wanted: Wanted, on_bad: str) -> ImageTable:
    if path.suffix.lower() in TABLE_EXTENSIONS:
        return scan_table({path: None}, wanted, on_bad=on_bad, name=path.stem, all_images=False)
    if benchmark := benchmark_files(path):
        return finished(scan_benchmark(path, benchmark), on_bad)
    raise DataError(
        f"{path}: not a source of images; expected a folder, a .csv, .tsv or .parquet file, IDX, CIFAR "
        "binary or .npz files, a packaged set or hf:OWNER/NAME"
    )


def _from_folder(folder: Path, wanted: Wanted, on_bad: str) -> ImageTable:
    tables = sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in TABLE_EXTENSIONS and path.is_file() and not is_system(path.name)
    )
    told = wanted != Wanted()
    if told and not tables:
        raise BadOptions([f"columns were named, but {folder} holds no CSV, TSV or Parquet file"])
    if tables and (files := _by_split(tables, folder)):
        try:
            return scan_table(files, wanted, on_bad=on_bad, name=folder.name, all_images=True)
        except NoColumns as error:
            if told or not subfolders(folder):
                raise
            emit(Notice(f"{error}; class folders are used instead"))
    elif benchmark := benchmark_files(folder):
        return finished(scan_benchmark(folder, benchmark), on_bad)
    return scan_folder(folder, on_bad=on_bad)


def _by_split(tables: list[Path], folder: Path) -> dict[Path, str | None]:
    """Ground-truth files with the splits that their names give; a single file needs no such name."""
    if len(tables) == 1:
        return {tables[0]: None}
    stems = [path.stem.casefold() for path in tables]
    splits = [SPLIT_NAMES.get(stem) for stem in stems]
    if None in splits or len(set(splits)) < len(splits):
        names = ", ".join(path.name for path in tables)
        if subfolders(folder):
            emit(
                Notice(f"{folder.name} holds several tables ({names}); its folders are used, not the tables")
            )
            return {}
        raise DataError(f"{folder} holds several tables ({names}); give the one that labels the images")
    return dict(zip(tables, splits, strict=True))
