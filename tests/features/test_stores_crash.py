"""A change that is cut off at any step leaves the old index or the new one, whole, and the next change cleans up."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from headstart.features.stores.address import open_store
from headstart.features.stores.milvus_rows import MilvusRows
from headstart.testing.stores import D, card_of, put, records

KILLED = """
import os, signal, sys
from headstart.features.stores.address import open_store
from headstart.testing.stores import put, records
place, kind, step = sys.argv[1:]
store = open_store(place, create=True)
put(store, records(4))
end = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
if kind == "milvus":
    from headstart.features.stores.milvus_documents import Documents
    setattr(Documents, step, end)
else:
    from headstart.features.stores.postgres import PostgresStore
    setattr(PostgresStore, step, end)
put(store, records(2, first=3, seed=8), (("/data", "p0"),))
"""
OLD, NEW = ("p0", "p1", "p2", "p3"), ("p1", "p2", "p3", "p4")


def kill_during_a_change(place, kind, step):
    made = subprocess.run(
        [sys.executable, "-c", KILLED, place, kind, step], capture_output=True, text=True, timeout=120
    )
    assert made.returncode == -signal.SIGKILL, made.stderr


def check_old_and_go_on(place):
    store = open_store(place)
    assert store.columns["path"] == OLD and store.vectors().shape == (4, D)
    assert sorted(store.search(records(1).vectors, 4).rows[0]) == store.rows.tolist()
    put(store, records(2, first=3, seed=8), (("/data", "p0"),))
    assert open_store(place).columns["path"] == NEW
    return store


def test_a_process_that_is_killed_leaves_a_milvus_index_whole(tmp_path):
    pytest.importorskip("milvus_lite")
    place = f"milvus:{tmp_path / 'x.db'}"
    kill_during_a_change(place, "milvus", "point")
    store = check_old_and_go_on(place)
    assert store._client.query("headstart_card", filter="id < 0", output_fields=["id"], limit=9) == []


def test_a_process_that_is_killed_leaves_a_postgres_index_whole(postgres_url):
    place = f"{postgres_url}#killed"
    kill_during_a_change(place, "postgres", "_index")
    check_old_and_go_on(place)


@pytest.mark.parametrize("step", ["insert", "write", "point", "delete", "second write", "second point"])
def test_a_milvus_change_that_is_cut_off_at_any_step(tmp_path, monkeypatch, step):
    pytest.importorskip("milvus_lite")
    place = f"milvus:{tmp_path / 'x.db'}"
    store = open_store(place, create=True)
    put(store, records(4))
    kind = MilvusRows if step in ("insert", "delete") else type(store._documents)
    name, turn = step.split()[-1], 2 if step.startswith("second") or step == "delete" else 1
    real, calls = getattr(kind, name), []

    def cut(self, *given):
        calls.append(1)
        if name == "insert":
            real(self, *given)
        if len(calls) >= turn:
            raise OSError("cut off")
        return real(self, *given)

    with monkeypatch.context() as patch:
        patch.setattr(kind, name, cut)
        with pytest.raises(OSError, match="cut off"):
            put(store, records(2, first=3, seed=8), (("/data", "p0"),))
    shown = NEW if step in ("delete", "second write", "second point") else OLD
    again = open_store(place)
    assert again.columns["path"] == shown and len(again) == 4
    found = again.search(records(1).vectors, 4)
    assert sorted(found.rows[0]) == again.rows.tolist()
    put(again, records(2, first=3, seed=8), (("/data", "p0"),))
    assert open_store(place).columns["path"] == NEW
    assert again._client.query("headstart", filter="id >= 0", output_fields=["count(*)"])[0]["count(*)"] == 4
    assert len(again._client.query("headstart_card", filter="id > 0", output_fields=["id"], limit=99)) == 1


def test_a_milvus_document_that_is_cut_short_is_told(tmp_path):
    pytest.importorskip("milvus_lite")
    place = f"milvus:{tmp_path / 'x.db'}"
    store = open_store(place, create=True)
    put(store, records(4))
    (row,) = store._client.query(
        "headstart_card", filter="id > 0", output_fields=["id", "text", "vector"], limit=9
    )
    store._client.upsert("headstart_card", [{**row, "text": row["text"][:-9]}])
    with pytest.raises(ValueError, match="its card is damaged"):
        open_store(place)


def test_a_claim_of_a_process_that_is_gone_is_taken_away(tmp_path):
    import json
    import socket

    pytest.importorskip("milvus_lite")
    place = f"milvus:{tmp_path / 'x.db'}"
    store = open_store(place, create=True)
    put(store, records(1))
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    for host, refused in ((socket.gethostname(), False), ("another", True)):
        claim = {"host": host, "pid": gone.pid, "since": 9e9}
        store._client.insert("headstart_card", [{"id": -5, "text": json.dumps(claim), "vector": [0, 0]}])
        if refused:
            with pytest.raises(ValueError, match=f"process {gone.pid} on another is writing"):
                put(store, records(1, first=3))
        else:
            put(store, records(1, first=2))
    assert open_store(place).columns["path"] == ("p0", "p2") and card_of() == store.card
