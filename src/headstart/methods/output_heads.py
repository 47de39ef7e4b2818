"""A head for one output on frozen features: what it is fitted on, what it says, how well it does where it chose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from headstart.base.errors import DataError
from headstart.methods.heads import make_head
from headstart.methods.heads_base import Head
from headstart.methods.heads_outputs import LabelsHead, NumberHead, OrdinalHead, OutputHead
from headstart.methods.output import Output, decide, is_missing, probabilities
from headstart.methods.output_scores import output_score

OWN_HEADS: dict[str, type[OutputHead]] = {"labels": LabelsHead, "ordinal": OrdinalHead, "number": NumberHead}
"""Heads of the kinds that are no classes, whatever head is asked for."""


@dataclass(frozen=True, eq=False)
class OutputModel:
    """A fitted output: how its logits become probabilities, and its head on features where it has one.

    Attributes
    ----------
    output : Output
    thresholds : tuple of float
        Of the kind "labels": from which probability on each label is given.
    temperature : float
        What logits are divided by.
    score : float
        How well it did on the images that chose (see `output_score`); NaN without any.
    selected_on : str
    chosen : dict
        What was tuned.
    head : Head, optional
        Scenario features alone.
    n_train, n_validation : int
        Images with this label.
    """

    output: Output
    thresholds: tuple[float, ...] = ()
    temperature: float = 1.0
    score: float = float("nan")
    selected_on: str = ""
    chosen: dict[str, Any] | None = None
    head: Head | None = None
    n_train: int = 0
    n_validation: int = 0

    def of_logits(self, logits: np.ndarray) -> np.ndarray:
        """Probabilities (or numbers) of logits (n, width)."""
        if self.output.kind == "number":
            return probabilities(self.output, logits)
        return probabilities(self.output, np.asarray(logits, np.float32) / np.float32(self.temperature))

    def of_features(self, features: np.ndarray) -> np.ndarray:
        """Probabilities (or numbers) of features (n, d)."""
        assert self.head is not None
        if isinstance(self.head, OutputHead):
            return self.of_logits(self.head.scores(features))
        return np.asarray(self.head.predict_proba(features))

    def decided(self, probability: np.ndarray) -> np.ndarray:
        """What is predicted, coded."""
        return decide(self.output, probability, self.thresholds or None)


def standardised(output: Output, coded: np.ndarray) -> np.ndarray:
    """Numbers in deviations from their mean; other codes as they are."""
    if output.kind != "number":
        return coded
    return np.asarray((coded - np.float32(output.centre)) / np.float32(output.scale), np.float32)


def fit_output_head(
    output: Output,
    features: np.ndarray,
    coded: np.ndarray,
    validation: tuple[np.ndarray, np.ndarray] | None,
    *,
    head: str = "logistic",
    head_options: dict[str, Any] | None = None,
    fixed: Mapping[str, Any] | None = None,
    balanced: bool = False,
    n_folds: int = 5,
    seed: int = 0,
    groups: Sequence[Any] | None = None,
    refit: bool = False,
) -> OutputModel:
    """Fit the head of one output on the images that have its label.

    Parameters
    ----------
    output : Output
    features : ndarray of float32, shape (n, d)
    coded : ndarray
        As `encode` gives it.
    validation : (features, coded), optional
        Images to choose on; where none has the label, inner folds of train serve.
    head, head_options
        Of the kind "classes"; labels, levels and numbers have the linear head of their kind (`OWN_HEADS`).
    fixed : dict, optional
        Options of the head of any kind that are not to be chosen.
    balanced : bool
        Let the classes, labels or levels count alike, however many images each has.
    n_folds, seed, groups, refit
        See `Head.fit`.

    Raises
    ------
    DataError
        No image with this label, or with one of its classes, is left to train on.
    """
    known = ~is_missing(output, coded)
    check_left(output, coded)
    held = None
    if validation is not None and (there := ~is_missing(output, validation[1])).any():
        held = (validation[0][there], standardised(output, validation[1][there]))
    y = standardised(output, coded[known])
    parts = None if groups is None else [g for g, k in zip(groups, known.tolist(), strict=True) if k]
    made = _head(output, head, head_options or {}, balanced).set_params(**(fixed or {}))
    made.fit(
        features[known], y, validation=held, n_folds=n_folds, seed=seed, groups=parts, refit=refit
    )  # fmt: skip
    thresholds: tuple[float, ...] = ()
    if isinstance(made, LabelsHead):
        thresholds = made.thresholds(y, None if held is None else held[1])
    score = _score(output, made, y, held)
    if isinstance(made, OutputHead):
        made.forget()
    return OutputModel(
        output, thresholds, 1.0, score, made.selected_on_, made.chosen_, made, int(known.sum()),
        0 if held is None else len(held[1]),
    )  # fmt: skip


def check_left(output: Output, coded: np.ndarray) -> None:
    """Refuse to train an output of which the readable training images say too little.

    Raises
    ------
    DataError
    """
    known = coded[~is_missing(output, coded)]
    if not len(known):
        raise DataError(f"{output.name}: no readable training image has this label")
    if output.kind == "classes":
        gone = [level for code, level in enumerate(output.levels) if not (known == code).any()]
        if gone:
            listed = ", ".join(map(repr, gone[:5]))
            raise DataError(f"{output.name}: no readable training image is left of {listed}")


def _head(output: Output, name: str, options: dict[str, Any], balanced: bool) -> Head:
    if output.kind == "classes":
        return make_head(name, **{**options, **({"balanced": True} if balanced else {})})
    if output.kind == "ordinal":
        return OrdinalHead(n_levels=len(output.levels), balanced=balanced)
    return OWN_HEADS[output.kind](balanced=balanced)


def _score(output: Output, head: Head, y: np.ndarray, held: tuple[np.ndarray, np.ndarray] | None) -> float:
    """On the held-out images, in the scores of the fit (before validation images may join train)."""
    if not isinstance(head, OutputHead):
        return float(head.selection_)
    if head.held_ is None:
        return float("nan")
    truth = y[head.held_rows_] if head.held_rows_ is not None else (held or (y, y))[1]
    plain = Output(output.name, output.kind, output.levels, output.separator)  # numbers in deviations
    plain = plain if output.kind != "number" else Output(output.name, "number", (), centre=0.0, scale=1.0)
    return output_score(plain, head.held_, truth)
