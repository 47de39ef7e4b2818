"""What the adviser measured of a data set before anything was compared: size, likeness, probes, as a frozen value."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from headstart.base.errors import UsageError
from headstart.measure.intervals import less_one_error


@dataclass(frozen=True)
class Probe:
    """Held-out accuracy of one head on features of one layer, in inner folds of the images measured.

    `position` counts from the end: 0 is `pool`, 1 the last stage.
    """

    backbone: str
    layer: str
    position: int
    head: str
    accuracy: float
    fit_seconds: float


@dataclass(frozen=True)
class Transfer:
    """How well the last layer of one backbone fits the labels (see `headstart.features.transferability`).

    `nce` and `leep` are None where the weights have no classifier of their own; `source_accuracy` is that on
    ImageNet, None where it is not known here. `images_per_second` is None where the features were cached.
    """

    backbone: str
    neighbours: float
    probe: float
    logme: float
    h_score: float
    nce: float | None
    leep: float | None
    source_accuracy: float | None
    images_per_second: float | None


@dataclass(frozen=True)
class Likeness:
    """How like the source images of lite0 the images are (see `headstart.features.similarity`)."""

    distance: float
    confidence: float
    entropy: float
    coverage: float
    n: int


@dataclass(frozen=True)
class Situation:
    """A data set as the adviser sees it.

    Attributes
    ----------
    name, target : str
    n : int
        Images to learn from (those of the train split, where the source gives one).
    n_test : int
        Images that a study would test on: the interval of a predicted accuracy holds their noise.
    class_counts : tuple of (class, images)
        Most images first.
    n_measured : int
        Images that everything was measured on, 1,000 at most.
    likeness : Likeness
    probes : tuple of Probe
    transfers : tuple of Transfer
    curve : tuple of (images, accuracy)
        The quick probe at the best layer, learning from fewer images and from all that were measured.
    slope : float
        Accuracy gained a doubling of the images, by that curve, 0 to 0.1.
    seconds : float
        What measuring took.
    """

    name: str
    target: str
    n: int
    n_test: int
    class_counts: tuple[tuple[str, int], ...]
    n_measured: int
    likeness: Likeness
    probes: tuple[Probe, ...]
    transfers: tuple[Transfer, ...]
    curve: tuple[tuple[int, float], ...]
    slope: float
    seconds: float

    @property
    def n_classes(self) -> int:
        """Classes."""
        return len(self.class_counts)

    @property
    def per_class(self) -> float:
        """Images a class, on average."""
        return self.n / self.n_classes

    @property
    def backbones(self) -> tuple[str, ...]:
        """Backbones that were measured, in the order given."""
        return tuple(dict.fromkeys(probe.backbone for probe in self.probes))

    def best_layer(self, backbone: str) -> str:
        """The layer whose probes are best on average over the heads; of equal ones the deepest."""
        return deepest_best(self._probes_of(backbone))

    def level_layers(self, backbone: str) -> tuple[str, ...]:
        """The best layer and those within one standard error of it, by the images measured; shallow to deep."""
        scores = layer_scores(self._probes_of(backbone))
        least = less_one_error(max(scores.values()), max(1, self.n_measured))
        return tuple(reversed([layer for layer, score in scores.items() if score >= least]))

    def layer_words(self, backbone: str) -> str:
        """Which layers are best, in words that name no best one among those that are level."""
        level = self.level_layers(backbone)
        if len(level) == 1:
            return f"best at {level[0]}"
        if len(level) == len(layer_scores(self._probes_of(backbone))):
            return "no layer stands out"
        return f"as good at {', '.join(level[:-1])} and {level[-1]}"

    def _probes_of(self, backbone: str) -> tuple[Probe, ...]:
        found = tuple(probe for probe in self.probes if probe.backbone == backbone)
        if not found:
            raise UsageError(f"{backbone} was not measured; measured: {', '.join(self.backbones)}")
        return found

    def to_dict(self) -> dict[str, Any]:
        """As a JSON-like value."""
        best = {name: self.best_layer(name) for name in self.backbones}
        level = {name: list(self.level_layers(name)) for name in self.backbones}
        known = {"n_classes": self.n_classes, "best_layer": best, "level_layers": level}
        return {**dataclasses.asdict(self), **known}


def layer_scores(probes: Iterable[Probe]) -> dict[str, float]:
    """Mean accuracy of each layer of one backbone over the heads, the deepest layer first."""
    found: dict[str, list[float]] = {}
    for probe in sorted(probes, key=lambda each: each.position):
        found.setdefault(probe.layer, []).append(probe.accuracy)
    return {layer: math.fsum(values) / len(values) for layer, values in found.items()}


def deepest_best(probes: Iterable[Probe]) -> str:
    """The layer of one backbone whose probes are best on average over the heads; of equal ones the deepest."""
    scores = layer_scores(probes)
    return max(scores, key=scores.__getitem__)  # the first of equal ones
