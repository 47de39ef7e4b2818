"""What each option of the loop does to a network of one layer, against numbers worked out by hand."""

import time
from collections import Counter

import numpy as np
import pytest
import torch
from torch import nn

from headstart.methods.batches import Batch
from headstart.methods.checkpoint import Checkpoints
from headstart.methods.deadline import training_until
from headstart.methods.loop import Loop
from headstart.methods.objective import Classes
from headstart.methods.optimise import Groups
from headstart.methods.training_options import TrainingOptions
from headstart.methods.watch import watching_epochs

PLAIN = {
    "epochs": 1, "batch_size": 8, "learning_rate": 0.1, "schedule": "constant", "warmup": 0.0, "ema": 0.0,
    "clip": 0.0, "label_smoothing": 0.0, "weight_decay": 0.0, "optimiser": "sgd", "momentum": 0.0, "keep": "last",
}  # fmt: skip
INPUTS = torch.randn(8, 3, generator=torch.Generator().manual_seed(0))
CODES = np.array([0, 0, 0, 0, 0, 0, 1, 2])


class Rows:
    """Inputs as they are; remembers which rows were asked for."""

    def __init__(self, inputs):
        self.inputs, self.n, self.asked = inputs, len(inputs), []

    def get(self, rows, epoch):
        self.asked += rows.tolist()
        return Batch(self.inputs[rows])


def loop_of(inputs=INPUTS, codes=CODES, held=None, **options):
    torch.manual_seed(0)
    net = nn.Linear(3, 3)
    tensors = dict(net.named_parameters())
    groups = Groups(dict.fromkeys(tensors, 0), tensors, dict.fromkeys(tensors, 1.0))
    more = {} if held is None else {"held": Rows(held[0]), "held_codes": held[1]}
    options = TrainingOptions(**{**PLAIN, **options})
    return Loop(net, net.train, Rows(inputs), codes, 3, options, groups, **more)


def by_hand(weight, bias, labels, each=None):
    """Loss, and its gradients by weight and bias, in float64."""
    x, w, b = INPUTS.numpy().astype(float), weight.astype(float), bias.astype(float)
    each = np.ones(len(x)) if each is None else each
    scores = x @ w.T + b
    shares = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    part = (each / each.sum())[:, None]
    loss = float(-(part * labels * np.log(shares)).sum())
    error = part * (shares * labels.sum(1, keepdims=True) - labels)
    return loss, error.T @ x, error.sum(0)


def parameters(net):
    return net.weight.detach().numpy().copy(), net.bias.detach().numpy().copy()


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_sgd_goes_down_the_gradient_with_nesterovs_momentum_and_decays_weights_alone(momentum):
    loop = loop_of(epochs=3, momentum=momentum, weight_decay=0.2)
    w, b = parameters(loop.net)
    speed_w, speed_b = np.zeros_like(w), np.zeros_like(b)
    for _ in range(3):
        _, by_w, by_b = by_hand(w, b, np.eye(3)[CODES])
        by_w = by_w + 0.2 * w
        speed_w, speed_b = momentum * speed_w + by_w, momentum * speed_b + by_b
        w, b = w - 0.1 * (by_w + momentum * speed_w), b - 0.1 * (by_b + momentum * speed_b)
    loop.run()
    found = parameters(loop.net)
    assert np.allclose(found[0], w, atol=1e-6) and np.allclose(found[1], b, atol=1e-6)


def test_adamw_steps_by_the_sign_first_and_decays_apart_from_the_gradient():
    loop = loop_of(optimiser="adamw", weight_decay=0.5)
    w, b = parameters(loop.net)
    _, by_w, by_b = by_hand(w, b, np.eye(3)[CODES])
    loop.run()
    found = parameters(loop.net)
    assert np.allclose(found[0], w * (1 - 0.1 * 0.5) - 0.1 * by_w / (np.abs(by_w) + 1e-8), atol=1e-5)
    assert np.allclose(found[1], b - 0.1 * by_b / (np.abs(by_b) + 1e-8), atol=1e-5)


def test_clipping_bounds_the_norm_of_a_step_and_keeps_its_direction():
    steps = {}
    for clip in (0.0, 0.01, 100.0):
        loop = loop_of(clip=clip)
        before = np.concatenate([each.ravel() for each in parameters(loop.net)])
        loop.run()
        steps[clip] = (np.concatenate([each.ravel() for each in parameters(loop.net)]) - before) / -0.1
    assert np.linalg.norm(steps[0.01]) == pytest.approx(0.01, rel=1e-3)
    assert np.linalg.norm(steps[0.0]) > 0.02
    assert np.allclose(steps[0.01] / 0.01, steps[0.0] / np.linalg.norm(steps[0.0]), atol=1e-3)
    assert np.allclose(steps[100.0], steps[0.0])


