"""Metrics equal scikit-learn's, whatever is missing from the test set."""

import itertools

import numpy as np
import pytest
import sklearn.metrics as oracle
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.base.errors import UsageError
from headstart.measure.metrics import (
    METRICS,
    accuracy,
    balanced_accuracy,
    confusion_matrix,
    evaluate,
    expected_calibration_error,
    log_loss,
    macro_f1,
)


def answers(n, k, seed, sharpness=2.0):
    """True classes and probabilities that follow them loosely."""
    generator = np.random.default_rng(seed)
    y = generator.integers(0, k, n)
    scores = generator.normal(size=(n, k)) * sharpness
    scores[np.arange(n), y] += sharpness
    p = np.exp(scores - scores.max(axis=1, keepdims=True))
    return y, p / p.sum(axis=1, keepdims=True)


def names(k):
    return [f"c{i}" for i in range(k)]


@settings(max_examples=60, deadline=None)
@given(n=st.integers(1, 80), k=st.integers(2, 7), seed=st.integers(0, 10**6))
def test_every_metric_equals_scikit_learns(n, k, seed):
    y, p = answers(n, k, seed)
    called, present = p.argmax(axis=1), np.unique(y)
    scores = evaluate(y, p, names(k)).scores
    kwargs = {"labels": present, "average": "macro", "zero_division": 0}
    assert scores["accuracy"].value == pytest.approx(oracle.accuracy_score(y, called))
    assert scores["macro_f1"].value == pytest.approx(oracle.f1_score(y, called, **kwargs))
    assert scores["macro_precision"].value == pytest.approx(oracle.precision_score(y, called, **kwargs))
    assert scores["macro_recall"].value == pytest.approx(oracle.recall_score(y, called, **kwargs))
    assert scores["balanced_accuracy"].value == scores["macro_recall"].value
    assert scores["log_loss"].value == pytest.approx(
        oracle.log_loss(y, np.clip(p, 1.2e-7, 1), labels=range(k)), abs=1e-4
    )
    assert accuracy(y, called) == scores["accuracy"].value
    assert balanced_accuracy(y, called) == pytest.approx(scores["balanced_accuracy"].value)
    assert macro_f1(y, called) == pytest.approx(scores["macro_f1"].value)
    assert log_loss(y, p) == pytest.approx(scores["log_loss"].value)
    assert expected_calibration_error(y, p) == pytest.approx(scores["ece"].value)
    np.testing.assert_array_equal(
        confusion_matrix(y, called, k), oracle.confusion_matrix(y, called, labels=range(k))
    )


@settings(max_examples=60, deadline=None)
@given(n=st.integers(1, 60), k=st.integers(2, 5), seed=st.integers(0, 10**6), sharpness=st.floats(0.1, 30))
def test_every_interval_holds_its_value_and_stays_in_range(n, k, seed, sharpness):
    result = evaluate(*answers(n, k, seed, sharpness), names(k))
    assert set(result.scores) == set(METRICS)
    for name, score in result.scores.items():
        assert 0 <= score.low <= score.value <= score.high
        assert score.high <= 1 or name == "log_loss"
        assert (score.n, score.n_seeds) == (n, 1)


def test_per_class_figures_equal_scikit_learns_report():
    y, p = answers(200, 5, 3)
    report = oracle.classification_report(y, p.argmax(axis=1), target_names=names(5), output_dict=True)
    for name, row in evaluate(y, p, names(5)).per_class.items():
        assert row["precision"] == pytest.approx(report[name]["precision"])
        assert row["recall"] == pytest.approx(report[name]["recall"])
        assert row["f1"] == pytest.approx(report[name]["f1-score"])
        assert row["n"] == report[name]["support"]


def test_the_calibration_error_is_the_sum_of_naeini_et_al():
    y, p = answers(500, 3, 0)
    confidence, right = p.max(axis=1), p.argmax(axis=1) == y
    edges = np.linspace(0, 1, 16)
    expected = 0.0
    for low, high in itertools.pairwise(edges):
        inside = (confidence > low) & (confidence <= high)
        if inside.any():
            expected += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    assert expected_calibration_error(y, p) == pytest.approx(expected, abs=1e-9)
    one_bin = abs(right.mean() - confidence.mean())
    assert expected_calibration_error(y, p, n_bins=1) == pytest.approx(one_bin)


