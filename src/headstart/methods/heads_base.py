"""What every head shares: options, checks, scaling, choosing on held-out images, calibrated probabilities.

A head is a scikit-learn classifier on features. Its own part is a path: fitted models from strong to weak
regularisation. Everything else, from the checks to the temperature, is here. Test images are never seen.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from headstart.base.errors import BadOptions, UsageError
from headstart.base.events import warn
from headstart.base.options import among, mistakes, option
from headstart.methods.calibrate import fit_temperature, softmax
from headstart.methods.class_weights import row_weights
from headstart.methods.heads_select import Choice, Model, Round, Step, choose, given_folds, inner_folds
from headstart.methods.heads_shared import once
from headstart.methods.heads_space import EigenSpace, unit_rows

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

ROWS = 64  # at once
MANY = 20
"""Images a class from which on the deviation of a single feature is known well enough to divide by it."""
NOTHING = "nothing (every class has a single image)"


def _is_number(value: Any) -> bool:
    """A number, or None where it is to be chosen."""
    return value is None or (isinstance(value, int | float | np.number) and not isinstance(value, bool))


def _scaling(
    features: NDArray[np.float32], standardise: bool
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What to take off each feature and what to divide it by, both (d,)."""
    mean = features.mean(axis=0, dtype=np.float64)
    variances = _variances(features, mean)
    variances[variances <= np.square(1e-6 * mean)] = 0  # constant but for rounding
    if not standardise:
        variances[:] = variances.mean()
    scale = np.sqrt(np.where(variances > 1e-30, variances, 1.0))
    return mean.astype(np.float32), scale.astype(np.float32)


def _variances(features: NDArray[np.float32], mean: NDArray[np.float64]) -> NDArray[np.float64]:
    """Variance of each feature, by rows that fit into the processor's cache."""
    total = np.zeros(features.shape[1])
    for first in range(0, len(features), ROWS):
        centred = features[first : first + ROWS] - mean
        total += np.einsum("ij,ij->j", centred, centred)
    return total / len(features)


def cannot_balance(head: str) -> str:
    """That a head cannot let classes count alike, and what to do."""
    return f"the head {head} cannot weigh classes; take another head, or leave it out"


def _unchanged(features: NDArray[np.float32]) -> NDArray[np.float32]:
    return features


