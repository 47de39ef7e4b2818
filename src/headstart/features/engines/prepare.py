"""From a wish (engine, precision) to a runner that was checked against torch, or to torch, aloud.

Bounds of the check, on real images: least cosine 0.9999 in float32, 0.999 in bfloat16; mean cosine 0.985 in
int8. A network that misses its bound, or that cannot be exported, is served by the next engine, with a
warning that reaches the report.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from headstart.backbones.card import BackboneCard
from headstart.backbones.load import Backbone, write_weights
from headstart.backbones.load import load as load_backbone
from headstart.base.errors import BadOptions, EngineError, UnknownName
from headstart.base.events import Notice, Progress, emit, warn
from headstart.base.optional import installed, require
from headstart.base.runtime import has_bfloat16, has_gpu
from headstart.features.calibration import N_CALIBRATION, Calibration
from headstart.features.engines.exports import (
    compare,
    export_folder,
    larger_export,
    run_batches,
    take_part,
    timed,
)
from headstart.features.engines.runner import ENGINES, PRECISIONS, EngineFacts, Parity, Runner
from headstart.features.taps import Place

LEAST_COSINE = {"float32": 0.9999, "bfloat16": 0.999}
MEAN_COSINE_INT8 = 0.985
N_CHECK = 32
HEAD_CONVOLUTIONS = (3, 6)  # kept in float32 for bfloat16: as few as meet the bound


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
    gpu = has_gpu()
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


def needs_calibration(wish: Wish) -> bool:
    """Whether the network is fitted to a sample of images."""
    return wish.precision == "int8" or (wish.engine, wish.precision) == ("openvino", "bfloat16")


def prepare_runner(
    load: Callable[[], Backbone],
    card: BackboneCard,
    places: Sequence[Place],
    wish: Wish,
    calibration: Calibration,
) -> Ready:
    """A checked runner for `places`.

    Parameters
    ----------
    load : callable
        Loads the backbone (torch is needed for an export and its check alone).
    calibration : Calibration
        Real images for the check, and for int8 and bfloat16 to fit the network to.
    """
    if wish.engine == "torch":
        return _torch(load, card, places, calibration, wish.precision)
    tries = [wish] if wish.precision == "float32" else [wish, Wish(wish.engine, "float32")]
    for each in tries:
        try:
            return Graphs(load, card, places, calibration).ready(each)
        except EngineError as error:
            after = "float32" if each.precision != "float32" else "torch"
            warn(f"{card.name}: {error}; {after} serves instead of {each.engine} in {each.precision}")
    return _torch(load, card, places, calibration, "float32")


def _torch(
    load: Callable[[], Backbone],
    card: BackboneCard,
    places: Sequence[Place],
    calibration: Calibration,
    precision: str,
) -> Ready:
    """Torch: float32 on a CPU is the reference; another precision or device is checked against it once."""
    from headstart.features.engines.torch_engine import TorchRunner, pick_device

    network, device = load(), pick_device()
    graphs = Graphs(lambda: network, card, places, calibration)
    for wish, at in ((precision, device), ("float32", device)):
        if (wish, at) == ("float32", "cpu"):
            break
        runner = TorchRunner(network, places, wish, at)
        parity = graphs.parity(runner, Wish("torch", wish), f"torch-{at}/{wish}")
        if within(parity, wish):
            return Ready(runner, EngineFacts("torch", wish, at, parity))
        after = "the CPU" if wish == "float32" else "float32"
        warn(
            f"{card.name}: torch in {wish} on {at} differs from its reference ({said(parity, wish)}); {after} serves"
        )
    runner = TorchRunner(network, places, "float32", "cpu")
    return Ready(runner, EngineFacts("torch", "float32", "cpu"))


class Graphs:
    """The exported graphs of a backbone at some places, made when they are first wanted, and checked once."""

    def __init__(
        self,
        load: Callable[[], Backbone],
        card: BackboneCard,
        places: Sequence[Place],
        calibration: Calibration,
    ) -> None:
        self.load, self.card, self.places, self.calibration = load, card, places, calibration
        self.export = export_folder(card, places)

    def ready(self, wish: Wish) -> Ready:
        """A runner that met its bound.

        Raises
        ------
        EngineError
            It cannot be exported, quantised or loaded, or it misses its bound (remembered for the next time).
        """
        name = f"{wish.engine}/{wish.precision}"
        if needs_calibration(wish):
            name += f"/{self.calibration.id}"
        facts = self.export.facts()
        if known := facts.get("export/failed") or facts.get(f"{name}/failed"):
            raise EngineError(str(known))
        self._export()
        try:
            return self._first_that_serves(wish, name)
        except EngineError as error:
            self.export.note(f"{name}/failed", str(error))
            raise

    def _first_that_serves(self, wish: Wish, name: str) -> Ready:
        """The first variant within its bound; a variant that was checked before is not checked again."""
        seconds = float(self.export.facts().get("export_seconds", 0.0))
        variants = HEAD_CONVOLUTIONS if (wish.engine, wish.precision) == ("openvino", "bfloat16") else (0,)
        missed: EngineError | None = None
        for n_float32 in variants:
            known = self.export.facts().get(f"{name}/{n_float32}")
            if known is not None and not within(Parity(**known), wish.precision):
                continue
            graphs = self._graphs(wish, n_float32)
            runner = _open(graphs, wish)
            parity = self.parity(runner, wish, f"{name}/{n_float32}")
            if within(parity, wish.precision):
                note = f"first {n_float32} convolutions in float32" if n_float32 else ""
                return Ready(
                    runner,
                    EngineFacts(wish.engine, wish.precision, "cpu", parity, seconds, str(graphs[0]), note),
                )
            missed = EngineError(
                f"{wish.engine} in {wish.precision} differs from torch ({said(parity, wish.precision)})"
            )
        raise missed or EngineError(
            f"{wish.engine} in {wish.precision} missed its bound when it was checked before"
        )

    def _export(self) -> None:
        from headstart.features.engines.export import export_onnx

        if self.export.graph.exists():
            return
        larger = larger_export(self.card, self.places)
        if larger is not None and take_part(*larger, self.export):
            return
        emit(Progress("export the network", 0, 1))
        try:
            seconds = timed(lambda: export_onnx(self.load(), self.places, self.export.graph))
        except EngineError as error:
            self.export.note("export/failed", str(error))
            raise
        self.export.note("export_seconds", seconds)
        self.export.describe(self.card, self.places)
        emit(Progress("export the network", 1, 1))

    def _graphs(self, wish: Wish, n_float32: int) -> list[Path]:
        """The file or files that make up the network in this precision."""
        if wish.precision == "int8":
            return [self._int8()]
        if not n_float32:
            return [self.export.graph]
        from headstart.features.engines.lower import lower

        stem = self.export.folder / f"bfloat16-{self.calibration.id}-{n_float32}"
        first, rest = stem.with_suffix(".first.onnx"), stem.with_suffix(".rest.onnx")
        made = (first.exists() and rest.exists()) or lower(
            self.export.graph, first, rest, self.calibration.sample(N_CALIBRATION), n_float32
        )
        return [first, rest] if made else [self.export.graph]

    def _int8(self) -> Path:
        from headstart.features.engines.quantise import quantise

        graph = self.export.int8_graph(self.calibration.id)
        if not graph.exists():
            emit(Progress("quantise to int8", 0, 1))
            quantise(self.export.graph, graph, self.calibration.sample(N_CALIBRATION))
            emit(Progress("quantise to int8", 1, 1))
        return graph

    def parity(self, runner: Runner, wish: Wish, name: str) -> Parity:
        """How near a runner is to torch in float32: as kept under `name`, else measured and kept."""
        known = self.export.facts().get(name)
        return Parity(**known) if known else self._checked(runner, wish, name)

    def _checked(self, runner: Runner, wish: Wish, name: str) -> Parity:
        """Compare with torch in float32 and keep the figures."""
        from headstart.features.engines.torch_engine import TorchRunner

        pixels = self.calibration.sample(N_CALIBRATION)[-N_CHECK:]
        reference = run_batches(TorchRunner(self.load(), self.places, device="cpu"), pixels)
        parity = compare(reference, run_batches(runner, pixels))
        self.export.note(name, parity.to_dict())
        if wish.precision != "float32":
            emit(Notice(f"{wish.precision} against float32: {said(parity, wish.precision)}"))
        return parity

    def weights(self) -> Path:
        """The backbone's weights as safetensors."""
        path = self.export.folder.parent / f"weights-{self.export.weights_digest}.safetensors"
        if not path.exists():
            write_weights(self.load(), path)
        return path


