"""Scores of transferability against brute force and closed forms."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.stats import multivariate_normal

from headstart.base.errors import UsageError
from headstart.features.transferability import (
    h_score,
    leep,
    logme,
    nce,
    neighbours_accuracy,
    probe_right,
)


def blobs(n=60, d=5, k=3, apart=2.0, seed=0):
    rng = np.random.default_rng(seed)
    codes = np.arange(n) % k
    return rng.standard_normal((n, d)) + apart * rng.standard_normal((k, d))[codes], codes


@pytest.mark.parametrize("shape", [(40, 4), (12, 30)])
def test_logme_is_the_largest_marginal_likelihood_of_a_bayesian_linear_model(shape):
    features, codes = blobs(n=shape[0], d=shape[1], k=2)

    def lost(logs, target):
        cov = np.exp(-logs[1]) * np.eye(len(target)) + np.exp(-logs[0]) * features @ features.T
        return -multivariate_normal.logpdf(target, np.zeros(len(target)), cov)

    best = [
        -min(minimize(lost, start, (codes == code).astype(float), method="Nelder-Mead").fun
             for start in ([0.0, 0.0], [3.0, 3.0], [-2.0, 4.0]))
        for code in (0, 1)
    ]  # fmt: skip
    assert logme(features, codes) == pytest.approx(np.mean(best) / len(codes), abs=2e-3)


def test_scores_rise_with_the_distance_between_classes():
    near, far = blobs(apart=0.3), blobs(apart=3.0)
    for score in (logme, h_score, neighbours_accuracy):
        assert score(*far) > score(*near) + 0.05


def test_h_score_is_the_trace_of_its_definition():
    from sklearn.covariance import ledoit_wolf

    for shape in ((80, 4), (15, 40)):
        features, codes = blobs(n=shape[0], d=shape[1])
        cov, shrinkage = ledoit_wolf(features)
        means = np.stack([features[codes == code].mean(0) for code in codes])
        between = np.cov(means.T, bias=True)
        expected = (1 - shrinkage) * np.trace(np.linalg.solve(cov, between))
        assert h_score(features, codes) == pytest.approx(expected, rel=1e-6)


def test_h_score_of_one_feature_is_the_share_of_variance_between_classes():
    features, codes = np.array([[0.0], [2.0], [10.0], [12.0]] * 50), np.array([0, 0, 1, 1] * 50)
    assert h_score(features, codes) == pytest.approx(25 / 26, abs=0.01)


def test_nce_is_zero_where_the_guess_tells_the_label_and_its_entropy_where_it_tells_nothing():
    codes = np.array([0, 1, 0, 1])
    assert nce([7, 3, 7, 3], codes) == 0
    assert nce([5, 5, 5, 5], codes) == pytest.approx(-np.log(2))


def test_leep_by_hand():
    # P(y | z): z0 -> (0.9, 0.3)/1.2, z1 -> (0.1, 0.7)/0.8
    shares = np.array([[0.9, 0.1], [0.3, 0.7]])
    expected = np.log([0.9 * 0.75 + 0.1 * 0.125, 0.3 * 0.25 + 0.7 * 0.875]).mean()
    assert leep(shares, [0, 1]) == pytest.approx(expected)


@given(st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_leep_of_certain_guesses_is_nce_and_never_above_zero(seed):
    rng = np.random.default_rng(seed)
    guesses, codes = rng.integers(0, 4, 30), np.r_[0, 1, rng.integers(0, 3, 28)]
    certain = np.eye(4)[guesses]
    assert leep(certain, codes) == pytest.approx(nce(guesses, codes))
    assert leep(rng.dirichlet(np.ones(4), 30), codes) <= 0


def test_neighbours_are_as_scikit_learn_finds_them():
    from sklearn.model_selection import LeaveOneOut, cross_val_score
    from sklearn.neighbors import KNeighborsClassifier

    features, codes = blobs(apart=0.8)
    oracle = KNeighborsClassifier(1, metric="cosine")
    expected = cross_val_score(oracle, features, codes, cv=LeaveOneOut()).mean()
    assert neighbours_accuracy(features, codes, k=1) == pytest.approx(expected)


def test_copies_in_one_group_do_not_vouch_for_each_other():
    features, _ = blobs(n=20, apart=0.0)
    copies, codes = np.repeat(features, 2, axis=0), np.repeat(np.arange(20) % 2, 2)
    groups = np.repeat(np.arange(20), 2)
    assert neighbours_accuracy(copies, codes, k=1) == 1.0
    assert neighbours_accuracy(copies, codes, k=1, groups=groups) < 0.95


def test_the_probe_tells_classes_apart_and_finds_nothing_in_noise():
    rng = np.random.default_rng(0)
    rows = np.arange(200)
    folds = [(rows[rows % 5 != fold], rows[rows % 5 == fold]) for fold in range(5)]
    far, codes = blobs(n=200, apart=4.0)
    assert probe_right(far, codes, folds).mean() > 0.9
    noise = probe_right(rng.standard_normal((200, 30)), rng.permutation(codes), folds).mean()
    assert 0.2 < noise < 0.47


@pytest.mark.parametrize("score", [logme, h_score, neighbours_accuracy])
def test_what_cannot_be_scored_is_refused(score):
    features, codes = blobs()
    with pytest.raises(UsageError, match="shapes"):
        score(features, codes[:-1])
    with pytest.raises(UsageError, match="one class"):
        score(features, np.zeros(len(codes), int))
    with pytest.raises(UsageError, match="finite"):
        score(np.where(features > 2, np.nan, features), codes)
    with pytest.raises(UsageError, match="probabilities"):
        leep(features, codes)
