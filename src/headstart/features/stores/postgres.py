"""An index in PostgreSQL with pgvector: one table of images, one row that says what they are; a change is a transaction.

A row of table NAME is an image (its cells as JSON, its vector in float32); NAME_card holds the card. Search is
exact up to a stated size; above it HNSW (Malkov and Yashunin 2018, arXiv:1603.09320) finds candidates that are
ranked anew by their exact vectors. The password comes from the environment and is kept nowhere.
"""

from __future__ import annotations

import json
import weakref
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np

from headstart.base.errors import Busy, DataError
from headstart.base.events import Notice, emit, warn
from headstart.base.optional import require
from headstart.features.neighbours.approximate import (
    BUILD_WIDTH,
    LINKS,
    MORE,
    RECALL_AT,
    SAMPLE,
    SEARCH_WIDTH,
)
from headstart.features.stores.cells import cells_of, columns_from, key_digest, numbers_of
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
from headstart.features.stores.packed import FORMAT, VERSION, pack_arrays, unpack_arrays
from headstart.features.stores.postgres_connect import connect, telling
from headstart.features.stores.postgres_sql import (
    CREATE,
    KEEP,
    MOST_FULL,
    MOST_HALF,
    MOST_KEPT,
    Bound,
    Statements,
    condition,
)
from headstart.features.stores.where import Where, check_columns

psycopg: Any = require("psycopg", extra="stores", purpose="an index in PostgreSQL")
pgvector: Any = require("pgvector.psycopg", extra="stores", purpose="an index in PostgreSQL")

BATCH = 10_000
MOST_SCANNED = 20_000
MOST_WIDTH = 1000  # hnsw.ef_search of pgvector


