"""The optimiser's view: directions, planes and paths are what they say."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from headstart.base.errors import BadOptions, UnknownName
from headstart.explain.descent import Loss, Path, descend
from headstart.explain.landscape import (
    filter_normalised,
    path_plane,
    projected,
    random_plane,
    sheet,
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


def test_a_made_up_path_is_projected_by_least_squares(monkeypatch):
    monkeypatch.setattr("headstart.explain.landscape.CHUNK", 7)
    draw = np.random.default_rng(0)
    centre, first, second = draw.standard_normal((3, 40)).astype(np.float32)
    second = 3 * second + first  # neither of one length nor at right angles
    away = draw.standard_normal(40)
    for axis in (first, second - first * (second @ first) / (first @ first)):
        away -= axis * (away @ axis) / (axis @ axis)
    known = np.array([[2.0, -1.0], [0.5, 0.25], [0.0, 0.0]])
    inside = [centre + a * first + b * second for a, b in known]
    places, held = projected(inside, centre, [first, second])
    np.testing.assert_allclose(places, known, atol=1e-5)
    assert held == pytest.approx(1)
    height = float(np.linalg.norm(inside[0] - centre) / np.linalg.norm(away))
    lifted = [inside[0] + height * away, centre]
    places, held = projected(lifted, centre, [first, second])
    np.testing.assert_allclose(places[0], known[0], atol=1e-5)
    assert held == pytest.approx(0.5, abs=1e-5)
    still, none = projected([centre, centre], centre, [first, second])
    assert not still.any() and np.isnan(none)


def test_directions_that_are_one_line_or_nothing_hold_what_they_can():
    centre, axis = np.zeros(3, np.float32), np.array([1, 0, 0], np.float32)
    places, held = projected([np.array([2, 2, 0], np.float32)], centre, [axis, 2 * axis])
    assert places[0] @ [1, 2] == pytest.approx(2) and held == pytest.approx(0.5)
    assert projected([np.array([2, 2, 0], np.float32)], centre, [0 * axis, 0 * axis])[1] == 0


def test_a_path_on_a_random_plane_is_where_its_weights_are_nearest(loss):
    draw = np.random.default_rng(0)
    path = descend(loss, steps=4, learning_rate=0.05)
    end = path.weights[-1]
    found = random_plane(loss, end, path=path, side=3)
    axes = np.stack([filter_normalised(loss, end, draw) for _ in range(2)], 1).astype(np.float64)
    wanted = [np.linalg.lstsq(axes, each - end, rcond=None)[0] for each in path.weights]
    np.testing.assert_allclose(found.path, wanted, atol=1e-6)
    assert not found.path[-1].any() and found.path[0].any()
    assert 0 < found.explained < 0.01  # two directions among thousands hold next to nothing
    assert found.losses is path.losses


def test_a_path_along_the_random_directions_is_held_whole(loss):
    end = loss.weights()
    draw = np.random.default_rng(7)
    first, second = (filter_normalised(loss, end, draw) for _ in range(2))
    known = np.array([[0.3, -0.2], [0.1, 0.1], [0.0, 0.0]])
    path = Path([end + np.float32(a) * first + np.float32(b) * second for a, b in known], np.zeros(3), 0.1)
    found = random_plane(loss, end, path=path, side=3, seed=7)
    np.testing.assert_allclose(found.path, known, atol=1e-4)
    assert found.explained == pytest.approx(1, abs=1e-5)


def test_the_sheet_goes_through_both_starts_and_both_ends(loss):
    paths = [descend(loss, steps=5, learning_rate=0.05)]
    other = Loss(tiny_network(seed=5), loss.images, loss.codes)
    paths.append(descend(other, steps=5, learning_rate=0.05))
    found = sheet(other, *paths, side=5)
    assert found.loss.shape == (len(found.y), len(found.x))
    for number, path in enumerate(paths):
        column = found.x.tolist().index(float(number))
        for row, place in ((0.0, 0), (1.0, -1)):
            assert found.loss[found.y.tolist().index(row), column] == pytest.approx(
                path.losses[place], abs=1e-3
            )
            np.testing.assert_allclose(found.paths[number][place], (number, row), atol=1e-5)
        assert found.paths[number].shape == (6, 2) and 0.3 < found.explained[number] <= 1 + 1e-9
    half = (paths[0].weights[-1] + paths[1].weights[-1]) / 2
    middle = np.interp(0.5, found.x, found.loss[found.y.tolist().index(1.0)])
    assert 0.5 in found.x and middle == pytest.approx(loss.at(half), abs=1e-3)
    assert found.apart == pytest.approx(np.linalg.norm(paths[0].weights[-1] - paths[1].weights[-1]), rel=1e-5)
    assert abs(found.cosine) < 0.9


@pytest.mark.parametrize("side", [3, 4, 5, 9, 14])
def test_a_sheet_has_the_starts_the_ends_and_what_lies_beyond(loss, side):
    start = loss.weights()
    straight = [Path([start, start + np.float32(step)], np.zeros(2), 0.1) for step in (0.01, 0.02)]
    found = sheet(loss, *straight, side=side)
    for along in (found.x, found.y):
        assert (
            {0.0, 1.0} <= set(along.tolist())
            and along[0] < 0
            and along[-1] > 1
            and (np.diff(along) > 0).all()
        )
    assert found.explained == pytest.approx((1, 1)) and found.cosine == pytest.approx(1, abs=1e-4)


def test_descents_of_two_architectures_are_refused(loss):
    paths = [Path([np.zeros(n, np.float32)] * 2, np.zeros(2), 0.1) for n in (4, 5)]
    with pytest.raises(BadOptions, match="one architecture"):
        sheet(loss, *paths, side=3)


def test_how_far_and_how_soon():
    weights = [np.array(each, np.float32) for each in ([3, 4], [9, 9], [0, 0])]
    path = Path(weights, np.array([2.0, 1.0, 0.4]), 0.1)
    assert path.moved == pytest.approx(5) and path.halved == 1
    assert Path(weights, np.array([2.0, 1.5, 1.1]), 0.1).halved is None


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
    for number, (path, plane, around) in enumerate((found.random, found.pretrained)):
        assert plane.path.shape == around.path.shape == found.together.paths[number].shape == (4, 2)
        assert plane.explained > 0.5 > 0.01 > around.explained and path.moved > 0
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
