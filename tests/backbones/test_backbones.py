"""Names to networks: packaged weights, local files, the hub; layers found rather than listed."""

import http.server
import json
import threading

import pytest
import timm
import torch
from safetensors.torch import save_file

from headstart.backbones.card import BackboneCard, Preprocessing
from headstart.backbones.catalog import LITE_LAYERS, PACKAGED, list_backbones, packaged_card
from headstart.backbones.layers import run_until
from headstart.backbones.load import _load_named, card, from_module, load, write_weights
from headstart.base.errors import BackboneError, BadOptions, MissingPackage, UnknownName
from headstart.testing.backbones import tiny_backbone, tiny_network


def test_the_packaged_card_agrees_with_the_network():
    backbone = load("lite0")
    assert backbone.card == card("lite0")
    assert backbone.card.layers == LITE_LAYERS
    assert backbone.card.n_parameters == sum(p.numel() for p in backbone.module.parameters())
    assert backbone.card.preprocessing.mean == (0.5, 0.5, 0.5)
    assert (
        backbone.layers["blocks.5"].shape == (192, 7, 7) and backbone.layers["global_pool"].layout == "vector"
    )
    assert not backbone.module.training


@pytest.mark.parametrize("name", ["lite1", "lite2"])
def test_the_other_packaged_weights_fit_their_architecture(name):
    pytest.importorskip(PACKAGED[name].package)
    assert len(load(name).layers) > 200 and packaged_card(name).preprocessing.height in (240, 260)


def test_a_card_survives_json():
    made = card("lite0")
    assert BackboneCard.from_dict(json.loads(json.dumps(made.to_dict()))) == made


def test_an_input_size_is_checked():
    assert Preprocessing().at(64).height == 64 and Preprocessing().at((64, 96)).width == 96
    assert Preprocessing().at(None) == Preprocessing()
    with pytest.raises(BadOptions, match="is outside 16"):
        Preprocessing().at(8)


ARCHITECTURES = {
    "resnet18": ("maxpool", "layer4", "fc"),
    "vit_tiny_patch16_224": ("norm_pre", "blocks.11", "head"),
    "swin_tiny_patch4_window7_224": ("patch_embed", "layers.3", "head.fc"),
    "convnext_atto": ("stem", "stages.3", "head.fc"),
    "regnety_002": ("stem", "s4", "head.fc"),
}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_stages_are_found_in_every_family(architecture):
    module = timm.create_model(architecture)
    size = module.default_cfg["input_size"][1]
    backbone = from_module(module, Preprocessing(size, size), architecture)
    stem, last, logits = ARCHITECTURES[architecture]
    stages = [module for alias, module in backbone.card.layers.items() if alias.startswith("stage")]
    assert (
        backbone.card.layers["stem"] == stem
        and stages[-1] == last
        and backbone.card.layers["logits"] == logits
    )
    channels = {backbone.layers[name].channels for name in stages}
    assert max(channels) == module.num_features
    assert backbone.layers[backbone.card.layers["pool"]].shape == (module.num_features,)


def test_a_forward_pass_ends_at_the_deepest_layer_asked_for():
    backbone = tiny_backbone()
    reached = []
    backbone.module.blocks[2].register_forward_hook(lambda *_: reached.append("blocks.2"))
    out = run_until(backbone.module, torch.zeros(1, 3, 32, 32), ["stem", "blocks.1"], {})
    assert set(out) == {"stem", "blocks.1"} and reached == []


def test_unknown_names_bring_the_nearest_ones():
    with pytest.raises(UnknownName, match="did you mean 'timm:resnet18'"):
        load("resnet18")
    with pytest.raises(UnknownName, match="lite0"):
        load("lite9")
    with pytest.raises(UnknownName, match="resnet18"):
        load("timm:resnet81")
    with pytest.raises(UnknownName, match="stage5"):
        load("lite0").resolve("stag5")


def test_a_local_file_is_read_as_tensors_only(tmp_path):
    module = timm.create_model("resnet10t", num_classes=7)
    save_file(module.state_dict(), tmp_path / "w.safetensors")
    torch.save({"state_dict": module.state_dict()}, tmp_path / "w.pth")
    for name in ("w.safetensors", "w.pth"):
        backbone = load(f"timm:resnet10t@{tmp_path / name}")
        assert backbone.card.classes == 7
        assert torch.equal(backbone.module.fc.weight, module.fc.weight)
    torch.save({"weights": Evil()}, tmp_path / "evil.pth")
    with pytest.raises(BackboneError, match="safe to read"):
        load(f"timm:resnet10t@{tmp_path / 'evil.pth'}")
    assert not (tmp_path / "ran").exists()


def test_weights_of_a_file_are_looked_through_once(tmp_path, monkeypatch):
    from headstart.backbones import load as loading

    save_file(timm.create_model("test_resnet").state_dict(), tmp_path / "w.safetensors")
    looked, real = [], loading.not_finite
    monkeypatch.setattr(loading, "not_finite", lambda state: looked.append(len(state)) or real(state))
    load(f"timm:test_resnet@{tmp_path / 'w.safetensors'}")
    assert len(looked) == 1


