"""Cues: can the label be read off what is no content: file size, format, border, brightness, resolution, camera?

Each cue alone, by cross-validation (extremely randomised trees; Geurts, Ernst and Wehenkel 2006): the area under
the curve of each class against the others, with the standard error of Hanley and McNeil (1982). Groups (a patient, a
video) stay in one fold where every class has two or more, and count once each in the error: what tells one video from
another is no cue. What a class is can lie in a cue (night pictures are dark); the finding says what is so, a person says
whether it should be.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.audit.finding import AuditFinding
from headstart.audit.look import Looks
from headstart.features.duplicates import LEAST_SIDE
from headstart.images.split import k_folds
from headstart.images.table import ImageTable

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Rows = NDArray[np.int64]

HIGH, MEDIUM = 0.98, 0.95
"""Lower ends of the area under the curve from which a cue gives a class away."""
FOLDS, TREES, LEAST_LEAF, DEPTH = 5, 20, 4, 12
LEAST_A_CLASS = 10
MOST_CLASSES, MOST_IMAGES = 100, 20_000
MOST_NAMES = 20
SEEN = ("brightness", "sharpness")
"""Cues that may well be what a class looks like, as in textures: of low severity, for a person to judge."""
FAR = 50
"""Grey levels of 255 between the median brightness of a class and that of the others from which on it is of other light:
brightness that gives such a class away (`HIGH`) is of medium severity. Classes of photos, textiles and solar cells that
were left as they are lie at most 24 apart."""
NAMES = {
    "file_size": "the size of the file", "format": "the kind of file", "resolution": "the size in pixels",
    "brightness": "brightness and contrast", "sharpness": "sharpness", "border": "the lines along the border",
    "camera": "the camera named in the EXIF data",
}  # fmt: skip


def area_error(area: float, n_own: int, n_other: int) -> float:
    """Standard error of an area under the curve (Hanley and McNeil 1982)."""
    a = min(max(area, 1e-6), 1 - 1e-6)
    q1, q2 = a / (2 - a), 2 * a * a / (1 + a)
    variance = a * (1 - a) + (n_own - 1) * (q1 - a * a) + (n_other - 1) * (q2 - a * a)
    return float(np.sqrt(max(variance, 0.0) / (n_own * n_other)))


def area(scores: NDArray[Any], own: NDArray[np.bool_]) -> float:
    """Area under the curve: how often an own image scores above another, ties counting half."""
    from scipy.stats import rankdata

    n = int(own.sum())
    ranks = rankdata(scores)
    return float((ranks[own].sum() - n * (n + 1) / 2) / (n * (len(own) - n)))


def cue_columns(table: ImageTable, looks: Looks) -> dict[str, Floats]:
    """The numbers of each cue that varies in this set, (n, c)."""
    n = looks.numbers
    sides = looks.border.reshape(-1, 4, 4)
    steps = sides[:, :, 0] - sides[:, :, 1]
    found = {
        "file_size": np.log1p(n["bytes"])[:, None],
        "format": _one_hot([PurePosixPath(path).suffix.casefold() for path in table.paths]),
        "resolution": np.stack([n["height"], n["width"], n["height"] / np.maximum(n["width"], 1)], axis=1),
        "brightness": np.stack([n[name] for name in ("brightness", "contrast", "darkest", "brightest")], axis=1),
        "sharpness": n["sharpness"][:, None],
        "border": np.concatenate([steps, sides[:, :, 0] / (sides[:, :, 1] + 1), sides[:, :, 3]], axis=1),
        "camera": _one_hot(looks.cameras),
    }  # fmt: skip
    if min(np.median(n["height"]), np.median(n["width"])) < LEAST_SIDE:  # all of it is border
        del found["border"], found["sharpness"], found["brightness"]
    return {name: column for name, column in found.items() if column.size and np.ptp(column, axis=0).any()}


def _one_hot(names: Any) -> Floats:
    seen, codes, counts = np.unique(np.array(names, dtype=str), return_inverse=True, return_counts=True)
    if len(seen) < 2:
        return np.zeros((len(codes), 0), np.float32)
    kept = np.argsort(-counts, kind="stable")[:MOST_NAMES]
    made: Floats = (codes[:, None] == kept[None]).astype(np.float32)
    return made


def find_cues(
    table: ImageTable, looks: Looks, target: str, *, seed: int = 0
) -> tuple[list[AuditFinding], dict[str, Any]]:
    """Findings on cues, and the largest area under the curve of each, or under `skipped` why there is none.

    Parameters
    ----------
    table : ImageTable
    looks : Looks
    target : str
        Label column.
    seed : int
        Of the folds and trees.
    """
    rows, codes, classes = _labelled(table, looks, target, seed)
    if len(classes) < 2 or len(classes) > MOST_CLASSES:
        return [], {"skipped": f"it takes 2 to {MOST_CLASSES} classes of ten images or more"}
    found: list[AuditFinding] = []
    facts: dict[str, Any] = {}
    columns = cue_columns(table, looks)
    if not columns:
        return [], {"skipped": "the images differ in nothing but their pixels, which are too few to measure"}
    units = _units(table, rows, codes)
    counts = [
        (len(np.unique(units[codes == code])), len(np.unique(units[codes != code])))
        for code in range(len(classes))
    ]
    parted = units if len(np.unique(units)) < len(rows) else None
    for name, column in columns.items():
        told = _told(column[rows], codes, parted, seed)
        areas = [area(told[:, code], codes == code) for code in range(len(classes))]
        facts[name] = max(areas)
        given = [
            (code, each, each - 1.96 * area_error(each, *counts[code])) for code, each in enumerate(areas)
        ]
        given = [one for one in given if one[2] >= MEDIUM]
        if given:
            lit = _other_light(looks, rows, codes, given) if name == "brightness" else {}
            found.append(_finding(name, given, classes, rows, codes, told, lit))
    return found, facts


def _labelled(table: ImageTable, looks: Looks, target: str, seed: int) -> tuple[Rows, Rows, list[str]]:
    labels = table.labels[target]
    rows = np.array([row for row in range(len(table)) if looks.ok[row] and labels[row] is not None], np.int64)
    if len(rows) > MOST_IMAGES:
        rows = np.sort(np.random.default_rng([seed, 31]).choice(rows, MOST_IMAGES, replace=False))
    names = np.array([str(labels[row]) for row in rows.tolist()], dtype=object)
    counts: dict[str, int] = {}
    for name in names:
        counts[name] = counts.get(name, 0) + 1
    classes = sorted(name for name, n in counts.items() if n >= LEAST_A_CLASS)
    kept = np.isin(names.astype(str), classes)
    codes = np.searchsorted(np.array(classes, dtype=str), names[kept].astype(str)) if classes else rows[:0]
    return rows[kept], codes, classes


def _units(table: ImageTable, rows: Rows, codes: Rows) -> Rows:
    """What no fold parts: the groups of the table where each class has two or more, else the images."""
    own = np.arange(len(rows))
    if table.groups is None:
        return own
    groups = np.unique([str(table.groups[row]) for row in rows.tolist()], return_inverse=True)[1]
    fewest = min(len(np.unique(groups[codes == code])) for code in np.unique(codes))
    return groups if fewest > 1 else own


def _told(column: Floats, codes: Rows, groups: Rows | None, seed: int) -> NDArray[Any]:
    """Probabilities (n, k) of each class by folds that have not seen the image, nor its group."""
    from sklearn.ensemble import ExtraTreesClassifier

    n_folds = min(FOLDS, len(codes) if groups is None else len(np.unique(groups)))
    found = np.zeros((len(codes), int(codes.max()) + 1))
    for train, held in k_folds(codes, n_folds, seed=seed, groups=groups):
        trees = ExtraTreesClassifier(TREES, min_samples_leaf=LEAST_LEAF, max_depth=DEPTH, random_state=seed)
        trees.fit(column[train], codes[train])
        found[np.ix_(held, trees.classes_)] = trees.predict_proba(column[held])
    return found


def _other_light(
    looks: Looks, rows: Rows, codes: Rows, given: list[tuple[int, float, float]]
) -> dict[int, float]:
    """Grey levels by which classes that brightness alone gives away are brighter than the others, where that is far."""
    levels = looks.numbers["brightness"][rows]
    apart = {
        code: float(np.median(levels[codes == code]) - np.median(levels[codes != code]))
        for code, _, low in given
        if low >= HIGH
    }
    return {code: by for code, by in apart.items() if abs(by) >= FAR}


def _severity(name: str, low: float, lit: dict[int, float]) -> str:
    if name in SEEN:
        return "medium" if lit else "low"
    return "high" if low >= HIGH else "medium"


def _finding(
    name: str, given: list[tuple[int, float, float]], classes: list[str], rows: Rows, codes: Rows, told: Any,
    lit: dict[int, float],
) -> AuditFinding:  # fmt: skip
    given = sorted(given, key=lambda one: -one[1])
    worst = given[0]
    said = ", ".join(f"{classes[code]!r} ({each:.2f})" for code, each, _ in given[:5])
    more = f" and {len(given) - 5} more" if len(given) > 5 else ""
    light = "; ".join(
        f"{classes[code]!r} is {abs(by):.0f} grey levels of 255 {'darker' if by < 0 else 'brighter'} than the others"
        for code, by in list(lit.items())[:5]
    )
    shown = []
    for code, _, _ in given[:5]:
        own = np.flatnonzero(codes == code)
        shown += [int(row) for row in rows[own[np.argsort(-told[own, code], kind="stable")]][:6]]
    return AuditFinding(
        "cues", f"cue_{name}", _severity(name, worst[2], lit),
        f"{NAMES[name]} alone {'tell' if name in ('border', 'brightness') else 'tells'} {said}{more} from the other "
        f"classes (area under the curve; 0.5 is chance){'; ' if light else ''}{light}",
        "a classifier may learn this instead of what the images show, score well here and fail elsewhere",
        "ask whether it belongs to the class or to how the images were made; if the latter, gather images of each class "
        "in the same way, or even it out before training (crop, convert, resize); no table can mend it",
        rows=tuple(shown), remarks={row: classes[codes[at]] for at, row in enumerate(rows.tolist()) if row in set(shown)},
        facts={
            "area": worst[1], "low": worst[2], "classes": [classes[code] for code, _, _ in given],
            **({"brighter": {classes[code]: by for code, by in lit.items()}} if lit else {}),
        },
    )  # fmt: skip
