"""Who learns from which image: given splits, stratified seeded splits, k folds, groups kept whole.

A draw depends on the images' content and the seed, never on the order of rows or the place in a folder: rows
are sorted by digest before anything is shuffled. Shares a class are exact to within one image.
Groups are placed whole, largest first, where they bring the class shares nearest to the wanted ones (the idea
of scikit-learn's StratifiedGroupKFold).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from headstart.base.errors import BadOptions
from headstart.base.events import warn
from headstart.base.hashing import digest_bytes
from headstart.images.column_kinds import column_kind, stratum_names
from headstart.images.table import SPLITS, ImageTable

Ratios = tuple[float, float, float]
RATIOS: Ratios = (0.6, 0.2, 0.2)


def split_table(
    table: ImageTable, *, ratios: Ratios = RATIOS, seed: int = 0, target: str | None = None
) -> ImageTable:
    """The table with splits: the given ones where it has any, else a stratified, seeded draw.

    Parameters
    ----------
    table : ImageTable
    ratios : tuple of float
        Shares of train, validation and test; they add up to 1.
    seed : int
    target : str, optional
        Label column to stratify on; the first by default. Numbers count by fifths, sets of labels by the rarest
        of an image; images without that label are a class of their own, a table without labels is one class.

    Returns
    -------
    ImageTable
        Every class has at least one training image; groups are whole.
    """
    if table.splits is not None:
        return table
    return table.with_splits(_draw(table, range(len(table)), _checked(ratios), seed, target))


def ensure_splits(
    table: ImageTable, *, seed: int = 0, target: str | None = None, ratios: Ratios = RATIOS
) -> ImageTable:
    """`split_table`, for whoever must have both a train and a test split.

    Given train and test splits stay as they are. Where the source gives train (and perhaps validation) but no
    test, the test share is drawn out of train. A source with test or validation images only cannot be learned
    from as given: its split is set aside, with a warning, and all images are divided anew.
    """
    if table.splits is None or not len(table):
        return split_table(table, ratios=ratios, seed=seed, target=target)
    if table.has_split("train") and table.has_split("test"):
        return table
    if not table.has_split("train"):
        given = " and ".join(sorted(set(table.splits)))
        warn(
            f"{table.name} gives only {given} images; its split is set aside and all images are divided anew"
        )
        return table.with_splits(_draw(table, range(len(table)), _checked(ratios), seed, target))
    test_share = _checked(ratios)[2]
    rows = table.rows("train")
    drawn = dict(zip(rows, _draw(table, rows, (1 - test_share, 0.0, test_share), seed, target), strict=True))
    return table.with_splits([drawn.get(row, split) for row, split in enumerate(table.splits)])


def k_folds(
    labels: np.ndarray | Sequence[str],
    n_folds: int,
    *,
    seed: int,
    groups: Sequence[object] | np.ndarray | None = None,
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Stratified folds: each row is held out exactly once.

    Parameters
    ----------
    labels : array-like, shape (n,)
    n_folds : int
        At least 2; no more than there are rows (groups, where given).
    seed : int
    groups : array-like, shape (n,), optional
        Never parted.

    Returns
    -------
    list of (train rows, held-out rows)
        Sorted int64 row numbers. A class with fewer images than folds is missing from some held-out parts; a
        class with a single image is missing from the training part of one fold.
    """
    codes = _codes(labels)
    n_units = len(codes) if groups is None else len(np.unique(_codes(groups)))
    if not 2 <= n_folds <= n_units:
        unit = "images" if groups is None else "groups"
        raise BadOptions([f"folds: {n_folds} is outside 2 .. {n_units}, the number of {unit}"])
    rng = np.random.default_rng(seed)
    if groups is None:
        fold = _deal(codes, n_folds, rng)
    else:
        fold = _place_groups(codes, _codes(groups), np.full(n_folds, 1 / n_folds), rng)
    return [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(n_folds)]


def subsample(
    labels: np.ndarray | Sequence[str],
    per_class: int,
    *,
    seed: int,
    groups: Sequence[object] | np.ndarray | None = None,
) -> np.ndarray:
    """Sorted rows of `per_class` images a class (all of a smaller class).

    The draw of a larger size with the same seed contains that of a smaller one. With groups, images are taken
    round by round from different groups first, so that few images still show many groups.
    """
    if per_class < 1:
        raise BadOptions([f"images a class: {per_class} is below 1"])
    codes = _codes(labels)
    parts = None if groups is None else _codes(groups)
    rng = np.random.default_rng(seed)
    chosen = []
    for code in range(codes.max(initial=-1) + 1):
        rows = rng.permutation(np.flatnonzero(codes == code))
        if parts is not None:
            rows = rows[np.argsort(_nth_of_its_group(parts[rows]), kind="stable")]
        chosen.append(rows[:per_class])
    return np.sort(np.concatenate(chosen)) if chosen else np.zeros(0, np.int64)


