"""Methods over data sets: equal to autorank's, scikit-posthocs' and Demsar's published example."""

import gc
import math
from itertools import combinations
from unittest.mock import patch

import autorank
import numpy as np
import pandas as pd
import pytest
import scikit_posthocs
from autorank._util import get_sorted_rank_groups
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import friedmanchisquare
from statsmodels.stats.multitest import multipletests

from headstart.base.errors import UsageError
from headstart.measure.cannot_tell import CannotTell
from headstart.measure.many import compare_over_datasets, critical_difference
from headstart.measure.verdict_words import comparison_words

# Demsar (2006), table 6: AUC of C4.5, with m tuned, with cf tuned, with both, on 14 data sets
DEMSAR = np.array(
    [
        [0.763, 0.768, 0.771, 0.798], [0.599, 0.591, 0.590, 0.569], [0.954, 0.971, 0.968, 0.967],
        [0.628, 0.661, 0.654, 0.657], [0.882, 0.888, 0.886, 0.898], [0.936, 0.931, 0.916, 0.931],
        [0.661, 0.668, 0.609, 0.685], [0.583, 0.583, 0.563, 0.625], [0.775, 0.838, 0.866, 0.875],
        [1.000, 1.000, 1.000, 1.000], [0.940, 0.962, 0.965, 0.962], [0.619, 0.666, 0.614, 0.669],
        [0.972, 0.981, 0.9751, 0.975], [0.957, 0.978, 0.946, 0.970],
    ]
)  # fmt: skip
NAMES = ["C4.5", "C4.5+m", "C4.5+cf", "C4.5+m+cf"]


def table(seed, n=12, k=5, step=0.15):
    return np.random.default_rng(seed).random((n, k)) + step * np.arange(k)


def test_demsars_published_example():
    found = compare_over_datasets(NAMES, DEMSAR)
    assert found.mean_ranks == pytest.approx((3.143, 2.000, 2.893, 1.964), abs=5e-4)
    # the paper's 9.28 and 3.69 leave out the correction for its ties
    plain = 12 * 14 / (4 * 5) * (np.sum(np.square(found.mean_ranks)) - 4 * 25 / 4)
    assert plain == pytest.approx(9.28, abs=0.01)
    assert found.friedman.chi2 == pytest.approx(friedmanchisquare(*DEMSAR.T).statistic)
    assert found.friedman.chi2 >= plain
    assert found.friedman.f > 2.85
    assert found.critical_difference == pytest.approx(1.25, abs=0.01)
    assert found.order == ("C4.5+m+cf", "C4.5+m", "C4.5+cf", "C4.5")


@pytest.mark.parametrize("seed", range(4))
def test_ranks_critical_difference_and_groups_equal_autoranks(seed):
    scores = table(seed)
    found = compare_over_datasets(list("abcde"), scores)
    theirs = autorank.autorank(
        pd.DataFrame(scores, columns=list("abcde")), order="descending", force_mode="nonparametric"
    )
    assert found.friedman.chi2_p == pytest.approx(theirs.pvalue)
    assert found.critical_difference == pytest.approx(theirs.cd, rel=1e-3)
    assert dict(zip(found.methods, found.mean_ranks, strict=True)) == pytest.approx(
        theirs.rankdf["meanrank"].to_dict()
    )
    _, names, groups = get_sorted_rank_groups(theirs, False)
    theirs_too = {frozenset(names[first : last + 1]) for first, last in groups}
    assert {frozenset(group) for group in found.nemenyi_groups} == theirs_too


def test_pairs_equal_scikit_posthocs_on_its_documented_example():
    scores = np.array([[31, 27, 24], [31, 28, 31], [45, 29, 46], [21, 18, 48], [42, 36, 46], [32, 17, 40.0]])
    found = compare_over_datasets(["a", "b", "c"], scores)
    assert np.array(found.nemenyi_p) == pytest.approx(
        np.asarray(scikit_posthocs.posthoc_nemenyi_friedman(scores))
    )
    theirs = np.asarray(scikit_posthocs.posthoc_wilcoxon(list(scores.T), p_adjust="holm"))
    assert np.array(found.holm_p) == pytest.approx(theirs)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 500), k=st.integers(2, 6))
