"""Names of classes: what can be one, and names that are one class written in two ways."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence

from headstart.base.errors import BadOptions

LONGEST = 200
NO_LABEL = "(no label)"
"""What images without a label are counted under."""


def folded(name: str) -> str:
    """A name without what a person would not call a difference: case, spaces, hyphens and underscores.

    Examples
    --------
    >>> folded(" T-Shirt") == folded("t_shirt")
    True
    """
    plain = unicodedata.normalize("NFKC", name).casefold()
    return " ".join(plain.replace("_", " ").replace("-", " ").split())


def alike(names: Iterable[str]) -> list[tuple[str, ...]]:
    """Names that `folded` makes one, in groups of two or more, sorted."""
    groups: dict[str, list[str]] = {}
    for name in sorted(set(names)):
        groups.setdefault(folded(name), []).append(name)
    return [tuple(group) for group in groups.values() if len(group) > 1]


def check_classes(names: Sequence[str]) -> tuple[str, ...]:
    """The names, stripped, each once.

    Raises
    ------
    BadOptions
        Fewer than two, an empty or overlong one, control characters, or two that differ in spelling alone.
    """
    made = [unicodedata.normalize("NFC", name).strip() for name in names]
    wrong = [f"classes: {name[:40]!r} is no name of a class; {why}" for name in made if (why := _odd(name))]
    again = sorted({name for name in made if made.count(name) > 1}) if len(set(made)) < len(made) else []
    wrong += [f"classes: {name!r} is given twice; leave one out" for name in again[:5]]
    for group in alike(made)[:5]:
        said = " and ".join(map(repr, group))
        wrong.append(f"classes: {said} differ in case or spaces alone; leave one out")
    if len(made) < 2:
        wrong.append(f"classes: two or more are needed, got {len(made)}")
    if wrong:
        raise BadOptions(wrong)
    return tuple(made)


def _odd(name: str) -> str:
    if not name:
        return "it is empty"
    if len(name) > LONGEST:
        return f"it is longer than {LONGEST} characters"
    if not name.isprintable():
        return "it holds signs that cannot be shown"
    return ""
