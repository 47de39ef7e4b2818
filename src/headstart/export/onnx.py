"""One ONNX graph from pixels to probabilities: the bundle's network with its head welded on, parity checked."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from headstart.base.errors import EngineError
from headstart.base.files import written_aside
from headstart.export.bundle import Bundle
from headstart.export.onnx_heads import head_nodes

OUTPUT = "probabilities"
BOUND = 1e-4
N_CHECK = 8


def export_onnx(bundle: Bundle, path: str | Path) -> float:
    """Write `pixels` (uint8, (n, height, width, 3), resized and cropped) to `probabilities` (float32, (n, k)).

    The graph's metadata holds the classes, the target and the preprocessing as JSON.

    Returns
    -------
    float
        Largest difference of a probability between the graph and the bundle, on sample images.

    Raises
    ------
    EngineError
        The difference is above 1e-4.
    """
    import onnx

    model = _welded(bundle)
    target = Path(path)
    with written_aside(target) as aside:
        onnx.save(model, str(aside))
        difference = _difference(bundle, aside)
        if not difference <= BOUND:
            raise EngineError(
                f"the exported graph differs from the model by {difference:.2g} (bound {BOUND})"
            )
    return difference


def _welded(bundle: Bundle):  # type: ignore[no-untyped-def]
    import json
    from dataclasses import asdict

    import onnx
    from onnx import TensorProto, helper

    model = onnx.load(str(bundle.graph), load_external_data=False)
    graph = model.graph
    names = [output.name for output in graph.output]
    feature = names[0]
    if len(names) > 1:
        feature = "all_features"
        graph.node.append(helper.make_node("Concat", names, [feature], axis=1))
    nodes, tensors = head_nodes(bundle.head, feature, OUTPUT)
    graph.node.extend(nodes)
    graph.initializer.extend(tensors)
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["n", len(bundle.classes)]))
    facts = {
        "classes": list(bundle.classes),
        "target": bundle.target,
        "preprocessing": asdict(bundle.preprocessing),
    }
    for key, value in facts.items():
        helper_entry = model.metadata_props.add()
        helper_entry.key, helper_entry.value = f"headstart.{key}", json.dumps(value, ensure_ascii=False)
    onnx.checker.check_model(model)
    return model


def _difference(bundle: Bundle, path: Path) -> float:
    from headstart.features.engines.onnx_engine import OnnxRunner

    shape = bundle.preprocessing
    pixels = sample_pixels(N_CHECK, shape.height, shape.width)
    found = bundle.runner().run(pixels)
    expected = bundle.head.predict_proba(found[0] if len(found) == 1 else np.concatenate(found, axis=1))
    return float(np.abs(OnnxRunner(path).run(pixels)[0] - expected).max())


def sample_pixels(n: int, height: int, width: int) -> np.ndarray:
    """Seeded smooth images, uint8 (n, height, width, 3): noise of several scales, as photographs have."""
    draw = np.random.default_rng(0)
    total = np.zeros((n, height, width, 3), np.float32)
    for cells in (2, 7, 28, 112):
        coarse = draw.normal(size=(n, cells, cells, 3)).astype(np.float32)
        rows, columns = np.arange(height) * cells // height, np.arange(width) * cells // width
        total += coarse[:, rows][:, :, columns]
    return np.clip(127 + 45 * total, 0, 255).astype(np.uint8)
