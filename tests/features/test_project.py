"""The map of features: each method finds clear groups, again the same, and refuses what cannot be drawn."""

from __future__ import annotations

import numpy as np
import pytest

from headstart.base.errors import BadOptions, DataError, MissingPackage, UnknownName
from headstart.base.events import collected_warnings
from headstart.features import project as module
from headstart.features.project import project
from headstart.measure.projection import map_trust


def groups(n_groups=3, n_each=20, d=12, seed=0):
    rng = np.random.default_rng(seed)
    centres = np.eye(d)[:n_groups] * 9
    points = np.concatenate([centre + rng.normal(size=(n_each, d)) for centre in centres])
    return points.astype(np.float32), np.repeat(np.arange(n_groups), n_each).astype(str)


@pytest.mark.parametrize("method", ["umap", "tsne", "pca"])
def test_clear_groups_stay_apart_and_the_same_seed_gives_the_same_map(method):
    features, truth = groups()
    found = project(features, method, seed=3, scale="none")
    assert found.points.shape == (60, 2) and np.isfinite(found.points).all() and found.method == method
    trust = map_trust(found.space, found.points, list(truth), k=5)
    assert trust.labels_map.value > 0.97 and trust.trustworthiness.value > 0.75
    assert (project(features, method, seed=3, scale="none").points == found.points).all()


@pytest.mark.parametrize("method", ["umap", "tsne", "pca"])
def test_copies_and_a_single_direction_can_be_drawn(method):
    line = np.repeat(np.linspace(0, 1, 10), 2)[:, None] * np.ones((1, 4))
    found = project(line, method)
    assert found.points.shape == (20, 2) and np.isfinite(found.points).all()
    assert found.facts["dimensions"] == 1


def test_pca_tells_how_much_its_axes_hold():
    rng = np.random.default_rng(0)
    flat = rng.normal(size=(40, 2)) @ rng.normal(size=(2, 9))
    assert project(flat, "pca").facts["explained"] == pytest.approx(1, abs=1e-4)
    assert project(rng.normal(size=(400, 9)), "pca").facts["explained"] < 0.5


def test_auto_is_umap_then_tsne_then_pca_aloud(monkeypatch):
    features = groups()[0]
    assert module._chosen("auto", 60) == "umap"
    assert project(features[::10], "auto").method == "pca"
    monkeypatch.setattr(module, "installed", lambda name: False)
    assert project(features, "auto").method == "tsne"
    monkeypatch.setattr(module, "MOST_TSNE", 50)
    with collected_warnings() as heard:
        assert project(features, "auto").method == "pca"
    assert "pip install 'headstart[map]'" in heard[0]


def test_umap_that_is_absent_is_refused_with_the_install_line(monkeypatch):
    def absent(package, **told):
        raise MissingPackage(package, told["extra"], told["purpose"])

    monkeypatch.setattr(module, "require", absent)
    with pytest.raises(MissingPackage, match=r"pip install 'headstart\[map\]'"):
        project(groups()[0], "umap")


@pytest.mark.parametrize(
    "features, given, error, said",
    [
        (np.zeros((2, 4)), {}, DataError, "3 or more images, got 2"),
        (np.zeros((5, 4)), {}, DataError, "all the same"),
        (np.eye(5), {"method": "umap"}, DataError, "10 or more images, got 5; use pca"),
        (np.full((5, 4), np.nan), {}, DataError, "not finite"),
        (np.eye(12), {"method": "umapp"}, UnknownName, "did you mean 'umap'"),
        (np.eye(12), {"n_neighbors": 1, "perplexity": 0}, BadOptions, "n_neighbors.*perplexity"),
    ],
)
def test_what_cannot_be_drawn_is_refused(features, given, error, said):
    with pytest.raises(error, match=said):
        project(features, **given)
