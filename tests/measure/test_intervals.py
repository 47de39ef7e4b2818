"""Intervals cover what they claim to cover."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, t

from headstart.base.errors import UsageError
from headstart.measure import intervals
from headstart.measure.intervals import less_one_error, over_seeds, percentile_interval, resamples, wilson
from headstart.measure.metrics import evaluate
from headstart.measure.values import Score


@given(n=st.integers(1, 500), share=st.floats(0, 1))
def test_wilson_equals_scipys(n, share):
    k = round(n * share)
    expected = binomtest(k, n).proportion_ci(0.95, method="wilson")
    assert wilson(k, n) == pytest.approx((expected.low, expected.high), abs=1e-9)


@pytest.mark.parametrize(("k", "n"), [(0, 0), (3, 2), (-1, 4)])
def test_wilson_refuses_what_is_no_proportion(k, n):
    with pytest.raises(UsageError):
        wilson(k, n)


def test_resamples_are_blocks_of_rows_that_add_up(monkeypatch):
    monkeypatch.setattr(intervals, "DRAWS_AT_ONCE", 250)
    blocks = list(resamples(10, seed=0, n_resamples=60))
    assert [len(block) for block in blocks] == [25, 25, 10]
    assert all(block.min() >= 0 and block.max() < 10 for block in blocks)


def test_a_centred_interval_holds_its_value_though_every_draw_is_above_it():
    low, high = percentile_interval(0.05, np.linspace(0.06, 0.12, 100), centred=True)
    assert low < 0.05 < high


def test_bootstrap_intervals_of_the_log_loss_cover_the_truth_about_as_often_as_claimed():
    generator = np.random.default_rng(0)
    p_true = np.array([0.8, 0.2])
    truth = -(p_true * np.log(p_true)).sum()
    n_inside = 0
    for trial in range(120):
        y = (generator.random(150) < 0.2).astype(int)
        score = evaluate(y, np.tile(p_true, (150, 1)), ["a", "b"], seed=trial).scores["log_loss"]
        n_inside += score.low <= truth <= score.high
    assert 0.88 <= n_inside / 120 <= 1


def test_one_seed_keeps_its_own_interval():
    score = Score(0.8, 0.7, 0.9, 100)
    assert over_seeds([score]) is score


def test_seeds_without_spread_keep_the_images_interval_and_count_as_seeds():
    scores = [Score(0.8, 0.7, 0.85, 100)] * 3
    mean = over_seeds(scores)
    assert (mean.value, mean.low, mean.high) == pytest.approx((0.8, 0.7, 0.85))
    assert (mean.n, mean.n_seeds) == (100, 3)


def test_images_and_seeds_add_in_quadrature_with_students_t():
    scores = [Score(v, v - 0.03, v + 0.02, n) for v, n in ((0.80, 90), (0.82, 100), (0.87, 100))]
    half = t.ppf(0.975, 2) * np.std([0.80, 0.82, 0.87], ddof=1) / np.sqrt(3)
    mean = over_seeds(scores)
    assert mean.value == pytest.approx(0.83)
    assert mean.low == pytest.approx(0.83 - np.hypot(0.03, half))
    assert mean.high == pytest.approx(0.83 + np.hypot(0.02, half))
    assert mean.n == 90


def test_shares_end_at_one_and_losses_do_not():
    scores = [Score(0.9, 0.85, 0.95, 50), Score(0.99, 0.95, 1.0, 50)]
    assert over_seeds(scores).high == 1.0
    assert over_seeds(scores, metric="log_loss").high > 1
    assert over_seeds([Score(1.2, 1.0, 1.4, 9), Score(1.4, 1.2, 1.6, 9)]).high > 1.3
    with pytest.raises(UsageError, match="none"):
        over_seeds([])


@settings(max_examples=50, deadline=None)
@given(values=st.lists(st.floats(0, 1), min_size=2, max_size=6), half=st.floats(0, 0.2))
def test_the_interval_over_seeds_is_never_narrower_than_that_over_images(values, half):
    scores = [Score(v, max(0, v - half), min(1, v + half), 100) for v in values]
    mean = over_seeds(scores)
    assert 0 <= mean.low <= mean.value + 1e-12
    assert mean.value - 1e-12 <= mean.high <= 1
    below = np.mean([s.value - s.low for s in scores])
    assert mean.low <= max(0, mean.value - below) + 1e-12


def test_a_score_less_one_error_keeps_the_order_of_equally_many_images_and_lets_few_stand_back():
    scores = [-0.3, 0.0, 0.01, 0.2, 0.5, 0.9, 0.99, 1.0]
    for n in (1, 4, 20, 1000):
        found = [less_one_error(score, n) for score in scores]
        assert found == sorted(found) and len(set(found)) == len(found)
        assert all(low <= max(score, 0.0) for low, score in zip(found, scores, strict=True))
    assert [less_one_error(0.8, n) for n in (5, 50, 500)] == sorted(
        less_one_error(0.8, n) for n in (5, 50, 500)
    )
    plain = 0.7 - (0.7 * 0.3 / 4000) ** 0.5
    assert less_one_error(0.7, 4000) == pytest.approx(plain, abs=2e-4)
