"""A model with several outputs is one folder and one graph that say what the estimator says, without torch."""

import json
import subprocess
import sys

import numpy as np
import onnx
import pytest
import torch

from headstart.base.errors import BundleError, DataError, UnknownName
from headstart.base.hashing import digest_file
from headstart.explain.cam import class_activation
from headstart.explain.filters import feature_maps
from headstart.explain.see import see
from headstart.explain.similarity import linear_cka, representation_change, trunk_pairs
from headstart.explain.target import target_of_bundle, target_of_network
from headstart.export.assess import assess
from headstart.export.bundle import load_bundle
from headstart.export.joint import Answers
from headstart.export.onnx import export_onnx
from headstart.export.save import save_bundle
from headstart.export.trained import load_network
from headstart.features.engines.any_batch import TRACED
from headstart.images.scan import scan
from headstart.methods.finetune import FineTuneClassifier
from headstart.methods.multi_output import MultiOutputTransfer
from headstart.methods.output import Output, probabilities
from headstart.methods.probe import TransferClassifier
from headstart.testing.backbones import tiny_weights
from headstart.testing.outputs import KINDS, labelled_files, marked_squares

IMAGES, COLUMNS = marked_squares()


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return tiny_weights(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="module")
def on_features(weights, tmp_path_factory):
    probe = TransferClassifier(
        backbone=weights, input_size=64, layer=("stage2", "pool"), engine="torch", cache_gb=0
    )
    model = MultiOutputTransfer(estimator=probe, kinds=KINDS).fit(IMAGES, dict(COLUMNS))
    return model, save_bundle(model, tmp_path_factory.mktemp("features") / "model", data="squares")


@pytest.fixture(scope="module")
def trained(weights, tmp_path_factory):
    tuner = FineTuneClassifier(
        backbone=weights, input_size=64, trainable="last:1", epochs=2, views=1, augment="none", dtype="float32",
        learning_rate=1e-3,
    )  # fmt: skip
    model = MultiOutputTransfer(estimator=tuner, kinds=KINDS, sharing="soft").fit(IMAGES, dict(COLUMNS))
    return model, save_bundle(model, tmp_path_factory.mktemp("trained") / "model", data="squares")


@pytest.fixture(params=["on_features", "trained"])
def fitted(request):
    return request.getfixturevalue(request.param)


def test_the_bundle_says_what_the_estimator_says(fitted):
    model, folder = fitted
    bundle = load_bundle(folder)
    assert bundle.several and [each.name for each in bundle.outputs] == list(COLUMNS)
    found = bundle.predict_proba(list(IMAGES[:12]))
    expected = model.predict_outputs(list(IMAGES[:12]))
    for answer in bundle.outputs:
        own, theirs = answer.of(found.probabilities), expected[answer.name]
        assert np.abs(own - theirs).max() < (0.05 if answer.output.kind == "number" else 1e-3)
    said = model.predict(list(IMAGES[:12]))
    again = bundle.predict(list(IMAGES[:12]))
    assert [each["colour"] for each in again] == said[:, 0].tolist()
    assert [";".join(each["marks"]) for each in again] == said[:, 1].tolist()


def test_one_graph_holds_all_heads_and_names_their_columns(fitted, tmp_path):
    _, folder = fitted
    bundle = load_bundle(folder)
    assert export_onnx(bundle, tmp_path / "model.onnx") < 1e-4
    graph = onnx.load(str(tmp_path / "model.onnx"))
    assert [each.name for each in graph.graph.output] == ["probabilities"]
    notes = {each.key: json.loads(each.value) for each in graph.metadata_props}
    assert [each["name"] for each in notes["headstart.outputs"]] == list(COLUMNS)
    assert bundle.outputs[-1].last == 2 + 2 + 4 + 1


def test_trunks_that_share_a_frozen_part_hold_it_once(trained):
    model, folder = trained
    graph = onnx.load(str(folder / "model.onnx")).graph
    n_one = sum(each.numel() for each in model.network_.towers[0].parameters())
    n_all = sum(int(np.prod(each.dims)) for each in graph.initializer)
    last = sum(
        each.numel() for each in model.network_.towers[0].body.net.get_submodule("layer4").parameters()
    )
    assert n_all < n_one + 3.5 * last
    n_last, n_whole = (
        sum(isinstance(each, torch.nn.Conv2d) for each in part.modules())
        for part in (model.network_.towers[0].body.net.get_submodule("layer4"), model.network_.towers[0])
    )
    n_runs = sum(each.op_type == "Conv" for each in graph.node)
    assert n_runs == n_whole + (len(COLUMNS) - 1) * n_last, "the frozen part runs once for all outputs"


def test_the_network_comes_back_as_it_was(trained):
    model, folder = trained
    again = load_network(folder)
    first, second = model.network_.state_dict(), again.state_dict()
    assert set(first) == set(second)
    assert all(np.array_equal(first[name].numpy(), second[name].numpy()) for name in first)


def test_it_predicts_without_torch(on_features):
    _, folder = on_features
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import numpy as np; from headstart import load_bundle\n"
        f"print(load_bundle({str(folder)!r}).predict([np.full((40, 40, 3), 200, np.uint8)])[0]['colour'])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.stdout.strip() in ("red", "blue"), ran.stderr


