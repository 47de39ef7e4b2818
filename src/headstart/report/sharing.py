"""Did sharing help? Ways of serving several outputs, compared output by output on the same test images.

One idea: the sentences and the tables come from the same verdicts. Classes and levels are compared by right and wrong,
labels and numbers by what each image scores, by the tests of `headstart.report.told_values`, each with Holm's correction
over the pairs of ways.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.measure.joint import all_right
from headstart.measure.outputs import CLASSES, ORDINAL, image_scores, right
from headstart.measure.verdicts import BETTER, WORSE, Verdicts
from headstart.methods.output import Output, encode
from headstart.report.told_values import compare_scores, in_order, statistic, tested_on
from headstart.report.verdict import results_of
from headstart.report.wording import listed
from headstart.study.joint_cells import JOINT, split_answers, thresholds_of
from headstart.study.records import CellResult, MethodSummary, StudyRecord

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

NAMES = {"hard": "hard sharing", "soft": "soft sharing", "separate": "separate networks"}
SHARED = ("hard", "soft")
SEPARATE = "separate"


@dataclass(frozen=True)
class Ways:
    """The ways of sharing of one method on one dataset.

    Attributes
    ----------
    name : str
        The method, less the way.
    rows : tuple of MethodSummary
        One a way, in the order of the plan.
    verdicts : dict of str to Verdicts
        By output, and "joint" for all of them at once; the methods in them are values of `NAMES`.
    how : str
        What was compared, as a clause.
    tests : tuple of str
        Names of the statistics: as of `headstart.report.told_tests`, and "values".
    """

    name: str
    rows: tuple[MethodSummary, ...]
    verdicts: dict[str, Verdicts]
    how: str
    tests: tuple[str, ...] = ()

    def row(self, way: str) -> MethodSummary | None:
        """The row of a way."""
        return next((row for row in self.rows if row.sharing == way), None)

    def seconds_ratio(self, way: str, other: str = SEPARATE) -> float | None:
        """Seconds of training of a way over those of another, those of separate networks summed; None without them.

        The frozen part of the network is run once for all ways, whichever comes first, and counts for none.
        """
        one, two = self.row(way), self.row(other)
        if one is None or two is None or not two.train_seconds:
            return None
        return one.train_seconds / two.train_seconds if one.train_seconds else None


def outputs_of(record: StudyRecord, dataset: str) -> tuple[dict[str, Any], ...]:
    """What the outputs of a dataset are, from its first finished run; () where nothing has finished."""
    runs = (r for r in record.results if r.cell.dataset == dataset and r.cell.sharing and r.outputs)
    return next((run.outputs for run in runs), ())


def ranked_jointly(record: StudyRecord, dataset: str) -> list[MethodSummary]:
    """Rows of several outputs on one dataset: the best by the choosing score first."""
    best = record.best_joint.get(dataset)
    rows = [row for row in record.joint if row.dataset == dataset]
    return sorted(
        rows, key=lambda row: (row.method != best, row.standing is None, -(row.standing or 0.0), row.method)
    )


def plain_name(row: MethodSummary) -> str:
    """The method without its way of sharing."""
    return row.method.removesuffix(f" {row.sharing}")


def ways_of(record: StudyRecord, dataset: str) -> list[Ways]:
    """Every method that was run in two ways or more, with its verdicts."""
    groups: dict[str, list[MethodSummary]] = {}
    for row in record.joint:
        if row.dataset == dataset and row.trains and row.status == "done":
            groups.setdefault(plain_name(row), []).append(row)
    made = (_ways(record, name, rows) for name, rows in groups.items() if len(rows) > 1)
    return [ways for ways in made if ways is not None]


def _ways(record: StudyRecord, name: str, rows: Sequence[MethodSummary]) -> Ways | None:
    runs = {row.sharing: {r.cell.seed: r for r in results_of(record, row) if r.whole} for row in rows}
    seeds = sorted(set.intersection(*(set(each) for each in runs.values())), key=lambda seed: seed or 0)
    held = all(runs[way][seed].cell.id in record.probabilities for way in runs for seed in seeds)
    if not seeds or not held:
        return None
    first = next(iter(runs))
    own = [runs[first][seed] for seed in seeds]
    scores = {way: [run_scores(record, runs[way][seed]) for seed in seeds] for way in runs}
    on, kinds = tested_on(record, own), {output["name"]: output["kind"] for output in own[0].outputs}
    found, tests = {}, dict[str, None]()
    for output in [*kinds, *([JOINT] if own[0].joint else [])]:
        each = [[scores[way][at][output] for at in range(len(seeds))] for way in runs]
        shares = kinds.get(output, CLASSES) in (CLASSES, ORDINAL)
        verdicts = compare_scores([NAMES[way] for way in runs], each, on, shares=shares)
        if verdicts is not None:
            found[output] = verdicts
            tests[statistic(on, shares=shares)] = None
    return Ways(name, tuple(rows), found, on.how, tuple(tests))


def training_words(record: StudyRecord, dataset: str) -> str:
    """What a study said of the training of its outputs, as one sentence; "" where it said nothing."""
    runs = [run.cell for run in record.results if run.cell.dataset == dataset and run.cell.outputs]
    told: dict[str, Any] = {}
    for run in runs:  # not every way takes every option
        told.update(json.loads(run.outputs))
    parts = [
        f"{what} ({listed(f'{name} {value:g}' for name, value in told[key].items())})"
        for key, what in (
            ("output_weights", "the losses of shared networks count by given weights"),
            ("head_rates", "heads learn at given factors of the learning rate"),
        )
        if told.get(key)
    ]
    if told.get("class_weights"):
        parts.append(f"the classes of {listed(told['class_weights'])} count alike in training")
    return f"As was asked for, {listed(parts)}." if parts else ""


def run_scores(record: StudyRecord, run: CellResult) -> dict[str, Floats]:
    """What each test image scores in a run, by output and for all of them at once, in the order of its rows.

    See `headstart.measure.outputs.image_scores`; NaN where a label is missing.
    """
    found: dict[str, Floats] = {}
    whole: dict[str, Floats] = {}
    for fact, truth, given in answers_of(record, run):
        limits = thresholds_of(fact)
        found[fact["name"]] = image_scores(fact["kind"], truth, given, limits)
        if (column := right(fact["kind"], truth, given, limits)) is not None:
            whole[fact["name"]] = column
    if whole:
        found[JOINT] = all_right(whole)
    return {name: in_order(record, run, scores) for name, scores in found.items()}


def answers_of(
    record: StudyRecord, run: CellResult
) -> list[tuple[dict[str, Any], NDArray[Any], NDArray[np.float32]]]:
    """Each output of a run with its coded truth and what was said, on the test images in the order of its rows."""
    table, rows = record.tables[run.cell.dataset], record.test_rows[run.cell.id]
    outputs = [Output.from_dict(fact) for fact in run.outputs]
    parts = split_answers(outputs, record.probabilities[run.cell.id])
    return [
        (fact, encode(output, [table.labels[output.name][row] for row in rows]), part)
        for fact, output, part in zip(run.outputs, outputs, parts, strict=True)
    ]


def helped(ways: Ways, way: str) -> tuple[list[str], list[str]]:
    """Outputs on which a shared way is better than separate networks, and those on which it is worse."""
    kinds = {name: found.between(NAMES[way], NAMES[SEPARATE]).kind for name, found in ways.verdicts.items()}
    single = {name: kind for name, kind in kinds.items() if name != JOINT}
    return [n for n, k in single.items() if k == BETTER], [n for n, k in single.items() if k == WORSE]
