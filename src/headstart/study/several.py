"""A dataset with several outputs: what they are, how its images are divided, and the cells that learn them.

Splits are balanced by the combination of all outputs. Images without any label take no part; those that lack some
are used by the others.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from headstart.base.errors import BadOptions
from headstart.images.table import ImageTable
from headstart.study.partition import Dataset, divided, named_together
from headstart.study.records import Cell
from headstart.study.several_spec import SEPARATE, said_of, trained_said
from headstart.study.spec import StudySpec

if TYPE_CHECKING:
    from headstart.methods.output import Output

JOINT_VERSION = "1"
"""Part of the id of every run of several outputs: raised when the same run would give other numbers."""
ORDINAL_VERSION = "2"
"""As `JOINT_VERSION`, of data with ordered levels: their most probable one is measured since, as it is predicted."""

SHARED = "hard"


def outputs_in(table: ImageTable, spec: StudySpec, targets: Sequence[str]) -> tuple[Output, ...]:
    """The outputs of a table as a study measures them: with the levels of all its images, test among them.

    Raises
    ------
    BadOptions, UnknownName
        See `headstart.methods.outputs.read_outputs`.
    """
    from headstart.methods.outputs import read_outputs

    told, _ = said_of(spec, targets)
    whole = replace(table, splits=None)
    found = read_outputs(
        whole, told["targets"], told["kinds"], levels=told["levels"], separators=told["separators"]
    )
    if numbers := [each.name for each in found if each.kind == "number" and each.name in spec.class_weights]:
        raise BadOptions([f"class_weights: {name!r} is a number and has no classes" for name in numbers])
    _check_heads(found, spec)
    return found


def _check_heads(outputs: Sequence[Output], spec: StudySpec) -> None:
    """Refuse class weights of an output of classes with a head that cannot weigh them."""
    from headstart.methods.heads import HEADS
    from headstart.methods.heads_base import cannot_balance

    own = [each.name for each in outputs if each.kind == "classes" and each.name in spec.class_weights]
    heads = [name for name in spec.head if name in HEADS and not HEADS[name].balances]
    if own and heads and "features" in spec.scenario:
        raise BadOptions([f"class_weights: {own[0]!r}: {cannot_balance(name)}" for name in heads])


def make_several(table: ImageTable, outputs: Sequence[Output], *, seeds: int, folds: int) -> Dataset:
    """Divide a table with several outputs for `seeds` seeds; see `headstart.study.partition.make_dataset`.

    Raises
    ------
    DataError
        A given split without images to train or to test on.
    """
    from headstart.methods.output import encode
    from headstart.methods.strata import COLUMN, strata_column

    coded = [encode(output, table.labels[output.name]) for output in outputs]
    stratified = replace(table, labels={COLUMN: strata_column(outputs, coded)})
    partitions, given = divided(stratified, COLUMN, seeds=seeds, folds=folds)
    return Dataset(table, named_together(outputs), partitions, given, table.digest(), outputs=tuple(outputs))


def joint_cells(cell: Cell, data: Dataset, spec: StudySpec) -> Iterator[Cell]:
    """The cells of one method on several outputs: every way of sharing, where the network itself trains.

    A frozen network is shared as it is, and its classifiers are fitted one an output: other ways would be the same.
    """
    names = [output.name for output in data.outputs]
    version = ORDINAL_VERSION if any(each.kind == "ordinal" for each in data.outputs) else JOINT_VERSION
    told, _ = said_of(spec, names)
    if cell.trains:
        told.update(weighting=spec.weighting, tie=spec.tie)
    for way in spec.sharing if cell.trains else (SHARED,):
        said = {**told, **_fitting_of(way if cell.trains else "", spec, names)}
        yield replace(
            cell, target=data.target, sharing=way, outputs=json.dumps(said, sort_keys=True),
            version=f"{cell.version}.{version}",
        )  # fmt: skip


def _fitting_of(way: str, spec: StudySpec, names: Sequence[str]) -> dict[str, Any]:
    """What is said of a way's training, "" for frozen networks, whose heads weigh classes and no more.

    Networks of their own have no losses to weigh against each other.
    """
    said, _ = trained_said(spec, names)
    if not way:
        return {name: value for name, value in said.items() if name == "class_weights"}
    return {name: value for name, value in said.items() if way != SEPARATE or name != "output_weights"}


def labelled_rows(table: ImageTable, targets: Sequence[str]) -> list[int]:
    """Rows with a label of one target or more."""
    columns = [table.labels[table.target(name)] for name in targets]
    return [
        row for row, cells in enumerate(zip(*columns, strict=True)) if any(cell is not None for cell in cells)
    ]
