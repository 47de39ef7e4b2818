"""What is odd about the labels of a table, as findings: nothing is mended here, everything is told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from headstart.base.findings import Finding
from headstart.images.collect import clean, told
from headstart.images.spelling import alike
from headstart.images.table import ImageTable, told_spaced

MANY_CLASSES = 1_000
SHOWN = 5


def odd_labels(table: ImageTable, target: str | None = None) -> list[Finding]:
    """Findings on files left out, spellings, contradictions, tiny and very many classes.

    Parameters
    ----------
    table : ImageTable
    target : str, optional
        Label column; the first by default. Without labels only files are looked at.
    """
    found = []
    if table.problems:
        found.append(
            Finding("left_out", f"left out {told(table.problems)}", "mend or remove them, or leave them out")
        )
    if not table.targets:
        return found
    name = table.target(target)
    column = table.labels[name]
    return [
        *found,
        *_spellings(column),
        *_spaced(table.spaced.get(name, {})),
        *_contradictions(table, column),
        *_sizes(column),
        *_unlabelled(column, name),
    ]


def _spellings(column: Sequence[str | None]) -> list[Finding]:
    counts = Counter(label for label in column if label is not None)
    groups = alike(counts)
    if not groups:
        return []
    first = "; ".join(
        " and ".join(f"{name!r} ({counts[name]:,})" for name in group) for group in groups[:SHOWN]
    )
    more = f"; and {len(groups) - SHOWN:,} groups more" if len(groups) > SHOWN else ""
    return [
        Finding(
            "spelling",
            f"classes that differ in case, spaces, hyphens or underscores alone: {first}{more}",
            "merge them with --merge-spellings, or with --rename OLD=NEW",
        )
    ]


def _spaced(labels: Mapping[str, int]) -> list[Finding]:
    if not labels:
        return []
    return [
        Finding(
            "spaces",
            f"{sum(labels.values()):,} labels have spaces about them, and are read without: {told_spaced(labels)}",
            "write them without in the source, where other programs take them for classes of their own",
        )
    ]


def _contradictions(table: ImageTable, column: Sequence[str | None]) -> list[Finding]:
    seen: dict[str, dict[str, str]] = {}
    for path, digest, label in zip(table.paths, table.digests, column, strict=True):
        if label is not None:
            seen.setdefault(digest, {}).setdefault(label, path)
    odd = [labels for labels in seen.values() if len(labels) > 1]
    n_again = len(table) - len(set(table.digests))
    found = []
    if odd:
        first = "; ".join(
            " and ".join(f"{clean(path)} as {label!r}" for label, path in labels.items())
            for labels in odd[:SHOWN]
        )
        found.append(
            Finding(
                "contradiction",
                f"{len(odd):,} images are there under two labels: {first}",
                "look at them and remove the wrong copy",
            )
        )
    if n_again:
        found.append(
            Finding(
                "repeated",
                f"{n_again:,} images are exact copies of another one",
                "leave them out with --once, so that no copy lies on both sides of a split",
            )
        )
    return found


def _sizes(column: Sequence[str | None]) -> list[Finding]:
    counts = Counter(label for label in column if label is not None)
    alone = sorted(name for name, n in counts.items() if n == 1)
    found = []
    if alone:
        more = f" and {len(alone) - SHOWN:,} more" if len(alone) > SHOWN else ""
        names = ", ".join(map(repr, alone[:SHOWN]))
        found.append(
            Finding(
                "single",
                f"{len(alone):,} classes have one image alone: {names}{more}",
                "a class needs images to learn from and others to test on; add some, merge or drop it",
            )
        )
    if len(counts) > MANY_CLASSES:
        found.append(
            Finding(
                "many_classes",
                f"{len(counts):,} classes for {sum(counts.values()):,} images",
                "check that the label column is no name or number of the image",
            )
        )
    if len(counts) == 1:
        found.append(
            Finding(
                "one_class", f"one class only: {next(iter(counts))!r}", "to learn takes two classes or more"
            )
        )
    return found


def _unlabelled(column: Sequence[str | None], name: str) -> list[Finding]:
    n = sum(label is None for label in column)
    if not n:
        return []
    return [
        Finding("unlabelled", f"{n:,} images have no label of {name!r}", "label them with headstart label")
    ]
