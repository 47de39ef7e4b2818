"""Summaries: counts against other ways of counting, receptive fields against published ones."""

from __future__ import annotations

import pytest
import timm
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from headstart.backbones.blank import NewHead
from headstart.backbones.drawing import counted, draw
from headstart.backbones.observe import observe
from headstart.backbones.summary import ITSELF, WHOLE, summarise
from headstart.base.errors import BackboneError, BadOptions
from headstart.testing.backbones import tiny_backbone, tiny_weights


@pytest.mark.parametrize(
    ("size", "shape"),
    [("224", (7, 7, 512)), ("100x200", (3, 6, 512)), ((256, 300), (8, 9, 512)), (32, (1, 1, 512)), (48, (1, 1, 512))],
)  # fmt: skip
def test_vgg16_takes_every_size_that_is_large_enough(size, shape):
    found = summarise("vgg16", size)
    assert (found.layers[-1].name, found.layers[-1].output) == ("block5_pool", shape)
    assert found.n_parameters == 14_714_688


def test_heads_on_vgg16_have_the_parameters_of_their_textbooks():
    assert summarise("vgg16", top=True).n_parameters == 138_357_544
    assert summarise("vgg16", head=NewHead("avg", (256,), 10)).n_parameters == 14_848_586
    assert summarise("vgg16", "256x300", head=NewHead("flat", (256,), 10)).n_parameters == 24_154_698
    found = {layer.name: layer.output for layer in summarise("vgg16", top=True).layers}
    assert (found["fc1"], found["block2_pool"]) == ((4096,), (56, 56, 128))


def test_a_cut_inside_a_block_trains_that_layer_and_what_follows():
    assert summarise("vgg16", trainable="block5_conv3").n_trainable == 2_359_808
    assert summarise("vgg16", trainable="last:1").n_trainable == 3 * 2_359_808
    assert summarise("vgg16", trainable="last:5").n_trainable == 14_714_688
    headed = summarise("vgg16", trainable="head", head=NewHead(classes=10))
    assert headed.n_trainable == 5_130
    assert summarise("resnet50", top=True, trainable="head").n_trainable == 2_049_000


def test_resnet50_counts_running_statistics_apart():
    found = summarise("resnet50", top=True)
    assert (found.n_parameters, found.n_statistics) == (25_557_032, 53_120)
    convolution_biases_of_keras = 26_560
    assert found.n_parameters + found.n_statistics + convolution_biases_of_keras == 25_636_712


# Araujo, Norris and Sim, Distill 2019, table 1 (their ResNet-50 strides in its 1x1 convolutions: 483).
@pytest.mark.parametrize(
    ("name", "pixels"), [("alexnet", 195), ("vgg16", 212), ("resnet50", 427), ("timm:mobilenetv1_100", 315)]
)
def test_receptive_fields_are_the_published_ones(name, pixels):
    assert summarise(name).widest.receptive_field == (pixels, pixels)


def test_a_receptive_field_is_what_gradients_reach():
    first, second = nn.Conv2d(3, 4, (3, 5), (2, 1)), nn.Conv2d(4, 4, 3, dilation=2)
    net = nn.Sequential(first, nn.AvgPool2d(3, 2), second, nn.AvgPool2d(2))
    image = torch.rand(1, 3, 48, 48, requires_grad=True)
    net(image)[0, :, 1, 2].sum().backward()
    reached = image.grad.abs().sum((0, 1)) > 0
    told = observe(net.to("meta").eval(), 48, 48)[-2].field.extent
    rows, columns = reached.any(1).nonzero(), reached.any(0).nonzero()
    assert told == (int(rows[-1] - rows[0]) + 1, int(columns[-1] - columns[0]) + 1) == (27, 17)


def test_what_reads_every_position_sees_the_whole_image():
    for name, first in {
        "timm:vit_tiny_patch16_224": "blocks.0.attn.proj",
        "timm:efficientnet_b0": "blocks.0.0.se.conv_reduce",
        "timm:resnet18": "global_pool.pool",
    }.items():
        found = summarise(name, top=True)
        assert found.first_whole.name == first
        assert found.layers[-1].receptive_field == WHOLE


def test_windows_of_attention_are_not_guessed():
    found = summarise("timm:swin_tiny_patch4_window7_224")
    assert found.first_untold.name.startswith("layers.0.blocks.0.attn")
    assert found.widest.name == "patch_embed.proj"
    assert found.layers[-1].receptive_field == WHOLE


