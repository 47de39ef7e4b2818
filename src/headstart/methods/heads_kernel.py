"""RBF SVM: the linear SVM's solver on features whose inner products are the kernel.

With K = U diag(e) U' the rows of U sqrt(e) are such features, so a kernel SVM is a linear SVM on them
(Chapelle 2007, "Training a support vector machine in the primal", section 3): one against the rest, squared
hinge, all classes at once, warm-started along C, which libsvm's pairwise solver cannot be. Above
`MOST_LANDMARKS` images the kernel is taken against that many of them (Nystroem; Williams & Seeger 2001).
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from headstart.base.options import between, option
from headstart.methods.heads_base import Head
from headstart.methods.heads_distance import ROWS_AT_ONCE, squared_distances
from headstart.methods.heads_linear import linear_path, squared_hinge
from headstart.methods.heads_select import Choice, Model, Round, Step

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_LANDMARKS = 4000
SMALLEST_EIGENVALUE = 3e-6  # of the largest: below it a direction is rounding error


@dataclasses.dataclass(frozen=True, eq=False)
class KernelSpace:
    """Features whose inner products are the kernel.

    Attributes
    ----------
    landmarks : ndarray, shape (m, d)
    gamma : float
    back : ndarray, shape (m, r)
        Takes a row of kernel values with the landmarks to its r features.
    """

    landmarks: NDArray[np.float32]
    gamma: float
    back: NDArray[np.float32]

    def enter(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Kernel features (n, r) of scaled features (n, d)."""
        return np.asarray(
            np.exp(-np.float32(self.gamma) * squared_distances(features, self.landmarks)) @ self.back
        )

    def leave(self, model: Model) -> Model:
        """A linear model of kernel features as one of kernel values with the landmarks."""
        coef = self.back @ model["coef"]
        return {
            "landmarks": self.landmarks,
            "gamma": self.gamma,
            "coef": coef,
            "intercept": model["intercept"],
        }


@dataclasses.dataclass(kw_only=True, eq=False, repr=False)
class RBFSVMHead(Head):
    """One-vs-rest SVM with the kernel exp(-gamma |x - y|^2); probabilities by temperature scaling.

    C is chosen first, along a path at gamma = 1 / (sum of the features' variances); then gamma at that C.
    """

    name: ClassVar[str] = "rbf_svm"
    tuned: ClassVar[tuple[str, ...]] = ("gamma", "C")
    strengths: ClassVar[tuple[float, ...]] = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
    widths: ClassVar[tuple[float, ...]] = (0.3, 3.0)  # of gamma, tried after C

    C: float | None = option(
        None,
        "inverse regularisation; chosen along a path if not given",
        low=1e-12,
        search=between(1e-3, 1e3, log=True),
    )
    gamma: float | None = option(
        None,
        "inverse squared width of the kernel; chosen if not given",
        low=1e-12,
        search=between(1e-5, 1.0, log=True),
    )

    @classmethod
    def most_tried(cls) -> int:
        """The most settings that a fit compares: every C, then two widths beside the first."""
        return len(cls.strengths) + len(cls.widths)

    def _values(self, features: NDArray[np.float32]) -> list[Any]:
        gamma = self._scale(features) if self.gamma is None else float(self.gamma)
        strengths = self.strengths if self.C is None else (self.C,)
        return [{"gamma": gamma, "C": float(c)} for c in strengths]

    def _scale(self, features: NDArray[np.float32]) -> float:
        spread = float(features.var(axis=0, dtype=np.float64).sum())
        return 1.0 / spread if spread > 0 else 1.0

    def _choose(self, rounds: Sequence[Round], values: Sequence[Any]) -> Choice:
        # inner folds hold out every image once, so together they are train: one eigenbasis serves them all
        one = rounds[0] if len(rounds) == 1 else None
        features = one.features if one else np.concatenate([r.held_features for r in rounds])
        codes = one.codes if one else np.concatenate([r.held_codes for r in rounds])
        landmarks = _landmarks(features, codes)
        spaces = functools.lru_cache(maxsize=1)(lambda gamma: kernel_space(landmarks, gamma))

        def judged(values: Sequence[Any], stops_early: bool) -> Choice:
            walks = [self._walk_in(spaces, r, values) for r in rounds]
            return self._best(walks, rounds, values, stops_early)

        first = judged(values, True)
        if self.gamma is not None:
            return first
        middle, strength = first.value["gamma"], first.value["C"]
        second = judged([{"gamma": middle * w, "C": strength} for w in self.widths], False)
        better = second if second.worth > first.worth else first
        return dataclasses.replace(better, visited=first.visited + second.visited)

    def _walk_in(
        self, spaces: Callable[[float], KernelSpace], one: Round, values: Sequence[Any]
    ) -> Iterator[Step]:
        for gamma, strengths in _runs(values):
            space = spaces(gamma)
            held = space.enter(one.held_features)
            for model in self._models(space.enter(one.features), one.codes, strengths):
                yield space.leave(model), held @ model["coef"] + model["intercept"]

    def _path(
        self, features: NDArray[np.float32], codes: NDArray[np.int64], values: Sequence[Any]
    ) -> Iterator[Model]:
        for gamma, strengths in _runs(values):
            space = kernel_space(_landmarks(features, codes), gamma)
            for model in self._models(space.enter(features), codes, strengths):
                yield space.leave(model)

    def _models(
        self, mapped: NDArray[np.float32], codes: NDArray[np.int64], strengths: Sequence[float]
    ) -> Iterator[Model]:
        """Linear models of the mapped features; they are centred for the solver's sake."""
        centre = mapped.mean(axis=0)
        found = linear_path(
            mapped - centre, codes, len(self.classes_), strengths, squared_hinge, weights=self._weights(codes)
        )
        for model in found:
            yield {"coef": model["coef"], "intercept": model["intercept"] - centre @ model["coef"]}

    def _model_scores(self, model: Model, features: NDArray[np.float32]) -> NDArray[np.float32]:
        scores = np.empty((len(features), model["coef"].shape[1]), np.float32)
        for start in range(0, len(features), ROWS_AT_ONCE):
            rows = slice(start, start + ROWS_AT_ONCE)
            kernel = np.exp(
                -np.float32(model["gamma"]) * squared_distances(features[rows], model["landmarks"])
            )
            scores[rows] = kernel @ model["coef"] + model["intercept"]
        return scores


def kernel_space(landmarks: NDArray[np.float32], gamma: float) -> KernelSpace:
    """The features of a kernel, from the eigenbasis of its matrix among the landmarks (m, d)."""
    kernel = np.exp(-np.float32(gamma) * squared_distances(landmarks, landmarks))
    values, vectors = np.linalg.eigh(kernel)
    kept = values > values[-1] * SMALLEST_EIGENVALUE
    return KernelSpace(landmarks, gamma, vectors[:, kept] / np.sqrt(values[kept]))


def _runs(values: Sequence[Any]) -> Iterator[tuple[float, list[float]]]:
    """Neighbouring values of one gamma, together."""
    start = 0
    for end in range(1, len(values) + 1):
        if end == len(values) or values[end]["gamma"] != values[start]["gamma"]:
            yield values[start]["gamma"], [value["C"] for value in values[start:end]]
            start = end


def _landmarks(features: NDArray[np.float32], codes: NDArray[np.int64]) -> NDArray[np.float32]:
    """All images, or `MOST_LANDMARKS` of them, evenly spread over the classes."""
    if len(features) <= MOST_LANDMARKS:
        return features
    order = np.argsort(codes, kind="stable")
    return features[order[np.linspace(0, len(order) - 1, MOST_LANDMARKS).astype(np.int64)]]
