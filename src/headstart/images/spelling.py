"""Labels that are one class written in several ways: an audit tells them, a data set merges or refuses them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

HYPHENS = "-\u2010-\u2015\u2212"
HYPHEN, RUN = re.compile(f"[{HYPHENS}]"), re.compile(rf"[{HYPHENS}\s_\u200b]+")
NUMBER_ENDS, NUMBER_STARTS = re.compile(r"\d[.,]?$"), re.compile(r"[.,]?\d")


def spelling(label: str) -> str:
    """A label without what spellings differ in: case, spaces, hyphens, underscores, forms of Unicode.

    What may say another thing stays: a hyphen at either end or before a number, and whatever parts two numbers.

    Examples
    --------
    >>> spelling(" T-Shirt") == spelling("t_shirt") == spelling("tshirt")
    True
    >>> [spelling(label) for label in ("-1", "1", "10 - 1", "101", "A-")]
    ['-1', '1', '10-1', '101', 'a-']
    """
    plain = unicodedata.normalize("NFKC", label).casefold()
    if RUN.fullmatch(plain):
        return plain

    def kept(run: re.Match[str]) -> str:
        start, end = run.span()
        number = NUMBER_STARTS.match(plain, end)
        hyphens = "-" * len(HYPHEN.findall(run[0]))
        if hyphens and (number or start == 0 or end == len(plain)):
            return hyphens
        return " " if number and NUMBER_ENDS.search(plain[max(start - 2, 0) : start]) else ""

    return RUN.sub(kept, plain)


def alike(labels: Iterable[str]) -> list[tuple[str, ...]]:
    """Labels that `spelling` makes one, in groups of two or more, sorted."""
    groups: dict[str, list[str]] = {}
    for label in sorted(set(labels)):
        groups.setdefault(spelling(label), []).append(label)
    return [tuple(group) for group in groups.values() if len(group) > 1]


def renames(groups: Iterable[Sequence[str]], counts: Mapping[str, int]) -> dict[str, str]:
    """What to rename so that spellings of one class become one: each to the most frequent."""
    names = {}
    for group in groups:
        best = max(group, key=lambda name: (counts[name], name))
        names.update({name: best for name in group if name != best})
    return names
