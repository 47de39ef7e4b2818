"""A training run with several outputs: the run of one output, with the trunks, heads and losses of several.

Frozen part, learning rate, loop, checkpoints and budgets are those of `headstart.methods.training`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy.optimize import minimize_scalar

from headstart.backbones.layers import stage_modules
from headstart.base.events import warn
from headstart.base.findings import Finding
from headstart.base.hashing import digest_bytes, digest_json
from headstart.methods import detect
from headstart.methods.batches import Batches
from headstart.methods.calibrate import fit_temperature
from headstart.methods.epoch_watch import EpochWatch
from headstart.methods.heads_outputs import binary_cross_entropy, steps_above
from headstart.methods.joint_network import JointHead, JointNet, Weighting, assembled_towers, in_order
from headstart.methods.joint_objective import JointObjective, mean_rightness
from headstart.methods.loop import Loop
from headstart.methods.network import TransferNet, frozen_names, make_net, may_move, set_mode, whole_state
from headstart.methods.objective import Objective
from headstart.methods.optimise import Groups, make_groups
from headstart.methods.output import Output, decide, is_missing, probabilities
from headstart.methods.output_heads import OutputModel
from headstart.methods.output_scores import output_score
from headstart.methods.thresholds import best_thresholds
from headstart.methods.training import Outcome, Training
from headstart.methods.training_options import TrainingOptions, n_steps_of

if TYPE_CHECKING:
    from torch import nn

COLDEST, HOTTEST = -3.0, 3.0
"""Logarithms of the temperatures that are tried for yes-or-no questions."""


@dataclass(frozen=True, eq=False)
class Task:
    """What the outputs of a run are.

    Attributes
    ----------
    outputs : tuple of Output
    coded, held_coded : tuple of ndarray
        Labels of training and validation images.
    sharing : {"hard", "soft"}
        One trunk for all outputs, or one each, tied.
    weighting, weights, rates, weighted, tie
        See `headstart.methods.multi_output.MultiOutputTransfer`.
    starts : tuple of OutputModel
        Heads fitted on features of the plain views, to start from; empty for random ones.
    """

    outputs: tuple[Output, ...]
    coded: tuple[np.ndarray, ...]
    held_coded: tuple[np.ndarray, ...] | None
    sharing: str
    weighting: str
    weights: Mapping[str, float]
    rates: Mapping[str, float]
    weighted: tuple[str, ...]
    tie: float
    starts: tuple[OutputModel, ...]

    @property
    def trunks(self) -> tuple[tuple[Output, ...], ...]:
        """The outputs of each trunk."""
        return tuple((each,) for each in self.outputs) if self.sharing == "soft" else (self.outputs,)

    def to_dict(self) -> dict[str, Any]:
        """Everything that decides the run, JSON-like."""
        columns = [*self.coded, *(self.held_coded or ())]
        return {
            "outputs": [each.to_dict() for each in self.outputs], "sharing": self.sharing,
            "weighting": self.weighting, "weights": dict(self.weights), "rates": dict(self.rates),
            "weighted": list(self.weighted), "tie": self.tie,
            "coded": [digest_bytes(np.ascontiguousarray(each).tobytes()) for each in columns],
            "starts": [digest_bytes(each.head.model_["coef"].tobytes()) for each in self.starts if each.head],
        }  # fmt: skip


@dataclass(eq=False)
class JointOutcome(Outcome):
    """What a run with several outputs gave: beside the rest, its trunks with their heads, and each output's model."""

    towers: tuple[TransferNet, ...] = ()
    models: tuple[OutputModel, ...] = ()


