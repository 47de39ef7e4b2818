"""What every test shares: a cache folder of its own, and one small model that is fitted and exported once."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from headstart.testing.images import class_folders

# how long an example takes says how busy the machine is, and nothing of the code
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

SIDE = 48
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-sync",
)


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


@pytest.fixture(scope="session")
def tiny_name(tmp_path_factory):
    """A timm network with random weights in a file, by name."""
    from headstart.testing.backbones import tiny_weights

    return tiny_weights(tmp_path_factory.mktemp("weights"))


@dataclass(frozen=True)
class TrainedModel:
    """A model that `headstart fit --scenario finetune` made, and what the command printed."""

    folder: Path
    out: str
    err: str


@pytest.fixture(scope="session")
def trained(tmp_path_factory, photos, tiny_name):
    """A network whose last stage was trained on `photos` by the command. Not to be changed."""
    from headstart.cli.main import main

    folder = tmp_path_factory.mktemp("models") / "trained"
    out, err = io.StringIO(), io.StringIO()
    options = ["--scenario", "finetune", "--trainable", "last:1", "--epochs", "3", "--views", "2"]
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        where = ["--backbone", tiny_name, "--input-size", str(SIDE), "--out", str(folder), "--json"]
        status = main(["fit", str(photos), *options, "--learning-rate", "0.003", *where])
    assert status == 0, err.getvalue()
    return TrainedModel(folder, out.getvalue(), err.getvalue())


@pytest.fixture(scope="session")
def browser():
    """Chromium, one for all tests of a process (a second one cannot start beside it), or why there is none."""
    if CHROMIUM is None:
        said = "no Chromium on this machine (Debian: apt install chromium)"
        if os.environ.get("HEADSTART_REQUIRE_BROWSER"):
            pytest.fail(said)
        pytest.skip(said)
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started:
        made = started.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        yield made
        made.close()
