"""One training run, step by step: cut, frozen part, head, rate, loop, detectors; everything it decides is kept.

The frozen part runs in the fastest engine and precision that its check allows; what a precision costs in
accuracy is measured on the validation images before it is used.
"""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from headstart.backbones.freeze import Cut, find_cut
from headstart.backbones.layers import stage_modules
from headstart.base.errors import BackboneError, EngineError
from headstart.base.events import Notice, emit, warn
from headstart.base.files import folder_lock, write_text
from headstart.base.findings import Finding
from headstart.base.hashing import digest_bytes, digest_json
from headstart.base.runtime import has_bfloat16, n_processes, n_threads
from headstart.features.calibration import Calibration, calibration_rows
from headstart.features.engines.prepare import Ready, prepare_runner, settle
from headstart.features.taps import Place
from headstart.images.decode import ImageItem
from headstart.images.prepare import prepare
from headstart.images.views import PLAIN, policy
from headstart.methods import detect, processes
from headstart.methods.calibrate import fit_temperature
from headstart.methods.checkpoint import Checkpoints
from headstart.methods.kept import finished, runs_folder
from headstart.methods.loop import (
    EVAL_BATCH,
    PLAIN_EPOCH,
    Batches,
    Diverged,
    Epoch,
    Loop,
    Trained,
    scores_of,
)
from headstart.methods.mixing import mixes_pixels
from headstart.methods.network import (
    TransferNet,
    frozen_names,
    make_net,
    may_move,
    normaliser,
    set_mode,
    whole_state,
)
from headstart.methods.optimise import make_groups
from headstart.methods.prefix import GIGABYTE, Kept, cache_key, held_folder, note_of, open_cache
from headstart.methods.range_test import RangeTest, n_trial_steps, range_test
from headstart.methods.sources import PixelBatches, StreamedBatches, Views
from headstart.methods.training_options import DEFAULT_EPOCHS, TrainingOptions

if TYPE_CHECKING:
    from headstart.backbones.load import Backbone
    from headstart.methods.heads_base import Head

RUN_VERSION = "1"
LEAST_IMAGES_INT8 = 2000
INT8_MAY_LOSE = 0.005
TIMED_STEPS = 3
LEAST_LIKENESS = 0.999


