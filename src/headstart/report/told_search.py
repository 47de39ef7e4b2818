"""Every way of searching a dataset against its best, by what each query scores: the source of all that is said of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from headstart.report.told import ToldApart
from headstart.report.told_tests import METRIC_WORDS
from headstart.report.told_values import compare_scores, in_order, statistic, tested_on
from headstart.report.verdict import results_of
from headstart.study.records import MethodSummary, StudyRecord

MAP = "map"


def search_told(record: StudyRecord, rows: list[MethodSummary]) -> ToldApart | None:
    """The ways of searching one dataset by the average precision of each query; None where it was not kept.

    Parameters
    ----------
    record : StudyRecord
    rows : list of MethodSummary
        Of the task retrieval on one dataset, the best first; those that have not finished are left out.
    """
    done = [row for row in rows if row.status == "done"]
    runs = {row.method: [each for each in results_of(record, row) if each.whole] for row in done}
    held = all(run.cell.id in record.probabilities for each in runs.values() for run in each)
    if len(done) < 2 or done[0] is not rows[0] or not held:
        return None
    scores = [
        [in_order(record, run, np.asarray(record.probabilities[run.cell.id][:, 0], dtype=float)) for run in each]
        for each in runs.values()
    ]  # fmt: skip
    # what is a copy, and so whether anything is left to find, depends on the backbone
    lacking = [np.isnan(np.stack(seed)).any(axis=0) for seed in zip(*scores, strict=True)]
    scores = [
        [np.where(none, np.nan, part) for none, part in zip(lacking, way, strict=True)] for way in scores
    ]
    on = tested_on(record, runs[done[0].method])
    found = compare_scores(list(runs), scores, on, against=0)
    if found is None:
        return None
    pairs = tuple(replace(pair, measure=METRIC_WORDS[MAP]) for pair in found.pairs)
    cells = {name: tuple(run.cell.id for run in each) for name, each in runs.items()}
    return ToldApart(done[0], replace(found, pairs=pairs), cells, f"{on.how}, {on.by}", statistic(on), MAP)
