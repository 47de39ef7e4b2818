"""Classes renamed, merged, left out; images sampled and balanced: from one image table to the next.

A draw depends on the content of the images and the seed, never on the order of rows. Balancing only ever
leaves images out: an image repeated would be on both sides of a later split.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from headstart.base.errors import BadOptions, DataError, UnknownName
from headstart.base.hashing import digest_bytes
from headstart.images.table import ImageTable

SMALLEST, MEDIAN, LARGEST = "smallest", "median", "largest"
RULES = (SMALLEST, MEDIAN, LARGEST)


@dataclass(frozen=True, kw_only=True)
class Edits:
    """What is to be changed, in this order.

    Attributes
    ----------
    rename : dict of str to str
        Old class to new; several to one name merge them.
    keep, drop : tuple of str
        Classes (new names) that stay alone, or go; images without a label are of no class.
    balance : str or int, optional
        Images a class that no class is to exceed: a number, or the "smallest", "median" or "largest" count.
    per_class : int, optional
        At most so many of each class.
    sample : int, optional
        So many images in all, shares of the classes as they are.
    seed : int
    """

    rename: Mapping[str, str] = field(default_factory=dict)
    keep: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    balance: str | int | None = None
    per_class: int | None = None
    sample: int | None = None
    seed: int = 0


@dataclass(frozen=True)
class ClassBalance:
    """One class against the goal: images it has, those that are kept, those that it lacks."""

    name: str
    n: int
    n_kept: int
    n_lacking: int


@dataclass(frozen=True)
class BalancePlan:
    """What balancing would take; `split` says which images it is about (only train where there is one)."""

    goal: int
    split: str
    classes: tuple[ClassBalance, ...]

    def to_dict(self) -> dict[str, Any]:
        """As a JSON-like value."""
        classes = [
            {"name": each.name, "n": each.n, "n_kept": each.n_kept, "n_lacking": each.n_lacking}
            for each in self.classes
        ]
        return {"goal": self.goal, "split": self.split, "classes": classes}


def edited(
    table: ImageTable,
    edits: Edits,
    *,
    target: str | None = None,
    told: Callable[[BalancePlan], None] | None = None,
) -> tuple[ImageTable, BalancePlan | None]:
    """The table after the edits, and what balancing took (None where it was not asked for).

    Parameters
    ----------
    table : ImageTable
    edits : Edits
    target : str, optional
        Label column that they are about; the first by default.
    told : callable, optional
        Hears the plan of the balance before anything is left out.

    Raises
    ------
    UnknownName
        No such class or column.
    BadOptions, DataError
        Both keep and drop; nothing is left; a table without labels.
    """
    if edits == Edits(seed=edits.seed):
        return table, None
    column = table.target(target)
    made = _kept(_renamed(table, column, edits.rename), column, edits)
    plan = None
    if edits.balance is not None:
        plan = balance_plan(made, column, edits.balance)
        if told is not None:
            told(plan)
        made = _at_most(made, column, plan.goal, edits.seed, only=plan.split)
    if edits.per_class is not None:
        made = _at_most(made, column, edits.per_class, edits.seed, only="all")
    if edits.sample is not None:
        made = _sampled(made, column, edits.sample, edits.seed)
    if not len(made):
        raise DataError(f"{table.name}: nothing is left after the edits; keep more classes")
    return made, plan


def balance_plan(table: ImageTable, target: str, rule: str | int) -> BalancePlan:
    """Which classes lack how many images, and how many of each would be kept.

    Raises
    ------
    BadOptions
        Neither a known rule nor a whole number of at least 1.
    """
    split = "train" if table.has_split("train") else "all"
    counts = Counter(table.labels[target][row] for row in table.rows(split))
    counts.pop(None, None)
    if not counts:
        raise DataError(f"{table.name}: no image of the {split} part has a label to balance")
    sizes = list(counts.values())
    if rule in RULES:
        goal = {SMALLEST: min(sizes), MEDIAN: int(statistics.median_low(sizes)), LARGEST: max(sizes)}[
            str(rule)
        ]
    elif isinstance(rule, int) and rule >= 1:
        goal = rule
    else:
        raise BadOptions(
            [f"balance: expected {', '.join(RULES)} or a whole number of at least 1, got {rule!r}"]
        )
    classes = tuple(
        ClassBalance(str(name), n, min(n, goal), max(0, goal - n))
        for name, n in sorted(counts.items(), key=lambda item: (item[1], str(item[0])))
    )
    return BalancePlan(goal, split, classes)


def _renamed(table: ImageTable, target: str, names: Mapping[str, str]) -> ImageTable:
    known = table.classes(target)
    for old, new in names.items():
        if old not in known:
            raise UnknownName("class", old, known, "(in rename)")
        if not new.strip():
            raise BadOptions([f"rename: {old!r} would have no name; give one, or use drop"])
    column = tuple(None if label is None else names.get(label, label) for label in table.labels[target])
    return replace(table, labels={**table.labels, target: column})


def _kept(table: ImageTable, target: str, edits: Edits) -> ImageTable:
    if edits.keep and edits.drop:
        raise BadOptions(["keep: goes without drop; leave one of them out"])
    known = table.classes(target)
    for name in (*edits.keep, *edits.drop):
        if name not in known:
            raise UnknownName("class", name, known, "(after renaming)")
    if not edits.keep and not edits.drop:
        return table
    wanted: set[str | None] = set(edits.keep) if edits.keep else {None, *known} - set(edits.drop)
    return table.select([row for row, label in enumerate(table.labels[target]) if label in wanted])


def _at_most(table: ImageTable, target: str, most: int, seed: int, *, only: str) -> ImageTable:
    """At most so many images a class among the rows of one split; the others stay, and images without a label."""
    inside = {row for row in table.rows(only) if table.labels[target][row] is not None}
    by_class: dict[str | None, list[int]] = {}
    for row in shuffled(table, inside, seed):
        by_class.setdefault(table.labels[target][row], []).append(row)
    kept = {row for rows in by_class.values() for row in rows[:most]}
    return table.select([row for row in range(len(table)) if row in kept or row not in inside])


def _sampled(table: ImageTable, target: str, size: int, seed: int) -> ImageTable:
    """`size` images; every class and split keeps its share to within one image (largest remainders)."""
    if size >= len(table):
        return table
    parts: dict[tuple[bool, str, str], list[int]] = {}
    for row in shuffled(table, range(len(table)), seed):
        split = table.splits[row] if table.splits else ""
        label = table.labels[target][row]
        parts.setdefault((label is None, label or "", split), []).append(row)
    shares = {key: size * len(rows) / len(table) for key, rows in parts.items()}
    taken = {key: int(share) for key, share in shares.items()}
    by_rest = sorted(parts, key=lambda key: (taken[key] - shares[key], key))
    for key in by_rest[: size - sum(taken.values())]:
        taken[key] += 1
    return table.select(sorted(row for key, rows in parts.items() for row in rows[: taken[key]]))


def shuffled(table: ImageTable, rows: Sequence[int] | set[int] | range, seed: int) -> list[int]:
    """Rows in an order that the content and the seed settle (equal contents by their path)."""
    salt = str(seed).encode()
    return sorted(rows, key=lambda row: (digest_bytes(salt, table.digests[row].encode()), table.paths[row]))
