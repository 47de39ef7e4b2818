"""The part of an ONNX graph between tensors, with the weights it needs and no others."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx


def subgraph(model: onnx.ModelProto, inputs: list[str], outputs: list[str]) -> onnx.ModelProto | None:
    """The part of a model between tensors, or None where it needs more inputs than these."""
    import onnx
    from onnx import TensorProto, helper

    made = {name: index for index, node in enumerate(model.graph.node) for name in node.output}
    constant = {tensor.name for tensor in model.graph.initializer}
    wanted: set[int] = set()
    used: set[str] = set()
    todo = list(outputs)
    while todo:
        name = todo.pop()
        if name in inputs or name in used or not name:
            continue
        used.add(name)
        if name in constant:
            continue
        if name not in made:
            return None
        wanted.add(made[name])
        node = model.graph.node[made[name]]
        todo.extend(inputs if asks_batch_size(node) else node.input)
    known = {
        value.name: value for value in [*model.graph.value_info, *model.graph.input, *model.graph.output]
    }
    place = ["n", "channels", "height", "width"]
    nodes = []
    for index in sorted(wanted):
        node = onnx.NodeProto()
        node.CopyFrom(model.graph.node[index])
        if asks_batch_size(node):
            node.input[0] = inputs[0]  # images stay the first dimension at every cut
        nodes.append(node)
    graph = helper.make_graph(
        nodes,
        "part",
        [known.get(name) or helper.make_tensor_value_info(name, TensorProto.FLOAT, place) for name in inputs],
        [
            known.get(name) or helper.make_tensor_value_info(name, TensorProto.FLOAT, place)
            for name in outputs
        ],
        [tensor for tensor in model.graph.initializer if tensor.name in used],
    )
    return onnx.helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)


def asks_batch_size(node: onnx.NodeProto) -> bool:
    """Whether a node reads the number of images off a tensor's shape, and nothing else."""
    ends = {attribute.name: attribute.i for attribute in node.attribute}
    return bool(node.op_type == "Shape" and ends.get("start", 0) == 0 and ends.get("end") == 1)
