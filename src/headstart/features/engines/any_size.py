"""An exported graph at another input size: where a network has no fixed number of places, only its input says it.

Padding is written into the graph as numbers for one size. A side that differs by a multiple of the network's stride
leaves the same remainder at every halving, so the numbers stay right; any other size is refused. Whether the network
takes the size at all (one with position embeddings or windows does not) is tried out: images together must give the
same as each alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from headstart.base.errors import BadOptions, EngineError

if TYPE_CHECKING:
    import onnx

STRIDE = 32
"""By how much the usual networks shrink an image; a multiple of every smaller stride."""
TOLERANCE = 1e-3


def at_size(graph: bytes, height: int, width: int) -> bytes:
    """The graph with images of another height and width in pixels.

    Parameters
    ----------
    graph : bytes
        As ONNX; takes pixels (n, height, width, 3).
    height, width : int

    Raises
    ------
    BadOptions
        The sides differ from the graph's own by no multiple of `STRIDE`, or the network takes its own size alone.
    """
    import onnx

    model = onnx.load_model_from_string(graph)
    dims = model.graph.input[0].type.tensor_type.shape.dim
    own = dims[1].dim_value, dims[2].dim_value
    if (height, width) == own:
        return graph
    if any((new - old) % STRIDE for new, old in zip((height, width), own, strict=True)):
        offered = [_nearest(new, old) for new, old in zip((height, width), own, strict=True)]
        raise BadOptions([
            f"size: this model was fitted at {own[0]}x{own[1]} pixels and takes sides that differ from that by "
            f"multiples of {STRIDE}; {height}x{width} does not, {offered[0]}x{offered[1]} would do"
        ])  # fmt: skip
    dims[1].dim_value, dims[2].dim_value = height, width
    _reshape_input(model, own, (height, width))
    del model.graph.value_info[:]
    made: bytes = model.SerializeToString()
    _check(model, made, own)
    return made


def _reshape_input(model: onnx.ModelProto, own: tuple[int, int], new: tuple[int, int]) -> None:
    """Let the reshapes of the input's three colours, which normalisation makes, follow the new size."""
    from onnx import numpy_helper

    lengths = {(-1, 3, own[0] * own[1]): (-1, 3, new[0] * new[1]), (-1, 3, *own): (-1, 3, *new)}
    named = {node.input[1] for node in model.graph.node if node.op_type == "Reshape"}
    for tensor in model.graph.initializer:
        if tensor.name in named and (told := tuple(numpy_helper.to_array(tensor).tolist())) in lengths:
            tensor.CopyFrom(numpy_helper.from_array(np.array(lengths[told], np.int64), tensor.name))


def _nearest(new: int, own: int) -> int:
    """The side nearest to the wanted one that differs from the own by a multiple of the stride, above 0."""
    return max(own + STRIDE * round((new - own) / STRIDE), own % STRIDE or STRIDE)


def _check(model: onnx.ModelProto, graph: bytes, own: tuple[int, int]) -> None:
    """Refuse a graph that cannot run, or mixes places of an image with images."""
    from headstart.features.engines.onnx_engine import OnnxRunner

    shape = [dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim[1:]]
    pixels = np.random.default_rng(0).integers(0, 256, (2, *shape)).astype(np.uint8)
    try:
        runner = OnnxRunner(graph, workers=1, quiet=True)
        together, alone = runner.run(pixels), [runner.run(one[None]) for one in pixels]
        fits = all(
            len(both) == 2
            and np.allclose(both, np.concatenate([one[at] for one in alone]), atol=TOLERANCE, rtol=TOLERANCE)
            for at, both in enumerate(together)
        )
    except (EngineError, RuntimeError, ValueError):
        fits = False
    except Exception as error:
        if not type(error).__module__.startswith("onnxruntime"):
            raise
        fits = False
    if not fits:
        raise BadOptions([
            f"size: the network of this model takes {own[0]}x{own[1]} pixels alone; fit one at another size with "
            "`headstart fit --size`"
        ])  # fmt: skip
