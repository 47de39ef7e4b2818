"""What could have been seen: formulas against simulated studies."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import wilcoxon
from statsmodels.stats.power import TTestPower

from headstart.base.errors import UsageError
from headstart.measure.cannot_tell import CannotTell
from headstart.measure.paired import _mcnemar_p
from headstart.measure.power import (
    images_needed,
    smallest_of_error,
    smallest_over_datasets,
    smallest_paired,
    smallest_resampled,
)


@pytest.mark.parametrize(("n", "differing"), [(500, 0.1), (2000, 0.05), (300, 0.3)])
def test_mcnemar_finds_the_smallest_difference_four_times_in_five(n, differing):
    difference = smallest_paired(n, differing)
    shares = [(differing + difference) / 2, (differing - difference) / 2, 1 - differing]
    drawn = np.random.default_rng(0).multinomial(n, shares, size=1500)
    found = np.mean([_mcnemar_p(int(a), int(b), "mid-p") < 0.05 for a, b, _ in drawn])
    assert found == pytest.approx(0.8, abs=0.05)


@given(n=st.integers(50, 5000), differing=st.floats(0.05, 1))
def test_images_needed_is_the_inverse_of_the_smallest_difference(n, differing):
    difference = smallest_paired(n, differing)
    if not isinstance(difference, CannotTell):
        assert 0 < difference <= differing
        assert images_needed(difference, differing) == pytest.approx(n, abs=1.5)


def test_too_few_differing_images_cannot_tell():
    assert "3 of 100 images" in smallest_paired(100, 0.03).reason
    assert isinstance(smallest_paired(100, 0.0), CannotTell)
    assert "cannot be 10.0 points apart" in images_needed(0.1, 0.05).reason


def test_the_t_test_equals_statsmodels():
    theirs = TTestPower().solve_power(nobs=8, alpha=0.05, power=0.8)
    assert smallest_of_error(1 / math.sqrt(8), 7) == pytest.approx(theirs, rel=1e-4)
    assert smallest_of_error(1, math.inf) == pytest.approx(1.959964 + 0.841621, abs=1e-5)
    assert smallest_of_error(1, 999) == pytest.approx(smallest_of_error(1, 1001), rel=0.01)
    assert smallest_of_error(0, 5) == 0


def test_resampled_splits_need_more_than_independent_ones():
    assert smallest_resampled(0.02, 10, 0.25) == pytest.approx(
        smallest_of_error(0.02 * math.sqrt(1 / 10 + 0.25), 9)
    )
    assert isinstance(smallest_resampled(0.02, 1, 0.25), CannotTell)


def test_the_signed_rank_test_finds_its_smallest_difference_in_fresh_studies():
    difference = smallest_over_datasets(15, 0.03, np.random.default_rng(0))
    fresh = np.random.default_rng(1).normal(difference, 0.03, (2000, 15))
    assert (wilcoxon(fresh, axis=1).pvalue < 0.05).mean() == pytest.approx(0.8, abs=0.04)


def test_five_data_sets_never_reach_significance():
    assert "5 data sets" in smallest_over_datasets(5, 0.03, np.random.default_rng(0)).reason
    assert smallest_over_datasets(6, 0.03, np.random.default_rng(0)) > 0


def test_numbers_out_of_range_are_refused():
    for call in (
        lambda: smallest_paired(0, 0.1),
        lambda: smallest_paired(10, 1.1),
        lambda: images_needed(0, 0.1),
        lambda: smallest_of_error(-1, 3),
        lambda: smallest_paired(10, 0.1, power=1),
        lambda: smallest_over_datasets(8, -1, np.random.default_rng(0)),
    ):
        with pytest.raises(UsageError):
            call()
