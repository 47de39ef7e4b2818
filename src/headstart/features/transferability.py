"""How well features of a frozen network fit new labels, told without training it: arrays in, floats out.

LogME (You et al., ICML 2021), H-score (Bao et al., ICIP 2019; regularised: Ibrahim et al., ECML PKDD 2022), NCE
(Tran et al., ICCV 2019), LEEP (Nguyen et al., ICML 2020), k nearest neighbours, and a quick linear probe. The
first four rank networks or layers on the same images; only the last two are accuracies.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from headstart.base.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

NEIGHBOURS = 5
PENALTIES = tuple(float(10.0**power) for power in range(-2, 5))
MOST_STEPS = 200
STEP_TOLERANCE = 1e-4
TINY = 1e-12


def logme(features: ArrayLike, codes: ArrayLike) -> float:
    """Log of the largest evidence of a Bayesian linear model, a label, averaged over the classes (one-hot).

    Parameters
    ----------
    features : array of float, shape (n, d)
    codes : array of int, shape (n,)
        Class numbers.

    Returns
    -------
    float
        Higher fits better; comparable between features of the same images only.

    Raises
    ------
    UsageError
        Lengths that differ, values that are not finite, or a single class.

    Notes
    -----
    You et al. 2021, equation 2, by the fixed point of their algorithm 3 on one singular value decomposition.
    """
    known, classes = _checked(features, codes)
    left, sizes, _ = np.linalg.svd(known, full_matrices=False)
    squares = np.square(sizes)
    found = [
        _largest_evidence(left, squares, known.shape[1], (classes == code).astype(np.float64))
        for code in np.unique(classes)
    ]
    return float(np.mean(found)) / len(known)


def _largest_evidence(
    left: NDArray[np.float64], squares: NDArray[np.float64], width: int, target: NDArray[np.float64]
) -> float:
    """Log evidence of targets (n,) at the fixed point of both precisions, weights' and noise's."""
    n = len(target)
    along = np.square(left.T @ target)
    outside = max(float(target @ target - along.sum()), 0.0)
    weight, noise = 1.0, 1.0
    for _ in range(MOST_STEPS):
        spread = weight + noise * squares
        gamma = float((noise * squares / spread).sum())
        length = float((noise**2 * squares * along / np.square(spread)).sum())
        rest = outside + float((weight**2 * along / np.square(spread)).sum())
        before = weight / noise
        weight, noise = gamma / max(length, TINY), max(n - gamma, TINY) / max(rest, TINY)
        if abs(weight / noise - before) <= STEP_TOLERANCE * before:
            break
    return _evidence(weight, noise, squares, along, outside, n, width)


def _evidence(
    weight: float,
    noise: float,
    squares: NDArray[np.float64],
    along: NDArray[np.float64],
    outside: float,
    n: int,
    width: int,
) -> float:
    spread = weight + noise * squares
    length = float((noise**2 * squares * along / np.square(spread)).sum())
    rest = outside + float((weight**2 * along / np.square(spread)).sum())
    log_volume = float(np.log(spread).sum()) + (width - len(squares)) * np.log(weight)
    return float(
        (n * np.log(noise) + width * np.log(weight) - n * np.log(2 * np.pi) - log_volume) / 2
        - (noise * rest + weight * length) / 2
    )


def h_score(features: ArrayLike, codes: ArrayLike) -> float:
    """How much of the features' spread lies between the classes: tr(cov(f)^-1 cov(E[f | y])), shrunk.

    The covariance is that of Ledoit and Wolf (2004), and the between-class part is weighed by one minus its
    shrinkage (Ibrahim et al. 2022, equation 7), so that more features than images do no harm.

    Returns
    -------
    float
        0 (class means are equal) to the smaller of d and the number of classes less one.

    Raises
    ------
    UsageError
        As `logme`.
    """
    from sklearn.covariance import ledoit_wolf_shrinkage

    known, classes = _checked(features, codes)
    centred = known - known.mean(axis=0)
    shrinkage = float(ledoit_wolf_shrinkage(centred, assume_centered=True))
    _, number, counts = np.unique(classes, return_inverse=True, return_counts=True)
    sums = np.zeros((len(counts), known.shape[1]))
    np.add.at(sums, number, centred)
    between = sums / np.sqrt(counts)[:, None]  # rows g with between^T between = n cov(E[f | y])
    # cov = (1 - s) X^T X / n + s m I: by Woodbury's identity on the n x n side where d > n
    scale = shrinkage * float(np.square(centred).sum()) / centred.size + TINY
    solved = _ridge_solve(centred, (1 - shrinkage) / len(known), scale, between.T)
    return float((1 - shrinkage) * np.sum(between.T * solved) / len(known))


def _ridge_solve(
    rows: NDArray[np.float64], factor: float, scale: float, right: NDArray[np.float64]
) -> NDArray[np.float64]:
    """x of (factor rows^T rows + scale I) x = right, on the smaller side."""
    n, width = rows.shape
    if width <= n:
        return np.asarray(np.linalg.solve(factor * rows.T @ rows + scale * np.eye(width), right))
    inner = np.eye(n) * scale + factor * rows @ rows.T
    return np.asarray((right - factor * rows.T @ np.linalg.solve(inner, rows @ right)) / scale)


def nce(source_codes: ArrayLike, codes: ArrayLike) -> float:
    """Negative conditional entropy of the labels given the source classifier's first guess, in nats.

    Parameters
    ----------
    source_codes : array of int, shape (n,)
        The source class that the network's own classifier names.
    codes : array of int, shape (n,)

    Returns
    -------
    float
        At most 0 (the guess tells the label); at least -log of the number of classes.
    """
    source, classes = np.asarray(source_codes), np.asarray(codes)
    if source.shape != classes.shape or source.ndim != 1 or not len(source):
        raise UsageError(f"a guess for each label is needed; got shapes {source.shape} and {classes.shape}")
    _, rows = np.unique(source, return_inverse=True)
    _, columns = np.unique(classes, return_inverse=True)
    joint = np.zeros((rows.max() + 1, columns.max() + 1))
    np.add.at(joint, (rows, columns), 1 / len(source))
    given = joint / joint.sum(axis=1, keepdims=True)
    held = joint > 0
    return float((joint[held] * np.log(given[held])).sum())


def leep(probabilities: ArrayLike, codes: ArrayLike) -> float:
    """Log expected empirical prediction: mean log likelihood of labels guessed through the source classes.

    Parameters
    ----------
    probabilities : array of float, shape (n, n_source_classes)
        What the network's own classifier says; rows sum to 1.
    codes : array of int, shape (n,)

    Returns
    -------
    float
        At most 0 (Nguyen et al. 2020, equation 2); with certain guesses it equals `nce`.

    Raises
    ------
    UsageError
        As `logme`, or rows that do not sum to 1.
    """
    shares, classes = _checked(probabilities, codes)
    if (shares < 0).any() or not np.allclose(shares.sum(axis=1), 1, atol=1e-3):
        raise UsageError("leep needs probabilities: rows of numbers from 0 that sum to 1")
    _, number = np.unique(classes, return_inverse=True)
    joint = np.zeros((number.max() + 1, shares.shape[1]))
    np.add.at(joint, number, shares / len(shares))
    given = joint / np.maximum(joint.sum(axis=0, keepdims=True), TINY)
    likelihood = np.einsum("nz,nz->n", given[number], shares)
    return float(np.log(np.maximum(likelihood, TINY)).mean())


def neighbours_accuracy(
    features: ArrayLike, codes: ArrayLike, *, k: int = NEIGHBOURS, groups: ArrayLike | None = None
) -> float:
    """Share of images whose class most of their k nearest others (by cosine) have; ties go to the nearest.

    Parameters
    ----------
    features : array of float, shape (n, d)
    codes : array of int, shape (n,)
    k : int
        At least 1; fewer where fewer others are left.
    groups : array, shape (n,), optional
        Images of the same group (copies, one patient) are no neighbours of each other.

    Returns
    -------
    float
        0 to 1.
    """
    known, classes = _checked(features, codes)
    if k < 1:
        raise UsageError(f"k: expected 1 or more neighbours, got {k}")
    unit = known / np.maximum(np.linalg.norm(known, axis=1, keepdims=True), TINY)
    near = unit @ unit.T
    own = np.arange(len(known)) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    near[own[:, None] == own[None, :]] = -np.inf
    order = np.argsort(-near, axis=1, kind="stable")[:, : min(k, len(known) - 1)]
    _, number = np.unique(classes, return_inverse=True)
    votes = np.zeros((len(known), number.max() + 1))
    for place in range(order.shape[1]):
        rows = np.flatnonzero(np.isfinite(near[np.arange(len(known)), order[:, place]]))
        votes[rows, number[order[rows, place]]] += 1 + 1e-3 / (1 + place)
    return float(np.mean(votes.argmax(axis=1) == number))


def probe_right(
    features: ArrayLike, codes: ArrayLike, folds: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]]
) -> NDArray[np.bool_]:
    """Which images a ridge classifier names rightly when they are held out: the quick linear probe.

    Features are brought to length 1; the penalty is chosen inside each fold, by the leave-one-out error of what
    it learns from (Golub, Heath and Wahba 1979), so that no image has a say in its own classifier.

    Parameters
    ----------
    features : array of float, shape (n, d)
    codes : array of int, shape (n,)
    folds : sequence of (train rows, held-out rows)
        Each row held out once at most; a fold whose train holds one class alone names that class.

    Returns
    -------
    array of bool, shape (held-out rows in the order of the folds,)
    """
    from sklearn.linear_model import RidgeClassifierCV

    known, classes = _checked(features, codes)
    unit = known / np.maximum(np.linalg.norm(known, axis=1, keepdims=True), TINY)
    found = []
    for train, held in folds:
        if len(np.unique(classes[train])) < 2:
            found.append(classes[held] == classes[train][0])
            continue
        mean = unit[train].mean(axis=0)
        scale = max(float((unit[train] - mean).std()), TINY)
        head = RidgeClassifierCV(alphas=PENALTIES).fit((unit[train] - mean) / scale, classes[train])
        found.append(head.predict((unit[held] - mean) / scale) == classes[held])
    return np.concatenate(found)


def _checked(features: ArrayLike, codes: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    known, classes = np.asarray(features, np.float64), np.asarray(codes)
    if known.ndim != 2 or classes.shape != (len(known),):
        raise UsageError(
            f"features (n, d) and labels (n,) are needed; got shapes {known.shape} and {classes.shape}"
        )
    if not np.isfinite(known).all():
        raise UsageError("the features hold values that are not finite; extract them again")
    if len(np.unique(classes)) < 2:
        raise UsageError("labels of one class tell nothing; two classes or more are needed")
    return known, classes
