"""Every finished method of a dataset against its best, by a paired test: the one source of what the report says of
who is better.

The verdict in words, the tables, the drawings and the slides read these values and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from headstart.measure.verdict_words import EQUIVALENT, NOT_DISTINGUISHABLE
from headstart.measure.verdicts import BETTER, WORSE, Verdict, Verdicts
from headstart.report.answers import Answers
from headstart.report.division import division_of
from headstart.report.told_tests import ACCURACY, METRIC_WORDS, Found, on_images, over_given_splits
from headstart.report.verdict import best_of, datasets, ranked, results_of
from headstart.study.partition import GIVEN
from headstart.study.records import CellResult, MethodSummary, StudyRecord

OF_THE_OTHER = {BETTER: WORSE, WORSE: BETTER}
KINDS = (WORSE, NOT_DISTINGUISHABLE, EQUIVALENT, BETTER)
"""What a method can be against the best, in the order in which the report tells it."""


@dataclass(frozen=True)
class ToldApart:
    """Every method of a dataset against its best.

    Attributes
    ----------
    best : MethodSummary
    verdicts : Verdicts
        The pairs with the best, which is their `a`.
    runs : dict of str to tuple of str
        The runs that were compared, by method.
    how : str
        What was compared by which test, as a clause.
    test : str
        Name of the statistic: "mcnemar", "over_splits", "corrected_t" or "paired_bootstrap"; of searches what was
        compared (`headstart.report.told_values`).
    metric : str
        What the methods are compared by, e.g. "balanced_accuracy".
    """

    best: MethodSummary
    verdicts: Verdicts
    runs: dict[str, tuple[str, ...]]
    how: str
    test: str
    metric: str = ACCURACY

    @property
    def measure(self) -> str:
        """What the methods are compared by, in words."""
        return METRIC_WORDS[self.metric]

    def level(self) -> list[str]:
        """Methods that are neither better nor worse than the best."""
        return [pair.b for pair in self.verdicts.pairs if pair.kind not in (BETTER, WORSE)]

    def pair(self, method: str) -> Verdict | None:
        """The best against a method; None for the best itself and for a method that was not compared."""
        return next((pair for pair in self.verdicts.pairs if pair.b == method), None)

    def kind(self, method: str) -> str:
        """What a method is against the best: "worse", "not distinguishable" ...; "" where it was not compared."""
        pair = self.pair(method)
        return OF_THE_OTHER.get(pair.kind, pair.kind) if pair is not None else ""

    def methods_by_kind(self) -> dict[str, list[str]]:
        """The methods of each kind, in the order of `KINDS`; kinds without any are left out."""
        found = {kind: [p.b for p in self.verdicts.pairs if self.kind(p.b) == kind] for kind in KINDS}
        return {kind: methods for kind, methods in found.items() if methods}


Told = Mapping[str, ToldApart | None]
"""By dataset."""


def told_all(record: StudyRecord, answers: Mapping[str, Answers]) -> dict[str, ToldApart | None]:
    """`told_apart` for every dataset of a study, by its name."""
    return {name: told_apart(record, name, answers.get(name)) for name in datasets(record)}


def metric_of(record: StudyRecord) -> str:
    """What the spec of a study compares methods by; accuracy in studies that name nothing."""
    return str(record.spec.get("metric") or ACCURACY)


def told_apart(record: StudyRecord, dataset: str, answers: Answers | None) -> ToldApart | None:
    """All methods against the best of a dataset; None where there is nothing to compare.

    See `headstart.report.told_tests` for which test serves which runs. Holm's correction is over all pairs of
    methods.
    """
    best = best_of(record, dataset)
    found = _found(record, best, answers) if best is not None else None
    if best is None or found is None:
        return None
    metric, verdicts = metric_of(record), found.verdicts
    if metric != ACCURACY:
        named = tuple(replace(pair, measure=METRIC_WORDS[metric]) for pair in verdicts.pairs)
        verdicts = replace(verdicts, pairs=named)
    return ToldApart(best, verdicts, found.runs, found.how, found.test, metric)


def _found(record: StudyRecord, best: MethodSummary, answers: Answers | None) -> Found | None:
    metric = metric_of(record)
    runs = _seeded_runs(record, best)
    if runs and division_of(record, best.dataset) != GIVEN:
        names = [best.method, *(name for name in runs if name != best.method)]
        table = record.tables.get(best.dataset)
        found = over_given_splits(
            names, runs, metric, whole=answers is not None, n_images=len(table) if table is not None else 0
        )
        if found is not None:
            return found
    if answers is None or best.method not in answers.methods:
        return None
    methods = dict.fromkeys(name for part in answers.splits for name in part.methods)
    return on_images([best.method, *(name for name in methods if name != best.method)], answers, metric)


def _seeded_runs(record: StudyRecord, best: MethodSummary) -> dict[str, dict[int, CellResult]]:
    """The runs of the finished methods by seed; {} where the best has none or a run without a seed."""
    rows = [row for row in ranked(record, best.dataset) if row.status == "done"]
    runs = {row.method: {r.cell.seed: r for r in results_of(record, row)} for row in rows}
    seeded = {name: {s: run for s, run in own.items() if s is not None} for name, own in runs.items()}
    return seeded if seeded.get(best.method) and len(seeded) > 1 else {}
