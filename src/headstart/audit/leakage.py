"""Copies: across splits (leakage), under different labels, and within a split."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from headstart.audit.finding import AuditFinding, counted
from headstart.features.duplicates import Copies
from headstart.images.table import SPLITS, ImageTable

if TYPE_CHECKING:
    from numpy.typing import NDArray

MUCH, SOME = 0.01, 0.001
"""Shares of the images that are judged on from which leakage is of high and of medium severity."""


def find_leakage(table: ImageTable, copies: Copies, target: str | None) -> list[AuditFinding]:
    """Findings on copies; each cluster of copies belongs to the gravest that it fits.

    Parameters
    ----------
    table : ImageTable
    copies : Copies
        Of its rows.
    target : str, optional
        Label column.
    """
    remarks = _remarks(table, copies, target)
    clusters = copies.groups()
    apart = [rows for rows in clusters if target is not None and _labels(table, target, rows) > 1]
    rest = [rows for rows in clusters if target is None or _labels(table, target, rows) <= 1]
    crossing = [rows for rows in clusters if _splits(table, rows) > 1]
    within = [rows for rows in rest if _splits(table, rows) == 1]
    found = []
    if crossing:
        found.append(_crossing(table, crossing, remarks))
    if apart:
        found.append(_apart(apart, remarks, len(table)))
    if within:
        found.append(_within(within, remarks, len(table)))
    return found


def _labels(table: ImageTable, target: str, rows: NDArray[np.int64]) -> int:
    return len({table.labels[target][row] for row in rows.tolist()} - {None})


def _splits(table: ImageTable, rows: NDArray[np.int64]) -> int:
    return 1 if table.splits is None else len({table.splits[row] for row in rows.tolist()})


def _remarks(table: ImageTable, copies: Copies, target: str | None) -> dict[int, str]:
    best: dict[int, tuple[float, str]] = {}
    for pair, alike, kind in zip(copies.pairs.tolist(), copies.likeness.tolist(), copies.kinds, strict=True):
        for row in pair:
            if row not in best or alike > best[row][0]:
                best[row] = (alike, "equal file" if kind == "equal" else f"{kind} {alike:.2f}")
    said = {}
    for row, (_, words) in best.items():
        parts = [table.splits[row]] if table.splits is not None else []
        parts += [str(table.labels[target][row])] if target is not None else []
        said[row] = ", ".join([*parts, words])
    return said


def _flat(groups: list[NDArray[np.int64]]) -> tuple[int, ...]:
    return tuple(int(row) for rows in groups for row in rows)


def _tuples(groups: list[NDArray[np.int64]]) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(rows.tolist()) for rows in groups)


def _crossing(table: ImageTable, groups: list[NDArray[np.int64]], remarks: dict[int, str]) -> AuditFinding:
    splits = table.splits or ()
    held = [row for rows in groups for row in rows.tolist() if splits[row] != "train"]
    drop: list[int] = []
    for rows in groups:  # the split that is judged on last keeps its image
        last = max(SPLITS.index(splits[row]) for row in rows.tolist())
        drop += [row for row in rows.tolist() if SPLITS.index(splits[row]) < last]
    n_held = sum(split != "train" for split in splits)
    share = len(held) / max(n_held, 1)
    severity = "high" if share >= MUCH else "medium" if share >= SOME else "low"
    return AuditFinding(
        "duplicates", "leakage", severity,
        f"{counted(len(held), 'image')} of validation and test ({share:.2%}) with copies in another split",
        f"up to {100 * share:.1f} points of the accuracy on them are memory, not skill",
        "leave the copies out of the split that is learned from, or split anew with copies kept together",
        rows=_flat(groups), groups=_tuples(groups), remarks=remarks, leave_out=tuple(drop), resplit=True,
        facts={"n_held": len(held), "share_held": share, "n_clusters": len(groups)},
    )  # fmt: skip


def _apart(groups: list[NDArray[np.int64]], remarks: dict[int, str], n: int) -> AuditFinding:
    rows = _flat(groups)
    share = len(rows) / n
    return AuditFinding(
        "duplicates", "conflict", "high" if share >= MUCH else "medium",
        f"{counted(len(groups), 'picture')} with different labels ({counted(len(rows), 'image')})",
        "at least one label of each is wrong, or the classes overlap: no classifier can be right on all of them",
        "decide which label is right; a mended table leaves all of them out",
        rows=rows, groups=_tuples(groups), remarks=remarks, leave_out=rows,
        facts={"n_clusters": len(groups), "share": share},
    )  # fmt: skip


def _within(groups: list[NDArray[np.int64]], remarks: dict[int, str], n: int) -> AuditFinding:
    drop = tuple(int(row) for rows in groups for row in rows[1:])
    share = len(drop) / n
    return AuditFinding(
        "duplicates", "copies", "medium" if share >= MUCH else "low",
        f"{counted(len(drop), 'image is a copy', 'images are copies')} of others under the same label ({share:.2%})",
        "copies count twice; a random split or fold that parts them measures memory",
        "leave the extra copies out, or let `headstart split` keep them together",
        rows=_flat(groups), groups=_tuples(groups), remarks=remarks, leave_out=drop,
        facts={"n_copies": len(drop), "share": share, "n_clusters": len(groups)},
    )  # fmt: skip
