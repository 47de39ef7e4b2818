"""Enough images? The learning curve of a linear head on features: what twice as many would bring."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.audit.finding import AuditFinding
from headstart.audit.labels import Judged
from headstart.measure.cannot_tell import CannotTell
from headstart.measure.curves import learning_curve
from headstart.methods.heads import make_head

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHARES = (0.125, 0.25, 0.5, 1.0)
SEEDS = 3
HELD = 0.25
COMPONENTS = 128
MOST_IMAGES = 6000
STRENGTH = 0.01
GAIN, LARGE_GAIN = 0.01, 0.04
"""Accuracy that twice the images must bring (lower end of the interval) to be worth saying."""
LEAST_IMAGES, LEAST_GROUPS = 120, 12


def find_too_few(judged: Judged, *, seed: int = 0) -> tuple[list[AuditFinding], dict[str, Any]]:
    """The finding that more images would help, if there is one, and the figures of the curve.

    Parameters
    ----------
    judged : Judged
        Its groups are never parted: as many images more are images of groups that are new.
    seed : int
    """
    k = len(judged.classes)
    if len(judged.rows) < LEAST_IMAGES:
        return [], {"skipped": f"fewer than {LEAST_IMAGES} images"}
    if len(np.unique(judged.groups)) < LEAST_GROUPS:
        return [], {"skipped": f"fewer than {LEAST_GROUPS} groups of images"}
    sizes, scores = _measured(judged, seed)
    curve = learning_curve("linear head", sizes / k, scores, np.random.default_rng([seed, 43]))
    if isinstance(curve, CannotTell):
        return [], {"skipped": str(curve)}
    now = float(curve.at(sizes[-1] / k))
    gains = curve.draws_at(2 * sizes[-1] / k)[:, 0] - curve.draws_at(sizes[-1] / k)[:, 0]
    gain, (low, high) = float(np.median(gains)), np.quantile(gains, [0.025, 0.975])
    facts = {
        "sizes": [int(size) for size in sizes], "accuracy": [float(np.mean(each)) for each in scores],
        "now": now, "gain": gain, "low": float(low), "high": float(high), "ceiling": curve.ceiling,
    }  # fmt: skip
    if low < GAIN:
        return [], facts
    return [
        AuditFinding(
            "enough", "too_few", "medium" if low >= LARGE_GAIN else "low",
            f"accuracy still rises with the number of images: twice as many would bring about {100 * gain:.1f} points "
            f"(95 %: {100 * low:.1f} .. {100 * high:.1f}) to the {100 * now:.1f} % of a linear head",
            "results are below what these classes allow",
            "gather more images, of the rarest classes first; or train more of the network, which takes more from the same "
            "images; no table can mend it",
            details=tuple((f"{int(n):,} images", f"{np.mean(each):.1%}") for n, each in zip(sizes, scores, strict=True)),
            facts=facts,
        )
    ], facts  # fmt: skip


def _measured(judged: Judged, seed: int) -> tuple[NDArray[np.float64], list[NDArray[np.float64]]]:
    """Training images and accuracies at each size: whole groups of train, the same test part for all sizes of a seed."""
    space, own = judged.space[:, :COMPONENTS], np.unique(judged.groups, return_inverse=True)[1]
    scores: list[list[float]] = [[] for _ in SHARES]
    used = np.zeros(len(SHARES))
    n_groups = int(own.max()) + 1
    for turn in range(SEEDS):
        draw = np.random.default_rng([seed, turn, 47])
        place = draw.permutation(n_groups)[own]
        order = np.argsort(place, kind="stable")
        n_test = int((place < int(HELD * n_groups)).sum())
        test, train = order[:n_test], order[n_test : n_test + MOST_IMAGES]
        for at, share in enumerate(SHARES):
            part = train[: max(len(judged.classes), int(share * len(train)))]
            used[at] += len(part) / SEEDS
            if len(np.unique(judged.codes[part])) < 2:
                scores[at].append(float((judged.codes[test] == judged.codes[part][0]).mean()))
                continue
            head = make_head("logistic", C=STRENGTH, unit_length=False).fit(space[part], judged.codes[part])
            scores[at].append(float((head.predict(space[test]) == judged.codes[test]).mean()))
    return used, [np.array(each) for each in scores]
