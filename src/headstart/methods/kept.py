"""What training keeps on disk beside features: activations at the cut, and runs that were stopped.

The standard library alone is imported, so that listing and clearing are quick.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

from headstart.base.errors import Busy
from headstart.base.events import warn
from headstart.base.files import folder_lock
from headstart.base.runtime import cache_folder


@dataclass(frozen=True)
class KeptFolder:
    """One cache of activations, or one stopped run.

    Attributes
    ----------
    id : str
    bytes : int
    last_used : float
        Seconds since 1970.
    """

    id: str
    bytes: int
    last_used: float


def activations_folder() -> Path:
    """Where activations at a cut are kept (`methods.prefix`)."""
    return cache_folder() / "prefix"


def runs_folder() -> Path:
    """Where a run keeps what it needs to go on (`methods.training`); a finished run removes it."""
    return cache_folder() / "runs"


def entries(base: Path) -> list[KeptFolder]:
    """What is kept in a folder of folders, most recently used first."""
    found = [
        KeptFolder(each.name, _size(each), each.stat().st_mtime)
        for each in (base.iterdir() if base.is_dir() else ())
        if each.is_dir()
    ]
    return sorted(found, key=lambda each: -each.last_used)


def clear(base: Path, older_than_days: float = 0.0) -> int:
    """Remove what was last used at least that many days ago, less what a run holds; returns the bytes freed."""
    limit = time.time() - older_than_days * 86400
    freed = 0
    for each in entries(base):
        if each.last_used > limit:
            continue
        try:
            with folder_lock(base / each.id):
                shutil.rmtree(base / each.id)
                freed += each.bytes
        except Busy as error:
            warn(f"not removed: {error}")
    return freed


_waiting: ContextVar[list[Path] | None] = ContextVar("headstart_finished_runs", default=None)


@contextmanager
def kept_until_done() -> Iterator[list[Path]]:
    """Keep the runs that finish inside the block until it ends well: what follows training may fail too.

    Gives the list of them; who empties it keeps them for longer.

    Where it does (the disk is full while the model is written), the same command goes on after the training.
    """
    finished_runs: list[Path] = []
    token = _waiting.set(finished_runs)
    try:
        yield finished_runs
    finally:
        _waiting.reset(token)
    for folder in finished_runs:
        shutil.rmtree(folder, ignore_errors=True)


def finished(folder: Path) -> bool:
    """Remove the folder of a finished run, now or at the end of `kept_until_done`; True if it stays for now."""
    waiting = _waiting.get()
    if waiting is None:
        shutil.rmtree(folder, ignore_errors=True)
        return False
    waiting.append(folder)
    return True


def _size(folder: Path) -> int:
    return sum(each.stat().st_size for each in folder.rglob("*") if each.is_file())
