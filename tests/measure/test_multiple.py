"""Corrections for many pairs equal statsmodels', and effect sizes their own definitions."""

import gc
import math
from unittest.mock import patch

import numpy as np
import pytest
from autorank._util import _cliffs_delta
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from headstart.base.errors import UsageError
from headstart.measure.cannot_tell import CannotTell
from headstart.measure.effects import (
    a12,
    cliffs_delta,
    cohens_d,
    cohens_h,
    discordant_odds,
    hedges_g,
    rank_biserial,
)
from headstart.measure.multiple import benjamini_hochberg, holm, holm_factors

chances = st.lists(st.floats(0, 1), min_size=1, max_size=12)
samples = st.lists(st.integers(-5, 5), min_size=2, max_size=12)


def theirs(p, method):
    with patch.object(gc, "collect"):  # it collects garbage at every call, which lasts where much is imported
        return multipletests(p, method=method)[1]


@given(p=chances)
def test_holm_equals_statsmodels(p):
    assert holm(p) == pytest.approx(theirs(p, "holm"))


@given(p=chances)
def test_benjamini_hochberg_equals_statsmodels(p):
    assert benjamini_hochberg(p) == pytest.approx(theirs(p, "fdr_bh"))


@given(p=chances)
def test_factors_lie_between_one_and_the_number_of_tests_and_make_the_adjusted_p(p):
    factors = holm_factors(p)
    assert ((factors >= 1 - 1e-12) & (factors <= len(p) + 1e-9)).all()
    assert np.minimum(1, factors * p) == pytest.approx(holm(p))


@pytest.mark.parametrize("p", [[-0.1], [1.2], [math.nan], [[0.1]]])
def test_what_is_no_p_value_is_refused(p):
    with pytest.raises(UsageError):
        holm(p)


@given(a=samples, b=samples)
def test_cliffs_delta_equals_autoranks_and_mirrors(a, b):
    assert cliffs_delta(a, b).value == pytest.approx(_cliffs_delta(a, b))
    assert cliffs_delta(b, a).value == pytest.approx(-cliffs_delta(a, b).value)
    assert a12(a, b).value == pytest.approx((cliffs_delta(a, b).value + 1) / 2)


@given(pairs=st.lists(st.tuples(st.integers(-5, 5), st.integers(-5, 5)), min_size=2, max_size=12))
def test_paired_effects_mirror_when_the_methods_swap(pairs):
    a, b = np.array(pairs, dtype=float).T
    assert rank_biserial(a, b).value == -rank_biserial(b, a).value
    assert -1 <= rank_biserial(a, b).value <= 1
    for effect in (cohens_d, hedges_g):
        there, back = effect(a, b), effect(b, a)
        if isinstance(there, CannotTell):
            assert there == back
        else:
            assert there.value == pytest.approx(-back.value)


def test_kerbys_rank_biserial_is_favourable_minus_unfavourable_ranks():
    assert rank_biserial([1, 2, 3], [0, 0, 4]).value == pytest.approx((1.5 - 1.5 + 3) / 6)


def test_effects_carry_their_usual_names():
    assert cohens_h(0.5, 0.5).magnitude == "negligible"
    assert cohens_h(0.9, 0.6).magnitude == "medium"
    assert cohens_h(1.0, 0.0).value == pytest.approx(math.pi)
    assert cliffs_delta([3, 4], [1, 2]).magnitude == "large"
    assert discordant_odds(20, 10).value == 2
    assert discordant_odds(20, 10).magnitude == discordant_odds(10, 20).magnitude == "small"
    assert discordant_odds(3, 0).value == math.inf


def test_without_spread_or_discordant_images_there_is_no_number():
    assert cohens_d([1, 1, 1], [1, 1, 1]).value == 0
    assert isinstance(cohens_d([0.3, 0.3, 0.3], [0.2, 0.2, 0.2]), CannotTell)
    assert isinstance(cohens_d([1], [2]), CannotTell)
    assert "same images" in discordant_odds(0, 0).reason
    assert rank_biserial([1, 1], [1, 1]).value == 0
    with pytest.raises(UsageError):
        cohens_d([1, 2], [1, 2, 3])
    with pytest.raises(UsageError):
        cohens_h(1.2, 0.5)
