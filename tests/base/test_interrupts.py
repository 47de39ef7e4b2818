"""Ctrl-C in a block that must not be done by half: at its end, also where it fails; a second one at once."""

import signal

import pytest

from headstart.base.interrupts import held_back


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
