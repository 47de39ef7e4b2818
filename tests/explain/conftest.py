"""A tiny network that has learned to look at a corner: one class bears a patch there."""

from __future__ import annotations

import numpy as np
import pytest

from headstart.explain.target import target_of_network
from headstart.methods.finetune import FineTuneClassifier
from headstart.methods.heads_select import inner_folds
from headstart.testing.backbones import tiny_backbone

SIDE, PATCH = 96, 32


def drawn(n: int, planted: bool, seed: int) -> np.ndarray:
    """Noise on grey, uint8 (n, 96, 96, 3); `planted` puts a bright patch into the upper left corner."""
    draw = np.random.default_rng(seed)
    images = draw.integers(60, 180, (n, SIDE, SIDE, 3)).astype(np.uint8)
    if planted:
        images[:, :PATCH, :PATCH] = (240, 230, 30)
    return images


def trained(seed: int, epochs: int, learning_rate: float):
    """The estimator, and its network as a target."""
    images = np.concatenate([drawn(16, True, 0), drawn(16, False, 1)])
    model = FineTuneClassifier(
        backbone=tiny_backbone(seed, side=SIDE), scenario="full", epochs=epochs, augment="none",
        learning_rate=learning_rate, seed=seed, dtype="float32", keep="last",  # a fitted head is right on all already
    )  # fmt: skip
    labels = np.repeat(["patch", "plain"], 16)
    train, out = inner_folds(np.repeat([0, 1], 16), 5, seed=seed)[0]
    model.fit(images[train], labels[train], validation=(images[out], labels[out]))
    target = target_of_network(model.network_, model.card_.preprocessing, model.classes_.tolist())
    return model, target


@pytest.fixture(scope="session")
def looks_at_the_corner():
    """The estimator, and its network as a target."""
    return trained(0, 16, 0.003)


@pytest.fixture(scope="session")
def sure_of_the_corner():
    """The network of one that trained for longer: noise excites it less, so that maps are cleaner."""
    return trained(2, 40, 0.01)[1]


@pytest.fixture(scope="session")
def with_patch():
    """Six images of the class with the patch that were not learned from."""
    return drawn(6, True, 2)
