"""What is said of each target, as TARGET=VALUE: read here for flags and for spec files; the standard library alone.

Both part a list at its commas, so TARGET=A,B,C arrives in pieces.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from headstart.base.errors import UnknownName


def read_pairs(
    given: Mapping[str, Sequence[str]], targets: Sequence[str], found: list[str]
) -> dict[str, dict[str, str]]:
    """One value a target, of each option.

    Parameters
    ----------
    given : mapping of option to sequence of str
        Entries "TARGET=VALUE".
    targets : sequence of str
        Names that may be spoken of.
    found : list of str
        Mistakes are added: an entry without a name, of no target, or of one that has a value.

    Examples
    --------
    >>> read_pairs({"kind": ["age=number"], "separator": ["marks="]}, ["age", "marks"], [])
    {'kind': {'age': 'number'}, 'separator': {'marks': ','}}
    """
    said = {option: _pairs(option, entries, targets, found) for option, entries in given.items()}
    if "separator" in said:  # a comma cannot be said, as it parts what is said
        said["separator"] = {target: sign or "," for target, sign in said["separator"].items()}
    return said


def _pairs(option: str, entries: Sequence[str], targets: Sequence[str], found: list[str]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for entry in entries:
        target, sign, value = entry.partition("=")
        target, value = (
            target.strip(),
            value.strip() or value,
        )  # a separator of spaces alone is told, not a comma
        if not sign:
            found.append(f"{option}: expected TARGET=VALUE, got {entry!r}")
        elif target not in targets:
            found.append(f"{option}: {UnknownName('target', target, targets)}")
        elif target in pairs:
            found.append(f"{option}: {target!r} is given twice")
        else:
            pairs[target] = value
    return pairs


def read_numbers(
    given: Mapping[str, Sequence[str]], targets: Sequence[str], found: list[str]
) -> dict[str, dict[str, float]]:
    """One number of at least 0 a target, of each option; mistakes are added to `found`, see `read_pairs`.

    Examples
    --------
    >>> read_numbers({"output_weight": ["age=2"]}, ["age"], [])
    {'output_weight': {'age': 2.0}}
    """
    pairs = read_pairs(given, targets, found)
    return {
        option: {target: _number(option, target, text, found) for target, text in said.items()}
        for option, said in pairs.items()
    }


def _number(option: str, target: str, text: str, found: list[str]) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if 0 <= value < math.inf:
        return value
    found.append(f"{option} of {target}: expected a number of at least 0, got {text!r}")
    return 1.0


def read_names(option: str, entries: Sequence[str], targets: Sequence[str], found: list[str]) -> list[str]:
    """Names of targets; mistakes are added to `found`.

    Examples
    --------
    >>> read_names("class_weights", ["grade"], ["grade", "age"], [])
    ['grade']
    """
    found.extend(
        f"{option}: {UnknownName('target', name, targets)}" for name in entries if name not in targets
    )
    return list(dict.fromkeys(name for name in entries if name in targets))


def read_levels(entries: Sequence[str], targets: Sequence[str], found: list[str]) -> dict[str, list[str]]:
    """The levels of each target; an entry that names no target belongs to the one before it.

    Parameters
    ----------
    entries : sequence of str
    targets : sequence of str
    found : list of str
        Mistakes are added.

    Examples
    --------
    >>> read_levels(["grade=low", "mid", "high", "size=a=1", "a=2"], ["grade", "size"], [])
    {'grade': ['low', 'mid', 'high'], 'size': ['a=1', 'a=2']}
    """
    levels: dict[str, list[str]] = {}
    last = ""
    for entry in entries:
        target, sign, value = (part.strip() for part in entry.partition("="))
        if sign and (target in targets or not last):
            last = target
            if last not in targets:
                found.append(f"levels: {UnknownName('target', last, targets)}")
            levels.setdefault(last, []).append(value)
        elif not last:
            found.append(f"levels: expected TARGET=LOWEST,...,HIGHEST, got {entry!r}")
        else:
            levels[last].append(entry.strip())
    return levels
