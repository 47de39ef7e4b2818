"""What a tuning found, as frozen values and as JSON: searches with their trials, and what it was worth on test."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart.base.errors import UsageError

FILE = "tuning.json"
UNFINISHED = "unfinished"
"""Stands beside the record while trials are under way, or were stopped."""
DONE, PRUNED, FAILED = "done", "pruned", "failed"


@dataclass(frozen=True)
class TrialRecord:
    """One trial.

    Attributes
    ----------
    number : int
    state : {"done", "pruned", "failed"}
    params : dict
        Every dimension with its value, the fixed ones too.
    value : float or None
        Accuracy on what chooses; of a pruned trial the last it told.
    loss : float or None
    seconds : float
    default : bool
        Whether these are the method's defaults.
    error, given_up : str
        Why it failed; when it was given up.
    """

    number: int
    state: str
    params: Mapping[str, Any]
    value: float | None
    loss: float | None = None
    seconds: float = 0.0
    default: bool = False
    error: str = ""
    given_up: str = ""


@dataclass(frozen=True)
class SearchRecord:
    """One method on one part of the data.

    Attributes
    ----------
    method : str
    fold : int
    space : list of dict
        See `Dimension.to_dict`.
    trials : tuple of TrialRecord
    best : int or None
        Number of the best trial; None where none was done.
    default : dict
        value, params, seconds of the method's defaults.
    importance : dict
        Share of the variance of the value that each dimension explains (fANOVA); empty where `cannot_tell`.
    cannot_tell : str
    borders : tuple of dict
        name, value and end ("low" or "high") where the best value lies on a border of the space.
    """

    method: str
    fold: int
    space: Sequence[Mapping[str, Any]]
    trials: tuple[TrialRecord, ...]
    best: int | None
    default: Mapping[str, Any]
    importance: Mapping[str, float]
    cannot_tell: str = ""
    borders: tuple[Mapping[str, Any], ...] = ()

    @property
    def best_trial(self) -> TrialRecord | None:
        """The best trial."""
        return next((each for each in self.trials if each.number == self.best), None)

    def count(self, state: str) -> int:
        """Trials of that state."""
        return sum(each.state == state for each in self.trials)


@dataclass(frozen=True)
class Worth:
    """A method tuned and with its defaults on the same test images, read once, after everything was chosen.

    Attributes
    ----------
    method : str
    chosen_by, default_chosen_by : float
        Accuracy on what chooses, the mean of the folds.
    tuned, default : dict
        value, low, high: test accuracy with its 95 % interval.
    difference : dict
        value, low, high, p, test, n_differ: tuned minus default (see `measure.paired.paired_accuracy`).
    n : int
        Test images.
    n_seeds : int
    params : tuple of dict
        What was chosen in each fold.
    same : bool
        Whether tuning ended with the defaults.
    """

    method: str
    chosen_by: float
    default_chosen_by: float
    tuned: Mapping[str, float]
    default: Mapping[str, float]
    difference: Mapping[str, Any]
    n: int
    n_seeds: int
    params: tuple[Mapping[str, Any], ...]
    same: bool


@dataclass(frozen=True)
class Tuning:
    """The whole record.

    Attributes
    ----------
    data, target, command : str
    plan : dict
        See `TunePlan`.
    classes : tuple of str
    n_train, n_validation, n_test : int
        Of the first part.
    selected_on : str
        What chooses: "validation", or inner folds of train.
    searches : tuple of SearchRecord
    worth : tuple of Worth
        The best by what chooses first.
    seconds : float
        Of this and earlier runs.
    n_test_reads : int
        How often the test images were read at the end of this tuning: more than once where trials were added.
    warnings : tuple of str
    source : dict
        How the images were read: `data` and the options of reading; {} where it was made in Python.
    contents : tuple of str
        Images, labels and division of each part; () of an older tuning.
    unread : tuple of str
        Digests of the labelled images that cannot be read.
    teacher : str
        Content of the fitted teacher, else its name; "" without one.
    """

    data: str
    target: str
    command: str
    plan: Mapping[str, Any]
    classes: tuple[str, ...]
    n_train: int
    n_validation: int
    n_test: int
    selected_on: str
    searches: tuple[SearchRecord, ...]
    worth: tuple[Worth, ...]
    seconds: float
    n_test_reads: int
    warnings: tuple[str, ...]
    names: tuple[str, ...] = ()
    versions: Mapping[str, str] = dataclasses.field(default_factory=dict)
    source: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    contents: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    teacher: str = ""

    @property
    def best(self) -> Worth:
        """The best method by what chooses."""
        return self.worth[0]

    def to_dict(self) -> dict[str, Any]:
        """JSON-like."""
        return dataclasses.asdict(self)


def search_from(kept: Mapping[str, Any]) -> SearchRecord:
    """A search from its JSON-like values."""
    return SearchRecord(**{
        **kept, "trials": tuple(TrialRecord(**trial) for trial in kept["trials"]),
        "borders": tuple(kept["borders"]),
    })  # fmt: skip


def load_tuning(folder: str | Path) -> Tuning:
    """The record in a folder.

    Raises
    ------
    UsageError
        There is none, or it is no record of a tuning.
    """
    path = Path(folder) / FILE
    try:
        kept = json.loads(path.read_text("utf-8"))
        searches = tuple(search_from(each) for each in kept["searches"])
        worth = tuple(Worth(**{**each, "params": tuple(each["params"])}) for each in kept["worth"])
        tuples = {name: tuple(kept[name]) for name in ("classes", "warnings", "names")}
        tuples |= {name: tuple(kept.get(name, ())) for name in ("contents", "unread")}
        return Tuning(**{**kept, "searches": searches, "worth": worth, **tuples})
    except FileNotFoundError as error:
        raise UsageError(
            f"{folder} holds no finished tuning; run headstart tune DATA --out {folder}"
        ) from error
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise UsageError(f"{path} is no record of a tuning: {error}") from error
