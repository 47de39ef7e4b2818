"""One trial: a configuration in, its score on the images that choose out; the test rows are not touched.

A head's trial runs on features that all trials share; a trial that trains shares the frozen part's activations,
and can be given up after any epoch.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from headstart.base.errors import HeadstartError
from headstart.base.events import collected_warnings, unheard
from headstart.images.table import ImageTable
from headstart.methods.heads import make_head
from headstart.methods.training_options import own_epochs
from headstart.methods.tune.divide import Part
from headstart.methods.tune.space import Space

if TYPE_CHECKING:
    from headstart.methods.finetune import FineTuneClassifier

FAILURES = (
    *(HeadstartError, ValueError, TypeError, ArithmeticError),
    *(LookupError, RuntimeError, MemoryError, AssertionError),
)
"""What a trial may raise without ending the search (no OSError: a full disk ends it)."""

Told = Callable[[int, float], None]
Features = Mapping[tuple[str, str], np.ndarray]
"""By layer and pooling."""


@dataclass(frozen=True)
class Measured:
    """What a trial gave.

    Attributes
    ----------
    value : float
        Accuracy on the images that choose, 0..1.
    loss : float or None
        Log loss on them, where it is known; decides between equal accuracies.
    params : dict
        Every dimension with its value: what the method itself found put in for what was left open.
    curve : tuple of float
        Accuracy after each epoch, for what trains.
    notes : tuple of str
        Warnings.
    """

    value: float
    loss: float | None
    params: dict[str, Any]
    curve: tuple[float, ...] = ()
    notes: tuple[str, ...] = field(default=())


class Trials(Protocol):
    """A method on one part of a dataset."""

    def measure(self, params: Mapping[str, Any], tell: Told) -> Measured:
        """Fit with these options (those left out at their defaults) and score on what chooses."""
        ...

    def probabilities(self, params: Mapping[str, Any], seed: int) -> tuple[np.ndarray, float]:
        """Fit and predict the test images, float32 (n, n_classes), and the score on what chooses."""
        ...


@dataclass(eq=False)
class HeadTrials:
    """Trials of a head on features; arrays are cut to their rows once and shared by all trials."""

    space: Space
    features: Features
    codes: np.ndarray
    n_classes: int
    part: Part
    groups: tuple[str, ...] | None
    seed: int
    inner_folds: int

    def __post_init__(self) -> None:
        self._cut: dict[tuple[str, str], tuple[np.ndarray, np.ndarray]] = {}

    def measure(self, params: Mapping[str, Any], tell: Told) -> Measured:
        """Fit on train, score on validation or inner folds."""
        options = self._options(params)
        with unheard(), collected_warnings() as notes:
            head, held = self._fitted(options)
        loss = None
        if len(self.part.validation):
            given = self._full(head, held)[np.arange(len(held)), self.codes[list(self.part.validation)]]
            loss = float(-np.log(np.maximum(given, 1e-7)).mean())
        known = {"standardise": head.standardised_, **options, **head.chosen_}
        full = {
            each.name: known.get(each.name, getattr(head, each.name, None)) for each in self.space.dimensions
        }
        return Measured(float(head.selection_), loss, full, notes=tuple(notes))

    def probabilities(self, params: Mapping[str, Any], seed: int) -> tuple[np.ndarray, float]:
        """Fit as in a trial, then predict the test images; the seed changes nothing."""
        options = self._options(params)
        head, _ = self._fitted(options)
        matrix = self.features[options["layer"], options["pooling"]]
        return self._full(head, np.ascontiguousarray(matrix[list(self.part.test)])), float(head.selection_)

    def _options(self, params: Mapping[str, Any]) -> dict[str, Any]:
        layer, pooling = next(iter(self.features))
        return {"layer": layer, "pooling": pooling, **self._places(), **params}

    def _places(self) -> dict[str, Any]:
        """Where features are taken by default; what the space does not name is the only place that there is."""
        return {
            each.name: each.default for each in self.space.dimensions if each.name in ("layer", "pooling")
        }

    def _fitted(self, options: dict[str, Any]) -> tuple[Any, np.ndarray]:
        own = {name: value for name, value in options.items() if name not in ("layer", "pooling")}
        train, held = self._rows(options["layer"], options["pooling"])
        head = make_head(self.space.method, **own)
        validation = (held, self.codes[list(self.part.validation)]) if len(held) else None
        head.fit(
            train, self.codes[list(self.part.train)], validation=validation, n_folds=self.inner_folds,
            seed=self.seed, groups=None if self.groups is None else [self.groups[row] for row in self.part.train],
            folds=self.part.inner or None,
        )  # fmt: skip
        return head, held

    def _rows(self, layer: str, pooling: str) -> tuple[np.ndarray, np.ndarray]:
        place = (layer, pooling)
        if place not in self._cut:
            matrix = self.features[place]
            self._cut[place] = (
                np.ascontiguousarray(matrix[list(self.part.train)]),
                np.ascontiguousarray(matrix[list(self.part.validation)]),
            )
        return self._cut[place]

    def _full(self, head: Any, features: np.ndarray) -> np.ndarray:
        given = np.asarray(head.predict_proba(features), np.float32)
        if not np.isfinite(given).all():
            raise ArithmeticError(f"{self.space.method} gave probabilities that are not finite")
        full = np.zeros((len(features), self.n_classes), np.float32)
        full[:, np.asarray(head.classes_, int)] = given
        return full


@dataclass(eq=False)
class NetworkTrials:
    """Trials of a scenario that trains; `fixed` are the options that all of them have alike."""

    space: Space
    table: ImageTable
    target: str
    classes: tuple[str, ...]
    part: Part
    fixed: dict[str, Any]
    seed: int

    @property
    def epochs(self) -> int:
        """Epochs of a whole trial."""
        n = self.part.splits.count("train")
        if "validation" not in self.part.splits:  # an inner fold is held out
            n -= n // int(self.fixed.get("n_folds", 5))
        return int(self.fixed.get("epochs") or own_epochs(self.space.method, n))

    def measure(self, params: Mapping[str, Any], tell: Told) -> Measured:
        """Train on train, score on validation (else on one inner fold) after every epoch."""
        from headstart.methods.watch import watching_epochs

        def hear(trained: Any) -> None:
            if trained.kept_accuracy is not None:
                tell(len(trained.curve), float(trained.kept_accuracy))

        with unheard(), collected_warnings() as notes, watching_epochs(hear):
            model = self._fitted(params, self.seed)
        record, found = model.record_, model.record_["kept_accuracy"]  # of the same images in every trial
        if found is None:
            raise ValueError("there are too few images to hold any out; give validation images")
        full = {
            each.name: record[each.name] if each.name == "learning_rate" else getattr(model, each.name)
            for each in self.space.dimensions
        }
        curve = tuple(float(line["held_accuracy"]) for line in record["curve"])
        return Measured(float(found), record.get("kept_loss"), full, curve, tuple(notes))

    def probabilities(self, params: Mapping[str, Any], seed: int) -> tuple[np.ndarray, float]:
        """Train as in a trial (the first seed repeats it), then predict the test images."""
        model = self._fitted(params, self.seed + seed)
        given = np.asarray(model.predict_proba([self.table.item(row) for row in self.part.test]), np.float32)
        if not np.isfinite(given).all():
            raise ArithmeticError("the trained network gave probabilities that are not finite")
        full = np.zeros((len(self.part.test), len(self.classes)), np.float32)
        full[:, [self.classes.index(str(name)) for name in model.classes_]] = given
        return full, float(model.selection_)

    def _fitted(self, params: Mapping[str, Any], seed: int) -> Any:
        model = network_of(self.space.method, {**self.fixed, **params, "seed": seed})
        part = self.table.select(self.part.seen)
        return model.fit_table(dataclasses.replace(part, splits=self.part.splits), self.target)


def network_of(scenario: str, options: Mapping[str, Any]) -> FineTuneClassifier:
    """The unfitted estimator of a trial that trains; random weights have nothing to start from or to keep."""
    from headstart.methods.finetune import FineTuneClassifier

    own = {"start": "plain", "batchnorm": "update"} if scenario == "scratch" else {}
    return FineTuneClassifier(**{"scenario": scenario, **options, **own})