class PostgresStore(DatabaseStore):
    """The vectors of an index in a PostgreSQL database.

    Parameters
    ----------
    place : str
        URL without a password: that is read from HEADSTART_STORE_PASSWORD, or PGPASSWORD, or ~/.pgpass.
    name : str
        Of the index: its tables are NAME and NAME_card.
    exact_rows : int
        Above it, a vector index is made and search is approximate.

    Raises
    ------
    DataError
        The database cannot be reached, or a table of that name is something else.
    MissingPackage
    """

    def __init__(self, place: str, name: str, *, exact_rows: int = EXACT_ROWS) -> None:
        self._place, self.name, self.exact_rows = place, name, exact_rows
        self._say = Statements(name)
        with self._told():
            self._connection = connect(place, self.address)
            weakref.finalize(self, self._connection.close)
        self.reload()

    def __repr__(self) -> str:
        return f"PostgresStore({self.address!r})"

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

    def reload(self) -> None:
        """Read the card anew, where another process has changed it."""
        self._generation, self._body = 0, dict[str, Any]()
        self._table: tuple[np.ndarray, dict[str, Cells]] | None = None
        with self._told():
            if not self._there():
                return
            found = self._one(self._say("SELECT generation, body FROM {card}"))
            self._generation, self._body = int(found[0]), json.loads(found[1])
            if self._body.get("format") != FORMAT or self._body.get("version") != VERSION:
                raise DataError(
                    f"{self.address}: not an index that this Headstart reads; choose another name"
                )
            pgvector.register_vector(self._connection)

    @property
    def address(self) -> str:
        """URL and name; holds no password."""
        return f"{self._place}#{self.name}"

    def vectors(self, rows: Sequence[int] | np.ndarray | None = None) -> np.ndarray:
        """Vectors of these rows (None: of all, read into memory)."""
        wanted = self.rows if rows is None else np.asarray(rows, np.int64)
        made = np.zeros((len(wanted), self._dimension), np.float32)
        for at in range(0, len(wanted), BATCH):
            for row, vector in enumerate(self._at(wanted[at : at + BATCH], "vector"), at):
                made[row] = vector.to_numpy()
        return made

    def search(self, queries: np.ndarray, k: int, where: Where | None = None) -> Neighbours:
        """The k nearest rows in which `where` holds."""
        check_queries(queries, self._dimension)
        if where is not None:
            check_columns(where, self.names)
        held = condition(where)
        with self._told(), self._connection.transaction():
            n = self._count(held) if self.approximate else 0
            lines = [self._nearest(query, k, held, n) for query in queries.astype(np.float32)]
        width = max(map(len, lines), default=0)
        rows, scores = np.full((len(lines), width), -1), np.full((len(lines), width), np.nan, np.float32)
        for place, line in enumerate(lines):
            rows[place, : len(line)] = [row for row, _ in line]
            scores[place, : len(line)] = [far for _, far in line]
        return padded(rows, -scores if self.card["metric"] == "cosine" else scores, k)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Be the one writer, by an advisory lock that goes with the connection."""
        key = f"headstart:{self.name}"
        with self._told():
            got = self._one("SELECT pg_try_advisory_lock(hashtextextended(current_schema() || %s, 0))", [key])
        if not got[0]:
            raise Busy(f"{self.address}: another run is writing to it; wait for it or choose another name")
        try:
            self.reload()
            yield
        finally:
            if not self._connection.closed and not self._connection.broken:
                self._one("SELECT pg_advisory_unlock(hashtextextended(current_schema() || %s, 0))", [key])

    def change(
        self,
        put: Records,
        gone: Sequence[Key],
        card: dict[str, Any],
        extra: dict[str, np.ndarray] | None = None,
    ) -> None:
        """Add or replace images, remove others and keep the card, in one transaction."""
        check_records(put, len(self), self._dimension)
        if len(put) and put.vectors.shape[1] > MOST_KEPT:
            raise DataError(
                f"{put.vectors.shape[1]:,} values a vector; pgvector keeps at most {MOST_KEPT:,}: use --whiten"
            )
        with self._told(), self._connection.transaction():
            self._begin()
            body = {**self._body, "format": FORMAT, "version": VERSION, "index": card}
            body["columns"] = list(dict.fromkeys([*self.names, *put.columns]))
            body["n"] = len(self) - self._remove([*gone, *put.keys()]) + len(put)
            body["dimension"] = put.vectors.shape[1] if len(put) else self._dimension
            body["next"] = self._insert(put, int(self._body.get("next", 0)))
            body["approximate"] = self._index(body)
            packed = pack_arrays(extra) if extra else None
            self._connection.execute(
                self._say(KEEP), [self._generation + 1, json.dumps(body, ensure_ascii=True), packed]
            )
        self.reload()

    def arrays(self) -> dict[str, np.ndarray]:
        """The extra arrays of the last change."""
        if not self._body:
            return {}
        with self._told():
            packed = self._one(self._say("SELECT arrays FROM {card}"))[0]
        return unpack_arrays(packed, self.address) if packed else {}

    def _told(self) -> AbstractContextManager[None]:
        return telling(self.address)

    def _one(self, statement: Any, values: Sequence[Any] = ()) -> Any:
        found = self._connection.execute(statement, values).fetchone()
        if found is None:
            raise DataError(f"{self.address}: its card is empty; index again under another name")
        return found

    def _there(self) -> bool:
        """Whether there is an index; a table of that name that is none is refused."""
        names = [self.name, f"{self.name}_card"]
        rows, card = self._one("SELECT to_regclass(quote_ident(%s)), to_regclass(quote_ident(%s))", names)
        if (rows is None) != (card is None) or (
            card is not None and not {"generation", "body", "arrays"} <= self._fields(names[1])
        ):
            raise DataError(
                f"{self.address}: a table of that name is there, and no index; choose another name"
            )
        return card is not None

    def _fields(self, table: str) -> set[str]:
        found = self._connection.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(quote_ident(%s))", [table]
        )
        return {name for (name,) in found}

    def _whole(self) -> tuple[np.ndarray, dict[str, Cells]]:
        if self._table is None:
            ids: list[int] = []
            lines: list[dict[str, str]] = []
            if self._body:
                with self._told(), self._connection.transaction(), self._connection.cursor("whole") as cursor:
                    cursor.execute(self._say("SELECT id, cells FROM {rows} ORDER BY id"))
                    for row, line in cursor:
                        ids.append(row)
                        lines.append(line)
            if len(ids) != len(self):
                raise self._changed()
            self._table = np.array(ids, np.int64), columns_from(self.names, lines)
        return self._table

    def _at(self, rows: Sequence[int] | np.ndarray, field: str) -> list[Any]:
        wanted = [int(row) for row in np.asarray(rows, np.int64)]
        statement = self._say("SELECT id, {field} FROM {rows} WHERE id = ANY(%s)", field=_identifier(field))
        with self._told():
            found = dict(self._connection.execute(statement, [wanted], binary=field == "vector"))
        if not set(wanted) <= set(found):
            raise self._changed()
        return [found[row] for row in wanted]

    def _count(self, held: Bound) -> int:
        """Rows in which a condition holds, counted up to one more than are searched exactly."""
        counted = "SELECT count(*) FROM (SELECT 1 FROM {rows} WHERE {condition} LIMIT %s) AS few"
        found = self._one(self._say(counted, condition=held[0]), [*held[1], self.exact_rows + 1])
        return int(found[0])

    def _nearest(self, query: np.ndarray, k: int, held: Bound, n: int) -> list[tuple[int, float]]:
        metric = str(self.card["metric"])
        if n > self.exact_rows:
            many = max(MORE * k, 64)
            self._set_scan(many)
            found = self._fetch(self._say.approximate(query, many, k, metric, held))
            if len(found) == min(k, n):
                return found
        return self._fetch(self._say.exact(query, k, metric, held))

    def _fetch(self, bound: Bound) -> list[tuple[int, float]]:
        return list(self._connection.execute(*bound).fetchall())

    def _set_scan(self, many: int) -> None:
        """Settings of this transaction: go through the vector index, and on until enough rows meet the condition."""
        wanted = {"enable_seqscan": "off", "hnsw.ef_search": str(min(MOST_WIDTH, max(SEARCH_WIDTH, many)))}
        if self._version() >= (0, 8):
            wanted["hnsw.iterative_scan"] = "relaxed_order"
            wanted["hnsw.max_scan_tuples"] = str(max(MOST_SCANNED, 20 * many))
        for name, value in wanted.items():
            self._one("SELECT set_config(%s, %s, true)", [name, value])

    def _version(self) -> tuple[int, ...]:
        text = self._one("SELECT extversion FROM pg_extension WHERE extname = 'vector'")[0]
        return tuple(int(part) for part in str(text).split(".")[:2])

    def _begin(self) -> None:
        """Make the tables, or hold the card against every other writer."""
        if not self._body:
            self._connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
            pgvector.register_vector(self._connection)
            self._create()
        elif self._one(self._say("SELECT generation FROM {card} FOR UPDATE"))[0] != self._generation:
            raise Busy(f"{self.address}: another run changed it meanwhile; nothing was written, run again")

    def _create(self) -> None:
        try:
            self._connection.execute(self._say(CREATE))
        except psycopg.errors.DuplicateTable:
            raise Busy(f"{self.address}: another run made it meanwhile; run again") from None

    def _remove(self, keys: Sequence[Key]) -> int:
        digests = sorted({key_digest(key) for key in keys})
        statement = self._say("DELETE FROM {rows} WHERE key = ANY(%s)")
        return sum(
            self._connection.execute(statement, [digests[at : at + BATCH]]).rowcount
            for at in range(0, len(digests), BATCH)
        )

    def _insert(self, put: Records, first: int) -> int:
        """Copy the images to rows from `first` on; the next free row."""
        into = self._say("COPY {rows} (id, key, cells, numbers, vector) FROM STDIN WITH (FORMAT BINARY)")
        json_of = psycopg.types.json.Jsonb
        with self._connection.cursor() as cursor, cursor.copy(into) as copy:
            copy.set_types(["int8", "text", "jsonb", "jsonb", "vector"])
            for row, key in enumerate(put.keys()):
                cells, numbers = cells_of(put.columns, row), numbers_of(put.columns, row)
                vector = np.ascontiguousarray(put.vectors[row], np.float32)
                copy.write_row(
                    (first + row, key_digest(key), json_of(cells), json_of(numbers), vector)
                )  # fmt: skip
        return first + len(put)

    def _index(self, body: dict[str, Any]) -> dict[str, Any] | None:
        """Make the vector index above the stated size, drop it below, and measure its recall."""
        d, metric = int(body["dimension"]), str(body["index"]["metric"])
        wanted = body["n"] > self.exact_rows
        if wanted and d > MOST_HALF:
            warn(
                f"search stays exact: pgvector has no index above {MOST_HALF:,} values (here {d:,}); see --whiten"
            )
            wanted = False
        if not wanted:
            self._connection.execute(self._say("DROP INDEX IF EXISTS {hnsw}"))
            return None
        if not self._body.get("approximate"):
            half = " of half precision" if d > MOST_FULL else ""
            emit(Notice(f"building a vector index (hnsw{half}) over {body['n']:,} vectors"))
            self._connection.execute(self._say.index(d, metric, LINKS, BUILD_WIDTH))
        return {"kind": "hnsw", "k": min(RECALL_AT, body["n"]), "recall": self._recall(body, metric)}

    def _recall(self, body: dict[str, Any], metric: str) -> float:
        """Share of the true neighbours that the vector index finds, over at most 200 vectors as queries."""
        k = min(RECALL_AT, int(body["n"]))
        last = self._one(self._say("SELECT max(id) FROM {rows}"))[0]
        after = self._say("SELECT vector FROM {rows} WHERE id >= %s ORDER BY id LIMIT 1")
        drawn = np.random.default_rng(0).integers(0, last + 1, min(SAMPLE, body["n"]))
        queries = [self._one(after, [int(row)])[0].to_numpy() for row in drawn]
        held = condition(None)
        true = [self._fetch(self._say.exact(query, k, metric, held)) for query in queries]
        many = max(MORE * k, 64)
        self._set_scan(many)
        found = [self._fetch(self._say.approximate(query, many, k, metric, held)) for query in queries]
        shares = [
            len({row for row, _ in one} & {row for row, _ in other}) / k
            for one, other in zip(true, found, strict=True)
        ]
        return float(np.mean(shares))


def _identifier(field: str) -> Any:
    return psycopg.sql.Identifier(field)
