"""Learning curves of known laws: what is fitted, foretold, crossed and asked for."""

import numpy as np
import pytest

from headstart.base.errors import UsageError
from headstart.measure.cannot_tell import CannotTell
from headstart.measure.curve_fit import EXPONENTIAL, POWER
from headstart.measure.curve_questions import crossing, more_for
from headstart.measure.curves import learning_curve

SIZES = np.array([5, 10, 20, 40, 80.0])


def curve(law, *, spread=0.002, n_seeds=3, seed=0, sizes=SIZES, name="curve", n_draws=400):
    g = np.random.default_rng(seed)
    scores = [np.clip(g.normal(law(n), spread, n_seeds), 0, 1) for n in sizes]
    return learning_curve(name, sizes, scores, g, n_draws=n_draws)


def around(law, spread, name="curve"):
    """A curve whose three seeds lie evenly around the law at every size."""
    scores = [law(n) + spread * np.array([-1, 0, 1]) for n in SIZES]
    return learning_curve(name, SIZES, scores, np.random.default_rng(0), n_draws=400)


def power(a, b, c):
    return lambda n: 1 - (a * n**-b + c)


def test_a_power_law_is_found_again_from_points_without_noise():
    found = learning_curve(
        "x", SIZES, [[power(0.6, 0.5, 0.05)(n)] * 2 for n in SIZES], np.random.default_rng(0), n_draws=100
    )
    assert found.law == POWER
    assert (found.a, found.b, found.c) == pytest.approx((0.6, 0.5, 0.05), rel=1e-4)
    assert found.ceiling == pytest.approx(0.95)
    assert found.misses[POWER] < 1e-6 < found.misses[EXPONENTIAL]


def test_an_exponential_fall_is_chosen_where_it_foretells_the_last_point():
    found = curve(lambda n: 1 - (0.5 * np.exp(-0.06 * n) + 0.1), spread=0.001)
    assert found.law == EXPONENTIAL
    assert (found.a, found.b, found.c) == pytest.approx((0.5, 0.06, 0.1), rel=0.05)


@pytest.mark.parametrize("n", [40, 160])
def test_intervals_hold_the_truth_in_most_studies(n):
    law, inside = power(0.6, 0.5, 0.05), 0
    for seed in range(60):
        score = curve(law, spread=0.01, seed=seed, n_draws=200).predict(n)
        assert score.low <= score.value <= score.high
        inside += score.low <= law(n) <= score.high
    assert 0.8 <= inside / 60 <= 1


def test_more_seeds_make_the_band_narrower():
    few, many = (curve(power(0.6, 0.5, 0.05), spread=0.02, n_seeds=s).predict(80) for s in (3, 30))
    assert many.high - many.low < 0.6 * (few.high - few.low)


def test_beyond_four_times_what_was_measured_it_cannot_tell():
    found = curve(power(0.6, 0.5, 0.05))
    assert not isinstance(found.predict(320), CannotTell)
    assert "measured" in found.predict(321).reason
    assert isinstance(found.predict(4), CannotTell)
    with pytest.raises(UsageError):
        found.predict(0)


def test_two_points_more_take_as_many_images_as_the_law_says():
    found = more_for(curve(power(0.6, 0.5, 0.05)), points=0.02)
    truth = ((0.6 * 80**-0.5 - 0.02) / 0.6) ** -2 - 80
    assert found.low <= truth <= found.high
    assert found.extra == pytest.approx(truth, rel=0.25)
    assert found.at == 80


def test_an_end_of_the_interval_beyond_reach_is_left_open():
    found = more_for(around(power(0.6, 0.5, 0.05), 0.012), points=0.025)
    assert found.high is None
    assert found.low <= found.extra


