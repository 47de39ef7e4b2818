"""One ONNX graph from pixels to probabilities, for use anywhere; its parity with the model is checked."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from headstart.base.files import written_aside
from headstart.export.bundle import Bundle
from headstart.export.outputs import scales_of
from headstart.export.weld import check_welded, largest_difference, sample_pixels


def export_onnx(bundle: Bundle, path: str | Path) -> float:
    """Write `pixels` (uint8, (n, height, width, 3), resized and cropped) to `probabilities` (float32, (n, k)).

    The graph's metadata holds the classes, the target and the preprocessing as JSON.

    Returns
    -------
    float
        Largest difference of a probability on sample images: between the graph and the head in Python, or, of
        a trained network, between the graph and what torch said when the model was written.

    Raises
    ------
    EngineError
        The difference is above 1e-4.
    """
    import onnx

    difference = _checked(bundle)
    model = onnx.load(str(bundle.graph), load_external_data=False)
    del model.graph.output[1:]
    with written_aside(path) as aside:
        onnx.save(model, str(aside))
    return difference


def _checked(bundle: Bundle) -> float:
    how = bundle.preprocessing
    if not bundle.trained and not bundle.several:
        return check_welded(bundle.graph, bundle.head, how)
    if not bundle.trained:
        return _checked_outputs(bundle)
    expected = np.array(bundle.card["check"]["drawn_probabilities"], np.float32)
    pixels = sample_pixels(len(expected), how.height, how.width)
    return largest_difference(
        bundle.graph, pixels, expected, scales_of([each.output for each in bundle.outputs])
    )


def _checked_outputs(bundle: Bundle) -> float:
    from headstart.export.joint_nodes import check_outputs
    from headstart.methods.output_heads import OutputModel

    models = [
        OutputModel(answer.output, answer.thresholds, answer.temperature, head=head)
        for answer, head in zip(bundle.outputs, bundle.heads, strict=True)
    ]
    return check_outputs(bundle.graph, models, bundle.preprocessing)
