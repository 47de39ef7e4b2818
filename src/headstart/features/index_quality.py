"""How well an index finds images of the query's class, with the query itself and its copies left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from headstart.base.errors import DataError
from headstart.base.events import Progress, emit, warn
from headstart.features.index import NEAR, ImageIndex
from headstart.features.neighbours.exact import similarities, unit
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
    seed: int = 0,
) -> IndexQuality:
    """Rank the whole index for every labelled image of the table; an image of the same class is relevant.

    Parameters
    ----------
    target : str, optional
        Label column, in the table and in the index; the table's first.
    near : float
        Cosine from which an image counts as a copy of the query and is left out of the ranking.

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
    index._check_search(k, 0, near)
    label_of = dict(zip(labelled.paths, labelled.labels[name], strict=True))
    queries, digests, paths = index.embed(labelled.items(), labelled.paths)
    labels = [str(label_of[path]) for path in paths]
    per_query, same, close = _ranked(index, queries, digests, labels, kept, k, near)
    if close > SUSPICIOUS * len(queries) * len(index):
        warn(
            f"{close / len(queries) / len(index):.0%} of all pairs have a cosine of {near} or more and were left out "
            "as copies; features of this layer are much alike: raise --near"
        )
    order = np.argsort(per_query["map"], kind="stable")[:N_WORST]
    worst = tuple((paths[row], labels[row], float(per_query["map"][row])) for row in order)
    return IndexQuality(
        name, len(index), near, same, close, len(table) - len(labelled),
        summarise(per_query, labels, k, seed=seed), tuple(each for each in worst if np.isfinite(each[2])),
    )  # fmt: skip


def _ranked(
    index: ImageIndex, queries: np.ndarray, digests: list[str], labels: list[str], kept: tuple[str | None, ...],
    k: int, near: float,
) -> tuple[dict[str, np.ndarray], int, int]:  # fmt: skip
    vectors = np.asarray(index.store.vectors())
    directions = vectors if index.card.metric == "cosine" else unit(vectors)
    classes, held = np.array(kept, dtype=object), np.array(index.store.columns["digest"], dtype=object)
    size = max(1, CELLS // len(index))
    parts: list[dict[str, np.ndarray]] = []
    same = close = 0
    for at in range(0, len(queries), size):
        part = slice(at, at + size)
        relevant = classes[None] == np.array(labels[part], dtype=object)[:, None]
        itself = held[None] == np.array(digests[part], dtype=object)[:, None]
        alike = similarities(unit(queries[part]), directions, "cosine") >= near
        scores = similarities(queries[part], vectors, index.card.metric)
        parts.append(query_scores(scores, relevant.astype(bool), k, itself.astype(bool) | alike))
        same, close = same + int(itself.sum()), close + int((alike & ~itself.astype(bool)).sum())
        emit(Progress("ranking", min(len(queries), at + size), len(queries)))
    return {name: np.concatenate([each[name] for each in parts]) for name in METRICS}, same, close
