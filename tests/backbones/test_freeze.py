"""Cuts are found in every kind of network, and the network after a cut says what the whole network says."""

import pytest
import torch

from headstart.backbones.card import Preprocessing
from headstart.backbones.freeze import find_cut, frozen_modules, make_suffix
from headstart.backbones.layers import run_until, stage_modules
from headstart.backbones.load import from_module, load
from headstart.base.errors import BadOptions, UnknownName
from headstart.testing.backbones import tiny_backbone

KINDS = (
    "resnet18",
    "mobilenetv3_small_050",
    "vit_tiny_patch16_224",
    "swin_tiny_patch4_window7_224",
    "convnext_atto",
    "densenet121",
    "regnetx_002",
    "xcit_nano_12_p8_224",
)


def timm_backbone(name):
    import timm

    torch.manual_seed(0)
    module = timm.create_model(name).eval()
    side = module.pretrained_cfg["input_size"][1]
    return from_module(module, Preprocessing(side, side), name)


@pytest.mark.parametrize("name", KINDS)
def test_the_suffix_of_every_kind_of_network_says_what_the_whole_network_says(name):
    backbone = timm_backbone(name)
    shape = backbone.card.preprocessing
    images = torch.randn(2, 3, shape.height, shape.width)
    n_stages = len([each for each in stage_modules(backbone.module) if each in backbone.layers])
    with torch.no_grad():
        whole = backbone.module(images)
        for cut in (find_cut(backbone, f"last:{k}") for k in (1, n_stages // 2, n_stages)):
            calls = {cut.after: backbone.layers[cut.after].calls}
            given = run_until(backbone.module, images, [cut.after], calls)[cut.after]
            said = make_suffix(backbone.module, backbone.layers, cut.after).eval()(given)
            assert torch.allclose(said, whole, atol=1e-5 * float(whole.abs().max()))


def test_last_k_of_lite0_is_what_the_words_say():
    cut = find_cut(load("lite0"), "last:2")
    roots = {
        ".".join(name.split(".")[:2]) if name.startswith("blocks") else name.split(".")[0]
        for name in cut.trainable
    }
    assert cut.after == "blocks.4"
    assert roots == {"blocks.5", "blocks.6", "conv_head", "bn2"}


def test_more_trainable_stages_train_more_and_what_is_before_the_cut_is_frozen():
    backbone = load("lite0")
    sizes = [len(find_cut(backbone, f"last:{k}").trainable) for k in range(1, 8)]
    assert sizes == sorted(set(sizes))
    assert find_cut(backbone, "last:7").after == "bn1"
    assert "blocks.4" in frozen_modules(backbone.layers, "blocks.4")


def test_norm_bias_head_and_all_are_cuts():
    backbone = load("lite0")
    norm, bias, head, everything = (find_cut(backbone, each) for each in ("norm", "bias", "head", "all"))
    assert all("bn" in name for name in norm.trainable) and norm.after == ""
    assert all(name.endswith("bias") for name in bias.trainable)
    assert head.trainable == () and head.after == "global_pool"
    assert not any(name.startswith("classifier") for name in everything.trainable)
    assert set(norm.trainable) < set(everything.trainable)


def test_norm_of_a_transformer_is_its_layer_norms():
    cut = find_cut(timm_backbone("vit_tiny_patch16_224"), "norm")
    assert cut.trainable and all("norm" in name for name in cut.trainable)


def test_a_layer_or_a_pattern_of_parameters_names_a_cut():
    backbone = load("lite0")
    assert find_cut(backbone, "stage7") == find_cut(backbone, "blocks.6").__class__(
        "stage7", find_cut(backbone, "blocks.6").trainable, "blocks.5"
    )
    listed = find_cut(backbone, ["blocks.6.*", "conv_head.weight"])
    assert listed.after == "blocks.5" and "conv_head.weight" in listed.trainable
    assert all(name.startswith(("blocks.6.", "conv_head")) for name in listed.trainable)


def test_a_cut_that_is_not_there_is_refused_with_what_is():
    backbone = tiny_backbone()
    with pytest.raises(BadOptions, match="has 3 stages, so last:1 to last:3"):
        find_cut(backbone, "last:99")
    with pytest.raises(BadOptions):
        find_cut(backbone, "last:0")
    with pytest.raises(UnknownName, match="did you mean"):
        find_cut(backbone, "blocks.7")
    with pytest.raises(UnknownName):
        find_cut(backbone, ["blocks.2.*", "nothing.*"])
