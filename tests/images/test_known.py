"""A file that has not changed is not read again; one that may have changed always is."""

import os
import time

import pytest
from PIL import Image

from headstart.base.runtime import CACHE_VARIABLE
from headstart.images import collect
from headstart.images.scan import scan
from headstart.testing.images import class_folders


@pytest.fixture
def old(tmp_path, monkeypatch):
    """Class folders whose files were written long ago, and a cache folder of their own."""
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setattr("headstart.images.known.SETTLING_SECONDS", -3600.0)
    return class_folders(tmp_path / "shapes", n_per_class=3)


@pytest.fixture
def n_hashed(monkeypatch):
    """How many files have been hashed."""
    seen = []
    real = collect.digest_file
    monkeypatch.setattr(collect, "digest_file", lambda path: seen.append(path) or real(path))
    return lambda: len(seen)


def test_unchanged_files_are_not_read_again(old, n_hashed):
    first = scan(old)
    assert n_hashed() == 9
    assert scan(old).digests == first.digests
    assert n_hashed() == 9


def test_new_and_changed_files_are_read(old, n_hashed):
    first = scan(old)
    place = first.item(0)
    Image.new("RGB", (5, 6), (1, 2, 3)).save(place)
    Image.new("RGB", (6, 5), (1, 2, 3)).save(place.with_name("another.png"))
    second = scan(old)
    assert n_hashed() == 11
    assert len(second) == 10
    assert first.digests[0] not in second.digests


def test_contents_swapped_under_the_same_size_and_time_are_noticed(old):
    first = scan(old)
    place = first.item(0)
    status, data = place.stat(), place.read_bytes()
    time.sleep(0.02)
    place.write_bytes(data[:-13] + bytes([data[-13] ^ 1]) + data[-12:])
    os.utime(place, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert place.stat().st_mtime_ns == status.st_mtime_ns
    assert scan(old).digests[0] != first.digests[0]


def test_a_file_that_changed_a_moment_ago_is_read_again(old, n_hashed, monkeypatch):
    monkeypatch.setattr("headstart.images.known.SETTLING_SECONDS", 3600.0)
    scan(old)
    scan(old)
    assert n_hashed() == 18


def test_a_damaged_or_unwritable_list_only_costs_time(old, n_hashed, tmp_path):
    first = scan(old)
    (place,) = (tmp_path / "cache" / "scans").iterdir()
    for damage in ("", "{}", '{"version": 1, "root": 3, "files": []}', "[1]"):
        place.write_text(damage)
        assert scan(old).digests == first.digests
    assert n_hashed() == 45
    place.unlink()
    place.mkdir()
    assert scan(old).digests == first.digests


def test_a_broken_file_stays_a_problem(old):
    (old / "disc" / "broken.png").write_bytes(b"not an image")
    for _ in range(2):
        assert [problem.path for problem in scan(old).problems] == ["disc/broken.png"]