def test_label_smoothing_gives_the_loss_of_the_smoothed_labels():
    for smoothing in (0.0, 0.3):
        loop = loop_of(label_smoothing=smoothing)
        labels = (1 - smoothing) * np.eye(3)[CODES] + smoothing / 3
        expected = by_hand(*parameters(loop.net), labels)[0]
        assert loop.run().curve[0].loss == pytest.approx(expected, rel=1e-5), smoothing


@pytest.mark.parametrize("balance", ["weights", "effective"])
def test_class_weights_count_rare_classes_more_in_loss_and_step(balance):
    loop = loop_of(balance=balance)
    counts = np.bincount(CODES)
    effective = (1 - 0.999**counts) / (1 - 0.999)
    each = (1 / (counts if balance == "weights" else effective))[CODES]
    w, b = parameters(loop.net)
    loss, by_w, by_b = by_hand(w, b, np.eye(3)[CODES], each)
    assert loop.run().curve[0].loss == pytest.approx(loss, rel=1e-5)
    found = parameters(loop.net)
    assert np.allclose(found[0], w - 0.1 * by_w, atol=1e-6) and np.allclose(
        found[1], b - 0.1 * by_b, atol=1e-6
    )


def test_balanced_sampling_draws_every_class_equally():
    codes = np.repeat([0, 1, 2], [180, 15, 5])
    loop = loop_of(torch.zeros(200, 3), codes, epochs=20, batch_size=50, balance="sampling")
    loop.run()
    drawn = Counter(codes[loop.train.asked].tolist())
    assert sum(drawn.values()) == 20 * 200
    assert all(1233 < drawn[code] < 1433 for code in range(3)), (
        drawn
    )  # 1333 expected, 3.3 standard deviations


def test_the_running_average_is_the_one_worked_out_by_hand():
    loop = loop_of(epochs=4, ema=0.5, momentum=0.9)
    weights, step = [parameters(loop.net)[0]], loop.optimiser.step
    loop.optimiser.step = lambda: (step(), weights.append(parameters(loop.net)[0]))
    loop.run()
    average = weights[0].astype(float)
    for number, each in enumerate(weights[1:]):
        decay = min(0.5, (1 + number) / (10 + number))
        average = decay * average + (1 - decay) * each
    assert len(weights) == 5 and np.allclose(parameters(loop.net)[0], average, atol=1e-6)
    assert not np.allclose(average, weights[-1], atol=1e-4)


@pytest.mark.parametrize("patience", [1, 2, 3])
def test_patience_stops_that_many_epochs_after_the_best_and_gives_its_weights(patience, monkeypatch):
    course = iter([0.5, 0.7, 0.6, 0.65, 0.6, 0.6, 0.6, 0.6])
    monkeypatch.setattr(Classes, "held", lambda self, scores: (1.0, next(course)))
    loop = loop_of(epochs=8, patience=patience, keep="best", held=(INPUTS, CODES))
    weights = []
    with watching_epochs(lambda trained: weights.append(parameters(loop.net)[0])):
        trained = loop.run()
    assert len(trained.curve) == 2 + patience and trained.stopped_early
    assert trained.kept_epoch == 2 and trained.kept_accuracy == 0.7
    assert np.array_equal(parameters(loop.net)[0], weights[1])
    assert not np.array_equal(weights[1], weights[-1])


def test_a_moment_set_from_outside_ends_training_in_order_and_it_goes_on_to_the_same_weights(tmp_path):
    options = {"epochs": 3, "batch_size": 3, "momentum": 0.9, "held": (INPUTS, CODES)}
    whole = loop_of(**options)
    assert whole.run().cut_short is False
    cut = loop_of(**options)
    cut.checkpoints = Checkpoints(tmp_path, "run", 1000)
    with training_until(time.monotonic() - 1):
        trained = cut.run()
    assert trained.cut_short and trained.stopped_early and cut.step == 1
    assert [line.held_accuracy is not None for line in trained.curve] == [True]
    again = loop_of(**options)
    again.checkpoints = Checkpoints(tmp_path, "run", 1000)
    with training_until(time.monotonic() + 1000):
        assert not again.run().cut_short
    assert again.step == whole.step == 9 and len(again.trained.curve) == 3
    assert torch.equal(again.net.weight, whole.net.weight)


def test_patience_waits_for_a_better_epoch_where_the_last_one_is_kept_too(monkeypatch):
    course = iter([0.5, 0.7, 0.7, 0.65, 0.6, 0.6, 0.6, 0.6])
    monkeypatch.setattr(Classes, "held", lambda self, scores: (1.0, next(course)))
    loop = loop_of(epochs=8, patience=2, keep="last", held=(INPUTS, CODES))
    weights = []
    with watching_epochs(lambda trained: weights.append(parameters(loop.net)[0])):
        trained = loop.run()
    assert len(trained.curve) == 5 and trained.stopped_early
    assert (trained.kept_epoch, trained.kept_accuracy) == (5, 0.6)
    assert np.array_equal(parameters(loop.net)[0], weights[-1])
