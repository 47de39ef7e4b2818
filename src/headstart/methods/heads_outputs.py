"""Linear heads for outputs that are no classes: labels (sigmoids), ordered levels (one weight vector), numbers.

Labels: logistic regression, each label against the rest (Read et al., Classifier chains for multi-label
classification, 2011, section 2, "binary relevance"). Levels: cumulative logits with one weight vector and a bias a
threshold (McCullagh 1980; all-threshold loss: Rennie and Srebro 2005). Numbers: ridge regression (Hoerl and Kennard
1970). The strength of each is the one with the least loss on held-out images.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from scipy.special import expit
from sklearn.utils.validation import validate_data

from headstart.base.errors import UsageError
from headstart.base.events import warn
from headstart.base.options import option
from headstart.images.column_kinds import quantile_bins
from headstart.methods.class_weights import answer_weights, row_weights
from headstart.methods.heads_linear import (
    MAX_ITERATIONS,
    TOLERANCE,
    LinearHead,
    Slopes,
    Weights,
    linear_path,
    summed,
)
from headstart.methods.heads_select import Model, given_folds, inner_folds
from headstart.methods.heads_solver import lbfgs
from headstart.methods.heads_space import EigenSpace, eigen_space
from headstart.methods.thresholds import PLAIN, best_thresholds

if TYPE_CHECKING:
    from numpy.typing import NDArray

STRENGTHS = (3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0, 10.0)
PENALTIES = (1e5, 3e4, 1e4, 3e3, 1e3, 3e2, 1e2, 1e1, 1.0)
N_WORSE_TO_STOP = 2

Fold = tuple["NDArray[np.float32]", "NDArray[Any]", "NDArray[np.float32]", "NDArray[Any]"]


def binary_cross_entropy(
    scores: NDArray[np.float32], targets: NDArray[Any], weights: Weights = None
) -> Slopes:
    """Sum of the log losses of k independent yes-or-no questions, its slope (n, k), mean curvature (k,)."""
    shares = expit(scores)
    losses = np.logaddexp(0, scores) - targets * scores
    return summed(losses, np.asarray(shares - targets, np.float32), shares * (1 - shares), weights)


def steps_above(levels: NDArray[np.int64], n_levels: int) -> NDArray[np.float32]:
    """Levels (n,) as answers to "above level j?" for each but the highest, float32 (n, n_levels - 1)."""
    return np.asarray(levels[:, None] > np.arange(n_levels - 1), np.float32)


def ordinal_path(
    features: NDArray[np.float32],
    above: NDArray[np.float32],
    strengths: Sequence[float],
    tolerance: float = TOLERANCE,
    weights: Weights = None,
) -> Iterator[Model]:
    """Cumulative logits with one weight vector, for each C in turn, each started from the one before.

    Minimises |w|^2 / 2 + C * sum over images and thresholds of the log loss of "above level j?", each image times its
    weight (n, 1) where there are weights.

    Yields
    ------
    dict
        "coef" (d, k) of equal columns and "intercept" (k,), falling, float32.
    """
    (n, d), k = features.shape, above.shape[1]
    squares = np.square(features).mean(axis=0, dtype=np.float64)
    point = np.zeros(d + k)
    for strength in strengths:
        decay = np.concatenate([np.full(d, 1.0 / (strength * n)), np.zeros(k)])

        def slopes(given: NDArray[np.float64]) -> Slopes:
            along = features @ given[:d].astype(np.float32)
            return binary_cross_entropy(along[:, None] + given[d:].astype(np.float32), above, weights)

        bends = np.maximum(slopes(point)[2], 1e-3)
        step = 1 / np.sqrt(decay + np.concatenate([squares * bends.sum(), bends]))

        def cost(
            flat: NDArray[np.float64], step: Any = step, decay: Any = decay, slopes: Any = slopes
        ) -> tuple[float, NDArray[np.float64]]:
            own = flat * step
            value, slope, _ = slopes(own)
            each = slope.sum(axis=1)
            gradient = np.concatenate([features.T @ each, slope.sum(axis=0, dtype=np.float64)]) / n
            gradient = gradient + decay * own
            return value / n + 0.5 * float(decay @ np.square(own)), gradient * step

        found, converged = lbfgs(cost, point / step, tolerance=tolerance, max_iterations=MAX_ITERATIONS)
        if not converged:
            warn(f"an ordinal head stopped after {MAX_ITERATIONS} steps, before its tolerance was reached")
        point = found * step
        solution = point.astype(np.float32)
        falling = np.minimum.accumulate(solution[d:])  # at the optimum they fall; rounding may hide it
        yield {"coef": np.repeat(solution[:d, None], k, axis=1), "intercept": falling}


@dataclasses.dataclass(kw_only=True, eq=False, repr=False)
class OutputHead(LinearHead):
    """A linear head chosen by its loss on held-out images; y is coded, without missing labels.

    Attributes
    ----------
    held_ : ndarray of float32, shape (n, k)
        Scores of the held-out images under the chosen value, and `held_rows_` (int, (n,)): which images of train
        they are, or None where the validation images chose. Both are removed by `forget`.
    """

    calibrates: ClassVar[bool] = False

    def _solutions(
        self, features: NDArray[np.float32], y: NDArray[Any], values: Sequence[Any]
    ) -> Iterator[Model]:
        raise NotImplementedError

    def _loss(self, scores: NDArray[np.float32], y: NDArray[Any]) -> float:
        """Sum over images."""
        raise NotImplementedError

    def _strata(self, y: NDArray[Any]) -> NDArray[np.int64]:
        """What inner folds are balanced by."""
        raise NotImplementedError

    def fit(
        self,
        X: Any,
        y: Any,
        *,
        validation: tuple[Any, Any] | None = None,
        n_folds: int = 5,
        seed: int = 0,
        groups: Sequence[Any] | None = None,
        folds: Sequence[int] | None = None,
        refit: bool = False,
    ) -> OutputHead:
        """Choose on `validation`, else on inner folds of train, then fit on train; see `Head.fit`."""
        self._check_options(n_folds)
        try:
            features = np.asarray(validate_data(self, X, dtype=np.float32, order="C"))
        except ValueError as error:
            raise UsageError(str(error)) from error
        coded = np.asarray(y)
        held = None if validation is None else (self._features(validation[0]), np.asarray(validation[1]))
        self._fit_scaling(features)
        scaled = self._scaled(features)
        space = eigen_space(scaled)
        own = scaled if space is None else space.enter(scaled)
        rounds, rows = self._folds(own, coded, held, space, n_folds, seed, groups, folds)
        values = self._values(features)
        value, model = self._chosen(rounds, rows, values, held is not None)
        if refit and held is not None:
            both = np.concatenate([features, held[0]])
            self._fit_scaling(both)
            own, space, model = self._scaled(both), None, None
            coded = np.concatenate([coded, held[1]])
        found = model if model is not None else next(self._solutions(own, coded, [value]))
        self.model_ = found if space is None else space.leave(found)
        return self

    def scores(self, X: Any) -> NDArray[np.float32]:
        """Logits (n, k) of features."""
        return self._all_scores(X)

    def forget(self) -> None:
        """Drop what only the fit needed."""
        self.held_: Any = None
        self.held_rows_: Any = None

    def _folds(
        self,
        own: NDArray[np.float32],
        coded: NDArray[Any],
        held: tuple[NDArray[np.float32], NDArray[Any]] | None,
        space: EigenSpace | None,
        n_folds: int,
        seed: int,
        groups: Sequence[Any] | None,
        given: Sequence[int] | None = None,
    ) -> tuple[list[Fold], list[NDArray[np.int64]]]:
        self.temperature_, self.seed_matters_ = 1.0, False
        if held is not None and len(held[1]):
            self.selected_on_ = "validation"
            scaled = self._scaled(held[0])
            return [(own, coded, scaled if space is None else space.enter(scaled), held[1])], []
        strata = self._strata(coded)
        folds = (
            inner_folds(strata, n_folds, seed=seed, groups=groups)
            if given is None
            else given_folds(strata, given)
        )
        if not folds:
            self.selected_on_ = "nothing (too few images or groups to hold out)"
            warn(f"{self.name}: chosen on {self.selected_on_}, so the middle of the path is taken")
            return [], []
        kind = "inner" if given is None else "given inner"
        self.seed_matters_, self.selected_on_ = given is None, f"{len(folds)} {kind} folds"
        return [(own[a], coded[a], own[b], coded[b]) for a, b in folds], [b for _, b in folds]

    def _chosen(
        self, rounds: list[Fold], rows: list[NDArray[np.int64]], values: Sequence[Any], validated: bool
    ) -> tuple[Any, Model | None]:
        """The value with the least held-out loss; its model where the validation images chose."""
        walks = [self._solutions(one[0], one[1], values) for one in rounds]
        best: tuple[float, Any, Model, NDArray[np.float32]] | None = None
        self.path_, worse = [], 0
        self.forget()
        for value in values if rounds else ():
            models = [next(walk) for walk in walks]
            scores = [self._model_scores(m, one[2]) for m, one in zip(models, rounds, strict=True)]
            n = sum(len(one[3]) for one in rounds)
            loss = sum(self._loss(s, one[3]) for s, one in zip(scores, rounds, strict=True)) / n
            self.path_.append((dict(value), float(loss)))
            worse = 0 if best is None or loss < best[0] else worse + 1
            if best is None or loss < best[0]:
                best = (loss, value, models[0], np.concatenate(scores))
            if worse == N_WORSE_TO_STOP:
                break
        if best is None:
            self.chosen_ = dict(values[len(values) // 2])
            return values[len(values) // 2], None
        self.chosen_, self.held_ = dict(best[1]), best[3]
        self.held_rows_ = None if validated or not rows else np.concatenate(rows)
        return best[1], best[2] if validated and not rows else None


@dataclasses.dataclass(kw_only=True, eq=False, repr=False)
class LabelsHead(OutputHead):
    """Logistic regression of each label against the rest; y is (n, k) of 0 and 1."""

    name: ClassVar[str] = "logistic"
    tuned: ClassVar[tuple[str, ...]] = ("C",)
    C: float | None = option(None, "inverse regularisation; chosen along a path if not given", low=1e-12)

    def _values(self, features: NDArray[np.float32]) -> list[Any]:
        return [{"C": c} for c in (STRENGTHS if self.C is None else (self.C,))]

    def _solutions(
        self, features: NDArray[np.float32], y: NDArray[Any], values: Sequence[Any]
    ) -> Iterator[Model]:
        strengths = [each["C"] for each in values]
        return linear_path(features, y, y.shape[1], strengths, binary_cross_entropy, weights=self._weights(y))

    def _loss(self, scores: NDArray[np.float32], y: NDArray[Any]) -> float:
        return binary_cross_entropy(scores, y, self._weights(y))[0]

    def _weights(self, codes: NDArray[Any]) -> NDArray[np.float32] | None:
        return answer_weights(codes) if self.balanced else None

    def _strata(self, y: NDArray[Any]) -> NDArray[np.int64]:
        return rarest_label(y)

    def thresholds(self, y: NDArray[Any], validation: NDArray[Any] | None) -> tuple[float, ...]:
        """Per label, the probability from which it is given, by F1 on the held-out images."""
        if self.held_ is None:
            return (PLAIN,) * int(y.shape[1])
        truth = validation if self.held_rows_ is None else y[self.held_rows_]
        return best_thresholds(np.asarray(truth), np.asarray(expit(self.held_)))


@dataclasses.dataclass(kw_only=True, eq=False, repr=False)
class OrdinalHead(OutputHead):
    """Cumulative logits; y is (n,) of levels, 0 to n_levels - 1."""

    name: ClassVar[str] = "cumulative_logistic"
    tuned: ClassVar[tuple[str, ...]] = ("C",)
    n_levels: int = option(2, "levels", low=2)
    C: float | None = option(None, "inverse regularisation; chosen along a path if not given", low=1e-12)

    def _values(self, features: NDArray[np.float32]) -> list[Any]:
        return [{"C": c} for c in (STRENGTHS if self.C is None else (self.C,))]

    def _solutions(
        self, features: NDArray[np.float32], y: NDArray[Any], values: Sequence[Any]
    ) -> Iterator[Model]:
        strengths = [each["C"] for each in values]
        return ordinal_path(features, steps_above(y, self.n_levels), strengths, weights=self._weights(y))

    def _loss(self, scores: NDArray[np.float32], y: NDArray[Any]) -> float:
        return binary_cross_entropy(scores, steps_above(y, self.n_levels), self._weights(y))[0]

    def _weights(self, codes: NDArray[np.int64]) -> NDArray[np.float32] | None:
        return row_weights(codes, self.n_levels)[:, None] if self.balanced else None

    def _strata(self, y: NDArray[Any]) -> NDArray[np.int64]:
        return np.asarray(y, np.int64)


@dataclasses.dataclass(kw_only=True, eq=False, repr=False)
class NumberHead(OutputHead):
    """Ridge regression; y is (n,) of numbers, best with mean 0 and deviation 1."""

    name: ClassVar[str] = "ridge_regression"
    balances: ClassVar[bool] = False
    tuned: ClassVar[tuple[str, ...]] = ("alpha",)
    alpha: float | None = option(None, "penalty; chosen along a path if not given", low=1e-12)

    def _values(self, features: NDArray[np.float32]) -> list[Any]:
        return [{"alpha": a} for a in (PENALTIES if self.alpha is None else (self.alpha,))]

    def _solutions(
        self, features: NDArray[np.float32], y: NDArray[Any], values: Sequence[Any]
    ) -> Iterator[Model]:
        space = eigen_space(features)
        if space is None:
            raise UsageError("a number needs fewer features; take another pooling than flat")
        mean = float(np.mean(y, dtype=np.float64))
        along = space.enter(features).T.astype(np.float64) @ (np.asarray(y, np.float64) - mean)
        for value in values:
            coef = (along / (space.eigenvalues + value["alpha"]))[:, None].astype(np.float32)
            yield space.leave({"coef": coef, "intercept": np.array([mean], np.float32)})

    def _loss(self, scores: NDArray[np.float32], y: NDArray[Any]) -> float:
        return float(np.square(scores[:, 0] - y).sum(dtype=np.float64))

    def _strata(self, y: NDArray[Any]) -> NDArray[np.int64]:
        return quantile_bins(y)


def rarest_label(y: NDArray[Any]) -> NDArray[np.int64]:
    """For each image the rarest of its labels, k where it has none (int64, (n,))."""
    counts = y.sum(axis=0)
    worth = np.where(y > 0, counts, np.inf)
    return np.asarray(np.where((y > 0).any(axis=1), worth.argmin(axis=1), y.shape[1]), np.int64)


OUTPUT_HEADS = (LabelsHead, OrdinalHead, NumberHead)
