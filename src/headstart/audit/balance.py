"""Classes: tiny, unequal or absent ones, labels that differ in spelling alone, classes that cannot be told apart."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from headstart.audit.cues import area, area_error
from headstart.audit.finding import AuditFinding, counted
from headstart.audit.labels import Judged
from headstart.images.table import ImageTable

if TYPE_CHECKING:
    from numpy.typing import NDArray

TINY, HARDLY = 10, 3
UNEQUAL, VERY_UNEQUAL = 10.0, 50.0
MANY = 0.5
"""Classes for each image from which a column is hardly one of classes."""
ALIKE, LEAST_PAIR = 0.70, 20
"""Upper end of the area under the curve below which two classes cannot be told apart."""


def find_imbalance(table: ImageTable, target: str) -> list[AuditFinding]:
    """Findings on the number of images a class, in all and by split."""
    labels = table.labels[target]
    counts = Counter(label for label in labels if label is not None)
    n = sum(counts.values())
    if not counts:
        return []
    if len(counts) > 20 and len(counts) > MANY * n:
        return [_many(target, len(counts), n)]
    found = [*_tiny(counts, table, target), *_unequal(counts), *_absent(table, target)]
    if len(counts) == 1:
        only = next(iter(counts))
        found.append(
            AuditFinding(
                "balance", "one_class", "high", f"all labels are {only!r}",
                "there is nothing to tell apart", "add images of another class, or name the right label column",
            )
        )  # fmt: skip
    return found


def _many(target: str, k: int, n: int) -> AuditFinding:
    return AuditFinding(
        "balance", "many_classes", "high", f"column {target!r} has {k:,} classes for {n:,} images",
        "most classes are seen once, so that nothing can be learned of them or tested on them",
        "name the right label column (--label-columns), or gather several images of each class",
        facts={"n_classes": k, "n": n},
    )  # fmt: skip


def _tiny(counts: Counter[str], table: ImageTable, target: str) -> list[AuditFinding]:
    tiny = sorted((n, label) for label, n in counts.items() if n < TINY)
    if not tiny or len(counts) < 2:
        return []
    labels = table.labels[target]
    names = {label for _, label in tiny}
    rows = [row for row, label in enumerate(labels) if label in names]
    said = ", ".join(f"{label!r} ({n})" for n, label in tiny[:5])
    more = f" and {len(tiny) - 5} more" if len(tiny) > 5 else ""
    return [
        AuditFinding(
            "balance", "tiny_classes", "high" if tiny[0][0] < HARDLY else "medium",
            f"{counted(len(tiny), 'class has', 'classes have')} fewer than {TINY} images: {said}{more}",
            "they are hardly learned, and their test images are too few to say how well",
            "gather more of them; a mended table leaves them out",
            rows=tuple(rows), remarks={row: str(labels[row]) for row in rows}, leave_out=tuple(rows),
            details=tuple((label, str(n)) for n, label in tiny), facts={"n_classes": len(tiny), "least": tiny[0][0]},
        )
    ]  # fmt: skip


def _unequal(counts: Counter[str]) -> list[AuditFinding]:
    kept = {label: n for label, n in counts.items() if n >= TINY}
    if len(kept) < 2:
        return []
    (most, n_most), (least, n_least) = max(kept.items(), key=_by_n), min(kept.items(), key=_by_n)
    ratio = n_most / n_least
    if ratio < UNEQUAL:
        return []
    return [
        AuditFinding(
            "balance", "imbalance", "medium" if ratio >= VERY_UNEQUAL else "low",
            f"{most!r} has {ratio:.0f} times the images of {least!r} ({n_most:,} and {n_least:,})",
            "accuracy is mostly that of the large classes; small ones are taken for them",
            "read balanced accuracy and macro F1; gather more of the small classes; no table can mend it",
            details=tuple((label, f"{n:,}") for label, n in counts.most_common()), facts={"ratio": ratio},
        )
    ]  # fmt: skip


def _by_n(pair: tuple[str, int]) -> int:
    return pair[1]


def _absent(table: ImageTable, target: str) -> list[AuditFinding]:
    """Classes that other splits have and train lacks."""
    if table.splits is None or not table.has_split("train"):
        return []
    labels = table.labels[target]
    learned = {label for label, split in zip(labels, table.splits, strict=True) if split == "train"}
    rows = [row for row, label in enumerate(labels) if label is not None and label not in learned]
    if not rows:
        return []
    names = sorted({str(labels[row]) for row in rows})
    said = ", ".join(map(repr, names[:5])) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    return [
        AuditFinding(
            "balance", "absent_classes", "high",
            f"{counted(len(names), 'class')} of the other splits {'is' if len(names) == 1 else 'are'} absent from train: "
            f"{said} ({counted(len(rows), 'image')})".replace("classs", "classes"),
            "no classifier can get these images right", "split anew; or a mended table leaves them out",
            rows=tuple(rows), remarks={row: str(labels[row]) for row in rows}, leave_out=tuple(rows), resplit=True,
            facts={"n_classes": len(names), "n": len(rows)},
        )
    ]  # fmt: skip


def spelling(label: str) -> str:
    """A label without what spellings differ in: case, spaces, hyphens, underscores, forms of Unicode."""
    plain = unicodedata.normalize("NFKC", label).casefold()
    return re.sub(r"[\s_\-\u2010-\u2015\u200b]+", "", plain) or plain


def find_spellings(table: ImageTable, target: str) -> list[AuditFinding]:
    """The finding on labels that differ in spelling alone; each is suggested to become its most frequent form."""
    counts = Counter(label for label in table.labels[target] if label is not None)
    forms: dict[str, list[str]] = {}
    for label, _ in counts.most_common():
        forms.setdefault(spelling(label), []).append(label)
    several = [names for names in forms.values() if len(names) > 1]
    if not several:
        return []
    rename = {other: names[0] for names in several for other in names[1:]}
    rows = tuple(row for row, label in enumerate(table.labels[target]) if label in rename)
    said = "; ".join(" and ".join(map(repr, names)) for names in several[:5])
    return [
        AuditFinding(
            "balance", "spellings", "high",
            f"{counted(len(several), 'class is', 'classes are')} spelt in several ways: {said}",
            "one class is learned and judged as several that cannot be told apart",
            "a mended table spells each as it is spelt most often",
            rows=rows, remarks={row: str(table.labels[target][row]) for row in rows}, rename=rename,
            details=tuple((old, f"{new} ({counts[old]} to {counts[new]})") for old, new in rename.items()),
            facts={"n_classes": len(several), "n": len(rows)},
        )
    ]  # fmt: skip


def find_alike(judged: Judged) -> list[AuditFinding]:
    """Pairs of classes that out-of-sample probabilities hardly tell apart."""
    pairs = []
    counts = np.bincount(judged.codes, minlength=len(judged.classes))
    for one, other in _close_pairs(judged, counts):
        rows = np.flatnonzero((judged.codes == one) | (judged.codes == other))
        p = judged.probabilities[rows].astype(np.float64)
        score = np.log(p[:, one] + 1e-9) - np.log(p[:, other] + 1e-9)
        found = area(score, judged.codes[rows] == one)
        high = found + 1.96 * area_error(found, int(counts[one]), int(counts[other]))
        if high < ALIKE:
            pairs.append((found, judged.classes[one], judged.classes[other]))
    if not pairs:
        return []
    pairs.sort()
    said = ", ".join(f"{a!r} and {b!r} ({found:.2f})" for found, a, b in pairs[:5])
    return [
        AuditFinding(
            "balance", "alike_classes", "medium",
            f"{counted(len(pairs), 'pair of classes', 'pairs of classes')} can hardly be told apart: {said}"
            + (f" and {len(pairs) - 5} more" if len(pairs) > 5 else "")
            + " (area under the curve; 0.5 is chance)",
            "between them a classifier guesses, or their labels are mixed",
            "ask whether they are one class, whether labels are mixed, or whether the images show the difference at all",
            details=tuple((f"{a} and {b}", f"{found:.2f}") for found, a, b in pairs),
            facts={"n_pairs": len(pairs), "least": pairs[0][0]},
        )
    ]  # fmt: skip


def _close_pairs(judged: Judged, counts: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Pairs of large enough classes whose images are taken for each other at all."""
    told = judged.probabilities.argmax(axis=1)
    k = len(judged.classes)
    taken = np.bincount(judged.codes * k + told, minlength=k * k).reshape(k, k)
    shares = (taken + taken.T) / np.maximum(counts[:, None] + counts[None], 1)
    close = (shares >= 0.15) & (counts[:, None] >= LEAST_PAIR) & (counts[None] >= LEAST_PAIR)
    return [(int(a), int(b)) for a, b in zip(*np.nonzero(np.triu(close, 1)), strict=True)]
