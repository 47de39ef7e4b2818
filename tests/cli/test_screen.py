"""Progress and notices on stderr, on a terminal and elsewhere."""

from __future__ import annotations

import pytest

from headstart.base.events import Notice, Progress, emit
from headstart.cli import screen


@pytest.fixture
def clock(monkeypatch):
    """Seconds that pass only when told to."""
    now = [100.0]
    monkeypatch.setattr(screen.time, "monotonic", lambda: now[0])
    return now


def test_a_short_task_is_not_heard_of(capsys, clock):
    with screen.shown():
        for done in range(5):
            emit(Progress("scan", done, 4))
    assert capsys.readouterr().err == ""


def test_a_long_task_is_heard_of_every_ten_seconds_with_the_time_left(capsys, clock):
    with screen.shown():
        for done in range(0, 1001, 100):
            emit(Progress("features of lite0", done, 1000))
            clock[0] += 4
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "features of lite0: 100 of 1,000, about 36 s left"
    assert lines[1] == "features of lite0: 400 of 1,000, about 24 s left"
    assert len(lines) == 3


def test_what_was_done_before_does_not_flatter_the_time_left(capsys, clock):
    with screen.shown():
        emit(Progress("runs", 90, 100))
        clock[0] += 60
        emit(Progress("runs", 91, 100))
    assert capsys.readouterr().err == "runs: 91 of 100, about 9 min left\n"


def test_a_task_without_a_known_end_says_how_far_it_is(capsys, clock):
    with screen.shown():
        emit(Progress("download", 0))
        clock[0] += 60
        emit(Progress("download", 7))
    assert capsys.readouterr().err == "download: 7\n"


def test_a_task_that_starts_again_has_a_new_clock(capsys, clock):
    with screen.shown():
        emit(Progress("scan", 500, 500))
        clock[0] += 60
        emit(Progress("scan", 0, 500))
        clock[0] += 1
        emit(Progress("scan", 10, 500))
    assert capsys.readouterr().err == ""


def test_bars_show_notices_as_they_are_and_go_away(capsys, monkeypatch):
    monkeypatch.setattr(screen, "_is_terminal", lambda: True)
    with screen.shown():
        emit(Progress("features of [red]lite0", 0, 2))
        emit(Notice("[bold]name[/bold] is a :smile: folder", "warning"))
        emit(Progress("features of [red]lite0", 2, 2))
    assert "headstart: warning: [bold]name[/bold] is a :smile: folder" in capsys.readouterr().err
