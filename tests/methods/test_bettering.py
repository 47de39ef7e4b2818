"""Which epoch is kept: the start is to be bettered, on an inner fold by more than one standard error."""

import numpy as np
import pytest

from headstart.methods.bettering import Bettering, standard_error
from headstart.methods.range_test import rate_limit
from headstart.methods.training_options import TrainingOptions


def right(*rows, n=40):
    found = np.zeros(n)
    found[list(rows)] = 1
    return found


def test_the_standard_error_is_that_of_the_images_on_which_the_two_differ():
    start, now = right(*range(20)), right(*range(4, 30))
    assert standard_error(now, start) == pytest.approx(np.sqrt(4 + 10) / 40)
    assert standard_error(start, start) == 0


@pytest.mark.parametrize(
    ("doubted", "gained", "lost", "kept"),
    [(True, 1, 0, False), (True, 2, 0, True), (True, 3, 1, False), (True, 5, 1, True), (False, 1, 0, True),
     (False, 3, 3, False), (True, 0, 0, False)],
)  # fmt: skip
def test_an_epoch_is_kept_over_the_start_by_more_than_one_standard_error(doubted, gained, lost, kept):
    start = right(*range(20))
    now = right(*range(lost, 20 + gained))
    found = Bettering(doubted, start).keeps(now.mean(), start.mean(), True, now)
    assert found is kept


def test_among_epochs_a_later_one_that_is_as_good_is_kept():
    rule = Bettering(True, right(*range(20)))
    assert rule.keeps(0.8, 0.8, False, right(*range(32)))
    assert not rule.keeps(0.79, 0.8, False, right(*range(32)))


def test_without_images_that_choose_the_last_is_kept_and_without_a_start_none_is_doubted():
    assert Bettering().keeps(None, None, True, None)
    assert not Bettering().keeps(None, 0.5, True, None)
    assert Bettering(True).keeps(0.51, 0.5, True, right(1))


@pytest.mark.parametrize(
    ("n_steps", "options", "start", "limit"),
    [(199, {}, "fitted", 1e-4), (200, {}, "fitted", None), (8, {}, "pretrained", None),
     (8, {"optimiser": "sgd"}, "fitted", None), (999, {}, "random", 3e-3), (100_000, {}, "random", 3e-3),
     (8, {"optimiser": "sgd"}, "random", None)],
)  # fmt: skip
def test_a_run_has_a_largest_rate_by_its_start_and_length(n_steps, options, start, limit):
    assert rate_limit(n_steps, TrainingOptions(**options), start) == limit
