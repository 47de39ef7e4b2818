"""A fitted head as ONNX nodes, from features to probabilities, to be welded onto a backbone's graph.

The same steps in the same order and precision as `Head.predict_proba`: scale, score, temperature, softmax
(votes for nearest neighbours). Labels are no part of the graph: columns follow `classes_`. Opset 18 or later.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.base.errors import UsageError
from headstart.methods.heads_base import Head
from headstart.methods.heads_distance import KNNHead
from headstart.methods.heads_space import LEAST_LENGTH

if TYPE_CHECKING:
    import onnx
    from numpy.typing import NDArray

MIN_OPSET = 18


def head_nodes(
    head: Head, input_name: str, output_name: str, prefix: str = "head"
) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
    """Nodes and initialisers of a fitted head.

    Parameters
    ----------
    head : Head
        Fitted.
    input_name : str
        Tensor of features in the graph, float32 (n, d).
    output_name : str
        Tensor of probabilities to make, float32 (n, k).
    prefix : str
        Starts the name of every tensor and node made here.

    Returns
    -------
    nodes : list of NodeProto
    initialisers : list of TensorProto

    Raises
    ------
    UsageError
        The head is not fitted.
    """
    if not hasattr(head, "model_"):
        raise UsageError(f"the head {head.name!r} is not fitted; call fit before exporting it")
    graph = Graph(prefix)
    scaled = scaled_nodes(graph, head, input_name)
    if isinstance(head, KNNHead):
        _votes(graph, head, scaled, output_name)
    else:
        scores = score_nodes(graph, head.model_, scaled)
        cooled = graph.add("Div", scores, graph.number(head.temperature_))
        graph.add("Softmax", cooled, output=output_name, axis=1)
    return graph.nodes, graph.tensors


class Graph:
    """Nodes and initialisers in the making, every name with one prefix."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.nodes: list[onnx.NodeProto] = []
        self.tensors: list[onnx.TensorProto] = []

    def constant(self, values: NDArray[Any]) -> str:
        """A tensor that is written into the graph; its name."""
        from onnx import numpy_helper

        name = f"{self.prefix}.constant{len(self.tensors)}"
        self.tensors.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def number(self, value: float) -> str:
        """A number as such a tensor."""
        return self.constant(np.array(value, np.float32))

    def axis(self, value: int) -> str:
        """A whole number in a list."""
        return self.constant(np.array([value], np.int64))

    def add(
        self, operator: str, *inputs: str, output: str = "", n_outputs: int = 1, **attributes: Any
    ) -> str:
        """Append a node; the name of its first output (others end in .1, .2 ...)."""
        from onnx import helper

        name = f"{self.prefix}.{operator}{len(self.nodes)}"
        first = output or name
        outputs = [first, *(f"{name}.{i}" for i in range(1, n_outputs))]
        self.nodes.append(helper.make_node(operator, list(inputs), outputs, name=name, **attributes))
        return first


def scaled_nodes(graph: Graph, head: Head, name: str) -> str:
    """Features as the head scales them."""
    known = _unit_rows(graph, name) if head.unit_length else name
    centred = graph.add("Sub", known, graph.constant(head.mean_))
    scaled = graph.add("Div", centred, graph.constant(head.scale_))
    return _unit_rows(graph, scaled) if getattr(head, "metric", "") == "cosine" else scaled


def _unit_rows(graph: Graph, name: str) -> str:
    least = graph.number(float(LEAST_LENGTH))
    largest = graph.add("ReduceMax", graph.add("Abs", name), graph.axis(1), keepdims=1)
    known = graph.add("Div", name, graph.add("Max", largest, least))
    length = graph.add("ReduceL2", known, graph.axis(1), keepdims=1)
    return graph.add("Div", known, graph.add("Max", length, least))


def score_nodes(graph: Graph, model: dict[str, Any], scaled: str) -> str:
    """Decision scores of scaled features."""
    if "landmarks" in model:
        distances = _distances(graph, scaled, model["landmarks"])
        scaled = graph.add("Exp", graph.add("Mul", distances, graph.number(-model["gamma"])))
    product = graph.add("MatMul", scaled, graph.constant(model["coef"]))
    return graph.add("Add", product, graph.constant(model["intercept"]))


def _distances(graph: Graph, scaled: str, points: NDArray[np.float32]) -> str:
    """Squared distances (n, m) to points (m, d)."""
    own = graph.add("ReduceSumSquare", scaled, graph.axis(1), keepdims=1)
    squares = graph.add("Add", own, graph.constant(np.square(points).sum(axis=1)))
    product = graph.add("MatMul", scaled, graph.constant(2 * points.T))
    return graph.add("Max", graph.add("Sub", squares, product), graph.number(0.0))


def _votes(graph: Graph, head: KNNHead, scaled: str, output: str) -> None:
    model = head.model_
    distances = _distances(graph, scaled, model["features"])
    count = graph.axis(int(model["n_neighbors"]))
    nearest = graph.add("TopK", distances, count, n_outputs=2, axis=1, largest=0, sorted=1)
    ballots = np.eye(len(head.classes_), dtype=np.float32)[model["codes"]]
    cast = graph.add("Gather", graph.constant(ballots), f"{nearest}.1", axis=0)  # (n, neighbours, classes)
    if head.weights == "uniform":
        graph.add("ReduceMean", cast, graph.axis(1), output=output, keepdims=0)
        return
    first = graph.add("ReduceMin", nearest, graph.axis(1), keepdims=1)
    further = graph.add("Div", graph.add("Sub", first, nearest), graph.number(model["width"]))
    weights = graph.add("Exp", further)
    weighted = graph.add("Mul", cast, graph.add("Unsqueeze", weights, graph.axis(2)))
    votes = graph.add("ReduceSum", weighted, graph.axis(1), keepdims=0)
    total = graph.add("ReduceSum", weights, graph.axis(1), keepdims=1)
    graph.add("Div", votes, total, output=output)
