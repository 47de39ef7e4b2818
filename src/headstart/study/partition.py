"""Which images train, validate and test in each run of a dataset; a seed drives what the source leaves open.

Given train and test splits serve every seed as they are. Without them each seed draws its own split, or its
own folds: then every image is tested once, and the held-out predictions of all folds count as one test.
Rows stand in the order of their content, so that nothing depends on the order of a table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from headstart.base.errors import DataError
from headstart.base.hashing import digest_json
from headstart.images.table import SPLITS, ImageTable

if TYPE_CHECKING:
    import numpy as np

    from headstart.methods.output import Output

Rows = tuple[int, ...]
GIVEN, GIVEN_FOLDS, DRAWN, DRAWN_TEST, DRAWN_FOLDS = (
    "given", "given folds", "drawn", "drawn test", "drawn folds",
)  # fmt: skip


@dataclass(frozen=True)
class Fold:
    """Row numbers of one fit: what it learns from, what tunes it (may be empty), what it is tested on.

    `inner` is the given inner fold of each row that it learns from; empty where the source gives none.
    """

    train: Rows
    validation: Rows
    test: Rows
    inner: Rows = ()


@dataclass(frozen=True)
class Partition:
    """The fits behind one cell: one for a split, k for k folds; `digest` is of content, not row numbers."""

    folds: tuple[Fold, ...]
    digest: str
    splits: tuple[str, ...] | None

    @property
    def has_validation(self) -> bool:
        """Whether a validation split tunes (else inner folds of train do)."""
        return all(fold.validation for fold in self.folds)

    @property
    def test_rows(self) -> Rows:
        """Every tested row, in the order of the folds."""
        return tuple(row for fold in self.folds for row in fold.test)


@dataclass(frozen=True, eq=False)
class Dataset:
    """A labelled table with its partitions: one a seed, or a single one where the source gives the split.

    `given` says that the seed leaves the split alone; `digest` is the content of the table. With `by_fold` the
    source gives folds, and each partition is one of them: a run a fold, which stands in the place of a seed.

    Of several outputs `outputs` says what they are; then `target` names them all, and there are no codes of one class.
    """

    table: ImageTable
    target: str
    partitions: tuple[Partition, ...]
    given: bool
    digest: str
    reduced: dict[tuple[int | None, int], Partition] = field(default_factory=dict)
    by_fold: bool = False
    outputs: tuple[Output, ...] = ()

    @property
    def origin(self) -> str:
        """Where the division comes from: `GIVEN` or `GIVEN_FOLDS` by the source, or drawn by each seed.

        `DRAWN_TEST` is drawn out of the train split of a source that gives no test split.
        """
        if self.by_fold:
            return GIVEN_FOLDS
        if self.given:
            return GIVEN
        if self.partitions[0].splits is None:
            return DRAWN_FOLDS
        return DRAWN_TEST if self.table.has_split("train") else DRAWN

    def n_seeds(self, asked: int) -> int:
        """Runs of a method: the folds that the source gives, or as many as were asked for."""
        return len(self.partitions) if self.by_fold else asked

    def fold_of(self, seed: int | None) -> int:
        """Number (1, 2, ...) of the given fold that a seed stands for; 0 where the source gives none."""
        return (seed or 0) + 1 if self.by_fold else 0

    def number(self, seed: int | None) -> int:
        """Which of `partitions` is that of a seed."""
        return 0 if self.given else seed or 0

    def partition(self, seed: int | None, per_class: int = 0) -> Partition:
        """The partition of a seed; with so many images a class to learn from and none to validate on.

        The images of a smaller number are among those of a larger one (same seed). They are all that a method
        may learn from: what it tunes it tunes on inner folds of them.
        """
        whole = self.partitions[self.number(seed)]
        if not per_class:
            return whole
        if (seed, per_class) not in self.reduced:
            self.reduced[seed, per_class] = _reduced(self, whole, seed or 0, per_class)
        return self.reduced[seed, per_class]

    def most_per_class(self) -> int:
        """Training images of the largest class, in the first fold of the first seed."""
        import numpy as np

        return int(np.bincount(self.codes()[list(self.partitions[0].folds[0].train)]).max())

    def classes(self) -> tuple[str, ...]:
        """Sorted classes of the target; of several outputs a name for each column of their probabilities."""
        if self.outputs:
            return tuple(
                f"{o.name}={level}" if level else o.name for o in self.outputs for level in o.levels or ("",)
            )
        return self.table.classes(self.target)

    def codes(self) -> np.ndarray:
        """Class numbers of the rows, shape (n,)."""
        import numpy as np

        number = {name: code for code, name in enumerate(self.classes())}
        return np.array([number[label] for label in self.table.labels[self.target] if label is not None])


def make_dataset(table: ImageTable, target: str, *, seeds: int, folds: int) -> Dataset:
    """Divide a table (every row labelled) for `seeds` seeds.

    Parameters
    ----------
    table : ImageTable
    target : str
    seeds : int
    folds : int
        0 for one split a seed (the given one where the source has train and test), else the number of folds;
        folds set a given split aside.

    Raises
    ------
    DataError
        Fewer than two classes, or a given split without images to train on.
    """
    classes = table.classes(target)
    if len(classes) < 2:
        raise DataError(
            f"{table.name}: {target!r} has {len(classes)} class{'' if len(classes) == 1 else 'es'} "
            "among the readable images; a study needs two or more"
        )
    return Dataset(table, target, *divided(table, target, seeds=seeds, folds=folds), table.digest())


def divided(table: ImageTable, target: str, *, seeds: int, folds: int) -> tuple[tuple[Partition, ...], bool]:
    """The partitions of a table for `seeds` seeds, and whether the source gives the split; see `make_dataset`."""
    given = not folds and table.has_split("train") and table.has_split("test")
    if folds:
        return tuple(_folded(table, target, folds, seed) for seed in range(seeds)), given
    return tuple(_split(table, target, seed) for seed in range(1 if given else seeds)), given


def _split(table: ImageTable, target: str, seed: int) -> Partition:
    from headstart.images.split import ensure_splits, split_digest

    parted = ensure_splits(table, seed=seed, target=target)
    order = by_content(table)
    train, validation, test = (
        tuple(row for row in order if parted.splits and parted.splits[row] == split) for split in SPLITS
    )
    if not train or not test:
        raise DataError(f"{table.name}: no images to {'test' if train else 'train'} on; give more images")
    return Partition((Fold(train, validation, test),), split_digest(parted), parted.splits)


def _folded(table: ImageTable, target: str, n_folds: int, seed: int) -> Partition:
    from headstart.images.split import k_folds

    order = by_content(table)
    labels = [str(table.labels[target][row]) for row in order]
    groups = None if table.groups is None else [table.groups[row] for row in order]
    pairs = k_folds(labels, n_folds, seed=seed, groups=groups)
    folds = tuple(
        Fold(tuple(order[at] for at in train), (), tuple(order[at] for at in held)) for train, held in pairs
    )
    content = [[table.paths[row] for row in fold.test] for fold in folds]
    return Partition(folds, digest_json({"folds": content}), None)


def _reduced(data: Dataset, whole: Partition, seed: int, per_class: int) -> Partition:
    from headstart.images.split import subsample

    codes, groups, folds = data.codes(), data.table.groups, []
    for number, fold in enumerate(whole.folds):
        parts = None if groups is None else [groups[row] for row in fold.train]
        drawn = subsample(codes[list(fold.train)], per_class, seed=seed + 1000 * number, groups=parts)
        inner = tuple(fold.inner[at] for at in drawn) if fold.inner else ()
        folds.append(Fold(tuple(fold.train[at] for at in drawn), (), fold.test, inner))
    content = [[data.table.paths[row] for row in fold.train] for fold in folds]
    return Partition(tuple(folds), digest_json({"of": whole.digest, "train": content}), None)


def named_together(outputs: Sequence[Output]) -> str:
    """The target of a dataset with several outputs: all their names."""
    return ", ".join(output.name for output in outputs)


def by_content(table: ImageTable) -> list[int]:
    """Row numbers by digest: what is drawn or fitted does not depend on the order of the rows."""
    return sorted(range(len(table)), key=lambda row: (table.digests[row], table.paths[row]))
