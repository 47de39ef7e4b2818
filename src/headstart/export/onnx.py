"""One ONNX graph from pixels to probabilities, for use anywhere; its parity with the model is checked."""

from __future__ import annotations

from pathlib import Path

from headstart.base.files import written_aside
from headstart.export.bundle import Bundle
from headstart.export.weld import check_welded


def export_onnx(bundle: Bundle, path: str | Path) -> float:
    """Write `pixels` (uint8, (n, height, width, 3), resized and cropped) to `probabilities` (float32, (n, k)).

    The graph's metadata holds the classes, the target and the preprocessing as JSON.

    Returns
    -------
    float
        Largest difference of a probability between the graph and the head in Python, on sample images.

    Raises
    ------
    EngineError
        The difference is above 1e-4.
    """
    import onnx

    difference = check_welded(bundle.graph, bundle.head, bundle.preprocessing)
    model = onnx.load(str(bundle.graph), load_external_data=False)
    del model.graph.output[1:]
    with written_aside(path) as aside:
        onnx.save(model, str(aside))
    return difference
