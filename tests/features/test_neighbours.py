"""Exact neighbours against a plain sort; approximate ones against exact ones."""

from __future__ import annotations

import numpy as np
import pytest

from headstart.base.errors import DataError
from headstart.features.neighbours import exact
from headstart.features.neighbours.exact import nearest, unit


def vectors(n, d, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


@pytest.mark.parametrize("metric", ["cosine", "l2"])
@pytest.mark.parametrize("block", [7, 16_384])
def test_exact_search_is_a_sort(metric, block, monkeypatch):
    monkeypatch.setattr(exact, "BLOCK_ROWS", block)
    monkeypatch.setattr(exact, "BLOCK_QUERIES", 3)
    kept, queries = vectors(50, 8), vectors(10, 8, 1)
    if metric == "cosine":
        kept, queries = unit(kept), unit(queries)
        true = queries @ kept.T
    else:
        true = -np.linalg.norm(queries[:, None] - kept[None], axis=2)
    found, scores = nearest(queries, kept, 5, metric)
    assert np.array_equal(found, np.argsort(-true, axis=1, kind="stable")[:, :5])
    assert np.allclose(scores, np.take_along_axis(true, found, 1), atol=1e-5)
    some = np.array([4, 9, 30])
    assert set(nearest(queries, kept, 5, metric, some)[0].ravel()) == set(some)


def test_equal_vectors_come_in_the_order_of_rows():
    same = np.ones((20, 4), np.float32)
    assert nearest(same[:1], same, 20, "l2")[0].tolist() == [list(range(20))]


def test_what_is_not_finite_is_refused():
    bad = vectors(5, 4)
    bad[2, 1] = np.nan
    with pytest.raises(DataError, match="not finite"):
        nearest(vectors(1, 4), bad, 2, "cosine")


@pytest.mark.parametrize(
    ("kind", "metric"), [("hnsw", "cosine"), ("hnsw", "l2"), ("ivfpq", "cosine"), ("ivfpq", "l2")]
)
def test_approximate_search_finds_nearly_all(kind, metric, tmp_path):
    pytest.importorskip("faiss")
    from headstart.base.hashing import digest_file
    from headstart.features.neighbours import approximate

    kept = vectors(600, 16)
    kept = unit(kept) if metric == "cosine" else kept
    made = approximate.build_approximate(kept, metric, kind)
    assert approximate.measure_recall(made, kept, metric) > 0.8
    found, _ = approximate.nearest_approximate(made, kept[:5], kept, 3, metric)
    assert found[:, 0].tolist() == [0, 1, 2, 3, 4]
    some = np.arange(100, 140)
    held, _ = approximate.nearest_approximate(made, kept[:5], kept, 3, metric, some)
    assert set(held.ravel()) <= {*some, -1}

    path = tmp_path / "x.faiss"
    approximate.write_approximate(made, path)
    digest = digest_file(path)
    again = approximate.read_approximate(path, n=600, d=16, digest=digest)
    assert np.array_equal(approximate.nearest_approximate(again, kept[:5], kept, 3, metric)[0], found)
    with pytest.raises(DataError, match="expected 601"):
        approximate.read_approximate(path, n=601, d=16, digest=digest)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataError, match="not the file that was written"):
        approximate.read_approximate(path, n=600, d=16, digest=digest)
