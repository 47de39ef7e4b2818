"""What a run measures before it trains: whether bfloat16 is faster, the learning rate, how long an epoch takes."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from headstart.backbones.layers import stage_modules
from headstart.base.events import Notice, emit
from headstart.base.runtime import has_bfloat16
from headstart.methods import processes
from headstart.methods.batches import EVAL_BATCH, PLAIN_EPOCH, Batches
from headstart.methods.curve import counted
from headstart.methods.distil import Distilled
from headstart.methods.frozen_part import FrozenPart
from headstart.methods.loop import Loop
from headstart.methods.network import (
    TransferNet,
    frozen_names,
    set_mode,
)
from headstart.methods.objective import Objective
from headstart.methods.optimise import Groups, make_groups
from headstart.methods.range_test import RangeTest, n_orders, n_trial_steps, range_test, rate_limit
from headstart.methods.training_options import TrainingOptions, n_steps_of

if TYPE_CHECKING:
    pass

TIMED_STEPS = 3


@dataclass(eq=False)
class Measured(FrozenPart):
    """A run that can set up its loop, on the network itself or on a copy that may be spoilt."""

    def _loop(
        self, net: TransferNet, source: Batches, options: TrainingOptions, fast: bool, **more: Any
    ) -> Loop:
        loop = Loop(
            net, self._mode_of(net), source, self.train.codes, len(self.classes), options,
            self._groups(net, options), bfloat16=fast,
            held_codes=None if self.held is None else self.held.codes, seconds=self._share(),
            fitted_start=self._fitted_start(), objective=self._objective(net, options),
            rightness=self._rightness, inner=self.inner,
            **{"seed": self.seed, **more},
        )  # fmt: skip
        if options.compile:
            compiled: Any = torch.compile(loop.shape)  # with what averages gradients over processes
            loop.shape = compiled
        return loop

    def _share(self) -> float | None:
        """Seconds of one training: a soup divides what there is among its trainings."""
        return None if self.seconds is None else self.seconds / self.options.soup

    def _groups(self, net: TransferNet, options: TrainingOptions) -> Groups:
        stages = stage_modules(self.backbone.module)
        return make_groups(net, stages, options, pretrained=self.scenario != "scratch")

    def _mode_of(self, net: TransferNet) -> Callable[[bool], None]:
        """What sets training or evaluation mode of its parts."""
        frozen = frozen_names(net, self.backbone, self.cut)

        def mode(training: bool) -> None:
            set_mode(net, frozen, training=training, batchnorm=self._batchnorm())

        return mode

    def _objective(self, net: TransferNet, options: TrainingOptions) -> Objective | None:
        """What a step learns; None for one class an image, without a teacher."""
        if self.lesson is None:
            return None
        held_codes = None if self.held is None else self.held.codes
        terms = (self.train.codes, held_codes, len(self.classes), options, next(net.parameters()).device)
        return Distilled(self.lesson.answers, *terms)

    def _bfloat16(self, net: TransferNet, source: Batches, options: TrainingOptions) -> bool:
        """Whether to train in bfloat16: as asked, else where it is measured to be faster."""
        if options.dtype != "auto":
            return options.dtype == "bfloat16"
        if not (has_bfloat16() or torch.cuda.is_available()):
            self.record["dtype_trial"] = {"reason": "this processor has no bfloat16"}
            return False
        if "bfloat16" not in self.decided:
            rates = {
                name: self._steps_per_second(net, source, options, name == "bfloat16")
                for name in ("float32", "bfloat16")
            }
            self.record["dtype_trial"] = rates
            self._decide(bfloat16=processes.agreed(rates["bfloat16"] > 1.1 * rates["float32"]))
        return bool(self.decided["bfloat16"])

    def _steps_per_second(
        self, net: TransferNet, source: Batches, options: TrainingOptions, fast: bool
    ) -> float:
        trial = copy.copy(options)
        trial.learning_rate, trial.compile = 0.0, False
        loop = self._loop(copy.deepcopy(net), source, trial, fast)
        loop.mode(True)
        rows = np.arange(min(options.batch_size, source.n))
        batch = source.get(rows, 0)
        loop._train_step(rows, batch)
        start = time.perf_counter()
        for _ in range(TIMED_STEPS):
            loop._train_step(rows, batch)
        return TIMED_STEPS / (time.perf_counter() - start)

    def _learning_rate(
        self, net: TransferNet, source: Batches, options: TrainingOptions, fast: bool
    ) -> float:
        """The largest rate: given or found, for batches of `rate_batch` images and scaled from there.

        Linear scaling: Goyal et al., Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour, 2017, section 2.1.
        """
        size = options.rate_batch or options.batch_size
        times = options.batch_size / size
        if options.learning_rate is not None:
            return options.learning_rate * times
        if "learning_rate" not in self.decided:
            n_steps = n_steps_of(source.n, options) * int(options.epochs or 1)
            found: RangeTest = range_test(
                lambda trial: self._loop(copy.deepcopy(net), source, trial, fast),
                replace(options, batch_size=size),
                steps=n_trial_steps(n_steps),
                orders=n_orders(n_steps),
            )
            start = (
                "random" if self.scenario == "scratch" else "fitted" if self._fitted_start() else "pretrained"
            )
            limit = rate_limit(n_steps, options, start)
            rate = found.chosen if limit is None else min(found.chosen, limit)
            self._decide(learning_rate=rate * times, range_test={**asdict(found), "limit": limit})
        self.record["range_test"] = self.decided.get("range_test")
        return float(self.decided["learning_rate"])

    def _plan_epochs(
        self, net: TransferNet, source: Batches, held: Batches | None, options: TrainingOptions, fast: bool
    ) -> int:
        """Tell how long training will take; where a time is given and no number of epochs, those that fit."""
        if "epoch_seconds" not in self.decided:
            self._decide(epoch_seconds=self._epoch_seconds(net, source, held, options, fast))
        expected = float(self.decided["epoch_seconds"])
        self.record["epoch_seconds_expected"] = expected
        n_epochs = self._epochs()
        if (share := self._share()) is not None and self.options.epochs is None:
            n_epochs = max(1, int(share / max(expected, 1e-9)))
        n, minutes = self.options.soup, self.options.soup * n_epochs * expected / 60
        times = f"{n} times " if n > 1 else ""
        emit(
            Notice(
                f"training: {times}{counted(n_epochs)} of about {max(1, round(expected))} s ({minutes:.1f} min)"
            )
        )
        return n_epochs

    def _epoch_seconds(
        self, net: TransferNet, source: Batches, held: Batches | None, options: TrainingOptions, fast: bool
    ) -> float:
        """Seconds that an epoch is expected to take: some steps, their inputs, and the validation images."""
        step = 1.0 / self._steps_per_second(net, source, options, fast)
        size = min(options.batch_size, source.n)
        start = time.perf_counter()
        for number in range(TIMED_STEPS):
            source.get(np.arange(number * size, (number + 1) * size) % source.n, 0)
        fetch = (time.perf_counter() - start) / TIMED_STEPS
        # inputs are fetched beside the step before, on the same processors
        seconds = n_steps_of(source.n, options) * (step + fetch)
        if held is not None:
            some = min(held.n, EVAL_BATCH)
            start = time.perf_counter()
            inputs = held.get(np.arange(some), PLAIN_EPOCH).inputs.to(next(net.parameters()).device)
            with torch.inference_mode():
                copy.deepcopy(net).eval()(inputs)
            seconds += (time.perf_counter() - start) * held.n / some
        return seconds
