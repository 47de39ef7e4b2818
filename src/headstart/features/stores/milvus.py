"""An index in Milvus: a file (milvus-lite) or a cluster. It has no transactions; a change is one row, replaced last.

New images are written with the generation that will show them; a document tells what the index is and which rows
are out; the pointer to it is replaced; then rows that are out are deleted. Readers look only at what the pointer's
generation shows, so a crash at any moment leaves the old index or the new one, and the next change cleans up.
"""

from __future__ import annotations

import base64
import logging.config
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from headstart.base.errors import Busy, DataError
from headstart.base.events import Notice, emit
from headstart.base.optional import require
from headstart.features.neighbours.approximate import RECALL_AT, SAMPLE
from headstart.features.stores.cells import columns_from
from headstart.features.stores.contract import (
    EXACT_ROWS,
    Cells,
    Key,
    Neighbours,
    Records,
    check_queries,
    check_records,
    padded,
)
from headstart.features.stores.database import DatabaseStore
from headstart.features.stores.milvus_claim import claimed
from headstart.features.stores.milvus_documents import Documents
from headstart.features.stores.milvus_rows import BATCH, MOST_FOUND, MilvusRows
from headstart.features.stores.milvus_where import Vocabulary, expression, grown
from headstart.features.stores.packed import pack_arrays, unpack_arrays
from headstart.features.stores.where import Where, check_columns


def _imported() -> Any:
    """pymilvus, which sets up the logging of the whole process at import and so closes every handler there is."""
    set_up = logging.config.dictConfig
    logging.config.dictConfig = lambda config: None
    try:
        return require("pymilvus", extra="stores", purpose="an index in Milvus")
    finally:
        logging.config.dictConfig = set_up


pymilvus = _imported()

TOKEN = "HEADSTART_STORE_TOKEN"
SECONDS = 30.0
MOST_DIMENSIONS = 32_768


