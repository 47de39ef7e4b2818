"""How a database keeps an image's cells: text that every database takes, in an order that stays; numbers beside it.

A file name may hold bytes that are no UTF-8 (lone surrogates in Python), and a label a NUL; databases take neither.
They are written as two characters each, so that equality and the order of code points stay what they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from math import isnan

from headstart.base.hashing import digest_bytes
from headstart.features.stores.contract import Cells, Key
from headstart.features.stores.where import read_number

ODD = re.compile("[\x00\x01\ud7ff-\udfff]")
PAIR = re.compile("[\x01\ud7ff](.)", re.DOTALL)
FIRST_SURROGATE, SHIFT = 0xD800, 0x100


def clean(text: str) -> str:
    """The text without NUL and lone surrogates.

    Examples
    --------
    >>> clean("plain"), clean("a" + chr(0)) == "a" + chr(1) * 2
    ('plain', True)
    """
    return ODD.sub(_pair, text)


def restore(text: str) -> str:
    """The text that `clean` was given."""
    return PAIR.sub(_single, text)


def _pair(match: re.Match[str]) -> str:
    found = match.group()
    if found < "\x02":
        return "\x01" + chr(ord(found) + 1)
    return "\ud7ff" + ("\x01" if found == "\ud7ff" else chr(ord(found) - FIRST_SURROGATE + SHIFT))


def _single(match: re.Match[str]) -> str:
    lead, code = match.group()[0], ord(match.group()[1])
    if lead == "\x01":
        return chr(code - 1)
    return "\ud7ff" if code == 1 else chr(code - SHIFT + FIRST_SURROGATE)


def key_digest(key: Key) -> str:
    """One short text for root and path."""
    return digest_bytes(*(b"-" if cell is None else b"+" + clean(cell).encode() for cell in key))


def cells_of(columns: Mapping[str, Cells], row: int) -> dict[str, str]:
    """The cells of a row that are there, by column, as a database takes them."""
    return {clean(name): clean(cell) for name, column in columns.items() if (cell := column[row]) is not None}


def numbers_of(columns: Mapping[str, Cells], row: int) -> dict[str, str]:
    """Those cells of a row that read as numbers, in one way of writing them."""
    found = {name: read_number(column[row] or "") for name, column in columns.items()}
    return {
        clean(name): repr(number)
        for name, number in found.items()
        if number is not None and not isnan(number)
    }


def columns_from(names: Iterable[str], rows: Iterable[Mapping[str, str]]) -> dict[str, Cells]:
    """Columns of rows that `cells_of` made."""
    lines = list(rows)
    return {
        name: tuple(
            None if (cell := line.get(key)) is None else restore(str(cell)) for line in lines
        )
        for name, key in ((name, clean(name)) for name in names)
    }  # fmt: skip
