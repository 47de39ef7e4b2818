"""One training run, step by step: cut, frozen part, head, rate, loop, detectors; everything it decides is kept."""

from __future__ import annotations

import copy
import json
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from headstart.base.errors import BadOptions
from headstart.base.events import Notice, emit, warn
from headstart.base.files import folder_lock
from headstart.base.findings import Finding
from headstart.base.hashing import digest_bytes, digest_json
from headstart.base.runtime import n_processes, n_threads
from headstart.methods import detect, processes
from headstart.methods.averages import copied
from headstart.methods.batches import MIRRORED_EPOCH, Batches, scores_of
from headstart.methods.calibrate import fit_temperature
from headstart.methods.checkpoint import Checkpoints
from headstart.methods.curve import Diverged, Trained, joined, soup_of
from headstart.methods.epoch_watch import EpochWatch
from headstart.methods.kept import finished, runs_folder
from headstart.methods.loop import Loop
from headstart.methods.measured import Measured
from headstart.methods.mixing import mixes_pixels
from headstart.methods.network import (
    TransferNet,
    frozen_names,
    may_move,
    set_mode,
    whole_state,
)
from headstart.methods.soup import RATES, SEED_STEP, greedy
from headstart.methods.sources import Part, views_by
from headstart.methods.training_options import DEFAULT_MIXING, TrainingOptions, told
from headstart.methods.watch import removed_if_abandoned

RUN_VERSION = "5"


@dataclass(eq=False)
class Outcome:
    """What a run gave.

    Attributes
    ----------
    state : dict of str to Tensor
        The backbone's weights with what was trained put in.
    head_state : dict
        The head's weights.
    temperature : float
    trained : Trained
    record : dict
        Everything that was decided and measured, JSON-like.
    findings : tuple of Finding
    mirror : bool
        Whether it answers by the mean of an image and its mirror image; so the temperature was fitted.
    """

    state: dict[str, Any]
    head_state: dict[str, Any]
    unit_length: bool
    temperature: float
    trained: Trained
    record: dict[str, Any]
    findings: tuple[Finding, ...]
    mirror: bool = False


