"""The frozen part of a run: what the trained part is fed with.

The frozen part runs in the fastest engine and precision that its check allows; what a precision costs in
accuracy is measured on the validation images before it is used.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from headstart.base.errors import BackboneError, EngineError
from headstart.base.events import unheard, warn
from headstart.base.runtime import has_int8
from headstart.features.calibration import Calibration, calibration_rows
from headstart.features.engines.prepare import Ready, prepare_runner, settle
from headstart.features.taps import Place
from headstart.images.prepare import prepare
from headstart.images.views import PLAIN, policy
from headstart.methods import processes
from headstart.methods.batches import PLAIN_EPOCH, Batches, scores_of
from headstart.methods.growing import GrowingBatches, sizes
from headstart.methods.mixing import mixes_pixels
from headstart.methods.network import make_net, normaliser
from headstart.methods.prefix import GIGABYTE, cache_key, held_folder, note_of, open_cache
from headstart.methods.run_part import RunPart
from headstart.methods.sources import PixelBatches, StreamedBatches, Views, views_by

if TYPE_CHECKING:
    from headstart.backbones.load import Backbone

LEAST_IMAGES_INT8 = 2000
INT8_MAY_LOSE = 0.005
LEAST_LIKENESS = 0.999


@dataclass(eq=False)
class FrozenPart(RunPart):
    """A run with what feeds it."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.growing: GrowingBatches | None = None
        self.stack = ExitStack()

    def _sources(self) -> tuple[Batches, Batches | None]:
        by = views_by(self.options)
        how = self.backbone.card.preprocessing
        small = self.for_training
        n_views = 0 if self.options.fresh or self.scenario != "finetune" else self.options.views
        if not by.changes:
            n_views = 1
        views = Views(self.train.items, self.train.digests, small.card.preprocessing, by, self.seed, n_views)
        held_views = (
            Views(self.held.items, self.held.digests, how, policy("none"), 0, 1)
            if self.held is not None
            else None
        )
        normalise = normaliser(how.mean, how.std)
        pixels = PixelBatches(views, self.options, normalise)
        held_pixels = PixelBatches(held_views, self.options, normalise) if held_views else None
        self.mode, why = self._mode(n_views, by.changes)
        shown = small.card.preprocessing
        self.record.update(
            path=self.mode, path_reason=why, views=n_views, augment=by.name,
            train_size=[shown.height, shown.width],
        )  # fmt: skip
        self._check_growing()
        if self.mode == "plain":
            return self._grown(pixels, pixels), held_pixels
        try:
            source, held = self._from_cut(pixels, held_pixels)
            return self._grown(source, pixels), held
        except (BackboneError, EngineError) as error:
            warn(f"the frozen part runs plainly in torch: {error}")
            self.mode = "plain"
            self.record.update(path="plain", path_reason=str(error))
            return self._grown(pixels, pixels), held_pixels

    def _smaller(self) -> tuple[int, ...]:
        """Sizes before the last one, where `progressive` asks for them."""
        final = self.for_training.card.preprocessing
        return (
            sizes(min(final.height, final.width), self.options.progressive)
            if self.options.progressive
            else ()
        )

    def _check_growing(self) -> None:
        """Tell before anything runs that images cannot grow.

        Raises
        ------
        BackboneError
            The network is tied to its input size, or too small for smaller images.
        """
        if not self.options.progressive:
            return
        final, smaller = self.for_training.card.preprocessing, self._smaller()
        if not smaller or final.height != final.width:
            raise BackboneError(f"progressive: images of {final.height} x {final.width} have no smaller size")
        if any(self.backbone.at(size).module is not self.backbone.module for size in smaller):
            raise BackboneError(f"progressive: {self.backbone.card.name} is tied to its input size")

    def _grown(self, source: Batches, pixels: PixelBatches) -> Batches:
        """Smaller images first, where `progressive` asks for them; their frozen part runs in every epoch."""
        smaller = self._smaller()
        if not smaller:
            return source
        found = [self._at_size(size, pixels) for size in smaller]
        self.record["sizes"] = [*smaller, self.for_training.card.preprocessing.height]
        self.growing = GrowingBatches([*found, source], self._epochs())
        return self.growing

    def _at_size(self, size: int, pixels: PixelBatches) -> Batches:
        small = self.backbone.at(size)
        views = replace(pixels.views, how=small.card.preprocessing)
        there = PixelBatches(views, self.options, pixels.normalise)
        if self.mode == "plain":
            return there
        precision = str(self.record["prefix"]["precision"])
        return StreamedBatches(
            there, self._runner(precision, small).runner, small.layers[self.cut.after].shape
        )

    def _mode(self, n_views: int, changes: bool) -> tuple[str, str]:
        """Plain (whole network in torch), stream (frozen part by the engine each time) or cache."""
        if not self.cut.after:
            return "plain", "every part of the network trains, or trained parts lie at its beginning"
        if mixes_pixels(self.options):
            return "stream", "pixels are mixed, so the frozen part sees new images in every step"
        if not n_views:
            return "stream", "views are drawn anew in each epoch"
        epochs = self._epochs()
        if n_views >= epochs and changes:
            return (
                "stream",
                f"{n_views} views, {counted(epochs)}: no view is seen twice, so keeping them saves nothing",
            )
        return "cache", f"{n_views} views are run once and seen in {counted(epochs)}"

    def _from_cut(
        self, pixels: PixelBatches, held_pixels: PixelBatches | None
    ) -> tuple[Batches, Batches | None]:
        shape = self.for_training.layers[self.cut.after].shape
        self.shape = self.backbone.layers[self.cut.after].shape
        ready = self._runner("float32", self.backbone)
        small = ready if self.for_training is self.backbone else self._runner("float32", self.for_training)
        self._check_suffix(StreamedBatches(pixels, small.runner, shape))
        cap = int(self.cache_gb * GIGABYTE)
        held: Batches | None = None
        if held_pixels is not None:
            stream = StreamedBatches(held_pixels, ready.runner, self.shape)
            folder = self._held_folder(held_pixels.views, ready, (PLAIN,))
            held, kept = open_cache(stream, folder, (PLAIN,), cap, "frozen part of validation")
            self.record["validation_prefix"] = note_of(kept)
        small = self._prefix_precision(ready, small, held_pixels, held)
        self.record["prefix"] = small.facts.to_dict()
        stream = StreamedBatches(pixels, small.runner, shape)
        if self.mode == "stream":
            return stream, held
        numbers = range(pixels.views.n_views)
        folder = self._held_folder(pixels.views, small, numbers)
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

    def _runner(self, precision: str, backbone: Backbone) -> Ready:
        card = backbone.card
        name, rows = ("", None)
        if precision == "int8":
            name, rows = calibration_rows(card, self.train.digests)
        self.calibration_id = f"/{name}" if name else ""

        def sample(n: int) -> np.ndarray:
            chosen = (rows or list(range(len(self.train.items))))[:n]
            return np.stack([prepare(self.train.items[row], card.preprocessing) for row in chosen])

        wish = settle("auto", precision)
        place = Place(self.cut.after, "flat")
        return prepare_runner(lambda: backbone, card, [place], wish, Calibration(name, sample))

    def _prefix_precision(
        self, ready: Ready, small: Ready, held_pixels: PixelBatches | None, held: Batches | None
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
            return small
        return self._runner("int8", self.for_training)

    def _try_int8(self, ready: Ready, held_pixels: PixelBatches | None, held: Batches | None) -> str:
        n_runs = len(self.train.items) * (self.record["views"] if self.mode == "cache" else self._epochs())
        why = ""
        if n_runs < LEAST_IMAGES_INT8:
            why = f"{n_runs} runs of the frozen part are too few to prepare int8 for"
        elif held_pixels is None or held is None or not self._fitted_start() or self.held is None:
            why = "without validation images and a fitted head its cost cannot be measured"
        elif ready.facts.engine != "onnxruntime":
            why = f"the engine is {ready.facts.engine}"
        elif not has_int8():
            why = "this processor has no int8 arithmetic that is quick and exact (VNNI)"
        if why:
            self.record["int8_trial"] = {"used": False, "reason": why}
            return "float32"
        assert held_pixels is not None and held is not None and self.held is not None
        with unheard():
            trial = self._runner("int8", self.backbone)
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
        coarse = self._rightness(scores_of(net, stream).numpy())
        fine = self._rightness(scores_of(net, held).numpy())
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


def _rate(ready: Ready, pixels: PixelBatches) -> float:
    """Images a second of a frozen part on some validation images in memory."""
    rows = np.arange(min(64, pixels.n))
    sample = pixels.pixels(rows, -1)
    stream = StreamedBatches(pixels, ready.runner, ())
    stream.run(sample[: ready.runner.batch_size])
    start = time.perf_counter()
    stream.run(sample)
    return len(sample) / (time.perf_counter() - start)


def counted(epochs: int) -> str:
    """In words."""
    return f"{epochs} epoch{'' if epochs == 1 else 's'}"
