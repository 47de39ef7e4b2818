"""Every failure detector is wired: a fit that fails in its way has the finding in its record, and says so meanwhile."""

import numpy as np
import pytest
import torch

from headstart.base.events import Notice, listening
from headstart.methods.curve import Diverged, Epoch
from headstart.methods.epoch_watch import EpochWatch
from headstart.methods.finetune import FineTuneClassifier
from headstart.methods.loop import Loop
from headstart.methods.training import Training
from headstart.testing.backbones import tiny_backbone

NAMES = np.array(["a", "b", "c"])


def shades(n, seed=0):
    """Three classes that differ in brightness."""
    codes = np.arange(n) % 3
    noise = np.random.default_rng(seed).integers(0, 60, (n, 32, 32, 3))
    return (noise + 60 * codes[:, None, None, None]).astype(np.uint8), NAMES[codes]


def fit(images=None, backbone=None, **options):
    given = {
        "trainable": "last:1", "epochs": 4, "views": 1, "augment": "none", "batch_size": 8, "learning_rate": 3e-3,
        "dtype": "float32", "start": "plain", "keep": "last", "ema": 0.0, "manifold_mixup": 0.0, **options,
    }  # fmt: skip
    learnt, held = shades(24), shades(12, seed=1)
    if images is not None:
        learnt, held = (images(learnt[0]), learnt[1]), (images(held[0]), held[1])
    heard = []
    with listening(heard.append):
        model = FineTuneClassifier(backbone=backbone or tiny_backbone(), **given).fit(
            *learnt, validation=held
        )
    told = [each.message for each in heard if isinstance(each, Notice) and each.message.startswith("epoch")]
    return model, {each["kind"]: each for each in model.record_["findings"]}, told


def test_a_sound_run_has_no_finding():
    model, found, told = fit(epochs=8)
    assert found == {} and told == [] and model.selection_ == 1.0


def test_images_that_say_nothing_are_a_collapse_no_better_than_the_majority_and_never_learned():
    model, found, told = fit(lambda images: np.full_like(images, 77))
    assert {"collapsed", "majority", "never learned"} <= set(found)
    assert all(found[kind]["level"] == "error" for kind in ("collapsed", "majority", "never learned"))
    during = [line for line in told if line.startswith("epoch 2: ")]
    assert len(during) == 3, "each is told as soon as it is there twice in a row, and once"
    assert sum(line.startswith("epoch") for line in told) == 3
    assert [each.to_dict() for each in model.findings_] == model.record_["findings"]


def test_a_training_that_diverged_says_nothing_of_the_one_that_follows(monkeypatch):
    real, watches = Loop.run, []

    def run(self):
        watches.append(self.watch)
        if len(watches) == 1:
            raise Diverged(1, 0.1)
        return real(self)

    monkeypatch.setattr(Loop, "run", run)
    fit(epochs=1)
    assert len(watches) == 2 and watches[0] is not watches[1]


def test_a_failure_that_passes_is_told_and_stays_in_the_record(monkeypatch):
    real = Loop._loss

    def loss(self, scores, labels, rows):
        early = self.step < 6  # two epochs of three steps
        return real(self, scores, torch.eye(3)[[1]].expand_as(labels) if early else labels, rows)

    monkeypatch.setattr(Loop, "_loss", loss)
    _, found, told = fit(epochs=24, learning_rate=1e-2, schedule="constant", warmup=0.0)
    assert any(line.startswith("epoch 2: ") and "the class 'b'" in line for line in told)
    assert "while it trained" in found["collapsed"]["message"] and found["collapsed"]["level"] == "warning"


def test_one_epoch_alone_is_no_sign_and_a_new_row_begins_anew():
    watch = EpochWatch(NAMES.tolist(), np.array([0, 1, 2]), np.array([0, 1, 2] * 4), fitted_start=True)
    one, right, curve, told = np.zeros(12, int), np.array([0, 1, 2] * 4), [], []
    with listening(told.append):
        for epoch, predicted in enumerate([one, right, one, right, one, one, right], start=1):
            curve.append(Epoch(epoch, 1.0, 0.3, 1.0, 0.3, 1.0, 1e-3))
            watch.after_epoch(curve, predicted)
    assert [each.message.split(":")[0] for each in told] == ["epoch 6", "epoch 6"]
    assert {each.kind for each in watch.passing([])} == {"collapsed", "majority"}
    assert all("in epoch 6 for the last time" in each.message for each in watch.passing([]))
    assert watch.passing([*watch.told.values()]) == []


def test_statistics_that_do_not_fit_are_told_as_modes_that_disagree():
    backbone = tiny_backbone()
    backbone.module.blocks[2][1].running_mean += 1000.0
    _, found, _ = fit(backbone=backbone, batchnorm="update", epochs=3)
    assert "training mode" in found["modes disagree"]["message"]


def test_a_frozen_weight_that_moved_is_an_error(monkeypatch):
    monkeypatch.setattr(Training, "_mode", lambda self, n_views, changes: ("plain", "asked by a test"))
    real = Loop._close_epoch

    def nudge(self, *given):
        with torch.no_grad():
            self.net.body.net.stem.weight[0, 0, 0, 0] += 1e-6
        real(self, *given)

    monkeypatch.setattr(Loop, "_close_epoch", nudge)
    _, found, _ = fit(epochs=1)
    assert found["frozen moved"]["level"] == "error" and "stem.weight" in found["frozen moved"]["message"]


@pytest.mark.parametrize("always", [False, True])
def test_a_loss_that_is_not_finite_lowers_the_rate_once_and_says_so(always, monkeypatch):
    from headstart.methods.curve import Diverged

    real = Loop._loss

    def loss(self, *given):
        out = real(self, *given)
        return out * float("nan") if always or self.rate > 0.005 else out

    monkeypatch.setattr(Loop, "_loss", loss)
    if always:
        with pytest.raises(Diverged):
            fit(learning_rate=0.01)
        return
    model, found, _ = fit(learning_rate=0.01)
    assert "tried once more at 0.001" in found["not finite"]["advice"]
    assert model.chosen_["learning_rate"] == pytest.approx(0.001)
