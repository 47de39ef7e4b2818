"""Ctrl-C in a block that must not be done by half: at its end, also where it fails; a second one at once; never lost."""

import signal
import sys
import time
import weakref

import pytest

from headstart.base.interrupts import held_back, never_lost


def ctrl_c():
    signal.getsignal(signal.SIGINT)(signal.SIGINT, None)


@pytest.fixture(autouse=True)
def pythons_own():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    signal.signal(signal.SIGINT, before)


def test_one_waits_for_the_end_and_a_second_does_not():
    done = []
    with pytest.raises(KeyboardInterrupt), held_back():
        ctrl_c()
        done.append(1)
    with pytest.raises(KeyboardInterrupt), held_back():
        ctrl_c()
        done.append(2)
        ctrl_c()
        done.append(3)
    assert done == [1, 2]


def test_a_failure_does_not_swallow_it():
    with pytest.raises(KeyboardInterrupt), held_back():
        ctrl_c()
        raise ValueError


def test_where_ctrl_c_means_something_else_nothing_changes():
    heard = []
    before = signal.signal(signal.SIGINT, lambda *_: heard.append(1))
    with held_back():
        ctrl_c()
        assert heard == [1]
    signal.signal(signal.SIGINT, before)


class Gone:
    """What a weak reference can follow."""


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_one_that_falls_into_a_callback_of_a_weak_reference_is_heard_after_it():
    thing, done = Gone(), []
    follows = weakref.ref(thing, lambda _: ctrl_c())
    with pytest.raises(KeyboardInterrupt), never_lost():
        del thing
        done.append(follows() is None)
        time.sleep(10)
    assert done == [True]


def test_other_errors_there_are_told_as_before(monkeypatch):
    told = []
    monkeypatch.setattr(sys, "unraisablehook", lambda error: told.append(error.exc_type))
    thing = Gone()
    follows = weakref.ref(thing, lambda _: 1 / 0)
    with never_lost():
        del thing
    assert told == [ZeroDivisionError] and follows() is None
