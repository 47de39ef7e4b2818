"""Test a model with several outputs: each output's figures, all right at once, and whether errors go together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from headstart.base.errors import DataError, UnknownName
from headstart.base.events import warn
from headstart.export.bundle import Bundle
from headstart.export.outputs import Answer
from headstart.export.save import finite
from headstart.export.which_rows import asked, rows_of, unseen
from headstart.images.table import ImageTable, Problem
from headstart.measure.joint import Joint, joint
from headstart.measure.outputs import OutputScores, evaluate_output, right
from headstart.methods.output import encode


@dataclass(frozen=True)
class JointAssessment:
    """What a test of a model with several outputs showed.

    Attributes
    ----------
    split : str
    n : int
        Images with one label or more.
    outputs : tuple of OutputScores
    levels : dict of str to tuple
        Classes, labels or levels of each output.
    joint : Joint or None
        None where every output is a number, which is never just right.
    n_seen, n_unlabelled : int
        Images left out: those the model was fitted or chosen on, those without any label.
    problems : tuple of Problem
    views : int
    """

    split: str
    n: int
    outputs: tuple[OutputScores, ...]
    levels: dict[str, tuple[str, ...]]
    joint: Joint | None
    n_seen: int
    n_unlabelled: int
    problems: tuple[Problem, ...]
    views: int = 1

    def to_dict(self) -> dict[str, Any]:
        """The form of `evaluate --json`."""
        outputs = {
            each.name: {
                "kind": each.kind, "levels": list(self.levels[each.name]), "n": each.n,
                "n_missing": each.n_missing,
                "scores": {name: score.to_dict() for name, score in each.scores.items()},
                "per_level": each.per_level, "confusion": [list(row) for row in each.confusion],
            }
            for each in self.outputs
        }  # fmt: skip
        found: dict[str, Any] = finite({
            "split": self.split, "n": self.n, "outputs": outputs,
            "joint": None if self.joint is None else self.joint.to_dict(),
            "n_seen_left_out": self.n_seen, "n_unlabelled": self.n_unlabelled,
            "n_unreadable": len(self.problems), "views": self.views,
        })  # fmt: skip
        return found


def assess_outputs(
    bundle: Bundle, table: ImageTable, *, split: str = "", target: str = "", views: int = 1
) -> JointAssessment:
    """Test a model with several outputs; see `headstart.export.assess.assess`.

    Parameters
    ----------
    target : str
        Names of outputs, with commas; "" for all.

    Raises
    ------
    DataError, UnknownName
        A column that is missing, labels that the model does not know, no such split, nothing to test.
    """
    answers = _wanted(bundle, table, target)
    name, rows = rows_of(table, split)
    columns = [table.labels[each.name] for each in answers]
    labelled = [row for row in rows if any(column[row] is not None for column in columns)]
    if lacking := len(rows) - len(labelled):
        warn(f"{table.name}: {lacking} images have no label of any output and are left out")
    kept = unseen(bundle, table, labelled, name, leave_out=not split and name == "all")
    coded = [encode(a.output, [c[row] for row in kept]) for a, c in zip(answers, columns, strict=True)]
    found = asked(bundle, table, kept, views)
    good = list(found.rows)
    truths = [column[good] for column in coded]
    return JointAssessment(
        name, len(good), *_judged(answers, truths, found.probabilities), len(labelled) - len(kept), lacking,
        found.problems, views,
    )  # fmt: skip


def _judged(
    answers: Sequence[Answer], truths: Sequence[np.ndarray], table: np.ndarray
) -> tuple[tuple[OutputScores, ...], dict[str, tuple[str, ...]], Joint | None]:
    scores, whole = [], {}
    for answer, truth in zip(answers, truths, strict=True):
        own, limits = answer.of(table), answer.thresholds or None
        kind, levels = answer.output.kind, answer.output.levels
        scores.append(evaluate_output(answer.name, kind, levels, truth, own, thresholds=limits))
        each = right(kind, truth, own, limits)
        if each is not None:
            whole[answer.name] = each
    levels_of = {answer.name: answer.output.levels for answer in answers}
    return tuple(scores), levels_of, joint(whole) if whole else None


def _wanted(bundle: Bundle, table: ImageTable, target: str) -> list[Answer]:
    known = {answer.name: answer for answer in bundle.outputs}
    names = [target] if target in known else [each.strip() for each in target.split(",") if each.strip()]
    for name in names:
        if name not in known:
            raise UnknownName("output of the model", name, known)
    wanted = [known[name] for name in names or known]
    lacking = [answer.name for answer in wanted if answer.name not in table.labels]
    if lacking:
        there = [name for name in known if name in table.labels]
        hint = f"; test those that there are with --target {','.join(there)}" if there else ""
        raise DataError(
            f"{table.name} has no label column {', '.join(map(repr, lacking))} "
            f"(it has {', '.join(table.labels) or 'none'}){hint}"
        )
    return wanted
