"""Splits and folds that part no group and keep the shares of the classes of every label column.

Numbers count by fifths, and of cells with several labels (`a;b`) each label for itself. Groups of several images
are placed one after the other, largest first, where they bring the shares of all columns' classes nearest to the
wanted ones; images that stand alone are then dealt out, combination of labels by combination, to what is still
wanting (largest remainders). Those of rare combinations are placed last, one by one, where their labels are still
wanting (the idea of Sechidis, Tsoumakas and Vlahavas 2011, iterative stratification).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from headstart.base.errors import BadOptions
from headstart.base.events import warn
from headstart.images.column_kinds import Kinds, kind_of, split_labels, stratum_names
from headstart.images.split import Ratios, _checked, _codes
from headstart.images.table import SPLITS, ImageTable

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Rows = NDArray[np.int64]
    Floats = NDArray[np.float64]

FEW = 4
"""Images of a combination of labels, for each part, below which they are placed one by one."""
MOST_LABELS = 200
"""Labels of a column of several whose shares are kept: the most frequent ones."""


def joined_groups(table: ImageTable, clusters: Rows | None) -> Rows:
    """A number for each row that rows share which are copies, or of one group of the table, or both in a chain."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n = len(table)
    given = [_codes(table.groups)] if table.groups is not None else []
    given += [clusters] if clusters is not None else []
    if not given:
        return np.arange(n)
    nodes, size = [], n  # a node for each row, then one for each group
    for codes in given:
        nodes.append(codes + size)
        size += int(codes.max(initial=-1)) + 1
    ends = np.concatenate(nodes)
    rows = np.tile(np.arange(n), len(given))
    graph = coo_array((np.ones(len(rows), bool), (rows, ends)), shape=(size, size))
    found = connected_components(graph, directed=False)[1][:n]
    made: Rows = np.unique(found, return_inverse=True)[1].astype(np.int64)
    return made


def split_whole(
    table: ImageTable, groups: Rows, *, ratios: Ratios, seed: int, kinds: Kinds = None
) -> tuple[str, ...]:
    """ "train", "validation" or "test" for each row.

    Parameters
    ----------
    table : ImageTable
        Given splits and groups are not looked at.
    groups : ndarray of int64, shape (n,)
        Never parted.
    ratios : tuple of float
        Shares of train, validation and test that add up to 1.
    seed : int
    kinds : dict of str to str, optional
        What label columns hold (see `column_kinds.KINDS`) where that is known; found from their cells by default.

    Raises
    ------
    BadOptions
    """
    part = parts_whole(table, groups, np.asarray(_checked(ratios)), seed, range(len(table)), kinds)
    part = _learnable(table, groups, part, kinds)
    _tell_empty(table, part, ratios, kinds)
    return tuple(SPLITS[number] for number in part.tolist())


def folds_whole(
    table: ImageTable, groups: Rows, n_folds: int, seed: int, rows: Sequence[int], kinds: Kinds = None
) -> Rows:
    """The fold (0 to n_folds - 1) that holds out each of `rows`.

    Raises
    ------
    BadOptions
        Fewer than two folds, or more than there are groups.
    """
    n_groups = len(np.unique(groups[list(rows)]))
    if not 2 <= n_folds <= n_groups:
        raise BadOptions([f"folds: {n_folds} is outside 2 .. {n_groups}, the number of groups"])
    return parts_whole(table, groups, np.full(n_folds, 1 / n_folds), seed, rows, kinds)


def parts_whole(
    table: ImageTable, groups: Rows, shares: Floats, seed: int, rows: Sequence[int], kinds: Kinds = None
) -> Rows:
    """The part (a position in `shares`) of each of `rows`; whatever their order, the same image gets the same."""
    rows = list(rows)
    order = sorted(range(len(rows)), key=lambda at: (table.digests[rows[at]], table.paths[rows[at]]))
    chosen = [rows[at] for at in order]
    classes = _classes(table, chosen, kinds)
    own = np.unique(groups[chosen], return_inverse=True)[1]
    first: dict[int, int] = {}  # groups numbered by content, not by place
    own = np.array([first.setdefault(int(each), len(first)) for each in own.tolist()], np.int64)
    placed = _placed(classes, own, shares, np.random.default_rng([seed, 53]))
    found = np.empty(len(rows), np.int64)
    found[order] = placed
    return found


def _classes(table: ImageTable, rows: Sequence[int], kinds: Kinds) -> NDArray[np.int64]:
    """Class numbers of every label column, (n, columns); different columns share none."""
    columns, offset = [], 0
    for name in table.targets:
        labels = table.labels[name]
        kind = kind_of(name, labels, kinds)
        cells = [labels[row] for row in rows]
        for codes in _each_label(cells) if kind == "labels" else [_strata(cells, kind)]:
            columns.append(codes + offset)
            offset += int(codes.max(initial=-1)) + 1
    if not columns:
        return np.zeros((len(rows), 1), np.int64)
    return np.stack(columns, axis=1)


def _strata(cells: Sequence[str | None], kind: str) -> Rows:
    return _codes([("\0" if name is None else f"\1{name}") for name in stratum_names(cells, kind)])