@dataclass(eq=False)
class JointTraining(Training):
    """See `headstart.methods.training.Training`; `task` says what is learned."""

    task: Task | None = None

    @property
    def of(self) -> Task:
        """The task."""
        assert self.task is not None
        return self.task

    def _key(self) -> str:
        return digest_json({"run": super()._key(), "task": self.of.to_dict()})

    # ---- the network ------------------------------------------------------------------------------------------

    def _net(self) -> TransferNet:
        towers, first = [], 0
        for outputs in self.of.trunks:
            tower = make_net(
                self.backbone, self.cut, 2, from_cut=self.mode != "plain", seed=self.seed,
                fresh_weights=self.scenario == "scratch", options=self.options,
            )  # fmt: skip
            plain: Any = tower.head
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(self.seed + 1 + first)
                head = JointHead(plain.linear.in_features, outputs, dropout=self.options.dropout)
            if self.of.starts:
                head.start_from(self.of.starts[first : first + len(outputs)])
            tower.head = head
            towers.append(tower)
            first += len(outputs)
        n_images = n_steps_of(len(self.train.items), self.options) * self.options.batch_size
        per_epoch = n_images if self.options.steps_per_epoch else len(self.train.items)
        per_epoch *= 2 if self.options.sam else 1  # SAM asks for the losses of every step twice
        net: Any = JointNet(towers, Weighting(self.of.outputs, self.of.weighting, self.of.weights, per_epoch))
        device = "cuda" if torch.cuda.is_available() else "cpu"
        out: TransferNet = net.to(device=device, memory_format=torch.channels_last)
        return out

    def _groups(self, net: nn.Module, options: TrainingOptions) -> Groups:
        own = {}
        for tower, outputs in enumerate(self.of.trunks):
            for number, output in enumerate(outputs):
                factor = float(self.of.rates.get(output.name, 1.0))
                if factor != 1.0:
                    own[f"towers.{tower}.head.heads.{number}."] = factor
        stages = stage_modules(self.backbone.module)
        return make_groups(net, stages, options, pretrained=self.scenario != "scratch", own=own)

    def _mode_of(self, net: nn.Module) -> Callable[[bool], None]:
        joint: Any = net

        def mode(training: bool) -> None:
            joint.train(training)
            for tower in joint.towers:
                frozen = frozen_names(tower, self.backbone, self.cut)
                set_mode(tower, frozen, training=training, batchnorm=self._batchnorm())

        return mode

    def _objective(self, net: nn.Module, options: TrainingOptions) -> Objective:
        joint: Any = net
        task = self.of
        return JointObjective(
            task.outputs, task.coded, task.held_coded, options, joint, weighted=task.weighted,
            tie=task.tie if task.sharing == "soft" else 0.0, device=next(net.parameters()).device,
        )  # fmt: skip

    def _fitted_start(self) -> bool:
        return bool(self.of.starts)

    def _watch(self) -> EpochWatch | None:
        return None  # what it looks at is one class an image

    def _rightness(self, scores: np.ndarray) -> np.ndarray:
        assert self.of.held_coded is not None
        return mean_rightness(self.of.outputs, scores, self.of.held_coded)

    # ---- the end ----------------------------------------------------------------------------------------------

    def _outcome(
        self, net: TransferNet, loop: Loop, held: Batches | None, source: Batches, frozen: dict[str, str]
    ) -> JointOutcome:
        joint: Any = net
        for tower in joint.towers:
            in_order(tower.head)
        scores = None if held is None else self._answers(net, held, loop.device)
        joint.cpu()
        states = [whole_state(tower, self.backbone) for tower in joint.towers]
        heads = [tower.head for tower in joint.towers]
        mirror = self.options.test_views == "mirror"
        towers = tuple(assembled_towers(self.backbone, self.cut.after, states, heads, mirror=mirror))
        models = self._models(scores)
        self._look(joint, loop, models, scores, frozen)
        trained = loop.trained
        self.record.update(
            curve=[asdict(line) for line in trained.curve], kept_epoch=trained.kept_epoch,
            kept_loss=trained.kept_loss, images_seen=trained.images_seen,
            stopped_early=trained.stopped_early, cut_short=trained.cut_short, n_steps=loop.step,
            seconds={"train": trained.seconds},
            sharing=self.of.sharing, weighting=self.of.weighting,
            loss_weights=joint.weighting.to_dict(self.of.outputs),
            findings=[each.to_dict() for each in self.findings],
        )  # fmt: skip
        for each in self.findings:
            warn(str(each))
        return JointOutcome(
            {}, {}, True, 1.0, trained, self.record, tuple(self.findings), mirror,
            towers=towers, models=models,
        )  # fmt: skip

    def _models(self, scores: np.ndarray | None) -> tuple[OutputModel, ...]:
        task, found = self.of, []
        parts: Sequence[Any] = [None] * len(task.outputs)
        if scores is not None:
            parts = np.split(scores, np.cumsum([output.width for output in task.outputs])[:-1], axis=1)
        for at, output in enumerate(task.outputs):
            n_train = int((~is_missing(output, task.coded[at])).sum())
            held = None if task.held_coded is None else task.held_coded[at]
            found.append(calibrated(output, parts[at], held, n_train, scale=self.options.temperature))
        return tuple(found)

    def _look(
        self,
        net: JointNet,
        loop: Loop,
        models: Sequence[OutputModel],
        scores: np.ndarray | None,
        frozen: dict[str, str],
    ) -> None:
        """The detectors of one output, for each."""
        whole: Any = net
        after = detect.digests_of(net.state_dict(), may_move(whole, self._batchnorm()))
        kept = {name: each for name, each in frozen.items() if not name.startswith("weighting.")}
        found = [self._cut_short(loop.trained), detect.frozen_moved(kept, after)]
        parts: Sequence[Any] = []
        if scores is not None and self.of.held_coded is not None:
            parts = np.split(scores, np.cumsum([each.output.width for each in models])[:-1], axis=1)
        for at, logits in enumerate(parts):
            output = models[at].output
            assert self.of.held_coded is not None
            truth = self.of.held_coded[at]
            known = ~is_missing(output, truth)
            if output.kind not in ("classes", "ordinal") or not known.any():
                continue
            predicted = decide(output, probabilities(output, logits[known]))
            train = self.of.coded[at][~is_missing(output, self.of.coded[at])]
            told = [
                detect.collapsed(predicted, truth[known], output.levels),
                detect.no_better_than_majority(
                    float((predicted == truth[known]).mean()), truth[known], train
                ),
            ]
            found += [replace(each, message=f"{output.name}: {each.message}") for each in told if each]
        self.findings += [each for each in found if isinstance(each, Finding)]


