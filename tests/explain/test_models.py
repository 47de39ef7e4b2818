"""Saved models: what is explained predicts as the model does, for frozen features and for trained networks."""

from __future__ import annotations

import numpy as np
import pytest

from headstart.cli.explain_parts import open_target
from headstart.explain.see import see
from headstart.export.bundle import load_bundle


@pytest.mark.parametrize("kind", ["features", "trained"])
def test_the_target_of_a_model_predicts_as_the_model(kind, request, new_photos):
    folder = (
        request.getfixturevalue("tiny_model")
        if kind == "features"
        else request.getfixturevalue("trained").folder
    )
    paths = sorted(new_photos.rglob("*.jpg"))[::3]
    bundle, target = load_bundle(folder), open_target(str(folder))
    expected = bundle.predict_proba(paths).probabilities
    np.testing.assert_allclose(target.probabilities(target.prepared(paths)), expected, atol=2e-3)
    seen = see(target, paths[:1], ["a"], methods=("gradcam",), draws=1, fractions=2)
    assert seen.views[0].output.name == bundle.target and seen.views[0].output.classes == bundle.classes
    assert seen.views[0].maps["gradcam"].values.shape[1:] == (48, 48)
    assert target.layer("stage2").rows > 1
