"""One data set out of image tables: joined, edited, looked over, written whole or not at all, with its card."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from headstart.base.errors import DataError
from headstart.base.events import warn
from headstart.base.findings import Finding
from headstart.base.new_folder import check_new_folder, new_folder
from headstart.dataset.card import CardFacts, write_card
from headstart.dataset.classes import NO_LABEL
from headstart.dataset.edit import BalancePlan, Edits, edited
from headstart.dataset.odd import odd_labels
from headstart.dataset.write import OF_ONE, check_layout, write_files
from headstart.images.spelling import alike, renames
from headstart.images.split import split_table
from headstart.images.table import SPLITS, ImageTable, added

Told = Callable[[BalancePlan], None]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a data set is made.

    Attributes
    ----------
    layout : str
        One of `write.LAYOUTS`.
    ways : {"copy", "symlink"}
    target : str, optional
        Label column that the edits are about; it comes first. The first by default.
    edits : Edits
    merge_spellings : bool
        Merge classes that differ in case, spaces, hyphens or underscores alone, into the most frequent one.
    once : bool
        Keep one of exact copies; copies under different labels all go.
    split : bool
        Draw train, validation and test where the source gives no split.
    """

    layout: str = "folders"
    ways: str = "copy"
    target: str | None = None
    edits: Edits = field(default_factory=Edits)
    merge_spellings: bool = False
    once: bool = False
    split: bool = False


@dataclass(frozen=True, eq=False)
class Draft:
    """A data set that is ready to be written.

    Attributes
    ----------
    table : ImageTable
    findings : tuple of Finding
    plan : BalancePlan or None
    steps : tuple of str
        What was done to the source, a sentence each.
    """

    table: ImageTable
    findings: tuple[Finding, ...]
    plan: BalancePlan | None
    steps: tuple[str, ...]

    def counts(self) -> dict[str, dict[str, int]]:
        """Images a class of the first target in each split ("all" where there is none)."""
        splits = self.table.splits or ("all",) * len(self.table)
        labels = _first_labels(self.table)
        made: dict[str, Counter[str]] = {}
        for split, label in zip(splits, labels, strict=True):
            made.setdefault(split, Counter())[NO_LABEL if label is None else label] += 1
        return {split: dict(sorted(made[split].items())) for split in (*SPLITS, "all") if split in made}

    def to_dict(self) -> dict[str, Any]:
        """As a JSON-like value."""
        return {
            "name": self.table.name,
            "n": len(self.table),
            "targets": list(self.table.targets),
            "counts": self.counts(),
            "n_left_out": len(self.table.problems),
            "balance": None if self.plan is None else self.plan.to_dict(),
            "steps": list(self.steps),
            "findings": [finding.to_dict() for finding in self.findings],
        }


def joined(tables: Sequence[ImageTable]) -> ImageTable:
    """Several tables of files as one; each image's path is then under the folder that they have in common.

    Raises
    ------
    DataError
        Tables of arrays, or tables with other label columns.
    """
    if len(tables) == 1:
        return tables[0]
    if any(table.pixels is not None for table in tables):
        raise DataError("sources whose images are no files cannot be joined; build them one by one")
    targets = {table.targets for table in tables}
    if len(targets) > 1:
        said = "; ".join(f"{table.name}: {', '.join(table.targets) or 'none'}" for table in tables)
        raise DataError(f"sources have different label columns ({said}); name one with --label-columns")
    root = os.path.commonpath([table.root for table in tables])
    paths = [
        (Path(table.root) / path).relative_to(root).as_posix() for table in tables for path in table.paths
    ]
    if len(set(paths)) < len(paths):
        raise DataError("an image is in two of the sources; give each folder once")
    splits = None
    if any(table.splits for table in tables):
        if not all(table.splits for table in tables):
            warn("sources without a split are taken for train")
        splits = tuple(split for table in tables for split in table.splits or ("train",) * len(table))
    groups = None
    if any(table.groups for table in tables):
        groups = tuple(f"{table.name}/{group}" for table in tables for group in table.groups or table.paths)
    return ImageTable(
        name=" and ".join(table.name for table in tables),
        root=root,
        paths=tuple(paths),
        digests=tuple(digest for table in tables for digest in table.digests),
        labels={
            name: tuple(label for table in tables for label in table.labels[name])
            for name in tables[0].targets
        },
        groups=groups,
        splits=splits,
        problems=tuple(problem for table in tables for problem in table.problems),
        spaced=added([table.spaced for table in tables]),
        source=" ".join(dict.fromkeys(table.source for table in tables if table.source)),
    )


def drafted(table: ImageTable, recipe: Recipe, told: Told | None = None) -> Draft:
    """The data set as it would be written; nothing is written.

    Parameters
    ----------
    table : ImageTable
    recipe : Recipe
    told : callable, optional
        Hears the plan of the balance before images are left out.

    Raises
    ------
    UnknownName, BadOptions, DataError
    """
    check_layout(recipe.layout, recipe.ways, linkable=table.pixels is None)
    steps: list[str] = []
    made = _first_target(table, recipe.target)
    if recipe.merge_spellings and made.targets:
        made = _merged(made, steps)
    findings = odd_labels(made)
    made = _labelled(made, recipe.layout, steps)
    if recipe.once:
        made = _each_once(made, steps)
    if made.splits is None and recipe.split:
        made = split_table(made, seed=recipe.edits.seed)
        steps.append(
            f"train, validation and test drawn, 60, 20 and 20 % of each class (seed {recipe.edits.seed})"
        )
    n = len(made)
    made, plan = edited(made, recipe.edits, told=told)
    steps += _edit_steps(recipe.edits, plan, n - len(made))
    if not len(made):
        raise DataError(f"{table.name}: no image is left")
    return Draft(made, tuple(findings), plan, tuple(steps))


