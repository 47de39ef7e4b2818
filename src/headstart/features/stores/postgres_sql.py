"""The statements of an index in PostgreSQL: names quoted, every value a parameter; conditions as `where` means them."""

from __future__ import annotations

from typing import Any

from headstart.base.optional import require
from headstart.features.stores.cells import clean
from headstart.features.stores.where import Both, Compare, Where

sql: Any = require("psycopg", extra="stores", purpose="an index in PostgreSQL").sql

SIGNS = {"==": "=", "!=": "<>", "<": "<", ">": ">", "<=": "<=", ">=": ">="}
MEASURES = {"cosine": ("<#>", "ip"), "l2": ("<->", "l2")}
MOST_FULL, MOST_HALF, MOST_KEPT = 2000, 4000, 16_000
Bound = tuple[Any, list[Any]]
"""A piece of SQL and its parameters."""

CREATE = """
CREATE TABLE {rows} (id bigint PRIMARY KEY, key text NOT NULL, cells jsonb NOT NULL, numbers jsonb NOT NULL,
                     vector vector NOT NULL);
CREATE INDEX {key_index} ON {rows} (key);
CREATE TABLE {card} (one boolean PRIMARY KEY CHECK (one), generation bigint NOT NULL, body text NOT NULL, arrays bytea);
"""
EXACT = "SELECT id, {far} FROM {rows} WHERE {condition} ORDER BY {far}, id LIMIT %s"
APPROXIMATE = """
WITH near AS MATERIALIZED (SELECT id, vector FROM {rows} WHERE {condition} ORDER BY {far_indexed} LIMIT %s)
SELECT id, {far} FROM near ORDER BY 2, 1 LIMIT %s
"""
KEEP = """
INSERT INTO {card} (one, generation, body, arrays) VALUES (true, %s, %s, %s)
ON CONFLICT (one) DO UPDATE SET generation = excluded.generation, body = excluded.body, arrays = excluded.arrays
"""


class Statements:
    """Statements about the index of one name, whose vectors have d values."""

    def __init__(self, name: str) -> None:
        self.named = {
            "rows": sql.Identifier(name),
            "card": sql.Identifier(f"{name}_card"),
            "key_index": sql.Identifier(f"{name}_key"),
            "hnsw": sql.Identifier(f"{name}_hnsw"),
        }

    def __call__(self, text: str, **more: Any) -> Any:
        """The text with quoted names in the place of {rows}, {card}, {key_index}, {hnsw}."""
        return sql.SQL(text).format(**self.named, **more)

    def exact(self, query: Any, k: int, metric: str, where: Bound) -> Bound:
        """The k nearest rows and their distance, ordered by it and the row; no index can serve it."""
        far = sql.SQL(f"vector {MEASURES[metric][0]} %s")
        return self(EXACT, far=far, condition=where[0]), [query, *where[1], query, k]

    def approximate(self, query: Any, n_near: int, k: int, metric: str, where: Bound) -> Bound:
        """The k nearest of the `n_near` rows that the vector index finds, by their exact distance."""
        sign, d = MEASURES[metric][0], len(query)
        far_indexed = sql.SQL(f"{indexed(d)} {sign} %s::{indexed_type(d)}")
        made = self(
            APPROXIMATE, far=sql.SQL(f"vector {sign} %s"), far_indexed=far_indexed, condition=where[0]
        )
        return made, [*where[1], query, n_near, query, k]

    def index(self, d: int, metric: str, links: int, width: int) -> Any:
        """Make the vector index."""
        return self(
            "CREATE INDEX {hnsw} ON {rows} USING hnsw (({cast}) {measure}) WITH (m = {m}, ef_construction = {width})",
            cast=sql.SQL(indexed(d)), measure=sql.SQL(f"{indexed_type(d, False)}_{MEASURES[metric][1]}_ops"),
            m=sql.Literal(links), width=sql.Literal(width),
        )  # fmt: skip


def indexed_type(d: int, sized: bool = True) -> str:
    """Type that a vector index of d values is made of: half precision above 2,000, which is pgvector's limit."""
    return f"{'vector' if d <= MOST_FULL else 'halfvec'}{f'({int(d)})' if sized else ''}"


def indexed(d: int) -> str:
    """Expression that a vector index of d values is made of."""
    return f"vector::{indexed_type(d)}"


def condition(where: Where | None) -> Bound:
    """A condition with its values as parameters, as `headstart.features.stores.where.holds` means it."""
    if where is None:
        return sql.SQL("true"), []
    if isinstance(where, Compare):
        return _compare(where)
    parts = [condition(part) for part in where.parts]
    joint = sql.SQL(" AND " if isinstance(where, Both) else " OR ")
    joined = sql.SQL("({})").format(joint.join(part for part, _ in parts))
    return joined, [value for _, values in parts for value in values]


def _compare(where: Compare) -> Bound:
    column = clean(where.column)
    if where.sign == "in":
        parts = [_one(column, "==", value) for value in where.values]
        joined = sql.SQL("({})").format(sql.SQL(" OR ").join(part for part, _ in parts))
        return joined, [value for _, values in parts for value in values]
    return _one(column, where.sign, where.values[0])


def _one(column: str, sign: str, value: str | float) -> Bound:
    """One comparison; NULL, which does not hold, where the cell is missing."""
    if isinstance(value, str):
        return sql.SQL(f'(cells->>%s) COLLATE "C" {SIGNS[sign]} %s'), [column, clean(value)]
    number = "(numbers->>%s)::float8"
    if sign == "!=":
        there = f"(cells->>%s IS NOT NULL AND {number} IS DISTINCT FROM %s::float8)"
        return sql.SQL(there), [column, column, value]
    return sql.SQL(f"{number} {SIGNS[sign]} %s::float8"), [column, value]
