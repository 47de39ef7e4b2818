"""Estimators learn from a generator's flow."""

import numpy as np
import pytest

from headstart.base.errors import BadOptions
from headstart.images.generator import ImageGenerator
from headstart.methods.finetune import FineTuneClassifier
from headstart.methods.order import epoch_order
from headstart.methods.probe import TransferClassifier
from headstart.methods.training_options import TrainingOptions
from headstart.testing.backbones import tiny_backbone


def shades(n=24):
    """Dark and light images with noise."""
    draw = np.random.default_rng(0)
    codes = np.arange(n) % 2
    return (draw.integers(0, 60, (n, 32, 32, 3)) + 150 * codes[:, None, None, None]).astype(np.uint8), codes


@pytest.mark.parametrize("policy", ["none", "medium"])
def test_the_features_scenario_learns_from_a_generator(policy):
    x, codes = shades()
    names = np.array(["dark", "light"])[codes]
    flow = ImageGenerator(policy).flow(x, names, batch_size=8, seed=1)
    model = TransferClassifier(backbone=tiny_backbone(), head="nearest_mean")
    model.fit(flow, steps_per_epoch=None if policy == "none" else 5, validation_data=(x[:6], names[:6]))
    assert list(model.predict(x[:4])) == ["dark", "light"] * 2
    if policy == "none":
        plain = TransferClassifier(backbone=tiny_backbone(), head="nearest_mean").fit(
            x, names, validation=(x[:6], names[:6])
        )
        assert np.allclose(plain.predict_proba(x), model.predict_proba(x))


def test_fine_tuning_learns_from_a_generator_in_steps_of_its_batch_size():
    x, codes = shades()
    flow = ImageGenerator("light").flow(x, codes.astype(str), batch_size=6, seed=1)
    held = ImageGenerator().flow(x[:8], codes[:8].astype(str))
    model = FineTuneClassifier(backbone=tiny_backbone(), trainable="last:1", epochs=2, learning_rate=1e-3)
    model.fit(flow, steps_per_epoch=3, validation_data=held)
    assert model.record_["images_seen"] == 2 * 3 * 6 and model.record_["augment"] == "light"
    assert model.selected_on_ == "validation" and model.score(x, codes.astype(str)) > 0.9


@pytest.mark.parametrize("estimator", [TransferClassifier, FineTuneClassifier])
def test_estimators_refuse_contradictions(estimator):
    x, codes = shades(8)
    flow = ImageGenerator("light").flow(x, codes)
    model = estimator(backbone=tiny_backbone())
    for call, said in (
        ({"X": flow, "y": codes}, "leave y out"), ({"X": x}, "labels are missing"),
        ({"X": x, "y": codes, "steps_per_epoch": 3}, "goes with a generator"),
        ({"X": flow, "steps_per_epoch": 0}, "below 1"),
        ({"X": flow, "validation": (x, codes), "validation_data": (x, codes)}, "give one"),
        ({"X": flow, "validation_data": 3}, "expected a flow"),
        ({"X": ImageGenerator("light").flow(x)}, "no labels"),
    ):  # fmt: skip
        with pytest.raises(BadOptions, match=said):
            model.fit(**call)


def test_short_epochs_go_through_all_images_in_turn():
    options = TrainingOptions(steps_per_epoch=2, batch_size=3)
    shown = [epoch_order(np.zeros(9, int), 1, options, 4, epoch) for epoch in range(3)]
    assert all(len(each) == 6 for each in shown)
    assert sorted(np.concatenate(shown)[:9]) == sorted(np.concatenate(shown)[9:]) == list(range(9))
