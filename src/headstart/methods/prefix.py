"""The frozen prefix: each view of an image goes through the frozen part once; its activations are kept.

Kept activations lie in one file of float16 (memory-mapped: memory does not grow with the images), a row an
image and view. Under `--cache-gb` a fixed subset of the images is kept and the rest is computed each time:
dropping the oldest would never hit under a cyclic scan. A killed run goes on at the last finished image.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from headstart.base.ahead import ahead
from headstart.base.errors import Busy
from headstart.base.events import Notice, Progress, emit, warn
from headstart.base.files import folder_lock, write_text
from headstart.base.hashing import digest_bytes, digest_json
from headstart.images.decode import DECODER
from headstart.methods import processes
from headstart.methods.batches import Batch
from headstart.methods.kept import activations_folder
from headstart.methods.sources import StreamedBatches, Views, as_inputs, rounded

if TYPE_CHECKING:
    from headstart.features.engines.runner import Runner

GIGABYTE = 1_000_000_000
PREFIX_VERSION = "1"
SECONDS = "seconds.txt"
"""Beside the rows of a cache: what they took, so that a run which finds them can be charged."""
FLUSH_IMAGES = 256
FREE_MARGIN = 0.05


@dataclass(frozen=True)
class Kept:
    """What a cache of activations holds.

    Attributes
    ----------
    n_images, n_kept : int
        All of them, and those whose activations are kept.
    n_views : int
        Rows an image.
    bytes : int
    n_computed : int
        Images that went through the frozen part in this run (the others were there).
    seconds : float
        For these.
    all_seconds : float
        For all that are kept, in whichever run: what a run would take that found none.
    """

    n_images: int
    n_kept: int
    n_views: int
    bytes: int
    n_computed: int
    seconds: float
    all_seconds: float = 0.0

    @property
    def share(self) -> float:
        """Share of the images that are kept."""
        return self.n_kept / max(1, self.n_images)


class CachedBatches:
    """Activations at the cut: kept rows from the file, the others from the stream.

    Parameters
    ----------
    stream : StreamedBatches
        Computes what is not kept.
    folder : Path
        Of this cache.
    numbers : sequence of int
        Numbers of the views that are kept, a row each.
    n_kept : int
        How many images are kept (a fixed subset, drawn by the seed).
    """

    def __init__(self, stream: StreamedBatches, folder: Path, numbers: Sequence[int], n_kept: int) -> None:
        self.stream, self.folder, self.numbers = stream, folder, tuple(numbers)
        self.views: Views = stream.source.views
        self.n = stream.n
        order = np.random.default_rng([self.views.seed, 11]).permutation(self.n)
        self.kept = np.sort(order[:n_kept])
        self.place = np.full(self.n, -1)
        self.place[self.kept] = np.arange(n_kept)
        self.width = int(np.prod(stream.shape))
        self.column = {number: at for at, number in enumerate(self.numbers)}
        self._rows: Any = None

    @property
    def n_bytes(self) -> int:
        """Size of the file."""
        return len(self.kept) * len(self.numbers) * self.width * 2

    def build(self, task: str) -> Kept:
        """Compute what the file lacks; in another process than the first, wait for it.

        Raises
        ------
        OSError
            The disk is full; nothing is lost but the cache.
        """
        start = time.perf_counter()
        done = self._open()
        todo = [int(row) for row in self.kept if not done[self.place[row]]]
        before = self._seconds()
        if todo and processes.first():
            try:
                self._compute(todo, done, task)
            finally:
                took = before + time.perf_counter() - start
                write_text(self.folder / SECONDS, repr(took))
        processes.wait()
        seconds = time.perf_counter() - start
        return Kept(
            self.n, len(self.kept), len(self.numbers), self.n_bytes, len(todo), seconds, self._seconds()
        )

    def _seconds(self) -> float:
        """What the rows of the file took; 0 where that is not known: it was not kept, or it is no number."""
        path = self.folder / SECONDS
        try:
            return float(path.read_text("utf-8")) if path.is_file() else 0.0
        except ValueError:
            return 0.0

    def _open(self) -> np.ndarray:
        """Map the file (made by the first process); True for each kept image that it holds already."""
        rows, done = self.folder / "activations.f16", self.folder / "done.u1"
        error: OSError | None = None
        if processes.first() and not (
            done.exists() and rows.exists() and rows.stat().st_size == self.n_bytes
        ):
            (self.folder / SECONDS).unlink(missing_ok=True)
            try:
                _reserve(rows, self.n_bytes)
                _reserve(done, len(self.kept))
            except OSError as full:
                error = full
        if processes.from_first(float(error is not None)):
            raise error or OSError(28, "the first process found the disk full")
        mode: Literal["r+", "r"] = "r+" if processes.first() else "r"
        shape = (len(self.kept) * len(self.numbers), self.width)
        self._rows = np.memmap(rows, np.float16, mode, shape=shape)
        found: np.ndarray = np.memmap(done, np.uint8, mode, shape=(len(self.kept),))
        return found

    def _compute(self, todo: Sequence[int], done: np.ndarray, task: str) -> None:
        runner = self.stream.runner

        def work(row: int) -> tuple[int, np.ndarray]:
            pixels = self.views.pixels(row, self.numbers)
            if runner.n_workers == 1:
                return row, pixels
            return row, rounded(_in_batches(runner, pixels))

        written: list[int] = []
        for count, (row, found) in enumerate(ahead(work, todo, max(2, runner.n_workers))):
            kept = found if found.dtype == np.float16 else rounded(_in_batches(runner, found))
            at = self.place[row] * len(self.numbers)
            self._rows[at : at + len(self.numbers)] = kept
            written.append(int(self.place[row]))
            if len(written) == FLUSH_IMAGES or count + 1 == len(todo):
                self._rows.flush()
                done[written] = 1
                done.flush()  # type: ignore[attr-defined]
                written = []
            emit(Progress(task, count + 1, len(todo)))

    def get(self, rows: np.ndarray, epoch: int) -> Batch:
        """Activations, float32 (n, *shape)."""
        numbers = [self.views.number(int(row), epoch) for row in rows]
        columns = np.array([self.column.get(number, -1) for number in numbers])
        there = (self.place[rows] >= 0) & (columns >= 0)
        out = np.empty((len(rows), self.width), np.float16)
        if there.any():
            out[there] = self._rows[self.place[rows[there]] * len(self.numbers) + columns[there]]
        if not there.all():
            pixels = self.stream.source.pixels(rows[~there], epoch)
            out[~there] = rounded(self.stream.run(pixels))
        return Batch(as_inputs(out, self.stream.shape))


def _in_batches(runner: Runner, pixels: np.ndarray) -> np.ndarray:
    size = runner.batch_size
    return np.concatenate([runner.run(pixels[at : at + size])[0] for at in range(0, len(pixels), size)])


def _reserve(path: Path, n_bytes: int) -> None:
    """A file of that size whose blocks are really there (a hole would end the process when the disk is full)."""
    path.unlink(missing_ok=True)
    free = shutil.disk_usage(path.parent).free
    if n_bytes > free * (1 - FREE_MARGIN):
        raise OSError(28, f"{n_bytes / GIGABYTE:.1f} GB are needed and {free / GIGABYTE:.1f} GB are free")
    with path.open("wb") as file:
        if hasattr(os, "posix_fallocate") and n_bytes:
            os.posix_fallocate(file.fileno(), 0, n_bytes)
        else:
            file.truncate(n_bytes)


def cache_key(
    views: Views, weights_digest: str, module: str, served: tuple[str, str], numbers: Sequence[int]
) -> str:
    """Name of a cache: everything that decides its rows."""
    return digest_json({
        "version": PREFIX_VERSION, "decoder": DECODER, "images": digest_bytes(*(each.encode() for each in views.digests)),
        "weights": weights_digest, "preprocessing": views.how.digest(), "module": module,
        "engine": list(served), "policy": views.policy.digest(), "seed": views.seed, "views": list(numbers),
    })  # fmt: skip


@contextmanager
def held_folder(key: str) -> Iterator[Path]:
    """The folder of a cache, held by this run; where another run holds it, a folder of its own, removed after.

    The first process holds it and says to the others which one it is.
    """
    place = activations_folder() / key
    if not processes.first():
        yield Path(processes.text_from_first(""))
        return
    with ExitStack() as stack:
        try:
            stack.enter_context(folder_lock(place))
            os.utime(place)
        except Busy:
            place = activations_folder() / f"{key}-{os.getpid()}"
            stack.callback(shutil.rmtree, place, ignore_errors=True)
            stack.enter_context(folder_lock(place))
        processes.text_from_first(str(place))
        yield place


def make_room(needed: int, cap_bytes: int, keep: Path) -> None:
    """Remove the caches used longest ago until `needed` more bytes stay under the cap."""
    base = activations_folder()
    folders = sorted(
        (each for each in base.glob("*") if each.is_dir()), key=lambda each: each.stat().st_mtime
    )
    sizes = {each: sum(file.stat().st_size for file in each.iterdir() if file.is_file()) for each in folders}
    total = sum(size for each, size in sizes.items() if each != keep)
    for each in folders:
        if total + needed <= cap_bytes:
            return
        if each == keep:
            continue
        try:
            with folder_lock(each):
                shutil.rmtree(each)
                total -= sizes[each]
        except Busy:
            continue


def n_that_fit(n_images: int, n_views: int, width: int, cap_bytes: int) -> int:
    """How many images' activations stay under the cap."""
    return min(n_images, int(cap_bytes // max(1, n_views * width * 2)))


def open_cache(
    stream: StreamedBatches, folder: Path, numbers: Sequence[int], cap_bytes: int, task: str
) -> tuple[CachedBatches | StreamedBatches, Kept]:
    """Build a cache under a cap; where the disk is full, go on without, aloud."""
    width = int(np.prod(stream.shape))
    n_kept = n_that_fit(stream.n, len(numbers), width, cap_bytes)
    nothing = Kept(stream.n, 0, len(numbers), 0, 0, 0.0)
    if not n_kept:
        warn(
            f"{task}: --cache-gb leaves no room for activations "
            f"({len(numbers) * width * 2 / 1e6:.1f} MB an image); they are computed in every epoch"
        )
        return stream, nothing
    cached = CachedBatches(stream, folder, numbers, n_kept)
    if processes.first():
        make_room(cached.n_bytes, cap_bytes, folder)
    try:
        kept = cached.build(task)
    except OSError as error:
        for name in ("activations.f16", "done.u1", SECONDS):
            (folder / name).unlink(missing_ok=True)
        warn(
            f"{task}: activations cannot be kept ({error.strerror or error}); they are computed in every epoch"
        )
        return stream, nothing
    if n_kept < stream.n:
        emit(
            Notice(
                f"{task}: activations of {n_kept:,} of {stream.n:,} images ({kept.share:.0%}) are kept "
                f"({kept.bytes / GIGABYTE:.2f} GB); the others are computed in every epoch"
            )
        )
    return cached, kept


def note_of(kept: Kept) -> dict[str, Any]:
    """For the record of a run."""
    return {**vars(kept), "share": kept.share}
