"""Wrong labels: confident learning (Northcutt, Jiang and Chuang 2021, JAIR 70) on out-of-sample probabilities.

Probabilities come from logistic regression on principal components of cached features, each image judged by a
fold that has seen neither it nor a copy of it nor another image of its group (a patient, a video). An image is named
where cleanlab's two prunings agree and the labels of its nearest images of other groups say so too. Hard images are
named as well as wrong labels; how many are wrong is told by the surest fifth of the images, where hard ones hardly are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from threadpoolctl import threadpool_limits

from headstart.audit.finding import AuditFinding, RankedLabel, counted
from headstart.base.events import Progress, emit
from headstart.base.optional import require
from headstart.features.neighbours.exact import nearest, unit
from headstart.images.split import k_folds
from headstart.images.table import ImageTable
from headstart.measure.intervals import wilson
from headstart.methods.heads import make_head

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Rows = NDArray[np.int64]

COMPONENTS = 256
FOLDS = 5
LEAST_A_CLASS = 4
MOST_CLASSES = 1000
NEIGHBOURS, AT_ONCE = 10, 256
AGREEING = 0.2
"""Largest share of an image's nearest images that may bear its label where it is named."""
SUREST = 0.2
"""Share of the images, the surest, whose labels tell how many are wrong: measured on four sets, 0 to 1.1 % where
labels were left alone, 0.6 to 1.7 % with 1 % of them wrong, 4.1 to 6.9 % with 5 %."""
MUCH, SOME, LEAST = 0.025, 0.005, 0.001
LEAST_NAMED = 2


@dataclass(frozen=True, eq=False)
class Judged:
    """Out-of-sample probabilities of labelled images.

    Attributes
    ----------
    rows : ndarray of int64, shape (m,)
        Rows of the table: readable, labelled, of a class with enough images, that other folds know.
    codes : ndarray of int64, shape (m,)
        Given label, as a position in `classes`.
    classes : tuple of str
    probabilities : ndarray of float32, shape (m, k)
    space : ndarray of float32, shape (m, c)
        Principal components.
    groups : ndarray of int64, shape (m,)
        Images that share a number do not vouch for each other.
    """

    rows: Rows
    codes: Rows
    classes: tuple[str, ...]
    probabilities: Floats
    space: Floats
    groups: Rows

    @property
    def accuracy(self) -> float:
        """Share of images whose most probable class is their label."""
        return float((self.probabilities.argmax(1) == self.codes).mean())


def principal(features: Floats, n_components: int = COMPONENTS) -> Floats:
    """Principal components of features of length one, centred, (n, min(d, n_components))."""
    points = unit(features)
    points -= points.mean(axis=0)
    if points.shape[1] <= n_components:
        return points
    product = points.T @ points
    with threadpool_limits(1, user_api="blas"):  # two threads wait for each other, see methods.heads_space
        axes = np.linalg.eigh(product)[1][:, ::-1][:, :n_components]
    made: Floats = points @ axes
    return made


def judge(
    features: Floats, labels: Sequence[str | None], groups: Rows, *, ok: NDArray[np.bool_], seed: int = 0
) -> Judged | str:
    """Probabilities of every labelled image by folds that have not seen it, or why there are none.

    Parameters
    ----------
    features : ndarray of float32, shape (n, d)
    labels : sequence of str or None, length n
    groups : ndarray of int64, shape (n,)
        Copies, and images of one group, share a number and are never parted by a fold.
    ok : ndarray of bool, shape (n,)
        Images that could be read.
    seed : int
        Of the folds.
    """
    counts: dict[str, int] = {}
    own: dict[str, set[int]] = {}
    for label, fine, group in zip(labels, ok, groups.tolist(), strict=True):
        if label is not None and fine:
            counts[label] = counts.get(label, 0) + 1
            own.setdefault(label, set()).add(group)
    enough = [label for label, n in counts.items() if n >= LEAST_A_CLASS]
    classes = tuple(sorted(label for label in enough if len(own[label]) > 1))
    if len(classes) < 2:
        parted = " in two groups or more" if len(enough) > len(classes) else ""
        return f"it takes two classes of {LEAST_A_CLASS} readable images or more{parted}; there are {len(classes)}"
    if len(classes) > MOST_CLASSES:
        return f"it takes at most {MOST_CLASSES:,} classes; there are {len(classes):,}"
    at = {label: code for code, label in enumerate(classes)}
    rows = np.array([row for row, label in enumerate(labels) if ok[row] and label in at], np.int64)
    codes = np.array([at[str(labels[row])] for row in rows.tolist()], np.int64)
    space, units = principal(features[rows]), groups[rows]
    found, known = out_of_sample(space, codes, len(classes), groups=units, seed=seed)
    if len(np.unique(codes[known])) < 2:
        return "there are too few groups: where one is held out, no other image of its class is left to learn from"
    return Judged(rows[known], codes[known], classes, found[known], space[known], units[known])


