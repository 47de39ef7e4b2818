"""The linear head that training starts from, and which images choose: given validation images, or folds of train.

Where folds of train choose, one of them is held out of training and judges its epochs. The regularisation of the
head that training starts from is chosen by all of them, as the heads on frozen features have it (`Head.fit`); where
no epoch betters the start, that head, fitted on all of train, is what is kept, with the score of all folds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import numpy as np

from headstart.methods.heads_select import inner_folds

if TYPE_CHECKING:
    from headstart.methods.curve import Trained

Made = TypeVar("Made", covariant=True)
Whole = TypeVar("Whole")


@dataclass(frozen=True, eq=False)
class Division:
    """Rows of the images that a network learns from and is chosen by.

    Attributes
    ----------
    rows : ndarray of int
        All of train.
    train, held : ndarray of int
        What trains, and what chooses the epoch.
    chosen_on : str
        What chooses: "validation", "1 of 5 inner folds" or why nothing does.
    n_folds, seed, groups
        What draws the inner folds of train; `groups` of `rows`.
    inner : bool
        Whether the images that choose are an inner fold of train.
    """

    rows: np.ndarray
    train: np.ndarray
    held: np.ndarray
    chosen_on: str
    n_folds: int
    seed: int
    groups: list[Any] | None = None
    inner: bool = False


def divided(
    rows: np.ndarray,
    held: np.ndarray,
    codes: np.ndarray,
    groups: Sequence[Any] | None,
    *,
    n_folds: int,
    seed: int,
    alone: str,
) -> Division:
    """Choose on the images that are held, else on the first inner fold of train.

    Parameters
    ----------
    rows, held : ndarray of int
        Rows of train, and of given validation images (may be none).
    codes : ndarray, shape (len(rows),)
        What the folds are stratified by.
    groups : sequence, shape (len(rows),), optional
        What they must not part.
    alone : str
        What has a single image where nothing can be held out.
    """
    parts = None if groups is None else list(groups)
    if len(held):
        return Division(rows, rows, held, "validation", n_folds, seed, parts)
    folds = inner_folds(codes, n_folds, seed=seed, groups=parts)
    if not folds:
        said = f"nothing ({alone} has a single image): the last epoch is kept"
        return Division(rows, rows, rows[:0], said, n_folds, seed, parts)
    train, out = folds[0]
    name = f"1 of {len(folds)} inner folds"
    return Division(rows, rows[train], rows[out], name, n_folds, seed, parts, inner=True)


class Fit(Protocol[Made]):
    """Fits a head on some rows, choosing its options on others or, without these, on inner folds."""

    def __call__(
        self, rows: np.ndarray, held: np.ndarray | None, options: Mapping[str, Any], groups: list[Any] | None
    ) -> Made:
        """The head, fitted on `rows`."""


@dataclass(frozen=True, eq=False)
class Start(Generic[Made]):
    """The head that training starts from; `whole` is the one on all of train, where an inner fold chooses."""

    head: Made
    whole: Made | None = None


def start_of(
    division: Division, fit: Fit[Made], options_of: Callable[[Made], Mapping[str, Any]]
) -> Start[Made]:
    """Fit the head that training starts from.

    Parameters
    ----------
    division : Division
    fit : callable
        See `Fit`.
    options_of : callable
        The options that were chosen for a fitted head.
    """
    if not division.inner:
        return Start(fit(division.train, division.held if len(division.held) else None, {}, None))
    whole = fit(division.rows, None, {}, division.groups)
    return Start(fit(division.train, division.held, options_of(whole), None), whole)


def kept_start(trained: Trained, whole: Whole | None) -> Whole | None:
    """What was fitted on all of train, where no epoch bettered the fitted head on an inner fold; else None.

    Else training that brings nothing would cost a fifth of the images. Validation images that are given train nothing.
    """
    return whole if trained.kept_epoch == 0 and trained.kept_accuracy is not None else None
