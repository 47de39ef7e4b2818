"""Classes: tiny, unequal or absent ones, labels that differ in spelling alone, classes that cannot be told apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from headstart.audit.cues import area, area_error
from headstart.audit.finding import AuditFinding, counted
from headstart.audit.labels import Judged, remark
from headstart.images.column_kinds import split_labels, to_number
from headstart.images.spelling import alike, renames, spelling
from headstart.images.table import ImageTable, told_spaced

if TYPE_CHECKING:
    from numpy.typing import NDArray

TINY, HARDLY = 10, 3
UNEQUAL, VERY_UNEQUAL = 10.0, 50.0
MANY = 0.5
"""Classes for each image from which a column is hardly one of classes."""
MISTAKEN, MOST_PAIRS = 6, 4
"""Images that are shown of each pair of classes that cannot be told apart, and pairs that are shown."""
ALIKE, LEAST_PAIR = 0.70, 20
"""Upper end of the area under the curve below which two classes cannot be told apart."""


def find_imbalance(table: ImageTable, target: str, kind: str = "classes") -> list[AuditFinding]:
    """Findings on the number of images a class, in all and by split.

    Parameters
    ----------
    table : ImageTable
    target : str
        Label column.
    kind : {"classes", "labels"}
        What it holds; of cells with several labels each label is looked at for itself, and no image is left out.
    """
    sets = _sets(table, target, kind)
    counts = Counter(label for each in sets for label in each)
    n = sum(counts.values())
    if not counts:
        return []
    if kind == "classes" and len(counts) > 20 and len(counts) > MANY * n:
        return [_many(target, counts, n)]
    found = [*_tiny(counts, sets, kind), *_unequal(counts, kind), *_absent(table, sets, kind)]
    if len(counts) == 1 and kind == "classes":
        only = next(iter(counts))
        found.append(
            AuditFinding(
                "balance", "one_class", "high", f"all labels are {only!r}",
                "there is nothing to tell apart", "add images of another class, or name the right label column",
            )
        )  # fmt: skip
    return found


def _sets(table: ImageTable, target: str, kind: str) -> list[tuple[str, ...]]:
    """Labels of each image: none where the cell is missing, one of a class, any number where cells hold several."""
    column = table.labels[target]
    if kind == "labels":
        return [() if cell is None else split_labels(cell) for cell in column]
    return [() if cell is None else (cell,) for cell in column]


def _many(target: str, counts: Counter[str], n: int) -> AuditFinding:
    k = len(counts)
    measured = all(to_number(label) is not None for label in counts)
    return AuditFinding(
        "balance", "many_classes", "high", f"column {target!r} has {k:,} classes for {n:,} images",
        "most classes are seen once, so that nothing can be learned of them or tested on them",
        "name the right label column (--label-columns), or gather several images of each class"
        + (f"; if these are measurements, say so (--kind {target}=number)" if measured else ""),
        facts={"n_classes": k, "n": n},
    )  # fmt: skip


def _tiny(counts: Counter[str], sets: Sequence[tuple[str, ...]], kind: str) -> list[AuditFinding]:
    tiny = sorted((n, label) for label, n in counts.items() if n < TINY)
    if not tiny or len(counts) < 2:
        return []
    names = {label for _, label in tiny}
    rows = tuple(row for row, labels in enumerate(sets) if names & set(labels))
    forms: Counter[str] = Counter()
    for label, n in counts.items():
        forms[spelling(label)] += n
    # one that another spelling makes large enough is mended by spelling it so
    own = tuple(row for row in rows if any(forms[spelling(each)] < TINY for each in names & set(sets[row])))
    said = ", ".join(f"{label!r} ({n})" for n, label in tiny[:5])
    more = f" and {len(tiny) - 5} more" if len(tiny) > 5 else ""
    whole = kind == "classes"
    what = ("class has", "classes have") if whole else ("label has", "labels have")
    return [
        AuditFinding(
            "balance", "tiny_classes", "high" if tiny[0][0] < HARDLY else "medium",
            f"{counted(len(tiny), *what)} fewer than {TINY} images: {said}{more}",
            "they are hardly learned, and their test images are too few to say how well",
            "gather more of them" + ("; a mended table leaves them out" if whole else ""),
            rows=rows, remarks={row: "; ".join(sets[row]) for row in rows}, leave_out=own if whole else (),
            details=tuple((label, str(n)) for n, label in tiny), facts={"n_classes": len(tiny), "least": tiny[0][0]},
        )
    ]  # fmt: skip


def _unequal(counts: Counter[str], kind: str) -> list[AuditFinding]:
    kept = {label: n for label, n in counts.items() if n >= TINY}
    if len(kept) < 2:
        return []
    (most, n_most), (least, n_least) = max(kept.items(), key=_by_n), min(kept.items(), key=_by_n)
    ratio = n_most / n_least
    if ratio < UNEQUAL:
        return []
    advice = "read balanced accuracy and macro F1; gather more of the small classes"
    whole = kind == "classes"
    if whole:
        advice += "; a data set with at most the median number of images a class can be built, at the price of the others"
    return [
        AuditFinding(
            "balance", "imbalance", "medium" if ratio >= VERY_UNEQUAL else "low",
            f"{most!r} has {ratio:.0f} times the images of {least!r} ({n_most:,} and {n_least:,})",
            "accuracy is mostly that of the large classes; small ones are taken for them", advice,
            details=tuple((label, f"{n:,}") for label, n in counts.most_common()), facts={"ratio": ratio},
            build=("--balance", "median") if whole else (),
        )
    ]  # fmt: skip


def _by_n(pair: tuple[str, int]) -> int:
    return pair[1]


def _absent(table: ImageTable, sets: Sequence[tuple[str, ...]], kind: str) -> list[AuditFinding]:
    """Classes that other splits have and train lacks."""
    if table.splits is None or not table.has_split("train"):
        return []
    learned = {
        label for labels, at in zip(sets, table.splits, strict=True) if at == "train" for label in labels
    }
    rows = tuple(row for row, labels in enumerate(sets) if set(labels) - learned)
    if not rows:
        return []
    names = sorted({label for row in rows for label in sets[row]} - learned)
    said = ", ".join(map(repr, names[:5])) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    whole = kind == "classes"
    what = ("class", "classes") if whole else ("label", "labels")
    return [
        AuditFinding(
            "balance", "absent_classes", "high",
            f"{counted(len(names), *what)} of the other splits {'is' if len(names) == 1 else 'are'} absent from train: "
            f"{said} ({counted(len(rows), 'image')})",
            "no classifier can get these images right",
            "split anew" + ("; or a mended table leaves them out" if whole else ""),
            rows=rows, remarks={row: "; ".join(sets[row]) for row in rows}, leave_out=rows if whole else (),
            resplit=True, facts={"n_classes": len(names), "n": len(rows)},
        )
    ]  # fmt: skip


def find_spellings(table: ImageTable, target: str, kind: str = "classes") -> list[AuditFinding]:
    """The finding on labels that differ in spelling alone; each is suggested to become its most frequent form."""
    sets = _sets(table, target, kind)
    counts = Counter(label for each in sets for label in each)
    several = alike(counts)
    if not several:
        return []
    rename = renames(several, counts)
    rows = tuple(row for row, labels in enumerate(sets) if not rename.keys().isdisjoint(labels))
    said = "; ".join(" and ".join(map(repr, names)) for names in several[:5])
    what = ("class is", "classes are") if kind == "classes" else ("label is", "labels are")
    return [
        AuditFinding(
            "balance", "spellings", "high",
            f"{counted(len(several), *what)} spelt in several ways: {said}",
            "one class is learned and judged as several that cannot be told apart",
            "a mended table spells each as it is spelt most often",
            rows=rows, remarks={row: "; ".join(sets[row]) for row in rows}, rename=rename,
            details=tuple((old, f"{new} ({counts[old]} to {counts[new]})") for old, new in rename.items()),
            facts={"n_classes": len(several), "n": len(rows)},
        )
    ]  # fmt: skip


def find_spaces(table: ImageTable, target: str) -> list[AuditFinding]:
    """The finding on labels that the source writes with spaces about them, which are left out as it is read."""
    labels = table.spaced.get(target, {})
    if not labels:
        return []
    n = sum(labels.values())
    return [
        AuditFinding(
            "balance", "spaces", "low",
            f"{counted(n, 'label has', 'labels have')} spaces about {'it' if n == 1 else 'them'}: {told_spaced(labels)}",
            "nothing here, where labels are read without them; another program takes them for classes of their own",
            "a mended table has them without", rename={label: label.strip() for label in labels},
            details=tuple((label, f"{label.strip()} ({times})") for label, times in labels.items()),
            facts={"n_classes": len(labels), "n": n},
        )
    ]  # fmt: skip


def find_alike(judged: Judged) -> list[AuditFinding]:
    """Pairs of classes that out-of-sample probabilities hardly tell apart, with the images that are mistaken most."""
    pairs = []
    counts = np.bincount(judged.codes, minlength=len(judged.classes))
    for one, other in _close_pairs(judged, counts):
        rows = np.flatnonzero((judged.codes == one) | (judged.codes == other))
        p = judged.probabilities[rows].astype(np.float64)
        score = np.log(p[:, one] + 1e-9) - np.log(p[:, other] + 1e-9)
        own = judged.codes[rows] == one
        found = area(score, own)
        high = found + 1.96 * area_error(found, int(counts[one]), int(counts[other]))
        if high < ALIKE:
            mistaken = np.argsort(np.where(own, score, -score), kind="stable")[:MISTAKEN]
            pairs.append((found, one, other, rows[mistaken].tolist()))
    if not pairs:
        return []
    pairs.sort()
    names = [(judged.classes[a], judged.classes[b]) for _, a, b, _ in pairs]
    said = ", ".join(f"{a!r} and {b!r} ({p[0]:.2f})" for (a, b), p in zip(names[:5], pairs, strict=False))
    shown = list(dict.fromkeys(at for pair in pairs[:MOST_PAIRS] for at in pair[3]))
    first = _merged(names[0], judged, counts)
    return [
        AuditFinding(
            "balance", "alike_classes", "medium",
            f"{counted(len(pairs), 'pair of classes', 'pairs of classes')} can hardly be told apart: {said}"
            + (f" and {len(pairs) - 5} more" if len(pairs) > 5 else "")
            + " (area under the curve; 0.5 is chance)",
            "between them a classifier guesses, or their labels are mixed",
            "ask whether they are one class, whether labels are mixed, or whether the images show the difference at all"
            + ("; a data set in which the closest pair is one class can be built" if first else ""),
            rows=tuple(int(judged.rows[at]) for at in shown),
            remarks={int(judged.rows[at]): remark(judged, at) for at in shown},
            details=tuple((f"{a} and {b}", f"{p[0]:.2f}") for (a, b), p in zip(names, pairs, strict=True)),
            facts={"n_pairs": len(pairs), "least": pairs[0][0]}, build=("--rename", first) if first else (),
        )
    ]  # fmt: skip


def _merged(pair: tuple[str, str], judged: Judged, counts: NDArray[np.int64]) -> str:
    """`OLD=NEW` that makes the smaller class of a pair the larger; "" where a name has a sign of its own meaning."""
    few, many = sorted(pair, key=lambda name: int(counts[judged.classes.index(name)]))
    return "" if set("=,") & set(few + many) else f"{few}={many}"


def _close_pairs(judged: Judged, counts: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Pairs of large enough classes whose images are taken for each other at all."""
    told = judged.probabilities.argmax(axis=1)
    k = len(judged.classes)
    taken = np.bincount(judged.codes * k + told, minlength=k * k).reshape(k, k)
    shares = (taken + taken.T) / np.maximum(counts[:, None] + counts[None], 1)
    close = (shares >= 0.15) & (counts[:, None] >= LEAST_PAIR) & (counts[None] >= LEAST_PAIR)
    return [(int(a), int(b)) for a, b in zip(*np.nonzero(np.triu(close, 1)), strict=True)]
