"""The classic networks say what timm's and torchvision's say with the same weights, under textbook names."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file

from headstart.backbones import classic_weights
from headstart.backbones.classic import CLASSIC, RANDOM
from headstart.backbones.classic_networks import build_classic
from headstart.backbones.classic_weights import under_our_names
from headstart.backbones.freeze import find_cut, make_suffix
from headstart.backbones.load import _load_named, load
from headstart.backbones.rebuild import bare_network
from headstart.backbones.scratch import random_copy
from headstart.base.errors import BackboneError

OTHERS = {
    "vgg16": lambda: timm.create_model("vgg16"),
    "alexnet": torchvision.models.alexnet,
    "inception_v1": lambda: torchvision.models.googlenet(aux_logits=True, init_weights=False),
    "resnet50": lambda: timm.create_model("resnet50"),
}


def drawn(make):
    """A network of another library with random weights and running statistics, quickly."""
    with torch.device("meta"):
        net = make()
    net = net.to_empty(device="cpu").eval()
    generator = torch.Generator().manual_seed(0)
    for tensor in net.state_dict().values():
        if tensor.is_floating_point():
            fan_in = tensor[0].numel() if tensor.ndim > 1 else 1
            tensor.uniform_(0.5, 1.5, generator=generator) if tensor.ndim == 1 else tensor.normal_(
                0, (2 / fan_in) ** 0.5, generator=generator
            )
    return net


@pytest.mark.parametrize("name", OTHERS)
def test_the_same_weights_give_the_same_scores(name):
    other = drawn(OTHERS[name])
    with torch.device("meta"):
        ours = build_classic(name)
    state = under_our_names(name, other.state_dict())
    assert set(state) == set(ours.state_dict())
    ours.load_state_dict(state, assign=True)
    image = torch.rand(1, 3, 224, 224, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        theirs, said = other(image), ours(image)
    assert theirs.std() > 0
    torch.testing.assert_close(said, theirs, rtol=1e-4, atol=float(theirs.abs().max()) * 1e-5)


@pytest.mark.parametrize(
    ("name", "other"),
    [("vgg16", torchvision.models.vgg16), ("vgg19", torchvision.models.vgg19),
     ("vgg19", lambda: timm.create_model("vgg19")), ("resnet50", torchvision.models.resnet50)],
)  # fmt: skip
def test_every_tensor_of_the_others_has_a_place(name, other):
    with torch.device("meta"):
        theirs, ours = other().state_dict(), build_classic(name).state_dict()
    found = under_our_names(name, theirs)
    assert {key: each.shape for key, each in found.items()} == {key: each.shape for key, each in ours.items()}


@pytest.mark.parametrize("name", CLASSIC)
def test_the_parameters_are_as_many_as_the_catalog_says(name):
    with torch.device("meta"):
        net = build_classic(name, CLASSIC[name].classes)
    assert sum(part.numel() for part in net.parameters()) == CLASSIC[name].n_parameters


@pytest.fixture
def inception(tmp_path):
    """Inception v1 from a file with torchvision's names, side classifiers and seven classes."""
    other = drawn(lambda: torchvision.models.googlenet(num_classes=7, aux_logits=True, init_weights=False))
    save_file(other.state_dict(), tmp_path / "w.safetensors")
    return load(f"inception_v1@{tmp_path / 'w.safetensors'}")


def test_a_local_file_becomes_a_backbone_with_textbook_layers(inception):
    card = inception.card
    assert (card.classes, card.architecture) == (7, "classic:inception_v1")
    assert card.layers["stem"] == "pool2_3x3_s2"
    assert card.layers["stage3"] == "inception_5b_output"
    assert (card.layers["pool"], card.layers["logits"]) == ("avg_pool", "predictions")
    assert inception.layers["inception_4a_3x3_relu"].shape == (208, 14, 14)
    assert inception.at("96x160").layers["inception_5b_output"].shape == (1024, 3, 5)


