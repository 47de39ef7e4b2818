"""Holm's correction is over all pairs of methods, also where only those with the best are shown."""

import numpy as np
import pytest

from headstart.measure.multiple import holm
from headstart.measure.paired import accuracy_p, paired_accuracy
from headstart.measure.verdicts import compare_all, compare_all_by, compare_all_splits


def answers(seed, n_methods=5, n_seeds=1, n=200):
    g = np.random.default_rng(seed)
    image = g.normal(1, 1.2, n)
    return [image + 0.25 * at + g.normal(0, 0.4, (n_seeds, n)) > 0 for at in range(n_methods)]


@pytest.mark.parametrize("n_seeds", [1, 3])
@pytest.mark.parametrize("against", [0, 2, 4])
def test_pairs_with_the_best_are_corrected_for_every_pair(n_seeds, against):
    names, correct = list("abcde"), answers(1, n_seeds=n_seeds)
    whole, part = compare_all(names, correct), compare_all(names, correct, against=against)
    assert len(whole.pairs) == 10 and len(part.pairs) == 4
    for pair in part.pairs:
        same = whole.between(pair.a, pair.b)
        assert pair.a == names[against] and pair.n_pairs == 10
        assert (pair.p, pair.difference.level) == (same.p, same.difference.level)
        assert abs(pair.difference.value) == pytest.approx(abs(same.difference.value))
        assert "both Holm-adjusted for 10 pairs" in pair.words


def test_a_pair_that_only_the_smaller_family_would_tell_apart_is_not_told_apart():
    """The pairs with the best alone would give a smaller p: three tests in place of six."""
    g = np.random.default_rng(0)
    base = np.array([1] * 80 + [0] * 20)
    correct = [base, *(np.where(g.permutation(100) < 9, 0, base) for _ in range(3))]
    found = compare_all(list("abcd"), correct, against=0)
    alone = [paired_accuracy(correct[0], other).p for other in correct[1:]]
    assert [pair.p for pair in found.pairs] != pytest.approx(list(holm(alone)))
    assert all(pair.p >= adjusted for pair, adjusted in zip(found.pairs, holm(alone), strict=True))
    assert any(
        p > 0.05 > adjusted for p, adjusted in zip((e.p for e in found.pairs), holm(alone), strict=True)
    )


def test_the_other_tests_are_corrected_for_all_pairs_too():
    g = np.random.default_rng(3)
    scores = 0.8 + 0.02 * g.normal(size=(4, 8)) + 0.03 * np.arange(4)[:, None]
    part = compare_all_splits(list("abcd"), scores, test_over_train=0.25, against=3)
    truth = g.integers(0, 3, 90)
    said = [np.where(g.random(90) < 0.6 + 0.1 * at, truth, (truth + 1) % 3) for at in range(4)]
    by = compare_all_by(list("abcd"), truth, said, np.random.default_rng(0), metric="macro_f1", against=3)
    for found in (part, by):
        assert {pair.n_pairs for pair in found.pairs} == {6} and {pair.a for pair in found.pairs} == {"d"}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("n_seeds", [1, 2])
def test_the_quick_p_value_is_that_of_the_interval(seed, n_seeds):
    a, b, *_ = answers(seed, n_seeds=n_seeds)
    assert accuracy_p(a, b) == paired_accuracy(a, b).p
