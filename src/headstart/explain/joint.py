"""Models with several outputs as something to explain: one network, scores of each output by name.

Scores are such that a class, label or level has one of its own, which has a slope however sure the model is: of
ordered levels the logits of their probabilities, of a number its value in deviations from the mean of train.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from headstart.methods.output import Output

LEAST_STEP = 1e-6
"""Logits of two thresholds that are nearer count as so far apart."""
VALUE = "value"


class JointScores(nn.Module):
    """Normalised images to scores (n, k) of each output by name.

    Parameters
    ----------
    net : nn.Module
        Images to the logits of all outputs side by side.
    outputs : sequence of Output
    temperatures : sequence of float
    """

    def __init__(self, net: nn.Module, outputs: Sequence[Output], temperatures: Sequence[float]) -> None:
        super().__init__()
        self.net, self.outputs, self.temperatures = net, tuple(outputs), tuple(temperatures)

    @property
    def n_trunks(self) -> int:
        """Trunks: one for all outputs, or one an output."""
        return len(getattr(self.net, "towers", (None,)))

    def alone(self, at: int) -> JointScores:
        """The same for output `at` and its trunk only; the network has a trunk an output."""
        towers: Any = self.net.towers
        return JointScores(OneTrunk(towers[at], at), [self.outputs[at]], [self.temperatures[at]]).eval()

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Scores by output."""
        parts = torch.split(self.net(images), [output.width for output in self.outputs], dim=1)
        return {
            output.name: scores_of_output(output, part / t)
            for output, part, t in zip(self.outputs, parts, self.temperatures, strict=True)
        }


class OneTrunk(nn.Module):
    """One of the trunks, under the names that it has among all of them.

    What it shares with others is held under its own name, and runs once.
    """

    def __init__(self, trunk: nn.Module, at: int) -> None:
        super().__init__()
        self.at, self.towers = str(at), nn.ModuleDict({str(at): trunk})

    def forward(self, images: Tensor) -> Tensor:
        """Logits of its output."""
        out: Tensor = self.towers[self.at](images)
        return out


FIRST_TRUNK = "net.towers.0."


def at_trunk(module: str, at: int) -> str:
    """The name in trunk `at` of a module of the first trunk of `JointScores`; others keep theirs."""
    return f"net.towers.{at}.{module.removeprefix(FIRST_TRUNK)}" if module.startswith(FIRST_TRUNK) else module


class SideBySide(nn.Module):
    """Heads on the same features, their logits side by side; of equal columns (ordered levels) each as it is."""

    def __init__(self, heads: Sequence[nn.Module]) -> None:
        super().__init__()
        self.heads = nn.ModuleList(heads)

    def forward(self, features: Tensor) -> Tensor:
        """Logits (n, sum of widths)."""
        return torch.cat([head(features) for head in self.heads], dim=1)


def scores_of_output(output: Output, logits: Tensor) -> Tensor:
    """Scores of classes, labels or levels (n, k), or of a number (n, 1).

    A level between two thresholds has the probability p = sigmoid(a) - sigmoid(b) = sigmoid(a) sigmoid(-b) (1 - exp(b - a))
    with 1 - p = sigmoid(-a) + sigmoid(b): in logarithms neither is lost where p is all but 0 or 1.
    """
    if output.kind != "ordinal":
        return logits
    at = logits.cummin(dim=1).values  # the probability of more than a level can only fall with it
    below, above = at[:, :-1], at[:, 1:]
    step = torch.log(-torch.expm1(-(below - above).clamp(min=LEAST_STEP)))
    inside = logsigmoid(below) + logsigmoid(-above) + step
    outside = torch.logaddexp(logsigmoid(-below), logsigmoid(above))
    return torch.cat([-at[:, :1], inside - outside, at[:, -1:]], dim=1)


def shares_of_scores(kind: str, scores: Tensor) -> Tensor:
    """Probabilities (n, k); of a number how high it is: the share of a normal distribution that lies below it."""
    if kind in ("labels", "ordinal"):
        return torch.sigmoid(scores)
    if kind == "number":
        below: Tensor = torch.special.ndtr(scores)
        return below
    out: Tensor = torch.softmax(scores, dim=1)
    return out


def names_of(output: Output) -> tuple[str, ...]:
    """What can be asked for: levels, or the value of a number."""
    return (VALUE,) if output.kind == "number" else output.levels
