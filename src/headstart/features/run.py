"""Decode and run, overlapped, in bounded memory: each worker decodes a batch and passes it on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from headstart.backbones.card import Preprocessing
from headstart.base.ahead import ahead
from headstart.base.errors import BadImage
from headstart.base.runtime import n_threads
from headstart.features.engines.runner import Runner
from headstart.images.decode import ImageItem, Picture, open_picture
from headstart.images.prepare import least_side, prepared

Failed = list[tuple[int, BadImage]]
Seen = Callable[[int, Picture | BadImage], None]
"""Told a row and its picture, as it was decoded at `least_side`, or why there is none; in any thread."""


def run_items(
    runner: Runner,
    shape: Preprocessing,
    items: Sequence[ImageItem],
    rows: Sequence[int] | np.ndarray,
    bad: Callable[[int, BadImage], None],
    seen: Seen | None = None,
) -> Iterator[tuple[list[int], list[np.ndarray]]]:
    """Features of `items[row]` for each row, batch by batch, in order.

    Parameters
    ----------
    bad : callable
        Told (row, error) of every image that cannot be decoded, in the caller's thread.
    seen : callable, optional
        See `Seen`: for who would decode the same images again.

    Yields
    ------
    (rows, features) : list of int, list of float32 (n, d), one a place
    """
    size = runner.batch_size
    batches = [[int(row) for row in rows[at : at + size]] for at in range(0, len(rows), size)]
    alone = runner.n_workers == 1

    def work(batch: list[int]) -> tuple[list[int], Any, Failed]:
        good, pixels, failed = decode_batch(items, batch, shape, seen)
        return good, pixels if alone or not good else runner.run(pixels), failed

    workers = n_threads() if alone else runner.n_workers
    for done in ahead(work, batches, workers):
        yield from _finished(done, runner, bad)


def decode_batch(
    items: Sequence[ImageItem], batch: Sequence[int], shape: Preprocessing, seen: Seen | None = None
) -> tuple[list[int], np.ndarray, Failed]:
    """(rows that could be decoded, their pixels uint8 (n, height, width, 3), the others with their errors)."""
    pixels = np.empty((len(batch), shape.height, shape.width, 3), np.uint8)
    good: list[int] = []
    failed: Failed = []
    for row in batch:
        try:
            picture = open_picture(items[row], min_side=least_side(shape))
        except BadImage as error:
            failed.append((row, error))
            if seen is not None:
                seen(row, error)
            continue
        if seen is not None:
            seen(row, picture)
        pixels[len(good)] = prepared(picture, shape)
        good.append(row)
    return good, pixels[: len(good)], failed


def _finished(
    done: tuple[list[int], Any, Failed], runner: Runner, bad: Callable[[int, BadImage], None]
) -> Iterator[tuple[list[int], list[np.ndarray]]]:
    good, found, failed = done
    for row, error in failed:
        bad(row, error)
    if good:
        yield good, runner.run(found) if runner.n_workers == 1 else found
