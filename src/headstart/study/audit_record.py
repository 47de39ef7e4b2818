"""A fast audit of each dataset before its first run, on the features that the study has anyway; kept in the store.

It chooses nothing: no image is left out and no method preferred for what it finds; the report shows it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from headstart.audit.commands import READ, audit_command
from headstart.base.errors import HeadstartError
from headstart.base.events import Notice, emit, warn
from headstart.base.options import given_flags
from headstart.images.column_kinds import SEPARATOR, split_labels
from headstart.images.table import ImageTable
from headstart.study.partition import DRAWN, DRAWN_FOLDS, GIVEN, GIVEN_FOLDS, Dataset
from headstart.study.spec import StudySpec

if TYPE_CHECKING:
    import numpy as np

META = "audit"
"""Name of the audits in the store: data set to audit as JSON."""

SAID = (*READ, "kind")
"""Options of a study that an audit takes too."""
FAST = ("files", "duplicates", "balance", "quality", "cues", "drift")
"""Checks that take seconds once the features are there."""
LABELS_UP_TO = 5000
"""Most images whose labels are judged too: that takes a classifier in inner folds."""
MOST_NAMED = 12


def audit_before(
    data: Dataset, source: str, backbone: str, features: np.ndarray, spec: StudySpec
) -> dict[str, Any]:
    """What a fast audit finds, as JSON-like values.

    Parameters
    ----------
    data : Dataset
    source : str
        The data as the user named them, for the commands of the findings.
    backbone : str
        Network that the features are of.
    features : ndarray of float32, shape (n, d)
        One row an image of the dataset's table.
    spec : StudySpec

    Returns
    -------
    dict
        As `headstart.audit.finding.Audit.to_dict`, with `data_digest`; `error` in place of findings where the
        audit could not be made (it is warned of).
    """
    from headstart.audit.run import audit

    table = _table(data)
    only = (*FAST, *(("labels",) if len(table) <= LABELS_UP_TO else ()))
    try:
        found = audit(
            table, source=source, target=_targets(data), only=only, backbone=backbone, features=features,
            kinds={output.name: output.kind for output in data.outputs}, given=given_flags(spec, SAID),
        )  # fmt: skip
    except (HeadstartError, ValueError, ArithmeticError, LookupError, RuntimeError) as error:
        warn(f"{table.name}: the data were not audited: {error}")
        return {"data_digest": data.digest, "error": str(error), "findings": [], "checked": []}
    counts = [f"{n} {level}" for level in ("high", "medium", "low") if (n := _count(found, level))]
    said = ", ".join(counts) or "nothing found"
    emit(Notice(f"{table.name}: audited in {found.seconds:.0f} s: {said} (the report names them)"))
    return {**found.to_dict(MOST_NAMED), "data_digest": data.digest, "splits": _splits(data)}


def command_of(source: str, spec: StudySpec) -> str:
    """The command that audits a source of a study by itself."""
    named = tuple(("--target", name) for name in spec.target)
    return audit_command(source, (*given_flags(spec, SAID), *named))


def _targets(data: Dataset) -> tuple[str, ...]:
    return tuple(output.name for output in data.outputs) or (data.target,)


def _table(data: Dataset) -> ImageTable:
    """The table with the splits of the first seed; sets of labels stand in it as an audit reads them."""
    splits = data.partitions[0].splits
    table = data.table.with_splits(splits) if splits is not None else data.table
    labels = dict(table.labels)
    for output in data.outputs:
        if output.kind == "labels" and output.separator != SEPARATOR:
            labels[output.name] = tuple(
                cell if cell is None else SEPARATOR.join(split_labels(cell, output.separator)) or SEPARATOR
                for cell in table.labels[output.name]
            )
    return replace(table, labels=labels)


def _count(found: Any, level: str) -> int:
    return sum(each.severity == level for each in found.findings)


def _splits(data: Dataset) -> str:
    """What the audit looked at: the given split, the one that the first seed drew, or none where there are folds."""
    if data.origin in (GIVEN_FOLDS, DRAWN_FOLDS):
        return "folds"
    return GIVEN if data.origin == GIVEN else DRAWN
