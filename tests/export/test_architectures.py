"""Networks of other families are cut, trained in part, and exported: transformers with and without windows, ConvNeXt."""

import numpy as np
import pytest
import timm
import torch

from headstart.backbones.card import Preprocessing
from headstart.backbones.freeze import find_cut
from headstart.backbones.load import from_module
from headstart.export.bundle import load_bundle
from headstart.export.save import save_bundle
from headstart.methods.finetune import FineTuneClassifier

SMALL = {
    "ViT": ("test_vit", {"img_size": 64}),
    "ConvNeXt": ("test_convnext", {}),
    "Swin": (
        "swin_tiny_patch4_window7_224",
        {"img_size": 64, "window_size": 4, "embed_dim": 16, "depths": (1, 1), "num_heads": (1, 2)},
    ),
}


def images_of(n):
    """Dark and light images with noise of their own."""
    draw = np.random.default_rng(0)
    light = np.arange(n) % 2
    noise = draw.integers(0, 90, (n, 64, 64, 3))
    return (noise + 150 * light[:, None, None, None]).astype(np.uint8), np.where(light, "light", "dark")


@pytest.mark.parametrize("family", SMALL)
def test_a_family_is_trained_from_its_last_stage_with_nothing_frozen_moved_and_exported(family, tmp_path):
    name, given = SMALL[family]
    torch.manual_seed(0)
    how = Preprocessing(64, 64, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25), crop=1.0)
    backbone = from_module(timm.create_model(name, **given).eval(), how, family.lower())
    images, labels = images_of(16)
    model = FineTuneClassifier(
        backbone=backbone, trainable="last:1", epochs=2, views=1, augment="none", batch_size=8, start="plain",
        learning_rate=1e-3, dtype="float32", keep="last", n_folds=4,
    ).fit(images, labels)  # fmt: skip
    assert model.record_["after"] and model.record_["path"] == "cache", model.record_["path_reason"]
    trained = set(find_cut(backbone, "last:1").trainable)
    after = model.network_.body.net.state_dict()
    moved = {
        name
        for name, each in backbone.module.state_dict().items()
        if name in after and not torch.equal(each, after[name])
    }
    assert moved and moved <= trained and len(trained) < len(after)
    assert not [each for each in model.findings_ if each.kind == "frozen moved"]
    expected = model.predict_proba(images)
    bundle = load_bundle(save_bundle(model, tmp_path / "model"))
    found = bundle.predict_proba(list(images))
    assert bundle.card["check"]["largest_difference"] < 1e-4
    assert np.abs(found.probabilities - expected).max() < 1e-4
    assert set(model.predict(images)) <= {"dark", "light"}