@dataclasses.dataclass(kw_only=True, eq=False, repr=False)
class Head(ClassifierMixin, BaseEstimator):  # type: ignore[misc,unused-ignore]
    """A classifier on features.

    Attributes
    ----------
    classes_ : ndarray, shape (k,)
    chosen_ : dict
        What was tuned, e.g. {"C": 0.01}; empty for a head with nothing to tune.
    path_ : list of (dict, float)
        Values visited, strong to weak, with their accuracy on the held-out images.
    selection_ : float
        Held-out accuracy of the chosen value, images counting 1 each; NaN where nothing could be held out.
    selected_on_ : str
        "validation", "5 inner folds" ... or why there was nothing to choose on.
    seed_matters_ : bool
        Whether the seed changed anything in this fit (inner folds were drawn).
    standardised_ : bool
        Whether every feature was given deviation 1.
    temperature_ : float
        What decision scores are divided by before the softmax; 1 where the head has probabilities.
    model_ : dict of arrays and numbers
        The fitted model, for features that are scaled already.
    """

    name: ClassVar[str]
    tuned: ClassVar[tuple[str, ...]] = ()
    calibrates: ClassVar[bool] = True
    stops_early: ClassVar[bool] = False
    balances: ClassVar[bool] = True
    grid: ClassVar[tuple[float, ...]] = ()

    unit_length: bool = option(
        True, "bring every image's features to length 1 first", search=among(True, False)
    )
    standardise: bool | None = option(
        False,
        "give every feature deviation 1 (of train), not all of them one factor",
        search=among(True, False),
    )
    balanced: bool = option(False, "let every class count alike, in the fit and in what is chosen")

    # ---- what a head brings -------------------------------------------------------------------------

    def _values(self, features: NDArray[np.float32]) -> list[Any]:
        """What is tuned, from strong to weak regularisation; one value where the caller fixed it."""
        return [{}]

    def _path(
        self, features: NDArray[np.float32], codes: NDArray[np.int64], values: Sequence[Any]
    ) -> Iterator[Model]:
        """Fitted models, one a value, each starting from the one before where it can."""
        raise NotImplementedError

    def _space(self, features: NDArray[np.float32]) -> EigenSpace | None:
        """Where paths are walked: the eigenbasis of train, for heads that a rotation does not change."""
        return None

    def _model_scores(self, model: Model, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Decision scores (n, k) of scaled features."""
        raise NotImplementedError

    def _walk(self, one: Round, values: Sequence[Any]) -> Iterator[Step]:
        """Models of a path with their scores of the held-out images."""
        for model in self._path(one.features, one.codes, values):
            yield model, self._model_scores(model, one.held_features)

    def _choose(self, rounds: Sequence[Round], values: Sequence[Any]) -> Choice:
        walks = [self._walk(one, values) for one in rounds]
        return self._best(walks, rounds, values, self.stops_early)

    def _best(
        self,
        walks: Sequence[Iterator[Step]],
        rounds: Sequence[Round],
        values: Sequence[Any],
        stops_early: bool,
    ) -> Choice:
        """What held-out images choose, each with the weight that it would have in a fit."""
        weights = self._weights(np.concatenate([one.held_codes for one in rounds]))
        return choose(
            walks, rounds, values, stops_early=stops_early, calibrates=self.calibrates,
            weights=None if weights is None else weights[:, 0],
        )  # fmt: skip

    def _probabilities(self, scores: NDArray[np.float32]) -> NDArray[np.float32]:
        return softmax(scores / np.float32(self.temperature_))

    def _mistakes(self) -> list[str]:
        return []

    def _weights(self, codes: NDArray[np.int64]) -> NDArray[np.float32] | None:
        """What each image counts (n, 1), None where all count 1."""
        return row_weights(codes, len(self.classes_))[:, None] if self.balanced else None

    # ---- scikit-learn's face ------------------------------------------------------------------------

    @classmethod
    def most_tried(cls) -> int:
        """The most settings that a fit compares on held-out images; 1 where nothing is tuned."""
        return len(cls.grid) if cls.tuned else 1

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        validation: tuple[ArrayLike, ArrayLike] | None = None,
        n_folds: int = 5,
        seed: int = 0,
        groups: Sequence[Any] | None = None,
        folds: Sequence[int] | None = None,
        refit: bool = False,
    ) -> Head:
        """Choose on `validation`, else on inner folds of train, then fit on train.

        Parameters
        ----------
        X : array of float, shape (n, d)
            Features.
        y : array, shape (n,)
            Labels of any one kind (str, int, bool).
        validation : (X, y), optional
            Held-out images to choose by. Labels that train lacks are left out, with a warning.
        n_folds : int
            Inner folds where there is no validation, at least 2; fewer where the smallest class is smaller.
        seed : int
            Of the inner folds.
        groups : sequence, shape (n,), optional
            What inner folds must not part.
        folds : sequence of int, shape (n,), optional
            The inner fold of each row, where they are given; none is drawn then.
        refit : bool
            Let the validation images join train in the last fit.

        Raises
        ------
        BadOptions
            Every wrong option at once.
        UsageError
            NaN or infinite features, one class only, lengths that do not agree.
        """
        self._check_options(n_folds)
        features, labels = self._checked(X, y)
        self.classes_, codes = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise UsageError(
                f"a classifier needs two classes or more; got one class only: {self.classes_[0]!r}"
            )
        groups = self._checked_groups(groups, len(codes))
        held = None if validation is None else self._held(*validation)
        self._fit_scaling(features)
        scaled = self._scaled(features)
        values = self._values(scaled)
        space = self._space(scaled)
        inside = space.enter if space else _unchanged
        own = inside(scaled)
        rounds = self._rounds(own, codes, held, inside, n_folds, seed, groups, folds)
        choice = self._choose(rounds, values) if rounds else None
        self._record(choice, values)
        value = choice.value if choice else values[len(values) // 2]
        kept = choice.model if choice else None
        if refit and held is not None:
            features, codes = np.concatenate([features, held[0]]), np.concatenate([codes, held[1]])
            self._fit_scaling(features)
            own, space, kept = self._scaled(features), None, None
        model = kept if kept is not None else next(self._path(own, codes, [value]))
        self.model_ = model if space is None else space.leave(model)
        return self

    def decision_function(self, X: ArrayLike) -> NDArray[np.float32]:
        """Scores (n, k) before the temperature; for two classes (n,): second minus first."""
        scores = self._all_scores(X)
        return scores[:, 1] - scores[:, 0] if scores.shape[1] == 2 else scores

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float32]:
        """Probabilities (n, k), columns in the order of `classes_`, rows summing to 1."""
        return self._probabilities(self._all_scores(X))

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """The class with the largest probability (the first of equals)."""
        chosen = self.predict_proba(X).argmax(axis=1)
        return np.asarray(self.classes_[chosen])

    # ---- steps of fit ---------------------------------------------------------------------------------

    def _check_options(self, n_folds: int) -> None:
        found = [*mistakes(self), *self._mistakes()]
        if self.balanced and not self.balances:
            found.append(f"balanced: {cannot_balance(self.name)}")
        found += [
            f"{field.name}: {getattr(self, field.name)!r} must be True or False"
            for field in dataclasses.fields(self)
            if (isinstance(field.default, bool) or field.name == "standardise")
            and not isinstance(getattr(self, field.name), bool | np.bool_)
            and getattr(self, field.name) is not field.default
        ]
        found += [
            f"{field.name}: {getattr(self, field.name)!r} is not a number"
            for field in dataclasses.fields(self)
            if field.metadata["low"] is not None and not _is_number(getattr(self, field.name))
        ]
        if not isinstance(n_folds, int | np.integer) or n_folds < 2:
            found.append(f"n_folds: {n_folds!r} is not a whole number of at least 2")
        if found:
            raise BadOptions(found)

    def _checked(self, X: ArrayLike, y: ArrayLike) -> tuple[NDArray[np.float32], NDArray[Any]]:
        try:
            features, labels = validate_data(self, X, y, dtype=np.float32, order="C")
            check_classification_targets(labels)
        except ValueError as error:
            raise UsageError(str(error)) from error
        return np.asarray(features), np.asarray(labels)

    def _features(self, X: ArrayLike) -> NDArray[np.float32]:
        try:
            found = validate_data(self, X, dtype=np.float32, order="C", reset=False)
        except ValueError as error:
            raise UsageError(str(error)) from error
        return np.asarray(found)

    def _checked_groups(self, groups: Sequence[Any] | None, n: int) -> Sequence[Any] | None:
        if groups is not None and len(groups) != n:
            raise UsageError(f"groups: one a row of X is needed ({n}); got {len(groups)}")
        return groups

    def _held(self, X: ArrayLike, y: ArrayLike) -> tuple[NDArray[np.float32], NDArray[np.int64]] | None:
        features, labels = self._features(X), np.asarray(y)
        if labels.shape != (len(features),):
            raise UsageError(
                f"validation: {len(features)} rows of features but labels of shape {labels.shape}"
            )
        known = np.isin(labels, self.classes_)
        if not known.all():
            names = ", ".join(repr(label) for label in np.unique(labels[~known])[:5].tolist())
            warn(f"{int((~known).sum())} validation images have labels that train lacks ({names}); left out")
        if not known.any():
            raise UsageError("validation: none of its labels is among those of train")
        return features[known], np.searchsorted(self.classes_, labels[known])

    def _fit_scaling(self, features: NDArray[np.float32]) -> None:
        """Centre by the mean of train; divide by each feature's deviation, or by their root mean square."""
        known = unit_rows(features) if self.unit_length else features
        self.standardised_ = each = bool(
            len(known) >= MANY * len(self.classes_) if self.standardise is None else self.standardise
        )
        self.mean_, self.scale_ = once(f"scaling {each}", (known,), lambda: _scaling(known, each))

    def _scaled(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        known = unit_rows(features) if self.unit_length else features
        arrays = (known, self.mean_, self.scale_)
        return once("scaled", arrays, lambda: np.asarray((known - self.mean_) / self.scale_))

    def _rounds(
        self,
        scaled: NDArray[np.float32],
        codes: NDArray[np.int64],
        held: tuple[NDArray[np.float32], NDArray[np.int64]] | None,
        inside: Callable[[NDArray[np.float32]], NDArray[np.float32]],
        n_folds: int,
        seed: int,
        groups: Sequence[Any] | None,
        given: Sequence[int] | None = None,
    ) -> list[Round]:
        """The validation split as one round, else inner folds (scaled once, by all of train)."""
        self.seed_matters_ = False
        if held is not None:
            self.selected_on_ = "validation"
            return [Round(scaled, codes, inside(self._scaled(held[0])), held[1])]
        folds = (
            inner_folds(codes, n_folds, seed=seed, groups=groups)
            if given is None
            else given_folds(codes, given)
        )
        if not folds:
            self.selected_on_ = (
                NOTHING if groups is None else "nothing (too few images or groups to hold out)"
            )
            warn(f"{self.name}: chosen on {self.selected_on_}, so the middle of the path is taken")
            return []
        kind = "inner" if given is None else "given inner"
        self.seed_matters_, self.selected_on_ = given is None, f"{len(folds)} {kind} folds"
        return [Round(scaled[train], codes[train], scaled[out], codes[out]) for train, out in folds]

    def _record(self, choice: Choice | None, values: Sequence[Any]) -> None:
        self.chosen_ = dict(choice.value if choice else values[len(values) // 2])
        self.path_ = [(dict(value), accuracy) for value, accuracy in choice.visited] if choice else []
        self.selection_ = choice.accuracy if choice else float("nan")
        self.temperature_ = 1.0
        if choice and self.calibrates:
            self.temperature_ = fit_temperature(choice.scores, choice.codes)

    def _all_scores(self, X: ArrayLike) -> NDArray[np.float32]:
        check_is_fitted(self, "model_")
        return self._model_scores(self.model_, self._scaled(self._features(X)))
