"""Advice: methods ranked by predicted accuracy, each with an interval, its seconds and the evidence, or "cannot tell".

The prediction is `advice_model`'s, from what `measure_situation` measured; the place in the textbook's table
(size x similarity) is shown beside it.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

from headstart.study.advice_model import (
    Gain,
    Parameters,
    Place,
    accuracies,
    deviation,
    interval,
    packaged_parameters,
    tenfolds,
)
from headstart.study.situation import Probe, Situation

ONE_POINT = 0.01
DOUBT = 0.2
N_NAMED = 5
REFERENCE_RATE = 120.0
TRAIN_RATES = {"finetune last:1": 450.0, "finetune last:2": 100.0}
WHOLE_RATE = 14.0
EPOCHS = {"finetune": 8, "full": 4, "scratch": 30}
VIEWS = 6
TABLE = {
    (False, True): "frozen features with a linear classifier (fine-tuning may overfit)",
    (False, False): "features of an earlier layer with a linear classifier",
    (True, True): "fine-tuning is fine",
    (True, False): "initialise the whole network with pretrained weights",
}
"""(large, similar) to what the textbook says."""
BETWEEN = (
    "The choice between backbones rests on the probes of these images alone: the evidence of other data sets is of "
    "lite0 only."
)
GAINS = "What training adds is a mean over other data sets: it does not depend on the distance to the source measured here."


@dataclass(frozen=True)
class Candidate:
    """One method as the adviser sees it before it has run.

    `accuracy`, `low` and `high` are of a test split of the situation's size, `seconds` those expected on this
    machine; `spread` is the deviation behind the interval. `size` is the input size in pixels where the evidence
    is of another than the network's own.
    """

    scenario: str
    backbone: str
    layer: str
    cut: str
    head: str
    size: int
    accuracy: float
    low: float
    high: float
    spread: float
    seconds: float
    evidence: tuple[str, ...]

    @property
    def name(self) -> str:
        """As a person says it."""
        if self.scenario == "features":
            return f"features of {self.backbone} at {self.layer} with {self.head}"
        cut = f" ({self.cut})" if self.scenario == "finetune" else ""
        size = f" at {self.size} px" if self.size else ""
        return f"{self.scenario} {self.backbone}{cut}{size}"

    @property
    def kind(self) -> tuple[str, str, str]:
        """What makes it another way than others: heads at one layer are one."""
        return self.scenario, self.backbone, self.layer or self.cut


@dataclass(frozen=True)
class Advice:
    """What the adviser says of a situation.

    Attributes
    ----------
    candidates : tuple of Candidate
        Best first.
    run : tuple of Candidate
        The first alone; or it and the one that may well be better, where the adviser cannot tell.
    similar, large : bool
        Place in the textbook's table; `textbook` is what that says there.
    """

    situation: Situation
    candidates: tuple[Candidate, ...]
    run: tuple[Candidate, ...]
    similar: bool
    large: bool
    doubt: float

    @property
    def textbook(self) -> str:
        """What the rule of size and similarity says."""
        return TABLE[self.large, self.similar]

    @property
    def verdict(self) -> str:
        """The advice as one sentence."""
        first = self.run[0]
        said = f"{first.accuracy:.1%} expected, {first.low:.1%} to {first.high:.1%}"
        if len(self.run) == 1:
            return f"Use {first.name} ({said})."
        other = self.run[1]
        return (
            f"Cannot tell: run these two, {first.name} ({said}) and {other.name} ({other.accuracy:.1%} expected, "
            f"{other.low:.1%} to {other.high:.1%}): the chance that the second is better by more than a point is "
            f"{self.doubt:.0%}."
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """What a part of the ranking does not rest on, each as a sentence; only what applies."""
        trains = any(each.scenario != "features" for each in self.candidates)
        several = len(self.situation.backbones) > 1
        return (*((BETWEEN,) if several else ()), *((GAINS,) if trains else ()))

    def to_dict(self) -> dict[str, Any]:
        """As a JSON-like value."""
        rows = [{"name": each.name, **dataclasses.asdict(each)} for each in self.candidates]
        return {
            "verdict": self.verdict,
            "run": [each.name for each in self.run],
            "doubt": self.doubt,
            "similar": self.similar,
            "large": self.large,
            "textbook": self.textbook,
            "notes": list(self.notes),
            "candidates": rows,
            "situation": self.situation.to_dict(),
        }


def predict(situation: Situation, known: Parameters | None = None) -> Advice:
    """Rank every method that there is evidence on.

    Parameters
    ----------
    situation : Situation
    known : Parameters, optional
        By default those of the package.

    Returns
    -------
    Advice
        The same for the same situation and parameters.

    Examples
    --------
    >>> from headstart.testing.situations import tiny_situation
    >>> predict(tiny_situation()).candidates[0].scenario in ("features", "finetune", "full", "scratch")
    True
    """
    known = known or packaged_parameters()
    found: list[Candidate] = []
    for backbone in situation.backbones:
        own = _features(situation, backbone, known)
        found += own + _trained(situation, own, known)
    ranked = tuple(sorted(found, key=lambda each: (-each.accuracy, each.seconds, each.name)))
    other, doubt = _rival(situation, ranked, known)
    run = (ranked[0], other) if other is not None and doubt > DOUBT else ranked[:1]
    similar = situation.likeness.distance < known.similar_below
    return Advice(situation, ranked, run, similar, situation.per_class >= known.large_from, doubt)


def _features(situation: Situation, backbone: str, known: Parameters) -> list[Candidate]:
    probes = [probe for probe in situation.probes if probe.backbone == backbone]
    table: dict[Place, float] = {(probe.position, probe.head): probe.accuracy for probe in probes}
    m = situation.n_measured
    predicted = accuracies(table, m, situation.n, situation.slope, known)
    found = []
    for probe in probes:
        accuracy = predicted[probe.position, probe.head]
        spread = deviation(accuracy, m, situation.n_test, known.spread)
        seconds = situation.n / _rate(situation, backbone) + probe.fit_seconds * max(situation.n / m, 1.0)
        evidence = (
            f"{probe.accuracy:.1%} in inner folds of {m:,} images",
            _told(probe, known),
        )
        way = ("features", backbone, probe.layer, "", probe.head, 0)
        found.append(_candidate(way, accuracy, spread, seconds, evidence, known))
    return found


def _candidate(
    way: tuple[str, str, str, str, str, int], accuracy: float, spread: float, seconds: float,
    evidence: tuple[str, ...], known: Parameters,
) -> Candidate:  # fmt: skip
    """A way (scenario, backbone, layer, cut, head, size) with what is foreseen of it."""
    low, high = interval(accuracy, spread, known)
    return Candidate(*way, accuracy, low, high, spread, seconds, evidence)


def _told(probe: Probe, known: Parameters) -> str:
    both = known.layers.get(probe.position, 0.0) + known.heads.get(probe.head, 0.0)
    where = "the last layer" if probe.position == 0 else f"the layer {probe.position} before the last"
    return f"{where} and {probe.head} gave {both * 100:+.1f} points against the mean on other data sets"


def _trained(situation: Situation, features: list[Candidate], known: Parameters) -> list[Candidate]:
    """Methods that train the network: what they added to the best features on other data sets."""
    first = max(features, key=lambda each: each.accuracy)
    found = []
    for method, gain in known.trained.items():
        scenario, _, cut = method.partition(" ")
        added = gain.base + gain.more * tenfolds(situation.per_class)
        accuracy = min(max(first.accuracy + added, 0.0), 1.0)
        spread = math.hypot(first.spread, gain.spread)
        evidence = (
            f"{added * 100:+.1f} points on the best features, as {gain.n} runs on other data sets had at so many "
            "images a class",
        )
        seconds = _train_seconds(situation, first.backbone, method, gain)
        way = (scenario, first.backbone, "", cut, "", gain.size)
        found.append(_candidate(way, accuracy, spread, seconds, evidence, known))
    return found


def _rate(situation: Situation, backbone: str) -> float:
    """Images a second of one pass: measured, else what two processors usually do."""
    measured = {each.backbone: each.images_per_second for each in situation.transfers}
    return measured.get(backbone) or REFERENCE_RATE


def _train_seconds(situation: Situation, backbone: str, method: str, gain: Gain) -> float:
    """Epochs at the usual rates of two processors, scaled by this machine's rate; finetune's views before them."""
    scenario = method.partition(" ")[0]
    rate = _rate(situation, backbone)
    scale = rate / REFERENCE_RATE * ((224 / gain.size) ** 2 if gain.size else 1.0)
    views = VIEWS * situation.n / rate if scenario == "finetune" else 0.0
    return views + EPOCHS[scenario] * situation.n / (TRAIN_RATES.get(method, WHOLE_RATE) * scale)


def _rival(
    situation: Situation, ranked: tuple[Candidate, ...], known: Parameters
) -> tuple[Candidate | None, float]:
    """The way of another kind that most likely beats the first by more than a point, and how likely that is."""
    first = ranked[0]
    best: tuple[Candidate | None, float] = (None, 0.0)
    for other in ranked[1:]:
        if other.kind == first.kind:
            continue
        spread = known.stretch * _apart(situation, first, other, known)
        chance = 0.5 * math.erfc((first.accuracy + ONE_POINT - other.accuracy) / (spread * math.sqrt(2)))
        if chance > best[1]:
            best = (other, chance)
    return best


def _apart(situation: Situation, first: Candidate, other: Candidate, known: Parameters) -> float:
    """Deviation of the difference of two candidates, without the noise of a test split."""
    spread = deviation(first.accuracy, situation.n_measured, 0, known.relative)
    for each in (first, other):
        if each.scenario != "features":
            method = f"{each.scenario} {each.cut}".strip()
            spread = math.hypot(spread, known.trained[method].spread)
    return max(spread, 1e-4)
