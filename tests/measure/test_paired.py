"""Paired tests on the same images: McNemar, accuracy over seeds, bootstrap of any metric."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, f1_score
from statsmodels.stats.contingency_tables import mcnemar as oracle

from headstart.base.errors import UnknownName, UsageError
from headstart.measure.intervals import wilson
from headstart.measure.paired import mcnemar, paired_accuracy
from headstart.measure.paired_bootstrap import difference_of, metric_draws, paired_bootstrap


def runs(only_a, only_b, both, neither=0):
    """Right and wrong of two methods with these counts of images."""
    a = [1] * only_a + [0] * only_b + [1] * both + [0] * neither
    b = [0] * only_a + [1] * only_b + [1] * both + [0] * neither
    return np.array(a), np.array(b)


counts = st.tuples(st.integers(0, 40), st.integers(0, 40), st.integers(1, 60))


@given(cells=counts)
def test_mcnemar_equals_statsmodels(cells):
    a, b = runs(*cells)
    table = [[cells[2], cells[0]], [cells[1], 0]]
    assert mcnemar(a, b, kind="exact").p == pytest.approx(oracle(table, exact=True).pvalue)
    if cells[0] + cells[1] and cells[0] != cells[1]:  # statsmodels counts a tie as one image away from it
        assert mcnemar(a, b, kind="chi2").p == pytest.approx(oracle(table, exact=False).pvalue)


def test_the_mid_p_value_is_fagerlands_published_one():
    # Fagerland et al. (2013), airway hyper-responsiveness before and after transplantation: 7 against 1 of 21
    a, b = runs(7, 1, 12, 1)
    assert mcnemar(a, b).p == pytest.approx(0.0391, abs=5e-5)
    assert mcnemar(a, b, kind="exact").p == pytest.approx(0.0703, abs=5e-5)


@given(cells=counts, level=st.sampled_from([0.9, 0.95, 0.99]))
def test_the_interval_leaves_out_zero_exactly_where_p_is_small(cells, level):
    found = paired_accuracy(*runs(*cells), level=level)
    assert -1 <= found.low <= found.value <= found.high <= 1
    assert 0 <= found.p <= 1
    if abs(found.p - (1 - level)) > 1e-9:
        assert (found.p < 1 - level) == (found.low > 0 or found.high < 0)


@given(cells=counts)
def test_swapping_the_methods_mirrors_the_result(cells):
    a, b = runs(*cells)
    there, back = paired_accuracy(a, b), paired_accuracy(b, a)
    assert (there.value, there.low, there.high, there.p) == pytest.approx(
        (-back.value, -back.high, -back.low, back.p), abs=1e-9
    )


@settings(max_examples=40)
@given(seed=st.integers(0, 1000), n_a=st.integers(1, 4), n_b=st.integers(1, 4))
def test_several_seeds_mirror_too_and_the_order_of_images_and_seeds_is_nothing(seed, n_a, n_b):
    g = np.random.default_rng(seed)
    a, b = g.random((n_a, 40)) < 0.8, g.random((n_b, 40)) < 0.6
    there, back = paired_accuracy(a, b), paired_accuracy(b, a)
    order = g.permutation(40)
    shuffled = paired_accuracy(a[::-1][:, order], b[:, order])
    assert there.low == pytest.approx(-back.high)
    assert there.low == pytest.approx(shuffled.low)
    assert there.p == pytest.approx(shuffled.p)
    assert (there.p < 0.05) == (there.low > 0 or there.high < 0)


def test_no_discordant_image_is_no_certainty():
    found = paired_accuracy(*runs(0, 0, 100))
    assert (found.value, found.p, found.n_differ) == (0, 1, 0)
    assert found.high == pytest.approx(wilson(0, 100)[1])
    several = paired_accuracy(np.ones((3, 100)), np.ones((3, 100)))
    assert several.low < 0 < several.high
    assert several.p == 1


def coverage(only_a, only_b, n, trials=600):
    g = np.random.default_rng(1)
    drawn = g.multinomial(n, [only_a, only_b, 1 - only_a - only_b], size=trials)
    found = [paired_accuracy(*runs(*(int(count) for count in row))) for row in drawn]
    return np.mean([f.low <= only_a - only_b <= f.high for f in found])


@pytest.mark.parametrize("cell", [(0.1, 0.1, 100), (0.3, 0.0, 100), (0.1, 0.02, 60)])
def test_intervals_of_one_run_cover_the_truth_about_as_often_as_claimed(cell):
    assert 0.93 <= coverage(*cell) <= 0.995


def test_runs_that_are_alike_image_by_image_spread_alike_and_their_interval_is_of_images_alone():
    g = np.random.default_rng(3)
    runs = g.random((3, 200)) < np.array([[0.6], [0.75], [0.9]])
    alike, shuffled = paired_accuracy(runs, runs), paired_accuracy(runs, runs[::-1])
    assert (alike.value, alike.n_differ, alike.p) == (0, 0, 1.0)
    assert alike.high < 0.03 < 0.2 < shuffled.high
    assert alike.low == -alike.high


def alarms(spread_of_seeds, trials=400):
    """Share of false alarms of methods that are alike but for images and seeds."""
    g, found = np.random.default_rng(2), 0
    for _ in range(trials):
        image = g.normal(1.0, 1.0, 150)
        a, b = (
            image + g.normal(0, spread_of_seeds, (3, 1)) + g.normal(0, 0.5, (3, 150)) > 0 for _ in range(2)
        )
        found += paired_accuracy(a, b).p < 0.05
    return found / trials


@pytest.mark.parametrize("spread_of_seeds", [0.0, 0.3])
def test_seeds_alone_seldom_make_a_difference(spread_of_seeds):
    assert alarms(spread_of_seeds) <= 0.08


@pytest.mark.parametrize(
    ("metric", "own"),
    [
        ("balanced_accuracy", balanced_accuracy_score),
        ("macro_f1", lambda t, p: f1_score(t, p, average="macro")),
    ],
)
def test_the_bootstrap_equals_one_that_draws_image_by_image(metric, own):
    g = np.random.default_rng(3)
    true = g.integers(0, 3, 120)
    a, b = (np.where(g.random(120) < share, true, g.integers(0, 3, 120)) for share in (0.8, 0.6))
    found = paired_bootstrap(true, a, b, g, metric=metric)
    rows = g.integers(0, 120, (400, 120))
    drawn = [own(true[r], a[r]) - own(true[r], b[r]) for r in rows]
    assert found.value == pytest.approx(own(true, a) - own(true, b))
    assert found.standard_error == pytest.approx(np.std(drawn), rel=0.15)
    assert (found.low, found.high) == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.03)


def test_the_bootstrap_of_accuracy_is_a_little_wider_than_the_standard_error_over_images_and_seeds():
    # what is noise of single images in single runs is counted once more (Owen 2007, Ann. Appl. Stat. 1)
    g = np.random.default_rng(4)
    image = g.normal(1, 1.5, 400)
    a, b = (image + g.normal(0, 0.3, (4, 1)) + g.normal(0, 0.3, (4, 400)) > 0 for _ in range(2))
    found = paired_bootstrap(np.ones(400, int), a.astype(int), b.astype(int), g)
    exact = paired_accuracy(a, b)
    assert found.value == pytest.approx(exact.value)
    assert 0.9 <= found.standard_error / exact.standard_error <= 1.2


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 500), share=st.floats(0.5, 1), level=st.sampled_from([0.9, 0.95, 0.99]))
def test_the_bootstraps_interval_and_p_never_disagree(seed, share, level):
    g = np.random.default_rng(seed)
    true = g.integers(0, 2, 30)
    a, b = (np.where(g.random((2, 30)) < s, true, 1 - true) for s in (1, share))
    drawn = metric_draws(true, [a, b], g, metric="macro_f1", n_draws=999)
    there, back = difference_of(drawn, 0, 1, level=level), difference_of(drawn, 1, 0, level=level)
    assert 0 < there.p <= 1
    assert (there.p <= 1 - level + 1e-9) == (there.low > 0 or there.high < 0)
    assert (there.low, there.high, there.p) == pytest.approx((-back.high, -back.low, back.p))


def test_a_handful_of_images_cannot_be_certain_in_the_bootstrap():
    true = np.zeros(100, int)
    b = true.copy()
    b[:4] = 1
    found = paired_bootstrap(true, true, b, np.random.default_rng(0))
    assert found.p == 2**-3
    assert found.low < 0 < found.high
    same = paired_bootstrap(true, true, true, np.random.default_rng(0))
    assert (same.p, same.value) == (1, 0)
    assert same.low < 0 < same.high


def test_any_function_of_counts_is_a_metric():
    true, a, b = np.array([0, 0, 1, 1] * 10), np.array([0, 0, 1, 1] * 10), np.array([0, 0, 0, 0] * 10)
    recall_of_one = lambda hits, truth, called: hits[:, 1] / np.maximum(truth[:, 1], 1)  # noqa: E731
    assert paired_bootstrap(true, a, b, np.random.default_rng(0), metric=recall_of_one).value == 1


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(UsageError, match="same images"):
        paired_accuracy([1, 0], [1, 0, 1])
    with pytest.raises(UsageError, match="True or False"):
        paired_accuracy([1, 2], [1, 0])
    with pytest.raises(UsageError, match="level"):
        paired_accuracy([1, 0], [1, 0], level=95)
    with pytest.raises(UsageError, match="several seeds"):
        mcnemar([[1, 0], [1, 1]], [1, 0])
    with pytest.raises(UnknownName, match="mid-p"):
        mcnemar([1, 0], [1, 0], kind="midp")
    with pytest.raises(UnknownName):
        paired_bootstrap([0, 1], [0, 1], [0, 1], np.random.default_rng(0), metric="f1")
    with pytest.raises(UsageError, match="class numbers"):
        paired_bootstrap([0, 1], [0.0, 1.0], [0, 1], np.random.default_rng(0))


def test_the_bootstrap_resolves_small_p_values_that_many_pairs_ask_for():
    """Twenty methods are 190 pairs: without a tail beyond its draws no bootstrap of 999 could tell any apart."""
    truth = np.tile([0, 1], 200)
    a, b = truth.copy(), np.where(np.arange(400) % 4 == 0, 1 - truth, truth)
    drawn = metric_draws(truth, (a, b), np.random.default_rng(0), metric="balanced_accuracy", n_draws=999)
    found = difference_of(drawn, 0, 1, level=1 - 0.05 / 190)
    assert 0 < found.p < 0.05 / 190 and 0 < found.low < found.value < found.high < 1
    normal = found.value / found.standard_error
    assert found.low / found.standard_error == pytest.approx(normal - 3.65, abs=0.6)
