"""The documents of an index in Milvus: JSON in pieces, and one row (id 0, the pointer) that says which one holds.

A document is written whole beside the old one, then the pointer is replaced: one row, so at once.
"""

from __future__ import annotations

import json
import time
from typing import Any

from headstart.base.errors import DataError
from headstart.base.hashing import digest_bytes
from headstart.features.stores.packed import FORMAT, VERSION

PIECE, MOST_PIECES, AT_ONCE = 60_000, 1 << 20, 64
DUMMY = [0.0, 0.0]
ATTEMPTS = 4


class Documents:
    """The documents in one collection.

    Parameters
    ----------
    client : MilvusClient
    collection : str
    address : str
        For errors.
    """

    def __init__(self, client: Any, collection: str, address: str) -> None:
        self.client, self.collection, self.address = client, collection, address

    def make(self, types: Any) -> None:
        """Make the collection."""
        schema = self.client.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field("id", types.INT64, is_primary=True)
        schema.add_field("text", types.VARCHAR, max_length=65_535)
        schema.add_field("vector", types.FLOAT_VECTOR, dim=len(DUMMY))
        index = self.client.prepare_index_params()
        index.add_index("vector", index_type="FLAT", metric_type="L2")
        self.client.create_collection(
            self.collection, schema=schema, index_params=index, consistency_level="Strong"
        )

    def read(self) -> tuple[int, dict[str, Any]]:
        """Generation and document that hold; (0, {}) where there is none.

        Raises
        ------
        DataError
            It is damaged.
        """
        for attempt in range(ATTEMPTS):
            pointer = self._pointer()
            if pointer is None:
                return 0, {}
            generation = int(pointer["generation"])
            text = "".join(self._pieces(generation, int(pointer["pieces"])))
            if digest_bytes(text.encode()) == pointer["digest"]:
                return generation, dict(json.loads(text))
            time.sleep(0.05 * attempt)  # replaced between the two readings
        raise DataError(f"{self.address}: its card is damaged; index again under another name")

    def write(self, generation: int, document: dict[str, Any]) -> dict[str, Any]:
        """Write a document beside the one that holds; the pointer to it."""
        text = json.dumps(document, ensure_ascii=True)
        pieces = [text[at : at + PIECE] for at in range(0, len(text), PIECE)]
        rows = [
            {"id": _id(generation, place), "text": piece, "vector": DUMMY}
            for place, piece in enumerate(pieces)
        ]
        for at in range(0, len(rows), AT_ONCE):
            self.client.upsert(self.collection, rows[at : at + AT_ONCE])
        return {
            "format": FORMAT, "version": VERSION, "generation": generation, "pieces": len(pieces),
            "digest": digest_bytes(text.encode()),
        }  # fmt: skip

    def point(self, pointer: dict[str, Any]) -> None:
        """Let another document hold: this is the moment of a change."""
        self.client.upsert(self.collection, [{"id": 0, "text": json.dumps(pointer), "vector": DUMMY}])

    def has(self, row: int) -> bool:
        """Whether there is a row of this number."""
        return bool(
            self.client.query(self.collection, filter=f"id == {int(row)}", output_fields=["id"], limit=1)
        )

    def sweep(self, generation: int) -> None:
        """Remove every document but that of this generation."""
        first, behind = _id(generation, 0), _id(generation + 1, 0)
        self.client.delete(self.collection, filter=f"(id > 0 and id < {first}) or id >= {behind}")

    def _pointer(self) -> dict[str, Any] | None:
        rows = self.client.query(self.collection, filter="id == 0", output_fields=["text"], limit=1)
        if not rows:
            return None
        found = json.loads(rows[0]["text"])
        if found.get("format") != FORMAT or found.get("version") != VERSION:
            raise DataError(f"{self.address}: not an index that this Headstart reads; choose another name")
        return dict(found)

    def _pieces(self, generation: int, n: int) -> list[str]:
        found: dict[int, str] = {}
        for at in range(0, n, AT_ONCE):
            first, behind = _id(generation, at), _id(generation, min(n, at + AT_ONCE))
            told = self.client.query(
                self.collection, filter=f"id >= {first} and id < {behind}", output_fields=["id", "text"],
                limit=AT_ONCE,
            )  # fmt: skip
            found |= {int(row["id"]): str(row["text"]) for row in told}
        return [found[row] for row in sorted(found)]


def _id(generation: int, place: int) -> int:
    return generation * MOST_PIECES + place
