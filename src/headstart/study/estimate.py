"""How long a plan will take and how much disk: measured figures where there are some, else guesses."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from headstart.methods.training_options import own_epochs
from headstart.study.partition import Dataset
from headstart.study.records import Cell
from headstart.study.resolve import Variant

_WIDTH = 400
_CELL_BYTES = 6_000
_RANGE_TEST_STEPS = 40
_WHOLE_RATE = 14.0
GUESSED_TRIALS = 50
_TRAIN_RATES = {"head": 1200.0, "last:1": 450.0, "last:2": 100.0}
"""Images a second in a step of training, for lite0 at 224 pixels on two processors."""

Timed = Mapping[int, tuple[float, ...]]
"""By the number of images that a fit learned from: measured seconds, the mean over runs."""
Uncached = Callable[[str, Variant, Sequence[Cell]], int]
"""From a dataset, a backbone and the cells that need its features to the images that it has yet to run over."""


@dataclass(frozen=True)
class Rates:
    """What the estimate of a plan rests on.

    Attributes
    ----------
    images_per_second : dict
        (backbone, height, width) to a measured rate; others are guessed from `reference` for lite0 at 224 pixels.
    fit_seconds : dict
        Head to measured seconds a fit (`Timed`); others are guessed from the number of images.
    train_seconds : dict
        (dataset, method) to measured seconds an epoch and seconds of all the rest of a fit (`Timed`).
    reference : float
        Images a second, decoding included, of lite0 at 224 pixels.
    """

    images_per_second: Mapping[tuple[str, int, int], float] = field(default_factory=dict)
    fit_seconds: Mapping[str, Timed] = field(default_factory=dict)
    train_seconds: Mapping[tuple[str, str], Timed] = field(default_factory=dict)
    reference: float = 120.0


@dataclass(frozen=True)
class Estimate:
    """Expected cost of what is left to run."""

    extract_seconds: float
    fit_seconds: float
    disk_bytes: int
    measured: bool
    train_seconds: float = 0.0

    @property
    def seconds(self) -> float:
        """Expected seconds in all."""
        return self.extract_seconds + self.fit_seconds + self.train_seconds


def estimated(
    pending: Sequence[Cell],
    datasets: Sequence[Dataset],
    variants: Sequence[Variant],
    rates: Rates,
    others: Mapping[str, tuple[int, int]] | None = None,
    uncached: Uncached | None = None,
) -> Estimate:
    """The cost of these cells.

    Parameters
    ----------
    pending : sequence of Cell
    datasets : sequence of Dataset
    variants : sequence of Variant
        Backbones at the sizes of the cells.
    rates : Rates
    others : mapping of dataset to (int, int), optional
        Other test images (a second folder, corrupted ones), under every condition: in all, and of one run.
    uncached : callable, optional
        Images whose features are not in the cache, other test images among them; all where it is not given.
    """
    more = others or {}
    by_name = {data.table.name: data for data in datasets}
    cards = {_sized(each): each for each in variants}
    passes: dict[tuple[str, tuple[str, int, int]], list[Cell]] = {}
    for cell in pending:
        passes.setdefault((cell.dataset, (cell.backbone, cell.height, cell.width)), []).append(cell)
    n_left = {
        (name, key): uncached(name, cards[key], cells)
        if uncached is not None
        else len(by_name[name].table) + more.get(name, (0, 0))[0]
        for (name, key), cells in passes.items()
    }
    extract = sum(n / _rate(cards[key], rates) for (_, key), n in n_left.items())
    fit, train, disk = 0.0, 0.0, 0
    taps = {
        ((cell.dataset, (cell.backbone, cell.height, cell.width)), cell.module, cell.pooling)
        for cell in pending
    }
    for cell in pending:
        data = by_name[cell.dataset]
        partition = data.partition(cell.seed, cell.per_class)
        n_train = len(partition.folds[0].train)
        times = n_fits(cell)
        if cell.trains:
            variant = cards[cell.backbone, cell.height, cell.width]
            train += times * cell_seconds(cell, data, variant, rates)
            train += more.get(cell.dataset, (0, 0))[1] * len(partition.folds) / _rate(variant, rates)
        else:
            known = rates.fit_seconds.get(cell.head)
            fit += times * scaled(known, n_train, lambda n: (_head_guess(n),))[0] * len(partition.folds)
        disk += _CELL_BYTES + 4 * len(partition.test_rows) * len(data.classes())
    disk += sum(n_left[key] * _WIDTH * 4 for key, *_ in taps)
    measured = all(key in rates.images_per_second for (_, key), n in n_left.items() if n)
    measured = measured and all(_is_measured(cell, rates) for cell in pending)
    return Estimate(extract, fit, disk, measured, train)


def n_fits(cell: Cell) -> int:
    """Fits of one fold: of a tuned run its trials and the last one (a budget alone counts as `GUESSED_TRIALS`)."""
    if not cell.tuned:
        return 1
    return 1 + int(json.loads(cell.tuned)["trials"] or GUESSED_TRIALS)


def _is_measured(cell: Cell, rates: Rates) -> bool:
    return (
        (cell.dataset, cell.base_method) in rates.train_seconds
        if cell.trains
        else cell.head in rates.fit_seconds
    )


def cell_seconds(cell: Cell, data: Dataset, variant: Variant, rates: Rates) -> float:
    """Expected seconds of a run that trains: all its fits, the range test and the views among them."""
    options, partition = cell.options, data.partition(cell.seed, cell.per_class)
    n_train, n_folds = len(partition.folds[0].train), len(partition.folds)
    known, n_test = rates.train_seconds.get((cell.dataset, cell.base_method)), len(partition.folds[0].test)
    epoch, rest = scaled(known, n_train, lambda n: _training_guess(cell, n, n_test, variant, rates))
    epochs = options["epochs"] or own_epochs(cell.scenario, n_train)
    training = options["seconds"] or epoch * epochs * options.get("soup", 1)
    # separate networks are fits of their own, which rates are of; tied ones are one fit
    alike = cell.sharing == "separate" or (cell.sharing == "soft" and not known)
    return float((training + rest) * n_folds * (len(data.outputs) if alike else 1))


def scaled(
    known: Timed | None, n: int, guess: Callable[[int], tuple[float, ...]]
) -> tuple[float, ...]:  # fmt: skip
    """Seconds of a fit on `n` images: those measured on the nearest number, carried over as the guess grows.

    Parameters
    ----------
    known : Timed or None
        None or empty: the guess stands as it is.
    n : int
    guess : callable
        Number of images to guessed seconds, one a part.

    Examples
    --------
    >>> scaled({100: (2.0,), 1000: (50.0,)}, 2000, lambda n: (n / 10,))
    (100.0,)
    """
    if not known:
        return guess(n)
    near = min(known, key=lambda each: abs(math.log(max(1, each) / max(1, n))))
    if near == n:
        return known[n]
    parts = zip(known[near], guess(n), guess(near), strict=True)
    return tuple(seconds * here / there if there else seconds for seconds, here, there in parts)


def _head_guess(n_train: int) -> float:
    return 0.2 + n_train / 2000


def _training_guess(
    cell: Cell, n_train: int, n_test: int, variant: Variant, rates: Rates
) -> tuple[float, float]:
    """Seconds an epoch, and of the rest of a fit: range test, views, test images."""
    options, speed = cell.options, _rate(variant, rates)
    scale = speed / rates.reference
    rate = scale * (_TRAIN_RATES.get(cell.cut, _WHOLE_RATE) if cell.scenario == "finetune" else _WHOLE_RATE)
    rest = 0.0 if options["learning_rate"] else _RANGE_TEST_STEPS * options["batch_size"] / rate
    rest += n_train * options["views"] / speed if cell.scenario == "finetune" else 0.0
    rest += n_test / (_WHOLE_RATE * 2 * scale)
    # sharpness-aware steps pass twice; mixed pixels run the frozen part in every epoch
    epoch = n_train / rate * (2 if options.get("sam") else 1)
    epoch += n_train / speed if cell.scenario == "finetune" and _mixes(options) else 0.0
    return epoch, rest


def _mixes(options: Mapping[str, Any]) -> bool:
    return bool(options["mixup"] or options["cutmix"])


def _rate(variant: Variant, rates: Rates) -> float:
    card, shape = variant.card, variant.card.preprocessing
    if known := rates.images_per_second.get(_sized(variant)):
        return known
    pixels = shape.height * shape.width
    others = {
        height * width: rate
        for (name, height, width), rate in rates.images_per_second.items()
        if name == card.name
    }
    if others:  # measured at another size: time goes with the pixels
        near = min(others, key=lambda each: abs(each - pixels))
        return others[near] * near / pixels
    size = max(card.n_parameters, 1_000_000) / 4_652_008
    return rates.reference / size / (pixels / 224**2)


def _sized(variant: Variant) -> tuple[str, int, int]:
    shape = variant.card.preprocessing
    return variant.card.name, shape.height, shape.width


def spoken(seconds: float) -> str:
    """Expected seconds as a person says them."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
