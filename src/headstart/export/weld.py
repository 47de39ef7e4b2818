"""Network and head as one ONNX graph: pixels in, probabilities out (and the features, for who wants them)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.backbones.card import Preprocessing
from headstart.base.errors import EngineError

if TYPE_CHECKING:
    from headstart.methods.heads_base import Head

PROBABILITIES = "probabilities"
BOUND = 1e-4
N_CHECK = 8


def weld(trunk: Path, head: Head, path: Path, facts: dict[str, Any]) -> None:
    """Write `trunk` with `head` on top of its features; `facts` become metadata, as JSON.

    Outputs: `probabilities` (float32, (n, k)) first, then the trunk's own features.
    """
    import onnx

    from headstart.export.onnx_heads import head_nodes

    model = onnx.load(str(trunk), load_external_data=False)
    kept, feature = features_of(model)
    nodes, tensors = head_nodes(head, feature, PROBABILITIES)
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(tensors)
    finish(model, kept, len(head.classes_), path, facts)


def features_of(model: Any) -> tuple[list[Any], str]:
    """The outputs of a trunk's graph, and the name of all its features side by side."""
    from onnx import helper

    kept = list(model.graph.output)
    names = [output.name for output in kept]
    if len(names) == 1:
        return kept, str(names[0])
    model.graph.node.append(helper.make_node("Concat", names, ["all_features"], axis=1))
    return kept, "all_features"


def finish(model: Any, kept: Sequence[Any], n_columns: int, path: Path, facts: dict[str, Any]) -> None:
    """Name the graph's outputs (`probabilities` first, then those of the trunk), note the facts, check, write."""
    import onnx
    from onnx import TensorProto, helper

    shape = ["n", n_columns]
    del model.graph.output[:]
    model.graph.output.extend([
        helper.make_tensor_value_info(PROBABILITIES, TensorProto.FLOAT, shape), *kept
    ])  # fmt: skip
    note(model, facts)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def note(model: Any, facts: dict[str, Any]) -> None:
    """Set the graph's metadata: each fact under `headstart.NAME`, as JSON."""
    del model.metadata_props[:]
    for key, value in facts.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = f"headstart.{key}", json.dumps(value, ensure_ascii=False)


def facts_of(classes: Sequence[str], target: str, preprocessing: Preprocessing) -> dict[str, Any]:
    """What somebody who runs the graph elsewhere has to know."""
    return {"classes": list(classes), "target": target, "preprocessing": asdict(preprocessing)}


def check_welded(path: Path, head: Head, preprocessing: Preprocessing) -> float:
    """Largest difference of a probability between the graph and the head on the graph's own features.

    Raises
    ------
    EngineError
        It is above 1e-4.
    """
    from headstart.features.engines.onnx_engine import OnnxRunner

    found = OnnxRunner(path).run(sample_pixels(N_CHECK, preprocessing.height, preprocessing.width))
    expected = head.predict_proba(joined(found[1:]))
    difference = float(np.abs(found[0] - expected).max())
    if not difference <= BOUND:
        raise EngineError(f"the exported graph differs from the model by {difference:.2g} (bound {BOUND})")
    return difference


def largest_difference(
    path: Path, pixels: np.ndarray, expected: np.ndarray, scales: np.ndarray | None = None
) -> float:
    """Largest difference of a probability between a graph and what is expected of it.

    Parameters
    ----------
    scales : ndarray, shape (k,), optional
        What the difference of each column is measured in (1 where not given).

    Raises
    ------
    EngineError
        It is above 1e-4, or not a number.
    """
    from headstart.features.engines.onnx_engine import OnnxRunner

    runner = OnnxRunner(path)
    size = runner.batch_size
    found = np.concatenate([runner.run(pixels[at : at + size])[0] for at in range(0, len(pixels), size)])
    difference = float((np.abs(found - expected) / (1.0 if scales is None else scales)).max())
    if not difference <= BOUND:
        raise EngineError(f"the exported graph differs from the model by {difference:.2g} (bound {BOUND})")
    return difference


def joined(parts: list[np.ndarray]) -> np.ndarray:
    """Features of several layers side by side."""
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)


def sample_pixels(n: int, height: int, width: int) -> np.ndarray:
    """Seeded smooth images, uint8 (n, height, width, 3): noise of several scales, as photographs have."""
    draw = np.random.default_rng(0)
    total = np.zeros((n, height, width, 3), np.float32)
    for cells in (2, 7, 28, 112):
        coarse = draw.normal(size=(n, cells, cells, 3)).astype(np.float32)
        rows, columns = np.arange(height) * cells // height, np.arange(width) * cells // width
        total += coarse[:, rows][:, :, columns]
    return np.clip(127 + 45 * total, 0, 255).astype(np.uint8)
