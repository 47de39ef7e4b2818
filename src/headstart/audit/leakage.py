"""Copies: across splits (leakage), under different labels, and within a split; groups across splits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from headstart.audit.finding import AuditFinding, counted
from headstart.features.duplicates import Copies
from headstart.images.column_kinds import split_labels
from headstart.images.table import SPLITS, ImageTable

if TYPE_CHECKING:
    from numpy.typing import NDArray

MUCH, SOME = 0.01, 0.001
"""Shares of the images that are judged on from which leakage is of high and of medium severity."""
EXAMPLES = 2
"""Images of a parted group that are shown of each split."""


def find_leakage(table: ImageTable, copies: Copies, columns: Mapping[str, str]) -> list[AuditFinding]:
    """Findings on copies and on parted groups; each cluster of copies belongs to the gravest that it fits.

    Parameters
    ----------
    table : ImageTable
    copies : Copies
        Of its rows.
    columns : dict of str to str
        Label columns and what they hold ("classes", "labels" or "number"); other numbers are no contradiction.
    """
    remarks = _remarks(table, copies, list(columns))
    clusters = copies.groups()
    crossing = [rows for rows in clusters if _splits(table, rows) > 1]
    found = [_crossing(table, crossing, remarks)] if crossing else []
    found += find_parted_groups(table)
    apart: set[int] = set()
    for target, kind in columns.items():
        odd = [at for at, rows in enumerate(clusters) if _labels(table, target, kind, rows) > 1]
        if odd:
            apart.update(odd)
            found.append(_apart([clusters[at] for at in odd], remarks, len(table), target))
    rest = [rows for at, rows in enumerate(clusters) if at not in apart]
    within = [rows for rows in rest if _splits(table, rows) == 1]
    if within:
        found.append(_within(within, remarks, len(table)))
    return found


def find_parted_groups(table: ImageTable) -> list[AuditFinding]:
    """The finding that groups of the table (a patient, a video) have images in several splits, if some have."""
    if table.groups is None or table.splits is None:
        return []
    members: dict[str, dict[str, list[int]]] = {}
    for row, (group, split) in enumerate(zip(table.groups, table.splits, strict=True)):
        members.setdefault(group, {}).setdefault(split, []).append(row)
    most = sorted(
        members.items(), key=lambda one: len(one[1].get("train", ())) - sum(map(len, one[1].values()))
    )
    parted = {group: of for group, of in most if len(of) > 1}
    if not parted:
        return []
    held = [row for of in parted.values() for split in SPLITS[1:] for row in of.get(split, ())]
    share, severity = _held_share(table, len(held))
    shown = {
        group: [row for split in SPLITS for row in of.get(split, ())[:EXAMPLES]]
        for group, of in parted.items()
    }
    counts = {
        group: ", ".join(f"{split} {len(of[split]):,}" for split in SPLITS if split in of)
        for group, of in parted.items()
    }
    return [
        AuditFinding(
            "duplicates", "parted_groups", severity,
            f"{counted(len(parted), 'group has', 'groups have')} images in several splits: {counted(len(held), 'image')} "
            f"of validation and test ({share:.2%}) with others of their group in another split",
            "the score on them is of groups (a patient, an object, a video) that were learned from or chosen on; on new "
            "groups it may be far lower",
            "split anew with groups kept together", rows=tuple(held),
            groups=tuple(tuple(rows) for rows in shown.values()),
            remarks={row: f"{table.splits[row]}, {group}" for group, rows in shown.items() for row in rows},
            resplit=True, details=tuple(counts.items()),
            facts={"n_held": len(held), "share_held": share, "n_groups": len(parted)},
        )
    ]  # fmt: skip


def _held_share(table: ImageTable, n: int) -> tuple[float, str]:
    """Which share of the images that are judged on n are, and how severe it is that those leak."""
    share = n / max(sum(split != "train" for split in table.splits or ()), 1)
    return share, "high" if share >= MUCH else "medium" if share >= SOME else "low"


def _labels(table: ImageTable, target: str, kind: str, rows: NDArray[np.int64]) -> int:
    """Number of different labels; sets of labels are compared whatever their order."""
    if kind == "number":
        return 1
    cells = [cell for row in rows.tolist() if (cell := table.labels[target][row]) is not None]
    return len({frozenset(split_labels(cell)) if kind == "labels" else cell for cell in cells})


def _splits(table: ImageTable, rows: NDArray[np.int64]) -> int:
    return 1 if table.splits is None else len({table.splits[row] for row in rows.tolist()})


def _remarks(table: ImageTable, copies: Copies, targets: Sequence[str]) -> dict[int, str]:
    best: dict[int, tuple[float, str]] = {}
    for pair, alike, kind in zip(copies.pairs.tolist(), copies.likeness.tolist(), copies.kinds, strict=True):
        for row in pair:
            if row not in best or alike > best[row][0]:
                best[row] = (alike, "equal file" if kind == "equal" else f"{kind} {alike:.2f}")
    said = {}
    for row, (_, words) in best.items():
        parts = [table.splits[row]] if table.splits is not None else []
        parts += [table.labels[target][row] or "no label" for target in targets]
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
    share, severity = _held_share(table, len(held))
    return AuditFinding(
        "duplicates", "leakage", severity,
        f"{counted(len(held), 'image')} of validation and test ({share:.2%}) with copies in another split",
        f"up to {100 * share:.1f} points of the accuracy on them are memory, not skill",
        "leave the copies out of the split that is learned from, or split anew with copies kept together",
        rows=_flat(groups), groups=_tuples(groups), remarks=remarks, leave_out=tuple(drop), resplit=True,
        facts={"n_held": len(held), "share_held": share, "n_clusters": len(groups)},
    )  # fmt: skip


def _apart(groups: list[NDArray[np.int64]], remarks: dict[int, str], n: int, target: str) -> AuditFinding:
    rows = _flat(groups)
    share = len(rows) / n
    return AuditFinding(
        "duplicates", "conflict", "high" if share >= MUCH else "medium",
        f"{counted(len(groups), 'picture')} with different labels ({counted(len(rows), 'image')})",
        "at least one label of each is wrong, or the classes overlap: no classifier can be right on all of them",
        "decide which label is right; a mended table leaves all of them out",
        rows=rows, groups=_tuples(groups), remarks=remarks, leave_out=rows,
        facts={"n_clusters": len(groups), "share": share}, column=target,
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
