"""What every method is: a scikit-learn classifier on images, with a record of how it was chosen.

`testing/methods.py` holds the suite that each must pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np


class Method(Protocol):
    """A scenario with its options, as a scikit-learn classifier on paths, PIL images or arrays.

    Attributes after `fit`: `classes_`, `chosen_` (what was tuned), `selection_` (accuracy it was chosen by),
    `selected_on_` ("validation" or "5 inner folds").
    """

    scenario: str
    classes_: np.ndarray
    chosen_: dict[str, Any]
    selection_: float
    selected_on_: str

    def fit(
        self,
        X: Any,
        y: Any,
        *,
        validation: tuple[Any, Any] | None = None,
        groups: Sequence[Any] | None = None,
    ) -> Any:
        """Learn on train, choose on validation if given, else on inner folds of train; never see test."""
        ...

    def predict(self, X: Any) -> np.ndarray:
        """Labels (n,)."""
        ...

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities (n, k), columns as in `classes_`."""
        ...

    def score(self, X: Any, y: Any) -> float:
        """Accuracy."""
        ...
