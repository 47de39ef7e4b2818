"""Whether keeping activations pays: what one costs to compute, to write and to read again, measured on a sample."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from headstart.methods.sources import StreamedBatches, as_inputs

SAMPLE_IMAGES = 32
SAMPLE_BYTES = 64_000_000
LEAST_BYTES = 100_000_000
"""Files below this size are kept unmeasured: reading all of one takes a second or two on the slowest disk."""
READ_AT_ONCE = 8


@dataclass(frozen=True)
class PrefixCost:
    """Seconds that one view of one image takes.

    Attributes
    ----------
    compute : float
        Decoded, drawn, and through the frozen part.
    write, read : float
        Of its activations, on the disk (or in the memory that the system keeps of it, where the file fits there).
    """

    compute: float
    write: float
    read: float

    def kept(self, n_views: int, n_epochs: int) -> float:
        """An image whose views run once and are read in every epoch."""
        return n_views * (self.compute + self.write) + n_epochs * self.read

    def anew(self, n_epochs: int) -> float:
        """An image that runs through the frozen part in every epoch."""
        return n_epochs * self.compute

    def said(self, n_views: int, n_epochs: int) -> str:
        """Both, in words."""
        return (
            f"keeping {n_views} views of an image costs {1e3 * self.kept(n_views, n_epochs):.3g} ms in all, "
            f"the frozen part in {n_epochs} epochs {1e3 * self.anew(n_epochs):.3g} ms"
        )


def keeping_cost(stream: StreamedBatches, folder: Path, n_epochs: int) -> dict[str, Any] | None:
    """Whether keeping the views of images pays: `pays`, the figures, and both in words; JSON-like.

    None where it need not be asked: the file is small, is there already, or cannot be written (which is told when it
    is to be).
    """
    n_views = stream.source.views.n_views
    n_bytes = stream.n * n_views * int(np.prod(stream.shape)) * 2
    if n_bytes < LEAST_BYTES or (folder / "done.u1").exists():
        return None
    try:
        found = measure_cost(stream, folder, n_bytes)
    except OSError:
        return None
    pays = found.kept(n_views, n_epochs) <= found.anew(n_epochs)
    return {**vars(found), "pays": pays, "said": found.said(n_views, n_epochs)}


def measure_cost(stream: StreamedBatches, folder: Path, n_bytes: int) -> PrefixCost:
    """Measure on some images.

    Parameters
    ----------
    stream : StreamedBatches
    folder : Path
        Where activations would be kept.
    n_bytes : int
        Of all of them: more than memory is free are read from the disk itself, fewer from what memory keeps of it.

    Raises
    ------
    OSError
        The disk is full.
    """
    rows = np.arange(min(stream.n, SAMPLE_IMAGES))
    compute = _seconds_to_compute(stream, rows)
    width = int(np.prod(stream.shape))
    n = max(READ_AT_ONCE, min(len(rows) * 8, SAMPLE_BYTES // (2 * width)))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "sample.f16"
    try:
        write = _seconds_to_write(path, n, width)
        from_disk = n_bytes > psutil.virtual_memory().available
        read = _seconds_to_read(path, n, stream.shape, from_disk=from_disk)
    finally:
        path.unlink(missing_ok=True)
    return PrefixCost(compute / len(rows), write / n, read / n)


def _seconds_to_compute(stream: StreamedBatches, rows: np.ndarray) -> float:
    stream.get(rows[:READ_AT_ONCE], 0)  # the engine's first call is a slow one
    start = time.perf_counter()
    stream.get(rows, 0)
    return time.perf_counter() - start


def _seconds_to_write(path: Path, n: int, width: int) -> float:
    """Until it is on the disk: what is written faster has to wait later."""
    noise = np.random.default_rng(0).random(width).astype(np.float16)
    start = time.perf_counter()
    with path.open("wb") as file:
        for _ in range(n):
            file.write(noise.data)
        file.flush()
        os.fsync(file.fileno())
    return time.perf_counter() - start


def _seconds_to_read(path: Path, n: int, shape: Sequence[int], *, from_disk: bool) -> float:
    """In random order, some at once, as training does."""
    if from_disk and hasattr(os, "posix_fadvise"):
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    rows = np.memmap(path, np.float16, "r", shape=(n, int(np.prod(shape))))
    order = np.random.default_rng(1).permutation(n)
    start = time.perf_counter()
    for at in range(0, n, READ_AT_ONCE):
        as_inputs(np.array(rows[order[at : at + READ_AT_ONCE]]), tuple(shape))
    return time.perf_counter() - start
