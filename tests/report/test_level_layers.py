"""Accuracy by layer: a maximum is claimed only where the choosing score of no other layer is as good."""

from __future__ import annotations

from dataclasses import replace

import pytest

from headstart.report.build import build_document
from headstart.report.document import Beside
from headstart.study.records import CellResult
from headstart.study.summarise import choose_best, summarise
from headstart.testing.records import tiny_record

N_BEHIND = 1000


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    return tiny_record(tmp_path_factory.mktemp("study"))


def captions(record, chosen_by):
    """Captions of the figures by layer, if each layer had these choosing scores by 1,000 images."""
    results = {each.cell.id: with_score(each, chosen_by) for each in record.results}
    cells = [each.cell for each in results.values()]
    summaries = summarise(cells, results)
    changed = replace(
        record, results=tuple(results.values()), summaries=summaries, best=choose_best(summaries, results)
    )
    waiting, found = list(build_document(changed).sections), []
    for section in waiting:
        waiting += section.parts
        for block in section.blocks:
            found += (
                [each for each in block.blocks if "-layers-" in each.id] if isinstance(block, Beside) else []
            )
    return [each.caption for each in found]


def with_score(result: CellResult, chosen_by):
    if result.status != "done":
        return result
    return replace(result, selection=chosen_by[result.cell.layer], n_validation=N_BEHIND)


@pytest.mark.parametrize(
    "chosen_by, said",
    [
        ((1.0, 1.0, 1.0), "No layer stands out"),
        ((0.9, 0.905, 0.9), "No layer stands out"),
        ((0.5, 0.905, 0.9), "The choosing score is as good at stage5 and pool as anywhere"),
        ((0.5, 0.95, 0.9), "The choosing score is highest at stage5 (before the deepest layer taken, pool)."),
        ((0.5, 0.6, 0.9), "The choosing score is highest at pool (the deepest layer taken)."),
    ],
)
def test_a_maximum_is_claimed_only_where_there_is_one(record, chosen_by, said):
    made = captions(record, dict(zip(("stage3", "stage5", "pool"), chosen_by, strict=True)))
    assert made and all(said in each for each in made)
    assert all(("highest at" in each) == ("highest at" in said) for each in made)


def test_without_choosing_scores_nothing_is_claimed(record):
    made = captions(record, dict.fromkeys(("stage3", "stage5", "pool")))
    assert made and not any("score" in each or "stands out" in each for each in made)
