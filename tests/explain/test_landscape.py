"""The optimiser's view: directions, planes and paths are what they say."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from headstart.base.errors import BadOptions, UnknownName
from headstart.explain.landscape import (
    Loss,
    descend,
    filter_normalised,
    path_plane,
    random_plane,
    starts_of_backbone,
)
from headstart.explain.optimisers import RATES, SURFACES, race
from headstart.testing.backbones import tiny_backbone, tiny_network


@pytest.fixture
def loss():
    draw = torch.Generator().manual_seed(0)
    return Loss(tiny_network(), torch.randn(12, 3, 32, 32, generator=draw), torch.arange(12) % 3)


def test_a_direction_has_the_lengths_of_the_filters_and_leaves_biases(loss):
    weights = loss.weights()
    direction = filter_normalised(loss, weights, np.random.default_rng(0))
    place = 0
    for each in loss.parameters:
        own, moved = (part[place : place + each.numel()] for part in (weights, direction))
        place += each.numel()
        if each.ndim < 2:
            assert (moved == 0).all()
            continue
        lengths = [np.linalg.norm(part.reshape(each.shape[0], -1), axis=1) for part in (own, moved)]
        np.testing.assert_allclose(*lengths, rtol=1e-4)


def test_the_centre_of_a_random_plane_is_the_loss_itself(loss):
    weights = loss.weights()
    found = random_plane(loss, weights, side=3, reach=0.5)
    assert found.loss[1, 1] == pytest.approx(loss.at(weights), abs=1e-5)
    assert found.loss.shape == (3, 3) and np.isnan(found.explained)


def test_the_path_lies_in_its_plane_and_descends(loss):
    path = descend(loss, steps=6, learning_rate=0.05)
    assert path.losses[-1] < path.losses[0] and len(path.weights) == 7
    found = path_plane(loss, path, side=3)
    assert found.path.shape == (7, 2) and np.abs(found.path[-1]).max() < 1e-4
    assert 0.5 < found.explained <= 1 + 1e-9
    assert found.x[0] < found.path[:, 0].min() and found.path[:, 0].max() < found.x[-1]
    np.testing.assert_allclose(loss.at(path.weights[-1]), path.losses[-1], atol=1e-4)


def test_the_given_network_is_not_changed():
    net = tiny_network()
    before = {name: each.clone() for name, each in net.state_dict().items()}
    loss = Loss(net, torch.randn(4, 3, 32, 32), torch.tensor([0, 1, 0, 1]))
    descend(loss, steps=3)
    assert all(torch.equal(each, net.state_dict()[name]) for name, each in before.items())


def test_both_starts_of_a_backbone():
    images = torch.randn(8, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    found = starts_of_backbone(tiny_backbone(seed=3), images, ["a", "b"] * 4, steps=3, side=3)
    assert found.n == 8 and found.random[1].kind == "path" and found.pretrained[2].kind == "random"
    assert not np.array_equal(found.random[0].weights[0], found.pretrained[0].weights[0])
    with pytest.raises(BadOptions, match="two classes"):
        starts_of_backbone(tiny_backbone(), images, ["a"] * 8, steps=3, side=3)


def test_a_rate_that_does_not_descend_is_lowered_or_told(loss):
    assert descend(loss, steps=4, learning_rate=2.0).learning_rate <= 2.0
    with pytest.raises(BadOptions, match="does not fall"):
        descend(loss, steps=3, learning_rate=1e9)


@pytest.mark.parametrize("surface", list(SURFACES))
def test_every_optimiser_starts_at_the_same_place_and_comes_down(surface):
    found = race(surface, steps=60)
    known = SURFACES[surface]
    start = float(known.of(*(torch.tensor(each, dtype=torch.float64) for each in known.start)))
    assert list(found.paths) == list(RATES[surface])
    for name, path in found.paths.items():
        assert path.shape == (61, 2) and tuple(path[0]) == known.start
        assert found.value(name) < start


def test_plain_gradient_descent_is_the_formula():
    path = race("saddle", steps=1).paths["SGD"]
    x, y = SURFACES["saddle"].start
    np.testing.assert_allclose(path[1], [x - 0.05 * 2 * x, y - 0.05 * (-2 * y + 0.4 * y**3)])


def test_mistakes_are_told():
    with pytest.raises(UnknownName, match="beale"):
        race("beal")
    with pytest.raises(BadOptions, match="steps"):
        race("beale", steps=0)
    with pytest.raises(UnknownName, match="Adam"):
        race("beale", rates={"Adamm": 0.1})