def _open(graphs: Sequence[Path], wish: Wish) -> Runner:
    if wish.engine == "openvino":
        from headstart.features.engines.openvino_engine import OpenVinoRunner

        return OpenVinoRunner(graphs, wish.precision)
    from headstart.features.engines.onnx_engine import OnnxRunner

    return OnnxRunner(graphs[0])


def within(parity: Parity, precision: str) -> bool:
    """Whether an engine's features are as near to torch's as its precision must be."""
    if precision == "int8":
        return parity.mean_cosine >= MEAN_COSINE_INT8
    return parity.least_cosine >= LEAST_COSINE[precision]


def said(parity: Parity, precision: str) -> str:
    """The figures of a check and its bound, in words."""
    if precision == "int8":
        words = f"mean cosine {parity.mean_cosine:.4f}, bound {MEAN_COSINE_INT8}"
    else:
        words = f"least cosine {parity.least_cosine:.5f}, bound {LEAST_COSINE[precision]}"
    near = "" if parity.neighbours is None else f", same nearest neighbour for {parity.neighbours:.0%}"
    return f"{words}{near}, {parity.n} images"


def graph_for_bundle(
    backbone: str | Backbone,
    card: BackboneCard,
    places: Sequence[Place],
    precision: str,
    calibration: Calibration,
) -> tuple[Path, Path]:
    """The graph a saved model predicts with (int8 if it was fitted on int8 features, else float32), and the weights.

    Both come from the cache where they are; an export is checked like any other.

    Raises
    ------
    EngineError
        The network cannot be exported.
    """

    def load() -> Backbone:
        shape = card.preprocessing
        return load_backbone(backbone).at((shape.height, shape.width))

    graphs = Graphs(load, card, places, calibration)
    ready = graphs.ready(Wish("onnxruntime", "int8" if precision == "int8" else "float32"))
    return Path(ready.facts.graph), graphs.weights()
