"""Which layer the probes speak for: a tie goes to the deepest, and level layers are not told apart."""

from __future__ import annotations

import dataclasses

import pytest

from headstart.cli.advise import lines
from headstart.report.advice import advice_document
from headstart.report.html import render
from headstart.study.advise import predict
from headstart.study.situation import Probe, deepest_best
from headstart.testing.situations import HEADS, LAYERS, tiny_situation


def situation_of(accuracies, n_measured=1000):
    """Five layers, shallow to deep, with these accuracies under every head."""
    made = tuple(
        Probe("lite0", layer, len(LAYERS) - 1 - at, head, accuracies[at], 0.1)
        for at, layer in enumerate(LAYERS)
        for head in HEADS
    )
    return dataclasses.replace(tiny_situation(), probes=made, n_measured=n_measured)


@pytest.mark.parametrize(
    "accuracies, best, level, words",
    [
        ((1.0,) * 5, "pool", LAYERS, "no layer stands out"),
        ((0.5, 0.6, 0.9, 0.9, 0.9), "pool", LAYERS[2:], "as good at stage6, stage7 and pool"),
        ((0.5, 0.6, 0.905, 0.6, 0.9), "stage6", ("stage6", "pool"), "as good at stage6 and pool"),
        ((0.5, 0.6, 0.9, 0.8, 0.7), "stage6", ("stage6",), "best at stage6"),
    ],
)
def test_a_tie_goes_to_the_deepest_layer_and_level_layers_are_as_good(accuracies, best, level, words):
    seen = situation_of(accuracies)
    assert seen.best_layer("lite0") == deepest_best(reversed(seen.probes)) == best
    assert seen.level_layers("lite0") == tuple(level) and seen.layer_words("lite0") == words
    value = seen.to_dict()
    assert value["best_layer"] == {"lite0": best} and value["level_layers"] == {"lite0": list(level)}
    found = predict(seen)
    assert any(f"layers of lite0: {words}; " in line for line in lines(found))
    assert f"lite0: {words}" in render(advice_document(found))


def test_a_tie_is_one_whatever_the_order_of_the_heads():
    few = (0.1, 0.2, 0.3)
    probes = [Probe("a", "early", 1, str(at), value, 0.0) for at, value in enumerate(few)]
    probes += [Probe("a", "late", 0, str(at), value, 0.0) for at, value in enumerate(reversed(few))]
    assert sum(few) != sum(reversed(few)) and deepest_best(probes) == "late"


def test_the_fewer_images_were_measured_the_more_layers_are_level():
    accuracies = (0.7, 0.75, 0.9, 0.85, 0.8)
    few, many = (situation_of(accuracies, n).level_layers("lite0") for n in (20, 1000))
    assert many == ("stage6",) and set(few) > set(many)


def test_a_single_layer_is_the_best_one():
    seen = situation_of((0.9,) * 5)
    alone = dataclasses.replace(seen, probes=tuple(each for each in seen.probes if each.layer == "pool"))
    assert alone.layer_words("lite0") == "best at pool"
