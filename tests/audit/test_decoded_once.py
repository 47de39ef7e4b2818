"""An audit decodes each image once, and what it measures does not depend on which features were kept."""

from __future__ import annotations

import shutil
from collections import Counter

import numpy as np
import pytest

from headstart.audit import look as look_module
from headstart.audit.look import Looking, look
from headstart.audit.run import audit
from headstart.base.errors import BadImage
from headstart.features import run as run_module
from headstart.images.decode import open_picture
from headstart.images.scan import scan
from headstart.testing.images import class_folders
from headstart.testing.scenes import write_scenes

pytest.importorskip("cleanlab")


@pytest.fixture
def opened(monkeypatch):
    """How often each file was decoded for the look or for features."""
    seen = Counter()

    def counted(item, **how):
        seen[str(item)] += 1
        return open_picture(item, **how)

    for module in (look_module, run_module):
        monkeypatch.setattr(module, "open_picture", counted)
    return seen


@pytest.fixture
def photos(tmp_path):
    folder = write_scenes(tmp_path / "photos", 30)
    first = sorted(folder.rglob("*.jpg"))
    shutil.copy(first[0], first[0].with_name("copy.jpg"))
    first[1].write_bytes(first[1].read_bytes()[:400])
    return scan(folder)


def same(one, other):
    assert all(np.array_equal(one.numbers[name], other.numbers[name]) for name in one.numbers)
    assert np.array_equal(one.prints.grey, other.prints.grey) and np.array_equal(one.border, other.border)
    assert one.cameras == other.cameras and one.problems == other.problems


def test_cold_each_different_file_is_decoded_once_and_warm_says_the_same(
    photos, tiny_name, opened, monkeypatch, tmp_path
):
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    cold = audit(photos, backbone=tiny_name)
    assert len(opened) == len(set(photos.digests)) and set(opened.values()) == {1}
    opened.clear()
    warm = audit(photos, backbone=tiny_name)
    assert set(opened.values()) == {1}
    assert cold.to_dict()["findings"] == warm.to_dict()["findings"]


def test_checks_that_need_no_features_run_no_network(photos, opened, monkeypatch):
    monkeypatch.setattr("headstart.features.extractor.extract", None)
    assert [each.check for each in audit(photos, only=("files", "quality"), backbone="lite0").checked] == [
        "files",
        "quality",
    ]
    assert set(opened.values()) == {1}


def test_a_picture_that_others_decoded_gives_the_same_look_or_is_not_taken(tmp_path):
    table = scan(class_folders(tmp_path / "large", n_per_class=2, size=(900, 700)))
    for side in (48, 160, 256):
        looking = Looking(table, side)
        for row in range(len(table)):
            looking.see(row, open_picture(table.item(row), min_side=side))
        same(looking.rest(), look(table, side))


def test_why_an_image_cannot_be_read_is_kept(photos):
    looking = Looking(photos)
    looking.see(2, BadImage("x", "told by another"))
    assert "told by another" in {problem.reason for problem in looking.rest().problems}
