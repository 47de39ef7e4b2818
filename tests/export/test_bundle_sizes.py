"""A model at another input size than it was fitted at: the same network, or a refusal that says what would do."""

from __future__ import annotations

import numpy as np
import pytest

from headstart.base.errors import BadOptions
from headstart.export.bundle import load_bundle
from headstart.export.save import save_bundle
from headstart.features.extractor import FeatureExtractor
from headstart.images.scan import scan
from headstart.images.split import split_table
from headstart.methods.probe import TransferClassifier


def test_another_size_is_what_torch_says_at_that_size(tiny_model, new_photos):
    items = scan(new_photos).items()
    for size in (80, "112x48"):
        opened = load_bundle(tiny_model, size)
        features = FeatureExtractor(layer="stage5", input_size=size, engine="torch", cache_gb=0).transform(
            items
        )
        expected = opened.head.predict_proba(features)
        assert np.abs(opened.predict_proba(items).probabilities - expected).max() < 1e-3
        assert opened.predict_proba(items, views=3).probabilities.shape == expected.shape
    own = load_bundle(tiny_model).predict_proba(items).probabilities
    assert np.array_equal(load_bundle(tiny_model, 48).predict_proba(items).probabilities, own)


@pytest.mark.parametrize(
    ("size", "said"),
    [(50, "48x48 would do"), (100, "112x112 would do"), (20, "16x16 would do"), (5, "outside 16")],
)
def test_a_size_between_is_refused_with_the_nearest_that_would_do(tiny_model, new_photos, size, said):
    with pytest.raises(BadOptions, match=said):
        load_bundle(tiny_model, size).predict_proba(scan(new_photos).items())


def test_a_model_that_looks_at_places_takes_its_own_size_alone(photos, new_photos, tmp_path):
    method = TransferClassifier(layer="stage5", pooling="flat", input_size=48, engine="torch")
    folder = save_bundle(method.fit_table(split_table(scan(photos))), tmp_path / "flat", data="photos")
    with pytest.raises(BadOptions, match="takes 48x48 pixels alone"):
        load_bundle(folder, 80).predict_proba(scan(new_photos).items())
