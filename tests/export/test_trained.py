"""A trained network in a bundle: one graph that says what torch says, weights that come back as they were."""

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from headstart.base.errors import BackboneError, BadOptions, BundleError, EngineError
from headstart.base.hashing import digest_file
from headstart.export.bundle import load_bundle
from headstart.export.onnx import export_onnx
from headstart.export.save import check_place, save_bundle
from headstart.export.trained import load_network, torch_probabilities
from headstart.export.views import views_for_prediction
from headstart.features.engines.onnx_engine import OnnxRunner
from headstart.images.prepare import prepare
from headstart.images.scan import scan
from headstart.images.views import POLICIES
from headstart.methods.finetune import FineTuneClassifier
from headstart.testing.backbones import tiny_backbone


@pytest.fixture
def copied(trained, tmp_path):
    return shutil.copytree(trained.folder, tmp_path / "copy")


def with_weights(folder, change):
    """The bundle with other weights, and a card that vouches for them."""
    path = folder / "backbone.safetensors"
    state = load_file(path)
    change(state)
    save_file(state, path)
    card = json.loads((folder / "card.json").read_text())
    card["digests"][path.name] = digest_file(path)
    (folder / "card.json").write_text(json.dumps(card))
    return folder


def pixels_of(bundle, items):
    return np.stack([prepare(item, bundle.preprocessing) for item in items])


def test_the_network_comes_back_and_says_what_the_graph_says(trained, new_photos):
    bundle = load_bundle(trained.folder)
    items = scan(new_photos).items()
    net = load_network(bundle)
    pixels = pixels_of(bundle, items)
    expected = torch_probabilities(net, bundle.card["temperature"], pixels, bundle.preprocessing)
    assert np.abs(bundle.predict_proba(items).probabilities - expected).max() < 1e-5
    assert not net.training


def test_a_network_that_came_back_can_be_trained_on(trained):
    net = load_network(trained.folder)
    before = {name: each.clone() for name, each in net.named_parameters()}
    loss = torch.nn.functional.cross_entropy(
        net.train()(torch.randn(4, 3, 48, 48)), torch.tensor([0, 1, 2, 0])
    )
    loss.backward()
    torch.optim.SGD(net.parameters(), 0.1).step()
    moved = [name for name, each in net.named_parameters() if not torch.equal(each, before[name])]
    assert {"body.net.conv1.0.weight", "head.linear.weight"} <= set(moved)


def test_the_card_says_how_the_network_was_trained_and_how_it_was_checked(trained):
    card = load_bundle(trained.folder).card
    assert (card["scenario"], card["trainable"], card["cut"]) == ("finetune", "last:1", "layer3")
    assert len(card["record"]["curve"]) == 3
    assert card["record"]["path"] == "cache"
    assert card["options"]["views"] == 2
    assert 0 <= card["start_selection"] <= 1
    assert card["check"]["largest_difference"] < 1e-4
    assert (card["check"]["n_real"], card["check"]["n_drawn"]) == (8, 8)


def test_the_files_hold_all_weights_under_the_names_of_the_backbone(trained, tiny_name):
    from headstart.backbones.load import load

    state = load_file(trained.folder / "backbone.safetensors")
    names = {name for name in load(tiny_name).module.state_dict() if not name.startswith("fc.")}
    assert {name for name in state if not name.startswith("transfer_head.")} == names
    assert state["transfer_head.linear.weight"].shape[0] == 3
    assert not (trained.folder / "head.skops").exists()


def test_a_trained_network_has_no_head_of_its_own(trained):
    with pytest.raises(BundleError, match="has no head of its own"):
        load_bundle(trained.folder).head  # noqa: B018 - reading the head is what is refused


def test_a_model_of_the_scenario_features_has_no_trained_network(tiny_model):
    with pytest.raises(BundleError, match="its network is lite0 unchanged"):
        load_network(tiny_model)


def test_the_exported_graph_gives_the_same_probabilities(trained, new_photos, tmp_path):
    bundle = load_bundle(trained.folder)
    assert export_onnx(bundle, tmp_path / "m.onnx") < 1e-4
    items = scan(new_photos).items()[:5]
    (found,) = OnnxRunner(tmp_path / "m.onnx").run(pixels_of(bundle, items))
    assert np.allclose(found, bundle.predict_proba(items).probabilities, atol=1e-6)


def test_a_graph_that_says_something_else_is_not_exported(copied, tmp_path):
    card = json.loads((copied / "card.json").read_text())
    card["check"]["drawn_probabilities"][0] = [1.0, 0.0, 0.0]
    (copied / "card.json").write_text(json.dumps(card))
    with pytest.raises(EngineError, match="differs from the model"):
        export_onnx(load_bundle(copied), tmp_path / "m.onnx")
    assert not (tmp_path / "m.onnx").exists()


@pytest.mark.parametrize("name", ["model.onnx", "backbone.safetensors", "seen.json"])
def test_a_file_that_is_altered_or_missing_is_noticed(copied, name):
    with (copied / name).open("ab") as file:
        file.write(b" ")
    with pytest.raises(BundleError, match="altered or damaged"):
        load_bundle(copied)
    (copied / name).unlink()
    with pytest.raises(BundleError, match="is missing"):
        load_bundle(copied)


