"""What the adviser would take, as configurations that a tuning begins with."""

from __future__ import annotations

from dataclasses import replace

import pytest

from headstart.base.errors import BadOptions
from headstart.images.scan import scan
from headstart.study.advice_model import packaged_parameters
from headstart.study.advice_starts import advised_starts, starts_of
from headstart.study.advise import predict
from headstart.testing.situations import tiny_situation


def test_a_head_begins_at_the_layers_that_the_adviser_ranks_first():
    advice = predict(tiny_situation("stage6"), replace(packaged_parameters(), trained={}))
    first = advice.candidates[0]
    trained = [
        replace(first, scenario=scenario, layer="", head="", cut=cut)
        for scenario, cut in (("finetune", "last:2"), ("full", "all"), ("finetune", "last:1"))
    ]
    advice = replace(advice, candidates=(*advice.candidates, *trained))
    layers = ("stage4", "stage6", "pool")
    found = starts_of(advice, ("logistic", "knn", "finetune", "full"), layers)
    ranked = [each.layer for each in advice.candidates if each.head == "logistic" and each.layer in layers]
    assert [each["layer"] for each in found["logistic"]] == ranked and len(ranked) == 3
    assert found["finetune"] == [{"trainable": "last:2"}, {"trainable": "last:1"}]
    assert set(found) == {"logistic", "finetune"}, "the adviser has no place for the others"


def test_a_head_at_one_layer_has_nothing_to_begin_with():
    assert starts_of(predict(tiny_situation()), ("logistic",), ("pool",)) == {}


def test_the_adviser_sees_the_division_of_the_tuning_and_no_folds(photos, monkeypatch):
    seen = []

    def measure(table, target, **given):
        seen.append((table, given["seed"]))
        return tiny_situation()

    monkeypatch.setattr("headstart.study.measure_situation.measure", measure)
    table = scan(photos)
    advised_starts(
        table, table.target(None), ("logistic",), backbone="lite0", layers=("stage6", "pool"), seed=3
    )
    ((divided, seed),) = seen
    assert seed == 3 and divided.has_split("test")
    with pytest.raises(BadOptions, match="with folds every image is tested"):
        advised_starts(
            table,
            table.target(None),
            ("logistic",),
            backbone="lite0",
            layers=("stage6", "pool"),
            seed=3,
            folds=2,
        )
