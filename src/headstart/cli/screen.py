"""What happens, on stderr: bars with the time left on a terminal, else plain lines; each warning once."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from headstart.base.events import Event, Notice, Progress, listening
from headstart.cli.text import printable

QUIET_SECONDS = 10.0
FIRST_SECONDS = 2.0


@dataclass
class Clock:
    """Progress of one task: when it began, with how much done, when it was last told."""

    began: float
    already: int
    told: float
    done: int = 0

    def seconds_left(self, done: int, total: int, now: float) -> float | None:
        """By the rate so far; None where nothing has been done yet."""
        gained = done - self.already
        return None if gained <= 0 else (now - self.began) / gained * (total - done)


@dataclass
class Lines:
    """Plain lines: a task that takes long is heard of every ten seconds."""

    clocks: dict[str, Clock] = field(default_factory=dict)

    def progress(self, event: Progress) -> None:
        """Tell a task's state, not too often."""
        now = time.monotonic()
        clock = self.clocks.get(event.task)
        if clock is None or event.done < clock.done:
            clock = Clock(now, event.done, now + FIRST_SECONDS - QUIET_SECONDS)
            self.clocks[event.task] = clock
        clock.done = event.done
        if now - clock.told < QUIET_SECONDS or event.done == event.total:
            return
        clock.told = now
        self.line(_told(event, clock, now))

    def line(self, text: str) -> None:
        """One line."""
        sys.stderr.write(text + "\n")
        sys.stderr.flush()

    def close(self) -> None:
        """Nothing is held open."""


class Bars:
    """Bars of rich, one a task."""

    def __init__(self) -> None:
        from rich import progress
        from rich.console import Console

        self.console = Console(stderr=True, highlight=False, markup=False, emoji=False)
        self.bars = progress.Progress(
            progress.TextColumn("{task.description}", markup=False),
            progress.BarColumn(),
            progress.MofNCompleteColumn(),
            progress.TimeRemainingColumn(),
            console=self.console,
            transient=True,
        )
        self.tasks: dict[str, Any] = {}
        self.bars.start()

    def progress(self, event: Progress) -> None:
        """Move a task's bar; a finished one goes away."""
        if event.task not in self.tasks:
            self.tasks[event.task] = self.bars.add_task(printable(event.task), total=event.total)
        self.bars.update(self.tasks[event.task], completed=event.done, total=event.total)
        if event.done == event.total:
            self.bars.remove_task(self.tasks.pop(event.task))

    def line(self, text: str) -> None:
        """One line above the bars."""
        self.console.print(text, soft_wrap=True, markup=False)

    def close(self) -> None:
        """Take the bars away."""
        self.bars.stop()


def _told(event: Progress, clock: Clock, now: float) -> str:
    task = printable(event.task)
    if not event.total:
        return f"{task}: {event.done:,}"
    left = clock.seconds_left(event.done, event.total, now)
    after = "" if left is None else f", about {spoken(left)} left"
    return f"{task}: {event.done:,} of {event.total:,}{after}"


def spoken(seconds: float) -> str:
    """Seconds or minutes, whole."""
    return f"{max(1, round(seconds))} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def _is_terminal() -> bool:
    import os

    return sys.stderr.isatty() and os.environ.get("TERM", "") != "dumb"


@contextmanager
def shown() -> Iterator[None]:
    """Show on stderr what the library tells while the block runs."""
    screen: Lines | Bars = Bars() if _is_terminal() else Lines()
    said: set[str] = set()

    def hear(event: Event) -> None:
        if isinstance(event, Progress):
            screen.progress(event)
        elif event.message not in said:
            said.add(event.message)
            screen.line(_notice(event))

    try:
        with listening(hear):
            yield
    finally:
        screen.close()


def _notice(event: Notice) -> str:
    start = "headstart: warning: " if event.level == "warning" else ""
    return start + printable(event.message)
