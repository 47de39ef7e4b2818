"""The datasets of a spec: scanned, labelled, uniquely named. Every source that cannot be read is reported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.base.errors import DataError, HeadstartError, UnknownName
from headstart.base.events import warn
from headstart.images.table import ImageTable, Problem
from headstart.study.given_folds import GivenFolds, folded_dataset, read_folds
from headstart.study.partition import Dataset, make_dataset
from headstart.study.several import labelled_rows, make_several, outputs_in
from headstart.study.several_spec import several
from headstart.study.spec import StudySpec, n_seeds

if TYPE_CHECKING:
    import numpy as np

    from headstart.methods.output import Output

FeatureKey = tuple[str, int, int, str, str]
"""Backbone, height, width, module, pooling."""


@dataclass
class Source:
    """One dataset while a study runs: what was scanned, what proved unreadable, features so far.

    Attributes
    ----------
    table : ImageTable
        The labelled rows, as scanned.
    target : str
    digest : str
        Content of `table`.
    outputs : tuple of Output
        Where there are several.
    bad : dict of str to Problem
        By path: images that a decoder refused.
    features : dict of FeatureKey to ndarray
        One row for each row of `table`.
    kind : {"data", "folder", "corruptions"}
        What it is: a dataset, or other test images of one.
    calibrations : dict
        By backbone, height and width: the sample that a network of lower precision was calibrated on.
    folds : GivenFolds, optional
        The folds that the table gives, where the spec names their column.
    """

    table: ImageTable
    target: str
    digest: str
    outputs: tuple[Output, ...] = ()
    bad: dict[str, Problem] = field(default_factory=dict)
    features: dict[FeatureKey, np.ndarray] = field(default_factory=dict)
    kind: str = "data"
    calibrations: dict[tuple[str, int, int], Any] = field(default_factory=dict)
    folds: GivenFolds | None = None

    def add_bad(self, problems: Sequence[Problem]) -> bool:
        """Note unreadable images; whether any of them is new."""
        known = len(self.bad)
        self.bad.update({problem.path: problem for problem in problems})
        return len(self.bad) > known

    def dataset(self, spec: StudySpec) -> Dataset:
        """The dataset without its unreadable images, divided for every seed."""
        clean = self.table.without([self.bad[path] for path in sorted(self.bad)]) if self.bad else self.table
        if self.folds is not None:
            return folded_dataset(clean, self.target, self.folds, self.outputs)
        if self.outputs:
            return make_several(clean, self.outputs, seeds=n_seeds(spec), folds=spec.folds)
        return make_dataset(clean, self.target, seeds=n_seeds(spec), folds=spec.folds)

    def rows(self, key: FeatureKey) -> np.ndarray:
        """Features of the readable images, in the order of the dataset's table."""
        if not self.bad:
            return self.features[key]
        import numpy as np

        kept: np.ndarray = self.features[key][np.array([path not in self.bad for path in self.table.paths])]
        return kept


def scan_sources(spec: StudySpec) -> list[Source]:
    """Scan every source of a spec.

    Raises
    ------
    DataError
        With every source that cannot be read; or one without labels.
    """
    from headstart.images.scan_targets import scan_targets

    found: list[Source] = []
    errors: list[HeadstartError] = []
    for given in spec.data:
        try:
            table, targets = scan_targets(
                given,
                spec.target,
                path_column=spec.path_column or None,
                label_columns=spec.label_columns,
                image_root=spec.image_root or None,
                group_column=spec.group_column or None,
                split_column=spec.split_column or None,
                on_bad=spec.on_bad,
            )
            source = _labelled(table, targets, spec, {source.table.name for source in found})
            source.folds = read_folds(given, spec) if spec.fold_column else None
            found.append(source)
        except HeadstartError as error:
            errors.append(error)
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise DataError("; ".join(str(error) for error in errors))
    return found


def scan_shifted(folder: str, spec: StudySpec) -> ImageTable:
    """The table of a second test folder, with the target that a spec names where the source has such a column.

    The other columns of a spec are looked for in a table file alone. Class folders have one label, whatever it is
    called.

    Raises
    ------
    DataError, UnknownName
        As `headstart.images.scan_targets.scan_targets`.
    """
    from headstart.images.scan_targets import scan_targets

    if Path(folder).is_file():
        return scan_targets(
            folder, spec.target, path_column=spec.path_column or None, label_columns=spec.label_columns,
            image_root=spec.image_root or None, on_bad=spec.on_bad,
        )[0]  # fmt: skip
    try:
        return scan_targets(folder, spec.target, on_bad=spec.on_bad)[0]
    except UnknownName:
        table = scan_targets(folder, (), on_bad=spec.on_bad)[0]
        if len(table.labels) > 1:
            raise
        return table


def _labelled(table: ImageTable, targets: Sequence[str], spec: StudySpec, taken: set[str]) -> Source:
    rows = labelled_rows(table, targets)
    if (n_without := len(table) - len(rows)) > 0:
        where = ", ".join(map(repr, targets))
        warn(f"{table.name}: {n_without} images have no label in {where} and are left out")
        table = table.select(rows)
    if table.name in taken:
        number = next(n for n in range(2, len(taken) + 3) if f"{table.name} ({n})" not in taken)
        table = replace(table, name=f"{table.name} ({number})")
    if several(spec):
        return Source(table, targets[0], table.digest(), outputs_in(table, spec, targets))
    return Source(table, targets[0], table.digest())
