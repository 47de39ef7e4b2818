"""Other test images beside the test split: a second folder (another camera, another month), corrupted test images.

They are extracted once a backbone and serve every layer and head. A fit reads them after its test split, and they
choose nothing. Of corrupted images each has its clean self among the test images of its own split, whatever other
splits a study draws: the drop is paired, and asking for more seeds leaves earlier runs as they are.
"""

from __future__ import annotations

import base64
import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.base.errors import DataError, HeadstartError
from headstart.base.events import warn
from headstart.base.hashing import digest_json
from headstart.images.augment.corruptions import (
    SEVERITIES,
    VERSION,
    CorruptedItems,
    condition,
    corrupted_digest,
    find_corruptions,
)
from headstart.images.table import ImageTable
from headstart.measure.values import Score
from headstart.study.partition import Dataset, Fold, Partition, Rows
from headstart.study.records import ShiftResult
from headstart.study.sources import FeatureKey, Source
from headstart.study.spec import StudySpec
from headstart.study.spec_folders import shifted_folders

if TYPE_CHECKING:
    import numpy as np

FOLDER, CORRUPTED = "folder", "corruptions"
Predict = Callable[[Any], "np.ndarray"]
"""Features or images to class numbers of the dataset."""


@dataclass(frozen=True, eq=False)
class CorruptedTable(ImageTable):
    """Images under corruptions as a table: row `at` is image `at % n` under condition `at // n`."""

    plain: ImageTable | None = None
    conditions: tuple[tuple[str, int], ...] = ()

    def item(self, row: int) -> np.ndarray:
        """The image, made now."""
        made: np.ndarray = self.items()[row]
        return made

    def items(self) -> Any:
        """Every image, each made when it is asked for."""
        assert self.plain is not None
        return CorruptedItems(self.plain.items(), self.plain.digests, self.conditions)


@dataclass(frozen=True, eq=False)
class Shift:
    """Other test images of one dataset.

    Attributes
    ----------
    kind : {"folder", "corruptions"}
    source : Source
        Their images, and features while the study runs.
    conditions : tuple of str
        "" for a folder, "jpeg/3" ... for corruptions; as many blocks of rows as conditions.
    rows : tuple of int
        Corruptions: the row of the dataset's table behind each image of a block. Empty for a folder.
    """

    kind: str
    source: Source
    conditions: tuple[str, ...]
    rows: tuple[int, ...] = ()

    @property
    def digest(self) -> str:
        """What decides the figures."""
        return digest_json([self.kind, self.source.digest, list(self.conditions)])

    @property
    def n(self) -> int:
        """Images of one condition, unreadable ones too."""
        return len(self.source.table) // len(self.conditions)

    def good(self) -> list[int]:
        """Images of a condition that can be read."""
        return [
            at for at, path in enumerate(self.source.table.paths[: self.n]) if path not in self.source.bad
        ]


@dataclass(frozen=True, eq=False)
class Shifts:
    """Other test images of one dataset, for each of its partitions; partitions with the same ones share them."""

    by_partition: tuple[tuple[Shift, ...], ...] = ((),)

    def of(self, data: Dataset, seed: int | None) -> tuple[Shift, ...]:
        """Those that the runs of a seed are tested on."""
        return self.by_partition[data.number(seed)]

    def digest(self, data: Dataset, seed: int | None) -> str:
        """Part of a cell's id; "" where there are no other test images."""
        own = self.of(data, seed)
        return digest_json([shift.digest for shift in own]) if own else ""

    def every(self) -> tuple[Shift, ...]:
        """Each once, whichever partitions it serves."""
        return tuple(dict.fromkeys(shift for own in self.by_partition for shift in own))

    @property
    def n(self) -> int:
        """Images in all, under every condition."""
        return sum(len(shift.source.table) for shift in self.every())

    @property
    def n_a_run(self) -> int:
        """Images that one run reads, under every condition; of the first partition."""
        return sum(len(shift.source.table) for shift in self.by_partition[0])


