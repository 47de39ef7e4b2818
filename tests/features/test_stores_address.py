"""Addresses of stores: what is read, what is refused, and that a password is never shown."""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.base.errors import BadOptions, DataError, MissingPackage, UnknownName
from headstart.features.stores.address import Address, open_store, parse_address
from headstart.features.stores.cells import clean, restore

SECRET = "hunter2-Zx9"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("photos.index", ("faiss", "photos.index", "")),
        ("faiss:a b/c", ("faiss", "a b/c", "")),
        ("C:\\photos", ("faiss", "C:\\photos", "")),
        ("milvus:x.db", ("milvus", "x.db", "headstart")),
        ("milvus:a/x.db#clothes_2", ("milvus", "a/x.db", "clothes_2")),
        ("milvus:http://h:19530#c", ("milvus", "http://h:19530", "c")),
        ("postgres://me@h/db#t", ("postgres", "postgres://me@h/db", "t")),
        ("postgresql://h/db?sslmode=require", ("postgres", "postgres://h/db?sslmode=require", "headstart")),
        ("postgres:postgresql://h/db", ("postgres", "postgres://h/db", "headstart")),
        ("postgres:///db?host=/run", ("postgres", "postgres:///db?host=/run", "headstart")),
    ],
)
def test_what_is_read(text, expected):
    made = parse_address(text)
    assert made == Address(*expected) and parse_address(str(made)) == made


def test_a_path_is_a_path_whatever_its_name(tmp_path, monkeypatch):
    assert parse_address(Path("milvus:x.db")).kind == "faiss"
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my:index").mkdir()
    assert parse_address("my:index") == Address("faiss", "my:index")


@pytest.mark.parametrize(
    "text",
    ["milvus:x", "milvus:", "milvus:.db", "milvus:ftp://h", "milvus:http://", "postgres:h/db", "postgres:",
     "postgres://h:port/db", "faiss:", "milvus:http://h:x", "postgres://h /db"],
)  # fmt: skip
def test_what_cannot_be_read(text):
    with pytest.raises(BadOptions, match=r"store: expected (faiss:|milvus:|postgres://)"):
        parse_address(text)


@pytest.mark.parametrize("name", ["", "1a", "a-b", "a b", 'a"; drop table x', "é", "a" * 49, "a#b", "a.b"])
def test_a_name_is_a_plain_one(name):
    for text in (f"milvus:x.db#{name}", f"postgres://h/db#{name}"):
        with pytest.raises(BadOptions, match="1 to 48 letters"):
            parse_address(text)


def test_an_unknown_kind_names_the_nearest():
    with pytest.raises(UnknownName, match="did you mean 'milvus'"):
        parse_address("milvsu:x.db")


@pytest.mark.parametrize(
    "text",
    [
        f"postgres://me:{SECRET}@h/db",
        f"postgres://me:a@{SECRET}@h/db",
        f"postgres://me:a#{SECRET}@h/db",
        f"postgres://me:a/{SECRET}@h/db",
        f"postgres://h/db?password={SECRET}",
        f"postgres://h/db?PASSWORD%3d{SECRET}",
        f"postgres://h/db?p%61ssword={SECRET}",
        f"postgres://h/db?sslpassword={SECRET}",
        f"postgres:host=h password={SECRET}",
        f"postgres:me:{SECRET}@h/db",
        f"milvus:http://root:{SECRET}@h:19530",
        f"milvus:https://h?token={SECRET}",
        f"milvus:root:{SECRET}@h",
        f"postgres://h:{SECRET}/db",
    ],
)
def test_a_password_in_an_address_is_refused_and_not_repeated(text):
    with pytest.raises(BadOptions) as error:
        parse_address(text)
    told = "".join(traceback.format_exception(error.value))
    assert SECRET not in str(error.value) and SECRET not in told.replace(text, "")
    if "h:hunter" not in text:
        assert "environment" in str(error.value)


def test_a_package_that_is_absent_is_named_with_its_install_line(tmp_path, monkeypatch):
    import sys

    for module, address in (("pymilvus", f"milvus:{tmp_path}/x.db"), ("psycopg", "postgres://h/db")):
        for name in [name for name in sys.modules if name.startswith("headstart.features.stores.")]:
            if name.rsplit(".", 1)[1] not in ("address", "contract", "where", "embedded"):
                monkeypatch.delitem(sys.modules, name)
        monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(MissingPackage, match=r"pip install 'headstart\[stores\]'"):
            open_store(address)


def test_an_index_that_is_not_there_is_told_and_nothing_is_made(tmp_path, postgres_url):
    pytest.importorskip("milvus_lite")
    for place in (f"milvus:{tmp_path / 'no' / 'x.db'}", f"{postgres_url}#nowhere"):
        with pytest.raises(DataError, match="no index; make one with headstart index DATA --store"):
            open_store(place)
    assert list(tmp_path.iterdir()) == []


def test_files_of_something_else_are_left_alone(tmp_path):
    pytest.importorskip("milvus_lite")
    (tmp_path / "a.db").write_text("mine")
    (tmp_path / "b.db").mkdir()
    (tmp_path / "b.db" / "mine.txt").write_text("mine")
    for name in ("a.db", "b.db"):
        with pytest.raises(DataError, match="no file of milvus-lite"):
            open_store(f"milvus:{tmp_path / name}", create=True)
    assert (tmp_path / "a.db").read_text() == (tmp_path / "b.db" / "mine.txt").read_text() == "mine"


text = st.text(
    st.characters(codec=None, min_codepoint=0) | st.sampled_from("\x00\x01\x02\ud7ff\ud800\udfff\ue000")
)


@given(text, text)
def test_cleaned_text_comes_back_and_keeps_its_order(one, other):
    assert restore(clean(one)) == one
    clean(one).encode("utf-8")
    assert "\x00" not in clean(one)
    assert (clean(one) < clean(other)) == (one < other)