def test_a_scenario_of_a_later_version_is_refused(copied):
    card = json.loads((copied / "card.json").read_text())
    (copied / "card.json").write_text(json.dumps({**card, "scenario": "adapters"}))
    with pytest.raises(BundleError, match="'adapters', which this Headstart does not know"):
        load_bundle(copied)


def test_weights_that_do_not_fit_are_refused_by_name(copied):
    def spoil(state):
        state["conv1.0.weight"] = state["conv1.0.weight"][:, :1].contiguous()
        state["transfer_head.mean"][0] = float("nan")
        del state["layer1.0.bn1.weight"]

    with pytest.raises(BackboneError) as caught:
        load_network(with_weights(copied, spoil))
    for said in ("conv1.0.weight has shape", "head.mean holds values that are not", "bn1.weight is missing"):
        assert said in str(caught.value)


def test_a_network_of_ones_own_is_given_to_load_it(photos, tmp_path):
    table = scan(photos)
    labels = np.array(table.labels[table.target()])
    model = FineTuneClassifier(
        scenario="full",
        backbone=tiny_backbone(),
        start="plain",
        epochs=1,
        learning_rate=1e-3,
        temperature=False,
    ).fit(table.items(), labels)
    bundle = load_bundle(save_bundle(model, tmp_path / "model", target="shape"))
    assert (bundle.target, bundle.card["cut"], bundle.card["start_selection"]) == ("shape", "", None)
    found = bundle.predict_proba(table.items()).probabilities
    assert np.allclose(found, model.predict_proba(table.items()), atol=1e-4)
    with pytest.raises(BackboneError, match="timm has no architecture 'Tiny'; give the network itself"):
        load_network(bundle)
    net = load_network(bundle, backbone=tiny_backbone(seed=3))
    expected = torch_probabilities(net, 1.0, pixels_of(bundle, table.items()), bundle.preprocessing)
    assert np.allclose(found, expected, atol=1e-5)


def test_views_are_averaged_and_one_view_is_the_plain_one(trained, tiny_model, new_photos):
    items = scan(new_photos).items()[:4]
    for folder in (trained.folder, tiny_model):
        bundle = load_bundle(folder)
        plain = bundle.predict_proba(items).probabilities
        assert np.array_equal(bundle.predict_proba(items, views=1).probabilities, plain)
        seen = [
            views_for_prediction(item, 3, bundle.preprocessing, POLICIES[bundle.view_policy])
            for item in items
        ]
        by_hand = np.stack(
            [np.mean([bundle.runner().run(one[None])[0][0] for one in each], 0) for each in seen]
        )
        found = bundle.predict_proba(items, views=3)
        assert np.allclose(found.probabilities, by_hand, atol=1e-6)
        assert np.array_equal(seen[0][0], prepare(items[0], bundle.preprocessing))
        assert np.abs(found.probabilities - plain).max() > 0
        assert np.array_equal(bundle.predict_proba(items, views=3).probabilities, found.probabilities)


def test_views_name_unreadable_images_too(trained, new_photos, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"")
    bundle = load_bundle(trained.folder)
    found = bundle.predict_proba([tmp_path / "bad.png", *scan(new_photos).items()[:2]], views=2)
    assert found.rows == (1, 2)
    assert [each.reason for each in found.problems] == ["empty file"]
    with pytest.raises(BadOptions, match="views: 0 is below 1"):
        bundle.predict_proba([], views=0)


def test_a_disk_that_is_full_is_told_before_and_while_a_model_is_written(tmp_path, monkeypatch):
    import errno

    from headstart.export import save

    with pytest.raises(BundleError, match=r"the model needs 2,500,\d{3},000,000 MB and .* MB are free"):
        check_place(tmp_path / "model", weights_bytes=10**18)

    class Model:
        scenario = "finetune"

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(save, "_trained", full)
    with pytest.raises(BundleError, match="the disk is full; nothing was written"):
        save_bundle(Model(), tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["fitted", "network", "policy"])
def test_what_taught_and_a_policy_of_ones_own_are_named_in_the_card(tmp_path, kind):
    from headstart.images.augment import find_policy

    rng = np.random.default_rng(0)
    images = np.concatenate([rng.integers(low, low + 60, (8, 32, 32, 3), np.uint8) for low in (0, 190)])
    options = {
        "backbone": tiny_backbone(),
        "trainable": "last:1",
        "epochs": 1,
        "learning_rate": 0.001,
        "augment": "none",
    }
    labels = ["dark"] * 8 + ["light"] * 8
    given = {
        "fitted": lambda: {"teacher": FineTuneClassifier(**options).fit(images, labels)},
        "network": lambda: {"teacher": tiny_backbone(seed=7)},
        "policy": lambda: {"augment": find_policy("light")},
    }[kind]()
    student = FineTuneClassifier(**{**options, **given}).fit(images, labels)
    bundle = load_bundle(save_bundle(student, tmp_path / "m"))
    said = {name: bundle.card["options"][name] for name in ("teacher", "augment")}
    assert said == {
        "fitted": {"teacher": "FineTuneClassifier", "augment": "none"},
        "network": {"teacher": "tiny7", "augment": "none"}, "policy": {"teacher": "", "augment": "light"},
    }[kind]  # fmt: skip
    assert (
        np.abs(bundle.predict_proba(list(images)).probabilities - student.predict_proba(images)).max() < 1e-4
    )
