"""Folds that a table gives (`headstart split --folds`): one run a fold, tuned on the inner folds it gives, or drawn ones.

The column `fold` names the fold that holds each image out. A column `inner_FOLD` beside it gives, for the images
that the fold FOLD learns from, their inner folds (nested cross-validation).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from headstart.base.errors import DataError, UnknownName
from headstart.base.events import warn
from headstart.base.hashing import digest_json
from headstart.images.table import ImageTable
from headstart.study.partition import Dataset, Fold, Partition, by_content, named_together

if TYPE_CHECKING:
    from headstart.methods.output import Output
    from headstart.study.spec import StudySpec


@dataclass(frozen=True)
class GivenFolds:
    """The fold of each image, and by fold the inner fold of each image that it learns from; by path.

    `inner` is empty where the table gives none.
    """

    column: str
    fold: dict[str, str]
    inner: dict[str, dict[str, str]]


def read_folds(source: str, spec: StudySpec) -> GivenFolds:
    """The folds of a table file.

    Raises
    ------
    DataError
        No table file; fewer than two folds; inner folds of some folds alone.
    UnknownName
        No such column.
    """
    from headstart.images.scan import scan
    from headstart.images.table_file import read_table_file
    from headstart.images.whereabouts import Whereabouts

    path, column = Path(source).expanduser(), spec.fold_column
    if not path.is_file():
        raise DataError(no_table(source))
    names = read_table_file(path, Whereabouts(path.parent.absolute(), [])).columns
    if column not in names:
        raise UnknownName("column", column, names, f"in {path.name}")
    folds = sorted({cell for cell in names[column] if cell is not None}, key=_number)
    if len(folds) < 2:
        raise DataError(
            f"fold_column: {column} of {path.name} has {len(folds)} fold(s); a study needs two or more"
        )
    inner = [f"inner_{fold}" for fold in folds]
    there = [name for name in inner if name in names]
    if there and len(there) < len(inner):
        lacking = ", ".join(name for name in inner if name not in names)
        raise DataError(
            f"fold_column: {path.name} has {', '.join(there)} but not {lacking}; give all or none"
        )
    table = scan(
        source, path_column=spec.path_column or None, label_columns=(column, *there),
        image_root=spec.image_root or None, on_bad="skip",
    )  # fmt: skip
    return GivenFolds(
        column, _column(table, column), {fold: _column(table, f"inner_{fold}") for fold in folds if there}
    )


def no_table(source: str) -> str:
    """That a source has no column of folds, and how it gets one."""
    return f"fold_column: {source} is no table file; write one: headstart split {source} --folds 5 --out folds.csv"


def folded_dataset(
    table: ImageTable, target: str, given: GivenFolds, outputs: Sequence[Output] = ()
) -> Dataset:
    """A dataset with one partition a fold; of several outputs where there are `outputs`, then `target` is not read.

    Raises
    ------
    DataError
        Images without a fold, fewer than two classes, or fewer than two folds among the readable images.
    """
    lacking = [path for path in table.paths if path not in given.fold]
    if lacking:
        raise DataError(
            f"{table.name}: {len(lacking)} images have no fold in {given.column!r} ({', '.join(lacking[:3])}); "
            "fill the column, or leave these rows out"
        )
    _tell_parted(table, given)
    folds = sorted({given.fold[path] for path in table.paths}, key=_number)
    if len(folds) < 2 or (not outputs and len(table.classes(target)) < 2):
        raise DataError(
            f"{table.name}: a study by folds needs two folds and two classes or more among the images"
        )
    partitions = tuple(_partition(table, given, fold) for fold in folds)
    named = named_together(outputs) if outputs else target
    return Dataset(table, named, partitions, False, table.digest(), by_fold=True, outputs=tuple(outputs))


def _partition(table: ImageTable, given: GivenFolds, name: str) -> Partition:
    order = by_content(table)
    train = tuple(row for row in order if given.fold[table.paths[row]] != name)
    test = tuple(row for row in order if given.fold[table.paths[row]] == name)
    inner = _inner(table, given.inner.get(name, {}), train, name)
    told = [[table.digests[row] for row in rows] for rows in (train, test)]
    return Partition((Fold(train, (), test, inner),), digest_json({"fold": told, "inner": list(inner)}), None)


def _inner(table: ImageTable, known: dict[str, str], train: Sequence[int], name: str) -> tuple[int, ...]:
    if not known:
        return ()
    names = [known.get(table.paths[row]) for row in train]
    if None in names:
        raise DataError(
            f"{table.name}: {names.count(None)} images that fold {name} learns from have no inner fold in inner_{name}"
        )
    number = {each: at for at, each in enumerate(sorted({str(each) for each in names}, key=_number))}
    if len(number) < 2:
        raise DataError(
            f"{table.name}: inner_{name} has one inner fold; two or more are needed to hold any out"
        )
    return tuple(number[str(each)] for each in names)


def _tell_parted(table: ImageTable, given: GivenFolds) -> None:
    """Say where folds part a group or two copies of one image."""
    for what, column in (("groups", table.groups), ("identical images", table.digests)):
        folds: dict[str, set[str]] = {}
        for key, path in zip(column or (), table.paths, strict=False):
            folds.setdefault(key, set()).add(given.fold[path])
        if parted := sum(len(each) > 1 for each in folds.values()):
            warn(f"{table.name}: the given folds part {parted} {what}; scores will be too high")


def _column(table: ImageTable, name: str) -> dict[str, str]:
    return {
        path: label for path, label in zip(table.paths, table.labels[name], strict=True) if label is not None
    }


def _number(name: str) -> tuple[bool, int, str]:
    return (False, int(name), name) if name.isdecimal() else (True, 0, name)