def test_groups_hold_exactly_the_pairs_that_cannot_be_told_apart(seed, k):
    names = tuple("abcdef"[:k])
    found = compare_over_datasets(names, table(seed, k=k))
    upper = np.triu_indices(k, 1)
    with patch.object(gc, "collect"):  # it collects garbage at every call, which lasts where much is imported
        theirs = multipletests(np.array(found.wilcoxon_p)[upper], method="holm")[1]
    assert np.array(found.holm_p)[upper] == pytest.approx(theirs)
    for matrix, groups in ((found.holm_p, found.holm_groups), (found.nemenyi_p, found.nemenyi_groups)):
        for i, j in combinations(range(k), 2):
            together = any({names[i], names[j]} <= set(group) for group in groups)
            assert together == (matrix[i][j] >= 0.05)
        assert not any(set(one) < set(other) for one in groups for other in groups)


def test_the_order_of_methods_and_data_sets_is_nothing():
    scores = table(1)
    found = compare_over_datasets(list("abcde"), scores)
    turned = compare_over_datasets(list("edcba"), scores[::-1, ::-1])
    assert found.mean_ranks == turned.mean_ranks[::-1]
    assert found.holm_p[0][4] == pytest.approx(turned.holm_p[4][0])
    assert found.effects[0][4].value == -turned.effects[0][4].value


def test_nemenyis_critical_values_are_demsars_table():
    for k, q in ((2, 1.960), (3, 2.343), (4, 2.569), (5, 2.728), (10, 3.164)):
        assert critical_difference(k, 10) / math.sqrt(k * (k + 1) / 60) == pytest.approx(q, abs=1e-3)


def test_constant_scores_two_methods_and_full_agreement_have_clear_outcomes():
    level = compare_over_datasets(list("abc"), np.full((6, 3), 0.5))
    assert level.friedman.chi2_p == level.friedman.f_p == 1
    assert level.holm_groups == (("a", "b", "c"),)
    two = compare_over_datasets(["a", "b"], table(0, n=8, k=2, step=1.0))
    assert isinstance(two.friedman, CannotTell)
    assert two.wilcoxon_p[0][1] == pytest.approx(2**-7)
    agree = compare_over_datasets(list("abc"), np.arange(3) + np.zeros((5, 1)))
    assert agree.friedman.f == math.inf
    assert agree.friedman.f_p == pytest.approx(6.0**-4)


def test_one_data_set_cannot_tell_and_missing_cells_are_named():
    assert isinstance(compare_over_datasets(["a", "b"], [[0.1, 0.2]]), CannotTell)
    with pytest.raises(UsageError, match="b on data set 2"):
        compare_over_datasets(["a", "b"], [[0.1, 0.2], [0.1, np.nan]])
    with pytest.raises(UsageError, match="different names"):
        compare_over_datasets(["a", "a"], [[0.1, 0.2]])
    with pytest.raises(UsageError, match="columns"):
        compare_over_datasets(["a"], [[0.1, 0.2]])


def test_false_alarms_of_friedman_and_holm_stay_near_their_level():
    g, friedman_alarms, holm_alarms, trials = np.random.default_rng(0), 0, 0, 150
    for _ in range(trials):
        found = compare_over_datasets(list("abcd"), g.random((12, 4)))
        friedman_alarms += found.friedman.f_p < 0.05
        holm_alarms += np.array(found.holm_p).min() < 0.05
    assert friedman_alarms / trials <= 0.1
    assert holm_alarms / trials <= 0.1


def test_the_words_name_the_best_and_who_is_level_with_it():
    said = comparison_words(compare_over_datasets(list("abc"), table(0, n=10, k=3, step=1.0)))
    assert "c has the best mean rank (1.00 of 3 methods)" in said
    assert "differs from every other method" in said
    assert "not distinguishable from any of" in comparison_words(
        compare_over_datasets(list("abc"), table(3, n=6, k=3, step=0))
    )
