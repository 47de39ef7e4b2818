"""A graph traced at one number of images, made to take any number.

Tracing with a symbolic number of images takes more than twice as long (11 s of processor time against 4.6 for
EfficientNet-Lite0), nearly all of it spent on proving shapes equal. A fixed number leaves its mark only where a
reshape names it (or a gather that is one), and there -1 says the same. Whether that was all is tried out: one
image and several must give the same features, else the caller traces with a symbol.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import onnx

TRACED = 13  # images in the trace: a number that layers rarely have as a width
TOLERANCE = 1e-4  # of the largest feature


def free_batch(path: Path, pixels_shape: tuple[int, int, int]) -> bool:
    """Rewrite the graph at `path`, traced with `TRACED` images, for any number; whether that worked.

    Parameters
    ----------
    pixels_shape : (height, width, 3)
        Of the images that the graph takes.
    """
    import onnx

    model = onnx.load(str(path))
    _gathers_to_reshapes(model)
    _loosen_reshapes(model)
    for value in [*model.graph.input, *model.graph.output, *model.graph.value_info]:
        _loosen(value)
    onnx.save(model, str(path))
    return _takes_any(path, pixels_shape)


def _gathers_to_reshapes(model: onnx.ModelProto) -> None:
    """Write a flattened tensor from which all is gathered in order as a reshape (global pooling comes out so)."""
    from onnx import numpy_helper

    constant = {tensor.name: tensor for tensor in model.graph.initializer}
    flat = {
        node.output[0]: node.input[0]
        for node in model.graph.node
        if node.op_type == "Reshape"
        and node.input[1] in constant
        and numpy_helper.to_array(constant[node.input[1]]).tolist() == [-1]
    }
    for node in model.graph.node:
        if node.op_type != "Gather" or node.input[0] not in flat or node.input[1] not in constant:
            continue
        order = numpy_helper.to_array(constant[node.input[1]])
        # fewer indices than values would pass here and be refused by the comparison at the end
        if not np.array_equal(order.ravel(), np.arange(order.size)):
            continue
        name = f"{node.output[0]}/lengths"
        model.graph.initializer.append(numpy_helper.from_array(np.array(order.shape, np.int64), name))
        node.op_type = "Reshape"
        del node.attribute[:]
        node.input[:] = [flat[node.input[0]], name]


def _loosen_reshapes(model: onnx.ModelProto) -> None:
    """Let the first length of each reshape follow from the others (right whatever the number of images)."""
    from onnx import numpy_helper

    shapes = {tensor.name: tensor for tensor in model.graph.initializer}
    free: dict[str, str] = {}
    for node in model.graph.node:
        if node.op_type != "Reshape" or node.input[1] not in shapes:
            continue
        name = node.input[1]
        lengths = numpy_helper.to_array(shapes[name]).copy()
        if len(lengths) == 0 or lengths[0] % TRACED or (lengths <= 0).any():
            continue
        if name not in free:
            free[name] = f"{name}/any"
            lengths[0] = -1
            model.graph.initializer.append(numpy_helper.from_array(lengths, free[name]))
        node.input[1] = free[name]


def _loosen(value: onnx.ValueInfoProto) -> None:
    """Call the first dimension n where it was the number of images, and leave it open at a multiple."""
    dims = value.type.tensor_type.shape.dim
    if not dims or not dims[0].dim_value or dims[0].dim_value % TRACED:
        return
    if dims[0].dim_value == TRACED:
        dims[0].dim_param = "n"
    else:
        dims[0].Clear()


def _takes_any(path: Path, pixels_shape: tuple[int, int, int]) -> bool:
    from headstart.base.errors import EngineError
    from headstart.features.engines.onnx_engine import OnnxRunner

    pixels = np.random.default_rng(0).integers(0, 256, (3, *pixels_shape)).astype(np.uint8)
    try:
        runner = OnnxRunner(path, workers=1)
        together = runner.run(pixels)
        alone = [
            np.concatenate(rows) for rows in zip(*(runner.run(one[None]) for one in pixels), strict=True)
        ]
    except (EngineError, RuntimeError, ValueError):
        return False
    return all(
        a.shape == b.shape and len(a) == len(pixels) and np.abs(a - b).max() <= TOLERANCE * np.abs(b).max()
        for a, b in zip(together, alone, strict=True)
    )
