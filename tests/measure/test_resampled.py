"""Repeated splits: the corrected t-test against baycomp's, and its false alarms."""

import baycomp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.base.errors import UsageError
from headstart.measure.bayes import signed_rank
from headstart.measure.cannot_tell import CannotTell
from headstart.measure.resampled import corrected_t, correlated_t

scores = st.lists(st.floats(0, 1), min_size=10, max_size=10)


@given(a=scores, b=scores, rope=st.sampled_from([0.0, 0.01, 0.1]))
def test_the_correlated_t_equals_baycomps(a, b, rope):
    found = correlated_t(a, b, test_over_train=1 / 4, rope=rope)
    if isinstance(found, CannotTell):
        assert np.std(np.subtract(a, b), ddof=1) <= 1e-12
        return
    left, *same, right = baycomp.CorrelatedTTest.probs(np.array(a), np.array(b), rope=rope, runs=2)
    assert (found.a_better, found.b_better) == pytest.approx((left, right), abs=1e-9)
    assert found.same == pytest.approx(same[0] if same else 0, abs=1e-9)


@given(a=scores, b=scores, level=st.sampled_from([0.9, 0.95, 0.99]))
def test_corrected_t_mirrors_and_its_interval_agrees_with_p(a, b, level):
    there = corrected_t(a, b, test_over_train=0.25, level=level)
    back = corrected_t(b, a, test_over_train=0.25, level=level)
    if isinstance(there, CannotTell):
        assert there == back
        return
    assert (there.low, there.high, there.p) == pytest.approx((-back.high, -back.low, back.p))
    if abs(there.p - 1 + level) > 1e-9:
        assert (there.p < 1 - level) == (there.low > 0 or there.high < 0)


def test_one_sided_p_and_posterior_are_the_same_number():
    a, b = [0.80, 0.84, 0.82, 0.79], [0.75, 0.77, 0.79, 0.80]
    found, posterior = (
        test(a, b, test_over_train=1 / 3)
        for test in (corrected_t, lambda *x, **k: correlated_t(*x, rope=0, **k))
    )
    assert found.p / 2 == pytest.approx(posterior.b_better)


def test_the_correction_keeps_false_alarms_of_overlapping_splits_near_their_level():
    g, plain, corrected, trials = np.random.default_rng(0), 0, 0, 300
    from scipy.stats import ttest_1samp

    for _ in range(trials):
        images = g.normal(size=100)  # per-image difference of two methods that are alike
        means = np.array([images[g.permutation(100)[:50]].mean() for _ in range(10)])
        plain += ttest_1samp(means, 0).pvalue < 0.05
        corrected += corrected_t(means, np.zeros(10), test_over_train=1.0).p < 0.05
    assert plain / trials > 0.2
    assert corrected / trials <= 0.08


@pytest.mark.parametrize("pair", [([0.8], [0.7]), ([0.8, 0.9], [0.7, 0.8]), ([0.8, 0.9], [0.8, 0.9])])
def test_one_split_or_no_spread_cannot_tell(pair):
    assert isinstance(corrected_t(*pair, test_over_train=0.25), CannotTell)
    assert isinstance(correlated_t(*pair, test_over_train=0.25), CannotTell)


def test_scores_that_are_no_pairs_are_refused():
    with pytest.raises(UsageError, match="same splits"):
        corrected_t([0.1, 0.2], [0.1], test_over_train=0.25)
    with pytest.raises(UsageError, match="NaN"):
        corrected_t([0.1, np.nan], [0.1, 0.2], test_over_train=0.25)
    with pytest.raises(UsageError, match="test_over_train"):
        corrected_t([0.1, 0.2], [0.1, 0.2], test_over_train=0)
    with pytest.raises(UsageError, match="rope"):
        correlated_t([0.1, 0.2], [0.1, 0.2], test_over_train=1, rope=-1)


@pytest.mark.parametrize("rope", [0.0, 0.01, 0.05])
def test_the_bayesian_signed_rank_equals_baycomps_draw_by_draw(rope):
    g = np.random.default_rng(5)
    a = g.random(15)
    b = a + g.normal(0.01, 0.03, 15)
    found = signed_rank(a, b, np.random.RandomState(7), rope=rope, n_draws=3000)
    theirs = baycomp.SignedRankTest(a, b, rope, nsamples=3000, random_state=7).probs()
    assert (found.a_better, found.same, found.b_better) == pytest.approx(tuple(theirs), abs=1e-9)


def test_the_bayesian_signed_rank_is_sure_mirrors_and_knows_equals():
    g = np.random.default_rng(6)
    a, b = g.random(12), None
    b = a - 0.05 - 0.01 * g.random(12)
    there = signed_rank(a, b, np.random.default_rng(0), rope=0.01, n_draws=4000)
    back = signed_rank(b, a, np.random.default_rng(0), rope=0.01, n_draws=4000)
    assert there.a_better > 0.99
    assert there.a_better == back.b_better
    equal = signed_rank(a, a + 0.001, np.random.default_rng(0), rope=0.01, n_draws=4000)
    assert equal.same > 0.99
    one = signed_rank([0.9], [0.8], np.random.default_rng(0), n_draws=4000)
    assert one.a_better + one.same + one.b_better == pytest.approx(1)
    assert one.a_better < 0.95
    with pytest.raises(UsageError):
        signed_rank([0.9, np.nan], [0.8, 0.7], np.random.default_rng(0))