def test_a_module_that_no_rule_knows_is_not_guessed():
    class Sorted(nn.Module):
        def forward(self, maps):
            return maps.sort(dim=-1).values

    found = observe(nn.Sequential(nn.Conv2d(3, 4, 3), Sorted(), nn.Conv2d(4, 4, 3)).to("meta"), 32, 32)
    assert found[0].field.extent == (3, 3)
    assert all(each.field.extent is None and not each.field.whole for each in found[1:3])


@pytest.mark.parametrize("name", ["resnet18", "vit_tiny_patch16_224", "convnext_atto", "tnt_s_patch16_224"])
def test_multiply_accumulates_are_half_of_torchs_operations(name):
    with torch.device("meta"):
        module = timm.create_model(name, num_classes=0).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module(torch.empty(1, 3, 224, 224, device="meta"))
    found = summarise(f"timm:{name}")
    assert found.macs == counter.get_total_flops() // 2
    assert found.n_parameters == sum(part.numel() for part in module.parameters())


def test_weights_that_the_layer_around_uses_are_counted_and_have_no_shape():
    found = summarise("timm:beit_base_patch16_224", 32, top=True)
    uncalled = [layer for layer in found.layers if layer.output is None]
    assert {layer.name for layer in uncalled if layer.n_parameters} == {
        f"blocks.{n}.attn.qkv" for n in range(12)
    }
    assert found.height == 32
    assert next(layer for layer in found.layers if layer.name == ITSELF).n_parameters == 768


def test_a_network_of_positions_is_made_for_the_size():
    found = summarise("timm:vit_tiny_patch16_224", "96x160")
    assert found.layers[0].output == (6, 10, 192)
    assert next(layer for layer in found.layers if layer.name == ITSELF).n_parameters == (6 * 10 + 2) * 192


def test_positions_under_a_new_head_stay_frozen():
    found = summarise("timm:vit_tiny_patch16_224", 96, trainable="last:2", head=NewHead(classes=5))
    assert found.n_trainable == 2 * 444_864 + 384 + 192 * 5 + 5
    (positions,) = [layer for layer in found.layers if layer.name == ITSELF]
    assert (positions.n_parameters, positions.n_trainable, positions.stage) == (38 * 192, 0, "stem")


def test_other_poolings_on_networks_of_timm():
    def head(name, pooling):
        return summarise(f"timm:{name}", head=NewHead(pooling, (), 3)).layers[-1].n_parameters

    assert head("resnet18", "flat") == 25_088 * 3 + 3
    assert head("swin_tiny_patch4_window7_224", "max") == 768 * 3 + 3
    assert head("vit_tiny_patch16_224", "") == 192 * 3 + 3


def test_memory_is_counted_once_where_a_layer_works_in_place():
    apart = summarise("resnet50").activation_bytes
    in_place = summarise("timm:resnet50.tv_in1k").activation_bytes
    assert in_place < apart
    maps = sum(layer.activation_bytes for layer in summarise("vgg16").layers)
    assert maps == 4 * 15_077_888


def test_a_loaded_network_and_a_file_are_summarised_too(tmp_path):
    tiny = tiny_backbone()
    before = tiny.module.classifier.weight
    with_top, without = summarise(tiny, 64, top=True), summarise(tiny)
    assert with_top.n_parameters - without.n_parameters == 64 * 10 + 10
    assert tiny.module.classifier.weight is before
    assert summarise(tiny_weights(tmp_path), 64).n_parameters > 0


def test_nothing_is_allocated_or_fetched(monkeypatch):
    monkeypatch.setattr("headstart.backbones.load.load", None)
    assert summarise("timm:eva_giant_patch14_224.clip_ft_in1k", top=True).n_parameters == 1_012_555_112


def test_bad_options_come_together():
    with pytest.raises(BadOptions, match=r"pooling: 'mid'.*dense: 0 is below 1"):
        summarise("vgg16", head=NewHead("mid", (0,), 3))
    with pytest.raises(BackboneError, match="ends at block3_pool"):
        summarise("vgg16", 7)


def test_a_picture_escapes_names_and_counts_in_three_figures():
    tiny = tiny_backbone()
    from dataclasses import replace

    odd = replace(tiny, card=replace(tiny.card, name='<script>"&\x1b'))
    drawn = draw(summarise(odd, top=True))
    assert "<script" not in drawn and "&lt;script&gt;&quot;&amp;?" in drawn
    numbers = (0, 999, 38_720, 999_999, 1_475_328, 15_346_630_656)
    assert [counted(n) for n in numbers] == ["0", "999", "38.7 k", "1000 k", "1.48 M", "15.3 G"]