class Evil:
    """Runs code when it is unpickled."""

    def __reduce__(self):
        return (open, ("ran", "w"))


def test_weights_that_do_not_fit_are_refused_with_reasons(tmp_path):
    state = timm.create_model("resnet10t").state_dict()
    state["layer1.0.conv1.weight"] = torch.zeros(3, 3)
    state["stranger"] = torch.zeros(1)
    state["layer2.0.bn1.bias"][0] = float("nan")
    save_file(state, tmp_path / "w.safetensors")
    with pytest.raises(BackboneError) as caught:
        load(f"timm:resnet10t@{tmp_path / 'w.safetensors'}")
    assert all(said in str(caught.value) for said in ("has shape (3, 3)", "stranger", "not finite"))
    (tmp_path / "cut.safetensors").write_bytes((tmp_path / "w.safetensors").read_bytes()[:100])
    with pytest.raises(BackboneError, match="safe to read"):
        load(f"timm:resnet10t@{tmp_path / 'cut.safetensors'}")
    with pytest.raises(BackboneError, match="no such weights file"):
        load("timm:resnet10t@/nowhere.safetensors")
    with pytest.raises(BackboneError, match="timm:ARCHITECTURE@"):
        load("weights.pth")


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingPackage, match=r"headstart\[backbones\]"):
        PACKAGED["lite2"].path()


def test_offline_and_absent_is_one_line_that_says_what_to_do():
    with pytest.raises(BackboneError, match="go online once, or give a file: timm:resnet18@FILE") as caught:
        load("timm:resnet18")
    assert "\n" not in str(caught.value)


def test_a_repository_is_loaded_from_a_hub(tmp_path, monkeypatch):
    module = timm.create_model("resnet10t", num_classes=5)
    save_file(module.state_dict(), tmp_path / "model.safetensors")
    config = {
        "architecture": "resnet10t",
        "num_classes": 5,
        "pretrained_cfg": {"mean": [0.1, 0.2, 0.3], "num_classes": 5},
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    with hub(tmp_path) as address:
        from huggingface_hub import constants

        monkeypatch.setattr(constants, "ENDPOINT", address)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}"
        )
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        _load_named.cache_clear()
        backbone = load("hf-hub:someone/tiny")
    assert backbone.card.preprocessing.mean == (0.1, 0.2, 0.3)
    assert torch.equal(backbone.module.fc.weight, module.fc.weight)


class hub:
    """A server that plays the part of the hub that serves files."""

    def __init__(self, folder):
        outer = {path.name: path.read_bytes() for path in folder.iterdir()}

        class Handler(http.server.BaseHTTPRequestHandler):
            def answer(self, body):
                name = self.path.rsplit("/", 1)[-1]
                data = outer.get(name) if "/resolve/" in self.path else None
                self.send_response(200 if data is not None else 404)
                self.send_header("Content-Length", str(len(data or b"")))
                self.send_header("ETag", f'"{name}"')
                self.send_header("X-Repo-Commit", "a" * 40)
                if data is None:
                    self.send_header("X-Error-Code", "EntryNotFound")
                self.end_headers()
                if body and data:
                    self.wfile.write(data)

            def do_HEAD(self):
                self.answer(False)

            def do_GET(self):
                self.answer(True)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{self.server.server_port}"

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def test_weights_are_written_and_read_back(tmp_path):
    backbone = tiny_backbone()
    write_weights(backbone, tmp_path / "w.safetensors")
    again = tiny_network(seed=5)
    from headstart.backbones.load import read_weights

    again.load_state_dict(read_weights(tmp_path / "w.safetensors"))
    assert torch.equal(again.classifier.weight, backbone.module.classifier.weight)
    assert (
        tiny_backbone(1).card.weights_digest
        != backbone.card.weights_digest
        == tiny_backbone(0).card.weights_digest
    )


def test_backbones_are_listed_by_pattern():
    assert [row.name for row in list_backbones()][:4] == ["lite0", "lite1", "lite2", "lenet5"]
    names = [row.name for row in list_backbones("resnet18")]
    assert "timm:resnet18.a1_in1k" in names and all("resnet18" in name for name in names)
    assert [row.name for row in list_backbones("lite?")][:3] == ["lite0", "lite1", "lite2"]


def test_weights_that_are_not_finite_are_refused_wherever_they_come_from():
    module = timm.create_model("test_resnet")
    with torch.no_grad():
        module.layer1[0].conv1.weight[0, 0, 0, 0] = float("nan")
    with pytest.raises(
        BackboneError, match=r"spoilt: layer1\.0\.conv1\.weight holds values that are not finite"
    ):
        from_module(module, Preprocessing(64, 64), "spoilt")
