"""What a naive random split would have shown too much: accuracy with groups parted, less accuracy with them whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from headstart.audit.labels import MOST_CLASSES
from headstart.base.events import warn
from headstart.images.column_kinds import kind_of
from headstart.images.split_whole import Kinds, parts_whole
from headstart.images.table import ImageTable
from headstart.methods.heads import make_head

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Rows = NDArray[np.int64]

SEEDS = 5
STRENGTH = 0.01
LEAST_HELD = 0.15


@dataclass(frozen=True)
class Inflation:
    """Accuracy of a linear head on features under both kinds of split.

    Attributes
    ----------
    naive, whole : float
        Means over seeds.
    difference, low, high : float
        Naive less whole, with its 95 % interval over seeds (Student's t, paired).
    n_seeds, n_test : int
    """

    naive: float
    whole: float
    difference: float
    low: float
    high: float
    n_seeds: int
    n_test: int


def measure_inflation(
    table: ImageTable,
    target: str,
    space: NDArray[np.float32],
    groups: Rows,
    *,
    held: float,
    seed: int = 0,
    kinds: Kinds = None,
) -> Inflation | None:
    """Fit the same head on splits that part groups and on splits that keep them; None without two classes.

    Parameters
    ----------
    table : ImageTable
    target : str
        Label column; what is not of classes, or of too many, is not measured, with a warning.
    space : ndarray of float32, shape (n, c)
        Principal components of features.
    groups : ndarray of int64, shape (n,)
    held : float
        Share of the images that is tested on; at least 0.15 are taken.
    seed : int
    kinds : dict of str to str, optional
        What label columns hold where that is known, as `headstart.images.split_whole.split_whole` takes it.
    """
    from scipy.stats import t

    labels = table.labels[target]
    if (kind := kind_of(target, labels, kinds)) != "classes":
        what = "numbers" if kind == "number" else "sets of labels"
        warn(f"what a random split would overstate is not measured: column {target!r} is of {what}")
        return None
    rows = [row for row in range(len(table)) if labels[row] is not None]
    codes = np.unique(np.array([str(labels[row]) for row in rows]), return_inverse=True)[1]
    if not rows or codes.max() == 0:
        return None
    if codes.max() >= MOST_CLASSES:
        warn(
            f"what a random split would overstate is not measured: it takes at most {MOST_CLASSES:,} classes"
        )
        return None
    held = max(held, LEAST_HELD)
    scores = np.zeros((SEEDS, 2))
    for turn in range(SEEDS):
        for at, kept in enumerate((np.arange(len(table)), groups)):
            part = parts_whole(table, kept, np.array([1 - held, held]), seed + 1000 * turn, rows, kinds)
            train, test = np.flatnonzero(part == 0), np.flatnonzero(part == 1)
            if len(np.unique(codes[train])) < 2 or not len(test):
                return None
            head = make_head("logistic", C=STRENGTH, unit_length=False)
            head.fit(space[rows][train], codes[train])
            scores[turn, at] = (head.predict(space[rows][test]) == codes[test]).mean()
    apart = scores[:, 0] - scores[:, 1]
    half = float(t.ppf(0.975, SEEDS - 1) * apart.std(ddof=1) / np.sqrt(SEEDS))
    mean = float(apart.mean())
    n_test = round(held * len(rows))
    naive, whole = scores.mean(axis=0).tolist()
    return Inflation(naive, whole, mean, mean - half, mean + half, SEEDS, n_test)
