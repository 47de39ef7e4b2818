"""What is explained: layers found without a name or a reshape, scores as the model gives them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from headstart.backbones.card import Preprocessing
from headstart.backbones.load import from_module
from headstart.base.errors import BackboneError, BadOptions, UnknownName
from headstart.base.events import collected_warnings
from headstart.explain.cam import class_activation
from headstart.explain.spatial import find_layers
from headstart.explain.target import target_of_backbone, target_of_head, target_of_network
from headstart.methods.heads import HEADS, make_head
from headstart.testing.backbones import tiny_backbone, tiny_network

SWIN = "swin_tiny_patch4_window7_224"


def timm_target(name: str, side: int, **options):
    import timm

    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = timm.create_model(name, **options)
    return target_of_backbone(from_module(module, Preprocessing(side, side)))


def sized_target(name: str, side: int):
    """A small network of a family, made for images of that side."""
    options = {SWIN: {"embed_dim": 12, "depths": (1, 1, 1, 1), "window_size": 2}}.get(name, {})
    return timm_target(name, side, **options, **({"img_size": side} if name in (SWIN, "test_vit") else {}))


@pytest.mark.parametrize(
    "name, side, layer, grid, layout",
    [
        ("test_resnet", 64, "layer4", (2, 2), "nchw"),
        ("test_vit", 64, "norm1", (4, 4), "tokens"),
        ("test_convnext", 64, "norm_pre", (2, 2), "nchw"),
        (SWIN, 56, "norm", (2, 2), "nhwc"),
        ("edgenext_xx_small", 64, "norm_pre", (2, 2), "nchw"),  # its code of positions hangs on no image
    ],
)
def test_the_last_layer_with_positions_is_found_in_every_family(name, side, layer, grid, layout):
    found = sized_target(name, side).last
    assert layer in found.name and (found.rows, found.columns) == grid and found.layout == layout


def test_tokens_become_rows_and_columns_in_the_right_order():
    target = timm_target("test_vit", 64, img_size=64)
    place = target.last
    tokens = torch.arange(place.n_prefix + 16.0)[None, :, None].expand(1, -1, place.channels)
    maps = place.maps(tokens)
    assert maps.shape == (1, place.channels, 4, 4)
    assert (maps[0, 0].flatten() == torch.arange(16) + place.n_prefix).all()


def test_layers_of_a_wide_image_keep_their_shape():
    layers = find_layers(tiny_network(), 32, 64)
    assert (layers["blocks.0"].rows, layers["blocks.0"].columns) == (8, 16)


def heard_of(make):
    """What a call gives, and the warnings on the way."""
    with collected_warnings() as said:
        found = make()
    return found, said


@pytest.mark.parametrize("name, side", [("test_resnet", 24), ("test_byobnet", 31), (SWIN, 16)])
def test_below_the_stride_there_is_no_last_layer_and_the_least_size_is_told(name, side):
    """The networks halve their images five times; of fewer than 32 pixels their last stages see padding alone."""
    target = sized_target(name, side)
    pixels = np.zeros((1, side, side, 3), np.uint8)
    for refused in (lambda: target.last, target.check_stride, lambda: class_activation(target, pixels, [0])):
        with pytest.raises(BackboneError, match=r"stride of 32 pixels.* least size that works is 32 x 32"):
            refused()
    assert target.deepest().rows == 2, "channels of a layer can still be shown"


def test_at_the_stride_the_last_stage_keeps_one_place_and_a_warning_says_so_once():
    target = timm_target("test_resnet", 32)
    last, said = heard_of(lambda: (target.last, target.last)[0])
    assert (last.name, last.rows, last.columns) == ("layer3", 2, 2)
    (line,) = said
    assert "single place (1 x 1), so that a map of it is flat; maps are of stage3 (2 x 2)" in line
    assert "from 64 x 64 on" in line


@pytest.mark.parametrize("name, side", [("test_resnet", 33), ("test_vit", 32), (SWIN, 56)])
def test_images_of_more_places_than_one_are_explained_without_a_word(name, side):
    last, said = heard_of(lambda: sized_target(name, side).last)
    assert last.rows == 2 and not said


def test_a_single_patch_is_no_map_and_its_class_token_no_second_place():
    with pytest.raises(BackboneError, match="no layer of the network has rows and columns"):
        _ = sized_target("test_vit", 16).last


def test_the_stride_is_that_of_what_the_scores_hang_on():
    """A head on features of the first stage (a place every 4 pixels) is explained where one on the last (16) is not."""
    backbone = tiny_backbone(side=8)
    features = np.random.default_rng(0).normal(size=(30, 16)).astype(np.float32)
    head = make_head("logistic").fit(features, np.array(["a", "b", "c"])[np.arange(30) % 3])
    last, said = heard_of(lambda: target_of_head(backbone, [("blocks.0", "avg")], head).last)
    assert (last.name, last.rows) == ("net.blocks.0", 2) and not said
    with pytest.raises(BackboneError, match="stride of 16 pixels"):
        _ = target_of_backbone(backbone).last


def test_below_the_stride_of_every_layer_or_without_padding_it_is_told():
    with pytest.raises(BackboneError, match=r"rows and columns for images of 2 x 2: give larger images"):
        _ = timm_target("test_resnet", 2).last
    with pytest.raises(BackboneError, match="cannot take images of 24 x 24"):
        _ = timm_target("test_convnext", 24).last


def test_a_layer_without_positions_and_an_unknown_one_are_told():
    target = target_of_backbone(tiny_backbone())
    with pytest.raises(BadOptions, match="classifier has no rows and columns"):
        target.layer("classifier")
    with pytest.raises(UnknownName, match="stage2"):
        target.layer("stagee2")
    assert target.layer("stage1").name == "blocks.0"


def test_classes_by_name_and_number_and_out_of_range():
    out = target_of_network(tiny_network(), Preprocessing(32, 32), [f"c{n}" for n in range(10)]).output()
    assert out.number("c3") == out.number(3) == out.number("3") == 3
    with pytest.raises(BadOptions, match=r"10 is outside 0 \.\. 9"):
        out.number(10)
    with pytest.raises(BadOptions, match="-1 is outside"):
        out.number("-1")
    with pytest.raises(UnknownName, match="c3"):
        out.number("cc3")


def test_a_backbone_without_a_classifier_is_told():
    module = tiny_network()
    module.classifier = nn.Identity()
    with pytest.raises(BackboneError, match="no classifier"):
        target_of_backbone(from_module(module, Preprocessing(32, 32)))


def features_of(n: int, seed: int):
    images = np.random.default_rng(seed).integers(0, 255, (n, 32, 32, 3)).astype(np.uint8)
    backbone = tiny_backbone()
    with torch.no_grad():
        known = backbone.module.flatten(
            backbone.module.pool(backbone.module.blocks(backbone.module.stem(
                target_of_backbone(backbone).images(images)
            )))
        ).numpy()  # fmt: skip
    return backbone, images, known


@pytest.mark.parametrize("name", list(HEADS))
def test_a_head_in_torch_gives_the_probabilities_of_the_head(name):
    backbone, images, known = features_of(30, 0)
    labels = np.array(["a", "b", "c"])[(known[:, 0].argsort().argsort() * 3) // 30]
    head = make_head(name).fit(known, labels)
    target = target_of_head(backbone, [("flatten", "avg")], head)
    assert target.output().classes == ("a", "b", "c")
    np.testing.assert_allclose(target.probabilities(images), head.predict_proba(known), atol=1e-4)
    assert target.last.name == "net.blocks", "of nearest neighbours what their features hang on"
    if name == "knn":
        with pytest.raises(BadOptions, match="take occlusion"):
            target.check_gradient()


class Two(nn.Module):
    """A network with two outputs, as a dict or in order."""

    def __init__(self, as_dict: bool) -> None:
        super().__init__()
        self.body, self.as_dict = tiny_network(), as_dict

    def forward(self, images):
        scores = self.body(images)
        both = {"kind": scores[:, :4], "size": scores[:, 4:]}
        return both if self.as_dict else list(both.values())


@pytest.mark.parametrize("as_dict", [True, False])
def test_every_output_of_a_network_with_several(as_dict):
    classes = {"kind": list("abcd"), "size": list("uvwxyz")}
    target = target_of_network(Two(as_dict), Preprocessing(32, 32), classes)
    pixels = np.random.default_rng(0).integers(0, 255, (2, 32, 32, 3)).astype(np.uint8)
    assert target.probabilities(pixels, "kind").shape == (2, 4)
    assert target.probabilities(pixels, "size").shape == (2, 6)
    assert target.last.name == "body.blocks"
    with pytest.raises(UnknownName, match="size"):
        target.output("sizes")


class Branches(nn.Module):
    """Two outputs, each with a branch of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.kind, self.size = tiny_network(0), tiny_network(1)

    def forward(self, images):
        return {"kind": self.kind(images), "size": self.size(images)}


def test_the_last_layer_of_each_output_is_one_that_it_hangs_on():
    names = [str(number) for number in range(10)]
    target = target_of_network(Branches(), Preprocessing(32, 32), {"kind": names, "size": names})
    assert [target.layer(None, each).name for each in ("kind", "size")] == ["kind.blocks", "size.blocks"]
