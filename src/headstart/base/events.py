"""What happens, told to whoever listens: the library prints nothing.

The command line draws bars from these events, the report keeps the notices. A listener holds for the
current context (`contextvars`), so workers should hand their news to the thread that started them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """`done` of `total` steps of a task; `total` is None where it is unknown."""

    task: str
    done: int
    total: int | None = None


@dataclass(frozen=True)
class Notice:
    """A sentence for a person: level is "info" or "warning". Warnings reach the report."""

    message: str
    level: str = "info"


Event = Progress | Notice
Listener = Callable[[Event], None]

_listeners: ContextVar[tuple[Listener, ...]] = ContextVar("headstart_listeners", default=())


def emit(event: Event) -> None:
    """Tell every listener of this context."""
    for listener in _listeners.get():
        listener(event)


def warn(message: str) -> None:
    """Emit a warning: a fallback or a doubt that a person must be able to see."""
    emit(Notice(message, "warning"))


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Call `listener` with every event emitted inside the block.

    Examples
    --------
    >>> heard = []
    >>> with listening(heard.append):
    ...     warn("low light")
    >>> heard[0].message
    'low light'
    """
    token = _listeners.set((*_listeners.get(), listener))
    try:
        yield
    finally:
        _listeners.reset(token)


@contextmanager
def unheard() -> Iterator[None]:
    """Tell nobody what happens inside the block: for trials whose outcome is recorded otherwise."""
    token = _listeners.set(())
    try:
        yield
    finally:
        _listeners.reset(token)


@contextmanager
def notices_held() -> Iterator[list[Notice]]:
    """Keep the notices of the block, for one who may yet do without what was done in it; progress is told at once."""
    outer, kept = _listeners.get(), list[Notice]()

    def hear(event: Event) -> None:
        if isinstance(event, Notice):
            kept.append(event)
            return
        for listener in outer:
            listener(event)

    token = _listeners.set((hear,))
    try:
        yield kept
    finally:
        _listeners.reset(token)


@contextmanager
def collected_warnings() -> Iterator[list[str]]:
    """Gather the warnings of the block (each sentence once, in order)."""
    seen: list[str] = []

    def keep(event: Event) -> None:
        if isinstance(event, Notice) and event.level == "warning" and event.message not in seen:
            seen.append(event.message)

    with listening(keep):
        yield seen
