"""Channels: filters, maps, exciting images, and a convolution that adds up; CKA."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from headstart.backbones.card import Preprocessing
from headstart.backbones.load import from_module
from headstart.base.errors import BadOptions
from headstart.explain.filters import (
    convolution,
    exciting_images,
    feature_maps,
    first_filters,
    strongest_channels,
)
from headstart.explain.similarity import linear_cka, representation_change
from headstart.explain.target import target_of_backbone
from headstart.testing.backbones import tiny_backbone

TARGET = target_of_backbone(tiny_backbone())
PIXELS = np.random.default_rng(0).integers(0, 255, (8, 32, 32, 3)).astype(np.uint8)


def test_first_filters_are_the_weights():
    weight = TARGET.net.stem.weight.detach().numpy()
    np.testing.assert_array_equal(first_filters(TARGET), weight.transpose(0, 2, 3, 1))


def test_feature_maps_are_what_the_layer_gives():
    found = feature_maps(TARGET, PIXELS, "stage2")
    with torch.no_grad():
        expected = TARGET.net.blocks[:2](TARGET.net.stem(TARGET.images(PIXELS)))
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-5)
    with pytest.raises(BadOptions, match="no rows and columns"):
        feature_maps(TARGET, PIXELS, "flatten")


def test_exciting_images_come_in_order_with_the_right_place():
    maps = feature_maps(TARGET, PIXELS, "stage2")
    (found,) = exciting_images(TARGET, PIXELS, [5], layer="stage2", k=3)
    best = maps[:, 5].reshape(8, -1).max(1)
    assert found.rows.tolist() == np.argsort(-best, kind="stable")[:3].tolist()
    np.testing.assert_allclose(found.values, best[found.rows], atol=1e-6)
    row, column = (int(each * 4) for each in found.places[0])
    assert maps[found.rows[0], 5, row, column] == pytest.approx(best.max())


def test_channels_out_of_range_are_told():
    with pytest.raises(BadOptions, match=r"999 is outside 0 \.\. 31"):
        exciting_images(TARGET, PIXELS, [999], layer="stage2")
    with pytest.raises(BadOptions, match="k: 0"):
        exciting_images(TARGET, PIXELS, [1], layer="stage2", k=0)
    assert strongest_channels(np.array([[[0.0]], [[3.0]], [[1.0]]]), 2) == [1, 2]


@pytest.mark.parametrize("stride, padding, dilation", [(1, 0, 1), (2, 1, 1), (1, 2, 2), (3, 3, 1)])
def test_the_products_of_a_window_add_up_to_the_response(stride, padding, dilation):
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3, stride, padding, dilation),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 2),
    )
    target = target_of_backbone(from_module(net, Preprocessing(16, 24)))
    pixels = np.random.default_rng(1).integers(0, 255, (16, 24, 3)).astype(np.uint8)
    for channel in range(4):
        found = convolution(target, pixels, channel)
        assert float(found.product.sum()) + found.bias == pytest.approx(
            float(found.response[found.place]), abs=1e-4
        )
    with pytest.raises(BadOptions, match="channel: 4"):
        convolution(target, pixels, 4)


@given(st.integers(0, 500), st.integers(4, 12), st.integers(1, 6))
@settings(max_examples=25, deadline=None)
def test_cka_is_one_for_a_rotation_and_does_not_see_scale(seed, n, d):
    draw = np.random.default_rng(seed)
    features = draw.normal(size=(n, d))
    turn = np.linalg.qr(draw.normal(size=(d, d)))[0]
    assert linear_cka(features, 3 * features @ turn + 7) == pytest.approx(1)
    other = draw.normal(size=(n, 3))
    assert linear_cka(features, other) == pytest.approx(linear_cka(other, features))
    assert -1 - 1e-9 <= linear_cka(features, other) <= 1 + 1e-9


def test_cka_of_few_images_of_many_dimensions_that_have_nothing_in_common_is_around_zero():
    """The plain estimator says 0.98 here, of any two layers."""
    draw = np.random.default_rng(0)
    found = [linear_cka(*draw.normal(size=(2, 16, 1000))) for _ in range(20)]
    assert abs(np.mean(found)) < 0.05 and max(map(abs, found)) < 0.35


def test_cka_is_the_ratio_of_unbiased_estimates_as_they_are_defined():
    """HSIC as a mean over ordered quadruples of different images: no image is paired with itself."""
    draw = np.random.default_rng(1)
    one, two = draw.normal(size=(6, 3)), draw.normal(size=(6, 4))

    def hsic(first, second):
        k, m = first @ first.T, second @ second.T
        terms = [
            k[i, j] * (m[i, j] + m[q, r] - 2 * m[i, q]) for i, j, q, r in permutations(range(len(first)), 4)
        ]
        return np.mean(terms)

    expected = hsic(one, two) / np.sqrt(hsic(one, one) * hsic(two, two))
    assert linear_cka(one, two) == pytest.approx(expected)


def test_cka_of_what_has_nothing_in_common_is_small_and_of_nothing_unknown():
    draw = np.random.default_rng(0)
    assert linear_cka(draw.normal(size=(400, 3)), draw.normal(size=(400, 3))) < 0.05
    assert np.isnan(linear_cka(np.zeros((5, 2)), draw.normal(size=(5, 2))))
    with pytest.raises(BadOptions, match="CKA needs"):
        linear_cka(np.zeros((3, 2)), np.zeros((3, 2)))


def test_a_network_has_not_changed_from_itself_and_differs_from_another():
    same = representation_change(TARGET, TARGET, PIXELS)
    np.testing.assert_allclose(np.diag(same.cka), 1, atol=1e-6)
    other = representation_change(TARGET, target_of_backbone(tiny_backbone(seed=5)), PIXELS)
    assert other.rows == ("stem", "stage1", "stage2", "stage3")
    assert min(other.same_layer().values()) < 0.99
