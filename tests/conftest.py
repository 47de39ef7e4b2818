"""What every test shares: a cache folder of its own, and one small model that is fitted and exported once."""

from __future__ import annotations

import os

import pytest

from headstart.testing.images import class_folders

SIDE = 48


@pytest.fixture(scope="session", autouse=True)
def session_cache(tmp_path_factory):
    """No test reads or writes the user's cache, or goes to the network."""
    patch = pytest.MonkeyPatch()
    patch.setenv("HEADSTART_CACHE", str(tmp_path_factory.mktemp("headstart-cache")))
    patch.setenv("HF_HUB_OFFLINE", os.environ.get("HF_HUB_OFFLINE", "1"))
    yield
    patch.undo()


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    """Thirty images in three class folders, without a split."""
    return class_folders(tmp_path_factory.mktemp("data") / "photos", n_per_class=10)


@pytest.fixture(scope="session")
def new_photos(tmp_path_factory):
    """Twelve other images of the same classes."""
    return class_folders(tmp_path_factory.mktemp("data") / "new", n_per_class=4, seed=7)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory, photos):
    """A bundle fitted on `photos`: lite0 at 48 pixels, stage 5, logistic regression. Not to be changed."""
    from headstart.export.save import save_bundle
    from headstart.images.scan import scan
    from headstart.images.split import split_table
    from headstart.methods.probe import TransferClassifier

    classifier = TransferClassifier(layer="stage5", input_size=SIDE, engine="torch")
    classifier.fit_table(split_table(scan(photos)))
    return save_bundle(classifier, tmp_path_factory.mktemp("models") / "tiny", data="photos")