def test_evaluation_tells_each_output_and_all_at_once(on_features, tmp_path):
    _, folder = on_features
    images, columns = marked_squares(24, seed=3)
    columns["marks"][:4] = [None] * 4
    for cells in columns.values():
        cells[5] = None
    table = scan(labelled_files(tmp_path, images, columns), label_columns=list(columns))
    found = assess(load_bundle(folder), table)
    facts = found.to_dict()
    assert facts["n"] == 23 and set(facts["outputs"]) == set(columns)
    assert facts["outputs"]["marks"]["n_missing"] == 4
    assert facts["joint"]["n"] == 19 and facts["joint"]["outputs"] == ["colour", "marks", "size"]
    least = min(facts["outputs"][name]["scores"]["accuracy"]["value"] for name in ("colour", "size"))
    assert facts["joint"]["value"] <= least + 0.2
    assert facts["outputs"]["light"]["scores"]["mae"]["value"] < 25
    json.dumps(facts, allow_nan=False)


def test_what_is_predicted_is_what_is_measured(weights, tmp_path):
    """Levels that images do not show: the ends are likely, and between them lies the median level."""
    columns = {"colour": COLUMNS["colour"], "worn": ["0", "2", "0", "2", "2", "0", "1", "2", "0", "0"] * 6}
    probe = TransferClassifier(backbone=weights, input_size=64, layer="pool", engine="torch", cache_gb=0)
    model = MultiOutputTransfer(estimator=probe, kinds={"worn": "ordinal"}).fit(IMAGES, columns)
    bundle = load_bundle(save_bundle(model, tmp_path / "model", data="squares"))
    images, _ = marked_squares(40, seed=5)
    worn = {"worn": [str(row % 3) for row in range(40)]}
    table = scan(labelled_files(tmp_path / "data", images, worn), label_columns=["worn"])
    found = bundle.predict_proba(table.items())
    answer = bundle.outputs[1]
    own = answer.of(found.probabilities)
    assert ((np.cumsum(own, axis=1)[:, :-1] < 0.5).sum(axis=1) != own.argmax(axis=1)).any()
    said = [each["worn"] for each in bundle.predict(table.items())]
    assert said == [answer.entries(row, 1)[0]["label"] for row in found.probabilities]
    facts = assess(bundle, table, target="worn").to_dict()["outputs"]["worn"]
    pairs = list(zip(table.labels["worn"], said, strict=True))
    assert facts["confusion"] == [[pairs.count((a, b)) for b in facts["levels"]] for a in facts["levels"]]
    assert facts["scores"]["accuracy"]["value"] == np.mean([a == b for a, b in pairs])


def test_a_column_that_is_missing_is_told_with_those_that_are_there(on_features, tmp_path):
    _, folder = on_features
    images, columns = marked_squares(8, seed=4)
    del columns["light"], columns["size"]
    table = scan(labelled_files(tmp_path, images, columns), label_columns=list(columns))
    bundle = load_bundle(folder)
    with pytest.raises(DataError, match=r"no label column .size., .light..*--target colour,marks"):
        assess(bundle, table)
    assert set(assess(bundle, table, target="colour,marks").to_dict()["outputs"]) == {"colour", "marks"}
    with pytest.raises(UnknownName, match="did you mean 'colour'"):
        assess(bundle, table, target="color")


def test_labels_that_the_model_does_not_know_are_told(on_features, tmp_path):
    _, folder = on_features
    images, columns = marked_squares(8, seed=4)
    columns["marks"][0] = "left; top"
    table = scan(labelled_files(tmp_path, images, columns), label_columns=list(columns))
    with pytest.raises(DataError, match="marks: 'top' not among its 2 labels"):
        assess(load_bundle(folder), table)


def test_every_output_can_be_explained(fitted):
    _, folder = fitted
    bundle = load_bundle(folder)
    target = target_of_bundle(bundle, load_network(bundle) if bundle.trained else None)
    assert [each.name for each in target.outputs] == list(COLUMNS)
    pixels = target.prepared(list(IMAGES[:3]))
    table = bundle.predict_proba(list(IMAGES[:3])).probabilities
    for answer in bundle.outputs[:3]:
        assert np.abs(target.probabilities(pixels, answer.name) - answer.of(table)).max() < 2e-3
    seen = see(target, list(IMAGES[:2]), ["a", "b"], methods=("gradcam",), check=False)
    (first, _) = seen.to_dict()["images"]
    assert set(first["outputs"]) == set(COLUMNS)
    assert first["outputs"]["light"]["class"] == "value"


def test_every_output_has_maps_of_its_own(fitted):
    """With a trunk an output, a map comes from that trunk: layers of another one say nothing of it."""
    _, folder = fitted
    bundle = load_bundle(folder)
    target = target_of_bundle(bundle, load_network(bundle) if bundle.trained else None)
    pixels = target.prepared(list(IMAGES[:3]))
    for at, name in enumerate(COLUMNS):
        trunk = f"net.towers.{at}.body.net." if bundle.trained else "net.net."
        said = target.probabilities(pixels, name).argmax(1).tolist()
        for layer in (None, "stage1", "stage2"):  # the trunks share stage1, which is frozen
            for method in ("gradcam", "layercam"):
                found = class_activation(target, pixels, said, method=method, layer=layer, output=name)
                assert found.layer.startswith(trunk)
                assert (np.abs(found.signed).max((1, 2)) > 0).all(), (name, layer, method)


