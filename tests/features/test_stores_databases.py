"""What databases do beyond the contract: approximate search, half precision, tables of others, images from end to end."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from headstart.base.errors import BadOptions, Busy, DataError
from headstart.cli.main import main
from headstart.features.index import ImageIndex
from headstart.features.neighbours.exact import nearest
from headstart.features.stores.address import open_store
from headstart.features.stores.where import parse_where
from headstart.testing.stores import put, records

SECRET = "hunter2-Zx9"
SMALL = ("--layer", "stage3", "--input-size", "48", "--engine", "torch")


@pytest.fixture(params=["milvus", "postgres"])
def place(request, tmp_path):
    """An address of a database with an index name of the test's own."""
    if request.param == "postgres":
        name = "t" + "".join(filter(str.isalnum, tmp_path.name))[-40:]
        return f"{request.getfixturevalue('postgres_url')}#{name}"
    pytest.importorskip("milvus_lite")
    return f"milvus:{tmp_path / 'x.db'}"


@pytest.mark.parametrize("metric", ["cosine", "l2"])
def test_a_large_index_is_searched_approximately(place, metric):
    store = open_store(place, create=True, exact_rows=300)
    label = tuple("abcdefgh"[at % 8] for at in range(800))
    put(store, records(800, d=24, label=label), metric=metric)
    store = open_store(place, exact_rows=300)
    assert store.approximate["kind"] == "hnsw" and store.approximate["k"] == 10
    assert store.approximate["recall"] > 0.95
    queries = records(20, seed=4, d=24).vectors
    for text, wanted in (
        ("label != 'a'", 700),
        ("label == 'b'", 100),
        ("path == 'p7'", 1),
        ("label == 'z'", 0),
    ):
        rows = [at for at in range(800) if (label[at] != "a", label[at] == "b", at == 7, False)[
            ("label != 'a'", "label == 'b'", "path == 'p7'", "label == 'z'").index(text)]]  # fmt: skip
        assert len(rows) == wanted
        true, _ = nearest(queries, records(800, d=24).vectors, 10, metric, np.array(rows, np.int64))
        found = store.search(queries, 10, parse_where(text)).rows
        got = [set(line[line >= 0]) for line in found]
        assert all(len(one) == min(10, wanted) for one in got)
        shares = [len(set(store.rows[a]) & b) / max(1, len(a)) for a, b in zip(true, got, strict=True)]
        assert not wanted or np.mean(shares) > 0.9
    put(store, records(0), tuple(("/data", f"p{at}") for at in range(600)), metric=metric)
    assert store.approximate is None and len(open_store(place, exact_rows=300)) == 200


def test_vectors_above_two_thousand_values_are_indexed_in_half_precision(postgres_url):
    from headstart.features.stores.postgres_sql import condition, sql

    place = f"{postgres_url}#wide"
    store = open_store(place, create=True, exact_rows=50)
    new = records(120, d=2100)
    put(store, new)
    ((made,),) = store._connection.execute(
        "SELECT indexdef FROM pg_indexes WHERE indexname = 'wide_hnsw'"
    ).fetchall()
    assert "halfvec(2100)" in made and "halfvec_ip_ops" in made
    assert store.approximate["recall"] > 0.95 and np.array_equal(store.vectors(), new.vectors)
    queries = records(4, seed=3, d=2100).vectors
    found = store.search(queries, 5)
    with store._connection.transaction():
        store._set_scan(64)
        statement, values = store._say.approximate(queries[0], 64, 5, "cosine", condition(None))
        plan = store._connection.execute(sql.SQL("EXPLAIN ") + statement, values).fetchall()
    assert "Index Scan using wide_hnsw" in str(plan)
    rows, scores = nearest(queries, new.vectors, 5, "cosine")
    assert (found.rows == store.rows[rows]).mean() > 0.9 and np.allclose(found.scores, scores, atol=1e-4)


def test_vectors_that_pgvector_cannot_index_are_searched_exactly_and_told(postgres_url):
    from headstart.base.events import listening

    store, heard = open_store(f"{postgres_url}#wider", create=True, exact_rows=5), []
    with listening(heard.append):
        put(store, records(8, d=4100))
    assert any("search stays exact" in each.message for each in heard) and store.approximate is None
    assert store.search(records(8, d=4100).vectors[3:4], 1).rows.tolist() == [[3]]
    with pytest.raises(DataError, match="at most 16,000"):
        put(open_store(f"{postgres_url}#widest", create=True), records(1, d=16_001))
    with pytest.raises(DataError, match="no index"):
        open_store(f"{postgres_url}#widest")


def test_tables_of_others_are_left_alone(postgres_url):
    psycopg = pytest.importorskip("psycopg")
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE mine (a int); INSERT INTO mine VALUES (7)")
        connection.execute("CREATE TABLE yours (a int); CREATE TABLE yours_card (a int)")
        for name in ("mine", "yours"):
            with pytest.raises(DataError, match="is there, and no index"):
                open_store(f"{postgres_url}#{name}", create=True)
        assert connection.execute("SELECT a FROM mine").fetchall() == [(7,)]


