"""From probes to accuracies: what was measured and what other data sets taught, weighed by how much was measured.

A layer and a head each have an effect; what was measured of it and what the evidence says count by their
precision (Lindley and Smith, JRSS B 1972; Efron and Morris, JASA 1973). The few parameters stand in
`advice_parameters.json`, fitted by `benchmarks/advice.py` on studies whose runs lie in `benchmarks/evidence/`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files
from typing import Any

Z_90 = 1.6448536269514722
USUAL_PER_CLASS = 20.0
INNER_SHARE = 0.8
"""Of the images measured, what each inner fold learns from."""
NOISE_SHARE = 1.0
"""Of the binomial variance of the images measured, what the effect of a layer or a head has as noise."""
LEAST_ERROR = 0.01
MOST_POWER = 0.5
PER_CLASS_RANGE = (5.0, 400.0)
Place = tuple[int, str]
"""Position of a layer from the end, and head."""


@dataclass(frozen=True)
class Gain:
    """What training adds to the best features: `base` at 20 images a class, `more` each tenfold, and the spread.

    `n` is the number of runs behind it, `size` the input size in pixels that they had (0: the network's own).
    """

    base: float
    more: float
    spread: float
    n: int
    size: int = 0


@dataclass(frozen=True)
class Parameters:
    """What the adviser learned from other data sets.

    Attributes
    ----------
    layers : dict of position to float
        Effect of a layer on accuracy.
    heads : dict of head to float
        Effect of a head.
    layer_spread, head_spread : float
        How far effects lie from these on other data sets (deviation of accuracy).
    bias : (fixed, a root of the images)
        Test accuracy less the mean inner-fold accuracy: fixed + b / sqrt(m).
    spread : (fixed, a root of the images)
        Deviation of what a study found from what was predicted, in units of sqrt(p (1 - p)), without the noise of
        the test images.
    relative : (fixed, a root of the images)
        The same of the difference between two classifiers on the same images.
    stretch : float
        Factor on the normal quantile that gave intervals of 90 % their due on the evidence.
    trained : dict of method to Gain
    similar_below : float
        Distance below which images count as similar to the source.
    large_from : float
        Images a class from which a data set counts as large.
    datasets : tuple of str
    """

    layers: Mapping[int, float]
    heads: Mapping[str, float]
    layer_spread: float
    head_spread: float
    bias: tuple[float, float]
    spread: tuple[float, float]
    relative: tuple[float, float]
    stretch: float
    trained: Mapping[str, Gain] = field(default_factory=dict)
    similar_below: float = 0.1
    large_from: float = 100.0
    datasets: tuple[str, ...] = ()


@lru_cache(maxsize=1)
def packaged_parameters() -> Parameters:
    """The parameters that come with the package."""
    text = files("headstart.study").joinpath("advice_parameters.json").read_text(encoding="utf-8")
    return parameters_from(json.loads(text))


def parameters_from(value: Mapping[str, object]) -> Parameters:
    """Parameters of a JSON document (see `parameters_dict`)."""
    given: dict[str, object] = dict(value)
    for name in ("bias", "spread", "relative", "datasets"):
        given[name] = tuple(given[name])  # type: ignore[arg-type]
    layers: Mapping[str, float] = given.pop("layers")  # type: ignore[assignment]
    trained: Mapping[str, Mapping[str, float]] = given.pop("trained")  # type: ignore[assignment]
    return Parameters(
        layers={int(name): effect for name, effect in layers.items()},
        trained={name: Gain(**each) for name, each in trained.items()},  # type: ignore[arg-type]
        **given,  # type: ignore[arg-type]
    )


def tenfolds(per_class: float) -> float:
    """Tenfolds of images a class above 20, within what the evidence holds (5 to 400)."""
    low, high = PER_CLASS_RANGE
    return math.log10(min(max(per_class, low), high) / USUAL_PER_CLASS)


def layer_means(probes: Mapping[Place, float], part: int = 0) -> dict[Any, float]:
    """Mean accuracy of each layer over the heads (part 1: of each head over the layers)."""
    found: dict[Any, list[float]] = {}
    for place, value in probes.items():
        found.setdefault(place[part], []).append(value)
    return {name: sum(values) / len(values) for name, values in found.items()}


def relative_accuracies(probes: Mapping[Place, float], m: int, known: Parameters) -> dict[Place, float]:
    """Predicted accuracy of each place less their mean: the effects of its layer and of its head, added up.

    Parameters
    ----------
    probes : dict of (position, head) to float
        Inner-fold accuracies; every head on every layer.
    m : int
        Images they were measured on.
    known : Parameters
    """
    mean = sum(probes.values()) / len(probes)
    noise = NOISE_SHARE * _variance(mean, m) / m
    layers = _effects(layer_means(probes), known.layers, known.layer_spread, noise)
    heads = _effects(layer_means(probes, 1), known.heads, known.head_spread, noise)
    return {place: layers[place[0]] + heads[place[1]] for place in probes}


def _effects(
    measured: Mapping[Any, float], prior: Mapping[Any, float], spread: float, noise: float
) -> dict[Any, float]:
    mean = sum(measured.values()) / len(measured)
    middle = sum(prior.get(name, 0.0) for name in measured) / len(measured)
    told = {name: prior.get(name, 0.0) - middle for name in measured}
    apart = sum((measured[name] - mean - told[name]) ** 2 for name in measured) / max(len(measured) - 1, 1)
    real = max(spread**2, apart - noise)  # what differs by more than the noise is believed
    weight = real / (real + noise)
    return {name: weight * (measured[name] - mean) + (1 - weight) * told[name] for name in measured}


def _variance(p: float, m: int) -> float:
    share = min(max(p, 0.5 / m), 1 - 0.5 / m)
    return share * (1 - share)


def accuracies(
    probes: Mapping[Place, float], m: int, n: int, slope: float, known: Parameters
) -> dict[Place, float]:
    """Predicted accuracy of each place, learning from n images where the probes were measured on m.

    The error falls as a power of the number of images (Hestness et al. 2017), from those of an inner fold to n, by
    the slope that the probe's learning curve had; an accuracy stays within 0 to 1.
    """
    mean = sum(probes.values()) / len(probes)
    power = min(slope / (max(1 - mean, LEAST_ERROR) * math.log(2)), MOST_POWER)
    shrunk = (max(n, m) / (INNER_SHARE * m)) ** -power
    moved = mean + known.bias[0] + known.bias[1] / math.sqrt(m)
    relative = relative_accuracies(probes, m, known)
    least = 0.5 / m
    return {place: 1 - min(max(1 - moved - each, least), 1.0) * shrunk for place, each in relative.items()}


def deviation(p: float, m: int, n_test: int, pair: tuple[float, float]) -> float:
    """Standard deviation of a predicted accuracy (or of a difference), the noise of n_test images within it."""
    noise = 1 / n_test if n_test else 0.0
    return math.sqrt(_variance(p, m) * (pair[0] ** 2 + pair[1] ** 2 / m + noise))


def interval(p: float, spread: float, known: Parameters) -> tuple[float, float]:
    """90 % interval of an accuracy, within 0 to 1."""
    half = Z_90 * known.stretch * spread
    return max(0.0, p - half), min(1.0, p + half)
