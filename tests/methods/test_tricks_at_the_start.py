"""Where the fitted head that training starts from is kept: which tricks still act, and what a soup of it is."""

import numpy as np
import pytest
import torch

from headstart.images.scan import scan
from headstart.methods.curve import Epoch, Trained, soup_of
from headstart.methods.finetune import FineTuneClassifier
from headstart.methods.tricks.needs import unfit
from headstart.methods.tricks.registry import TRICKS, options_with
from headstart.testing.backbones import tiny_weights
from headstart.testing.images import class_folders

SIDE = 96
GIVEN = {
    "epochs": 1, "views": 1, "batch_size": 8, "learning_rate": 3.0, "augment": "none", "rate_batch": None,
    "teacher": "", "trainable": "last:2",
}  # fmt: skip
"""Training that makes the fitted head worse: at this rate no epoch betters it."""


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    found = scan(class_folders(tmp_path_factory.mktemp("start"), n_per_class=10))
    return found.items(), np.array(found.labels[found.target()])


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return tiny_weights(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="module")
def fitted(pictures, weights):
    """A fit with some tricks on and all others off."""

    def fit(*names, **more):
        given = {**GIVEN, "teacher": weights if "distillation" in names else ""}
        options = {**options_with(names, given, SIDE), **more}
        return FineTuneClassifier(backbone=weights, input_size=SIDE, **options).fit(*pictures)

    return fit


@pytest.fixture(scope="module")
def bare(fitted):
    return fitted()


@pytest.mark.parametrize("name", [name for name in TRICKS if name != "zero_gamma"])
def test_only_what_changes_the_answers_of_any_weights_acts_on_the_start(
    name, fitted, bare, pictures, weights
):
    if why := unfit([name], "finetune", weights, "last:2"):
        pytest.skip(why[name])
    method = fitted(name)
    assert bare.record_["kept_epoch"] == 0 == method.record_["kept_epoch"]
    assert bare.record_["head_refitted"] and method.record_["head_refitted"]
    gap = np.abs(method.decision_scores(pictures[0]) - bare.decision_scores(pictures[0])).max()
    assert (gap > 1e-3) == TRICKS[name].answers, gap


def test_a_soup_of_nothing_but_the_start_tells_so_and_one_of_trained_weights_tells_of_those():
    def trained(kept, accuracy, n=3):
        curve = [Epoch(at + 1, 1.0, 0.5, 1.0, accuracy, 1.0, 0.1) for at in range(n)]
        return Trained(curve, kept, accuracy, 1.0)

    total = Trained(seconds=9.0, images_seen=60, n_steps=12)
    start, other = trained(0, 0.8), trained(2, 0.8, n=4)
    assert soup_of([start, trained(0, 0.8)], total).kept_epoch == 0
    found = soup_of([start, other, trained(1, 0.8)], total)
    assert (found.kept_epoch, len(found.curve)) == (2, 4) and (found.seconds, found.images_seen) == (9.0, 60)


def test_a_soup_with_the_last_epochs_keeps_what_was_trained(fitted, bare):
    method = fitted("greedy_soup", keep="last")
    assert method.record_["kept_epoch"] == 1 and "head_refitted" not in method.record_
    mine, theirs = (each.network_.head.linear.weight for each in (method, bare))
    assert not torch.allclose(mine, theirs, atol=0.1)