def write_dataset(
    draft: Draft, out: str | Path, recipe: Recipe, *, images: Path | None = None, more: Sequence[Finding] = ()
) -> tuple[Path, Draft]:
    """Write a draft and its card (README.md) into a new folder, whole or not at all.

    Parameters
    ----------
    draft : Draft
    out : path
        Absent or empty.
    recipe : Recipe
    images : Path, optional
        Folder of the source, which the new one must not lie in.
    more : sequence of Finding
        Further findings for the card, of an audit for example.

    Returns
    -------
    (Path, Draft)
        The folder, and the draft with what the layout cannot hold among its findings.

    Raises
    ------
    DataError
        The folder is not empty, or an original can no longer be read.
    """
    place = check_new_folder(out, images)
    with new_folder(place) as aside:
        lost = write_files(draft.table, aside, recipe.layout, recipe.ways)
        whole = replace(draft, findings=(*draft.findings, *lost, *more))
        facts = CardFacts(
            table=whole.table, counts=whole.counts(), layout=recipe.layout, ways=recipe.ways, steps=whole.steps,
            findings=whole.findings, made=time.strftime("%Y-%m-%d"),
        )  # fmt: skip
        write_card(facts, aside / "README.md")
    return place, whole


def _first_target(table: ImageTable, target: str | None) -> ImageTable:
    if target is None:
        return table
    first = table.target(target)
    names = [first, *(name for name in table.targets if name != first)]
    return replace(table, labels={name: table.labels[name] for name in names})


def _merged(table: ImageTable, steps: list[str]) -> ImageTable:
    column = table.labels[table.targets[0]]
    counts = Counter(label for label in column if label is not None)
    names = renames(alike(counts), counts)
    if not names:
        return table
    said = ", ".join(f"{old!r} to {new!r}" for old, new in sorted(names.items())[:20])
    steps.append(f"{len(names)} spellings merged: {said}")
    return edited(table, Edits(rename=names))[0]


def _first_labels(table: ImageTable) -> tuple[str | None, ...]:
    """Labels of the first target; empty ones where there is none."""
    return table.labels[table.targets[0]] if table.targets else ("",) * len(table)


def _labelled(table: ImageTable, layout: str, steps: list[str]) -> ImageTable:
    """Without the images that no target labels; where a layout holds the first target alone, that it does not label."""
    if not table.targets:
        return table
    names = table.targets[:1] if layout in OF_ONE else table.targets
    kept = [row for row in range(len(table)) if any(table.labels[name][row] is not None for name in names)]
    if len(kept) < len(table):
        of = f" of {names[0]!r}" if len(names) == 1 else ""
        steps.append(f"{len(table) - len(kept):,} images without a label{of} left out")
    return table.select(kept)


def _each_once(table: ImageTable, steps: list[str]) -> ImageTable:
    """One of exact copies, one with the most labels; none where the first column that labels them says different things."""
    odd: set[str] = set()
    labelled: set[str] = set()
    for column in table.labels.values():
        said: dict[str, set[str]] = {}
        for digest, label in zip(table.digests, column, strict=True):
            if label is not None and digest not in labelled:
                said.setdefault(digest, set()).add(label)
        odd |= {digest for digest, labels in said.items() if len(labels) > 1}
        labelled |= said.keys()
    n_missing = [sum(column[row] is None for column in table.labels.values()) for row in range(len(table))]
    first: dict[str, int] = {}
    for row in sorted(range(len(table)), key=lambda row: (n_missing[row], table.paths[row])):
        first.setdefault(table.digests[row], row)
    kept = sorted(row for digest, row in first.items() if digest not in odd)
    if len(kept) < len(table):
        steps.append(f"{len(table) - len(kept):,} exact copies left out (all of them where labels differ)")
    return table.select(kept)


def _edit_steps(edits: Edits, plan: BalancePlan | None, n_gone: int) -> list[str]:
    steps = []
    if edits.rename:
        said = ", ".join(f"{old!r} to {new!r}" for old, new in sorted(edits.rename.items())[:20])
        more = f" and {len(edits.rename) - 20} more" if len(edits.rename) > 20 else ""
        steps.append(f"classes renamed or merged: {said}{more}")
    if edits.keep:
        steps.append(f"classes kept: {', '.join(map(repr, edits.keep[:20]))}")
    if edits.drop:
        steps.append(f"classes left out: {', '.join(map(repr, edits.drop[:20]))}")
    if plan is not None:
        part = "" if plan.split == "all" else f" of {plan.split}"
        steps.append(f"balanced: at most {plan.goal:,} images a class{part} (seed {edits.seed})")
    if edits.per_class is not None:
        steps.append(f"at most {edits.per_class:,} images a class (seed {edits.seed})")
    if edits.sample is not None:
        steps.append(f"{edits.sample:,} images drawn, shares of the classes kept (seed {edits.seed})")
    if n_gone:
        steps.append(f"{n_gone:,} images left out by these steps")
    return steps
