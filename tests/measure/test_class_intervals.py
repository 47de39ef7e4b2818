"""Precision, recall and F1 of each class have 95 % intervals."""

import numpy as np
import pytest

from headstart.measure.intervals import wilson
from headstart.measure.labels import evaluate_labels
from headstart.measure.metrics import evaluate

KEYS = ("precision", "recall", "f1")


def answered(seed, n=150, k=3, skill=0.7):
    g = np.random.default_rng(seed)
    true = g.integers(0, k, n)
    said = np.where(g.random(n) < skill, true, g.integers(0, k, n))
    return true, said, np.eye(k)[said]


def test_shares_have_wilsons_interval_and_f1_that_of_a_bootstrap_over_images():
    true, said, p = answered(0)
    for c, row in enumerate(evaluate(true, p, list("abc")).per_class.values()):
        hits = int(((true == c) & (said == c)).sum())
        assert (row["recall_low"], row["recall_high"]) == wilson(hits, int((true == c).sum()))
        assert (row["precision_low"], row["precision_high"]) == wilson(hits, int((said == c).sum()))
        g, draws = np.random.default_rng(9), []
        for _ in range(2000):
            at = g.integers(0, len(true), len(true))
            hit, all_ = ((true == c) & (said == c))[at].sum(), (true == c)[at].sum() + (said == c)[at].sum()
            draws.append(2 * hit / all_)
        assert (row["f1_low"], row["f1_high"]) == pytest.approx(np.quantile(draws, [0.025, 0.975]), abs=0.02)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("n", [1, 4, 40])
def test_every_interval_holds_its_value(seed, n):
    true, _, p = answered(seed, n, 4, 0.5)
    for row in evaluate(true, p, list("abcd")).per_class.values():
        for key in KEYS:
            held = row["n"] or key == "precision"
            assert 0 <= row[f"{key}_low"] <= row[f"{key}_high"] <= 1
            assert row[f"{key}_low"] <= row[key] <= row[f"{key}_high"] or not held


def test_a_class_that_is_always_right_or_never_claims_no_certainty():
    true = np.array([0] * 10 + [1] * 10)
    for said, value in ((true, 1.0), (1 - true, 0.0)):
        for row in evaluate(true, np.eye(2)[said], ["a", "b"]).per_class.values():
            assert row["f1"] == value
            assert all(0.1 < row[f"{key}_high"] - row[f"{key}_low"] < 0.5 for key in KEYS)


def test_the_intervals_of_f1_cover_the_truth_about_as_often_as_claimed():
    """The class is right with the chance 0.7 in 60 images; F1 of the population is from its true shares."""
    g, held, trials = np.random.default_rng(0), 0, 150
    population = 2 * 0.35 / (0.5 + 0.35 + 0.5 * 0.3)
    for _ in range(trials):
        true = g.integers(0, 2, 60)
        said = np.where(g.random(60) < 0.7, true, 1 - true)
        row = evaluate(true, np.eye(2)[said], ["a", "b"]).per_class["a"]
        held += row["f1_low"] <= population <= row["f1_high"]
    assert held / trials >= 0.88


def test_labels_have_them_too():
    g = np.random.default_rng(1)
    true = (g.random((80, 2)) < 0.4).astype(float)
    p = np.clip(true * 0.6 + 0.4 * g.random((80, 2)), 0, 1)
    for row in evaluate_labels(true, p, ["x", "y"]).per_label.values():
        assert all(row[f"{key}_low"] <= row[key] <= row[f"{key}_high"] for key in KEYS)
        assert row["f1_low"] < row["f1"]