def test_a_gain_above_the_ceiling_or_far_away_cannot_be_told():
    level = learning_curve(
        "flat", SIZES, [[power(0.6, 1.0, 0.1)(n)] * 2 for n in SIZES], np.random.default_rng(0), n_draws=100
    )
    assert "levels off at 90.0 %" in more_for(level, points=0.02).reason
    slow = learning_curve(
        "slow", SIZES, [[power(0.6, 0.2, 0.0)(n)] * 2 for n in SIZES], np.random.default_rng(0), n_draws=100
    )
    assert "more than 4 times" in more_for(slow, points=0.1).reason
    with pytest.raises(UsageError):
        more_for(slow, points=2)


def test_curves_cross_where_their_laws_do():
    early, late = power(0.3, 0.2, 0.0), power(0.9, 0.6, 0.0)
    truth = 3 ** (1 / 0.4)
    one, other = curve(early, name="features"), curve(late, name="finetune", seed=1)
    found = crossing(one, other)
    assert found.low <= truth <= found.high
    assert found.n == pytest.approx(truth, rel=0.1)
    assert (found.before, found.after) == ("features", "finetune")
    turned = crossing(other, one)
    assert (turned.n, turned.low, turned.high) == pytest.approx((found.n, found.low, found.high))
    assert (turned.before, turned.after) == ("features", "finetune")


def test_a_crossing_near_the_edge_is_open_on_that_side():
    early, late = power(0.3, 0.2, 0.0), power(0.3 * 60**0.2, 0.4, 0.0)
    found = crossing(around(early, 0.02), around(late, 0.02))
    assert found.n == pytest.approx(60, rel=0.05)
    assert found.low < 60
    assert found.high is None


def test_curves_drawn_from_the_same_seed_are_not_taken_for_dependent():
    early, late = power(0.3, 0.2, 0.0), power(0.9, 0.6, 0.0)
    same = crossing(around(early, 0.01), around(late, 0.01))
    g = np.random.default_rng(5)
    apart = [
        learning_curve("x", SIZES, [f(n) + 0.01 * np.array([-1, 0, 1]) for n in SIZES], g)
        for f in (early, late)
    ]
    free = crossing(*apart)
    assert same.high - same.low == pytest.approx(free.high - free.low, rel=0.4)


def test_curves_that_do_not_cross_or_share_no_range_say_so():
    high, low = curve(power(0.3, 0.4, 0.02), name="a"), curve(power(0.6, 0.4, 0.1), name="b")
    assert "a and b do not cross within 5 to 80" in crossing(high, low).reason
    far = curve(power(0.3, 0.4, 0.02), sizes=np.array([100, 200, 400.0]))
    assert isinstance(crossing(high, far), CannotTell)
    assert isinstance(crossing(high, high), CannotTell)


def test_few_sizes_or_single_seeds_cannot_tell_and_constant_scores_can():
    g = np.random.default_rng(0)
    assert "three training sizes" in learning_curve("x", [5, 10], [[0.5, 0.6], [0.6, 0.7]], g).reason
    assert "one seed" in learning_curve("x", [5, 10, 20], [[0.5], [0.6], [0.7]], g).reason
    flat = learning_curve("x", SIZES, [[0.7, 0.7]] * 5, g, n_draws=100)
    assert flat.predict(80).value == pytest.approx(0.7, abs=1e-3)
    assert np.isfinite(flat.draws).all()
    assert isinstance(more_for(flat), CannotTell)


def test_sizes_come_in_any_order_and_mistakes_are_named():
    g = np.random.default_rng(0)
    found = learning_curve("x", [20, 5, 10], [[0.8, 0.82], [0.5, 0.52], [0.7, 0.69]], g, n_draws=100)
    assert [point.n for point in found.points] == [5, 10, 20]
    assert found.misses == {}
    for sizes, scores in (
        ([5, 5, 10], [[0.5, 0.6]] * 3),
        ([0, 5, 10], [[0.5, 0.6]] * 3),
        ([5, 10, 20], [[0.5, 1.6]] * 3),
        ([5, 10], [[0.5, 0.6]] * 3),
    ):
        with pytest.raises(UsageError):
            learning_curve("x", sizes, scores, g)
