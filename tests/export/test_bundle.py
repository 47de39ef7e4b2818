"""A bundle predicts anywhere, and opens only when it is whole and as it was written."""

import json
import shutil

import numpy as np
import pytest

from headstart.base.errors import BadImage, BundleError, EngineError
from headstart.base.hashing import digest_file
from headstart.export.bundle import load_bundle
from headstart.export.onnx import export_onnx
from headstart.export.save import save_bundle
from headstart.features.engines.onnx_engine import OnnxRunner
from headstart.images.prepare import prepare
from headstart.images.scan import scan
from headstart.methods.probe import TransferClassifier
from headstart.testing.backbones import tiny_backbone


@pytest.fixture
def bundle(tiny_model, tmp_path):
    return shutil.copytree(tiny_model, tmp_path / "copy")


def test_a_bundle_says_what_the_classifier_said(photos, tmp_path):
    table = scan(photos)
    labels = np.array(table.labels[table.target()])
    for options in (
        {"layer": ("stage1", "pool"), "backbone": tiny_backbone(side=48)},
        {"layer": "stage5", "head": "knn"},
    ):
        method = TransferClassifier(input_size=48, engine="torch", **options).fit(table.items(), labels)
        opened = load_bundle(save_bundle(method, tmp_path / "model", target="shape", data="photos"))
        found = opened.predict_proba(table.items(), table.paths)
        assert np.allclose(found.probabilities, method.predict_proba(table.items()), atol=1e-3)
        assert opened.predict(table.items()[:4]) == list(method.predict(table.items()[:4]))
        assert opened.target == "shape" and opened.classes == tuple(method.classes_)
        assert opened.head.predict_proba(np.zeros((1, opened.head.n_features_in_))).shape == (
            1,
            len(opened.classes),
        )


def test_unreadable_images_are_named(bundle, new_photos, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"")
    items = [tmp_path / "bad.png", *scan(new_photos).items()[:2]]
    found = load_bundle(bundle).predict_proba(items)
    assert found.rows == (1, 2) and len(found.problems) == 1 and found.probabilities.shape[0] == 2
    with pytest.raises(BadImage):
        load_bundle(bundle).predict(items)
    assert load_bundle(bundle).predict_proba([]).probabilities.shape == (0, 3)


def test_the_exported_graph_gives_the_same_probabilities(bundle, new_photos, tmp_path):
    opened = load_bundle(bundle)
    assert export_onnx(opened, tmp_path / "m.onnx") < 1e-4
    items = scan(new_photos).items()[:5]
    pixels = np.stack([prepare(item, opened.preprocessing) for item in items])
    (probabilities,) = OnnxRunner(tmp_path / "m.onnx").run(pixels)
    assert np.allclose(probabilities, opened.predict_proba(items).probabilities, atol=1e-6)
    import onnx

    facts = {entry.key: json.loads(entry.value) for entry in onnx.load(tmp_path / "m.onnx").metadata_props}
    assert facts["headstart.classes"] == list(opened.classes)


def test_a_graph_that_says_something_else_is_not_exported(bundle, tmp_path, monkeypatch):
    opened = load_bundle(bundle)
    monkeypatch.setattr(type(opened.head), "predict_proba", lambda self, X: np.zeros((len(X), 3)))
    with pytest.raises(EngineError, match="differs from the model"):
        export_onnx(opened, tmp_path / "m.onnx")
    assert not (tmp_path / "m.onnx").exists()


@pytest.mark.parametrize("name", ["model.onnx", "head.skops", "backbone.safetensors", "seen.json"])
def test_a_file_that_is_missing_or_altered_is_noticed(bundle, name):
    with (bundle / name).open("ab") as file:
        file.write(b" ")
    with pytest.raises(BundleError, match="altered or damaged"):
        load_bundle(bundle)
    (bundle / name).unlink()
    with pytest.raises(BundleError, match="is missing"):
        load_bundle(bundle)


def test_a_folder_that_is_no_bundle_is_refused(bundle, tmp_path):
    with pytest.raises(BundleError, match="is no model"):
        load_bundle(tmp_path / "nothing")
    card = json.loads((bundle / "card.json").read_text())
    for change, said in (({"version": 99}, "version 99"), ({"format": "other"}, "no card")):
        (bundle / "card.json").write_text(json.dumps({**card, **change}))
        with pytest.raises(BundleError, match=said):
            load_bundle(bundle)
    (bundle / "card.json").write_text("{")
    with pytest.raises(BundleError, match="no JSON"):
        load_bundle(bundle)


def test_a_head_of_foreign_types_is_never_opened(bundle):
    import skops.io
    from sklearn.preprocessing import FunctionTransformer

    skops.io.dump(FunctionTransformer(print), bundle / "head.skops")
    card = json.loads((bundle / "card.json").read_text())
    card["digests"]["head.skops"] = digest_file(bundle / "head.skops")
    (bundle / "card.json").write_text(json.dumps(card))
    with pytest.raises(BundleError, match="types that a head never has"):
        load_bundle(bundle).head  # noqa: B018 - reading the head is what is refused


def test_an_older_bundle_is_replaced_and_anything_else_is_left_alone(photos, bundle, tmp_path):
    table = scan(photos)
    method = TransferClassifier(layer="stage5", head="nearest_mean", input_size=48, engine="torch")
    method.fit(table.items(), np.array(table.labels[table.target()]))
    assert load_bundle(save_bundle(method, bundle)).card["head"] == "nearest_mean"
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("mine")
    with pytest.raises(BundleError, match="is no bundle"):
        save_bundle(method, tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "mine"