def test_collections_of_others_are_left_alone(tmp_path):
    pytest.importorskip("milvus_lite")
    place = f"milvus:{tmp_path / 'x.db'}"
    store = open_store(place, create=True)
    store._client.create_collection("mine", dimension=4)
    store._client.create_collection("yours_card", dimension=4)
    for name in ("mine", "yours"):
        with pytest.raises(DataError, match="is there, and no index"):
            open_store(f"{place}#{name}", create=True)
    assert set(store._client.list_collections()) == {"mine", "yours_card"}


def test_a_file_of_milvus_is_open_in_one_process_at_a_time(tmp_path):
    pytest.importorskip("milvus_lite")
    place = f"milvus:{tmp_path / 'x.db'}"
    put(open_store(place, create=True), records(2))
    code = f"from headstart.features.stores.address import open_store; open_store({place!r})"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert said.returncode == 1
    assert "Busy" in said.stderr.splitlines()[-1] and "another process may have it open" in said.stderr


def test_a_change_by_another_writer_meanwhile_is_refused(postgres_url):
    place = f"{postgres_url}#meanwhile"
    one, other = open_store(place, create=True), open_store(place, create=True)
    put(one, records(2))
    with pytest.raises(Busy, match="run again"):
        other.change(records(1, first=5), (), {"metric": "cosine"})
    other.reload()
    put(one, records(1, first=3))
    with pytest.raises(Busy, match="nothing was written"):
        other.change(records(1, first=5), (), {"metric": "cosine"})
    assert open_store(place).columns["path"] == ("p0", "p1", "p3")


def test_images_are_indexed_searched_and_kept_up_to_date_in_a_database(
    place, photos, new_photos, capsys, tmp_path
):
    def run(*arguments):
        status = main([str(each) for each in arguments])
        said = capsys.readouterr()
        return status, said.out, said.err

    status, out, err = run("index", photos, "--store", place, *SMALL, "--whiten", "8", "--json")
    assert status == 0, err
    value = json.loads(out)
    assert (
        value["n"] == value["n_computed"] == 30 and value["approximate"] is None and value["dimension"] == 8
    )
    query = photos / "disc" / "000.jpg"
    page = tmp_path / "found.html"
    status, out, err = run("search", place, query, "-k", "3", "--engine", "torch", "--where", "label != 'square'",
                           "--expand", "2", "--html", page)  # fmt: skip
    assert status == 0 and out.splitlines()[2].split()[0] == "1" and "disc" in out, err
    assert page.read_text("utf-8").count("data:image/jpeg;base64,") == 4
    status, out, err = run(
        "search", place, new_photos, "--evaluate", "-k", "3", "--engine", "torch", "--json"
    )
    assert status == 0 and json.loads(out)["n"] == 12, err
    assert (
        json.loads(run("index", photos, "--store", place, "--engine", "torch", "--json")[1])["n_added"] == 0
    )
    status, _, err = run("index", photos, "--store", place, "--backbone", "lite1", "--engine", "torch")
    assert status == 2 and "the index was made with 'lite0'" in err
    folder = ImageIndex.build(photos, tmp_path / "i", layer="stage3", input_size=48, engine="torch", whiten=8)
    kept = ImageIndex.open(place, engine="torch")
    for condition in (None, 'label in ("disc", "stripes") and path > "disc/004.jpg"'):
        one, other = (
            [(hit.path, round(hit.score, 3)) for hit in each.search([query], k=9, where=condition)[0].hits]
            for each in (folder, kept)
        )
        assert one == other
    kept.remove(["disc/001.jpg"])
    assert len(ImageIndex.open(place, engine="torch")) == 29
    with pytest.raises(BadOptions, match=r"k: 31 is not within 1 \.\. 29"):
        kept.search([query], k=31)
    assert run("index", photos, "--store", place, "--out", tmp_path / "x")[0] == 2


def test_a_password_is_never_shown_nor_kept(place, photos, capsys, tmp_path, monkeypatch):
    for name in ("HEADSTART_STORE_PASSWORD", "PGPASSWORD", "HEADSTART_STORE_TOKEN"):
        monkeypatch.setenv(name, SECRET)
    for arguments in (
        ("index", photos, "--store", place, *SMALL),
        ("index", photos, "--store", place, "--engine", "torch", "--json"),
        (
            "search",
            place,
            photos / "disc" / "000.jpg",
            "-k",
            "2",
            "--engine",
            "torch",
            "--html",
            tmp_path / "a.html",
        ),
        ("search", place, photos / "disc" / "000.jpg", "-k", "2", "--engine", "torch", "--json"),
    ):
        assert main([str(each) for each in arguments]) == 0
    for address in ("postgres://me@127.0.0.1:9/db", "milvus:http://127.0.0.1:9"):
        monkeypatch.setattr("headstart.features.stores.milvus.SECONDS", 1.0)
        assert main(["--debug", "search", address, str(photos)]) == 2
    store = open_store(place)
    said = capsys.readouterr()
    kept = [repr(store), str(vars(store)), json.dumps(store.card), (tmp_path / "a.html").read_text("utf-8")]
    kept += [path.read_bytes().decode("latin-1") for path in tmp_path.rglob("*") if path.is_file()]
    assert SECRET not in said.out + "".join(kept)
    assert SECRET not in said.err and said.err.count("Traceback") == 2
    if "postgres" in place:
        assert SECRET not in str(store._connection.execute(store._say("SELECT * FROM {card}")).fetchall())
    assert os.environ["PGPASSWORD"] == SECRET