@dataclass(eq=False)
class Training(Measured):
    """A run under way; see `FrozenPart` for what it is of."""

    # ---- the whole run ------------------------------------------------------------------------------------

    def run(self) -> Outcome:
        """Train; a run that was stopped before goes on."""
        processes.begin()
        start = time.perf_counter()
        key = self._key()
        folder = runs_folder() / key
        with removed_if_abandoned(folder), ExitStack() as stack:
            if processes.first():
                stack.enter_context(folder_lock(folder))
            self.folder, self.stack = folder, stack
            self.decided: dict[str, Any] = self._read_decided()
            self.rates: list[float] = []
            source, held = self._sources()
            net = self._net()
            frozen = detect.digests_of(net.state_dict(), may_move(net, self._batchnorm()))
            loop = self._trained(net, source, held, key)
            outcome = self._outcome(net, loop, held, source, frozen)
            self.record["seconds"] = {**self.record.get("seconds", {}), "all": time.perf_counter() - start}
        if self.lesson is not None:
            self.record["teacher"] = {
                "name": self.lesson.teacher, "selection": self.lesson.selection, "seconds": self.lesson.seconds,
            }  # fmt: skip
        processes.wait()
        if processes.first() and not outcome.trained.cut_short:
            finished(folder)
        return outcome

    def _key(self) -> str:
        parts = [self.train] + ([self.held] if self.held else [])
        return digest_json({
            "version": RUN_VERSION, "scenario": self.scenario, "weights": self.backbone.card.weights_digest,
            "preprocessing": self.backbone.card.preprocessing.digest(), "options": told(asdict(self.options)),
            "policy": views_by(self.options).digest(),
            "images": [digest_bytes(*(each.encode() for each in part.digests)) for part in parts],
            "codes": [digest_bytes(part.codes.astype("<i8").tobytes()) for part in parts],
            "classes": list(self.classes), "seed": self.seed, "seconds": self.seconds, "inner": self.inner,
            **({"answers": digest_bytes(self.lesson.answers.tobytes())} if self.lesson else {}),
            "head": None if self.head is None else digest_bytes(self.head.model_["coef"].tobytes()),
        })  # fmt: skip

    def _read_decided(self) -> dict[str, Any]:
        path = self.folder / "decided.json"
        text = path.read_text() if processes.first() and path.is_file() else "{}"
        found: dict[str, Any] = json.loads(processes.text_from_first(text))
        if found:
            emit(Notice("an earlier run of the same command was stopped; this one goes on with it"))
        return found

    def _trained(self, net: TransferNet, source: Batches, held: Batches | None, key: str) -> Loop:
        if torch.get_num_threads() != n_threads() and n_processes() == 1:
            torch.set_num_threads(n_threads())
        options = copy.copy(self.options)
        if options.manifold_mixup is None:
            options.manifold_mixup = 0.0 if self.mode == "plain" or mixes_pixels(options) else DEFAULT_MIXING
        options.epochs = self._epochs()
        timed = source if self.growing is None else self.growing.sources[-1]  # at their full size
        fast = self._bfloat16(net, timed, options)
        options.learning_rate = self._learning_rate(net, source, options, fast)
        options.epochs = self._plan_epochs(net, timed, held, options, fast)
        if self.growing is not None:
            self.growing.n_epochs = options.epochs
        loop = self._stirred(net, source, options, fast, held, key)
        self.record.update(
            scenario=self.scenario, trainable=self.cut.asked, after=self.cut.after,
            n_trained=sum(each.numel() for each in net.parameters() if each.requires_grad),
            batchnorm=self._batchnorm(), dtype="bfloat16" if fast else "float32",
            learning_rate=self.rates[0],
            manifold_mixup=options.manifold_mixup, epochs=options.epochs,
            start="head-first" if self._fitted_start() else "plain",
            n_processes=n_processes(),
        )  # fmt: skip
        return loop

    def _stirred(
        self,
        net: TransferNet,
        source: Batches,
        options: TrainingOptions,
        fast: bool,
        held: Batches | None,
        key: str,
    ) -> Loop:
        """One training, or several whose weights are averaged greedily."""
        if options.soup > 1 and held is None:
            raise BadOptions(["soup: it is chosen on validation images, and there are none; leave it out"])
        first = {name: each.detach().clone() for name, each in net.state_dict().items()}
        terms = (net, first, source, options, fast, held, key)
        loop = self._once(*terms, 0)
        if options.soup == 1:
            return loop
        assert held is not None
        trained, runs, total = [copied(loop._moving())], [loop.trained], loop.trained
        for number in range(1, options.soup):
            if total.cut_short:
                break
            net.load_state_dict(first)
            loop = self._once(*terms, number)
            trained.append(copied(loop._moving()))
            runs.append(loop.trained)
            total = joined(total, loop.trained)
        mixed, soup = greedy(trained, lambda weights: loop.learns.held(loop.predict_with(weights)))
        loop._put(mixed)
        loop.mode(False)
        loop.trained = soup_of([runs[number] for number in soup.kept], total)
        loop.trained.kept_accuracy, loop.trained.kept_loss = soup.accuracy, soup.loss
        self.record["soup"] = asdict(soup)
        return loop

    def _once(
        self, net: TransferNet, first: dict[str, Any], source: Batches, options: TrainingOptions, fast: bool,
        held: Batches | None, key: str, number: int,
    ) -> Loop:  # fmt: skip
        """A training from `first`; one that diverges is tried once more at a tenth of the rate."""
        options = copy.copy(options)
        options.learning_rate = float(options.learning_rate or 0) * RATES[number % len(RATES)]
        folder = self.folder / f"soup-{number}" if number else self.folder
        folder.mkdir(parents=True, exist_ok=True)
        checkpoints = Checkpoints(folder, f"{key}-{number}" if number else key, options.checkpoint_minutes)
        terms = {"held": held, "checkpoints": checkpoints, "seed": self.seed + SEED_STEP * number}
        for attempt in range(2):
            loop = self._loop(net, source, options, fast, **terms, watch=self._watch())
            try:
                loop.run()
                break
            except KeyboardInterrupt:
                loop.save_now()
                raise
            except Diverged as error:
                checkpoints.remove()
                net.load_state_dict(first)
                again = attempt == 0
                self.findings.append(_diverged(error, again))
                if not again:
                    raise
                options.learning_rate = error.rate / 10
                if not number:
                    self._decide(learning_rate=options.learning_rate)
        self.rates.append(options.learning_rate)
        return loop

    def _watch(self) -> EpochWatch | None:
        """What looks for failures after every epoch."""
        truth = None if self.held is None else self.held.codes
        return EpochWatch(self.classes, self.train.codes, truth, self._fitted_start())

    # ---- the end ----------------------------------------------------------------------------------------------

    def _outcome(
        self, net: TransferNet, loop: Loop, held: Batches | None, source: Batches, frozen: dict[str, str]
    ) -> Outcome:
        trained = loop.trained
        head = {name: each.detach().cpu().clone() for name, each in net.head.state_dict().items()}
        state = {name: each.cpu() for name, each in whole_state(net, self.backbone).items()}
        outcome = Outcome(
            state, head, bool(net.head.unit_length), 1.0, trained, self.record, (), self.options.test_views == "mirror",
        )  # fmt: skip
        scores = None if held is None else self._answers(net, held, loop.device)
        temperature = 1.0
        if scores is not None and self.held is not None and self.options.temperature:
            temperature = fit_temperature(scores, self.held.codes)
        self._detect(net, loop, scores, source, frozen)
        self.record.update(
            curve=[asdict(line) for line in trained.curve], kept_epoch=trained.kept_epoch,
            kept_loss=trained.kept_loss, temperature=temperature,
            images_seen=trained.images_seen, stopped_early=trained.stopped_early,
            cut_short=trained.cut_short, n_steps=loop.step,
            seconds={"train": trained.seconds},
            findings=[each.to_dict() for each in self.findings],
        )  # fmt: skip
        for each in self.findings:
            warn(str(each))
        return replace(outcome, temperature=temperature, findings=tuple(self.findings))

    def _answers(self, net: nn.Module, held: Batches, device: torch.device) -> np.ndarray:
        """Scores of the validation images as the network will answer; a mirror image costs no decoding of its own."""
        if self.options.test_views != "mirror":
            return scores_of(net, held, device).numpy()
        if self.mode == "plain":

            def both(images: torch.Tensor) -> torch.Tensor:
                out: torch.Tensor = (net(images) + net(images.flip(3))) / 2
                return out

            return scores_of(both, held, device).numpy()
        turned = scores_of(net, held, device, epoch=MIRRORED_EPOCH)
        return ((scores_of(net, held, device) + turned) / 2).numpy()

    def _cut_short(self, trained: Trained) -> Finding | None:
        """Whether the time that a caller gave was not enough."""
        if not trained.cut_short:
            return None
        return Finding(
            "cut short",
            f"the time that was left ended training in epoch {len(trained.curve)} of {self.record['epochs']}",
            "the same command goes on from there; give more time, or fewer epochs",
        )

    def _detect(
        self, net: TransferNet, loop: Loop, scores: np.ndarray | None, source: Batches, frozen: dict[str, str]
    ) -> None:
        found = [
            self._cut_short(loop.trained),
            detect.head_never_learned(loop.trained.curve, len(self.classes)) if self.head is None else None,
            detect.frozen_moved(
                frozen, detect.digests_of(net.state_dict(), may_move(net, self._batchnorm()))
            ),
        ]
        if scores is not None and self.held is not None:
            predicted, truth = scores.argmax(1), self.held.codes
            found.append(detect.collapsed(predicted, truth, self.classes))
            accuracy = float((predicted == truth).mean())
            found.append(detect.no_better_than_majority(accuracy, truth, self.train.codes))
        if self._batchnorm() == "update":
            found.append(self._modes(net, loop, source))
        at_the_end = [each for each in found if each is not None]
        passing = loop.watch.passing(at_the_end) if loop.watch is not None else []
        self.findings += [*at_the_end, *passing]

    def _modes(self, net: TransferNet, loop: Loop, source: Batches) -> Finding | None:
        """Accuracy of one plain batch in both modes, on a copy (training mode moves statistics)."""
        rows = np.random.default_rng([self.seed, 17]).permutation(source.n)[:64]
        if len(rows) < 16:
            return None
        inputs = source.get(rows, -1).inputs.to(loop.device)
        twin = copy.deepcopy(net)
        shares = []
        with torch.no_grad():
            for training in (True, False):
                set_mode(
                    twin, frozen_names(twin, self.backbone, self.cut), training=training, batchnorm="update"
                )
                right = twin(inputs).argmax(1).cpu().numpy() == self.train.codes[rows]
                shares.append(float(right.mean()))
        return detect.modes_disagree(*shares)


def _diverged(error: Diverged, again: bool) -> Finding:
    lower = f"it was tried once more at {error.rate / 10:.2g}" if again else "the run was given up"
    return Finding(
        "not finite", str(error), f"{lower}; give a lower --learning-rate", "warning" if again else "error"
    )


__all__ = ["Outcome", "Part", "Training"]
