"""Drift between splits: other shares of classes, and images that a classifier can tell to be of another split.

The second is a classifier two-sample test (Lopez-Paz and Oquab 2017): cross-validated logistic regression on
principal components of features, and on how bright and sharp images are (which networks are taught not to mind), from
which the mean of each class is taken, so that shares of classes play no part; copies and groups (a patient, a video)
are kept together, so that neither do they: what tells one patient from another is no drift. Errors are those of so
many groups, not images, as images of one group say the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.audit.cues import area, area_error
from headstart.audit.finding import AuditFinding
from headstart.audit.labels import out_of_sample
from headstart.images.column_kinds import stratum_names
from headstart.images.table import SPLITS, ImageTable

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

HIGH, MEDIUM, LOW = 0.80, 0.65, 0.56
"""Lower ends of the area under the curve."""
SHARES = ((0.25, "medium"), (0.10, "low"))
"""Share of images that would have to change class for the splits to agree, beyond what chance gives."""
LEAST = 20
COMPONENTS, MOST_IMAGES = 48, 6000
DRAWS = 500


def find_drift(
    table: ImageTable, space: Floats, ok: NDArray[np.bool_], groups: NDArray[np.int64],
    columns: Mapping[str, str], *, light: Floats | None = None, seed: int = 0,
) -> tuple[list[AuditFinding], dict[str, Any]]:  # fmt: skip
    """Findings on drift from train to each other split, and the figures.

    Parameters
    ----------
    table : ImageTable
        With splits.
    space : ndarray of float32, shape (n, c)
        Principal components of every image.
    ok : ndarray of bool, shape (n,)
    groups : ndarray of int64, shape (n,)
        Copies, and images of one group, share a number. Where train or another split is one group, its images are
        not told apart.
    columns : dict of str to str
        Label columns and what they hold: classes; "labels", told by the rarest; "number", told by fifths. Images
        are told apart within the class of the first that has two images a class or more.
    light : ndarray of float32, shape (n, l), optional
        How bright and sharp each image is, which a network may hardly see; told apart by it as well.
    seed : int
    """
    splits = np.array(table.splits or (), dtype=str)
    found: list[AuditFinding] = []
    facts: dict[str, Any] = {}
    strata = {target: _strata(table, target, kind) for target, kind in columns.items()}
    seen = space[:, :COMPONENTS] if light is None else _with_light(space[:, :COMPONENTS], light, ok)
    labels = next((each for each in strata.values() if 2 * len(set(each.tolist())) <= len(each)), None)
    for split in SPLITS[1:]:
        train, other = np.flatnonzero(ok & (splits == "train")), np.flatnonzero(ok & (splits == split))
        if min(len(train), len(other)) < LEAST:
            continue
        found += _images(seen, train, other, labels, groups, split, facts, seed)
        for target, own in strata.items():
            shares = _shares(own, train, other, groups, split, facts, seed, target)
            found += [replace(each, column=target) for each in shares]
    return found, facts


def _with_light(space: Floats, light: Floats, ok: NDArray[np.bool_]) -> Floats:
    """Components and light side by side, each column of light as wide as the widest component."""
    known = light[ok]
    if not len(known):
        return space
    width = np.where(known.std(axis=0) > 0, known.std(axis=0), 1.0)
    scaled = np.where(ok[:, None], light - known.mean(axis=0), 0.0) / width * space[ok].std(axis=0).max()
    return np.hstack([space, scaled.astype(np.float32)])


def _strata(table: ImageTable, target: str, kind: str) -> NDArray[Any]:
    names = stratum_names(table.labels[target], kind)
    return np.array(["" if name is None else name for name in names], dtype=object)


def _images(
    space: Floats, train: Any, other: Any, labels: Any, groups: Any, split: str, facts: dict[str, Any], seed: int
) -> list[AuditFinding]:  # fmt: skip
    draw = np.random.default_rng([seed, 37])
    if len(train) > MOST_IMAGES:
        train = np.sort(draw.choice(train, MOST_IMAGES, replace=False))
    rows = np.concatenate([train, other])
    codes = np.repeat([0, 1], [len(train), len(other)])
    points = space[rows].copy()
    if labels is not None:
        known = labels[rows]
        points, codes, rows = _centred(points, codes, rows, known)
    units = groups[rows]
    n_train, n_other = (len(np.unique(units[codes == code])) for code in (0, 1))
    if min(np.bincount(codes, minlength=2)) < LEAST or min(n_train, n_other) < 2:
        return []
    told = out_of_sample(points, codes, 2, groups=units, seed=seed)[0][:, 1]
    found = area(told, codes == 1)
    low = found - 1.96 * area_error(found, n_other, n_train)
    facts[f"{split}_area"] = found
    if low < LOW:
        return []
    within = "" if labels is None else ", the class apart"
    own = np.flatnonzero(codes == 1)
    first = own[np.argsort(-told[own], kind="stable")][:24]
    return [
        AuditFinding(
            "drift", "drift", "high" if low >= HIGH else "medium" if low >= MEDIUM else "low",
            f"images of {split} can be told from those of train{within} (area under the curve {found:.2f}; "
            "0.5 is chance)",
            f"the score on {split} is of another kind of images than was learned from: it says little of new images "
            "like those of train",
            "if it is not meant (another place, time or camera), split anew",
            rows=tuple(int(row) for row in rows[first]), resplit=True,
            facts={"split": split, "area": found, "low": low},
        )
    ]  # fmt: skip


def _centred(points: Floats, codes: Any, rows: Any, labels: Any) -> tuple[Floats, Any, Any]:
    """Points less the mean of their class, which both splits weigh equally; classes of one split are left out."""
    kept = np.zeros(len(points), bool)
    for label in set(labels.tolist()):
        own = labels == label
        sides = [own & (codes == code) for code in (0, 1)]
        if min(int(side.sum()) for side in sides) < 2:
            continue
        kept |= own
        points[own] -= (
            points[sides[0]].mean(axis=0) * sides[0].sum() + points[sides[1]].sum(axis=0)
        ) / own.sum()
    return points[kept], codes[kept], rows[kept]


def _shares(
    labels: Any, train: Any, other: Any, groups: Any, split: str, facts: dict[str, Any], seed: int, target: str
) -> list[AuditFinding]:  # fmt: skip
    classes, codes = np.unique(
        np.concatenate([labels[train], labels[other]]).astype(str), return_inverse=True
    )
    n, k = len(train), len(classes)
    a = np.bincount(codes[:n], minlength=k) / n
    counts = np.bincount(codes[n:], minlength=k)
    b = counts / len(other)
    apart = float(np.abs(a - b).sum() / 2)
    both = np.bincount(codes, minlength=k) / len(codes)
    draw = np.random.default_rng([seed, 41])
    n_train, n_other = len(np.unique(groups[train])), len(np.unique(groups[other]))
    drawn_a, drawn_b = (
        draw.multinomial(n_train, both, DRAWS) / n_train,
        draw.multinomial(n_other, both, DRAWS) / n_other,
    )
    chance = float(np.quantile(np.abs(drawn_a - drawn_b).sum(axis=1) / 2, 0.999))
    facts.setdefault(f"{split}_shares", {})[target] = apart
    if 2 * k > len(codes):  # hardly two images a class: every split parts such a column
        return []
    severity = next((name for limit, name in SHARES if apart - chance >= limit), "")
    if not severity:
        return []
    most = np.argsort(-np.abs(a - b), kind="stable")[:5]
    said = ", ".join(f"{str(classes[at])!r} {a[at]:.0%} and {b[at]:.0%}" for at in most[:3])
    return [
        AuditFinding(
            "drift", "class_shares", severity,
            f"classes have other shares in {split} than in train: {apart:.0%} of its images would have to change class "
            f"({said})",
            f"accuracy on {split} weighs classes otherwise than train does; probabilities are off",
            "read balanced accuracy beside accuracy, or split anew, which keeps the shares", resplit=True,
            details=tuple((str(classes[at]), f"train {a[at]:.1%}, {split} {b[at]:.1%}") for at in most),
            facts={"split": split, "apart": apart, "chance": chance},
        )
    ]  # fmt: skip
