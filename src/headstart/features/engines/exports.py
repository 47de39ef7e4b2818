"""Exports are kept by content: a graph, its parity with torch, and what could not be exported.

A folder an export in the cache: `trunk.onnx` (float32), `int8.onnx` where asked for, `facts.json`. Parity is
measured once, on real images, when the export is made.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from headstart.backbones.card import BackboneCard
from headstart.base.files import write_text
from headstart.base.hashing import digest_json
from headstart.base.runtime import cache_folder, versions
from headstart.features.engines.runner import Parity, Runner
from headstart.features.taps import Place

EXPORT_VERSION = "3"
MAKERS = ("torch", "timm", "onnx", "onnxruntime", "openvino")


@dataclass(frozen=True)
class Export:
    """Where one export lies and what is known of it."""

    folder: Path
    weights_digest: str

    @property
    def graph(self) -> Path:
        """The float32 graph."""
        return self.folder / "trunk.onnx"

    def int8_graph(self, calibration: str) -> Path:
        """The graph quantised on one calibration sample."""
        return self.folder / f"int8-{calibration}.onnx"

    def facts(self) -> dict[str, Any]:
        """What was measured or went wrong, by engine and precision."""
        path = self.folder / "facts.json"
        found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
        return found

    def describe(self, card: BackboneCard, places: Sequence[Place]) -> None:
        """Keep what the graph is of, so that parts of it can be found."""
        self.note("weights", card.weights_digest)
        self.note("preprocessing", card.preprocessing.digest())
        self.note("packages", packages())
        self.note("places", [str(place) for place in places])

    def note(self, name: str, value: Any) -> None:
        """Keep one fact."""
        write_text(self.folder / "facts.json", json.dumps({**self.facts(), name: value}, indent=1))


@cache
def packages() -> dict[str, str]:
    """Versions of what makes and runs an export: what another version made, or could not, is not served."""
    known = versions()
    return {name: known[name] for name in MAKERS if name in known}


def export_folder(card: BackboneCard, places: Sequence[Place]) -> Export:
    """The folder for a backbone's weights, preprocessing and places, under the packages at hand."""
    key = digest_json({
        "weights": card.weights_digest, "architecture": card.architecture, "preprocessing": card.preprocessing.digest(),
        "places": [str(place) for place in places], "version": EXPORT_VERSION, "packages": packages(),
    })  # fmt: skip
    return Export(cache_folder() / "exports" / key, card.weights_digest)


def larger_export(card: BackboneCard, places: Sequence[Place]) -> tuple[Export, list[int]] | None:
    """A kept export of the same network that holds all of `places`, and their numbers among its outputs."""
    wanted = [str(place) for place in places]
    for path in sorted((cache_folder() / "exports").glob("*/facts.json")):
        export = Export(path.parent, card.weights_digest)
        facts = export.facts()
        have = facts.get("places", [])
        same = [facts.get("weights"), facts.get("preprocessing"), facts.get("packages")] == [
            card.weights_digest,
            card.preprocessing.digest(),
            packages(),
        ]
        if same and export.graph.exists() and set(wanted) < set(have):
            return export, [have.index(place) for place in wanted]
    return None


def take_part(larger: Export, numbers: Sequence[int], export: Export) -> bool:
    """Cut the graph of fewer places out of a larger one; what was checked of the whole holds for the part.

    The least cosine of the whole is over all its places, so it bounds that of the part. Needs no torch.
    """
    import onnx

    from headstart.base.files import written_aside
    from headstart.features.engines.subgraph import subgraph

    whole = onnx.load(str(larger.graph), load_external_data=False)
    outputs = [whole.graph.output[number].name for number in numbers]
    part = subgraph(whole, [whole.graph.input[0].name], outputs)
    if part is None:
        return False
    with written_aside(export.graph) as aside:
        onnx.save(part, str(aside))
    for name, value in larger.facts().items():
        if name.endswith("/float32/0"):
            export.note(name, value)
    export.note("export_seconds", 0.0)
    return True


def clear_exports() -> int:
    """Remove every kept export; returns the bytes freed."""
    import shutil

    folder = cache_folder() / "exports"
    freed = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) if folder.exists() else 0
    shutil.rmtree(folder, ignore_errors=True)
    return freed


def run_batches(runner: Runner, pixels: np.ndarray) -> list[np.ndarray]:
    """Features of a sample that fits in memory, one matrix a place."""
    parts = [
        runner.run(pixels[at : at + runner.batch_size]) for at in range(0, len(pixels), runner.batch_size)
    ]
    return [np.concatenate(each) for each in zip(*parts, strict=True)]


def compare(reference: list[np.ndarray], other: list[np.ndarray]) -> Parity:
    """Parity of two sets of features of the same images."""
    cosines = np.concatenate([_cosines(a, b) for a, b in zip(reference, other, strict=True)])
    same = (
        [np.mean(_nearest(a) == _nearest(b)) for a, b in zip(reference, other, strict=True)]
        if len(reference[0]) > 2
        else []
    )
    return Parity(
        float(cosines.min()), float(cosines.mean()), float(np.mean(same)) if same else None, len(reference[0])
    )


def _cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    a64, b64 = a.astype(np.float64), b.astype(np.float64)
    scale = np.linalg.norm(a64, axis=1) * np.linalg.norm(b64, axis=1)
    out: np.ndarray = np.where(
        scale > 0, (a64 * b64).sum(1) / np.maximum(scale, 1e-300), 1.0 * np.all(a64 == b64, axis=1)
    )
    return out


def _nearest(a: np.ndarray) -> np.ndarray:
    unit = a / np.maximum(np.linalg.norm(a, axis=1, keepdims=True), 1e-30)
    near = unit @ unit.T
    np.fill_diagonal(near, -np.inf)
    found: np.ndarray = near.argmax(1)
    return found


def timed(work: Callable[[], None]) -> float:
    """Seconds that `work` takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
