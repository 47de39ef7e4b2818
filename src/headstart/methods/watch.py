"""Watching training from outside: a caller hears of each epoch, and may give the run up."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING

from headstart.base.errors import HeadstartError

if TYPE_CHECKING:
    from headstart.methods.curve import Trained

Watcher = Callable[["Trained"], None]
_watcher: ContextVar[Watcher | None] = ContextVar("headstart_epoch_watcher", default=None)


class Abandoned(HeadstartError):
    """A watcher gave the run up; `reason` says when or why."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"training was given up: {reason}")


@contextmanager
def watching_epochs(watcher: Watcher) -> Iterator[None]:
    """Call `watcher` after every epoch of training inside the block; it may raise `Abandoned`."""
    token = _watcher.set(watcher)
    try:
        yield
    finally:
        _watcher.reset(token)


def epoch_done(trained: Trained) -> None:
    """Tell the watcher of this context, if there is one."""
    if (watcher := _watcher.get()) is not None:
        watcher(trained)


@contextmanager
def removed_if_abandoned(folder: Path) -> Iterator[None]:
    """Remove what a run keeps to go on, where it was given up: it will not."""
    try:
        yield
    except Abandoned:
        shutil.rmtree(folder, ignore_errors=True)
        raise
