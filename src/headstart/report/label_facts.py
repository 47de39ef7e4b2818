"""Statistics of a dataset's labels, and whether they are consistent: counts alone, no pictures are read."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

from headstart.images.table import ImageTable


@dataclass(frozen=True)
class LabelFacts:
    """What the labels of one column are like.

    Attributes
    ----------
    n, n_classes, n_unlabelled : int
    least, most : (class, number of images)
    effective : float
        The number of equally large classes that would be as hard to guess: the exponential of the entropy.
    n_copies : int
        Images whose content another image has too, the first of each left out.
    n_contradictions : int
        Contents that carry more than one label.
    n_across : int
        Contents that lie in more than one split.
    n_left_out : int
        Files that could not be read or do not belong.
    """

    n: int
    n_classes: int
    n_unlabelled: int
    least: tuple[str, int]
    most: tuple[str, int]
    effective: float
    n_copies: int
    n_contradictions: int
    n_across: int
    n_left_out: int


def label_facts(table: ImageTable, target: str) -> LabelFacts:
    """Count what the table tells of one label column."""
    labels = table.labels[target]
    counts = Counter(label for label in labels if label is not None)
    total = sum(counts.values())
    entropy = -sum(n / total * math.log(n / total) for n in counts.values()) if total else 0.0
    order = sorted(counts.items(), key=lambda pair: (pair[1], pair[0])) or [("", 0)]
    named: dict[str, set[str]] = {}
    placed: dict[str, set[str]] = {}
    for row, digest in enumerate(table.digests):
        if (label := labels[row]) is not None:
            named.setdefault(digest, set()).add(label)
        if table.splits is not None:
            placed.setdefault(digest, set()).add(table.splits[row])
    return LabelFacts(
        n=len(table),
        n_classes=len(counts),
        n_unlabelled=len(labels) - total,
        least=order[0],
        most=order[-1],
        effective=math.exp(entropy),
        n_copies=len(table.digests) - len(set(table.digests)),
        n_contradictions=sum(len(each) > 1 for each in named.values()),
        n_across=sum(len(each) > 1 for each in placed.values()),
        n_left_out=len(table.problems),
    )