def out_of_sample(
    space: Floats, codes: Rows, n_classes: int, *, groups: Rows | None = None, seed: int = 0
) -> tuple[Floats, NDArray[np.bool_]]:
    """Class probabilities (m, k) of each image by logistic regression on the other folds; whether those know its class.

    The regularisation is chosen once, on the first fold.
    """
    parted = groups if groups is not None and len(np.unique(groups)) < len(groups) else None
    n_units = len(codes) if parted is None else len(np.unique(parted))
    folds = k_folds(codes, min(FOLDS, n_units), seed=seed, groups=parted)
    found = np.zeros((len(codes), n_classes), np.float32)
    knows = np.zeros(len(codes), bool)
    strength: float | None = None
    for done, (train, held) in enumerate(folds, 1):
        present = np.unique(codes[train])
        known = held[np.isin(codes[held], present)]
        knows[known] = True
        if len(present) < 2:
            found[held, present] = 1.0
            continue
        if strength is None:
            head = make_head("logistic", unit_length=False)
            validation = (space[known], codes[known]) if len(known) else None
            head.fit(space[train], codes[train], validation=validation)
            strength = float(head.chosen_["C"])
        else:
            head = make_head("logistic", C=strength, unit_length=False).fit(space[train], codes[train])
        found[np.ix_(held, present)] = head.predict_proba(space[held])
        emit(Progress("judge labels", done, len(folds)))
    return found, knows


def label_quality(probabilities: Floats, codes: Rows) -> Floats:
    """Self-confidence: the probability of the given label; the lowest are the most suspect."""
    made: Floats = probabilities[np.arange(len(codes)), codes]
    return made


def suspects(judged: Judged) -> Rows:
    """Positions (in `judged.rows`) of images whose label is probably wrong, the most suspect first.

    Raises
    ------
    MissingPackage
        cleanlab is not installed.
    """
    pruning = require("cleanlab.filter", extra="audit", purpose="looking for wrong labels")
    named = pruning.find_label_issues(
        judged.codes, judged.probabilities.astype(np.float64), filter_by="both", n_jobs=1
    )
    at = np.flatnonzero(named)
    kept = at[_agreeing(judged, at) <= AGREEING]
    order: Rows = kept[np.argsort(label_quality(judged.probabilities, judged.codes)[kept], kind="stable")]
    return order


def _agreeing(judged: Judged, at: Rows) -> NDArray[np.float64]:
    """Share of the nearest images of other groups that bear the label of each image."""
    space, own = unit(judged.space), np.unique(judged.groups, return_inverse=True)[1]
    sizes = np.bincount(own)[own]
    shares = np.zeros(len(at))
    for start in range(0, len(at), AT_ONCE):
        part = at[start : start + AT_ONCE]
        k = min(NEIGHBOURS + int(sizes[part].max()), len(own))
        near = nearest(space[part], space, k, "cosine")[0]
        other = own[near] != own[part][:, None]
        other &= np.cumsum(other, axis=1) <= NEIGHBOURS
        same = (judged.codes[near] == judged.codes[part][:, None]) & other
        shares[start : start + len(part)] = same.sum(axis=1) / np.maximum(other.sum(axis=1), 1)
    return shares


def wrong_share(judged: Judged) -> tuple[float, float, float]:
    """Share of wrong labels with its 95 % interval, from the surest images alone."""
    p = judged.probabilities
    n = max(1, int(SUREST * len(p)))
    surest = np.argsort(-p.max(axis=1), kind="stable")[:n]
    wrong = int((p[surest].argmax(axis=1) != judged.codes[surest]).sum())
    return (wrong / n, *wilson(wrong, n))


def ranked(judged: Judged, named: Rows) -> tuple[RankedLabel, ...]:
    """Every label that was judged, the most suspect first.

    Parameters
    ----------
    judged : Judged
    named : ndarray of int64
        What `suspects` gives.
    """
    order = np.argsort(label_quality(judged.probabilities, judged.codes), kind="stable")
    looks_wrong = set(named.tolist())
    return tuple(_ranked(judged, at, named=at in looks_wrong) for at in order.tolist())


def _ranked(judged: Judged, at: int, *, named: bool = False) -> RankedLabel:
    told, code = int(judged.probabilities[at].argmax()), int(judged.codes[at])
    return RankedLabel(
        int(judged.rows[at]), judged.classes[code], float(judged.probabilities[at, code]), judged.classes[told],
        float(judged.probabilities[at, told]), named,
    )  # fmt: skip


def remark(judged: Judged, at: int) -> str:
    """The label of an image and what it rather is."""
    return _ranked(judged, at).remark


def find_label_errors(table: ImageTable, judged: Judged, named: Rows) -> list[AuditFinding]:
    """The finding on wrong labels, if there is one.

    Parameters
    ----------
    table : ImageTable
    judged : Judged
    named : ndarray of int64
        What `suspects` gives.
    """
    share, low, high = wrong_share(judged)
    if len(named) < LEAST_NAMED or low <= LEAST:
        return []
    rows = [int(row) for row in judged.rows[named]]
    told = judged.probabilities[named].argmax(axis=1)
    learned = tuple(row for row in rows if table.splits is not None and table.splits[row] == "train")
    advice = "look at each, the most suspect first; a mended table suggests a label beside each of them"
    return [
        AuditFinding(
            "labels", "label_errors", "high" if low >= MUCH else "medium" if low >= SOME else "low",
            f"about {share:.1%} of the labels are wrong (95 %: {low:.1%} .. {high:.1%}); {counted(len(named), 'label')} "
            "look wrong, hard images among them",
            "wrong labels in train teach wrong things; in test they hide as many points of accuracy",
            advice + (", and leaves those of train out" if learned else ""),
            rows=tuple(rows), leave_out=learned,
            remarks={row: remark(judged, at) for row, at in zip(rows, named.tolist(), strict=True)},
            suggest={row: judged.classes[code] for row, code in zip(rows, told.tolist(), strict=True)},
            facts={"n": len(named), "share": share, "low": low, "high": high, "accuracy": judged.accuracy},
        )
    ]  # fmt: skip