def shares(codes: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Which rows a random share of each class holds.

    Parameters
    ----------
    codes : ndarray of int, shape (n,)
        Class numbers.
    share : float
        0..1; a class keeps one row or more outside.
    seed : int

    Returns
    -------
    ndarray of bool, shape (n,)
    """
    found: np.ndarray = _share_out(codes, (1 - share, share, 0.0), np.random.default_rng([seed, 5])) == 1
    return found


def split_digest(table: ImageTable) -> str:
    """Content of a split: which image (by digest and name) is in which part, whatever the order of rows."""
    splits = table.splits or ("",) * len(table)
    lines = sorted("\x1f".join(row) for row in zip(table.digests, table.paths, splits, strict=True))
    return digest_bytes(*(line.encode(errors="surrogateescape") for line in lines))


def _checked(ratios: Ratios) -> Ratios:
    fair = len(ratios) == 3 and min(ratios) >= 0 and ratios[0] > 0 and abs(sum(ratios) - 1) < 1e-6
    if not fair:
        raise BadOptions([f"ratios: train, validation and test shares that add up to 1, not {ratios}"])
    return ratios


def _codes(values: Sequence[object] | np.ndarray) -> np.ndarray:
    """Number of each value among the sorted distinct ones."""
    return np.unique(
        np.asarray([str(value) for value in values], dtype=object).astype(str), return_inverse=True
    )[1]


def _draw(table: ImageTable, rows: Sequence[int], ratios: Ratios, seed: int, target: str | None) -> list[str]:
    """The split of each of `rows`, in their order."""
    rows = list(rows)
    if not rows:
        return []
    order = sorted(range(len(rows)), key=lambda at: (table.digests[rows[at]], table.paths[rows[at]]))
    labels = table.labels[table.target(target)] if table.labels else (None,) * len(table)
    names = stratum_names([labels[rows[at]] for at in order], column_kind(labels))
    codes = _codes([("\0" if name is None else "\1" + name) for name in names])
    rng = np.random.default_rng(seed)
    if table.groups is None:
        part = _share_out(codes, ratios, rng)
    else:
        groups = _codes([table.groups[rows[at]] for at in order])
        part = _rescue(codes, groups, _place_groups(codes, groups, np.asarray(ratios), rng))
    _tell(names, codes, part, ratios)
    found = [""] * len(rows)
    for at, number in zip(order, part, strict=True):
        found[at] = SPLITS[number]
    return found


def _share_out(codes: np.ndarray, ratios: Ratios, rng: np.random.Generator) -> np.ndarray:
    """Part 0, 1 or 2 of each row: largest remainder a class, what is owed carried on."""
    part = np.zeros(len(codes), np.int64)
    owed = np.zeros(3)
    for code in rng.permutation(codes.max() + 1):
        rows = rng.permutation(np.flatnonzero(codes == code))
        wanted = np.asarray(ratios) * len(rows)
        counts = np.floor(wanted + 1e-9).astype(np.int64)
        left = len(rows) - counts.sum()
        rank = np.where(wanted - counts > 1e-9, wanted - counts + owed, -np.inf)
        if counts[0] == 0:
            rank[0] = np.inf
        counts[np.argsort(-rank, kind="stable")[:left]] += 1
        owed += wanted - counts
        part[rows] = np.repeat([0, 1, 2], counts)
    return part


def _deal(codes: np.ndarray, n_folds: int, rng: np.random.Generator) -> np.ndarray:
    """Fold of each row: the shuffled rows of one class after the other are dealt out in turn."""
    dealt = np.concatenate(
        [rng.permutation(np.flatnonzero(codes == code)) for code in range(codes.max() + 1)]
    )
    fold = np.empty(len(codes), np.int64)
    fold[dealt] = np.arange(len(codes)) % n_folds
    return fold


def _place_groups(
    codes: np.ndarray, groups: np.ndarray, shares: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Part of each row: each group goes where the class shares come nearest to the wanted ones."""
    n_groups, n_classes = groups.max() + 1, codes.max() + 1
    counts = np.zeros((n_groups, n_classes))
    np.add.at(counts, (groups, codes), 1)
    of_class = counts / counts.sum(axis=0)
    shuffled = rng.permutation(n_groups)
    order = shuffled[np.argsort(-counts[shuffled].sum(axis=1), kind="stable")]
    held = np.zeros((len(shares), n_classes))
    place = np.zeros(n_groups, np.int64)
    for group in order:
        lack = shares[:, None] - held
        gain = (2 * of_class[group] * lack - of_class[group] ** 2).sum(axis=1)
        gain -= 1e-9 * held.sum(axis=1)  # of equals, the emptiest
        gain[shares == 0] = -np.inf
        place[group] = int(np.argmax(gain))
        held[place[group]] += of_class[group]
    of_row: np.ndarray = place[groups]
    return of_row


def _rescue(codes: np.ndarray, groups: np.ndarray, part: np.ndarray) -> np.ndarray:
    """Move a class's smallest group to train where train has none of that class."""
    part = part.copy()
    for code in range(codes.max() + 1):
        if not (part[codes == code] == 0).any():
            having = np.unique(groups[codes == code])
            smallest = min(having, key=lambda group: int((groups == group).sum()))
            part[groups == smallest] = 0
    return part


def _tell(names: Sequence[str | None], codes: np.ndarray, part: np.ndarray, ratios: Ratios) -> None:
    wanted = [number for number in range(3) if ratios[number] > 0]
    lacking = []
    for code in range(codes.max() + 1):
        at = np.flatnonzero(codes == code)
        if len(set(part[at])) < len(wanted):
            name = names[at[0]]
            lacking.append(f"{'(no label)' if name is None else repr(name)} ({len(at)})")
    if lacking:
        more = f" and {len(lacking) - 5} more" if len(lacking) > 5 else ""
        warn("too few images or groups to be in every split: " + ", ".join(lacking[:5]) + more)


def _nth_of_its_group(parts: np.ndarray) -> np.ndarray:
    """For each row, how many rows of the same group stand before it."""
    seen: dict[int, int] = {}
    numbers = np.empty(len(parts), np.int64)
    for at, part in enumerate(parts.tolist()):
        numbers[at] = seen[part] = seen.get(part, -1) + 1
    return numbers