def test_a_classic_network_is_cut_rebuilt_and_drawn_anew(inception):
    image = torch.rand(2, 3, 224, 224)
    cut = find_cut(inception, "last:1")
    assert cut.after == "inception_4e_output"
    suffix = make_suffix(inception.module, inception.layers, cut.after)
    kept = {}
    hook = inception.module.get_submodule(cut.after).register_forward_hook(lambda *a: kept.update(out=a[2]))
    with torch.no_grad():
        whole = inception.module(image)
        hook.remove()
        torch.testing.assert_close(suffix(kept["out"]), whole)
        bare = bare_network(inception.card)
        assert bare(image).shape == (2, 1024)
    fresh = random_copy(inception, 3)
    assert not torch.equal(fresh.predictions.weight, inception.module.predictions.weight)


def test_any_layer_that_all_the_rest_depends_on_is_a_place_to_cut():
    net = build_classic("lenet5", 10)
    assert net.cuts() == [*net.sources]
    with torch.device("meta"):
        resnet = build_classic("resnet50").cuts()
    assert "conv3_block1_out" in resnet and "conv3_block1_1_conv" not in resnet


@pytest.fixture
def served(tmp_path, monkeypatch):
    """torchvision downloads this file of weights of Inception v1, whatever its hash is."""
    path = tmp_path / "w.pth"
    other = drawn(lambda: torchvision.models.googlenet(aux_logits=True, init_weights=False))
    torch.save(other.state_dict(), path)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(classic_weights, "_reach", lambda host: None)

    def serve(prefix):
        named = path.rename(tmp_path / f"googlenet-{prefix}.pth")
        monkeypatch.setattr(torchvision.models._api.WeightsEnum, "url", named.as_uri())

    _load_named.cache_clear()
    yield path, serve
    _load_named.cache_clear()


def test_a_download_is_checked_against_the_hash_in_its_name(served):
    path, serve = served
    serve(hashlib.sha256(path.read_bytes()).hexdigest()[:8])
    assert load("inception_v1").card.trained_on == "ImageNet-1k"


def test_a_download_of_another_hash_is_refused(served):
    served[1]("0" * 8)
    with pytest.raises(BackboneError, match="invalid hash value") as caught:
        load("inception_v1")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["vgg16", "alexnet"])
def test_offline_and_absent_is_one_line_that_says_what_to_do(name, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(BackboneError, match=f"go online once, or give a file: {name}@FILE") as caught:
        load(name)
    assert "\n" not in str(caught.value)


def test_networks_with_dense_layers_lose_their_top_at_another_size(monkeypatch):
    with torch.device("meta"):
        state = torchvision.models.alexnet().state_dict()
    state = {key: torch.zeros(each.shape) for key, each in state.items()}
    monkeypatch.setattr(classic_weights, "_from_torchvision", lambda *_: (state, "drawn"))
    _load_named.cache_clear()
    backbone = load("alexnet")
    _load_named.cache_clear()
    assert backbone.layers[backbone.resolve("fc6")].shape == (4096,)
    assert backbone.card.layers["pool"] == "fc7"
    small = backbone.at(96)
    assert (small.card.layers["pool"], small.card.classes, small.layers["pool5"].shape) == (
        "avg_pool",
        0,
        (256, 2, 2),
    )
    assert small.module.conv1.weight is backbone.module.conv1.weight
    assert small.at(224).card == backbone.card
    with pytest.raises(BackboneError):
        backbone.at(32)


def test_lenet5_has_random_weights_and_says_so_where_pretrained_ones_are_asked():
    from headstart.features.extractor import FeatureExtractor
    from headstart.methods.finetune import FineTuneClassifier
    from headstart.testing.images import tiny_image

    backbone = load("lenet5")
    assert backbone.card.weights == RANDOM
    rng = np.random.default_rng(0)
    images, labels = [tiny_image(kind % 2, rng) for kind in range(24)], ["ab"[kind % 2] for kind in range(24)]
    with pytest.raises(BackboneError, match="no pretrained weights are published for it") as caught:
        FeatureExtractor(backbone="lenet5").fit_transform(images)
    assert "--scenario scratch" in str(caught.value)
    with pytest.raises(BackboneError, match="no pretrained weights"):
        FineTuneClassifier(scenario="full", backbone="lenet5", epochs=1).fit(images, labels)
    model = FineTuneClassifier(scenario="scratch", backbone="lenet5", epochs=1, learning_rate=0.01).fit(
        images, labels
    )
    assert model.predict(images).shape == (len(images),)