def shifts_of(spec: StudySpec, data: Dataset, at: int, scan: Callable[[str], ImageTable]) -> Shifts:
    """The other test images that a spec asks for of its dataset number `at`.

    Parameters
    ----------
    spec : StudySpec
    data : Dataset
    at : int
    scan : callable
        A folder to its table.

    Raises
    ------
    DataError
        A folder that cannot be read, has no labels, or a class that the dataset lacks.
    """
    folder = shifted_folders(spec.data, spec.shifted).get(at)
    same = (_folder(data, folder, scan),) if folder else ()
    names = find_corruptions(spec.corruptions)
    if not names:
        return Shifts((same,) * len(data.partitions))
    samples = [_sampled(data, partition, spec.corruption_images) for partition in data.partitions]
    made = {rows: _corrupted(data, names, rows) for rows in dict.fromkeys(samples)}
    return Shifts(tuple((*same, made[rows]) for rows in samples))


def check_folder(table: ImageTable, data_classes: Sequence[str], target: str, name: str) -> str:
    """The label column of a second test folder; its classes are those of the dataset or some of them.

    Raises
    ------
    DataError
        With every class that the dataset lacks and the nearest that it has.
    UnknownName
        It has several label columns, and none of them is the target.
    """
    column = table.target(target if len(table.labels) > 1 else None)
    unknown = [label for label in table.classes(column) if label not in data_classes]
    if unknown:
        near = {label: difflib.get_close_matches(label, data_classes, n=1) for label in unknown[:5]}
        named = [
            f"{label!r}{f' (did you mean {each[0]!r}?)' if each else ''}" for label, each in near.items()
        ]
        more = f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
        raise DataError(
            f"shifted: {table.name} has {len(unknown)} class(es) that {name} has not: {', '.join(named)}{more}; "
            f"expected some of {', '.join(map(repr, list(data_classes)[:12]))}: rename the folders or leave them out"
        )
    return column


def _folder(data: Dataset, folder: str, scan: Callable[[str], ImageTable]) -> Shift:
    try:
        table = scan(folder)
        column = check_folder(table, data.classes(), data.target, data.table.name)
    except HeadstartError as error:
        said = str(error)
        raise DataError(said if said.startswith("shifted:") else f"shifted: {said}") from error
    if table.has_split("test"):
        table = table.select(table.rows("test"))
    known = set(data.table.digests)
    rows = [
        row
        for row, label in enumerate(table.labels[column])
        if label is not None and table.digests[row] not in known
    ]
    if len(rows) < len(table):
        warn(
            f"{table.name}: {len(table) - len(rows)} images without a label, or that stand in {data.table.name} too, "
            "are left out of the second test folder"
        )
    if not rows:
        raise DataError(f"shifted: {folder} holds no labelled image that is not in {data.table.name} too")
    labels = {data.target: table.labels[column]}
    whole = replace(table, name=f"{data.table.name} shifted: {Path(folder).name}", labels=labels, splits=None)
    kept = whole.select(rows)
    return Shift(FOLDER, Source(kept, data.target, kept.digest(), kind=FOLDER), ("",))


def _corrupted(data: Dataset, names: Sequence[str], rows: Rows) -> Shift:
    plain = data.table.select(rows)
    pairs = tuple((name, severity) for name in names for severity in SEVERITIES)
    table = CorruptedTable(
        name=f"{data.table.name} corrupted",
        root="",
        paths=tuple(f"{condition(*pair)}/{path}" for pair in pairs for path in plain.paths),
        digests=tuple(corrupted_digest(digest, *pair) for pair in pairs for digest in plain.digests),
        labels={data.target: plain.labels[data.target] * len(pairs)},
        plain=plain,
        conditions=pairs,
    )
    digest = digest_json([VERSION, list(names), plain.digest()])
    conditions = tuple(condition(*pair) for pair in pairs)
    return Shift(CORRUPTED, Source(table, data.target, digest, kind=CORRUPTED), conditions, rows)


