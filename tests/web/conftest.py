"""A label page served on loopback by a thread of this process, over a folder of drawn images."""

from __future__ import annotations

import shutil
import threading
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from headstart.dataset.session import LabelSession, open_session
from headstart.features.extractor import FeatureExtractor
from headstart.testing.images import class_folders
from headstart.web.label import label_app
from headstart.web.refitter import Refitter
from headstart.web.serve import LocalServer

CLASSES = ("disc", "square", "stripes")


@dataclass(frozen=True)
class Served:
    """A page that runs: its address (with the token), its server and its session."""

    address: str
    server: LocalServer
    session: LabelSession

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return f"http://127.0.0.1:{self.server.port}"


def small() -> FeatureExtractor:
    """An extractor that takes little time."""
    return FeatureExtractor(layer="stage5", input_size=48, engine="torch")


@contextmanager
def serving(folder, classes=CLASSES, out=None):
    """Serve the label page of a folder while the block runs."""
    server = LocalServer()
    ready = threading.Event()
    with open_session(folder, classes, out, extractor=small()) as session, Refitter(session) as refitter:
        app = label_app(session, refitter, server.stop)
        thread = threading.Thread(target=server.run, args=(app, ready.set), daemon=True)
        thread.start()
        assert ready.wait(20)
        try:
            yield Served(server.address, server, session)
        finally:
            server.stop()
            thread.join(10)
            server.close()


@pytest.fixture(scope="session")
def drawn(tmp_path_factory):
    """Sixty images of three kinds in one flat folder, named by kind."""
    made = class_folders(tmp_path_factory.mktemp("drawn") / "by-kind", n_per_class=20)
    flat = made.with_name("photos")
    flat.mkdir()
    for path in sorted(made.rglob("*.jpg")):
        shutil.copy(path, flat / f"{path.parent.name}-{path.name}")
    return flat


@pytest.fixture
def photos(drawn, tmp_path):
    """A copy of the drawn images, for one test alone."""
    return shutil.copytree(drawn, tmp_path / "photos")


@pytest.fixture(scope="session")
def serve():
    """`with serve(folder) as served`: the label page of a folder."""
    return serving


@pytest.fixture(scope="module")
def running(drawn, tmp_path_factory):
    """One label page for all tests of a file."""
    with serving(drawn, out=tmp_path_factory.mktemp("labels") / "out") as made:
        yield made


@pytest.fixture
def served(running):
    """That page, without labels."""
    yield running
    while running.session.undo():
        pass
    running.session.refit()
