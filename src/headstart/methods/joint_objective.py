"""What a step of several outputs learns: a loss an output, images without its label left out of it.

Labels are blocks of numbers side by side that may be mixed linearly, and each loss is linear in its block: class
shares; for labels and thresholds the weights of yes and of no; for a number the weight, the value and its square, all
by that weight. A missing label is a block of zeros. Blocks are scaled so that the mean over a batch is the mean over
its labelled images.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import softplus

from headstart.methods.class_weights import answer_weights, row_weights
from headstart.methods.heads_outputs import steps_above
from headstart.methods.joint_network import JointNet, apart
from headstart.methods.output import Output, decide, is_missing, probabilities
from headstart.methods.output_heads import standardised
from headstart.methods.output_scores import mean_score, output_score

if TYPE_CHECKING:
    from headstart.methods.training_options import TrainingOptions


class JointObjective:
    """See `headstart.methods.objective.Objective`.

    Parameters
    ----------
    outputs : sequence of Output
    coded, held_coded : sequence of ndarray
        Labels of training and validation images, a column an output, as `encode` gives them.
    options : TrainingOptions
        `label_smoothing` is for classes.
    net : JointNet
        With the weighting of the losses.
    weighted : collection of str
        Outputs whose classes, labels or levels count alike.
    tie : float
        Pull of the trunks towards each other; 0 for none.
    """

    def __init__(
        self,
        outputs: Sequence[Output],
        coded: Sequence[np.ndarray],
        held_coded: Sequence[np.ndarray] | None,
        options: TrainingOptions,
        net: JointNet,
        *,
        weighted: Sequence[str] = (),
        tie: float = 0.0,
        device: torch.device | str = "cpu",
    ) -> None:
        self.outputs, self.coded, self.held_coded = tuple(outputs), tuple(coded), held_coded
        self.net, self.tie, self.device = net, tie, device
        self.blocks = [
            torch.from_numpy(
                block(output, codes, options.label_smoothing, output.name in weighted or options.balance == "weights")
            ).to(device)
            for output, codes in zip(outputs, coded, strict=True)
        ]  # fmt: skip

    def labels(self, rows: np.ndarray) -> Tensor:
        """Blocks of these images side by side, scaled to the labelled ones."""
        at = torch.from_numpy(rows).to(self.device)
        parts = []
        for output, whole in zip(self.outputs, self.blocks, strict=True):
            part = whole[at]
            mass = float(part[:, 0].sum() if output.kind == "number" else part.sum() / _parts(output))
            parts.append(part * (len(rows) / mass) if mass else part)
        return torch.cat(parts, dim=1)

    def losses(self, scores: Tensor, labels: Tensor) -> Tensor:
        """Mean loss of each output, (k,)."""
        widths = [output.width for output in self.outputs]
        logits = torch.split(scores, widths, dim=1)
        blocks = torch.split(labels, [each.shape[1] for each in self.blocks], dim=1)
        found = [loss_of(o, s, b).mean() for o, s, b in zip(self.outputs, logits, blocks, strict=True)]
        return torch.stack(found)

    def loss(self, scores: Tensor, labels: Tensor, rows: np.ndarray) -> Tensor:
        """The weighted sum, and the distance of the trunks."""
        total: Tensor = self.net.weighting(self.losses(scores, labels), len(rows))
        return total + self.tie * apart(self.net) if self.tie else total

    def share(self, part: np.ndarray, rows: np.ndarray) -> float:
        """By number of images."""
        return len(part) / len(rows)

    def n_right(self, scores: Tensor, rows: np.ndarray) -> float:
        """Sum over the images of the mean over their labels: 1 where right; of a number 1 - squared error."""
        coded = [each[rows] for each in self.coded]
        return float(mean_rightness(self.outputs, scores.float().cpu().numpy(), coded).sum())

    def held(self, scores: Tensor) -> tuple[float, float]:
        """Sum of the plain losses by the fixed weights, and the mean of `output_score` over the outputs."""
        assert self.held_coded is not None
        fixed = self.net.weighting.fixed.cpu().tolist()
        logits = torch.split(scores, [output.width for output in self.outputs], dim=1)
        loss, found = 0.0, []
        for output, each, codes, weight in zip(self.outputs, logits, self.held_coded, fixed, strict=True):
            known = ~is_missing(output, codes)
            if known.any():
                plain = torch.from_numpy(block(output, codes, 0.0, False))
                loss += weight * float(loss_of(output, each, plain).sum()) / int(known.sum())
            found.append(output_score(output, each.numpy(), codes))
        return loss, mean_score(found)


def _parts(output: Output) -> int:
    """Questions that a block of one image answers."""
    return 1 if output.kind == "classes" else output.width


def block(output: Output, coded: np.ndarray, smoothing: float, weighted: bool) -> np.ndarray:
    """Labels of an output as numbers that its loss is linear in, float32 (n, m); zeros where missing."""
    known = ~is_missing(output, coded)
    if output.kind == "number":
        y = np.where(known, standardised(output, coded), 0.0)
        return np.column_stack([known, y, y * y]).astype(np.float32)
    if output.kind == "classes":
        k = len(output.levels)
        one = np.zeros((len(coded), k), np.float32)
        one[np.flatnonzero(known), coded[known]] = 1
        return np.asarray(
            (one * (1 - smoothing) + smoothing / k) * _counting(coded, known, k, weighted), np.float32
        )
    if output.kind == "labels":
        yes = np.where(known[:, None], coded, 0.0)
        no = np.where(known[:, None], 1 - yes, 0.0)
        if weighted:
            each = np.zeros_like(yes)
            each[known] = answer_weights(yes[known])
            yes, no = yes * each, no * each
        return np.concatenate([yes, no], axis=1).astype(np.float32)
    yes = np.where(known[:, None], steps_above(coded, len(output.levels)), 0.0)
    no = np.where(known[:, None], 1 - yes, 0.0)
    each = _counting(coded, known, len(output.levels), weighted)
    return np.concatenate([yes * each, no * each], axis=1).astype(np.float32)


def _counting(coded: np.ndarray, known: np.ndarray, n_classes: int, weighted: bool) -> np.ndarray:
    """What each image counts (n, 1): 0 where its label is missing, else 1 or the weight of its class."""
    each = known.astype(np.float32)
    if weighted:
        each[known] = row_weights(coded[known], n_classes)
    return each[:, None]


def loss_of(output: Output, scores: Tensor, labels: Tensor) -> Tensor:
    """Loss of each image (n,): cross-entropy; mean log loss of the labels; sum over thresholds; squared error."""
    if output.kind == "classes":
        return -(labels * scores.log_softmax(1)).sum(1)
    if output.kind == "number":
        guess = scores[:, 0]
        return labels[:, 0] * guess.square() - 2 * guess * labels[:, 1] + labels[:, 2]
    yes, no = torch.split(labels, output.width, dim=1)
    each: Tensor = yes * softplus(-scores) + no * softplus(scores)
    return each.mean(1) if output.kind == "labels" else each.sum(1)


def mean_rightness(outputs: Sequence[Output], scores: np.ndarray, coded: Sequence[np.ndarray]) -> np.ndarray:
    """Mean of `rightness` over the outputs that each image has a label of (n,); 0 without any."""
    logits = np.split(scores, np.cumsum([output.width for output in outputs])[:-1], axis=1)
    known = np.stack([~is_missing(o, c) for o, c in zip(outputs, coded, strict=True)])
    right = np.stack([rightness(o, s, c) for o, s, c in zip(outputs, logits, coded, strict=True)])
    return np.asarray(np.where(known, right, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1))


def rightness(output: Output, logits: np.ndarray, coded: np.ndarray) -> np.ndarray:
    """How right each image is, at most 1 (n,); what it is without a label means nothing."""
    if output.kind == "number":
        wrong = np.where(is_missing(output, coded), 0.0, logits[:, 0] - standardised(output, coded))
        return np.asarray(np.maximum(1 - np.square(wrong), 0))
    found = decide(output, probabilities(output, logits))
    right = found == coded
    return np.asarray(right.mean(axis=1) if output.kind == "labels" else right, np.float64)
