"""Ctrl-C that waits for the end of what must not be done by half, and that is never lost."""

from __future__ import annotations

import _thread
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

AGAIN = 0.02  # seconds


@contextmanager
def never_lost() -> Iterator[None]:
    """Send a Ctrl-C again that fell where Python lets no error out: in a finalizer or a callback of the collector.

    Python prints such an error and goes on; who pressed Ctrl-C would wait for ever.
    """
    before = sys.unraisablehook

    def heard(error: sys.UnraisableHookArgs) -> None:
        if error.exc_type is not KeyboardInterrupt:
            before(error)
            return
        again = threading.Timer(AGAIN, _thread.interrupt_main)
        again.daemon = True
        again.start()

    sys.unraisablehook = heard
    try:
        yield
    finally:
        sys.unraisablehook = before


@contextmanager
def held_back() -> Iterator[None]:
    """Let a Ctrl-C in this block take effect at its end; a second one takes effect at once.

    Only where Ctrl-C means Python's own KeyboardInterrupt, in the main thread; elsewhere nothing changes.

    Raises
    ------
    KeyboardInterrupt
        At the end of the block, after one Ctrl-C in it.
    """
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or before is not signal.default_int_handler:
        yield
        return
    heard = False

    def note(number: int, frame: object) -> None:
        nonlocal heard
        if heard:
            raise KeyboardInterrupt
        heard = True

    signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if heard:  # also where the block failed: what tries again after a failure would not hear of it
            raise KeyboardInterrupt
