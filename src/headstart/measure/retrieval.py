"""How well a ranking finds what belongs together: mAP, precision, recall, R-precision and NDCG.

Manning, Raghavan and Schütze (2008), Introduction to Information Retrieval, ch. 8; NDCG: Järvelin and
Kekäläinen (2002, ACM TOIS 20). Relevance is yes or no. Intervals: bootstrap over queries.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.base.errors import UsageError
from headstart.measure.intervals import percentile_interval, resamples
from headstart.measure.values import Score

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

METRICS = ("map", "precision_at_k", "recall_at_k", "r_precision", "ndcg")


@dataclass(frozen=True)
class RetrievalQuality:
    """Means over queries.

    Attributes
    ----------
    n : int
        Queries for which there is something to find.
    n_nothing_to_find : int
        Queries without any relevant item; they are in no mean.
    scores : dict of str to Score
        One a name in `METRICS`.
    per_class : dict of str to dict
        The same means over the queries of each class, and their number `n`.
    """

    n: int
    n_nothing_to_find: int
    k: int
    scores: dict[str, Score]
    per_class: dict[str, dict[str, float]]

    def to_dict(self) -> dict[str, Any]:
        """As a JSON-like value."""
        scores = {name: score.to_dict() for name, score in self.scores.items()}
        return {
            "n": self.n, "n_nothing_to_find": self.n_nothing_to_find, "k": self.k, **scores, "per_class": self.per_class,
        }  # fmt: skip


def query_scores(
    scores: NDArray[Any], relevant: NDArray[np.bool_], k: int, ignored: NDArray[np.bool_] | None = None
) -> dict[str, Floats]:
    """Metrics of each query.

    Parameters
    ----------
    scores : float array (q, n)
        Similarity of every item; the highest comes first, of equal ones the earlier.
    relevant : bool array (q, n)
    k : int
        For precision and recall at k; where fewer items count, precision is over those.
    ignored : bool array (q, n), optional
        Items taken out of the ranking (the query itself and its copies): neither hits nor misses.

    Returns
    -------
    dict of str to float array (q,)
        One a name in `METRICS`; NaN where nothing is relevant.

    Examples
    --------
    >>> query_scores(np.array([[3.0, 2.0, 1.0]]), np.array([[True, False, True]]), 2)["map"].round(3).tolist()
    [0.833]
    """
    out = np.zeros(scores.shape, bool) if ignored is None else ignored
    order = np.argsort(-np.where(out, -np.inf, scores), axis=1, kind="stable")
    hit = np.take_along_axis(relevant & ~out, order, 1)
    n_counted = (~out).sum(1)
    hits = hit.cumsum(1)
    ranks = np.arange(1, scores.shape[1] + 1)
    total = hits[:, -1].astype(float)
    total[total == 0] = np.nan
    at_k = hits[:, min(k, len(ranks)) - 1]
    gains = 1 / np.log2(ranks + 1)
    ideal = gains.cumsum()
    whole = np.nan_to_num(total, nan=1).astype(int)
    queries = np.arange(len(scores))
    return {
        "map": np.where(hit, hits / ranks, 0.0).sum(1) / total,
        "precision_at_k": at_k / np.maximum(1, np.minimum(k, n_counted)) + 0 * total,
        "recall_at_k": at_k / total,
        "r_precision": hits[queries, whole - 1] / total,
        "ndcg": (hit * gains).sum(1) / ideal[whole - 1] + 0 * total,
    }


def summarise(
    per_query: dict[str, Floats], classes: Sequence[str], k: int, *, seed: int = 0
) -> RetrievalQuality:
    """Means over queries with 95 % bootstrap intervals, and per class.

    Parameters
    ----------
    per_query : dict of str to float array (q,)
        Of `query_scores`.
    classes : sequence of str
        The class of each query.

    Raises
    ------
    UsageError
        No query has anything to find.
    """
    real = np.isfinite(per_query["map"])
    n = int(real.sum())
    if n == 0:
        raise UsageError("no query has an image of its class in the index; there is nothing to measure")
    values = np.stack([per_query[name][real] for name in METRICS])
    draws = np.concatenate([values[:, rows].mean(2) for rows in resamples(n, seed=seed)], axis=1)
    scores = {}
    for at, name in enumerate(METRICS):
        mean = float(values[at].mean())
        scores[name] = Score(mean, *percentile_interval(mean, draws[at]), n=n)
    own = np.asarray(classes, dtype=object)[real]
    per_class = {
        str(label): {
            **{name: float(values[at][own == label].mean()) for at, name in enumerate(METRICS)},
            "n": int((own == label).sum()),
        }
        for label in sorted(set(own))
    }
    return RetrievalQuality(n, int((~real).sum()), k, scores, per_class)
