"""What a step of a study costs: seconds of wall clock and the most memory the process held meanwhile.

On Linux the kernel's high-water mark is set back before each step, so that one hungry step does not count
against the next; elsewhere the figure is the highest so far.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart.base.runtime import peak_memory_bytes


@dataclass
class Cost:
    """Seconds and peak bytes of a block, filled when it ends."""

    seconds: float = 0.0
    peak_bytes: int = 0


@contextmanager
def measured() -> Iterator[Cost]:
    """Measure a block; the figures are there after it, whether it raised or not."""
    cost = Cost()
    _reset_peak()
    start = time.perf_counter()
    try:
        yield cost
    finally:
        cost.seconds = time.perf_counter() - start
        cost.peak_bytes = _peak_bytes()


def _reset_peak() -> None:
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _peak_bytes() -> int:
    with suppress(OSError):
        found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
        if found:
            return int(found.group(1)) * 1024
    return peak_memory_bytes()


def array_bytes(thing: Any) -> int:
    """Bytes of the distinct arrays that an object holds, in itself and in what it holds."""
    import numpy as np

    seen: set[int] = set()

    def size(value: Any) -> int:
        if id(value) in seen or isinstance(value, str | bytes | int | float | type(None)):
            return 0
        seen.add(id(value))
        if isinstance(value, np.ndarray):
            return int(value.nbytes)
        if isinstance(value, dict):
            return sum(size(item) for item in value.values())
        if isinstance(value, list | tuple):
            return sum(size(item) for item in value)
        return size(vars(value)) if hasattr(value, "__dict__") and not callable(value) else 0

    return size(thing)
