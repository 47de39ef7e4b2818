"""What runs of a study of tricks cost: the same, whichever ran first and left its activations for the others."""

import numpy as np
import pytest

from headstart.study.records import CellResult
from headstart.study.trick_costs import charged


def run(*, frozen, own, teacher=None, train=10.0, predict=1.0, once=0.0):
    """A run whose kept activations took `frozen` seconds, `own` of them in this run."""
    fit = {"seconds": {"train": train}, "cache": {"seconds": own, "all_seconds": frozen}}
    if teacher is not None:
        fit["teacher"] = {"seconds": teacher}
    rest = 2.0 + (teacher or 0.0) + once
    return CellResult(
        cell=None, status="done", training=(fit,), seconds={"fit": train + own + rest, "predict": predict}
    )


def test_every_run_is_charged_the_activations_that_it_uses():
    training, whole = charged([[run(frozen=7.0, own=7.0)], [run(frozen=7.0, own=0.0)]])
    np.testing.assert_allclose(training, [[17.0], [17.0]])
    np.testing.assert_allclose(whole, [[20.0], [20.0]])


def test_a_teacher_costs_every_student_what_it_cost_the_first():
    taught = [run(frozen=0.0, own=0.0, teacher=each) for each in (30.0, 0.5)]
    training, whole = charged([[run(frozen=0.0, own=0.0)] * 2, taught])
    np.testing.assert_allclose(training, [[10.0, 10.0], [40.0, 40.0]])
    np.testing.assert_allclose(whole, [[13.0, 13.0], [43.0, 43.0]])


def test_a_test_image_seen_twice_is_in_the_whole_run_alone():
    training, whole = charged([[run(frozen=0.0, own=0.0)], [run(frozen=0.0, own=0.0, predict=2.0)]])
    assert training[0] == training[1] and whole[1, 0] - whole[0, 0] == pytest.approx(1.0)


def test_the_first_run_is_not_charged_what_is_done_once_for_all():
    first, later = run(frozen=0.0, own=0.0, once=12.0), run(frozen=0.0, own=0.0)
    assert np.all(charged([[first, later], [later, later]])[1] == 13.0)
    assert np.all(charged([[first], [later], [later]])[1] == 13.0)


def test_what_a_trick_adds_to_every_fit_counts():
    dear = run(frozen=0.0, own=0.0, once=4.0)
    _, whole = charged([[run(frozen=0.0, own=0.0)] * 2, [dear, dear]])
    assert whole[1, 0] - whole[0, 0] == pytest.approx(4.0)