class MilvusStore(DatabaseStore):
    """The vectors of an index in Milvus.

    Parameters
    ----------
    place : str
        A file (`*.db`, of milvus-lite: one process at a time), or the URL of a server. Its token is read from
        HEADSTART_STORE_TOKEN.
    name : str
        Of the index: its collections are NAME and NAME_card.
    create : bool
        The file may not be there yet.
    exact_rows : int
        Above it, the index is HNSW and search is approximate.

    Raises
    ------
    DataError
        The server cannot be reached, or a collection of that name is something else.
    Busy
        Another process has the file open.
    MissingPackage
    """

    def __init__(
        self, place: str, name: str, *, create: bool = False, exact_rows: int = EXACT_ROWS
    ) -> None:  # fmt: skip
        self._place, self.name, self.exact_rows = place, name, exact_rows
        logging.getLogger("pymilvus").setLevel(logging.CRITICAL)  # it prints what it raises
        self._client = self._connect(create)
        self._documents = Documents(self._client, f"{name}_card", self.address)
        self._rows = MilvusRows(self._client, name)
        self._claim: int | None = None
        self.reload()

    def __repr__(self) -> str:
        return f"MilvusStore({self.address!r})"

    def close(self) -> None:
        """End the connection; a file stays with this process until it ends."""
        self._client.close()

    def reload(self) -> None:
        """Read the pointer and its document anew, where another process has changed them."""
        self._generation, self._body = 0, dict[str, Any]()
        self._table: tuple[np.ndarray, dict[str, Cells]] | None = None
        with self._told():
            if self._there():
                self._client.load_collection(self._documents.collection)
                self._generation, self._body = self._documents.read()
            if len(self):
                self._rows.load("HNSW" if len(self) > self.exact_rows else "FLAT", str(self.card["metric"]))

    @property
    def address(self) -> str:
        """URI and name; holds no token."""
        return f"milvus:{self._place}#{self.name}"

    def vectors(self, rows: Sequence[int] | np.ndarray | None = None) -> np.ndarray:
        """Vectors of these rows (None: of all, read into memory)."""
        wanted = self.rows if rows is None else np.asarray(rows, np.int64)
        made = np.zeros((len(wanted), self._dimension), np.float32)
        for at in range(0, len(wanted), BATCH):
            made[at : at + BATCH] = self._at(wanted[at : at + BATCH], "vector")
        return made

    def search(self, queries: np.ndarray, k: int, where: Where | None = None) -> Neighbours:
        """The k nearest rows in which `where` holds."""
        check_queries(queries, self._dimension)
        if where is not None:
            check_columns(where, self.names)
        if min(k, len(self)) > MOST_FOUND:
            raise DataError(
                f"{self.address}: Milvus finds at most {MOST_FOUND:,} neighbours of an image, not {k:,}"
            )
        with self._told():
            shown, n = self._shown(), len(self)
            if where is not None and n:
                shown += f" and {expression(where, self._vocabulary, self._column)}"
                n = self._rows.count(shown)
            found, scores = self._rows.nearest(
                queries.astype(np.float32), min(k, n), shown, str(self.card["metric"])
            )
        return padded(found, scores if self.card["metric"] == "cosine" else -scores, k)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Be the one writer, by a claim that every other writer reads."""
        with self._told():
            if fresh := not self._there():
                self._documents.make(pymilvus.DataType)
            try:
                with claimed(self._client, self._documents.collection, self.address) as self._claim:
                    self.reload()
                    yield
            finally:
                self._claim = None
                if fresh and not self._documents.read()[0]:
                    self._drop()

    def change(
        self,
        put: Records,
        gone: Sequence[Key],
        card: dict[str, Any],
        extra: dict[str, np.ndarray] | None = None,
    ) -> None:
        """Add or replace images, remove others and keep the card; inside `writing`."""
        if self._claim is None:
            raise Busy(f"{self.address}: a change happens inside writing()")
        check_records(put, len(self), self._dimension)
        if len(put) and not 2 <= put.vectors.shape[1] <= MOST_DIMENSIONS:
            raise DataError(
                f"{put.vectors.shape[1]:,} values a vector; Milvus keeps 2 to {MOST_DIMENSIONS:,}"
            )
        with self._told():
            self._clean()
            out = self._rows.find([*gone, *put.keys()], self._shown()) if len(self) else []
            body = self._body_after(put, out, card, extra)
            self._insert(put, body)
            self._publish({**body, "gone": out})
            self._rows.delete(out)
            self._table = None
            self._publish({**body, "approximate": self._index(body)})
        self.reload()

    def arrays(self) -> dict[str, np.ndarray]:
        """The extra arrays of the last change."""
        packed = self._body.get("arrays")
        return unpack_arrays(base64.b64decode(packed), self.address) if packed else {}

    @property
    def _vocabulary(self) -> Vocabulary:
        return dict(self._body.get("vocabulary", {}))

    @property
    def _local(self) -> bool:
        return "://" not in self._place

    def _connect(self, create: bool) -> Any:
        if self._local:
            require("milvus_lite", extra="stores", purpose="an index in a file of Milvus")
            for name in ("milvus_lite", "grpc._server"):  # the server inside this process prints, too
                logging.getLogger(name).setLevel(logging.CRITICAL)
            self._check_file(create)
        token = os.environ.get(TOKEN, "")
        try:
            with self._told():
                return pymilvus.MilvusClient(self._place, token=token, timeout=SECONDS)
        except DataError as error:
            if not self._local:
                raise
            raise Busy(
                f"{self.address}: cannot be opened; another process may have it open, which a file of Milvus does "
                f"not allow ({error})"
            ) from None

    def _check_file(self, create: bool) -> None:
        path = Path(self._place)
        if not path.exists():
            if not create:
                raise DataError(
                    f"{self.address}: no index; make one with headstart index DATA --store '{self.address}'"
                )
            path.parent.mkdir(parents=True, exist_ok=True)
        elif not path.is_dir() or (any(path.iterdir()) and not (path / "LOCK").is_file()):
            raise DataError(f"{path}: there, and no file of milvus-lite 3; choose another name")

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Errors of Milvus in one line, without what must not be shown."""
        try:
            yield
        except pymilvus.MilvusException as error:
            text = " ".join(str(error.message or error).split())
            if token := os.environ.get(TOKEN):
                text = text.replace(token, "***")
            raise DataError(f"{self.address}: {text[:400]}") from None

    def _there(self) -> bool:
        """Whether there are the collections of an index; others of that name are refused."""
        own, card = self._client.has_collection(self.name), self._client.has_collection(f"{self.name}_card")
        if own and not card:
            raise DataError(
                f"{self.address}: a collection of that name is there, and no index; choose another name"
            )
        if card and self._fields(f"{self.name}_card") != {"id", "text", "vector"}:
            raise DataError(f"{self.address}: {self.name}_card is there, and no index; choose another name")
        return bool(card)

    def _fields(self, collection: str) -> set[str]:
        return {field["name"] for field in self._client.describe_collection(collection)["fields"]}

    def _drop(self) -> None:
        """Take away the collections of an index that was never made."""
        for collection in (self.name, f"{self.name}_card"):
            if self._client.has_collection(collection):
                self._client.drop_collection(collection)

    def _shown(self) -> str:
        """Rows that belong to the index now."""
        gone = self._body.get("gone")
        return f"born <= {self._generation}" + (f" and id not in {gone}" if gone else "")

    def _whole(self) -> tuple[np.ndarray, dict[str, Cells]]:
        if self._table is None:
            with self._told():
                pages = self._rows.pages(self._shown(), ["cells"]) if len(self) else ()
                found = sorted((row for page in pages for row in page), key=lambda row: int(row["id"]))
            if len(found) != len(self):
                raise self._changed()
            ids = np.array([row["id"] for row in found], np.int64)
            self._table = ids, columns_from(self.names, [row["cells"] for row in found])
        return self._table

    def _column(self, name: str) -> tuple[Sequence[int], Cells]:
        return self.rows.tolist(), self.columns[name]

    def _at(self, rows: Sequence[int] | np.ndarray, field: str) -> list[Any]:
        wanted = [int(row) for row in np.asarray(rows, np.int64)]
        with self._told():
            found = self._rows.at(wanted, field, self._dimension)
        if not set(wanted) <= set(found):
            raise self._changed()
        return [found[row] for row in wanted]

    def _clean(self) -> None:
        """Remove what a change that was cut off has left."""
        self._documents.sweep(self._generation)
        if len(self):
            self._rows.delete(self._body.get("gone", []))
            self._rows.delete_unborn(self._generation)

    def _insert(self, put: Records, body: dict[str, Any]) -> None:
        if len(put) and not len(self):
            self._rows.make(pymilvus.DataType, put.vectors.shape[1], str(body["index"]["metric"]))
        first = int(body["next"]) - len(put)
        self._rows.insert(put, first, self._generation + 1, body["vocabulary"])

    def _body_after(
        self, put: Records, out: list[int], card: dict[str, Any], extra: dict[str, np.ndarray] | None
    ) -> dict[str, Any]:
        """The document of the index after a change."""
        return {
            "index": card, "n": len(self) - len(out) + len(put), "next": int(self._body.get("next", 0)) + len(put),
            "dimension": put.vectors.shape[1] if len(put) else self._dimension,
            "columns": list(dict.fromkeys([*self.names, *put.columns])),
            "vocabulary": grown(self._vocabulary, put.columns),
            "arrays": base64.b64encode(pack_arrays(extra)).decode() if extra else None,
            "approximate": self._body.get("approximate"), "gone": [],
        }  # fmt: skip

    def _publish(self, body: dict[str, Any]) -> None:
        """Let the index be what this document says."""
        pointer = self._documents.write(self._generation + 1, body)
        if not self._documents.has(int(self._claim or 0)):
            raise Busy(f"{self.address}: another run took it over; nothing was changed, run again")
        self._documents.point(pointer)
        self._generation, self._body = self._generation + 1, body
        self._documents.sweep(self._generation)

    def _index(self, body: dict[str, Any]) -> dict[str, Any] | None:
        """Have HNSW above the stated size, FLAT below; measure the recall of HNSW."""
        n, metric = int(body["n"]), str(body["index"]["metric"])
        if not n:
            return None
        kind = "HNSW" if n > self.exact_rows else "FLAT"
        if self._rows.index_kind() != kind:
            emit(Notice(f"building a vector index ({kind.lower()}) over {n:,} vectors"))
            self._rows.set_index(kind, metric)
        if kind == "FLAT":
            return None
        return {"kind": "hnsw", "k": min(RECALL_AT, n), "recall": self._recall(body, metric)}

    def _recall(self, body: dict[str, Any], metric: str) -> float:
        """Share of the true neighbours that HNSW finds, over at most 200 vectors as queries; reads every vector."""
        k = min(RECALL_AT, int(body["n"]))
        drawn = np.random.default_rng(0).permutation(self.rows)[:SAMPLE]
        queries = self.vectors(drawn)
        true, _ = self._rows.nearest_exactly(queries, k, self._shown(), metric)
        found, _ = self._rows.nearest(queries, k, self._shown(), metric)
        return float(np.mean([len(set(a) & set(b)) / k for a, b in zip(true, found, strict=True)]))
