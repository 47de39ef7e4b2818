"""What many fits on the same images have in common, computed once: scaled features, eigenbases, coordinates.

Outside `shared_spaces` nothing is kept. Inside it what was computed is found again by the content of the arrays
that it came from, so a fit gives the same numbers as without. Processes that are given one folder compute what is dear
once for all of them.
"""

from __future__ import annotations

import time
import weakref
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from headstart.base.errors import Busy
from headstart.base.files import folder_lock, written_aside
from headstart.base.hashing import digest_bytes, digest_json

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_BYTES = 1 << 30
FILE, ALONE = "arrays.npz", "array"
POLL_SECONDS = 0.005

T = TypeVar("T")


@dataclass
class _Kept:
    """What was computed, by name and content; the digest of an array that lives on is not taken twice."""

    folder: Path | None = None
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
def shared_spaces(folder: Path | None = None) -> Iterator[None]:
    """Inside the block equal features are scaled and decomposed once, up to 1 GiB of what that gives.

    A block inside another shares what the outer one holds. Arrays given out are the same objects each time;
    nothing may change them.

    Parameters
    ----------
    folder : path, optional
        Of all processes that share decompositions; up to 1 GiB is written there.
    """
    token = _kept.set(_kept.get() or _Kept(folder))
    try:
        yield
    finally:
        _kept.reset(token)


def once(
    name: str, arrays: tuple[NDArray[Any], ...], make: Callable[[], T], made_of: type[T] | None = None
) -> T:
    """What `make` gives for arrays of this content, from earlier in the block where it is there.

    Parameters
    ----------
    made_of : type, optional
        `numpy.ndarray`, or the class of what `make` gives, whose attributes are all arrays: it is shared with the
        processes of the block's folder too. Worth it for what takes longer to compute than to read.
    """
    kept = _kept.get()
    if kept is None:
        return make()
    key = (name, *(kept.digest(each) for each in arrays))
    if key in kept.made:
        found: T = kept.made[key]
        return found
    made = make() if made_of is None or kept.folder is None else _of_all(kept.folder, key, make, made_of)
    kept.put(key, made)
    return made


def _of_all(folder: Path, key: tuple[str, ...], make: Callable[[], T], made_of: type[T]) -> T:
    """What `make` gives, computed by the first process that comes; the others wait for it."""
    place = folder / digest_json(key)
    while True:
        try:
            with folder_lock(place):
                if (found := _read(place, made_of)) is None:
                    found = make()
                    _write(folder, place, {ALONE: found} if isinstance(found, np.ndarray) else vars(found))
                return found
        except Busy:
            time.sleep(POLL_SECONDS)


def _read(place: Path, made_of: type[T]) -> T | None:
    try:
        with np.load(place / FILE, allow_pickle=False) as arrays:
            return arrays[ALONE] if ALONE in arrays else made_of(**arrays)
    except (OSError, ValueError, TypeError, zipfile.BadZipFile):
        return None


def _write(folder: Path, place: Path, arrays: dict[str, NDArray[Any]]) -> None:
    there = sum(file.stat().st_size for file in folder.glob(f"*/{FILE}"))
    if there + sum(each.nbytes for each in arrays.values()) > MOST_BYTES:
        return
    with written_aside(place / FILE) as aside, aside.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


def _size(value: Any) -> int:
    if isinstance(value, np.ndarray):
        return value.nbytes
    if isinstance(value, tuple):
        return sum(_size(each) for each in value)
    return sum(_size(each) for each in vars(value).values()) if hasattr(value, "__dict__") else 0
