"""A moment at which training has to end, set from outside: a study has so much time, whatever a run was told."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_moment: ContextVar[float | None] = ContextVar("headstart_training_ends", default=None)


@contextmanager
def training_until(moment: float | None) -> Iterator[None]:
    """End every training inside the block, in order, with the step in which the moment comes.

    Parameters
    ----------
    moment : float, optional
        By `time.monotonic`; None: no bound. A training that it has passed already takes one step.
    """
    token = _moment.set(moment)
    try:
        yield
    finally:
        _moment.reset(token)


def is_set() -> bool:
    """Whether there is a bound."""
    return _moment.get() is not None


def has_passed() -> bool:
    """Whether training has to end now."""
    moment = _moment.get()
    return moment is not None and time.monotonic() >= moment
