"""RBF SVM: the linear SVM's solver on features whose inner products are the kernel.

With K = U diag(e) U' the rows of U sqrt(e) are such features, so a kernel SVM is a linear SVM on them
(Chapelle 2007, "Training a support vector machine in the primal", section 3): one against the rest, squared
hinge, all classes at once, warm-started along C, which libsvm's pairwise solver cannot be. Above
`MOST_LANDMARKS` images the kernel is taken against that many of them (Nystroem; Williams & Seeger 2001).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from headstart.base.options import option
from headstart.methods.heads_base import Head
from headstart.methods.heads_distance import ROWS_AT_ONCE, squared_distances
from headstart.methods.heads_linear import linear_path, squared_hinge
from headstart.methods.heads_select import Choice, Model, Round, Step, choose

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_LANDMARKS = 4000
SMALLEST_EIGENVALUE = 3e-6  # of the largest: below it a direction is rounding error
MIDDLE = 1.0  # gamma, in units of 1 / (sum of the features' variances), at which C is chosen


@dataclasses.dataclass(kw_only=True, eq=False, repr=False)
class RBFSVMHead(Head):
    """One-vs-rest SVM with the kernel exp(-gamma |x - y|^2); probabilities by temperature scaling.

    C is chosen first, along a path at gamma = 1 / (sum of the features' variances); then gamma at that C.
    """

    name: ClassVar[str] = "rbf_svm"
    tuned: ClassVar[tuple[str, ...]] = ("gamma", "C")
    stops_early: ClassVar[bool] = True
    strengths: ClassVar[tuple[float, ...]] = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 100.0)
    widths: ClassVar[tuple[float, ...]] = (0.3, 1.0, 3.0)

    C: float | None = option(None, "inverse regularisation; chosen along a path if not given", low=1e-12)
    gamma: float | None = option(None, "inverse squared width of the kernel; chosen if not given", low=1e-12)

    def _values(self, features: NDArray[np.float32]) -> list[Any]:
        gamma = self._scale(features) * MIDDLE if self.gamma is None else float(self.gamma)
        strengths = self.strengths if self.C is None else (self.C,)
        return [{"gamma": gamma, "C": float(c)} for c in strengths]

    def _scale(self, features: NDArray[np.float32]) -> float:
        spread = float(features.var(axis=0, dtype=np.float64).sum())
        return 1.0 / spread if spread > 0 else 1.0

    def _choose(self, rounds: Sequence[Round], values: Sequence[Any]) -> Choice:
        first = super()._choose(rounds, values)
        if self.gamma is not None:
            return first
        middle, strength = first.value["gamma"], first.value["C"]
        others = [{"gamma": middle * w / MIDDLE, "C": strength} for w in self.widths if w != MIDDLE]
        walks = [self._walk(one, others) for one in rounds]
        second = choose(walks, rounds, others, stops_early=False, calibrates=True)
        visited = first.visited + second.visited
        better = second if second.accuracy > first.accuracy else first
        return dataclasses.replace(better, visited=visited)

    def _path(
        self, features: NDArray[np.float32], codes: NDArray[np.int64], values: Sequence[Any]
    ) -> Iterator[Model]:
        landmarks = _landmarks(features, codes)
        among = squared_distances(landmarks, landmarks)
        everyone = among if landmarks is features else squared_distances(features, landmarks)
        for gamma, strengths in _runs(values):
            back = _kernel_directions(np.exp(-np.float32(gamma) * among))
            mapped = np.exp(-np.float32(gamma) * everyone) @ back
            centre = mapped.mean(axis=0)
            for model in linear_path(mapped - centre, codes, len(self.classes_), strengths, squared_hinge):
                coef, intercept = back @ model["coef"], model["intercept"] - centre @ model["coef"]
                yield {"landmarks": landmarks, "gamma": gamma, "coef": coef, "intercept": intercept}

    def _walk(self, one: Round, values: Sequence[Any]) -> Iterator[Step]:
        """The kernel against the held-out images is computed once a gamma."""
        gamma, kernel = None, np.empty(0, np.float32)
        for model in self._path(one.features, one.codes, values):
            if model["gamma"] != gamma:
                gamma = model["gamma"]
                kernel = np.exp(-np.float32(gamma) * squared_distances(one.held_features, model["landmarks"]))
            yield model, kernel @ model["coef"] + model["intercept"]

    def _model_scores(self, model: Model, features: NDArray[np.float32]) -> NDArray[np.float32]:
        scores = np.empty((len(features), model["coef"].shape[1]), np.float32)
        for start in range(0, len(features), ROWS_AT_ONCE):
            rows = slice(start, start + ROWS_AT_ONCE)
            kernel = np.exp(
                -np.float32(model["gamma"]) * squared_distances(features[rows], model["landmarks"])
            )
            scores[rows] = kernel @ model["coef"] + model["intercept"]
        return scores


def _kernel_directions(kernel: NDArray[np.float32]) -> NDArray[np.float32]:
    """B (m, r) with K B = U sqrt(e): what takes kernel rows to features whose inner products are K."""
    values, vectors = np.linalg.eigh(kernel)
    kept = values > values[-1] * SMALLEST_EIGENVALUE
    return np.asarray(vectors[:, kept] / np.sqrt(values[kept]), dtype=np.float32)


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
