"""Small real studies: drawn images, the packaged network at 32 pixels, a cache of their own."""

from __future__ import annotations

import pytest

from headstart.study.spec import StudySpec
from headstart.testing.images import class_folders


@pytest.fixture(scope="session")
def feature_cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def own_cache(feature_cache, monkeypatch):
    monkeypatch.setenv("HEADSTART_CACHE", str(feature_cache))


@pytest.fixture
def shapes(tmp_path):
    """Thirty images in three classes, without a split."""
    return class_folders(tmp_path / "shapes", n_per_class=10)


@pytest.fixture
def small(shapes):
    """A spec of two layers, two heads and two seeds: eight runs."""

    def make(**options):
        given = {
            "data": (str(shapes),),
            "layer": ("stage3", "pool"),
            "head": ("nearest_mean", "lda"),
            "seeds": 2,
        }
        return StudySpec(**{**given, "input_size": (32,), "engine": "torch", **options})

    return make
