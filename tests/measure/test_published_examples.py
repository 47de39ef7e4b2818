"""Equal to what autorank, baycomp and scikit-posthocs say of the examples that they publish themselves."""

import autorank
import baycomp
import numpy as np
import pandas as pd
import pytest
import scikit_posthocs
from scipy.stats import friedmanchisquare

from headstart.measure.bayes import signed_rank
from headstart.measure.many import compare_over_datasets, friedman
from headstart.measure.resampled import corrected_t, correlated_t

POSTHOCS = np.array([[31, 27, 24], [31, 28, 31], [45, 29, 46], [21, 18, 48], [42, 36, 46], [32, 17, 40.0]])
"""scikit-posthocs' example of `posthoc_nemenyi_friedman`: six blocks of three groups."""
WILCOXON = [[1, 2, 3, 4, 5], [35, 31, 75, 40, 21], [10, 6, 9, 6, 1]]
"""Its example of `posthoc_wilcoxon`: three groups of five."""


IRIS = tuple(
    np.array([int(right, 16) for right in line]) / 15
    for line in (
        "EFFFEEDDCEECDFFEFEDFFEEEDFDDEECEEEFEFFEFFBFFEFEDEEEFEDEEEEFFEDDEEFEEEEDEEFFCFFDDEFDEEFEEEEFEFDEEECEE",
        "EFFFDEDDEEECDFFEFEDFFDEEDFDDEEDECDFEFFEFFCEFEFEEEEEFEDEEEEFFEDDEEFEEEFDEEFFDEFEDEFDEEFEEEFFFFDEEEDEE",
    )
)
"""Of the data of baycomp's docs: accuracy of naive Bayes and J48 on iris, ten times ten folds of 15 images; written
as the number of images that were right, a hexadecimal digit a fold."""


@pytest.fixture(scope="module")
def populations():
    """The README of autorank 1.3.0: six populations of 50 under seed 42."""
    draw, means = np.random.RandomState(42), (0.2, 0.3, 0.5, 0.8, 0.85, 0.9)
    return pd.DataFrame({f"pop_{i}": draw.normal(mean, 0.3, 50).clip(0, 1) for i, mean in enumerate(means)})


@pytest.fixture(scope="module")
def ours(populations):
    return compare_over_datasets(list(populations), populations.to_numpy())


def test_autoranks_readme_prints_our_ranks_p_value_and_critical_difference(ours):
    printed = {"pop_5": 2.18, "pop_4": 2.29, "pop_3": 2.47, "pop_2": 3.95, "pop_1": 4.71, "pop_0": 5.40}
    assert dict(zip(ours.methods, ours.mean_ranks, strict=True)) == pytest.approx(printed, abs=1e-9)
    assert list(ours.order) == list(printed)
    assert ours.friedman.chi2_p == pytest.approx(2.3412212612346733e-28, rel=1e-9)
    assert ours.critical_difference == pytest.approx(1.0662484349869374, rel=1e-4)


def test_autorank_itself_says_the_same_of_its_example(populations, ours):
    theirs = autorank.autorank(populations, alpha=0.05, verbose=False)
    assert (theirs.omnibus, theirs.posthoc) == ("friedman", "nemenyi")
    assert ours.friedman.chi2_p == pytest.approx(theirs.pvalue)
    assert ours.critical_difference == pytest.approx(theirs.cd, rel=1e-3)
    assert dict(zip(ours.methods, ours.mean_ranks, strict=True)) == pytest.approx(
        theirs.rankdf["meanrank"].to_dict()
    )
    apart = np.abs(np.subtract.outer(ours.mean_ranks, ours.mean_ranks)) > theirs.cd
    assert (np.array(ours.nemenyi_p) < 0.05).tolist() == apart.tolist()


def test_the_bayesian_signed_rank_test_decides_as_autoranks_readme_does(populations):
    """The README prints inconclusive (0.66 and 0.82), then smaller three times, for regions from its effect sizes."""
    best = populations["pop_5"]
    chances = [
        signed_rank(best, populations[f"pop_{i}"], np.random.default_rng(0), rope=0.0).a_better
        for i in (4, 3, 2, 1, 0)
    ]
    assert [chance > 0.95 for chance in chances] == [False, False, True, True, True]
    assert chances[:2] == pytest.approx([0.66490, 0.81552], abs=0.05)


@pytest.mark.parametrize("pair", [("pop_5", "pop_4"), ("pop_5", "pop_3"), ("pop_4", "pop_2")])
@pytest.mark.parametrize("rope", [0.0, 0.05])
def test_baycomp_says_the_same_of_autoranks_example_draw_by_draw(populations, pair, rope):
    a, b = (populations[name].to_numpy() for name in pair)
    found = signed_rank(a, b, np.random.RandomState(3), rope=rope, n_draws=3000)
    theirs = baycomp.SignedRankTest(a, b, rope, nsamples=3000, random_state=3).probs()
    left, *same, right = theirs
    assert (found.a_better, found.b_better) == pytest.approx((left, right), abs=1e-9)
    assert found.same == pytest.approx(same[0] if same else 0.0, abs=1e-9)


def test_nemenyi_equals_scikit_posthocs_on_its_own_example():
    found = compare_over_datasets(["a", "b", "c"], POSTHOCS)
    theirs = np.asarray(scikit_posthocs.posthoc_nemenyi_friedman(POSTHOCS))
    assert np.array(found.nemenyi_p) == pytest.approx(theirs)
    assert friedman(POSTHOCS).chi2 == pytest.approx(friedmanchisquare(*POSTHOCS.T).statistic)


@pytest.mark.parametrize("table", [np.array(WILCOXON, dtype=float).T, POSTHOCS])
def test_wilcoxon_with_holm_equals_scikit_posthocs_on_its_own_examples(table):
    found = compare_over_datasets(["a", "b", "c"], table)
    alone = np.asarray(scikit_posthocs.posthoc_wilcoxon(list(table.T)))
    adjusted = np.asarray(scikit_posthocs.posthoc_wilcoxon(list(table.T), p_adjust="holm"))
    assert np.array(found.wilcoxon_p) == pytest.approx(alone) and np.array(found.holm_p) == pytest.approx(
        adjusted
    )


@pytest.mark.parametrize("rope", [0.0, 0.005])
def test_the_correlated_t_test_equals_baycomps_on_the_data_of_its_docs(rope):
    """Its docs call `two_on_single(nbc, j48)`; ten repeats of ten folds have n_test / n_train = 1 / 9."""
    nbc, j48 = IRIS
    assert (len(nbc), round(float(nbc.mean()), 4), round(float(j48.mean()), 4)) == (100, 0.9333, 0.936)
    found = correlated_t(nbc, j48, test_over_train=1 / 9, rope=rope)
    left, *same, right = baycomp.two_on_single(nbc, j48, rope=rope, runs=10)
    assert (found.a_better, found.b_better) == pytest.approx((left, right), abs=1e-9)
    assert found.same == pytest.approx(same[0] if same else 0.0, abs=1e-9)


def test_the_corrected_t_test_over_repeated_folds_agrees_with_baycomp_on_them():
    nbc, j48 = IRIS
    left, right = baycomp.two_on_single(nbc, j48, runs=10)
    assert corrected_t(nbc, j48, test_over_train=1 / 9).p == pytest.approx(2 * min(left, right), abs=1e-9)
