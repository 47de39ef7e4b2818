"""A few splits with test images of their own: every run counts, false alarms stay below their level."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.base.errors import UsageError
from headstart.measure.cannot_tell import CannotTell
from headstart.measure.paired import paired_accuracy
from headstart.measure.paired_bootstrap import metric_draws
from headstart.measure.paired_splits import compare_all_over_splits, paired_over_splits
from headstart.measure.split_bootstrap import compare_all_by_over_splits


def splits(seed, n_splits=3, gap=0.0, n=120, n_test=40):
    """Right and wrong of two methods on random test sets of one data set."""
    g = np.random.default_rng(seed)
    hard = g.random(n)
    images = [g.permutation(n)[:n_test] for _ in range(n_splits)]
    a, b = (
        [(hard[which] + 0.1 * g.normal(size=n_test)) < skill for which in images]
        for skill in (0.6 + gap, 0.6)
    )
    return a, b, images


@given(seed=st.integers(0, 5000), n_splits=st.integers(1, 5), gap=st.sampled_from([0.0, 0.1, 0.3]),
       level=st.sampled_from([0.9, 0.95, 0.999]))  # fmt: skip
def test_interval_and_p_agree_and_mirror(seed, n_splits, gap, level):
    a, b, images = splits(seed, n_splits, gap)
    there, back = (paired_over_splits(x, y, images, level=level) for x, y in ((a, b), (b, a)))
    assert there.low <= there.value <= there.high
    assert (there.low, there.high, there.p) == pytest.approx((-back.high, -back.low, back.p), abs=1e-9)
    if abs(there.p - 1 + level) > 1e-9:
        assert (there.p < 1 - level) == (there.low > 0 or there.high < 0)


def test_every_split_counts():
    """What the later splits show changes the difference, its interval and its p-value."""
    a, b, images = splits(1, gap=0.1)
    found = paired_over_splits(a, b, images)
    other = paired_over_splits([a[0], b[1], b[2]], [b[0], a[1], a[2]], images)
    alone = paired_accuracy(a[0], b[0])
    assert found.value == pytest.approx(np.mean([x.mean() - y.mean() for x, y in zip(a, b, strict=True)]))
    assert found.value > other.value and found.p != alone.p and found.n > len(images[0])


def test_one_split_is_mcnemars_test():
    a, b, images = splits(2, n_splits=1, gap=0.2)
    assert paired_over_splits(a, b, images) == paired_accuracy(a[0], b[0])


def test_the_same_images_in_every_split_give_the_variance_over_images_and_splits():
    g = np.random.default_rng(0)
    a, b = g.random((3, 200)) < 0.8, g.random((3, 200)) < 0.7
    found = paired_over_splits(list(a), list(b), [np.arange(200)] * 3)
    each = a.mean(axis=0) - b.mean(axis=0)
    per_split = a.mean(axis=1) - b.mean(axis=1)
    expected = np.sqrt(each.var() / 200 + per_split.var(ddof=1) / 3)
    assert found.standard_error == pytest.approx(expected, rel=0.02)


def nearest_mean(train, labels, test):
    centres = np.array([train[labels == k].mean(axis=0) for k in (0, 1)])
    return ((test[:, None] - centres) ** 2).sum(axis=2).argmin(axis=1)


@pytest.mark.parametrize("n_splits", [2, 3, 4])
def test_false_alarms_of_two_methods_of_equal_skill_stay_below_their_level(n_splits):
    """Nearest means on two sets of columns that are alike, over random splits of fresh data sets."""
    g, alarms, trials, p = np.random.default_rng(n_splits), 0, 250, 10
    for _ in range(trials):
        y = g.integers(0, 2, 150)
        x = g.normal(size=(150, 2 * p))
        x[:, [0, p]] += y[:, None]
        a, b, images = [], [], []
        for _ in range(n_splits):
            order = g.permutation(150)
            test, train = order[:30], order[30:120]
            for said, columns in ((a, slice(0, p)), (b, slice(p, None))):
                said.append(nearest_mean(x[train][:, columns], y[train], x[test][:, columns]) == y[test])
            images.append(test)
        alarms += paired_over_splits(a, b, images).p < 0.05
    assert alarms / trials <= 0.07


def test_each_pair_is_compared_on_the_splits_that_both_have():
    a, b, images = splits(4, gap=0.2)
    which = dict(enumerate(images))
    runs = [dict(enumerate(a)), dict(enumerate(b)), {0: b[0]}, {7: b[1]}]
    found = compare_all_over_splits(list("abcd"), runs, {**which, 7: images[1]}, against=0)
    whole, one, none = found.pairs
    assert whole.difference.value == paired_over_splits(a, b, images).value
    assert one.difference.n == len(images[0]) and {p.n_pairs for p in found.pairs} == {6}
    assert isinstance(none.difference, CannotTell) and none.kind == "not distinguishable"


def coded(seed, gap):
    a, b, images = splits(seed, gap=gap, n=300, n_test=100)
    truth = np.random.default_rng(seed + 1).integers(0, 3, 300)
    said = [
        [np.where(right, truth[w], (truth[w] + 1) % 3) for right, w in zip(m, images, strict=True)]
        for m in (a, b)
    ]
    return said, {s: truth[w] for s, w in enumerate(images)}, dict(enumerate(images)), (a, b)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 500), gap=st.sampled_from([0.0, 0.1, 0.3]))
def test_the_bootstrap_of_accuracy_is_a_little_wider_than_the_t_tests_standard_error(seed, gap):
    said, truth, images, (a, b) = coded(seed, gap)
    runs = [dict(enumerate(one)) for one in said]
    found = compare_all_by_over_splits(
        ["a", "b"], runs, truth, images, np.random.default_rng(0), metric="accuracy", n_draws=1999
    ).pairs[0].difference  # fmt: skip
    known = paired_over_splits(a, b, list(images.values()))
    assert found.value == pytest.approx(known.value) and found.n == known.n
    assert 0.9 < found.standard_error / known.standard_error < 1.5


def test_a_metric_over_splits_is_the_mean_of_the_splits_own():
    said, truth, images, _ = coded(3, 0.2)
    runs = [dict(enumerate(one)) for one in said]
    found = compare_all_by_over_splits(
        ["a", "b"], runs, truth, images, np.random.default_rng(0), metric="macro_f1", n_draws=499
    )  # fmt: skip
    own = [
        [metric_draws(truth[s], [one[s]], np.random.default_rng(0), metric="macro_f1", n_draws=100).values[0]
         for s in range(3)]
        for one in said
    ]  # fmt: skip
    assert found.scores == pytest.approx(np.mean(own, axis=1))
    assert found.pairs[0].difference.value == pytest.approx(np.mean(own[0]) - np.mean(own[1]))
    assert found.pairs[0].kind == "better"


def test_arrays_that_do_not_agree_are_refused():
    a, b, images = splits(5)
    with pytest.raises(UsageError, match="for every split"):
        paired_over_splits(a, b[:2], images)
    with pytest.raises(UsageError, match="each once"):
        paired_over_splits(a, b, [images[0], images[1], np.zeros(40, dtype=int)])
    said, truth, which, _ = coded(5, 0.1)
    runs = [dict(enumerate(one)) for one in said]
    with pytest.raises(UsageError, match="one true class an image"):
        compare_all_by_over_splits(
            ["a", "b"], runs, {**truth, 1: (truth[1] + 1) % 3}, which, np.random.default_rng(0), metric="macro_f1"
        )  # fmt: skip
