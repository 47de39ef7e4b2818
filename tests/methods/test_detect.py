"""Each failure detector finds its failure, and keeps quiet where there is none."""

import numpy as np
import torch

from headstart.methods import detect
from headstart.methods.curve import Epoch

NAMES = ["cat", "dog", "hen"]
TRUTH = np.array([0, 1, 2] * 20)


def curve(*accuracies):
    return [Epoch(n + 1, 1.0, each, None, None, 1.0, 1e-3) for n, each in enumerate(accuracies)]


def test_one_class_for_every_image_is_a_collapse():
    found = detect.collapsed(np.ones(60, int), TRUTH, NAMES)
    assert found.level == "error" and "'dog'" in found.message and "60 of 60" in found.message
    assert detect.collapsed(TRUTH, TRUTH, NAMES) is None
    assert detect.collapsed(np.ones(9, int), np.ones(9, int), NAMES) is None, "there is but one class to find"


def test_no_better_than_the_commonest_class_is_told_with_that_share():
    train = np.array([0] * 50 + [1] * 5 + [2] * 5)
    assert "33.3%" in detect.no_better_than_majority(1 / 3, TRUTH, train).message
    assert detect.no_better_than_majority(0.4, TRUTH, train) is None


def test_a_head_that_never_left_chance_never_learned():
    assert detect.head_never_learned(curve(0.31, 0.34, 0.33), 3).level == "error"
    assert detect.head_never_learned(curve(0.31, 0.5), 3) is None
    assert detect.head_never_learned([], 3) is None


def test_modes_that_disagree_are_told_either_way():
    assert detect.modes_disagree(0.9, 0.5) and detect.modes_disagree(0.5, 0.9)
    assert detect.modes_disagree(0.9, 0.85) is None


def test_a_frozen_tensor_that_moved_by_one_bit_is_found():
    state = {"a": torch.ones(3), "b": torch.zeros(2)}
    before = detect.digests_of(state, frozenset({"b"}))
    assert set(before) == {"a"}
    state["b"] += 1
    assert detect.frozen_moved(before, detect.digests_of(state, frozenset({"b"}))) is None
    state["a"][1] = float(np.nextafter(np.float32(1), np.float32(2)))
    found = detect.frozen_moved(before, detect.digests_of(state, frozenset({"b"})))
    assert found.level == "error" and "1 frozen tensors" in found.message
