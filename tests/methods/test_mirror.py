"""Where an image is answered with its mirror image, temperatures and thresholds are of those answers."""

import numpy as np
import pytest
import torch
from torch import nn

from headstart.images import views
from headstart.methods.calibrate import fit_temperature
from headstart.methods.finetune import FineTuneClassifier
from headstart.methods.joint_training import calibrated
from headstart.methods.multi_output import MultiOutputTransfer
from headstart.methods.network import LinearHead, TransferNet, run_network
from headstart.methods.output import encode
from headstart.testing.backbones import tiny_backbone
from headstart.testing.outputs import KINDS, marked_squares

IMAGES, COLUMNS = marked_squares()
LEARNT, HELD = slice(30), slice(30, None)


@pytest.fixture(scope="module")
def backbone():
    return tiny_backbone()


def tuner(backbone, **options):
    return FineTuneClassifier(
        backbone=backbone, epochs=2, views=1, batch_size=8, learning_rate=3e-3, dtype="float32", augment="none",
        cache_gb=1.0, **options,
    )  # fmt: skip


def test_mirrored_answers_are_the_mean_and_do_not_tell_left_from_right():
    body, head = (
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveMaxPool2d(1), nn.Flatten()),
        LinearHead(4, 2),
    )
    images = torch.randn(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    plain, both = TransferNet(body, head).eval(), TransferNet(body, head, mirror=True).eval()
    with torch.no_grad():
        assert torch.allclose(both(images), (plain(images) + plain(images.flip(3))) / 2)
        assert torch.allclose(both(images), both(images.flip(3)), atol=1e-6)


@pytest.mark.parametrize("scenario", ["finetune", "full"])
def test_mirror_images_are_not_decoded_again(scenario, backbone, monkeypatch):
    names = np.array(["left" if "left" in marks else "none" for marks in COLUMNS["marks"]])
    decoded, real = [], views.prepare
    monkeypatch.setattr(views, "prepare", lambda item, how: decoded.append(1) or real(item, how))
    n_decoded = {}
    for test_views in ("plain", "mirror"):
        method = tuner(backbone, scenario=scenario, test_views=test_views, seed=21)
        method.fit(IMAGES[LEARNT], names[LEARNT], validation=(IMAGES[HELD], names[HELD]))
        n_decoded[test_views] = len(decoded)
        decoded.clear()
    n_held = len(IMAGES[HELD])
    # activations of training images lie there at the second fit; those of validation are computed with the mirror's
    learnt = len(IMAGES[LEARNT]) if scenario == "finetune" else 0
    assert n_decoded["mirror"] == n_decoded["plain"] - learnt > n_held


@pytest.mark.parametrize("scenario", ["finetune", "full"])
def test_the_temperature_is_of_the_scores_that_answer(scenario, backbone):
    names = np.array(["left" if "left" in marks else "none" for marks in COLUMNS["marks"]])
    for test_views in ("plain", "mirror"):
        method = tuner(backbone, scenario=scenario, test_views=test_views)
        method.fit(IMAGES[LEARNT], names[LEARNT], validation=(IMAGES[HELD], names[HELD]))
        codes = np.searchsorted(method.classes_, names[HELD])
        expected = fit_temperature(method.decision_scores(IMAGES[HELD]), codes)
        assert method.temperature_ == pytest.approx(expected, rel=0.02), test_views


@pytest.mark.parametrize("sharing", ["hard", "soft"])
def test_temperatures_and_thresholds_of_several_outputs_are_of_the_scores_that_answer(backbone, sharing):
    parts = [{name: column[rows] for name, column in COLUMNS.items()} for rows in (LEARNT, HELD)]
    model = MultiOutputTransfer(estimator=tuner(backbone, test_views="mirror"), kinds=KINDS, sharing=sharing)
    model.fit(IMAGES[LEARNT], parts[0], validation=(IMAGES[HELD], parts[1]))
    logits = run_network(model.network_, list(IMAGES[HELD]), model.card_.preprocessing)
    split = np.split(logits, np.cumsum([output.width for output in model.outputs_])[:-1], axis=1)
    for each, own in zip(model.models_, split, strict=True):
        expected = calibrated(each.output, own, encode(each.output, parts[1][each.output.name]), 30)
        assert each.temperature == pytest.approx(expected.temperature, rel=0.02), each.output.name
        assert each.thresholds == pytest.approx(expected.thresholds, abs=0.01)
        assert each.score == pytest.approx(expected.score, abs=0.02)
