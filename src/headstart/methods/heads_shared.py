"""What many fits on the same images have in common, computed once: scaled features, eigenbases, coordinates.

Outside `shared_spaces` nothing is kept. Inside it what was computed is found again by the content of the arrays
that it came from, so a fit gives the same numbers as without.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from headstart.base.hashing import digest_bytes

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_BYTES = 1 << 30

T = TypeVar("T")


@dataclass
class _Kept:
    """What was computed, by name and content; the digest of an array that lives on is not taken twice."""

    made: dict[tuple[str, ...], Any] = field(default_factory=dict)
    digests: dict[int, tuple[Any, str]] = field(default_factory=dict)
    bytes: int = 0

    def digest(self, array: NDArray[Any]) -> str:
        known = self.digests.get(id(array))
        if known is not None and known[0]() is array:
            return known[1]
        said = f"{array.dtype}{array.shape}{digest_bytes(array.tobytes())}"
        self.digests = {key: pair for key, pair in self.digests.items() if pair[0]() is not None}
        self.digests[id(array)] = (weakref.ref(array), said)
        return said

    def put(self, key: tuple[str, ...], made: Any) -> None:
        self.made[key] = made
        self.bytes += _size(made)
        while self.bytes > MOST_BYTES:
            oldest = next(iter(self.made))
            self.bytes -= _size(self.made.pop(oldest))


_kept: ContextVar[_Kept | None] = ContextVar("headstart_shared_spaces", default=None)


@contextmanager
def shared_spaces() -> Iterator[None]:
    """Inside the block equal features are scaled and decomposed once, up to 1 GiB of what that gives.

    A block inside another shares what the outer one holds. Arrays given out are the same objects each time;
    nothing may change them.
    """
    token = _kept.set(_kept.get() or _Kept())
    try:
        yield
    finally:
        _kept.reset(token)


def once(name: str, arrays: tuple[NDArray[Any], ...], make: Callable[[], T]) -> T:
    """What `make` gives for arrays of this content, from earlier in the block where it is there."""
    kept = _kept.get()
    if kept is None:
        return make()
    key = (name, *(kept.digest(each) for each in arrays))
    if key in kept.made:
        found: T = kept.made[key]
        return found
    made = make()
    kept.put(key, made)
    return made


def _size(value: Any) -> int:
    if isinstance(value, np.ndarray):
        return value.nbytes
    if isinstance(value, tuple):
        return sum(_size(each) for each in value)
    return sum(_size(each) for each in vars(value).values()) if hasattr(value, "__dict__") else 0
