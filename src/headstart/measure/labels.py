"""Metrics of a multi-label output: each image bears any number of labels, each with its own probability.

All are weighted counts, so that point values and bootstrap draws come from one pass. Macro averages run over the
labels that some test image bears; average precision is that of scikit-learn (no interpolation, ties at once).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from headstart.base.errors import UsageError
from headstart.measure.intervals import N_RESAMPLES, bootstrapped, wilson
from headstart.measure.metrics import LEAST_PROBABILITY, N_BINS, class_scores
from headstart.measure.values import Score

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

METRICS = ("macro_f1", "micro_f1", "map", "subset_accuracy", "hamming_loss", "log_loss", "ece")
PERFECT = {"macro_f1": 1.0, "micro_f1": 1.0, "subset_accuracy": 1.0, "hamming_loss": 0.0}
THRESHOLD = 0.5


@dataclass(frozen=True)
class LabelScores:
    """What a test set says of a multi-label output.

    Attributes
    ----------
    n : int
        Test images.
    scores : dict of str to Score
        Names in `METRICS`; macro_f1 and map are absent where no image bears any label.
    per_label : dict of str to dict
        precision, recall, f1, ap, threshold and n (images that bear it) of every label. A label that no image bears
        has an ap of NaN.
    """

    n: int
    scores: dict[str, Score]
    per_label: dict[str, dict[str, float]]


def evaluate_labels(
    y_true: ArrayLike, probabilities: ArrayLike, labels: Sequence[str], *,
    thresholds: ArrayLike | None = None, seed: int = 0,
) -> LabelScores:  # fmt: skip
    """All metrics of a multi-label output, with 95 % intervals over its images.

    Macro and micro F1 (Tsoumakas and Katakis 2007), mAP, subset accuracy (every label of an image right), Hamming
    loss (share of wrong labels), log loss and calibration error of the single yes-or-no answers. The subset accuracy
    has Wilson's interval, the others bootstrap percentile intervals. Where every answer is right, resampling sees no
    variation, and the ends are those of the subset accuracy.

    Parameters
    ----------
    y_true : array of 0 and 1, shape (n, k)
    probabilities : array of float, shape (n, k)
        Of each label by itself, 0 to 1.
    labels : sequence of str
    thresholds : array of float, shape (k,) or (n, k), optional
        A label is said at this probability or above; 0.5 where not given. Images of several folds may have their own.
    seed : int
        Of the bootstrap.

    Raises
    ------
    UsageError
        No images, shapes that do not agree, values that are neither 0 nor 1, probabilities outside 0 to 1.

    Examples
    --------
    >>> found = evaluate_labels([[1, 0], [1, 1]], [[0.9, 0.2], [0.8, 0.4]], ["crack", "finger"])
    >>> found.scores["subset_accuracy"].value, found.scores["hamming_loss"].value
    (0.5, 0.25)
    """
    true, p, limits = _checked(y_true, probabilities, labels, thresholds)
    n, called = len(true), labels_given(p, limits).astype(np.float64)
    parts = _Parts(true, p, called)
    scores = bootstrapped(parts, n, seed=seed)
    whole = (true == called).all(axis=1)
    ends = wilson(int(whole.sum()), n)
    scores["subset_accuracy"] = Score(float(whole.mean()), *ends, n)
    if whole.all():
        for name in PERFECT.keys() & scores.keys():
            low, high = ends if PERFECT[name] else (1 - ends[1], 1 - ends[0])
            scores[name] = Score(scores[name].value, low, high, n)
    return LabelScores(n, {name: scores[name] for name in METRICS if name in scores},
                       _per_label(true, p, called, labels, limits))  # fmt: skip


def labels_given(probabilities: ArrayLike, thresholds: ArrayLike | None = None) -> NDArray[np.bool_]:
    """Which labels each image is given (n, k): those at or above their thresholds, 0.5 without.

    Examples
    --------
    >>> labels_given([[0.9, 0.5, 0.2]], [0.95, 0.5, 0.1]).tolist()
    [[False, True, True]]
    """
    limits = THRESHOLD if thresholds is None else np.asarray(thresholds, dtype=np.float64)
    return np.asarray(np.asarray(probabilities) >= limits, dtype=np.bool_)


class _Parts:
    """Every metric from how often each image counts."""

    def __init__(self, true: Floats, p: Floats, called: Floats) -> None:
        self.true, self.p, self.called = true, p, called
        clipped = np.clip(np.where(true == 1, p, 1 - p), LEAST_PROBABILITY, 1.0)
        self.loss = -np.log(clipped).mean(axis=1)
        self.wrong = (true != called).mean(axis=1)
        self.gaps = _binned_gaps(true, p)
        self.order = [ranked(p[:, j]) for j in range(p.shape[1])]

    def __call__(self, weight: Floats) -> dict[str, Floats]:
        n, k = weight.sum(axis=1), self.true.shape[1]
        hits, truth = weight @ (self.true * self.called), weight @ self.true
        called = weight @ self.called
        present, f1 = truth > 0, 2 * hits / np.maximum(truth + called, 1)
        n_present = present.sum(axis=1)
        ap = np.stack([average_precision(self.true[:, j], weight, self.order[j]) for j in range(k)], axis=1)
        with np.errstate(invalid="ignore"):
            return {
                "macro_f1": np.where(present, f1, 0).sum(axis=1) / n_present,
                "micro_f1": 2 * hits.sum(axis=1) / (truth + called).sum(axis=1),
                "map": np.where(present, ap, 0).sum(axis=1) / n_present,
                "hamming_loss": weight @ self.wrong / n,
                "log_loss": weight @ self.loss / n,
                "ece": np.abs(weight @ self.gaps).sum(axis=1) / (n * k),
            }


def ranked(p: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows by falling probability, and the last place of each run of equal ones."""
    order = np.argsort(-p, kind="stable")
    return order, np.append(np.flatnonzero(np.diff(p[order])), len(p) - 1)


