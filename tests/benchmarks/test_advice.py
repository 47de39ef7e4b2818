"""The benchmark of the adviser asks the adviser itself."""

import sys
from pathlib import Path

import numpy as np
import pytest

from headstart.study.advice_model import packaged_parameters
from headstart.study.advise import predict

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
HEADS = ("logistic", "lda", "ridge")


@pytest.fixture
def advice(monkeypatch):
    for folder in (BENCHMARKS / "evidence", BENCHMARKS):
        monkeypatch.syspath_prepend(str(folder))
    for name in ("advice", "bars", "fit"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    import advice

    yield advice
    for name in ("advice", "bars", "fit"):
        sys.modules.pop(name, None)


def cell_of(fit):
    """A cell whose probes and runs are best at stage 6."""
    cell = fit.Cell("drawn", 0, n=300, n_classes=3, measured={0: 300}, slopes={0: 0.02})
    shares = {position: 0.9 - 0.05 * abs(position - 2) for position in range(5)}
    cell.probes[0] = {(position, head): share for position, share in shares.items() for head in HEADS}
    for place, share in cell.probes[0].items():
        cell.right[place] = {0: np.arange(200) < 200 * share}
    cell.right["finetune last:2"] = {0: np.arange(200) < 190}
    return cell


def test_what_it_holds_to_account_is_the_product_s_own_ranking(advice):
    known = packaged_parameters()
    cell = cell_of(advice.fit)
    ranked = predict(advice.situation_of(cell, 0), known).candidates
    there = [each for each in ranked if advice.method_of(each) in cell.right]
    told = advice.tell(cell, known)
    assert told.advised == (advice.spoken(advice.method_of(there[0])),)
    assert told.best == "finetune last:2" and len(told.held) == len(there)


def test_it_follows_the_ranking_when_that_changes(advice, monkeypatch):
    known = packaged_parameters()
    real = advice.predict

    def turned(situation, parameters):
        from dataclasses import replace

        found = real(situation, parameters)
        return replace(found, candidates=tuple(reversed(found.candidates)))

    cell = cell_of(advice.fit)
    before = advice.tell(cell, known)
    monkeypatch.setattr(advice, "predict", turned)
    assert advice.tell(cell, known).advised != before.advised