def test_a_confidence_on_the_edge_of_a_bin_belongs_below_it_in_any_precision():
    y, p = np.array([0, 1] * 3), np.tile([0.6, 0.4], (6, 1))
    for kind in (np.float32, np.float64):
        assert expected_calibration_error(y, p.astype(kind)) == pytest.approx(0.1, abs=1e-6)


def test_a_class_without_test_images_is_in_no_average():
    y = np.array([0, 0, 1, 1])
    p = np.array([[0.9, 0.1, 0.0], [0.2, 0.1, 0.7], [0.1, 0.8, 0.1], [0.1, 0.9, 0.0]])
    result = evaluate(y, p, ["a", "b", "unseen"])
    assert result.scores["balanced_accuracy"].value == pytest.approx(0.75)
    assert result.scores["macro_precision"].value == pytest.approx(1.0)
    unseen = result.per_class["unseen"]
    assert {key: unseen[key] for key in ("precision", "recall", "f1", "n")} == {
        "precision": 0.0, "recall": 0.0, "f1": 0.0, "n": 0,
    }  # fmt: skip
    assert (unseen["recall_low"], unseen["recall_high"]) == (0.0, 1.0)
    assert result.confusion == ((1, 0, 1), (0, 2, 0), (0, 0, 0))


def test_a_test_set_of_one_class_or_one_image_can_be_measured():
    one = evaluate([1], [[0.3, 0.7]], ["a", "b"]).scores
    assert one["accuracy"].value == 1
    assert one["accuracy"].low < 0.3
    same = evaluate([1] * 6, [[0.3, 0.7]] * 5 + [[0.6, 0.4]], ["a", "b"]).scores
    assert same["balanced_accuracy"].value == pytest.approx(5 / 6)


def test_a_perfect_score_never_claims_certainty():
    result = evaluate([0, 1, 2] * 4, np.eye(3)[[0, 1, 2] * 4], names(3)).scores
    for name in ("accuracy", "balanced_accuracy", "macro_f1", "macro_precision", "macro_recall"):
        assert result[name].value == result[name].high == 1
        assert result[name].low == result["accuracy"].low < 0.8


def test_a_probability_of_zero_for_the_truth_costs_a_finite_loss():
    assert log_loss([0], [[0.0, 1.0]]) == pytest.approx(15.94, abs=0.01)
    assert evaluate([0, 1], [[0.0, 1.0], [0.0, 1.0]], names(2)).scores["log_loss"].high < 16


def test_the_seed_drives_the_intervals_and_nothing_else():
    y, p = answers(100, 3, 0)
    first, again, other = (evaluate(y, p, names(3), seed=seed) for seed in (0, 0, 1))
    assert first == again
    assert first.scores["macro_f1"].value == other.scores["macro_f1"].value
    assert first.scores["macro_f1"].low != other.scores["macro_f1"].low


def test_the_dictionary_for_json_has_n_and_every_score():
    result = evaluate(*answers(30, 3, 0), names(3)).to_dict()
    assert set(result) == {"n", *METRICS}
    assert set(result["ece"]) == {"value", "low", "high"}


@pytest.mark.parametrize(
    ("y", "p", "message"),
    [
        ([], np.empty((0, 2)), "no test images"),
        ([0], [[np.nan, 1.0]], "NaN"),
        ([0], [[0.7, 0.7]], "sum to 1"),
        ([0], [[-0.5, 1.5]], "at least 0"),
        ([2], [[0.5, 0.5]], "0 to 1"),
        ([-1], [[0.5, 0.5]], "0 to 1"),
        ([0, 1], [[0.5, 0.5]], "shapes"),
        ([0.5], [[0.5, 0.5]], "integers"),
        (["a"], [[0.5, 0.5]], "integers"),
        ([0], [0.5], "shapes"),
        ([0], [[0.2, 0.3, 0.5]], "class names"),
    ],
)
def test_what_cannot_be_measured_is_refused(y, p, message):
    with pytest.raises(UsageError, match=message):
        evaluate(y, p, ["a", "b"])


def test_single_functions_refuse_what_they_cannot_use():
    with pytest.raises(UsageError, match="one length"):
        accuracy([0, 1], [0])
    with pytest.raises(UsageError, match="no test images"):
        macro_f1([], [])
    with pytest.raises(UsageError, match="0 to 1"):
        confusion_matrix([0], [2], 2)
    with pytest.raises(UsageError, match="n_bins"):
        expected_calibration_error([0], [[1.0, 0.0]], n_bins=0)
