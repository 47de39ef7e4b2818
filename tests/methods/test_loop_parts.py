"""The parts of the loop by themselves: the course of the rate, mixing, groups, the rule of the range test."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from headstart.methods import range_test
from headstart.methods.mixing import mix_at_cut, mix_pixels, mixed_labels, soft_labels
from headstart.methods.network import TransferNet
from headstart.methods.optimise import make_groups, make_optimiser, set_rates
from headstart.methods.range_test import choose_rate, n_orders, n_trial_steps
from headstart.methods.schedule import rate_factor
from headstart.methods.training_options import TrainingOptions
from headstart.testing.backbones import tiny_network


@given(st.integers(1, 500), st.sampled_from(["one-cycle", "cosine", "constant"]), st.floats(0, 0.9))
def test_the_rate_rises_to_its_largest_and_falls_to_nearly_nothing(n_steps, schedule, warmup):
    course = [rate_factor(step, n_steps, schedule, warmup) for step in range(n_steps)]
    top = int(np.argmax(course))
    assert all(0 < each <= 1 for each in course)
    assert np.all(np.diff(course[: top + 1]) >= 0) and np.all(np.diff(course[top:]) <= 1e-12)
    if schedule != "constant" and n_steps > 20 and warmup < 0.5:
        assert course[-1] < 0.01 and max(course) > 0.9


def test_smoothed_labels_sum_to_one_and_keep_their_class():
    labels = soft_labels(torch.tensor([2, 0]), 4, 0.2)
    assert torch.allclose(labels.sum(1), torch.ones(2)) and labels.argmax(1).tolist() == [2, 0]
    assert labels[0, 2] == pytest.approx(0.85) and labels[0, 1] == pytest.approx(0.05)


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
def test_mixed_pixels_hold_the_share_of_each_image_that_the_labels_say(kind):
    pixels = np.stack([np.full((32, 32, 3), value, np.uint8) for value in (0, 100, 200, 250)])
    options = TrainingOptions(**{kind: 1.0})
    out, other, left = mix_pixels(pixels, options, np.random.default_rng(3))
    for row in range(4):
        expected = left[row] * pixels[row, 0, 0, 0] + (1 - left[row]) * pixels[other[row], 0, 0, 0]
        assert out[row].mean() == pytest.approx(expected, abs=0.6)
    labels = mixed_labels(soft_labels(torch.arange(4), 4, 0.0), other, left)
    assert torch.allclose(labels.sum(1), torch.ones(4))
    assert np.array_equal(pixels[1], np.full((32, 32, 3), 100, np.uint8)), "the images themselves stay"


def test_mixing_at_the_cut_mixes_activations_and_labels_alike():
    given_, labels = torch.eye(6), torch.eye(6)
    out, mixed = mix_at_cut(given_, labels, 0.5, np.random.default_rng(0))
    assert torch.equal(out, mixed) and not torch.equal(out, given_)
    same, _ = mix_at_cut(given_, labels, 0.0, np.random.default_rng(0))
    assert same is given_


def groups_of(**options):
    class Body(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.net = tiny_network()

    net = TransferNet(Body(), torch.nn.Linear(64, 3))
    stages = ["blocks.0", "blocks.1", "blocks.2"]
    made = TrainingOptions(**options)
    return make_groups(net, stages, made, pretrained=True), made


def test_rates_fall_from_the_head_to_the_stem_and_vectors_do_not_decay():
    groups, options = groups_of(layer_decay=0.5)
    optimiser = make_optimiser(groups, options, 1.0)
    set_rates(optimiser, groups, 0.1)
    rate_of = {
        id(each): (part["lr"], part["weight_decay"])
        for part in optimiser.param_groups
        for each in part["params"]
    }
    found = {name: rate_of[id(tensor)] for name, tensor in groups.tensors.items()}
    assert found["head.weight"] == (pytest.approx(0.1), 0.01)
    assert found["body.net.blocks.2.0.weight"][0] == pytest.approx(0.05)
    assert found["body.net.blocks.0.0.weight"][0] == pytest.approx(0.0125)
    assert found["body.net.stem.weight"][0] == pytest.approx(0.00625)
    assert found["body.net.blocks.1.1.weight"][1] == found["head.bias"][1] == 0.0


def test_gradual_unfreezing_opens_one_depth_after_the_other():
    groups, _ = groups_of()
    opened = [
        sorted({groups.depth[n] for n, factor in groups.unfrozen(epoch, 12, "gradual").items() if factor})
        for epoch in range(12)
    ]
    assert opened[0] == [0] and opened[-1] == [0, 1, 2, 3, 4]
    assert all(set(a) <= set(b) for a, b in pairwise(opened))
    assert opened[8] == [0, 1, 2, 3, 4], "all are open by two thirds of the epochs"


def test_l2_sp_pulls_towards_the_pretrained_weights_and_leaves_the_head_alone():
    groups, _ = groups_of(l2_sp=2.0)
    assert float(torch.as_tensor(groups.pull(2.0)).detach()) == 0.0
    assert not any(name.startswith("head.") for name in groups.start)
    with torch.no_grad():
        groups.tensors["body.net.stem.bias"] += 1.0
        groups.tensors["head.bias"] += 9.0
    assert float(torch.as_tensor(groups.pull(2.0)).detach()) == pytest.approx(8.0)


def test_the_rate_lies_under_the_largest_harmless_one_and_near_a_large_gain():
    rates = [10.0**-each for each in range(6, 0, -1)]
    assert choose_rate(rates, [0.0, -0.1, -0.2, -0.9, 0.3, 9.0], 2.0) == pytest.approx(6.7e-4)
    assert choose_rate(rates, [0.0, -0.9, -0.2, -0.1, -0.1, 2.0], 2.0) == pytest.approx(3e-5)
    flat = [0.0, -0.03, -0.02, -0.01, 0.1, 2.0]
    assert choose_rate(rates, flat, 2.0) == pytest.approx(6.7e-4), "a small gain says little of where it lies"
    assert choose_rate(rates[:3], [0.1, 0.2, 0.3], 2.0) == pytest.approx(6.7e-7)
    assert choose_rate([], [], 0.0) == 1e-6
    assert [n_trial_steps(n) for n in (4, 200, 5000)] == [10, 20, 40]


def test_a_range_test_takes_the_mean_over_orders_of_the_images(monkeypatch):
    curves = {0: [(0.0, 2.0), (-0.5, 2.0), (9.0, 2.0)], 1: [(0.2, 2.0), (-0.7, 2.0)]}
    monkeypatch.setattr(range_test, "_one_order", lambda make, trial, steps, number: curves[number])
    found = range_test.range_test(None, TrainingOptions(), steps=3, orders=2)
    assert len(found.rates) == 2, "as far as every order came"
    assert found.losses[0] == pytest.approx(2.0 + 0.1)
    assert found.losses[1] == pytest.approx(2.0 + (0.8 * 0.2 * 0.1 - 0.2 * 0.6) / (1 - 0.8**2))
    curves[1] = []
    assert range_test.range_test(None, TrainingOptions(), steps=3, orders=2).chosen == 1e-6
    assert [n_orders(n) for n in (10, 499, 500, 768, 10**6)] == [1, 1, 2, 3, 3]
