"""Means over datasets: against the textbook's t, never narrower than the noise, and right about the spread."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from headstart.measure.between import pooled


def test_with_hardly_any_noise_the_mean_of_many_datasets_is_judged_by_students_t():
    values = [0.03, 0.05, 0.01, 0.04]
    found = pooled(values, [[(1e-12, 9.0)]] * 4)
    expected = stats.ttest_1samp(values, 0)
    assert 2 * stats.t.sf(found.value / found.error, found.degrees) == pytest.approx(expected.pvalue)
    assert found.between == pytest.approx(np.std(values, ddof=1)) and found.differ_p < 1e-6


def test_equal_values_leave_the_noise_of_each():
    found = pooled([0.02] * 3, [[(0.0009, 40.0), (0.0, 0.0)]] * 3)
    assert found.error == pytest.approx(0.03 / 3**0.5) and found.degrees == 2
    assert found.between == 0 and found.differ_p == pytest.approx(1)


def test_two_datasets_are_told_apart_as_welch_does():
    draw = np.random.default_rng(0)
    one, other = draw.normal(0.1, 1, 30), draw.normal(0.9, 2, 20)
    parts = [[(each.var(ddof=1) / len(each), len(each) - 1.0)] for each in (one, other)]
    found = pooled([one.mean(), other.mean()], parts)
    assert found.differ_p == pytest.approx(stats.ttest_ind(one, other, equal_var=False).pvalue)


def test_two_datasets_that_differ_are_judged_by_their_difference():
    alike, apart = (pooled([0.1, low], [[(0.0001, 60.0)]] * 2) for low in (0.09, -0.1))
    assert alike.degrees == pytest.approx(120) and alike.error == pytest.approx(0.01 / 2**0.5)
    assert apart.degrees == 1 and apart.error == pytest.approx(0.1)


def test_the_interval_holds_the_mean_of_all_datasets_as_often_as_it_says():
    draw, held = np.random.default_rng(1), 0
    for _ in range(400):
        noise = draw.uniform(0.01, 0.05, 4)
        values = 0.02 + draw.normal(0, 0.03, 4) + draw.normal(0, noise)
        found = pooled(values, [[(v**2, 200.0)] for v in noise])
        held += abs(found.value - 0.02) <= stats.t.isf(0.025, found.degrees) * found.error
    assert held / 400 >= 0.93
