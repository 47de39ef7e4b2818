"""A spec file as a mapping, its values as the types of its options, with every mistake as a sentence."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from headstart.base.errors import UsageError
from headstart.base.options import complaints

ALL = "all"
_SPOKEN = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}


def read_document(path: str | Path, data: Sequence[str] = ()) -> dict[str, Any]:
    """The mapping that a TOML file holds; `data` wins over the file's own.

    Raises
    ------
    UsageError
        The file is absent or no TOML.
    """
    try:
        document = tomllib.loads(Path(path).read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UsageError(f"the spec {path} cannot be read: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"the spec {path} is no TOML: {error}") from error
    return {**document, **({"data": list(data)} if data else {})}


def with_mistakes(unread: Sequence[str], found: Sequence[str]) -> list[str]:
    """Options that could not be read, then what else is wrong; of an option that was not read nothing else is told."""
    keys = {line.split(":", 1)[0] for line in unread}
    return list(dict.fromkeys((*unread, *(line for line in found if line.split(":", 1)[0] not in keys))))


def read_values(key: str, read: Any, given: Any) -> tuple[Any, list[str]]:
    """A tuple of what `read` understands; one value may stand for a tuple of one."""
    items = given if isinstance(given, list) else [given]
    wrong = [line for item in items for line in complaints(key, read, item)]
    return (None if wrong else tuple(read(item) for item in items)), wrong


def validated(key: str, kind: Any, given: Any) -> tuple[Any, list[str]]:
    """A value of a spec file as its type, and what is wrong with it."""
    from pydantic import TypeAdapter, ValidationError

    several = str(kind).startswith("tuple")
    try:
        text = json.dumps([given] if several and not isinstance(given, list) else given)
    except (TypeError, ValueError):
        return None, [f"{key}: expected {_spoken(kind)}, got {given!r}"]
    try:
        return TypeAdapter(kind).validate_json(text, strict=True), []
    except ValidationError as error:
        inputs = [item["input"] for item in error.errors()]
        return None, [f"{key}: expected {_spoken(kind)}, got {value!r}" for value in inputs]


def _spoken(kind: Any) -> str:
    for each in (kind, *get_args(kind)[:1]):
        if each in _SPOKEN and not str(kind).startswith("tuple"):
            return _SPOKEN[each]
    return "a list of texts"


def read_per_class(value: Any) -> int:
    """A number of images a class, 0 for "all".

    Raises
    ------
    ValueError

    Examples
    --------
    >>> read_per_class("20"), read_per_class("all")
    (20, 0)
    """
    if value == ALL or (value == 0 and not isinstance(value, bool)):
        return 0
    text = str(value)
    if isinstance(value, bool | float) or not re.fullmatch(r"[1-9]\d{0,6}", text):
        raise ValueError(f"expected a number of images a class (1 or more) or all, got {value!r}")
    return int(text)


def per_class_word(number: int) -> str:
    """A number of images a class as `read_per_class` reads it: so "all" is never taken for less than one.

    Examples
    --------
    >>> per_class_word(20), per_class_word(0)
    ('20', 'all')
    """
    return str(number) if number else ALL
