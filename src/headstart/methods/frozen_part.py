"""The frozen part of a run: where the network is cut, and what the trained part is fed with.

The frozen part runs in the fastest engine and precision that its check allows; what a precision costs in
accuracy is measured on the validation images before it is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from headstart.base.errors import BackboneError, EngineError
from headstart.base.events import warn
from headstart.features.calibration import Calibration, calibration_rows
from headstart.features.engines.prepare import Graphs, Ready, Wish, needs_calibration, prepare_runner, settle
from headstart.features.taps import Place
from headstart.images.prepare import prepare
from headstart.images.views import PLAIN, policy
from headstart.methods import processes
from headstart.methods.batches import PLAIN_EPOCH, Batches, scores_of
from headstart.methods.curve import counted
from headstart.methods.engine_choice import LEAST_IMAGES_TRIED, Rightness, fastest, named
from headstart.methods.growing import GrowingBatches, sizes
from headstart.methods.mixing import mixes_pixels
from headstart.methods.network import make_net, normaliser
from headstart.methods.prefix import GIGABYTE, cache_key, held_folder, note_of, open_cache
from headstart.methods.prefix_cost import keeping_cost
from headstart.methods.run_part import RunPart
from headstart.methods.sources import MIRRORED, PixelBatches, StreamedBatches, Views, views_by

if TYPE_CHECKING:
    from headstart.backbones.card import BackboneCard
    from headstart.backbones.load import Backbone

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
        wish = Wish(self.record["prefix"]["engine"], self.record["prefix"]["precision"])
        return StreamedBatches(there, self._runner(wish, small).runner, small.layers[self.cut.after].shape)

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
        plain = settle("auto", "float32")
        ready = self._runner(plain, self.backbone)
        small = ready if self.for_training is self.backbone else self._runner(plain, self.for_training)
        self._check_suffix(StreamedBatches(pixels, small.runner, shape))
        left = int(self.cache_gb * GIGABYTE)
        held: Batches | None = None
        if held_pixels is not None:
            stream = StreamedBatches(held_pixels, ready.runner, self.shape)
            numbers = (PLAIN, MIRRORED) if self.options.test_views == "mirror" else (PLAIN,)
            folder = self._held_folder(held_pixels.views, ready, numbers)
            held, kept = open_cache(stream, folder, numbers, left, "frozen part of validation")
            self.record["validation_prefix"] = note_of(kept)
            left -= kept.bytes
        small = self._served(ready, small, pixels, held_pixels, held)
        self.record["prefix"] = small.facts.to_dict()
        return self._kept(StreamedBatches(pixels, small.runner, shape), small, left), held

    def _kept(self, stream: StreamedBatches, small: Ready, left: int) -> Batches:
        """The frozen part's activations from a cache of so many bytes, where that pays; else as they are asked for."""
        if self.mode == "stream":
            return stream
        numbers = range(stream.source.views.n_views)
        folder = self._held_folder(stream.source.views, small, numbers)
        if not self._pays(stream, folder):
            self.mode = "stream"
            self.record.update(path="stream", path_reason=self.decided["cost"]["said"])
            return stream
        source, kept = open_cache(stream, folder, numbers, left, "frozen part")
        self.record["cache"] = note_of(kept)
        if isinstance(source, StreamedBatches):
            self.mode = "stream"
            self.record.update(path="stream", path_reason="there is no room to keep activations")
        return source

    def _pays(self, stream: StreamedBatches, folder: Path) -> bool:
        """Whether keeping activations takes less time than computing them in every epoch."""
        if "cost" not in self.decided:
            self._decide(cost=keeping_cost(stream, folder, self._epochs()) if processes.first() else None)
        self.record["cache_cost"] = self.decided["cost"]
        return self.decided["cost"] is None or bool(self.decided["cost"]["pays"])

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
        facts = ready.facts
        lowered = (
            f"/{Path(facts.graph).stem}" if facts.precision != "float32" else ""
        )  # fitted to which images
        served = (facts.engine, f"{facts.precision}{lowered}")
        key = cache_key(views, self.backbone.card.weights_digest, self.cut.after, served, numbers)
        return self.stack.enter_context(held_folder(key))

    def _calibration(self, wish: Wish, card: BackboneCard) -> Calibration:
        name, rows = calibration_rows(card, self.train.digests) if needs_calibration(wish) else ("", None)

        def sample(n: int) -> np.ndarray:
            chosen = (rows or list(range(len(self.train.items))))[:n]
            return np.stack([prepare(self.train.items[row], card.preprocessing) for row in chosen])

        return Calibration(name, sample)

    def _runner(self, wish: Wish, backbone: Backbone) -> Ready:
        place = Place(self.cut.after, "flat")
        return prepare_runner(
            lambda: backbone, backbone.card, [place], wish, self._calibration(wish, backbone.card)
        )

    def _served(
        self,
        ready: Ready,
        small: Ready,
        pixels: PixelBatches,
        held_pixels: PixelBatches | None,
        held: Batches | None,
    ) -> Ready:
        """What runs the frozen part on training images: as asked, else the fastest engine that may."""
        wished = self.options.prefix_precision
        if wished in ("bfloat16", "int8"):
            wish = settle("auto", wished)
        else:
            if "prefix" not in self.decided:
                found = self._fastest(ready, pixels, held_pixels, held) if processes.first() else None
                self._decide(prefix=found)
            self.record["prefix_trial"] = self.decided["prefix"]
            wish = Wish(*self.decided["prefix"]["used"].split("/"))
        if wish == Wish(ready.facts.engine, ready.facts.precision):
            return small
        return self._runner(wish, self.for_training)

    def _fastest(
        self, ready: Ready, pixels: PixelBatches, held_pixels: PixelBatches | None, held: Batches | None
    ) -> dict[str, Any]:
        """What serves and what was measured of the others."""
        n_runs = len(self.train.items) * (self.record["views"] if self.mode == "cache" else self._epochs())
        own = named(Wish(ready.facts.engine, ready.facts.precision))
        if n_runs < LEAST_IMAGES_TRIED:
            return {
                "used": own,
                "reason": f"{n_runs} runs of the frozen part are too few to prepare another engine for",
            }

        def opened(wish: Wish) -> Ready:
            card, place = self.backbone.card, Place(self.cut.after, "flat")
            return Graphs(lambda: self.backbone, card, [place], self._calibration(wish, card)).ready(wish)

        rightness = self._right_behind(ready, held_pixels, held)
        return fastest(ready, self.options.prefix_precision, opened, held_pixels or pixels, rightness)

    def _right_behind(
        self, ready: Ready, held_pixels: PixelBatches | None, held: Batches | None
    ) -> Rightness | None:
        """How right the fitted head is behind a frozen part; None where that cannot be said."""
        if held_pixels is None or held is None or not self._fitted_start():
            return None
        net, there, kept = self._net().eval(), held_pixels, held

        def rightness(each: Ready) -> np.ndarray:
            source = kept if each is ready else StreamedBatches(there, each.runner, self.shape)
            return self._rightness(scores_of(net, source).numpy())

        return rightness
