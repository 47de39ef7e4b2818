"""Classification metrics from probabilities, each with its 95 % interval over test images.

One pass: true class, chosen class, confidence and loss of every image are worked out once; the point values
and all bootstrap resamples are counts (`bincount`) and means over those four arrays. Macro averages run over
the classes present among the true labels (of each resample, too); a class never chosen has precision 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.base.errors import UsageError
from headstart.measure.intervals import UNBOUNDED_ABOVE, percentile_interval, resamples, wilson
from headstart.measure.values import Score

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

METRICS = (
    "accuracy",
    "balanced_accuracy",
    "macro_f1",
    "macro_precision",
    "macro_recall",
    "log_loss",
    "ece",
)
N_BINS = 15
LEAST_PROBABILITY = float(np.finfo(np.float32).eps)
MACRO = ("balanced_accuracy", "macro_f1", "macro_precision", "macro_recall")


@dataclass(frozen=True)
class Evaluation:
    """What a test set says of a classifier.

    Attributes
    ----------
    n : int
        Test images.
    scores : dict of str to Score
        One a name in `METRICS`.
    per_class : dict of str to dict
        precision, recall, f1 and n (images of that class) of every class, and the ends of their 95 % intervals
        (`precision_low`, `precision_high` ...): Wilson's for the two shares, the bootstrap's for F1. A class
        without test images has n = 0 and zeros, and is in no macro average; a share of no images lies anywhere
        from 0 to 1.
    confusion : tuple of tuples of int
        confusion[i][j]: images of class i that were called class j.
    """

    n: int
    scores: dict[str, Score]
    per_class: dict[str, dict[str, float]]
    confusion: tuple[tuple[int, ...], ...]

    def to_dict(self) -> dict[str, Any]:
        """Scores by name as `{"value", "low", "high"}`, after `n`: the core of `evaluate --json`."""
        return {"n": self.n, **{name: score.to_dict() for name, score in self.scores.items()}}


@dataclass(frozen=True)
class _Outcomes:
    """Per image: true class, chosen class, its confidence bin, right minus confidence, loss."""

    true: NDArray[np.int64]
    chosen: NDArray[np.int64]
    bins: NDArray[np.int64]
    gap: NDArray[np.float64]
    loss: NDArray[np.float64]
    n_classes: int
    n_bins: int


def evaluate(
    y_true: ArrayLike, probabilities: ArrayLike, classes: Sequence[str], *, seed: int = 0
) -> Evaluation:
    """All metrics of one test set, with 95 % intervals over its images.

    Accuracy has Wilson's interval, the others bootstrap percentile intervals of 1,000 resamples. Where every
    image is right (or every one wrong) resampling sees no variation and would claim certainty; the macro
    averages then equal the accuracy and take its Wilson interval.

    Parameters
    ----------
    y_true : array of int, shape (n,)
        True classes, 0 to k - 1.
    probabilities : array of float, shape (n, k)
        One row an image, each summing to 1. The answer is the most probable class (see `most_probable`).
    classes : sequence of str
        Names of the k classes. A class the classifier has never seen takes a column of zeros.
    seed : int
        Of the bootstrap.

    Raises
    ------
    UsageError
        No images, shapes that do not agree, probabilities that are NaN, negative or do not sum to 1,
        classes out of range.

    Examples
    --------
    >>> result = evaluate([0, 1], [[0.9, 0.1], [0.2, 0.8]], ["coat", "shirt"])
    >>> result.scores["accuracy"].value
    1.0
    """
    true, p = _checked(y_true, probabilities)
    if len(classes) != p.shape[1]:
        raise UsageError(f"{p.shape[1]} columns of probabilities but {len(classes)} class names")
    outcomes = _outcomes(true, p, N_BINS)
    matrix = confusion_matrix(true, outcomes.chosen, p.shape[1])
    blocks = [_tables(outcomes, rows) for rows in resamples(len(true), seed=seed)]
    return Evaluation(
        n=len(true),
        scores=_scores(outcomes, blocks),
        per_class=_per_class(matrix, classes, np.concatenate([block["f1"] for block in blocks])),
        confusion=tuple(map(tuple, matrix.tolist())),
    )


def most_probable(probabilities: ArrayLike) -> NDArray[np.int64]:
    """The class or level with the largest probability (n,), the first of several."""
    return np.asarray(np.argmax(np.asarray(probabilities), axis=1), dtype=np.int64)


def accuracy(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Share of images whose class is right."""
    true, chosen = _pair(y_true, y_pred)
    return float(np.mean(true == chosen))