def _sampled(data: Dataset, partition: Partition, most: int) -> Rows:
    """Test rows of a partition, by content: as good as by lot.

    They are `most` of what a seed draws, however many seeds are drawn, and a share of `most` of a fold that the source
    gives.
    """
    share = max(1, most // len(data.partitions)) if data.by_fold else most
    ordered = sorted(partition.test_rows, key=lambda row: (data.table.digests[row], data.table.paths[row]))
    return tuple(sorted(ordered[:share]))


def measured_shift(
    shift: Shift,
    data: Dataset,
    folds: Sequence[Fold],
    said: Sequence[np.ndarray],
    clean: np.ndarray,
    score: Score,
) -> ShiftResult:
    """What one run did on other test images.

    Parameters
    ----------
    shift : Shift
    data : Dataset
    folds : sequence of Fold
    said : sequence of ndarray of int, shape (n_conditions, n)
        Class numbers that the model of each fold named, for the readable images of each condition.
    clean : ndarray of bool, shape (n_rows of the table,)
        Whether each test image was right without a change.
    score : Score
        Accuracy on the test split.
    """
    import numpy as np

    number = {name: code for code, name in enumerate(data.classes())}
    labels = shift.source.table.labels[data.target]
    truth = np.array([number[str(labels[at])] for at in shift.good()])
    right = np.stack([each == truth for each in said])
    if shift.kind == FOLDER:
        return _on_folder(shift, right[:, 0], score)
    rows = np.array(shift.rows)
    own = [np.isin(rows, np.array(fold.test, dtype=int)) for fold in folds]
    together = np.concatenate([right[at][:, mask] for at, mask in enumerate(own)], axis=1)
    before = np.concatenate([clean[rows[mask]] for mask in own])
    return _on_corrupted(shift, together, before)


def _on_folder(shift: Shift, right: np.ndarray, score: Score) -> ShiftResult:
    """Mean over folds of the right answers, with Wilson's interval of one set of images."""
    from headstart.measure.intervals import wilson
    from headstart.measure.shift import unpaired_drop

    n = right.shape[1]
    share = float(right.mean())
    accuracy = Score(share, *wilson(round(share * n), n), n)
    drop = unpaired_drop(score, accuracy)
    return ShiftResult(
        FOLDER, shift.source.table.name, n, accuracy, drop, score.value, {}, packed(right.sum(axis=0))
    )


def _on_corrupted(shift: Shift, right: np.ndarray, before: np.ndarray) -> ShiftResult:
    from headstart.measure.shift import mean_share, paired_drop

    shares = right.mean(axis=0)
    by = {name: float(line.mean()) for name, line in zip(shift.conditions, right, strict=True)}
    drop = paired_drop(before.astype(float), shares)
    name = shift.source.table.name
    counts = packed(right.sum(axis=0))
    return ShiftResult(
        CORRUPTED, name, len(shares), mean_share(shares), drop, float(before.mean()), by, counts
    )


def packed(counts: np.ndarray) -> str:
    """Whole numbers below 65,536 as text."""
    return base64.b64encode(counts.astype("<u2").tobytes()).decode()


def unpacked(text: str) -> np.ndarray:
    """What `packed` made of an array.

    Examples
    --------
    >>> import numpy as np
    >>> unpacked(packed(np.array([3, 0, 60]))).tolist()
    [3, 0, 60]
    """
    import numpy as np

    return np.frombuffer(base64.b64decode(text), dtype="<u2")


def block_of(shift: Shift, key: FeatureKey) -> np.ndarray:
    """Features of the readable images of a shift at a place, shape (n_conditions, n, d)."""
    found = shift.source.features[key].reshape(len(shift.conditions), shift.n, -1)
    good = shift.good()
    return found if len(good) == shift.n else found[:, good]
