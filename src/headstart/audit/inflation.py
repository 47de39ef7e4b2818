"""What a naive random split would have shown too much: the score with groups parted, less the score with them whole."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.audit.labels import MOST_CLASSES
from headstart.base.errors import BadOptions
from headstart.base.events import warn
from headstart.images.column_kinds import Kinds, kind_of
from headstart.images.split_whole import parts_whole
from headstart.images.table import ImageTable
from headstart.methods.heads import make_head
from headstart.methods.heads_outputs import LabelsHead, NumberHead
from headstart.methods.output import Output, encode, is_missing
from headstart.methods.output_heads import standardised
from headstart.methods.output_scores import output_score
from headstart.methods.outputs import outputs_of_columns

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Rows = NDArray[np.int64]

SEEDS = 5
STRENGTH = 0.01
LEAST_HELD = 0.15
METRICS = {"classes": "accuracy", "labels": "map", "number": "r2"}
"""What a column is scored by: accuracy, mean average precision of its labels, R2."""


@dataclass(frozen=True)
class Inflation:
    """The score of a linear head on features under both kinds of split.

    Attributes
    ----------
    column : str
    metric : {"accuracy", "map", "r2"}
    naive, whole : float
        Means over seeds.
    difference, low, high : float
        Naive less whole, with its 95 % interval over seeds (Student's t, paired).
    n_seeds, n_test : int
    """

    column: str
    metric: str
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
    """Fit the same head on splits that part groups and on splits that keep them.

    Parameters
    ----------
    table : ImageTable
    target : str
        Label column.
    space : ndarray of float32, shape (n, c)
        Principal components of features.
    groups : ndarray of int64, shape (n,)
    held : float
        Share of the images that is tested on; at least 0.15 are taken.
    seed : int
    kinds : dict of str to str, optional
        What label columns hold where that is known, as `headstart.images.split_whole.split_whole` takes it.

    Returns
    -------
    Inflation or None
        None without two classes, and, with a warning, where there are too many or a part has too few images.
    """
    from scipy.stats import t

    try:
        cells = table.labels[target]
        (output,) = outputs_of_columns({target: cells}, {target: kind_of(target, cells, kinds)})
    except BadOptions:  # nothing to learn: no label, or the same for all
        return None
    unmeasured = f"{target}: what a random split would overstate is not measured"
    if len(output.levels) > MOST_CLASSES:
        warn(f"{unmeasured}: it takes at most {MOST_CLASSES:,} {output.kind}")
        return None
    coded = encode(output, table.labels[target])
    rows = np.flatnonzero(~is_missing(output, coded))
    y, points = standardised(output, coded[rows]), space[rows]
    held = max(held, LEAST_HELD)
    scores = np.full((SEEDS, 2), np.nan)
    for turn in range(SEEDS):
        for at, kept in enumerate((np.arange(len(table)), groups)):
            part = parts_whole(
                table, kept, np.array([1 - held, held]), seed + 1000 * turn, rows.tolist(), kinds
            )
            train, test = part == 0, part == 1
            if len(np.unique(y[train], axis=0)) > 1 and test.any():
                head = _head(output).fit(points[train], y[train], n_folds=2)
                scores[turn, at] = _score(output, head, points[test], y[test])
    if not np.isfinite(scores).all():
        warn(f"{unmeasured}: there are too few images or groups")
        return None
    apart = scores[:, 0] - scores[:, 1]
    half = float(t.ppf(0.975, SEEDS - 1) * apart.std(ddof=1) / np.sqrt(SEEDS))
    mean = float(apart.mean())
    naive, whole = scores.mean(axis=0).tolist()
    return Inflation(
        target, METRICS[output.kind], naive, whole, mean, mean - half, mean + half, SEEDS, round(held * len(rows))
    )  # fmt: skip


def _head(output: Output) -> Any:
    """The linear head of a kind, all with the same penalty on their weights."""
    if output.kind == "labels":
        return LabelsHead(C=STRENGTH, unit_length=False)
    if output.kind == "number":
        return NumberHead(alpha=1 / STRENGTH, unit_length=False)
    return make_head("logistic", C=STRENGTH, unit_length=False)


def _score(output: Output, head: Any, points: NDArray[np.float32], y: NDArray[Any]) -> float:
    if output.kind == "classes":
        return float((head.predict(points) == y).mean())
    return output_score(replace(output, centre=0.0, scale=1.0), head.scores(points), y)
