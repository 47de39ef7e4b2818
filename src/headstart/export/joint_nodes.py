"""Fitted heads of several outputs as ONNX nodes, from features to one table of answers side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.base.errors import EngineError
from headstart.export.onnx_heads import Graph, head_nodes, scaled_nodes, score_nodes
from headstart.export.outputs import scales_of, side_by_side, width_of
from headstart.export.weld import BOUND, N_CHECK, PROBABILITIES, features_of, finish, joined, sample_pixels
from headstart.methods.heads_outputs import OutputHead

if TYPE_CHECKING:
    from headstart.backbones.card import Preprocessing
    from headstart.methods.output_heads import OutputModel


def weld_outputs(trunk: Path, models: Sequence[OutputModel], path: Path, facts: dict[str, Any]) -> None:
    """Write `trunk` with the heads of several outputs on top of its features.

    Outputs: `probabilities` (float32, (n, columns)), the answers of all outputs side by side, then the features.
    """
    import onnx
    from onnx import helper

    model = onnx.load(str(trunk), load_external_data=False)
    kept, feature = features_of(model)
    names = []
    for at, each in enumerate(models):
        nodes, tensors = _nodes(each, feature, f"answers{at}", f"head{at}")
        model.graph.node.extend(nodes)
        model.graph.initializer.extend(tensors)
        names.append(f"answers{at}")
    model.graph.node.append(helper.make_node("Concat", names, [PROBABILITIES], axis=1))
    finish(model, kept, sum(width_of(each.output) for each in models), path, facts)


def _nodes(model: OutputModel, feature: str, name: str, prefix: str) -> tuple[list[Any], list[Any]]:
    head: Any = model.head
    if not isinstance(head, OutputHead):
        return head_nodes(head, feature, name, prefix)
    graph = Graph(prefix)
    scores = score_nodes(graph, head.model_, scaled_nodes(graph, head, feature))
    output = model.output
    if output.kind == "number":
        spread = graph.add("Mul", scores, graph.number(output.scale))
        graph.add("Add", spread, graph.number(output.centre), output=name)
    elif output.kind == "labels":
        graph.add("Sigmoid", scores, output=name)
    else:
        above = graph.add("Sigmoid", scores)
        edges = [graph.constant(np.array(pads, np.int64)) for pads in ([0, 1, 0, 0], [0, 0, 0, 1])]
        before = graph.add("Pad", above, edges[0], graph.number(1.0))
        after = graph.add("Pad", above, edges[1], graph.number(0.0))
        graph.add("Sub", before, after, output=name)
    return graph.nodes, graph.tensors


def check_outputs(path: Path, models: Sequence[OutputModel], preprocessing: Preprocessing) -> float:
    """Largest difference between the graph's answers and the heads', on the graph's own features.

    Of a probability as it is, of a number in deviations.

    Raises
    ------
    EngineError
        It is above 1e-4.
    """
    from headstart.features.engines.onnx_engine import OnnxRunner

    found = OnnxRunner(path).run(sample_pixels(N_CHECK, preprocessing.height, preprocessing.width))
    features = joined(found[1:])
    outputs = [each.output for each in models]
    expected = side_by_side(outputs, {each.output.name: each.of_features(features) for each in models})
    difference = float((np.abs(found[0] - expected) / scales_of(outputs)).max())
    if not difference <= BOUND:
        raise EngineError(f"the exported graph differs from the model by {difference:.2g} (bound {BOUND})")
    return difference
