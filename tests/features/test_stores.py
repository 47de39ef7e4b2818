"""Stores of vectors: one contract suite over the embedded one, Milvus (milvus-lite) and PostgreSQL (pgvector)."""

from __future__ import annotations

import pytest

from headstart.features.stores.address import open_store
from headstart.testing.stores import CHECKS


@pytest.fixture(scope="module", params=["faiss", "milvus", "postgres"])
def opener(request, tmp_path_factory):
    """`open(name)`: a handle to the store of that name."""
    if request.param == "milvus":
        pytest.importorskip("pymilvus")
        pytest.importorskip("milvus_lite")
        place = f"milvus:{tmp_path_factory.mktemp('milvus') / 'index.db'}#"
    elif request.param == "postgres":
        place = f"{request.getfixturevalue('postgres_url')}#"
    else:
        place = f"faiss:{tmp_path_factory.mktemp('faiss')}/"
    return lambda name: open_store(place + name, create=True)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_contract_of_stores(opener, check):
    check(opener)
