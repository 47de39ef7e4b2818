"""What a run of training is of: the network and where it is cut, its images, their size, and what was decided of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from headstart.backbones.freeze import Cut, find_cut
from headstart.base.errors import BackboneError
from headstart.base.files import write_text
from headstart.base.findings import Finding
from headstart.methods import processes
from headstart.methods.network import TransferNet, make_net
from headstart.methods.sources import Part, views_by
from headstart.methods.training_options import TrainingOptions, own_epochs

if TYPE_CHECKING:
    from headstart.backbones.load import Backbone
    from headstart.methods.distil import Lesson
    from headstart.methods.heads_base import Head

TRAIN_SHARE = 6 / 7
"""Of the input's side, for training images of networks of any size: 192 of 224 pixels."""
STEP = 32
LEAST_SIDE = 128


@dataclass(eq=False)
class RunPart:
    """What a run is of, before anything feeds it.

    Parameters
    ----------
    scenario : {"finetune", "full", "scratch"}
    backbone : Backbone
    options : TrainingOptions
    train, held : Part
        `held` chooses the epoch; may be None.
    classes : sequence of str
    head : Head, optional
        Fitted on features of the plain views, to start from.
    seed : int
    cache_gb : float
    seconds : float, optional
        Training time after which no new epoch starts.
    lesson : Lesson, optional
        What a teacher says of the training images.
    inner : bool
        Whether `held` is an inner fold of train and not validation images that were given.
    """

    scenario: str
    backbone: Backbone
    options: TrainingOptions
    train: Part
    held: Part | None
    classes: Sequence[str]
    head: Head | None
    seed: int
    cache_gb: float
    seconds: float | None = None
    lesson: Lesson | None = None
    inner: bool = False
    record: dict[str, Any] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    decided: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder = Path()
        self.mode = "plain"

    @cached_property
    def cut(self) -> Cut:
        """What trains, and the module before it."""
        if self.scenario == "finetune":
            return find_cut(self.backbone, self.options.trainable)
        return find_cut(self.backbone, "all")

    @cached_property
    def for_training(self) -> Backbone:
        """The network at the size that training images have: smaller where crops show things larger anyway.

        The train-test resolution discrepancy (Touvron et al., NeurIPS 2019, section 3): random crops enlarge
        things, so a network trained at a somewhat smaller size sees them as large as evaluation does.

        Raises
        ------
        BackboneError
            Its positions are tied to the size.
        """
        asked = self.options.train_size
        shape = self.backbone.card.preprocessing
        side = min(shape.height, shape.width)
        if asked is None:
            share = views_by(self.options).least_area
            if self.scenario != "finetune" or side < LEAST_SIDE or shape.height != shape.width or share >= 1:
                return self.backbone
        size = asked or STEP * round(TRAIN_SHARE * side / STEP)
        small = self.backbone.at(size)
        if small.module is self.backbone.module:
            return small
        if asked is None:
            return self.backbone
        raise BackboneError(
            f"train_size: {self.backbone.card.name} is tied to its input size; give the size of all images instead"
        )

    def _batchnorm(self) -> str:
        return "update" if self.scenario == "scratch" else self.options.batchnorm

    def _decide(self, **values: Any) -> None:
        """Keep what was measured, so that a run that goes on decides the same; every process as the first does."""
        self.decided.update(json.loads(processes.text_from_first(json.dumps(values))))
        if processes.first():
            write_text(self.folder / "decided.json", json.dumps(self.decided))

    def _net(self) -> TransferNet:
        net = make_net(
            self.backbone, self.cut, len(self.classes), from_cut=self.mode != "plain", seed=self.seed,
            fresh_weights=self.scenario == "scratch", options=self.options,
        )  # fmt: skip
        if self.head is not None:
            net.head.start_from(self.head)  # type: ignore[operator]
        device = "cuda" if torch.cuda.is_available() else "cpu"
        return net.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]

    def _epochs(self) -> int:
        return int(self.options.epochs or own_epochs(self.scenario, len(self.train.items)))

    def _fitted_start(self) -> bool:
        """Whether training starts from a fitted head."""
        return self.head is not None

    def _rightness(self, scores: np.ndarray) -> np.ndarray:
        """How right each validation image is, 0 to 1 (n,)."""
        assert self.held is not None
        return np.asarray(scores.argmax(1) == self.held.codes)