def balanced_accuracy(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Mean recall over the classes present in `y_true` (Brodersen et al. 2010)."""
    return _macro_of(y_true, y_pred)["balanced_accuracy"]


def macro_f1(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Mean F1 over the classes present in `y_true`."""
    return _macro_of(y_true, y_pred)["macro_f1"]


def log_loss(y_true: ArrayLike, probabilities: ArrayLike) -> float:
    """Mean of -log(probability of the true class), in nats.

    A probability below float32's epsilon (1.2e-7) counts as that, so that one confident error costs at most
    15.9; scikit-learn does the same for float32 probabilities.
    """
    true, p = _checked(y_true, probabilities)
    return float(_losses(true, p).mean())


def expected_calibration_error(y_true: ArrayLike, probabilities: ArrayLike, n_bins: int = N_BINS) -> float:
    """Mean distance of confidence and accuracy over equal-width bins of the top-label confidence.

    Bins are (i / n_bins, (i + 1) / n_bins], weighted by their share of images (Naeini et al. 2015; Guo et
    al. 2017, eq. 3). Between 0 and 1.
    """
    if n_bins < 1:
        raise UsageError(f"n_bins: at least 1 is needed, got {n_bins}")
    true, p = _checked(y_true, probabilities)
    outcomes = _outcomes(true, p, n_bins)
    return float(np.abs(np.bincount(outcomes.bins, outcomes.gap, n_bins)).sum() / len(true))


def confusion_matrix(y_true: ArrayLike, y_pred: ArrayLike, n_classes: int) -> NDArray[np.int64]:
    """Counts of shape (n_classes, n_classes): row true class, column chosen class."""
    true, chosen = _pair(y_true, y_pred)
    if len(true) and (min(true.min(), chosen.min()) < 0 or max(true.max(), chosen.max()) >= n_classes):
        raise UsageError(f"classes must be 0 to {n_classes - 1}")
    counts = np.bincount(true * n_classes + chosen, minlength=n_classes * n_classes)
    return counts.reshape(n_classes, n_classes)


def _pair(y_true: ArrayLike, y_pred: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    true, chosen = np.asarray(y_true), np.asarray(y_pred)
    if true.ndim != 1 or true.shape != chosen.shape:
        raise UsageError(
            f"two lists of classes of one length are needed; got shapes {true.shape}, {chosen.shape}"
        )
    if len(true) == 0:
        raise UsageError("there is nothing to measure: no test images")
    return _classes(true, "y_true"), _classes(chosen, "y_pred")


def _classes(values: NDArray[Any], what: str) -> NDArray[np.int64]:
    if values.dtype.kind not in "iub":
        raise UsageError(f"{what} must hold class numbers (integers); got {values.dtype}")
    return values.astype(np.int64)


def _checked(y_true: ArrayLike, probabilities: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    true, p = np.asarray(y_true), np.asarray(probabilities, dtype=np.float64)
    if p.ndim != 2 or true.ndim != 1 or len(true) != len(p):
        raise UsageError(
            f"n classes and (n, k) probabilities are needed; got shapes {true.shape} and {p.shape}"
        )
    if len(true) == 0 or p.shape[1] == 0:
        raise UsageError("there is nothing to measure: no test images")
    true = _classes(true, "y_true")
    if true.min() < 0 or true.max() >= p.shape[1]:
        raise UsageError(f"y_true must be 0 to {p.shape[1] - 1}; got {true.min()} to {true.max()}")
    if not np.isfinite(p).all():
        raise UsageError("probabilities hold NaN or infinity; the classifier that made them is broken")
    if p.min() < -1e-6 or np.abs(p.sum(axis=1) - 1).max() > 1e-3:
        raise UsageError("each row of probabilities must be at least 0 and sum to 1 (scores are not enough)")
    return true, p


def _losses(true: NDArray[np.int64], p: NDArray[np.float64]) -> NDArray[np.float64]:
    clipped = np.clip(p[np.arange(len(true)), true], LEAST_PROBABILITY, 1.0)
    return np.asarray(-np.log(clipped), dtype=np.float64)


def _outcomes(true: NDArray[np.int64], p: NDArray[np.float64], n_bins: int) -> _Outcomes:
    chosen = most_probable(p)
    confidence = np.clip(p[np.arange(len(true)), chosen], 0.0, 1.0)
    # confidences that are the edge of a bin but for float32 rounding belong below the edge
    bins = np.clip(np.ceil(confidence * n_bins - 1e-6).astype(np.int64) - 1, 0, n_bins - 1)
    gap = (chosen == true) - confidence
    return _Outcomes(true, chosen, bins, gap, _losses(true, p), p.shape[1], n_bins)


def _tables(outcomes: _Outcomes, rows: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
    """Every metric on each of b resamples; rows (b, n) to arrays (b,), and the F1 of each class (b, k)."""
    (b, n), k = rows.shape, outcomes.n_classes
    draw = np.arange(b)[:, None]
    true, chosen = outcomes.true[rows], outcomes.chosen[rows]
    hits = np.bincount((draw * k + true)[true == chosen], minlength=b * k).reshape(b, k)
    truth = np.bincount((draw * k + true).ravel(), minlength=b * k).reshape(b, k)
    called = np.bincount((draw * k + chosen).ravel(), minlength=b * k).reshape(b, k)
    bins = (draw * outcomes.n_bins + outcomes.bins[rows]).ravel()
    gaps = np.bincount(bins, outcomes.gap[rows].ravel(), b * outcomes.n_bins).reshape(b, -1)
    return {
        "accuracy": hits.sum(axis=1) / n,
        **macro_averages(hits, truth, called),
        "log_loss": outcomes.loss[rows].mean(axis=1),
        "ece": np.abs(gaps).sum(axis=1) / n,
        "f1": 2 * hits / np.where(truth + called, truth + called, np.nan),
    }


def macro_averages(
    hits: NDArray[np.int64], truth: NDArray[np.int64], called: NDArray[np.int64]
) -> dict[str, NDArray[np.float64]]:
    """Macro averages over the classes present in the truth; counts of shape (b, k) to arrays (b,)."""
    present = truth > 0
    n_present = np.maximum(present.sum(axis=1), 1)
    recall = (hits / np.maximum(truth, 1)).sum(axis=1) / n_present
    precision = np.where(present, hits / np.maximum(called, 1), 0.0).sum(axis=1) / n_present
    f1 = np.where(present, 2 * hits / np.maximum(truth + called, 1), 0.0).sum(axis=1) / n_present
    return {"balanced_accuracy": recall, "macro_f1": f1, "macro_precision": precision, "macro_recall": recall}


def _macro_of(y_true: ArrayLike, y_pred: ArrayLike) -> dict[str, float]:
    true, chosen = _pair(y_true, y_pred)
    k = int(max(true.max(), chosen.max())) + 1
    matrix = confusion_matrix(true, chosen, k)
    hits, truth, called = np.diag(matrix)[None], matrix.sum(axis=1)[None], matrix.sum(axis=0)[None]
    return {name: float(value[0]) for name, value in macro_averages(hits, truth, called).items()}


def _scores(outcomes: _Outcomes, blocks: Sequence[dict[str, NDArray[np.float64]]]) -> dict[str, Score]:
    n = len(outcomes.true)
    known = _tables(outcomes, np.arange(n)[None])
    values = {name: float(known[name][0]) for name in METRICS}
    n_right = int((outcomes.true == outcomes.chosen).sum())
    ends = wilson(n_right, n)
    scores = {"accuracy": Score(values["accuracy"], *ends, n)}
    for name in METRICS[1:]:
        if name in MACRO and n_right in (0, n):
            scores[name] = Score(values[name], *ends, n)
            continue
        draws = np.concatenate([block[name] for block in blocks])
        high = np.inf if name in UNBOUNDED_ABOVE else 1.0
        low, top = percentile_interval(values[name], draws, centred=name == "ece", high=high)
        scores[name] = Score(values[name], low, top, n)
    return scores


def _per_class(
    matrix: NDArray[np.int64], classes: Sequence[str], draws: NDArray[np.float64]
) -> dict[str, dict[str, float]]:
    hits, truth, called = np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
    return {
        str(name): class_scores(int(hits[i]), int(truth[i]), int(called[i]), draws[:, i])
        for i, name in enumerate(classes)
    }


def class_scores(hits: int, truth: int, called: int, draws: NDArray[np.float64]) -> dict[str, float]:
    """Precision, recall and F1 of one class with 95 % intervals, and its number of images.

    Precision and recall are shares and have Wilson's interval, given how many images were called so or are so. F1
    has the bootstrap's. Where each of these images, or none, is right, a draw sees no variation: then the interval
    is Wilson's of the share of right images among all that are of the class or were called so, J, of which F1 is a
    rising function, 2 J / (1 + J).

    Parameters
    ----------
    hits, truth, called : int
        Images of the class that were called so, images of the class, images that were called so.
    draws : ndarray, shape (n_draws,)
        F1 on bootstrap draws of the test images; NaN where a draw has no image of either kind.

    Returns
    -------
    dict
        `precision`, `precision_low`, `precision_high`, the same of `recall` and `f1`, and `n`.
    """
    either, f1 = truth + called - hits, 2 * hits / max(truth + called, 1)
    kept = draws[np.isfinite(draws)]
    if hits in (0, either) or not len(kept):
        f1_ends = tuple(2 * share / (1 + share) for share in share_interval(hits, either))
    else:
        f1_ends = percentile_interval(f1, kept)
    found: dict[str, float] = {}
    for name, value, ends in (
        ("precision", hits / max(called, 1), share_interval(hits, called)),
        ("recall", hits / max(truth, 1), share_interval(hits, truth)),
        ("f1", f1, f1_ends),
    ):
        found |= {name: float(value), f"{name}_low": float(ends[0]), f"{name}_high": float(ends[1])}
    return {**found, "n": truth}


def share_interval(k: int, n: int) -> tuple[float, float]:
    """Wilson's 95 % interval; 0 to 1 of no cases, which say nothing."""
    return wilson(k, n) if n else (0.0, 1.0)