def _each_label(cells: Sequence[str | None]) -> list[Rows]:
    """For each label whether a cell has it (1) or not (0); 2 where the cell is missing."""
    sets = [None if cell is None else frozenset(split_labels(cell)) for cell in cells]
    counts = Counter(label for each in sets if each for label in each)
    kept = sorted(counts, key=lambda label: (-counts[label], label))[:MOST_LABELS]
    return [
        np.array([2 if each is None else int(label in each) for each in sets], np.int64) for label in kept
    ]


def _placed(classes: Rows, groups: Rows, shares: Floats, rng: np.random.Generator) -> Rows:
    totals = np.bincount(classes.ravel()).astype(np.float64)
    sizes = np.bincount(groups)
    kinds = np.unique(classes, axis=0, return_inverse=True)[1].ravel()
    alone = sizes[groups] == 1
    common = np.bincount(kinds)[kinds] >= FEW * len(shares)
    dealt = alone & common
    part = np.full(len(groups), -1, np.int64)
    held, filled = np.zeros((len(shares), len(totals))), np.zeros(len(shares))
    members = _members(groups, np.flatnonzero(~dealt))
    ordered = sorted(rng.permutation(len(members)).tolist(), key=lambda at: -len(members[at]))

    def place(rows: Rows) -> None:
        counts = np.bincount(classes[rows].ravel(), minlength=len(totals))
        present = np.flatnonzero(counts)
        weight = counts[present] / totals[present]
        lack = shares[:, None] - held[:, present]
        gain = (2 * weight * lack - weight**2).sum(axis=1) - 1e-6 * filled  # of equals, the emptiest
        gain[shares == 0] = -np.inf
        best = int(np.argmax(gain))
        part[rows] = best
        held[best, present] += weight
        filled[best] += len(rows) / (shares[best] * len(groups))

    for at in ordered:
        if len(members[at]) > 1:
            place(members[at])
    owed = np.zeros(len(shares))
    for kind in rng.permutation(int(kinds.max(initial=-1)) + 1):
        own = np.flatnonzero(kinds == kind)
        rows = rng.permutation(own[dealt[own]])
        if len(rows):
            part[rows], owed = _dealt(part[own], len(own), len(rows), shares, owed)
    for number in range(len(shares)):
        rows = np.flatnonzero(dealt & (part == number))
        held[number] += np.bincount(classes[rows].ravel(), minlength=len(totals)) / np.maximum(totals, 1)
        filled[number] += len(rows) / (max(shares[number], 1e-12) * len(groups))
    for at in ordered:
        if len(members[at]) == 1:
            place(members[at])
    return part


def _members(groups: Rows, rows: Rows) -> list[Rows]:
    if not len(rows):
        return []
    order = rows[np.argsort(groups[rows], kind="stable")]
    return np.split(order, np.flatnonzero(np.diff(groups[order])) + 1)


def _dealt(placed: Rows, n: int, n_left: int, shares: Floats, owed: Floats) -> tuple[Rows, Floats]:
    """Parts of the `n_left` images of a kind of n that stand alone, by what their kind still lacks in each part."""
    have = np.bincount(placed[placed >= 0], minlength=len(shares))
    wanted = np.maximum(shares * n - have, 0)
    wanted *= n_left / max(float(wanted.sum()), 1e-12)
    counts = np.floor(wanted + 1e-9).astype(np.int64)
    rank = np.where(wanted - counts > 1e-9, wanted - counts + owed, -np.inf)
    rank[shares == 0] = -np.inf
    counts[np.argsort(-rank, kind="stable")[: n_left - int(counts.sum())]] += 1
    return np.repeat(np.arange(len(shares)), counts), owed + wanted - counts


def _learnable(table: ImageTable, groups: Rows, part: Rows, kinds: Kinds) -> Rows:
    """Move a class's smallest group to train where train has none of that class; numbers and sets are no classes."""
    part, sizes = part.copy(), np.bincount(groups)
    for name in table.targets:
        if kind_of(name, table.labels[name], kinds) != "classes":
            continue
        labels = np.array([label or "" for label in table.labels[name]], dtype=str)
        for label in set(labels.tolist()) - set(labels[part == 0].tolist()):
            having = np.unique(groups[labels == label])
            part[groups == having[int(np.argmin(sizes[having]))]] = 0
    return part


def _tell_empty(table: ImageTable, part: Rows, ratios: Ratios, kinds: Kinds) -> None:
    """Say which wanted parts have no image, and of which column that comes."""
    empty = [name for number, name in enumerate(SPLITS) if ratios[number] > 0 and not (part == number).any()]
    if not empty or not len(part):
        return
    own = [
        name
        for name in table.targets
        if kind_of(name, table.labels[name], kinds) == "classes" and 2 * len(table.classes(name)) > len(part)
    ]
    why = (
        f"column {own[0]!r} has a class of its own for most images, and train must have each class; name other "
        "columns with --label-columns"
        if own
        else "there are too few images or groups"
    )
    warn(f"the split has no {' and no '.join(empty)} images: {why}")