def test_a_map_of_a_trunk_is_that_of_the_trunk_as_a_network(trained):
    model, folder = trained
    bundle = load_bundle(folder)
    target = target_of_bundle(bundle, load_network(bundle))
    pixels = target.prepared(list(IMAGES[:3]))
    for at, name in enumerate(("colour", "marks")):
        alone = target_of_network(model.network_.towers[at], target.preprocessing, ["0", "1"])
        for layer in ("stage1", "stage3", None):
            own = class_activation(target, pixels, [1] * 3, layer=layer, output=name).coarse
            module = None if layer is None else f"body.net.{bundle.backbone.layers[layer]}"
            other = class_activation(alone, pixels, [1] * 3, layer=module).coarse
            scale = (own.max((1, 2)) / other.max((1, 2)))[:, None, None]  # the temperature, and nothing else
            np.testing.assert_allclose(own, other * scale, atol=1e-4 * own.max())


def test_layers_are_compared_trunk_by_trunk_where_outputs_have_their_own(trained, on_features):
    """The first trunk stood for all of them."""
    _, folder = trained
    bundle = load_bundle(folder)
    target = target_of_bundle(bundle, load_network(bundle))
    one = target_of_bundle(load_bundle(on_features[1]))
    assert target.n_trunks == 4 and one.n_trunks == 1
    towers = target.net.net.towers
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(0)
        for each in towers:  # two epochs have hardly moved them
            for weight in each.body.net.get_submodule("layer4").parameters():
                weight += torch.randn_like(weight)
    pairs = trunk_pairs(one, target)
    assert list(pairs) == list(trunk_pairs(target, one)) == list(trunk_pairs(target, target)) == list(COLUMNS)
    assert list(trunk_pairs(one, target, "size")) == ["size"] and list(trunk_pairs(one, one)) == [""]
    pixels = target.prepared(list(IMAGES[:8]))
    found = {
        name: representation_change(*pair, pixels, ("stage4",)).cka[0, 0] for name, pair in pairs.items()
    }
    assert len({round(float(each), 5) for each in found.values()}) == 4
    alone = target_of_network(towers[2], target.preprocessing, list("0123"))
    layer = f"body.net.{bundle.backbone.layers['stage4']}"
    features = [
        feature_maps(*each).mean((2, 3)) for each in ((one, pixels, "stage4"), (alone, pixels, layer))
    ]
    assert found["size"] == pytest.approx(linear_cka(*features), abs=1e-5)
    with pytest.raises(UnknownName, match="did you mean 'size'"):
        trunk_pairs(one, target, "sise")


def test_heads_that_do_not_fit_the_card_are_refused(on_features, tmp_path):
    import shutil

    _, folder = on_features
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    card = json.loads((copy / "card.json").read_text())
    card["outputs"] = card["outputs"][:2]
    card["digests"]["model.onnx"] = digest_file(copy / "model.onnx")
    (copy / "card.json").write_text(json.dumps(card))
    with pytest.raises(BundleError, match="4 heads for 2 outputs"):
        load_bundle(copy).heads  # noqa: B018
    card["outputs"][0]["kind"] = "shapes"
    (copy / "card.json").write_text(json.dumps(card))
    with pytest.raises(BundleError, match="'shapes' is no kind of output"):
        load_bundle(copy)
    with pytest.raises(BundleError, match="several heads"):
        load_bundle(folder).head  # noqa: B018


def test_ordered_levels_leave_no_mark_of_the_traced_batch_in_a_graph():
    """They did, so that each such graph was traced a second time, the slow way, after an error of the engine."""
    answers = Answers(
        [Output("size", "ordinal", tuple("0123")), Output("worn", "ordinal", ("no", "yes"))], [1.0, 2.0]
    )
    logits = (
        torch.randn(TRACED, 4, generator=torch.Generator().manual_seed(0)).sort(1, descending=True).values
    )
    said = answers(logits).numpy()
    expected = [
        probabilities(answers.outputs[0], logits[:, :3]),
        probabilities(answers.outputs[1], logits[:, 3:] / 2),
    ]
    np.testing.assert_allclose(said, np.concatenate(expected, 1), atol=1e-6)
    graph = torch.onnx.export(answers.eval(), (logits,), dynamo=True, verbose=False).model_proto.graph
    held = [onnx.numpy_helper.to_array(each) for each in graph.initializer]
    held += [
        onnx.helper.get_attribute_value(a) for n in graph.node if n.op_type == "Constant" for a in n.attribute
    ]
    assert not any(TRACED in getattr(each, "shape", getattr(each, "dims", ())) for each in held)
    assert not any(TRACED in np.ravel(each) for each in held if isinstance(each, np.ndarray))
