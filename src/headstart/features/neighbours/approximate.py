"""Approximate nearest neighbours by faiss: HNSW where memory allows, else inverted lists of product codes.

HNSW: Malkov and Yashunin (2018, arXiv:1603.09320). IVF-PQ: Jégou, Douze and Schmid (2011, PAMI 33). HNSW keeps
the vectors, so its scores are exact; what product codes find is ranked anew by the exact vectors. The recall of
both is measured against exact search.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from headstart.base.errors import DataError
from headstart.base.hashing import digest_file
from headstart.base.optional import require
from headstart.features.neighbours.exact import best, nearest

LINKS, BUILD_WIDTH, SEARCH_WIDTH = 32, 80, 128
BLOCK = 50_000
MORE = 16  # candidates by their codes for each neighbour asked for
CODE_BYTES = 8  # values of a vector for each byte of its code
HEADS = {b"IHNf": "hnsw", b"IwPQ": "ivfpq"}
SAMPLE, RECALL_AT = 200, 10
POINTS_A_CENTRE = 64  # that a list's or a code's centre is learned from
FIRST_LISTS, ENOUGH = 8, 0.97  # lists looked into at first, and the recall that is enough


def _faiss() -> Any:
    return require("faiss", extra="search", purpose="approximate search")


def choose_kind(n: int, d: int, memory_bytes: float) -> str:
    """ "hnsw" where n vectors of d values and their links fit into the memory, else "ivfpq".

    Examples
    --------
    >>> choose_kind(1_000_000, 1280, 4e9), choose_kind(1_000_000, 320, 4e9)
    ('ivfpq', 'hnsw')
    """
    return "hnsw" if n * (4 * d + 4 * 2 * LINKS * 1.1) <= memory_bytes else "ivfpq"


def build_approximate(vectors: np.ndarray, metric: str, kind: str, *, seed: int = 0) -> Any:
    """A faiss index over vectors, float32 (n, d).

    Raises
    ------
    MissingPackage
    """
    faiss = _faiss()
    n, d = vectors.shape
    measure = faiss.METRIC_INNER_PRODUCT if metric == "cosine" else faiss.METRIC_L2
    if kind == "hnsw":
        made = faiss.IndexHNSWFlat(d, LINKS, measure)
        made.hnsw.efConstruction, made.hnsw.efSearch = BUILD_WIDTH, SEARCH_WIDTH
    else:
        made = _trained(faiss, vectors, measure, seed)
    for at in range(0, n, BLOCK):
        made.add(np.ascontiguousarray(vectors[at : at + BLOCK], np.float32))
    if kind != "hnsw":
        _widened(made, vectors, metric, seed)
    return made


def _widened(made: Any, vectors: np.ndarray, metric: str, seed: int) -> None:
    """Look into twice as many lists until a sample finds enough of its true neighbours."""
    queries, true = _sampled(vectors, metric, min(RECALL_AT, len(vectors)), seed)
    made.nprobe = min(FIRST_LISTS, made.nlist)
    while _recall(made, queries, true, vectors, metric) < ENOUGH and made.nprobe < made.nlist:
        made.nprobe = min(2 * made.nprobe, made.nlist)


def _trained(faiss: Any, vectors: np.ndarray, measure: int, seed: int) -> Any:
    n, d = vectors.shape
    n_lists = max(1, min(int(2 * math.sqrt(n)), n // 40))
    n_codes = max(m for m in range(1, d + 1) if d % m == 0 and m <= max(1, d // CODE_BYTES))
    coarse = faiss.IndexFlatIP(d) if measure == faiss.METRIC_INNER_PRODUCT else faiss.IndexFlatL2(d)
    made = faiss.IndexIVFPQ(coarse, d, n_lists, n_codes, 8, measure)
    made.own_fields = True
    coarse.this.disown()
    for part in (made.cp, made.pq.cp):
        part.min_points_per_centroid, part.max_points_per_centroid = 1, POINTS_A_CENTRE
        part.seed = seed
    size = min(n, max(POINTS_A_CENTRE * n_lists, 20_000))
    rows = np.sort(np.random.default_rng(seed).choice(n, size, replace=False))
    made.train(np.ascontiguousarray(vectors[rows], np.float32))
    return made


def nearest_approximate(
    made: Any, queries: np.ndarray, vectors: np.ndarray, k: int, metric: str, rows: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """As `nearest`, by a faiss index; (q, k) with row -1 where it found fewer."""
    faiss = _faiss()
    most = len(vectors) if rows is None else len(rows)
    limits: dict[str, Any] = {}
    if rows is not None:
        limits["sel"] = faiss.IDSelectorBatch(rows.astype(np.int64))
    asked = np.ascontiguousarray(queries, np.float32)
    if isinstance(made, faiss.IndexHNSW):
        how = faiss.SearchParametersHNSW(efSearch=max(SEARCH_WIDTH, 2 * k), **limits)
        near, found = made.search(asked, min(k, most), params=how)
        exact = near if metric == "cosine" else -np.sqrt(np.maximum(near, 0))
        if found[:, -1].min() >= 0 and (exact[:, 1:] < exact[:, :-1]).all():
            return found, exact  # no two alike: the order that they came in
        return best(found, np.where(found >= 0, exact, -np.inf).astype(np.float32), k)
    many = min(max(MORE * k, 64), most)
    how = faiss.SearchParametersIVF(nprobe=made.nprobe, **limits)
    _, found = made.search(asked, many, params=how)
    scores = np.full(found.shape, -np.inf, np.float32)
    for query, (line, row_scores) in enumerate(zip(found, scores, strict=True)):
        hit = line >= 0
        row_scores[hit] = _exactly(queries[query], vectors[line[hit]], metric)
    return best(found, scores, k)


def _exactly(query: np.ndarray, vectors: np.ndarray, metric: str) -> np.ndarray:
    found: np.ndarray = vectors @ query if metric == "cosine" else -np.linalg.norm(vectors - query, axis=1)
    return found


def measure_recall(
    made: Any, vectors: np.ndarray, metric: str, *, k: int = RECALL_AT, seed: int = 0
) -> float:
    """Share of the true k neighbours that are found, over at most 200 vectors of the index as queries."""
    queries, true = _sampled(vectors, metric, k, seed + 1)
    return _recall(made, queries, true, vectors, metric)


def _sampled(vectors: np.ndarray, metric: str, k: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Queries out of the index and their true neighbours."""
    n = len(vectors)
    rows = np.sort(np.random.default_rng(seed).choice(n, min(SAMPLE, n), replace=False))
    queries = np.ascontiguousarray(vectors[rows])
    return queries, nearest(queries, vectors, k, metric)[0]


def _recall(made: Any, queries: np.ndarray, true: np.ndarray, vectors: np.ndarray, metric: str) -> float:
    found, _ = nearest_approximate(made, queries, vectors, true.shape[1], metric)
    return float(np.mean([len(set(a) & set(b)) / len(a) for a, b in zip(true, found, strict=True)]))


def write_approximate(made: Any, path: Path) -> None:
    """Write a faiss index to a file."""
    _faiss().write_index(made, str(path))


def read_approximate(path: Path, *, n: int, d: int, digest: str) -> Any:
    """Read a faiss file that is byte for byte the one written, of the size expected.

    Raises
    ------
    DataError, MissingPackage
    """
    with path.open("rb") as file:
        head = file.read(4)
    if head not in HEADS or digest_file(path) != digest:
        raise DataError(f"{path}: not the file that was written; index again")
    made = _faiss().read_index(str(path))
    if made.ntotal != n or made.d != d:
        raise DataError(f"{path}: holds {made.ntotal} x {made.d} values, expected {n} x {d}; index again")
    return made
