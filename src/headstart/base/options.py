"""An option is declared once: name, type, default, range and one line of help.

A frozen dataclass whose fields are made by `option` is read by the command line (flags), the spec file
(TOML) and the docs alike; `mistakes` lists everything that is wrong with its values at once.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from headstart.base.errors import BadOptions


@dataclass(frozen=True)
class Search:
    """Where a tuner may look for a value: between two ends, or among some values.

    Attributes
    ----------
    low, high : float or None
        The ends, both included; None where `choices` are given.
    log : bool
        Whether the values are spread evenly over the logarithm.
    whole : bool
        Whether they are whole numbers.
    choices : tuple
    """

    low: float | None = None
    high: float | None = None
    log: bool = False
    whole: bool = False
    choices: tuple[Any, ...] = ()


def between(low: float, high: float, *, log: bool = False, whole: bool = False) -> Search:
    """A range to search."""
    return Search(low=low, high=high, log=log, whole=whole)


def among(*choices: Any) -> Search:
    """Values to choose from."""
    return Search(choices=choices)


def option(
    default: Any,
    help: str,
    *,
    choices: Sequence[str] = (),
    low: float | None = None,
    high: float | None = None,
    metavar: str = "",
    read: Callable[[Any], Any] | None = None,
    also: Sequence[str] = (),
    search: Search | None = None,
) -> Any:
    """One option: a dataclass field whose metadata holds its help, choices and range (ends included).

    `read` makes a value of what was written, or raises ValueError with what is wrong with it; `also` are other
    names that a file may call it by, the first of which is a flag too. `search` is where a tuner may look for it.
    """
    metadata: dict[str, Any] = {
        "help": help, "choices": tuple(choices), "low": low, "high": high, "metavar": metavar,
        "read": read, "also": tuple(also), "search": search,
    }  # fmt: skip
    if isinstance(default, list | dict | set):
        raise TypeError("give an immutable default (a tuple, not a list)")
    return dataclasses.field(default=default, metadata=metadata)


def mistakes(options: Any) -> list[str]:
    """Every value outside its choices or range, each as one sentence."""
    found = []
    for field in dataclasses.fields(options):
        value = getattr(options, field.name)
        for item in value if isinstance(value, tuple) else (value,):
            found.extend(_mistake(field, item))
    return found


def _mistake(field: dataclasses.Field[Any], value: Any) -> list[str]:
    choices = field.metadata.get("choices") or ()
    low, high = field.metadata.get("low"), field.metadata.get("high")
    if value is None:
        return []
    if read := field.metadata.get("read"):
        return complaints(field.name, read, value)
    if choices and value not in choices:
        near = difflib.get_close_matches(str(value), choices, n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        return [f"{field.name}: {value!r} is not one of {', '.join(choices)}{hint}"]
    if isinstance(value, int | float) and not isinstance(value, bool):
        if low is not None and value < low:
            return [f"{field.name}: {value} is below {low}"]
        if high is not None and value > high:
            return [f"{field.name}: {value} is above {high}"]
    return []


def complaints(name: str, read: Callable[[Any], Any], value: Any) -> list[str]:
    """What is wrong with a value that `read` is to understand: one sentence, or none."""
    try:
        read(value)
    except ValueError as error:
        return [f"{name}: {error}"]
    return []


def check(options: Any) -> None:
    """Raise `BadOptions` with every mistake, if there is one."""
    if found := mistakes(options):
        raise BadOptions(found)


def given_fields(options: Any, names: Sequence[str]) -> list[str]:
    """Those of some fields of an option value that differ from their defaults, in the order of `names`."""
    fields = {field.name: field for field in dataclasses.fields(options)}
    return [name for name in names if getattr(options, name) != fields[name].default]


def flag_name(name: str) -> str:
    """`input_size` as `--input-size`."""
    return "--" + name.replace("_", "-")


def given_flags(options: Any, names: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Fields of an option value that differ from their defaults, as flags with values; several values, several flags.

    Parameters
    ----------
    options : dataclass instance
    names : sequence of str
        Fields to look at.
    """
    found = []
    for name in given_fields(options, names):
        value = getattr(options, name)
        found += [(flag_name(name), str(each)) for each in (value if isinstance(value, tuple) else (value,))]
    return tuple(found)
