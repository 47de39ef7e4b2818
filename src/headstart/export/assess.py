"""Test a bundle on an image table: the right split, no image it learned from, no label it cannot know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from headstart.base.errors import DataError
from headstart.base.events import warn
from headstart.export.assess_outputs import JointAssessment, assess_outputs
from headstart.export.bundle import Bundle
from headstart.export.which_rows import asked, rows_of, unseen
from headstart.images.table import ImageTable, Problem
from headstart.measure.metrics import Evaluation, evaluate

PLAIN = ("balanced_accuracy", "macro_f1", "log_loss", "ece")


@dataclass(frozen=True)
class Assessment:
    """What a test of a bundle showed.

    Attributes
    ----------
    split : str
        "train", "validation", "test" or "all".
    n_seen : int
        Images that the bundle was fitted or chosen on and that were left out.
    n_unlabelled : int
        Images without a label, left out.
    problems : tuple of Problem
        Images that could not be read, left out.
    views : int
        Views of each image that were averaged.
    height, width : int
        Of the network's input, in pixels.
    """

    split: str
    target: str
    classes: tuple[str, ...]
    evaluation: Evaluation
    n_seen: int
    n_unlabelled: int
    problems: tuple[Problem, ...]
    views: int
    height: int
    width: int

    def to_dict(self) -> dict[str, Any]:
        """The form of `evaluate --json`."""
        scores = self.evaluation.scores
        return {
            "split": self.split,
            "n": self.evaluation.n,
            "accuracy": scores["accuracy"].to_dict(),
            **{name: scores[name].value for name in PLAIN},
            "intervals": {name: [score.low, score.high] for name, score in scores.items()},
            "target": self.target,
            "classes": list(self.classes),
            "per_class": self.evaluation.per_class,
            "confusion": [list(row) for row in self.evaluation.confusion],
            "n_seen_left_out": self.n_seen,
            "n_unlabelled": self.n_unlabelled,
            "n_unreadable": len(self.problems),
            "views": self.views,
            "height": self.height,
            "width": self.width,
        }


def assess(
    bundle: Bundle, table: ImageTable, *, split: str = "", target: str = "", views: int = 1
) -> Assessment | JointAssessment:
    """Test a bundle; one with several outputs by `assess_outputs`.

    Parameters
    ----------
    bundle : Bundle
    table : ImageTable
    split : str
        "" for test where the table has that split, else all images but those that the bundle has seen.
        A split that is named is taken whole, with a warning where the bundle has seen some of it.
    target : str
        Label column; "" for the bundle's own, else the only one.
    views : int
        Views of each image to average (see `Bundle.predict_proba`).

    Raises
    ------
    DataError, UnknownName
        Labels that the bundle does not know; no such split or column; nothing to test.
    """
    if bundle.several:
        return assess_outputs(bundle, table, split=split, target=target, views=views)
    column = _column(bundle, table, target)
    name, rows = rows_of(table, split)
    labels = table.labels[column]
    labelled = [row for row in rows if labels[row] is not None]
    if lacking := len(rows) - len(labelled):
        warn(f"{table.name}: {lacking} images have no label in {column!r} and are left out")
    kept = unseen(bundle, table, labelled, name, leave_out=not split and name == "all")
    _known(bundle, table, column, kept)
    found = asked(bundle, table, kept, views)
    code = {label: number for number, label in enumerate(bundle.classes)}
    truth = np.array([code[str(labels[kept[row]])] for row in found.rows])
    evaluation = evaluate(truth, found.probabilities, bundle.classes)
    return Assessment(
        name, column, bundle.classes, evaluation, len(labelled) - len(kept), lacking, found.problems, views,
        bundle.preprocessing.height, bundle.preprocessing.width,
    )  # fmt: skip


def _column(bundle: Bundle, table: ImageTable, target: str) -> str:
    if target or bundle.target in table.labels or len(table.targets) < 2:
        return table.target(target or (bundle.target if bundle.target in table.labels else None))
    raise DataError(
        f"{table.name} has no label column {bundle.target!r}; "
        f"name one with --target: {', '.join(table.targets)}"
    )


def _known(bundle: Bundle, table: ImageTable, column: str, rows: list[int]) -> None:
    odd = sorted({str(table.labels[column][row]) for row in rows} - set(bundle.classes))
    if odd:
        listed = ", ".join(map(repr, odd[:10])) + (f" and {len(odd) - 10} more" if len(odd) > 10 else "")
        raise DataError(
            f"{table.name}: the model does not know the labels {listed} of {column!r}; "
            f"it knows {', '.join(bundle.classes[:20])}"
        )
