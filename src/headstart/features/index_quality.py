"""How well an index finds images of the query's class, with the query itself and its copies left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from headstart.base.errors import DataError
from headstart.base.events import Progress, emit, warn
from headstart.features.index import NEAR, ImageIndex
from headstart.features.neighbours.exact import similarities, unit
from headstart.features.stores.where import Where, check_columns, holds, parse_where
from headstart.images.table import ImageTable
from headstart.measure.retrieval import METRICS, RetrievalQuality, query_scores, summarise

CELLS = 4_000_000  # similarities held at one time
N_WORST = 10
SUSPICIOUS = 0.05


@dataclass(frozen=True)
class IndexQuality:
    """Quality of a search over an index.

    Attributes
    ----------
    n_same, n_near : int
        Pairs of query and image left out: of the same content, and of a cosine of `near` or more.
    worst : tuple of (path, class, average precision)
        The queries with the least average precision.
    """

    target: str
    n_index: int
    near: float
    n_same: int
    n_near: int
    n_unlabelled: int
    quality: RetrievalQuality
    worst: tuple[tuple[str, str, float], ...]

    def to_dict(self) -> dict[str, Any]:
        """As `search --evaluate --json` prints it."""
        return {
            "target": self.target, "n_index": self.n_index, "near": self.near, "n_same": self.n_same,
            "n_near": self.n_near, "n_unlabelled": self.n_unlabelled, **self.quality.to_dict(),
            "worst": [dict(zip(("path", "class", "average_precision"), each, strict=True)) for each in self.worst],
        }  # fmt: skip


def evaluate_index(
    index: ImageIndex,
    table: ImageTable,
    *,
    target: str | None = None,
    k: int = 12,
    near: float = NEAR,
    where: str | Where | None = None,
    expand: int = 0,
    seed: int = 0,
) -> IndexQuality:
    """Rank the index for every labelled image of the table; an image of the same class is relevant.

    Parameters
    ----------
    target : str, optional
        Label column, in the table and in the index; the table's first.
    near : float
        Cosine from which an image counts as a copy of the query and is left out of the ranking.
    where : str, optional
        Only images in which this condition holds are ranked.
    expand : int
        Rank by the mean of the query and its first `expand` results that are no copies of it; 0: by the query.

    Raises
    ------
    DataError, UnknownName
    """
    name = table.target(target)
    kept = index.store.columns.get(name)
    if kept is None or all(label is None for label in kept):
        raise DataError(
            f"the index has no labels in a column {name!r}; index data with labels, or give --target"
        )
    labelled = table.select([row for row, label in enumerate(table.labels[name]) if label is not None])
    if not len(labelled):
        raise DataError(f"{table.name}: no image has a label in {name!r}")
    index._check_search(k, expand, near)
    label_of = dict(zip(labelled.paths, labelled.labels[name], strict=True))
    queries, digests, paths = index.embed(labelled.items(), labelled.paths)
    labels = [str(label_of[path]) for path in paths]
    rows = _allowed(index, where)
    gallery = _Gallery(index, rows, np.array(kept, dtype=object)[rows], near)
    per_query, same, close = _ranked(gallery, queries, digests, labels, k, expand)
    if close > SUSPICIOUS * len(queries) * len(rows):
        warn(
            f"{close / len(queries) / len(rows):.0%} of all pairs have a cosine of {near} or more and were left out "
            "as copies; features of this layer are much alike: raise --near"
        )
    order = np.argsort(per_query["map"], kind="stable")[:N_WORST]
    worst = tuple((paths[row], labels[row], float(per_query["map"][row])) for row in order)
    return IndexQuality(
        name, len(rows), near, same, close, len(table) - len(labelled),
        summarise(per_query, labels, k, seed=seed), tuple(each for each in worst if np.isfinite(each[2])),
    )  # fmt: skip


class _Gallery:
    """The images that are ranked."""

    def __init__(self, index: ImageIndex, rows: np.ndarray, classes: np.ndarray, near: float) -> None:
        self.metric, self.classes, self.near = index.card.metric, classes, near
        self.vectors = np.asarray(index.store.vectors(index.store.rows[rows]))
        self.directions = self.vectors if self.metric == "cosine" else unit(self.vectors)
        self.digests = np.array(index.store.columns["digest"], dtype=object)[rows]

    def copies(self, queries: np.ndarray, digests: list[str]) -> tuple[np.ndarray, np.ndarray]:
        """Which images are of a query's own content, and which lie as near as a copy: bool (q, n) each."""
        itself = (self.digests[None] == np.array(digests, dtype=object)[:, None]).astype(bool)
        return itself, similarities(unit(queries), self.directions, "cosine") >= self.near

    def scores(self, queries: np.ndarray) -> np.ndarray:
        return similarities(queries, self.vectors, self.metric)

    def expanded(self, queries: np.ndarray, out: np.ndarray, n: int) -> np.ndarray:
        """Means of each query and its first n results that are not `out`."""
        scores = np.where(out, -np.inf, self.scores(queries))
        n = min(n, scores.shape[1])
        first = np.argpartition(-scores, n - 1, axis=1)[:, :n]
        there = np.isfinite(np.take_along_axis(scores, first, 1))
        total = queries + (self.vectors[first] * there[:, :, None]).sum(1)
        means = (total / (1 + there.sum(1, keepdims=True))).astype(np.float32)
        return unit(means) if self.metric == "cosine" else means


def _allowed(index: ImageIndex, where: str | Where | None) -> np.ndarray:
    """Positions in the order of the columns of the images in which the condition holds."""
    if where is None:
        return np.arange(len(index))
    condition = parse_where(where) if isinstance(where, str) else where
    check_columns(condition, index.store.names)
    rows = np.flatnonzero(holds(condition, index.store.columns))
    if not len(rows):
        raise DataError("where: no image of the index meets the condition")
    return rows


def _ranked(
    gallery: _Gallery, queries: np.ndarray, digests: list[str], labels: list[str], k: int, expand: int
) -> tuple[dict[str, np.ndarray], int, int]:
    size = max(1, CELLS // len(gallery.vectors))
    parts: list[dict[str, np.ndarray]] = []
    same = close = 0
    for at in range(0, len(queries), size):
        part = slice(at, at + size)
        relevant = gallery.classes[None] == np.array(labels[part], dtype=object)[:, None]
        itself, alike = gallery.copies(queries[part], digests[part])
        out = itself | alike
        asked = gallery.expanded(queries[part], out, expand) if expand else queries[part]
        parts.append(query_scores(gallery.scores(asked), relevant.astype(bool), k, out))
        same, close = same + int(itself.sum()), close + int((alike & ~itself).sum())
        emit(Progress("ranking", min(len(queries), at + size), len(queries)))
    return {name: np.concatenate([each[name] for each in parts]) for name in METRICS}, same, close
