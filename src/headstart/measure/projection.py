"""How far a map can be trusted: neighbours that are false, missing or kept, against the space it was made of.

Trustworthiness and continuity: Venna and Kaski, Neighborhood Preservation in Nonlinear Projection Methods,
ICANN 2001. On many points a seeded sample of them asks, and every point may answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.base.errors import UsageError
from headstart.measure.intervals import percentile_interval, resamples
from headstart.measure.values import Score

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

K, MOST_QUERIES = 15, 2000
CELLS_AT_ONCE = 1 << 22


@dataclass(frozen=True, eq=False)
class MapTrust:
    """How well a map keeps neighbours, each a mean over the points that were asked.

    Attributes
    ----------
    n, n_queries, k : int
        Points, those of them that were asked, and neighbours looked at.
    trustworthiness : Score
        1 where no neighbour on the map is a stranger in the space; 0.5 or so for a random map.
    continuity : Score
        1 where no neighbour in the space is lost on the map.
    preserved : Score
        Share of the k nearest in the space that are among the k nearest on the map.
    labels_map, labels_space : Score or None
        Share of the k nearest, on the map and in the space, that carry the point's own label; None without
        labels. Both are over the same labelled points.
    queries : int array (n_queries,)
    kept : float array (n_queries,)
        `preserved` of each point that was asked.
    """

    n: int
    n_queries: int
    k: int
    trustworthiness: Score
    continuity: Score
    preserved: Score
    labels_map: Score | None
    labels_space: Score | None
    queries: NDArray[np.int64]
    kept: Floats

    def to_dict(self) -> dict[str, Any]:
        """As a JSON-like value."""
        scores = {name: getattr(self, name) for name in SCORES}
        told = {name: None if score is None else score.to_dict() for name, score in scores.items()}
        return {"n_queries": self.n_queries, "k": self.k, **told}


SCORES = ("trustworthiness", "continuity", "preserved", "labels_map", "labels_space")


def map_trust(
    space: Any,
    points: Any,
    labels: Sequence[str | None] | None = None,
    *,
    k: int = K,
    n_queries: int = MOST_QUERIES,
    seed: int = 0,
) -> MapTrust:
    """Hold a map against the space it was made of.

    Parameters
    ----------
    space : float array (n, d)
        n is at least 3.
    points : float array (n, 2)
    labels : sequence of str or None, optional
    k : int
        Neighbours; less where there are fewer than 2 k + 1 points.
    n_queries : int
        Points that are asked, drawn where there are more.
    seed : int

    Returns
    -------
    MapTrust
        Scores with 95 % bootstrap intervals over the points that were asked.

    Raises
    ------
    UsageError
        Fewer than three points, arrays of different length, or `k` below 1.
    """
    high, low = np.asarray(space), np.asarray(points, np.float64)
    n = len(high)
    if n < 3 or len(low) != n or k < 1:
        raise UsageError(
            f"expected 3 or more points on both sides and k of 1 or more, got {n}, {len(low)}, {k}"
        )
    k = min(k, (n - 1) // 2)
    rng = np.random.default_rng(seed)
    asked = np.arange(n) if n <= n_queries else np.sort(rng.choice(n, n_queries, replace=False))
    codes = _codes(labels, n)
    squares = np.einsum("ij,ij->i", high, high)
    parts = [_compared(_far(high, squares, rows), low, rows, k, codes) for rows in _blocks(asked, n)]
    found = np.concatenate(parts, axis=1)
    kept = [_score(each, seed) for each in found[:3]]
    own = [_score(each, seed) if np.isfinite(each).any() else None for each in _both(found[3:])]
    return MapTrust(n, len(asked), k, kept[0], kept[1], kept[2], own[0], own[1], asked, found[2])


def _codes(labels: Sequence[str | None] | None, n: int) -> NDArray[np.int64]:
    """Numbers of the labels; -1 where there is none."""
    if labels is None:
        return np.full(n, -1)
    known = {label: at for at, label in enumerate(sorted({each for each in labels if each is not None}))}
    return np.array([-1 if each is None else known[each] for each in labels], np.int64)


def _blocks(asked: NDArray[np.int64], n: int) -> Iterator[NDArray[np.int64]]:
    step = max(1, CELLS_AT_ONCE // n)
    for at in range(0, len(asked), step):
        yield asked[at : at + step]


def _compared(
    far: NDArray[Any], low: Floats, rows: NDArray[np.int64], k: int, codes: NDArray[np.int64]
) -> Floats:
    """Trust, continuity, share kept, share of own label on the map and in the space, (5, rows)."""
    near = _near(low, rows)
    true, shown = _nearest(far, k), _nearest(near, k)
    most = k * (2 * len(low) - 3 * k - 1) / 2
    made = np.empty((5, len(rows)))
    made[0] = 1 - _excess(far, shown, k) / most
    made[1] = 1 - _excess(near, true, k) / most
    made[2] = (true[:, :, None] == shown[:, None, :]).any(2).mean(1)
    made[3], made[4] = _own_label(codes, rows, shown), _own_label(codes, rows, true)
    return made


def _far(points: NDArray[Any], squares: NDArray[Any], rows: NDArray[np.int64]) -> NDArray[Any]:
    """Squared distances of some rows to all by one product of matrices, the own one infinite, (rows, n)."""
    made = points[rows] @ points.T
    made *= -2
    made += squares[rows, None]
    made += squares[None, :]
    made[np.arange(len(rows)), rows] = np.inf
    return np.asarray(made)


def _near(points: Floats, rows: NDArray[np.int64]) -> Floats:
    """The same in the plane, by differences: points of a map lie so near that the product would round them off."""
    made: Floats = (points[rows, None, 0] - points[None, :, 0]) ** 2
    made += (points[rows, None, 1] - points[None, :, 1]) ** 2
    made[np.arange(len(rows)), rows] = np.inf
    return made


def _nearest(distances: NDArray[Any], k: int) -> NDArray[np.int64]:
    """The k nearest, of equally near ones the earlier ones first, (rows, k)."""
    part = np.argpartition(distances, k - 1, axis=1)[:, :k]
    return np.asarray(np.sort(part, axis=1), np.int64)


def _excess(distances: NDArray[Any], chosen: NDArray[np.int64], k: int) -> Floats:
    """By how much the ranks of the chosen points exceed k, summed over them; equally near ones share a rank."""
    ordered = np.sort(distances, axis=1)
    own = np.take_along_axis(distances, chosen, 1)
    ranks = np.stack([np.searchsorted(*pair) for pair in zip(ordered, own, strict=True)]) + 1
    return np.asarray(np.maximum(ranks - k, 0).sum(1), np.float64)


def _own_label(codes: NDArray[np.int64], rows: NDArray[np.int64], near: NDArray[np.int64]) -> Floats:
    """Of the labelled ones among the near, the share with the point's label; NaN where nothing is known."""
    known = codes[near] >= 0
    same = (codes[near] == codes[rows][:, None]) & known
    total = known.sum(1).astype(float)
    total[(total == 0) | (codes[rows] < 0)] = np.nan
    return np.asarray(same.sum(1) / total, np.float64)


def _both(pair: Floats) -> Floats:
    """The two rows where both are known, so that they are means over the same points."""
    return np.where(np.isfinite(pair).all(0), pair, np.nan)


def _score(values: Floats, seed: int) -> Score:
    real = values[np.isfinite(values)]
    mean = float(real.mean())
    draws = np.concatenate([real[rows].mean(1) for rows in resamples(len(real), seed=seed)])
    return Score(mean, *percentile_interval(mean, draws), n=len(real))
