"""Exact nearest neighbours: one matrix product a block, the best k kept; never a loop over vectors.

Similarity is what grows with nearness: the cosine of vectors of length one, or the negative distance.
"""

from __future__ import annotations

import numpy as np

from headstart.base.errors import DataError

METRICS = ("cosine", "l2")
BLOCK_ROWS, BLOCK_QUERIES = 16_384, 256


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors of length one, float32; a zero vector stays zero."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    made: np.ndarray = np.divide(vectors, lengths, where=lengths > 0, out=np.zeros_like(vectors, np.float32))
    return made


def similarities(queries: np.ndarray, vectors: np.ndarray, metric: str) -> np.ndarray:
    """Similarity of every query to every vector, float32 (q, n).

    Parameters
    ----------
    queries, vectors : float32 arrays (q, d), (n, d)
        Of length one where the metric is "cosine".
    metric : {"cosine", "l2"}
    """
    products: np.ndarray = queries @ vectors.T
    if metric == "cosine":
        return products
    squares = (queries**2).sum(1)[:, None] + (vectors**2).sum(1)[None, :] - 2 * products
    negative: np.ndarray = -np.sqrt(np.maximum(squares, 0))
    return negative


def nearest(
    queries: np.ndarray, vectors: np.ndarray, k: int, metric: str, rows: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The k most similar vectors of each query, best first; of equal ones the earlier first.

    Parameters
    ----------
    rows : int array, optional
        Only these vectors are looked at.

    Returns
    -------
    (rows, similarities) : int64 and float32 arrays (q, min(k, n))

    Raises
    ------
    DataError
        A similarity is not finite.

    Examples
    --------
    >>> nearest(np.eye(2, dtype=np.float32), np.eye(2, dtype=np.float32), 1, "cosine")[0].tolist()
    [[0], [1]]
    """
    n = len(vectors) if rows is None else len(rows)
    k = min(k, n)
    found = np.zeros((len(queries), k), np.int64)
    scores = np.zeros((len(queries), k), np.float32)
    for start in range(0, len(queries), BLOCK_QUERIES):
        part = slice(start, start + BLOCK_QUERIES)
        found[part], scores[part] = _block(queries[part], vectors, k, metric, rows, n)
    return found, scores


def _block(
    queries: np.ndarray, vectors: np.ndarray, k: int, metric: str, rows: np.ndarray | None, n: int
) -> tuple[np.ndarray, np.ndarray]:
    kept_rows = np.zeros((len(queries), 0), np.int64)
    kept = np.zeros((len(queries), 0), np.float32)
    for at in range(0, n, BLOCK_ROWS):
        chosen = np.arange(at, min(n, at + BLOCK_ROWS)) if rows is None else rows[at : at + BLOCK_ROWS]
        block = vectors[at : at + BLOCK_ROWS] if rows is None else vectors[chosen]
        found = similarities(queries, np.asarray(block), metric)
        if not np.isfinite(found).all():
            raise DataError("vectors that are not finite (NaN or infinity) cannot be compared; index anew")
        kept = np.concatenate([kept, found], axis=1)
        kept_rows = np.concatenate([kept_rows, np.broadcast_to(chosen, found.shape)], axis=1)
        kept_rows, kept = best(kept_rows, kept, k)
    return kept_rows, kept


def best(rows: np.ndarray, scores: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k best columns of each line, sorted; arrays (q, m) to (q, min(k, m))."""
    if scores.shape[1] > k:
        top = np.argpartition(-scores, k - 1, axis=1)[:, :k]
        rows, scores = np.take_along_axis(rows, top, 1), np.take_along_axis(scores, top, 1)
    order = np.lexsort((rows, -scores), axis=1)
    return np.take_along_axis(rows, order, 1), np.take_along_axis(scores, order, 1)
