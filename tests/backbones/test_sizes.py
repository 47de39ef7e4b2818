"""Any height x width that a network can take: as it is, resampled in a copy, or refused with what works."""

from dataclasses import replace

import pytest
import timm
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from timm.layers import resample_abs_pos_embed
from torch import nn

from headstart.backbones.card import Preprocessing
from headstart.backbones.freeze import make_suffix
from headstart.backbones.input_size import LEAST
from headstart.backbones.layers import run_until
from headstart.backbones.load import from_module, load, write_weights
from headstart.backbones.rebuild import bare_network
from headstart.backbones.scratch import random_copy
from headstart.backbones.sizes import smallest_size, takes
from headstart.base.errors import BackboneError, BadOptions
from headstart.testing.backbones import tiny_backbone


def of_timm(architecture, **options):
    module = timm.create_model(architecture, **options).eval()
    side = module.pretrained_cfg["input_size"][1]
    made = from_module(module, Preprocessing(side, side), architecture)
    return replace(made, card=replace(made.card, architecture=architecture, classes=module.num_classes))


@pytest.fixture(scope="module")
def vit():
    return of_timm("test_vit3")


@pytest.fixture(scope="module")
def swin():
    return of_timm(
        "swin_tiny_patch4_window7_224",
        depths=(1, 1, 1, 1),
        embed_dim=24,
        num_heads=(1, 1, 2, 2),
        num_classes=5,
    )


def test_convolutions_run_as_they_are():
    own = tiny_backbone()
    wide = own.at("40x80")
    assert wide.module is own.module
    assert wide.layers["stem"].shape == (8, 20, 40)
    assert wide.card.preprocessing.digest() != own.card.preprocessing.digest()
    assert wide.card.weights_digest == own.card.weights_digest


def test_positions_are_resampled_in_a_copy(vit):
    before = {name: each.clone() for name, each in vit.module.state_dict().items()}
    wide = vit.at("96x192")
    assert wide.module is not vit.module
    assert all(torch.equal(each, before[name]) for name, each in vit.module.state_dict().items())
    expected = resample_abs_pos_embed(
        before["pos_embed"],
        new_size=[6, 12],
        old_size=[10, 10],
        num_prefix_tokens=vit.module.num_prefix_tokens,
    )
    assert torch.equal(wide.module.pos_embed, expected)
    with torch.no_grad():
        assert wide.module(torch.zeros(1, 3, 96, 192)).isfinite().all()


def test_sizes_are_resampled_from_the_weights_own_and_never_from_another(vit):
    small, direct = vit.at(32).at(96), vit.at(96)
    assert torch.equal(small.module.pos_embed, direct.module.pos_embed)
    assert vit.at(32).at(160) is vit
    assert vit.at(None) is vit


def test_the_same_number_of_patches_in_another_shape_is_another_network(vit):
    tall, wide = vit.at("192x96"), vit.at("96x192")
    assert tall.module.pos_embed.shape == wide.module.pos_embed.shape
    assert not torch.equal(tall.module.pos_embed, wide.module.pos_embed)


def test_a_network_at_another_size_can_be_cut(vit, swin):
    for backbone in (vit.at("96x192"), swin.at("64x96")):
        after = backbone.card.layers["stage2"]
        images = torch.randn(2, 3, backbone.card.preprocessing.height, backbone.card.preprocessing.width)
        caught = run_until(backbone.module, images, [after], {}, stop=False)[after]
        with torch.no_grad():
            suffix = make_suffix(backbone.module, backbone.layers, after).eval()
            assert torch.allclose(suffix(caught), backbone.module(images), atol=1e-5)


def test_swin_takes_oblong_images(swin):
    wide = swin.at("64x96")
    assert wide.layers[wide.card.layers["stage1"]].shape == (16, 24, 24)
    assert smallest_size(swin)[0] % 4 == 0


def test_weights_are_kept_as_they_were_before_resampling(vit, tmp_path):
    from headstart.backbones.load import read_weights

    write_weights(vit.at(96), tmp_path / "w.safetensors")
    assert torch.equal(read_weights(tmp_path / "w.safetensors")["pos_embed"], vit.module.pos_embed)


