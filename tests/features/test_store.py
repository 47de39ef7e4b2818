"""The feature cache: by content, shared, whole rows only, bounded."""

import os
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing

import numpy as np
import pytest

from headstart.base.errors import Busy
from headstart.base.events import collected_warnings
from headstart.features.store import FeatureKey, FeatureStore, _log_ahead

KEY = FeatureKey("w", "p", "blocks.1", "avg", "onnxruntime", "float32", "d")


def rows(n, d=4, start=0):
    return np.arange(start, start + n * d, dtype=np.float32).reshape(n, d)


def test_rows_come_back_in_the_order_asked_for(tmp_path):
    store = FeatureStore(tmp_path)
    store.write(KEY, ["a", "b", "c"], rows(3), "lite0")
    out, found = store.read(KEY, ["c", "x", "a", "c"])
    assert found.tolist() == [True, False, True, True]
    assert out.tolist() == [[8, 9, 10, 11], [0, 0, 0, 0], [0, 1, 2, 3], [8, 9, 10, 11]]
    assert FeatureStore(tmp_path / "empty").read(KEY, ["a"])[0] is None


def test_what_is_lacking_is_told_without_reading_rows(tmp_path):
    store = FeatureStore(tmp_path)
    assert store.lacking(KEY, ["a", "b"]) == {"a", "b"}
    many = [f"d{at}" for at in range(1200)]
    store.write(KEY, many, rows(1200))
    assert store.lacking(KEY, [*many, "x"]) == {"x"}
    store.path(KEY).write_bytes(b"no database at all" * 100)
    assert store.lacking(KEY, ["d0"]) == {"d0"}


def test_nothing_that_decides_a_row_is_left_out_of_its_key(tmp_path):
    store = FeatureStore(tmp_path)
    store.write(KEY, ["a"], rows(1))
    for field in (
        "weights_digest",
        "preprocessing_digest",
        "module",
        "pooling",
        "engine",
        "precision",
        "decoder",
        "version",
    ):
        other = FeatureKey(**{**KEY.__dict__, field: "other"})
        assert not store.read(other, ["a"])[1].any(), field


def test_a_row_that_is_there_stays_as_it_is(tmp_path):
    store = FeatureStore(tmp_path)
    store.write(KEY, ["a"], rows(1))
    store.write(KEY, ["a"], rows(1, start=100))
    assert store.read(KEY, ["a"])[0].tolist() == rows(1).tolist()


def test_two_processes_share_a_file(tmp_path):
    code = (
        "import sys, numpy as np\nfrom headstart.features.store import FeatureKey, FeatureStore\n"
        "key = FeatureKey('w', 'p', 'blocks.1', 'avg', 'onnxruntime', 'float32', 'd')\n"
        "for i in range(60):\n"
        "    FeatureStore(sys.argv[1]).write(key, [f'{i}-{j}' for j in range(8)], np.full((8, 4), i, np.float32))\n"
    )
    both = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path)]) for _ in range(2)]
    assert [each.wait(60) for each in both] == [0, 0]
    out, found = FeatureStore(tmp_path).read(KEY, [f"{i}-{j}" for i in range(60) for j in range(8)])
    assert found.all() and (out[:, 0] == np.repeat(np.arange(60), 8)).all()


def test_a_file_that_another_process_is_making_is_waited_for(tmp_path):
    path = tmp_path / "made.sqlite"
    with (
        closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as maker,
        closing(sqlite3.connect(path, isolation_level=None, timeout=0)) as other,
    ):
        maker.execute("CREATE TABLE held (value)")
        maker.execute("BEGIN EXCLUSIVE")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("PRAGMA journal_mode=WAL")
        threading.Timer(0.2, lambda: maker.execute("COMMIT")).start()
        _log_ahead(other)
        assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_file_that_is_held_is_not_taken_for_broken(tmp_path, monkeypatch):
    store = FeatureStore(tmp_path)
    store.write(KEY, ["a"], np.ones((1, 4), np.float32))
    monkeypatch.setattr("headstart.features.store.LOCK_SECONDS", 0.1)
    with closing(sqlite3.connect(store.path(KEY), isolation_level=None)) as holder:
        holder.execute("PRAGMA journal_mode=DELETE")
        holder.execute("BEGIN EXCLUSIVE")
        with pytest.raises(Busy, match="held by another program"):
            store.read(KEY, ["a"])
        holder.execute("COMMIT")
    assert store.read(KEY, ["a"])[1].all()


def test_a_killed_writer_leaves_whole_rows_only(tmp_path):
    code = (
        "import sys, numpy as np\nfrom headstart.features.store import FeatureKey, FeatureStore\n"
        "key = FeatureKey('w', 'p', 'blocks.1', 'avg', 'onnxruntime', 'float32', 'd')\n"
        "i = 0\nwhile True:\n"
        "    FeatureStore(sys.argv[1]).write(key, [str(i)], np.full((1, 5000), i, np.float32)); i += 1\n"
        "    print(i, flush=True)\n"
    )
    writer = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
    for _ in range(5):
        writer.stdout.readline()
    writer.kill()
    writer.wait()
    out, found = FeatureStore(tmp_path).read(KEY, [str(i) for i in range(5)])
    assert found.all() and (out == np.arange(5)[:, None]).all()


def test_the_files_used_longest_ago_go_first_when_the_cap_is_reached(tmp_path):
    store = FeatureStore(tmp_path, cap_bytes=10**9)
    keys = [FeatureKey("w", "p", f"m{i}", "avg", "e", "f", "d") for i in range(3)]
    for age, key in zip((300, 200, 100), keys, strict=True):
        store.write(key, ["a"], rows(1, 40_000))
        past = time.time() - age
        os.utime(store.path(key), (past, past))
    small = FeatureStore(tmp_path, cap_bytes=store.total_bytes() // 2)
    assert small.trim(keep=[keys[0]]) == 2
    assert store.path(keys[0]).exists() and not store.path(keys[1]).exists()
    assert small.trim() == 0


def test_the_cache_is_listed_and_cleared(tmp_path):
    store = FeatureStore(tmp_path)
    assert store.entries() == [] and store.clear() == 0 and store.total_bytes() == 0
    store.write(KEY, ["a", "b"], rows(2), "lite0")
    (entry,) = store.entries()
    assert (entry.backbone, entry.module, entry.n_rows) == ("lite0", "blocks.1", 2)
    assert store.clear(older_than_days=1) == 0
    assert store.clear() > 0 and store.entries() == []


@pytest.mark.parametrize("damage", [b"no database at all" * 300, b""])
def test_a_damaged_file_is_put_aside_aloud(tmp_path, damage):
    store = FeatureStore(tmp_path)
    store.write(KEY, ["a"], rows(1))
    store.path(KEY).write_bytes(damage)
    with collected_warnings() as warnings:
        _, found = store.read(KEY, ["a"])
    assert not found.any()
    assert bool(warnings) == bool(damage)
    store.write(KEY, ["a"], rows(1))
    assert store.read(KEY, ["a"])[1].all()


def test_rows_of_two_lengths_under_one_key_are_a_damaged_file(tmp_path):
    store = FeatureStore(tmp_path)
    store.write(KEY, ["a"], rows(1, 4))
    store.write(KEY, ["b"], rows(1, 6))
    with collected_warnings() as warnings:
        store.read(KEY, ["a", "b"])
    assert "a row of 6 values among rows of 4" in warnings[0]
