"""One output of several, whatever its kind: which metrics it has, what an image scores, how to read a score.

Images whose label is missing are masked: they count for no metric of that output, and for the joint figures only
where every output that can be right has its label.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.base.errors import UnknownName, UsageError
from headstart.measure.labels import evaluate_labels, labels_given
from headstart.measure.metrics import evaluate, most_probable
from headstart.measure.number import evaluate_number
from headstart.measure.ordinal import evaluate_ordinal
from headstart.measure.values import Score

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

CLASSES, LABELS, ORDINAL, NUMBER = "classes", "labels", "ordinal", "number"
KINDS = (CLASSES, LABELS, ORDINAL, NUMBER)


@dataclass(frozen=True)
class Measure:
    """How one score is read: its name for people, whether it is a share, whether more is better, what it says."""

    key: str
    title: str
    share: bool
    more_is_better: bool
    help: str


_ACCURACY = Measure("accuracy", "accuracy", True, True, "share of images whose answer is right")
_F1 = Measure("macro_f1", "macro F1", True, True, "mean over the classes of the test images")
_LOSS = Measure(
    "log_loss", "log loss", False, False, "mean of minus the logarithm of the true answer's probability"
)
_ECE = Measure("ece", "calibration error", True, False, "mean distance of stated probability and share right")
MEASURES: dict[str, tuple[Measure, ...]] = {
    CLASSES: (_ACCURACY, _F1, _LOSS, _ECE),
    LABELS: (
        _F1,
        Measure("micro_f1", "micro F1", True, True, "over all images and labels at once"),
        Measure("map", "mAP", True, True, "mean over labels of average precision, whatever the thresholds"),
        Measure("subset_accuracy", "all labels right", True, True, "share of images with every label right"),
        Measure("hamming_loss", "Hamming loss", True, False, "share of wrong labels"),
        _LOSS,
        _ECE,
    ),
    ORDINAL: (
        _ACCURACY,
        Measure(
            "mae_levels",
            "levels off",
            False,
            False,
            "mean absolute error of the most probable level, in levels",
        ),
        Measure("kappa", "weighted kappa", False, True, "quadratic weights; 0: chance, 1: perfect"),
        _F1,
        _LOSS,
        _ECE,
    ),
    NUMBER: (
        Measure("mae", "mean abs. error", False, False, "in the unit of the column"),
        Measure("rmse", "RMSE", False, False, "root mean squared error, in the unit of the column"),
        Measure("r2", "R2", False, True, "share of the variance that is explained"),
        Measure("spearman", "Spearman", False, True, "correlation of ranks"),
        Measure("slope", "slope", False, True, "of the truth on the answer; 1: calibrated"),
        Measure("bias", "bias", False, True, "mean of answer minus truth; 0: calibrated"),
    ),
}
"""The measures of each kind, the first one told first."""


@dataclass(frozen=True)
class OutputScores:
    """What a test set says of one output.

    Attributes
    ----------
    name, kind : str
    n, n_missing : int
        Test images with and without a label of this output.
    scores : dict of str to Score
        Names in `MEASURES[kind]` (and, for classes, the other macro averages); empty where no image has a label.
    per_level : dict of str to dict
        Of each class, level or label: precision, recall, f1, n; for labels ap and threshold too. Empty for numbers.
    confusion : tuple of tuples of int
        For classes and levels, in their order: confusion[i][j] images of i were called j.
    """

    name: str
    kind: str
    n: int
    n_missing: int
    scores: dict[str, Score]
    per_level: dict[str, dict[str, float]] = field(default_factory=dict)
    confusion: tuple[tuple[int, ...], ...] = ()


def evaluate_output(
    name: str, kind: str, levels: Sequence[str], y_true: ArrayLike, given: ArrayLike, *,
    thresholds: ArrayLike | None = None, seed: int = 0,
) -> OutputScores:  # fmt: skip
    """The metrics of one output, with 95 % intervals; images without a label are left out.

    Parameters
    ----------
    name : str
    kind : {"classes", "labels", "ordinal", "number"}
    levels : sequence of str
        Classes, labels or levels (the lowest first); empty for numbers.
    y_true : array
        Classes and ordinal: int (n,), -1 where missing. Labels: float (n, k) of 0 and 1, NaN where missing. Number:
        float (n,), NaN where missing.
    given : array of float
        Probabilities (n, k), of a label each by itself; for numbers the answers (n,).
    thresholds : array of float, shape (k,) or (n, k), optional
        Of labels; 0.5 where not given.
    seed : int
        Of the bootstrap.

    Raises
    ------
    UnknownName
        No such kind.
    UsageError
        Shapes that do not agree, or values that the kind does not allow.

    Examples
    --------
    >>> found = evaluate_output("worn", "classes", ["no", "yes"], [0, 1, -1], [[0.9, 0.1], [0.6, 0.4], [0.5, 0.5]])
    >>> found.n, found.n_missing, found.scores["accuracy"].value
    (2, 1, 0.5)
    """
    there = labelled(kind, y_true)
    answers = np.asarray(given, dtype=np.float64)
    if len(answers) != len(there):
        raise UsageError(f"output {name!r}: {len(there)} labels but {len(answers)} answers")
    true, answers, n = np.asarray(y_true)[there], answers[there], int(there.sum())
    n_missing = len(there) - n
    if not n:
        return OutputScores(name, kind, 0, n_missing, {})
    if kind == NUMBER:
        return OutputScores(name, kind, n, n_missing, evaluate_number(true, answers, seed=seed).scores)
    if kind == LABELS:
        found = evaluate_labels(true, answers, levels, thresholds=_limits(thresholds, there), seed=seed)
        return OutputScores(name, kind, n, n_missing, found.scores, found.per_label)
    measured = evaluate_ordinal if kind == ORDINAL else evaluate
    each = measured(true, answers, levels, seed=seed)
    return OutputScores(name, kind, n, n_missing, each.scores, each.per_class, each.confusion)


def decided(kind: str, given: ArrayLike, thresholds: ArrayLike | None = None) -> NDArray[Any]:
    """What an output says of each image: the one rule of predictions, of what chooses a model, and of every figure.

    Parameters
    ----------
    kind : {"classes", "labels", "ordinal", "number"}
    given, thresholds : array
        As of `evaluate_output`.

    Returns
    -------
    ndarray
        Classes and ordinal: the most probable one (n,), the first where several are. Labels: whether each is given
        (n, k), its probability at or above its threshold. Number: itself.

    Examples
    --------
    >>> decided("ordinal", [[0.4, 0.25, 0.35]]).tolist()
    [0]
    """
    if kind == NUMBER:
        return np.asarray(given)
    return labels_given(given, thresholds) if kind == LABELS else most_probable(given)


def labelled(kind: str, y_true: ArrayLike) -> NDArray[np.bool_]:
    """Which images have a label of an output, shape (n,).

    Raises
    ------
    UnknownName
        No such kind.
    UsageError
        No column of that kind.
    """
    true = np.asarray(y_true)
    if kind not in KINDS:
        raise UnknownName("kind of output", kind, KINDS)
    if true.ndim != (2 if kind == LABELS else 1):
        raise UsageError(f"labels of the kind {kind} have another shape than {true.shape}")
    if kind == NUMBER:
        return np.asarray(np.isfinite(true.astype(np.float64)))
    if kind == LABELS:
        return np.asarray(np.isfinite(true.astype(np.float64)).all(axis=1))
    if true.dtype.kind not in "iu":
        raise UsageError(f"labels of the kind {kind} are whole numbers, -1 where missing; got {true.dtype}")
    return np.asarray(true >= 0)


def _limits(thresholds: ArrayLike | None, there: NDArray[np.bool_]) -> Floats | None:
    """Thresholds of the images that have a label."""
    if thresholds is None:
        return None
    limits = np.asarray(thresholds, dtype=np.float64)
    return limits[there] if limits.ndim == 2 else limits


def right(
    kind: str, y_true: ArrayLike, given: ArrayLike, thresholds: ArrayLike | None = None
) -> Floats | None:
    """Whether each image is right: 1, 0, NaN where the label is missing; None for numbers, which are never just right.

    An image with several labels is right where each of them is.
    """
    scores = image_scores(kind, y_true, given, thresholds)
    if kind == NUMBER:
        return None
    return np.where(np.isnan(scores), np.nan, (scores == 1).astype(np.float64))


def image_scores(
    kind: str, y_true: ArrayLike, given: ArrayLike, thresholds: ArrayLike | None = None
) -> Floats:
    """What each image scores, for paired comparisons: at most 1, more is better, NaN where the label is missing.

    Classes and ordinal: 1 where right, else 0. Labels: the share of its labels that are right. Number: the share of
    error saved against always saying the median of the truth, 1 - |error| / mean |truth - median|; below 0 where it
    is further off than that.
    """
    there = labelled(kind, y_true)
    true, answers = np.asarray(y_true), np.asarray(given, dtype=np.float64)
    found = np.full(len(there), np.nan)
    if kind == NUMBER:
        known = true[there].astype(np.float64)
        plain = float(np.abs(known - np.median(known)).mean()) if len(known) else 0.0
        found[there] = 1 - np.abs(answers[there] - known) / (plain or 1.0)
    elif kind == LABELS:
        called = decided(kind, answers[there], _limits(thresholds, there))
        found[there] = (called == (true[there] == 1)).mean(axis=1)
    else:
        found[there] = decided(kind, answers[there]) == true[there]
    return found