def test_a_saved_network_is_put_back_at_its_size(vit, swin):
    for backbone in (vit.at("96x192"), of_timm("test_resnet").at("48x80")):
        own = f"{backbone.card.layers['logits']}."
        state = {k: v for k, v in backbone.module.state_dict().items() if not k.startswith(own)}
        bare_network(backbone.card).load_state_dict(state)


def test_random_weights_have_the_size_too(vit):
    wide = vit.at("96x192")
    made = random_copy(wide, seed=3)
    assert made.pos_embed.shape == wide.module.pos_embed.shape
    with torch.no_grad():
        made(torch.zeros(1, 3, 96, 192))


@pytest.mark.parametrize("size", ["100x200", "20x30", 33])
def test_sides_that_patches_do_not_divide_bring_the_sizes_that_are_near(vit, size):
    with pytest.raises(BackboneError, match=r"multiples of 16 pixels \(its patches\); near: ") as caught:
        vit.at(size)
    near = str(caught.value).split("near: ")[1].split(" and ")
    assert near
    assert all(vit.at(text.replace(" ", "")) for text in near)


def shrinking(kernels):
    """Convolutions without padding, then a pool: takes sides from `2 + sum(kernel - 1)` on."""
    widths = [3, *[4] * len(kernels)]
    layers = [nn.Conv2d(n_in, 4, kernel) for n_in, kernel in zip(widths, kernels, strict=False)]
    rest = (nn.MaxPool2d(2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    return nn.Sequential(nn.Sequential(*layers), *rest).eval()


@settings(max_examples=8, deadline=None)
@given(st.lists(st.integers(1, 13), min_size=1, max_size=5))
def test_the_smallest_size_is_the_one_that_trying_all_would_find(kernels):
    backbone = from_module(shrinking(kernels), Preprocessing(96, 96))
    least = smallest_size(backbone)[0]
    assert least == max(LEAST, 2 + sum(kernel - 1 for kernel in kernels))
    assert takes(backbone, (least, least))
    assert least == LEAST or not takes(backbone, (least - 1, least - 1))


def test_too_small_an_image_says_where_it_runs_out_and_what_works():
    dense = of_timm("densenet121")
    said = (
        r"20 x 30: the image runs out at features.transition3.pool; the smallest size that works is 29 x 29"
    )
    with pytest.raises(BackboneError, match=said):
        dense.at("20x30")
    assert dense.at(29).module is dense.module


def test_the_stage_is_called_as_the_card_calls_it():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.stages = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.Conv2d(4, 4, 21))
            self.pool, self.flatten, self.fc = nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)

        def forward(self, images):
            return self.fc(self.flatten(self.pool(self.stages(images))))

    backbone = from_module(Net().eval(), Preprocessing(64, 64))
    with pytest.raises(
        BackboneError, match=r"runs out at stage2 \(stages.1\); the smallest size that works is 41 x 41"
    ):
        backbone.at("40x64")


def test_a_fixed_head_says_that_it_is():
    lenet = nn.Sequential(
        nn.Conv2d(3, 6, 5),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(400, 10),
    ).eval()
    backbone = from_module(lenet, Preprocessing(32, 32))
    assert smallest_size(backbone) == (32, 32)
    with pytest.raises(BackboneError, match="5 is fixed to the size of its weights, 32 x 32"):
        backbone.at(64)


def test_fixed_positions_say_that_they_are():
    class Fixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = nn.Conv2d(3, 4, 8, 8)
            self.positions = nn.Parameter(torch.zeros(4, 8, 8))
            self.pool, self.flatten, self.fc = nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)

        def forward(self, images):
            return self.fc(self.flatten(self.pool(self.stem(images) + self.positions)))

    backbone = from_module(Fixed().eval(), Preprocessing(64, 64))
    with pytest.raises(BackboneError, match="stem is fixed to the size of its weights, 64 x 64"):
        backbone.at(96)


@pytest.mark.parametrize("size", [16, 17, "16x33", "100x200"])
def test_the_packaged_network_takes_every_size_from_the_least_on(size):
    assert load("lite0").at(size).module is load("lite0").module
    assert smallest_size(load("lite0")) == (LEAST, LEAST)


def test_a_size_out_of_bounds_is_refused_before_the_network_runs(vit):
    with pytest.raises(BadOptions, match="is outside 16"):
        vit.at("5000x5000")
