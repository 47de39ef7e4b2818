"""The graph of a head gives the head's own probabilities."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from headstart.base.errors import UsageError
from headstart.export.onnx_heads import MIN_OPSET, head_nodes
from headstart.methods.heads import make_head
from headstart.methods.heads_catalog import HEAD_NAMES

CASES = [(name, {}) for name in HEAD_NAMES] + [
    ("knn", {"metric": "euclidean", "weights": "distance", "unit_length": False, "standardise": True}),
    ("knn", {"weights": "uniform"}),
    ("nearest_mean", {"metric": "euclidean", "standardise": True}),
    ("logistic", {"unit_length": False, "standardise": True}),
]


def clouds(seed, n=25, d=20, k=4):
    generator = np.random.default_rng(seed)
    codes = np.repeat(np.arange(k), n)
    centres = np.random.default_rng(9).normal(size=(k, d)) * 0.7
    return np.abs(centres[codes] + generator.normal(size=(len(codes), d))).astype(np.float32), codes


def run(head, X, prefix="head"):
    nodes, tensors = head_nodes(head, "features", "probabilities", prefix)
    graph = helper.make_graph(
        nodes,
        "head",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", X.shape[1]])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["n", len(head.classes_)])],
        tensors,
    )
    opsets = [helper.make_opsetid("", MIN_OPSET)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"features": X})[0]


@pytest.mark.parametrize(("name", "options"), CASES, ids=lambda value: str(value))
@pytest.mark.parametrize("k", [2, 4])
def test_the_graph_equals_predict_proba(name, options, k):
    X, y = clouds(0, k=k)
    head = make_head(name, **options).fit(X, y)
    test = clouds(1, k=k)[0]
    np.testing.assert_allclose(run(head, test), head.predict_proba(test), atol=1e-5)
    np.testing.assert_allclose(run(head, test[:1]), head.predict_proba(test[:1]), atol=1e-5)


@pytest.mark.parametrize("name", HEAD_NAMES)
def test_images_without_any_feature_get_finite_probabilities(name):
    head = make_head(name).fit(*clouds(0))
    p = run(head, np.zeros((2, 20), np.float32))
    np.testing.assert_allclose(p, head.predict_proba(np.zeros((2, 20))), atol=1e-5)
    np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-5)


def test_every_name_in_the_graph_starts_with_the_prefix():
    nodes, tensors = head_nodes(make_head("knn").fit(*clouds(0)), "features", "probabilities", "my")
    names = [node.name for node in nodes] + [tensor.name for tensor in tensors]
    made = [out for node in nodes for out in node.output if out != "probabilities"]
    assert all(name.startswith("my.") for name in names + made)
    assert len(set(names)) == len(names)


def test_a_head_that_is_not_fitted_is_refused():
    with pytest.raises(UsageError, match="not fitted"):
        head_nodes(make_head("lda"), "features", "probabilities")