def with_heads(
    outcome: JointOutcome, trunks: Sequence[Sequence[Output]], heads: Sequence[OutputModel]
) -> JointOutcome:
    """The outcome with these fitted heads, an output each, and what they reached, in place of its own."""
    first = 0
    for tower, outputs in zip(outcome.towers, trunks, strict=True):
        part: Any = tower.head
        part.start_from(heads[first : first + len(outputs)])
        in_order(part)
        first += len(outputs)
    models = tuple(replace(each, head=None) for each in heads)
    return replace(outcome, models=models, record={**outcome.record, "head_refitted": True})


def calibrated(
    output: Output, logits: np.ndarray | None, coded: np.ndarray | None, n_train: int, *, scale: bool = True
) -> OutputModel:
    """Temperature and thresholds of an output from the logits of the images that chose.

    Parameters
    ----------
    logits, coded : ndarray or None
        Of images that nothing was trained on.
    n_train : int
        Images with this label that were trained on.
    scale : bool
        Whether a temperature is fitted.
    """
    none = (0.5,) * len(output.levels) if output.kind == "labels" else ()
    if logits is None or coded is None or is_missing(output, coded).all():
        return OutputModel(output, none, selected_on="nothing: the last epoch is kept", n_train=n_train)
    known = ~is_missing(output, coded)
    given, truth = logits[known], coded[known]
    temperature = 1.0
    if scale and output.kind == "classes":
        temperature = fit_temperature(given, truth)
    elif scale and output.kind != "number":
        answers = truth if output.kind == "labels" else steps_above(truth, len(output.levels))
        temperature = sigmoid_temperature(given, answers)
    if output.kind == "labels":
        none = best_thresholds(truth, probabilities(output, given / np.float32(temperature)))
    return OutputModel(
        output,
        none,
        temperature,
        output_score(output, given, truth),
        n_train=n_train,
        n_validation=len(truth),
    )


def sigmoid_temperature(logits: np.ndarray, answers: np.ndarray) -> float:
    """The T that makes sigmoid(logits / T) most likely for yes-or-no answers (n, k)."""

    def cost(log_t: float) -> float:
        return binary_cross_entropy(np.asarray(logits / np.exp(log_t), np.float32), answers)[0]

    found = minimize_scalar(cost, bounds=(COLDEST, HOTTEST), method="bounded", options={"xatol": 1e-3})
    return float(np.exp(found.x))
