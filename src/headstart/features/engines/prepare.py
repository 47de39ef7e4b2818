"""From a wish (engine, precision) to a runner that was checked against torch, or to torch, aloud.

Bounds of the check, on real images: least cosine 0.9999 in float32, 0.999 in bfloat16; mean cosine 0.985 in
int8. A network that misses its bound, or that cannot be exported, is served by the next engine, with a
warning that reaches the report.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from headstart.backbones.card import BackboneCard
from headstart.backbones.load import Backbone, write_weights
from headstart.backbones.load import load as load_backbone
from headstart.base.errors import BadOptions, EngineError, UnknownName
from headstart.base.events import Notice, Progress, emit, warn
from headstart.base.optional import installed, require
from headstart.base.runtime import has_bfloat16
from headstart.features.engines.exports import Export, compare, export_folder, run_batches, timed
from headstart.features.engines.runner import ENGINES, PRECISIONS, EngineFacts, Parity, Runner
from headstart.features.taps import Place

LEAST_COSINE = {"float32": 0.9999, "bfloat16": 0.999}
MEAN_COSINE_INT8 = 0.985
N_SAMPLE = 32


@dataclass(frozen=True)
class Wish:
    """Engine and precision, both settled by name."""

    engine: str
    precision: str


def settle(engine: str, precision: str) -> Wish:
    """Which engine serves on this machine, without importing it.

    `auto` is torch where a GPU is present, else onnxruntime; bfloat16 on a CPU asks for openvino where it is
    installed, else torch.

    Raises
    ------
    UnknownName, BadOptions, MissingPackage
    """
    if engine not in ENGINES:
        raise UnknownName("engine", engine, ENGINES)
    if precision not in PRECISIONS:
        raise UnknownName("precision", precision, PRECISIONS)
    gpu = Path("/dev/nvidiactl").exists() or sys.platform == "darwin"
    if engine == "auto":
        if precision == "int8":
            engine = "onnxruntime"
        elif gpu:
            engine = "torch"
        elif precision == "bfloat16":
            engine = "openvino" if installed("openvino") else "torch"
        else:
            engine = "onnxruntime"
    wrong = []
    if precision == "bfloat16" and engine == "onnxruntime":
        wrong.append(
            "precision: onnxruntime has no bfloat16 on a CPU; use --engine openvino (extra turbo) or torch"
        )
    if precision == "bfloat16" and not gpu and not has_bfloat16():
        wrong.append("precision: this processor has no bfloat16; use float32 or int8")
    if precision == "int8" and engine == "torch":
        wrong.append("precision: int8 runs in onnxruntime or openvino, not in torch")
    if wrong:
        raise BadOptions(wrong)
    if engine == "openvino":
        require("openvino", extra="turbo", purpose="the engine openvino")
    return Wish(engine, precision)


@dataclass(frozen=True)
class Ready:
    """A runner, what is known of it, and the precision its rows are kept under."""

    runner: Runner
    facts: EngineFacts


Sampler = Callable[[int], np.ndarray]


def prepare_runner(
    load: Callable[[], Backbone],
    card: BackboneCard,
    places: Sequence[Place],
    wish: Wish,
    sample: Sampler,
    calibration: str = "",
) -> Ready:
    """A checked runner for `places`.

    Parameters
    ----------
    load : callable
        Loads the backbone (torch is needed for an export and its check alone).
    sample : callable
        `sample(n)` gives up to n prepared images, uint8 (n, height, width, 3), the same at every call.
    calibration : str
        Digest of the sample, for int8.
    """
    if wish.engine == "torch":
        return _torch(load, places, wish.precision)
    export = export_folder(card, places)
    tries = [wish] if wish.precision == "float32" else [wish, Wish(wish.engine, "float32")]
    for each in tries:
        try:
            return _exported(export, load, places, each, sample, calibration)
        except EngineError as error:
            after = "float32" if each.precision != "float32" else "torch"
            warn(f"{card.name}: {error}; {after} serves instead of {each.engine} in {each.precision}")
    return _torch(load, places, "float32")


def _torch(load: Callable[[], Backbone], places: Sequence[Place], precision: str) -> Ready:
    from headstart.features.engines.torch_engine import TorchRunner

    runner = TorchRunner(load(), places, precision)
    return Ready(runner, EngineFacts("torch", precision, runner.device))


def _open(path: Path, wish: Wish) -> Runner:
    if wish.engine == "openvino":
        from headstart.features.engines.openvino_engine import OpenVinoRunner

        return OpenVinoRunner(path, wish.precision)
    from headstart.features.engines.onnx_engine import OnnxRunner

    return OnnxRunner(path)


def _exported(
    export: Export,
    load: Callable[[], Backbone],
    places: Sequence[Place],
    wish: Wish,
    sample: Sampler,
    calibration: str,
) -> Ready:
    name = f"{wish.engine}/{wish.precision}" + (f"/{calibration}" if wish.precision == "int8" else "")
    facts = export.facts()
    if known := facts.get(f"{name}/failed") or facts.get("export/failed"):
        raise EngineError(str(known))
    seconds = float(facts.get("export_seconds", 0.0))
    if not export.graph.exists():
        seconds = _export(export, load, places)
    graph = export.graph
    if wish.precision == "int8":
        graph = export.int8_graph(calibration)
        if not graph.exists():
            _quantise(export, graph, sample, name)
    runner = _open(graph, wish)
    if name in facts:
        parity = Parity(**facts[name])
    else:
        parity = _check(export, runner, load, places, wish, sample, name)
    return Ready(runner, EngineFacts(wish.engine, wish.precision, "cpu", parity, seconds, str(graph)))


def _export(export: Export, load: Callable[[], Backbone], places: Sequence[Place]) -> float:
    from headstart.features.engines.export import export_onnx

    emit(Progress("export the network", 0, 1))
    try:
        seconds = timed(lambda: export_onnx(load(), places, export.graph))
        write_weights(load(), export.folder / "backbone.safetensors")
    except EngineError as error:
        export.note("export/failed", str(error))
        raise
    export.note("export_seconds", seconds)
    emit(Progress("export the network", 1, 1))
    return seconds


def _quantise(export: Export, graph: Path, sample: Sampler, name: str) -> None:
    from headstart.features.engines.quantise import N_CALIBRATION, quantise

    emit(Progress("quantise to int8", 0, 1))
    try:
        quantise(export.graph, graph, sample(N_CALIBRATION))
    except EngineError as error:
        export.note(f"{name}/failed", str(error))
        raise
    emit(Progress("quantise to int8", 1, 1))


def _check(
    export: Export,
    runner: Runner,
    load: Callable[[], Backbone],
    places: Sequence[Place],
    wish: Wish,
    sample: Sampler,
    name: str,
) -> Parity:
    """Compare with torch in float32 and keep the figures; raise where they miss the bound."""
    from headstart.features.engines.torch_engine import TorchRunner

    pixels = sample(N_SAMPLE)
    reference = run_batches(TorchRunner(load(), places, device="cpu"), pixels)
    parity = compare(reference, run_batches(runner, pixels))
    if wish.precision == "int8":
        value, bound, what = parity.mean_cosine, MEAN_COSINE_INT8, "mean"
        said = (
            "" if parity.neighbours is None else f", the nearest neighbour agrees for {parity.neighbours:.0%}"
        )
        emit(Notice(f"int8 against float32 on {parity.n} images: mean cosine {parity.mean_cosine:.4f}{said}"))
    else:
        value, bound, what = parity.least_cosine, LEAST_COSINE[wish.precision], "least"
    if not value >= bound:
        failed = f"{wish.engine} in {wish.precision} differs from torch ({what} cosine {value:.5f} on {parity.n} images, bound {bound})"
        export.note(f"{name}/failed", failed)
        raise EngineError(failed)
    export.note(name, parity.to_dict())
    return parity


def graph_for_bundle(
    backbone: str | Backbone,
    card: BackboneCard,
    places: Sequence[Place],
    precision: str,
    calibration: str,
    sample: Sampler,
) -> tuple[Path, Path]:
    """The graph that a saved model predicts with (int8 where it was fitted on int8 features, else float32), and the weights.

    Both come from the cache where they are; an export is checked like any other.

    Raises
    ------
    EngineError
        The network cannot be exported.
    """

    def load() -> Backbone:
        shape = card.preprocessing
        return load_backbone(backbone).at((shape.height, shape.width))

    export = export_folder(card, places)
    wish = Wish("onnxruntime", "int8" if precision == "int8" else "float32")
    ready = _exported(export, load, places, wish, sample, calibration)
    weights = export.folder / "backbone.safetensors"
    if not weights.exists():
        write_weights(load(), weights)
    return Path(ready.facts.graph), weights
