"""`--where`: a condition on the columns of an index, as a frozen value; its text is never run nor passed on.

    label == "hat" and not_worn != "yes" or (split in ("train", "test") and width > 300)

A comparison with a missing cell never holds, as in SQL. A number compares with cells that read as numbers.
A name with odd characters stands in backquotes: `taken at` == "noon".
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from headstart.base.errors import UnknownName, UsageError

MOST_CHARACTERS, MOST_DEPTH = 4000, 40
TOKEN = re.compile(
    r"(?P<space>\s+)|(?P<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d{1,3})?(?!\w))"
    r"|(?P<string>\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*')|(?P<quoted>`[^`]+`)"
    r"|(?P<name>[^\W\d]\w*)|(?P<sign>==|!=|<=|>=|<|>|\(|\)|,)",
    re.DOTALL,
)
ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt, ">": operator.gt, "<=": operator.le, ">=": operator.ge,
}  # fmt: skip
Value = str | float


@dataclass(frozen=True)
class Compare:
    """`column sign values`: one value, or several for "in"."""

    column: str
    sign: str
    values: tuple[Value, ...]


@dataclass(frozen=True)
class Both:
    """Every part holds."""

    parts: tuple[Where, ...]


@dataclass(frozen=True)
class Either:
    """At least one part holds."""

    parts: tuple[Where, ...]


Where = Compare | Both | Either


class BadCondition(UsageError):
    """A condition that cannot be read; says where and what was expected."""

    def __init__(self, text: str, at: int, expected: str) -> None:
        found = repr(text[at : at + 20]) if at < len(text) else "its end"
        super().__init__(f"where: expected {expected} at character {at + 1}, found {found}")


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    at: int


def parse_where(text: str) -> Where:
    """The condition as a value.

    Raises
    ------
    BadCondition

    Examples
    --------
    >>> parse_where('label == "hat"')
    Compare(column='label', sign='==', values=('hat',))
    """
    if len(text) > MOST_CHARACTERS:
        raise UsageError(f"where: {len(text):,} characters; at most {MOST_CHARACTERS:,} are read")
    return _Parser(text).whole()


class _Parser:
    """Recursive descent: either > both > one."""

    def __init__(self, text: str) -> None:
        self.text, self.next, self.depth = text, 0, 0
        self.tokens = self._tokens()

    def _tokens(self) -> list[_Token]:
        found, at = [], 0
        while at < len(self.text):
            match = TOKEN.match(self.text, at)
            if match is None:
                signs = "==" if self.text[at] == "=" else "a column, a sign, a number or a quoted string"
                raise BadCondition(self.text, at, signs)
            if match.lastgroup != "space":
                found.append(_Token(str(match.lastgroup), match.group(), at))
            at = match.end()
        return [*found, _Token("end", "", len(self.text))]

    def whole(self) -> Where:
        made = self.either()
        if self.peek().kind != "end":
            raise self.wrong("and, or, or the end")
        return made

    def peek(self) -> _Token:
        return self.tokens[self.next]

    def wrong(self, expected: str) -> BadCondition:
        return BadCondition(self.text, self.peek().at, expected)

    def take(self, kind: str, *texts: str) -> str | None:
        token = self.peek()
        if token.kind != kind or (texts and token.text not in texts):
            return None
        self.next += 1
        return token.text

    def either(self) -> Where:
        parts = [self.both()]
        while self.take("name", "or"):
            parts.append(self.both())
        return parts[0] if len(parts) == 1 else Either(tuple(parts))

    def both(self) -> Where:
        parts = [self.one()]
        while self.take("name", "and"):
            parts.append(self.one())
        return parts[0] if len(parts) == 1 else Both(tuple(parts))

    def one(self) -> Where:
        if not self.take("sign", "("):
            return self.compare()
        self.depth += 1
        if self.depth > MOST_DEPTH:
            raise self.wrong(f"at most {MOST_DEPTH} parentheses inside each other")
        made = self.either()
        if not self.take("sign", ")"):
            raise self.wrong("')'")
        self.depth -= 1
        return made

    def compare(self) -> Compare:
        if self.peek().text in ("and", "or", "in"):
            raise self.wrong("a column")
        column = self.take("name") or (self.take("quoted") or "").strip("`")
        if not column:
            raise self.wrong("a column or '('")
        if self.take("name", "in"):
            return Compare(column, "in", self.list())
        sign = self.take("sign", "==", "!=", *ORDER)
        if sign is None:
            raise self.wrong("==, !=, <, >, <=, >= or in")
        return Compare(column, sign, (self.value(),))

    def list(self) -> tuple[Value, ...]:
        if not self.take("sign", "("):
            raise self.wrong("'(' and a list of values")
        values = [self.value()]
        while self.take("sign", ","):
            values.append(self.value())
        if not self.take("sign", ")"):
            raise self.wrong("',' or ')'")
        return tuple(values)

    def value(self) -> Value:
        if (number := self.take("number")) is not None:
            return float(number)
        if (string := self.take("string")) is not None:
            return re.sub(r"\\(.)", r"\1", string[1:-1], flags=re.DOTALL)
        raise self.wrong('a number or a quoted string (e.g. "hat")')


def check_columns(where: Where, names: Iterable[str]) -> None:
    """Refuse a condition on columns that there are not.

    Raises
    ------
    UnknownName
    """
    known = set(names)
    for part in [where] if isinstance(where, Compare) else where.parts:
        if not isinstance(part, Compare):
            check_columns(part, known)
        elif part.column not in known:
            raise UnknownName("column of the index", part.column, known)


def holds(where: Where, columns: Mapping[str, Sequence[str | None]]) -> np.ndarray:
    """In which rows of the columns a condition holds: bool (n,).

    Raises
    ------
    UnknownName
        It names a column that there is not.
    """
    if isinstance(where, Compare):
        if where.column not in columns:
            raise UnknownName("column of the index", where.column, columns)
        test = cell_test(where)
        known = {cell: test(cell) for cell in set(columns[where.column]) if cell is not None}
        column = columns[where.column]
        return np.fromiter((known.get(cell, False) for cell in column), bool, len(column))  # type: ignore[arg-type]
    parts = [holds(part, columns) for part in where.parts]
    joined: np.ndarray = (np.logical_and if isinstance(where, Both) else np.logical_or).reduce(parts)
    return joined


def cell_test(where: Compare) -> Callable[[str], bool]:
    """Whether a comparison holds for a cell that is there."""
    if where.sign in ("==", "in"):
        return lambda cell: any(_equal(cell, value) for value in where.values)
    if where.sign == "!=":
        return lambda cell: not _equal(cell, where.values[0])
    compare, bound = ORDER[where.sign], where.values[0]
    if isinstance(bound, str):
        return lambda cell: compare(cell, bound)
    return lambda cell: (number := read_number(cell)) is not None and compare(number, bound)


def _equal(cell: str, value: Value) -> bool:
    return cell == value if isinstance(value, str) else read_number(cell) == value


def read_number(cell: str) -> float | None:
    """The number that a cell reads as, or None."""
    try:
        return float(cell)
    except ValueError:
        return None