@dataclass(frozen=True, eq=False)
class Part:
    """Images with their class numbers."""

    items: Sequence[ImageItem]
    digests: Sequence[str]
    codes: np.ndarray


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
    held_scores : ndarray or None
        Scores of the validation images.
    """

    state: dict[str, Any]
    head_state: dict[str, Any]
    unit_length: bool
    temperature: float
    trained: Trained
    record: dict[str, Any]
    findings: tuple[Finding, ...]
    held_scores: np.ndarray | None


@dataclass(eq=False)
class Training:
    """A run under way.

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
    record: dict[str, Any] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    # ---- the whole run ------------------------------------------------------------------------------------

    def run(self) -> Outcome:
        """Train; a run that was stopped before goes on."""
        processes.begin()
        start = time.perf_counter()
        self.cut = self._cut()
        key = self._key()
        folder = runs_folder() / key
        with ExitStack() as stack:
            if processes.first():
                stack.enter_context(folder_lock(folder))
            self.folder, self.stack = folder, stack
            self.decided: dict[str, Any] = self._read_decided()
            source, held = self._sources()
            net = self._net()
            frozen = detect.digests_of(net.state_dict(), may_move(net, self._batchnorm()))
            loop = self._trained(net, source, held, key)
            outcome = self._outcome(net, loop, held, source, frozen)
            self.record["seconds"] = {**self.record.get("seconds", {}), "all": time.perf_counter() - start}
        processes.wait()
        if processes.first():
            finished(folder)
        return outcome

    def _cut(self) -> Cut:
        if self.scenario == "finetune":
            return find_cut(self.backbone, self.options.trainable)
        return find_cut(self.backbone, "all")

    def _batchnorm(self) -> str:
        return "update" if self.scenario == "scratch" else self.options.batchnorm

    def _key(self) -> str:
        parts = [self.train] + ([self.held] if self.held else [])
        return digest_json({
            "version": RUN_VERSION, "scenario": self.scenario, "weights": self.backbone.card.weights_digest,
            "preprocessing": self.backbone.card.preprocessing.digest(), "options": asdict(self.options),
            "images": [digest_bytes(*(each.encode() for each in part.digests)) for part in parts],
            "codes": [digest_bytes(part.codes.astype("<i8").tobytes()) for part in parts],
            "classes": list(self.classes), "seed": self.seed, "seconds": self.seconds,
            "head": None if self.head is None else digest_bytes(self.head.model_["coef"].tobytes()),
        })  # fmt: skip

    def _read_decided(self) -> dict[str, Any]:
        path = self.folder / "decided.json"
        found: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
        processes.wait()  # the first process writes it, once every process has read it
        if found:
            emit(Notice("an earlier run of the same command was stopped; this one goes on with it"))
        return found

    def _decide(self, **values: Any) -> None:
        """Keep what was measured, so that a run that goes on decides the same."""
        self.decided.update(values)
        if processes.first():
            write_text(self.folder / "decided.json", json.dumps(self.decided))

    # ---- inputs ---------------------------------------------------------------------------------------------

    def _sources(self) -> tuple[Batches, Batches | None]:
        by = policy(self.options.augment)
        how = self.backbone.card.preprocessing
        n_views = 0 if self.options.fresh or self.scenario != "finetune" else self.options.views
        if by.name == "none":
            n_views = 1
        views = Views(self.train.items, self.train.digests, how, by, self.seed, n_views)
        held_views = (
            Views(self.held.items, self.held.digests, how, policy("none"), 0, 1)
            if self.held is not None
            else None
        )
        normalise = normaliser(how.mean, how.std)
        pixels = PixelBatches(views, self.options, normalise)
        held_pixels = PixelBatches(held_views, self.options, normalise) if held_views else None
        self.mode, why = self._mode(n_views)
        self.record.update(path=self.mode, path_reason=why, views=n_views, augment=by.name)
        if self.mode == "plain":
            return pixels, held_pixels
        try:
            return self._from_cut(pixels, held_pixels)
        except (BackboneError, EngineError) as error:
            warn(f"the frozen part runs plainly in torch: {error}")
            self.mode = "plain"
            self.record.update(path="plain", path_reason=str(error))
            return pixels, held_pixels

    def _mode(self, n_views: int) -> tuple[str, str]:
        """Plain (whole network in torch), stream (frozen part by the engine each time) or cache."""
        if not self.cut.after:
            return "plain", "every part of the network trains, or trained parts lie at its beginning"
        if mixes_pixels(self.options):
            return "stream", "pixels are mixed, so the frozen part sees new images in every step"
        if not n_views:
            return "stream", "views are drawn anew in each epoch"
        epochs = self._epochs()
        if n_views >= epochs and self.options.augment != "none":
            return (
                "stream",
                f"{n_views} views, {_counted(epochs)}: no view is seen twice, so keeping them saves nothing",
            )
        return "cache", f"{n_views} views are run once and seen in {_counted(epochs)}"

    def _epochs(self) -> int:
        return int(self.options.epochs or DEFAULT_EPOCHS[self.scenario])

    def _from_cut(
        self, pixels: PixelBatches, held_pixels: PixelBatches | None
    ) -> tuple[Batches, Batches | None]:
        layer = self.backbone.layers[self.cut.after]
        self.shape = layer.shape
        ready = self._runner("float32")
        self._check_suffix(StreamedBatches(pixels, ready.runner, layer.shape))
        cap = int(self.cache_gb * GIGABYTE)
        held: Batches | None = None
        if held_pixels is not None:
            stream = StreamedBatches(held_pixels, ready.runner, layer.shape)
            folder = self._held_folder(held_pixels.views, ready, (PLAIN,))
            held, kept = open_cache(stream, folder, (PLAIN,), cap, "frozen part of validation")
            self.record["validation_prefix"] = note_of(kept)
            self.float32_rate = kept.n_computed / kept.seconds if kept.n_computed else math.nan
        ready = self._prefix_precision(ready, held_pixels, held)
        self.record["prefix"] = ready.facts.to_dict()
        stream = StreamedBatches(pixels, ready.runner, layer.shape)
        if self.mode == "stream":
            return stream, held
        numbers = [PLAIN] if self.options.augment == "none" else list(range(pixels.views.n_views))
        folder = self._held_folder(pixels.views, ready, numbers)
        if self.options.augment == "none":
            stream.source.views = replace(pixels.views, n_views=1)
        source, kept = open_cache(stream, folder, numbers, cap, "frozen part")
        self.record["cache"] = note_of(kept)
        if isinstance(source, StreamedBatches):
            self.mode = "stream"
            self.record.update(path="stream", path_reason="there is no room to keep activations")
        return source, held

    def _check_suffix(self, stream: StreamedBatches) -> None:
        """The network in two parts says of some images what it says whole, else it is not cut."""
        rows = np.arange(min(4, stream.n))
        parts = [
            make_net(self.backbone, self.cut, len(self.classes), from_cut=each, seed=0).body.eval()
            for each in (True, False)
        ]
        with torch.no_grad():
            cut = parts[0](stream.get(rows, PLAIN_EPOCH).inputs)
            whole = parts[1](stream.source.get(rows, PLAIN_EPOCH).inputs)
        likeness = float(torch.nn.functional.cosine_similarity(cut, whole).min())
        if not likeness >= LEAST_LIKENESS:
            raise BackboneError(
                f"the network cut after {self.cut.after} differs from the whole one (least cosine {likeness:.4f})"
            )

    def _held_folder(self, views: Views, ready: Ready, numbers: Sequence[int]) -> Path:
        served = (ready.facts.engine, f"{ready.facts.precision}{self.calibration_id}")
        key = cache_key(views, self.backbone.card.weights_digest, self.cut.after, served, numbers)
        return self.stack.enter_context(held_folder(key))

    def _runner(self, precision: str) -> Ready:
        card = self.backbone.card
        name, rows = ("", None)
        if precision == "int8":
            name, rows = calibration_rows(card, self.train.digests)
        self.calibration_id = f"/{name}" if name else ""

        def sample(n: int) -> np.ndarray:
            chosen = (rows or list(range(len(self.train.items))))[:n]
            return np.stack([prepare(self.train.items[row], card.preprocessing) for row in chosen])

        wish = settle("auto", precision)
        place = Place(self.cut.after, "flat")
        return prepare_runner(lambda: self.backbone, card, [place], wish, Calibration(name, sample))

    def _prefix_precision(
        self, ready: Ready, held_pixels: PixelBatches | None, held: Batches | None
    ) -> Ready:
        """int8 where it is asked for, or where it is faster and costs no accuracy on the validation images."""
        wished = self.options.prefix_precision
        decided = self.decided.get("prefix_precision")
        if wished == "auto" and decided is None:
            tried = self._try_int8(ready, held_pixels, held)
            decided = "int8" if processes.from_first(tried == "int8") else "float32"
            self._decide(prefix_precision=decided)
        if "int8" not in (wished, decided):
            self.calibration_id = ""
            return ready
        return self._runner("int8")

    def _try_int8(self, ready: Ready, held_pixels: PixelBatches | None, held: Batches | None) -> str:
        n_runs = len(self.train.items) * max(1, self.options.views)
        why = ""
        if self.mode != "cache" or n_runs < LEAST_IMAGES_INT8:
            why = f"{n_runs} runs of the frozen part are too few to prepare int8 for"
        elif held_pixels is None or held is None or self.head is None or self.held is None:
            why = "without validation images and a fitted head its cost cannot be measured"
        elif ready.facts.engine != "onnxruntime":
            why = f"the engine is {ready.facts.engine}"
        if why:
            self.record["int8_trial"] = {"used": False, "reason": why}
            return "float32"
        assert held_pixels is not None and held is not None and self.held is not None
        trial = self._runner("int8")
        if trial.facts.precision != "int8":
            self.record["int8_trial"] = {
                "used": False,
                "reason": "int8 missed its bound of likeness to float32",
            }
            return "float32"
        stream = StreamedBatches(held_pixels, trial.runner, self.shape)
        start = time.perf_counter()
        net = self._net()
        net.eval()
        coarse = scores_of(net, stream).argmax(1).numpy() == self.held.codes
        fine = scores_of(net, held).argmax(1).numpy() == self.held.codes
        rates = [_rate(each, held_pixels) for each in (ready, trial)]
        loss = float(fine.mean() - coarse.mean())
        faster = rates[1] > 1.1 * rates[0]
        used = faster and loss <= max(INT8_MAY_LOSE, 1 / len(fine))
        self.record["int8_trial"] = {
            "used": used, "accuracy_float32": float(fine.mean()), "accuracy_int8": float(coarse.mean()),
            "images_per_second_float32": rates[0], "images_per_second_int8": rates[1],
            "seconds": time.perf_counter() - start,
        }  # fmt: skip
        return "int8" if used else "float32"

    # ---- network and loop -----------------------------------------------------------------------------------

    def _net(self) -> TransferNet:
        net = make_net(
            self.backbone, self.cut, len(self.classes), from_cut=self.mode != "plain", seed=self.seed,
            fresh_weights=self.scenario == "scratch",
        )  # fmt: skip
        if self.head is not None:
            net.head.start_from(self.head)  # type: ignore[operator]
        device = "cuda" if torch.cuda.is_available() else "cpu"
        return net.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]

    def _trained(self, net: TransferNet, source: Batches, held: Batches | None, key: str) -> Loop:
        if torch.get_num_threads() != n_threads() and n_processes() == 1:
            torch.set_num_threads(n_threads())
        options = copy.copy(self.options)
        options.epochs = self._epochs()
        fast = self._bfloat16(net, source, options)
        options.learning_rate = self._learning_rate(net, source, options, fast)
        options.epochs = self._plan_epochs(net, source, held, options, fast)
        checkpoints = Checkpoints(self.folder, key, options.checkpoint_minutes)
        first = {name: each.detach().clone() for name, each in net.state_dict().items()}
        for attempt in range(2):
            loop = self._loop(net, source, options, fast, held=held, checkpoints=checkpoints)
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
                self._decide(learning_rate=options.learning_rate)
        self.record.update(
            scenario=self.scenario, trainable=self.cut.asked, after=self.cut.after,
            n_trained=sum(each.numel() for each in net.parameters() if each.requires_grad),
            batchnorm=self._batchnorm(), dtype="bfloat16" if fast else "float32",
            learning_rate=options.learning_rate, epochs=options.epochs,
            start="plain" if self.head is None else "head-first",
            n_processes=n_processes(),
        )  # fmt: skip
        return loop

    def _loop(
        self, net: TransferNet, source: Batches, options: TrainingOptions, fast: bool, **more: Any
    ) -> Loop:
        frozen = frozen_names(net, self.backbone, self.cut)
        groups = make_groups(
            net, stage_modules(self.backbone.module), options, pretrained=self.scenario != "scratch"
        )

        def mode(training: bool) -> None:
            set_mode(net, frozen, training=training, batchnorm=self._batchnorm())

        shape: Any = torch.compile(net) if options.compile else None
        loop = Loop(
            net, mode, source, self.train.codes, len(self.classes), options, groups, seed=self.seed,
            bfloat16=fast, held_codes=None if self.held is None else self.held.codes, seconds=self.seconds, **more,
        )  # fmt: skip
        if shape is not None:
            loop.shape = shape
        return loop

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
        if options.learning_rate is not None:
            return options.learning_rate
        if "learning_rate" not in self.decided:
            n_steps = math.ceil(source.n / options.batch_size) * int(options.epochs or 1)
            found: RangeTest = range_test(
                lambda trial: self._loop(copy.deepcopy(net), source, trial, fast),
                options,
                steps=n_trial_steps(n_steps),
            )
            self._decide(learning_rate=found.chosen, range_test=asdict(found))
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
        if self.seconds is not None and self.options.epochs is None:
            n_epochs = max(1, int(self.seconds / max(expected, 1e-9)))
        emit(
            Notice(
                f"training: {_counted(n_epochs)} of about {max(1, round(expected))} s ({n_epochs * expected / 60:.1f} min)"
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
        seconds = math.ceil(source.n / options.batch_size) * (step + fetch)
        if held is not None:
            some = min(held.n, EVAL_BATCH)
            start = time.perf_counter()
            inputs = held.get(np.arange(some), PLAIN_EPOCH).inputs.to(next(net.parameters()).device)
            with torch.inference_mode():
                copy.deepcopy(net).eval()(inputs)
            seconds += (time.perf_counter() - start) * held.n / some
        return seconds

    # ---- the end ----------------------------------------------------------------------------------------------

    def _outcome(
        self, net: TransferNet, loop: Loop, held: Batches | None, source: Batches, frozen: dict[str, str]
    ) -> Outcome:
        trained = loop.trained
        scores = None if held is None else scores_of(net, held, loop.device).numpy()
        temperature = 1.0
        if scores is not None and self.held is not None and self.options.temperature:
            temperature = fit_temperature(scores, self.held.codes)
        self._detect(net, loop, scores, source, frozen)
        self.record.update(
            curve=[asdict(line) for line in trained.curve], kept_epoch=trained.kept_epoch, temperature=temperature,
            images_seen=trained.images_seen, stopped_early=trained.stopped_early, n_steps=loop.step,
            seconds={"train": trained.seconds},
            findings=[each.to_dict() for each in self.findings],
        )  # fmt: skip
        for each in self.findings:
            warn(str(each))
        head = {name: each.detach().cpu().clone() for name, each in net.head.state_dict().items()}
        state = {name: each.cpu() for name, each in whole_state(net, self.backbone).items()}
        unit = bool(net.head.unit_length)
        return Outcome(state, head, unit, temperature, trained, self.record, tuple(self.findings), scores)

    def _detect(
        self, net: TransferNet, loop: Loop, scores: np.ndarray | None, source: Batches, frozen: dict[str, str]
    ) -> None:
        found = [
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
        self.findings += [each for each in found if each is not None]

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


def _rate(ready: Ready, pixels: PixelBatches) -> float:
    """Images a second of a frozen part on some validation images in memory."""
    rows = np.arange(min(64, pixels.n))
    sample = pixels.pixels(rows, -1)
    stream = StreamedBatches(pixels, ready.runner, ())
    stream.run(sample[: ready.runner.batch_size])
    start = time.perf_counter()
    stream.run(sample)
    return len(sample) / (time.perf_counter() - start)


def _counted(epochs: int) -> str:
    return f"{epochs} epoch{'' if epochs == 1 else 's'}"


def _diverged(error: Diverged, again: bool) -> Finding:
    lower = f"it was tried once more at {error.rate / 10:.2g}" if again else "the run was given up"
    return Finding(
        "not finite", str(error), f"{lower}; give a lower --learning-rate", "warning" if again else "error"
    )


__all__ = ["Epoch", "Kept", "Outcome", "Part", "Training"]
