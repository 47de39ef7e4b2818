"""What a graph computes twice is computed once: equal tensors and equal nodes are merged.

Networks that share a frozen part are exported side by side, each with a copy of it; after this the part is there
once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx

RANDOM = frozenset(
    {"RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Multinomial", "Dropout"}
)


def merge_equal(model: onnx.ModelProto) -> int:
    """Merge equal initialisers and nodes of a graph in place; how many nodes are gone.

    Nodes are equal where operator, attributes and (merged) inputs are; those that draw at random are left alone. The
    graph's own outputs keep their names.
    """
    graph = model.graph
    instead: dict[str, str] = {}
    tensors: dict[bytes, str] = {}
    kept_tensors = []
    for tensor in graph.initializer:
        name = tensor.name
        tensor.name = ""
        key = tensor.SerializeToString(deterministic=True)
        tensor.name = name
        first = tensors.setdefault(key, name)
        if first == name:
            kept_tensors.append(tensor)
        else:
            instead[name] = first
    wanted = {each.name for each in graph.output}
    nodes: dict[bytes, list[str]] = {}
    kept_nodes = []
    for node in graph.node:
        node.input[:] = [instead.get(name, name) for name in node.input]
        names, own = list(node.output), node.name
        node.output[:] = [""] * len(names)
        node.name = ""
        key = node.SerializeToString(deterministic=True)
        node.output[:] = names
        node.name = own
        known = nodes.get(key)
        if known is None or node.op_type in RANDOM or wanted & set(names):
            nodes.setdefault(key, names)
            kept_nodes.append(node)
        else:
            instead.update(zip(names, known, strict=True))
    n_gone = len(graph.node) - len(kept_nodes)
    for field, kept in ((graph.node, kept_nodes), (graph.initializer, kept_tensors)):
        copies = [type(each).FromString(each.SerializeToString()) for each in kept]
        del field[:]
        field.extend(copies)
    return n_gone
