"""Images that show little: dark, bright, blurred or empty ones, odd sizes and shapes.

Limits are absolute; where much of a set lies beyond one (X-rays are dark), that is how the set is, and no finding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from headstart.audit.finding import AuditFinding, counted
from headstart.audit.look import Looks
from headstart.images.table import ImageTable

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Which = NDArray[np.bool_]

COMMON = 0.25
"""Share of the images beyond a limit from which it is the nature of the set."""
RARE = 0.05
"""The same for odd sizes and shapes."""
DARK, BRIGHT, FLAT, ENTROPY, BLURRED, SHARP_SET = 28.0, 225.0, 5.0, 1.2, 0.29, 0.34
"""Brightest 5 % of a dark image, darkest 5 % of a bright one, contrast and entropy of an empty one (grey levels of
255; bits); sharpness of a blurred one, and the median of a set that is sharp enough to say so."""
TIMES_SMALLER, TIMES_LONGER = 4.0, 2.5
SOME = 0.01
SAID = {
    "blank": ("empty, of nearly one colour", "a classifier can only guess, or learns that nothing means a class"),
    "dark": ("nearly black", "what is on them cannot be told; a class that is often dark is learned as darkness"),
    "bright": ("nearly white", "what is on them cannot be told"),
    "blurred": ("blurred", "fine detail that classes differ in is lost"),
    "small": ("much smaller than the others", "enlarged, they look unlike the others whatever they show"),
    "odd_shape": ("much longer or wider than the others", "cropped or squashed, they lose what they show"),
}  # fmt: skip
ADVICE = {
    "small": "find the originals; a mended table leaves those of train out",
    "odd_shape": "cut them to what they show; a mended table leaves those of train out",
}
USUAL = "look at them and take them again where possible; a mended table leaves those of train out"


def find_poor_images(table: ImageTable, looks: Looks) -> list[AuditFinding]:
    """Findings on images of poor quality; an image is named in one of them only.

    Parameters
    ----------
    table : ImageTable
    looks : Looks
        Of its rows.
    """
    taken = np.zeros(len(table), bool)
    found = []
    for kind, (which, order) in _kinds(looks).items():
        which = which & looks.ok & ~taken
        limit = RARE if kind in ("small", "odd_shape") else COMMON
        n = int(which.sum())
        if not n or n > limit * len(table):
            continue
        taken |= which
        found.append(_finding(table, kind, which, order))
    return found


def _kinds(looks: Looks) -> dict[str, tuple[Which, NDArray[np.float32]]]:
    """Which images, and by what the worst come first."""
    n = looks.numbers
    blank = (n["contrast"] < FLAT) | (n["entropy"] < ENTROPY)
    sharp_set = float(np.median(n["sharpness"][looks.ok])) >= SHARP_SET if looks.ok.any() else False
    side = np.minimum(n["height"], n["width"])
    shape = np.log(np.maximum(n["height"], 1) / np.maximum(n["width"], 1))
    usual_side, usual_shape = _median(side, looks.ok), _median(shape, looks.ok)
    odd = np.abs(shape - usual_shape)
    return {
        "dark": (n["brightest"] < DARK, n["brightest"]),
        "bright": (n["darkest"] > BRIGHT, -n["darkest"]),
        "blank": (blank, n["contrast"]),
        "blurred": ((n["sharpness"] < BLURRED) & sharp_set, n["sharpness"]),
        "small": (side * TIMES_SMALLER < usual_side, side),
        "odd_shape": (odd > np.log(TIMES_LONGER), -odd),
    }


def _median(values: NDArray[np.float32], ok: Which) -> float:
    return float(np.median(values[ok])) if ok.any() else 0.0


def _finding(table: ImageTable, kind: str, which: Which, order: NDArray[np.float32]) -> AuditFinding:
    rows = np.flatnonzero(which)
    rows = rows[np.argsort(order[rows], kind="stable")]
    share = len(rows) / len(table)
    seen, effect = SAID[kind]
    splits = table.splits or ("train",) * len(table)
    learned = tuple(int(row) for row in rows if splits[int(row)] == "train")
    advice = ADVICE.get(kind, USUAL)
    if table.splits is None:  # nothing is known of what will be tested on
        advice = advice.replace("leaves those of train out", "leaves them out, of a later test too")
    elif not learned:
        advice = advice.split("; a mended")[0]
    return AuditFinding(
        "quality", kind, "medium" if share >= SOME else "low",
        f"{counted(len(rows), 'image is', 'images are')} {seen} ({share:.2%})", effect, advice,
        rows=tuple(int(row) for row in rows), leave_out=learned, facts={"n": len(rows), "share": share},
    )  # fmt: skip
