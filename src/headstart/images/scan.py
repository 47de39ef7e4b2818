"""From any source of images to an image table: `scan` finds out what the source is.

A folder of class folders, with or without train/, validation/, test/; images with a ground-truth file, with
metadata.jsonl or with COCO annotations; Parquet files with images inside; a packaged set by name; benchmark files as
they are distributed; `hf:OWNER/NAME`. Nothing is silently dropped: what cannot be used is in `problems`, with its
reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path

from headstart.base.errors import BadOptions, DataError, UnknownName
from headstart.base.events import Notice, emit
from headstart.images.benchmark import Benchmark, benchmark_files, scan_benchmark
from headstart.images.collect import SPLIT_NAMES, check_on_bad, clean, finished, is_system, subfolders
from headstart.images.columns import NoColumns
from headstart.images.hub_parquet import holds_images
from headstart.images.packaged import DATASETS
from headstart.images.scan_coco import TARGET, coco_files, scan_coco
from headstart.images.scan_folder import scan_folder
from headstart.images.scan_metadata import LINES, metadata_files, scan_metadata
from headstart.images.scan_parquet import PARQUET, image_parquet, scan_parquet
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
        A folder; a ground-truth file (.csv, .tsv, .parquet, metadata.jsonl), a COCO file (.json), a Parquet file
        with images inside, a benchmark file; the name of a packaged set (see `packaged.DATASETS`), or
        `hf:OWNER/NAME[@REVISION][:CONFIG]`.
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

        _refuse(wanted, text, but=("label_columns",))
        return finished(_labelled(load_hub(text[len(HUB) :]), wanted), on_bad)
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
    _refuse(wanted, f"the packaged set {name}", but=("label_columns",))
    return _labelled(DATASETS[name].load(), wanted)


def _from_benchmark(place: Path, benchmark: Benchmark, wanted: Wanted, on_bad: str) -> ImageTable:
    _refuse(wanted, f"{place.name} of the format {benchmark.kind}", but=("label_columns",))
    return finished(_labelled(scan_benchmark(place, benchmark), wanted), on_bad)


def _labelled(table: ImageTable, wanted: Wanted) -> ImageTable:
    """The table with the label columns that are wanted, all of its own where none is named."""
    if not wanted.label_columns:
        return table
    labels = {target: table.labels[table.target(target)] for target in wanted.label_columns}
    return replace(table, labels=labels)


def _refuse(wanted: Wanted, what: str, *, but: Sequence[str] = ()) -> None:
    """Name what was asked of a source that has no such columns or paths.

    Raises
    ------
    BadOptions
    """
    named = [field.name for field in fields(wanted) if getattr(wanted, field.name) not in (None, ())]
    if odd := [name for name in named if name not in but]:
        raise BadOptions([f"{name}: {what} has nothing that it could name; leave it out" for name in odd])


def _from_file(path: Path, wanted: Wanted, on_bad: str) -> ImageTable:
    ending = path.suffix.lower()
    if ending == PARQUET and holds_images(path):
        return scan_parquet({path: None}, wanted, name=path.stem, on_bad=on_bad)
    if ending in TABLE_EXTENSIONS:
        return scan_table({path: None}, wanted, on_bad=on_bad, name=path.stem, all_images=False)
    if ending == LINES:
        return scan_metadata(path.parent, {path: None}, wanted, on_bad=on_bad)
    if ending == ".json":
        _check_coco(path, wanted)
        return scan_coco({path: None}, wanted.image_root, on_bad=on_bad)
    if benchmark := benchmark_files(path):
        return _from_benchmark(path, benchmark, wanted, on_bad)
    raise DataError(
        f"{path}: not a source of images; expected a folder, a .csv, .tsv or .parquet file, metadata.jsonl, COCO "
        "annotations (.json), IDX, CIFAR binary or .npz files, a packaged set or hf:OWNER/NAME"
    )


def _from_folder(folder: Path, wanted: Wanted, on_bad: str) -> ImageTable:
    told = wanted != Wanted()
    if images := image_parquet(folder):
        return scan_parquet(images, wanted, name=folder.name, on_bad=on_bad)
    if metadata := metadata_files(folder):
        try:
            return scan_metadata(folder, metadata, wanted, on_bad=on_bad)
        except NoColumns as error:
            _tell_or_raise(error, folder, told=told)
            return scan_folder(folder, on_bad=on_bad)
    tables = sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in TABLE_EXTENSIONS and path.is_file() and not is_system(path.name)
    )
    if tables and (files := _by_split(tables, folder)):
        try:
            return scan_table(files, wanted, on_bad=on_bad, name=folder.name, all_images=True)
        except NoColumns as error:
            _tell_or_raise(error, folder, told=told)
    if coco := coco_files(folder):
        _check_coco(folder, wanted)
        emit(Notice(f"labels from {', '.join(clean(path.name) for path in coco)} (COCO)"))
        return scan_coco(coco, wanted.image_root, on_bad=on_bad, name=folder.name)
    if benchmark := None if tables else benchmark_files(folder):
        return _from_benchmark(folder, benchmark, wanted, on_bad)
    _refuse(
        wanted, f"{folder}, a folder of images without one table of labels (CSV, TSV, Parquet, metadata),"
    )
    return scan_folder(folder, on_bad=on_bad)


def _tell_or_raise(error: NoColumns, folder: Path, *, told: bool) -> None:
    """A table that labels no image matters where columns were named, or where there are no class folders."""
    if told or not subfolders(folder):
        raise error
    emit(Notice(f"{error}; class folders are used instead"))


def _check_coco(place: Path, wanted: Wanted) -> None:
    """COCO files have one label column and no others to be named."""
    odd = [name for name in wanted.label_columns if name != TARGET]
    if odd:
        raise UnknownName("column", odd[0], (TARGET,), f"in {place.name}, whose annotations are COCO's")
    _refuse(wanted, f"{place.name}, whose annotations are COCO's,", but=("label_columns", "image_root"))


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
