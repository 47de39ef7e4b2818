"""The images of an index in Milvus: one collection, its vector index, and searches of it.

A row: its number, the generation that shows it, a digest of its key, its cells as JSON, its tags
(`milvus_where`), its vector. FLAT indexes are exact; HNSW ones are Malkov and Yashunin's (2018, arXiv:1603.09320).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from headstart.features.neighbours.approximate import BUILD_WIDTH, LINKS, SEARCH_WIDTH
from headstart.features.neighbours.exact import best, nearest
from headstart.features.stores.cells import cells_of, key_digest
from headstart.features.stores.contract import Key, Records
from headstart.features.stores.milvus_where import Vocabulary, tags_of

BATCH, BATCH_BYTES = 1000, 8 << 20
MOST_FOUND = 16_384  # Milvus's own limit of neighbours and of rows of one answer
MOST_TAGGED = 4096
QUERIES = 64
MEASURES = {"cosine": "IP", "l2": "L2"}


class MilvusRows:
    """The collection of images.

    Parameters
    ----------
    client : MilvusClient
    collection : str
    """

    def __init__(self, client: Any, collection: str) -> None:
        self.client, self.collection = client, collection

    def exist(self) -> bool:
        """Whether there is the collection."""
        return bool(self.client.has_collection(self.collection))

    def make(self, types: Any, d: int, metric: str) -> None:
        """Make the collection anew, for vectors of d values."""
        if self.exist():
            self.client.drop_collection(self.collection)
        schema = self.client.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field("id", types.INT64, is_primary=True)
        schema.add_field("born", types.INT64)
        schema.add_field("key", types.VARCHAR, max_length=64)
        schema.add_field("cells", types.JSON)
        schema.add_field("tags", types.ARRAY, element_type=types.INT64, max_capacity=MOST_TAGGED)
        schema.add_field("vector", types.FLOAT_VECTOR, dim=d)
        self.client.create_collection(
            self.collection, schema=schema, index_params=self._index_of("FLAT", metric), consistency_level="Strong"
        )  # fmt: skip

    def index_kind(self) -> str | None:
        """Kind of the vector index; None where a change was cut off between two."""
        names = self.client.list_indexes(self.collection)
        if not names:
            return None
        return str(self.client.describe_index(self.collection, names[0])["index_type"])

    def load(self, kind: str, metric: str) -> None:
        """Make ready for searches; a vector index is made where a change was cut off between two."""
        if self.index_kind() is None:
            self.set_index(kind, metric)
        else:
            self.client.load_collection(self.collection)

    def set_index(self, kind: str, metric: str) -> None:
        """Have a vector index of this kind ("FLAT" or "HNSW") in the place of another."""
        self.client.release_collection(self.collection)
        for name in self.client.list_indexes(self.collection):
            self.client.drop_index(self.collection, name)
        self.client.flush(self.collection)
        self.client.create_index(self.collection, self._index_of(kind, metric))
        self.client.load_collection(self.collection)

    def _index_of(self, kind: str, metric: str) -> Any:
        made = self.client.prepare_index_params()
        params = {"M": LINKS, "efConstruction": BUILD_WIDTH} if kind == "HNSW" else {}
        made.add_index("vector", index_type=kind, metric_type=MEASURES[metric], params=params)
        return made

    def insert(self, put: Records, first: int, born: int, vocabulary: Vocabulary) -> None:
        """Write images to rows from `first` on, to be shown from generation `born` on."""
        size = batch(put.vectors.shape[1])
        keys = put.keys()
        for at in range(0, len(put), size):
            rows = [
                {
                    "id": first + row, "born": born, "key": key_digest(keys[row]), "cells": cells_of(put.columns, row),
                    "tags": tags_of(vocabulary, put.columns, row), "vector": put.vectors[row].tolist(),
                }
                for row in range(at, min(len(put), at + size))
            ]  # fmt: skip
            self.client.insert(self.collection, rows)

    def find(self, keys: Sequence[Key], shown: str) -> list[int]:
        """Rows of these keys."""
        digests = sorted({key_digest(key) for key in keys})
        found: list[int] = []
        for at in range(0, len(digests), BATCH):
            for page in self.pages(f"{shown} and key in {_quoted(digests[at : at + BATCH])}", []):
                found += [int(row["id"]) for row in page]
        return sorted(found)

    def delete(self, rows: Sequence[int]) -> None:
        """Remove rows for good."""
        for at in range(0, len(rows), BATCH):
            self.client.delete(self.collection, ids=[int(row) for row in rows[at : at + BATCH]])

    def delete_unborn(self, generation: int) -> None:
        """Remove what a change that was cut off has left."""
        self.client.delete(self.collection, filter=f"born > {int(generation)}")

    def count(self, shown: str) -> int:
        """Rows that meet a condition."""
        found = self.client.query(self.collection, filter=shown, output_fields=["count(*)"])
        return int(found[0]["count(*)"])

    def at(self, rows: Sequence[int], field: str, d: int) -> dict[int, Any]:
        """A field of these rows, by row."""
        found: dict[int, Any] = {}
        size = batch(d) if field == "vector" else BATCH
        for at in range(0, len(rows), size):
            part = [int(row) for row in rows[at : at + size]]
            told = self.client.query(
                self.collection, filter=f"id in {part}", output_fields=["id", field], limit=len(part)
            )
            found |= {int(row["id"]): row[field] for row in told}
        return found

    def pages(self, shown: str, fields: Sequence[str], d: int = 0) -> Iterator[list[dict[str, Any]]]:
        """Rows that meet a condition with these fields, in pieces."""
        pages = self.client.query_iterator(
            self.collection, batch_size=batch(d), filter=shown, output_fields=["id", *fields]
        )
        try:
            while page := pages.next():
                yield page
        finally:
            pages.close()

    def nearest(self, queries: np.ndarray, k: int, shown: str, metric: str) -> tuple[np.ndarray, np.ndarray]:
        """The k nearest rows and their similarity, as Milvus's index finds them; (q, k), exact where that is FLAT.

        Twice as many are asked for, so that of equal ones the earlier come first. A query for which the index finds
        fewer than k is answered by reading the vectors.
        """
        found, scores = np.zeros((len(queries), k), np.int64), np.zeros((len(queries), k), np.float32)
        many = min(MOST_FOUND, 2 * k + 16)
        params = {"metric_type": MEASURES[metric], "params": {"ef": max(SEARCH_WIDTH, many)}}
        short = []
        for at in range(0, len(queries) if k else 0, QUERIES):
            answers = self.client.search(
                self.collection, data=queries[at : at + QUERIES].tolist(), limit=many, filter=shown,
                output_fields=["id"], search_params=params, anns_field="vector",
            )  # fmt: skip
            for query, answer in enumerate(answers, at):
                if len(answer) < k:
                    short.append(query)
                    continue
                rows = np.array([[hit["id"] for hit in answer]], np.int64)
                told = np.array([[hit["distance"] for hit in answer]], np.float32)
                told = told if metric == "cosine" else -np.sqrt(np.maximum(told, 0))
                found[query], scores[query] = (line[0] for line in best(rows, told, k))
        if short:
            found[short], scores[short] = self.nearest_exactly(queries[short], k, shown, metric)
        return found, scores

    def nearest_exactly(
        self, queries: np.ndarray, k: int, shown: str, metric: str
    ) -> tuple[np.ndarray, np.ndarray]:
        """The k nearest rows by reading every vector that meets the condition; (q, k), -1 where there are fewer."""
        found = np.full((len(queries), k), -1, np.int64)
        scores = np.full((len(queries), k), -np.inf, np.float32)
        for page in self.pages(shown, ["vector"], queries.shape[1]):
            rows = np.array([row["id"] for row in page], np.int64)
            vectors = np.array([row["vector"] for row in page], np.float32)
            places, told = nearest(queries, vectors, k, metric)
            found = np.concatenate([found, rows[places]], axis=1)
            scores = np.concatenate([scores, told], axis=1)
            found, scores = best(found, scores, k)
        return found, np.where(found < 0, np.nan, scores).astype(np.float32)


def batch(d: int) -> int:
    """Rows of d values in one message."""
    return max(1, min(BATCH, BATCH_BYTES // (4 * d + 1000)))


def _quoted(digests: Sequence[str]) -> str:
    """Hexadecimal digits of this program's own making, as a list of Milvus's."""
    return "[" + ", ".join(f'"{digest}"' for digest in digests) + "]"
