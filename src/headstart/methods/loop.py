"""The training loop, the only one: short named steps, the same for every scenario.

Everything random in a step is drawn from (seed, step), so a run that was stopped and goes on from a checkpoint
ends with the same weights as one that was not. Under `torchrun` each process takes its share of every batch.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from headstart.base.events import Progress, emit
from headstart.base.interrupts import held_back
from headstart.methods import deadline, processes
from headstart.methods.averages import Average, copied, learning_norms, take_statistics
from headstart.methods.batches import Batch, Batches, fetcher, pieces, scores_of
from headstart.methods.bettering import Bettering
from headstart.methods.checkpoint import Checkpoints
from headstart.methods.curve import Diverged, Epoch, Trained
from headstart.methods.depthwise import in_bfloat16
from headstart.methods.epoch_watch import EpochWatch
from headstart.methods.folded import Pairs, foldable, folded
from headstart.methods.loop_state import restore, state_of
from headstart.methods.mixing import mix_at_cut, mixed_labels
from headstart.methods.objective import Classes, Objective
from headstart.methods.optimise import Groups, make_optimiser, set_rates
from headstart.methods.order import epoch_order
from headstart.methods.schedule import rate_factor
from headstart.methods.sharpness import climbed
from headstart.methods.training_options import TrainingOptions, n_steps_of
from headstart.methods.watch import epoch_done

WORTH_SECONDS = 30.0


@dataclass
class Loop:
    """A training run.

    Parameters
    ----------
    net : nn.Module
        Inputs to class scores; parameters with `requires_grad` train.
    mode : callable
        `mode(training)`: sets training or evaluation mode of the network's parts.
    train, held : Batches
        Training images, and validation images (or None).
    codes, held_codes : ndarray of int, shape (n,)
    n_classes : int
    options : TrainingOptions
        With `epochs` and `learning_rate` settled.
    groups : Groups
        Parameters with their factors on the rate.
    seed : int
    bfloat16 : bool
    checkpoints : Checkpoints, optional
    seconds : float, optional
        Stop after the epoch in which this much training time has passed (equal budgets).
    fitted_start : bool
        Whether the head is fitted already, so that the start is worth comparing with what training gives.
    objective : Objective, optional
        What a step learns (default: `Classes`, one class an image).
    watch : EpochWatch, optional
        Looks for failures after every epoch.
    rightness : callable, optional
        Scores of the validation images, float32 (n, k), to how right each is, 0 to 1 (n,).
    inner : bool
        Whether the validation images are an inner fold of train.
    """

    net: nn.Module
    mode: Callable[[bool], None]
    train: Batches
    codes: np.ndarray
    n_classes: int
    options: TrainingOptions
    groups: Groups
    seed: int = 0
    bfloat16: bool = False
    held: Batches | None = None
    held_codes: np.ndarray | None = None
    checkpoints: Checkpoints | None = None
    seconds: float | None = None
    fitted_start: bool = False
    objective: Objective | None = None
    watch: EpochWatch | None = None
    rightness: Callable[[np.ndarray], np.ndarray] | None = None
    inner: bool = False

    def __post_init__(self) -> None:
        self.n_epochs = int(self.options.epochs or 1)
        self.rate = float(self.options.learning_rate or 1e-3)
        self.optimiser = make_optimiser(self.groups, self.options, self.rate)
        self.per_epoch = n_steps_of(self.train.n, self.options)
        self.n_steps = self.per_epoch * self.n_epochs
        self.names = frozenset(name for name, each in self.net.named_parameters() if each.requires_grad)
        self.step, self.whole = 0, True
        self.sums = [0.0, 0.0, 0.0]
        self.trained = Trained(n_steps=self.n_steps)
        self.best: dict[str, Tensor] | None = None
        self.held_predicted: np.ndarray | None = None
        self.held_right: np.ndarray | None = None
        self.bettering = Bettering(self.inner and self.fitted_start)
        self._tensors: dict[str, Tensor] = {
            name: each for name, each in self.net.named_parameters() if name in self.names
        }
        self._tensors |= {name: each for name, each in self.net.named_buffers() if each.is_floating_point()}
        self.average = Average(self.options.ema, self.options.swa, self.n_epochs, self._moving())
        self.device = next(self.net.parameters()).device
        self.shape = processes.wrapped(self.net)
        self.pairs: Pairs | None = None
        self.learns = self.objective or Classes(
            self.codes, self.held_codes, self.n_classes, self.options, self.device
        )

    # ---- the run ----------------------------------------------------------------------------------------

    def run(self) -> Trained:
        """Train to the end, from the last checkpoint if there is one; the kept weights are in the network."""
        self._go_on()
        self._count_the_start()
        began = time.monotonic() - self.trained.seconds
        while len(self.trained.curve) < self.n_epochs and not self.trained.stopped_early:
            self._epoch(len(self.trained.curve), began)
        if self.trained.seconds > WORTH_SECONDS and not self.trained.cut_short:
            self._save()  # what follows training may fail: the same command then goes on from here
        self._load_kept()
        return self.trained

    def _count_the_start(self) -> None:
        """What a fitted head gives before any step is a candidate too (epoch 0): training must better it."""
        if self.fitted_start and not self.trained.curve and self.step == 0:
            held = self._validate()
            if held is not None and self.options.keep == "best":
                self.trained.kept_loss, self.trained.kept_accuracy = held
                self.bettering.start = self.held_right
                self.best = {name: each.clone() for name, each in self._kept_now().items()}

    def _epoch(self, epoch: int, began: float) -> None:
        start = time.monotonic()
        self._unfreeze(epoch)
        self.mode(True)
        for rows, batch, together in self._batches(epoch):
            with held_back():
                self.whole = False
                self._train_step(rows, batch, together)
                self.whole = True
            emit(Progress("train", self.step, self.n_steps))
            self.trained.seconds = time.monotonic() - began
            if self._is_cut_short():
                self._save()
                break
            if self.checkpoints is not None and self.checkpoints.due():
                self._save()
        with held_back():
            self.whole = False
            self._close_epoch(epoch, time.monotonic() - start)
            epoch_done(self.trained)
            self.trained.seconds = time.monotonic() - began
            out_of_time = self.seconds is not None and self.trained.seconds >= self.seconds
            stop = self._worn_out(epoch) or out_of_time or self.trained.cut_short
            self.trained.stopped_early = processes.agreed(stop)
            self.whole = True
        if (
            self.checkpoints is not None
            and not self.trained.cut_short
            and self.checkpoints.due(epoch_end=True)
        ):
            self._save()

    def _is_cut_short(self) -> bool:
        """Whether the moment that was set from outside ends training here, in the middle of what it was to be."""
        if deadline.is_set() and self.step < self.n_steps and processes.agreed(deadline.has_passed()):
            self.trained.cut_short = True
        return self.trained.cut_short

    def _unfreeze(self, epoch: int) -> None:
        """Give each parameter its rate in this epoch; what waits for its turn costs no backward pass."""
        self.groups.factors.update(self.groups.unfrozen(epoch, self.n_epochs, self.options.unfreeze))
        if self.options.unfreeze == "gradual" and not processes.together():
            for name, tensor in self.groups.tensors.items():
                tensor.requires_grad_(self.groups.factors[name] > 0)

    # ---- steps ------------------------------------------------------------------------------------------

    def _batches(self, epoch: int) -> Iterator[tuple[np.ndarray, Batch, np.ndarray]]:
        """Own rows, their inputs and all rows of the steps that are left of an epoch; the next is fetched meanwhile."""
        order = epoch_order(self.codes, self.n_classes, self.options, self.seed, epoch)
        size = self.options.batch_size
        first = self.step - epoch * self.per_epoch
        wholes = [order[at * size : (at + 1) * size] for at in range(first, self.per_epoch)]
        parts = [processes.share(each) for each in wholes]
        with fetcher() as pool:
            waiting = [pool.submit(self.train.get, parts[0], epoch)] if parts else []
            for number, rows in enumerate(parts):
                batch = waiting.pop().result()
                if number + 1 < len(parts):
                    waiting.append(pool.submit(self.train.get, parts[number + 1], epoch))
                yield rows, batch, wholes[number]

    def _train_step(self, rows: np.ndarray, batch: Batch, together: np.ndarray | None = None) -> None:
        """One step on these rows; `together` are those of all processes."""
        whole = rows if together is None else together
        weight = processes.weight(self.learns.share(rows, whole), len(whole)) if together is not None else 1.0
        set_rates(self.optimiser, self.groups, self._rate(self.step))
        given, labels = self._mixed(rows, batch)
        value, right = self._gradient(given, labels, rows, weight)
        if self.options.sam:
            with climbed(self.net, self.groups.parameters(), self.options.sam):
                torch.manual_seed(self._chance())
                self._gradient(given, labels, rows, weight)
        if self.options.clip:
            nn.utils.clip_grad_norm_(self.groups.parameters(), self.options.clip)
        self.optimiser.step()
        self.average.after_step(self._moving(), self.step)
        self.step += 1
        if processes.takes_part(len(whole)):
            for at, each in enumerate((value * len(rows), right, len(rows))):
                self.sums[at] += each

    def _rate(self, step: int) -> float:
        """Learning rate of a step; constant from the first epoch whose end is averaged evenly."""
        held = min(step, self.average.first * self.per_epoch) if self.average.first else step
        return self.rate * rate_factor(held, self.n_steps, self.options.schedule, self.options.warmup)

    def _chance(self) -> int:
        return self.seed * 1_000_003 + self.step

    def _mixed(self, rows: np.ndarray, batch: Batch) -> tuple[Tensor, Tensor]:
        """Inputs and labels of a step; chance hangs on seed and step alone."""
        torch.manual_seed(self._chance())
        labels = mixed_labels(self.learns.labels(rows), batch.other, batch.left)
        draw = np.random.default_rng([self.seed, self.step, 2])
        return mix_at_cut(batch.inputs.to(self.device), labels, self.options.manifold_mixup or 0.0, draw)

    def _gradient(
        self, given: Tensor, labels: Tensor, rows: np.ndarray, weight: float = 1.0
    ) -> tuple[float, float]:
        """Leave the gradient of the batch in the parameters; its loss, and how many images were right."""
        self.optimiser.zero_grad(set_to_none=True)
        value, right = 0.0, 0.0
        for part in pieces(self.net, given):
            scores = self._scores(given[part])
            loss: Any = self._loss(scores, labels[part], rows[part]) * self.learns.share(rows[part], rows)
            (loss * weight).backward()
            value += float(loss.detach())
            right += self.learns.n_right(scores.detach(), rows[part])
        if processes.agreed(not math.isfinite(value)):
            raise Diverged(self.step, self.rate)
        if self.options.l2_sp:
            pull: Any = self.groups.pull(self.options.l2_sp)
            pull.backward()
        return value, right

    def idle_step(self, rows: np.ndarray, batch: Batch) -> float:
        """What the loss of a training step would be, nothing trained; counts as a step."""
        given, labels = self._mixed(rows, batch)
        value = 0.0
        with torch.no_grad():
            for part in pieces(self.net, given):
                loss = self._loss(self._scores(given[part]), labels[part], rows[part])
                value += float(loss) * self.learns.share(rows[part], rows)
        self.step += 1
        return value

    def _scores(self, given: Tensor) -> Tensor:
        if self.pairs is None:
            plain = self.device.type != "cpu" or self.options.compile
            self.pairs = {} if plain else foldable(self.net, given[:1])
        with (
            in_bfloat16(self.device.type, self.bfloat16, bool(self.options.compile)),
            folded(self.pairs),
        ):
            out: Tensor = self.shape(given)
        return out.float()

    def _loss(self, scores: Tensor, labels: Tensor, rows: np.ndarray) -> Tensor:
        return self.learns.loss(scores, labels, rows)

    def _moving(self) -> dict[str, Tensor]:
        """What training may change, by name."""
        return self._tensors

    # ---- the end of an epoch ------------------------------------------------------------------------------

    def _close_epoch(self, epoch: int, seconds: float) -> None:
        loss, right, n = processes.summed(self.sums)
        self.sums = [0.0, 0.0, 0.0]
        if self.average.after_epoch(self._moving(), epoch):
            self._take_statistics(epoch)
        held = self._validate()
        held_loss, held_accuracy = held or (None, None)
        rate = self._rate(self.step - 1)
        line = Epoch(epoch + 1, loss / n, right / n, held_loss, held_accuracy, seconds, rate)
        self.trained.curve.append(line)
        self.trained.images_seen += int(n)
        if self.watch is not None:
            self.watch.after_epoch(self.trained.curve, self.held_predicted)
        kept = (self.trained.kept_accuracy, self.trained.kept_epoch == 0)
        better = bool(processes.from_first(self.bettering.keeps(line.held_accuracy, *kept, self.held_right)))
        if held is None or self.options.keep == "last" or better:
            self.trained.kept_epoch, self.trained.kept_accuracy = epoch + 1, line.held_accuracy
            self.trained.kept_loss = line.held_loss
            self.best = {name: each.clone() for name, each in self._kept_now().items()}

    def _kept_now(self) -> dict[str, Tensor]:
        kept = self.average.weights
        return kept if kept is not None else {k: v.detach() for k, v in self._moving().items()}

    def _validate(self) -> tuple[float, float] | None:
        if self.held is None or self.held_codes is None:
            return None
        scores = self.predict_with(self._kept_now())
        self.held_predicted = scores.argmax(1).numpy()
        self.held_right = None if self.rightness is None else self.rightness(scores.numpy())
        loss, accuracy = self.learns.held(scores)
        return processes.from_first(loss), processes.from_first(accuracy)

    def _take_statistics(self, epoch: int) -> None:
        """BatchNorm statistics of averaged weights are no average: take them from the training images."""
        self.mode(True)
        if self.average.weights is None or not learning_norms(self.net):
            return
        now = copied(self._moving())
        self._put(self.average.weights)
        size = self.options.batch_size
        starts = range(0, self.train.n - size + 1, size) if self.train.n >= size else (0,)
        parts = (np.arange(at, min(at + size, self.train.n)) for at in starts)
        take_statistics(self.net, (self.train.get(rows, epoch).inputs.to(self.device) for rows in parts))
        self.average.weights = copied(self._moving())
        self._put(now)

    def predict_with(self, weights: dict[str, Tensor]) -> Tensor:
        """Scores of the held-out images under these weights."""
        assert self.held is not None
        now = copied(self._moving())
        self._put(weights)
        try:
            self.mode(False)
            return scores_of(self.net, self.held, self.device)
        finally:
            self._put(now)
            self.mode(True)

    def _put(self, weights: dict[str, Tensor]) -> None:
        moving = self._moving()
        with torch.no_grad():
            for name, each in weights.items():
                moving[name].copy_(each)

    def _worn_out(self, epoch: int) -> bool:
        patience = self.options.patience
        return bool(patience) and self.held is not None and epoch + 1 - self._best_epoch() >= patience

    def _best_epoch(self) -> int:
        """The last of the epochs with the best validation accuracy, kept or not."""
        if self.options.keep == "best":
            return self.trained.kept_epoch
        return max(self.trained.curve, key=lambda line: (line.held_accuracy or 0.0, line.epoch)).epoch

    def _load_kept(self) -> None:
        for tensor in self.groups.parameters():
            tensor.requires_grad_(True)
        if self.best is not None:
            self._put(self.best)
        self.mode(False)

    # ---- checkpoints ----------------------------------------------------------------------------------------

    def _save(self) -> None:
        if self.checkpoints is None or not processes.first():
            return
        self.checkpoints.write(state_of(self))

    def save_now(self) -> None:
        """Write a checkpoint whatever the time (at Ctrl-C); not of half a step, where the last one stands."""
        if self.whole:
            self._save()

    def _go_on(self) -> None:
        state = None if self.checkpoints is None else self.checkpoints.read()
        if state is None:
            return
        restore(self, state)
