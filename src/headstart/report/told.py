"""Every finished method of a dataset against its best, by a paired test: the one source of what the report says of
who is better.

The verdict in words, the tables, the drawings and the slides read these values and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from headstart.measure.verdict_words import EQUIVALENT, NOT_DISTINGUISHABLE
from headstart.measure.verdicts import BETTER, WORSE, Verdict, Verdicts, compare_all, compare_all_splits
from headstart.report.answers import Answers
from headstart.report.verdict import LEAST_SPLITS, best_of, datasets, ranked, results_of
from headstart.report.wording import count
from headstart.study.records import MethodSummary, StudyRecord

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
        Name of the statistic: "mcnemar" or "corrected_t".
    """

    best: MethodSummary
    verdicts: Verdicts
    runs: dict[str, tuple[str, ...]]
    how: str
    test: str

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


def told_apart(record: StudyRecord, dataset: str, answers: Answers | None) -> ToldApart | None:
    """All methods against the best of a dataset; None where there is nothing to compare.

    Given folds, or five splits or more, one a seed: the corrected resampled t-test. Else on the same test images: McNemar's
    test (mid-p) for one run, a paired t over images and seeds for several.
    """
    best = best_of(record, dataset)
    if best is None:
        return None
    over_splits = _over_splits(record, dataset, best)
    if over_splits is not None:
        return over_splits
    if answers is None or best.method not in answers.methods:
        return None
    names = [best.method, *(name for name in answers.methods if name != best.method)]
    found = compare_all(names, [answers.correct(name) for name in names], against=0)
    several = any(len(answers.said[name]) > 1 for name in names)
    how = f"on the same {count(len(answers.rows), 'test image')}"
    how += f" (those of seed {answers.seed}, for every seed drew its own)" if answers.seed is not None else ""
    how += ", by a paired t-test over images and seeds" if several else ", by McNemar's test (mid-p)"
    return ToldApart(best, found, answers.cells, how, "mcnemar")


def _over_splits(record: StudyRecord, dataset: str, best: MethodSummary) -> ToldApart | None:
    """The corrected t-test over splits, where every method ran on the same five or more."""
    rows = [row for row in ranked(record, dataset) if row.status == "done"]
    runs = {row.method: {r.cell.seed: r for r in results_of(record, row)} for row in rows}
    seeds = sorted(seed for seed in runs.get(best.method, {}) if seed is not None)
    by_fold = any(result.cell.fold for result in runs.get(best.method, {}).values())
    splits = {runs[best.method][seed].cell.split_digest for seed in seeds}
    if len(seeds) < (2 if by_fold else LEAST_SPLITS) or len(splits) < len(seeds):
        return None
    whole = [row.method for row in rows if all(seed in runs[row.method] for seed in seeds)]
    names = [best.method, *(name for name in whole if name != best.method)]
    if len(names) < 2:
        return None
    scores = [[runs[name][seed].scores["accuracy"].value for seed in seeds] for name in names]
    one = runs[best.method][seeds[0]]
    ratio = one.n_test / max(1, one.n_train)
    found = compare_all_splits(names, np.array(scores), test_over_train=ratio, against=0)
    how = f"over {len(seeds)} {'given folds' if by_fold else 'splits'}, by the corrected resampled t-test"
    cells = {name: tuple(runs[name][seed].cell.id for seed in seeds) for name in names}
    return ToldApart(best, found, cells, how, "corrected_t")