def average_precision(
    true: Floats, weight: Floats, order: tuple[NDArray[np.int64], NDArray[np.int64]]
) -> Floats:
    """Average precision of one label on each of b draws; weight (b, n) to (b,), 0 where nothing bears it."""
    rows, ends = order
    drawn = weight[:, rows]
    found = np.cumsum(drawn * true[rows], axis=1)[:, ends]
    said = np.cumsum(drawn, axis=1)[:, ends]
    gained = np.diff(found, axis=1, prepend=0.0)
    total = np.maximum(found[:, -1], 1.0)
    return np.asarray((gained * found / np.maximum(said, 1.0)).sum(axis=1) / total, dtype=np.float64)


def _binned_gaps(true: Floats, p: Floats) -> Floats:
    """Truth minus probability of each image, summed in bins of the probability; shape (n, N_BINS)."""
    gaps = np.zeros((len(p), N_BINS))
    bins = np.clip(np.ceil(p * N_BINS - 1e-6).astype(np.int64) - 1, 0, N_BINS - 1)
    np.add.at(gaps, (np.arange(len(p))[:, None], bins), true - p)
    return gaps


def _per_label(
    true: Floats, p: Floats, called: Floats, labels: Sequence[str], limits: Floats
) -> dict[str, dict[str, float]]:
    hits, truth, said = (true * called).sum(axis=0), true.sum(axis=0), called.sum(axis=0)
    one, found = np.ones((1, len(true))), {}
    drawn = np.random.default_rng(0)
    for j, name in enumerate(labels):
        ap = float(average_precision(true[:, j], one, ranked(p[:, j]))[0]) if truth[j] else np.nan
        found[str(name)] = {
            **class_scores(
                int(hits[j]), int(truth[j]), int(said[j]), _f1_draws(true[:, j], called[:, j], drawn)
            ),
            "ap": ap,
            "threshold": float(np.atleast_2d(limits)[:, j].mean()),
        }
    return found


def _f1_draws(true: Floats, called: Floats, generator: np.random.Generator) -> Floats:
    """F1 of one label on bootstrap draws of the images: a draw of images is one of the four kinds of them."""
    kinds = np.bincount((2 * true + called).astype(np.int64), minlength=4)
    drawn = generator.multinomial(len(true), kinds / len(true), size=N_RESAMPLES)
    either = drawn[:, 1] + drawn[:, 2] + 2 * drawn[:, 3]
    return np.asarray(2 * drawn[:, 3] / np.where(either, either, np.nan), dtype=np.float64)


def _checked(
    y_true: ArrayLike, probabilities: ArrayLike, labels: Sequence[str], thresholds: ArrayLike | None
) -> tuple[Floats, Floats, Floats]:
    true, p = np.asarray(y_true, dtype=np.float64), np.asarray(probabilities, dtype=np.float64)
    if true.ndim != 2 or true.shape != p.shape or true.shape[1] != len(labels):
        raise UsageError(
            f"labels and probabilities of shape (n, {len(labels)}) are needed; got {true.shape} and {p.shape}"
        )
    if not true.size:
        raise UsageError("there is nothing to measure: no test images")
    if not np.isin(true, (0.0, 1.0)).all():
        raise UsageError("labels must be 1 (borne) or 0 (not borne) for every image")
    if not np.isfinite(p).all() or p.min() < -1e-6 or p.max() > 1 + 1e-6:
        raise UsageError("probabilities of labels must lie between 0 and 1")
    limits = np.full(len(labels), THRESHOLD) if thresholds is None else np.asarray(thresholds, dtype=float)
    if limits.shape not in ((len(labels),), true.shape):
        raise UsageError(
            f"one threshold a label is needed, {len(labels)} of them; got the shape {limits.shape}"
        )
    return true, np.clip(p, 0.0, 1.0), limits
