"""The store keeps whole cells or none, reads back what was written, and explains what goes wrong."""

from __future__ import annotations

import sqlite3

import numpy as np
import pytest

from headstart.base.errors import UsageError
from headstart.base.hashing import digest_bytes
from headstart.images.table import ImageTable, Problem
from headstart.study.rows import result_from, result_row
from headstart.study.store import FILE, StoreError, StudyStore
from headstart.testing.records import tiny_record


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    return tiny_record(tmp_path_factory.mktemp("images"), per_class=5)


def named(n):
    return [(f"{row}.jpg", digest_bytes(str(row).encode())) for row in range(n)]


def test_results_read_back_as_the_same_values(tmp_path, record):
    with StudyStore(tmp_path) as store:
        for result in record.results:
            store.put_result(result)
    with StudyStore(tmp_path, must_exist=True) as store:
        found = list(store.results().values())
    assert [result_row(each) for each in found] == [result_row(each) for each in record.results]
    assert found[0] == result_from(result_row(record.results[0]))


def test_what_is_not_finite_survives_as_nan(record):
    from dataclasses import replace

    done = next(each for each in record.results if each.status == "done")
    odd = replace(done, per_class={"a": {"f1": float("nan")}})
    assert np.isnan(result_from(result_row(odd)).per_class["a"]["f1"])


def test_probabilities_come_with_the_images_behind_them(tmp_path, record):
    given = np.random.default_rng(0).dirichlet(np.ones(3), 7).astype(np.float32)
    with StudyStore(tmp_path) as store:
        store.put_result(record.results[0], given, named(7))
        found, paths, digests = store.probabilities(record.results[0].cell.id)
        assert store.probabilities("none") is None
    np.testing.assert_array_equal(found, given)
    assert list(zip(paths, digests, strict=True)) == named(7)


def test_a_failed_write_leaves_neither_half(tmp_path, record):
    with StudyStore(tmp_path) as store:
        with pytest.raises(ValueError, match="7 rows"):
            store.put_result(record.results[0], np.ones((7, 3), np.float32), named(6))
        assert store.results() == {}


def test_a_table_comes_back_with_hostile_names_and_its_pixels(tmp_path):
    table = ImageTable(
        name='<b>"; DROP TABLE cells',
        root="",
        paths=("a,=1+1.png", "b\udcff.png"),
        digests=(digest_bytes(b"a"), digest_bytes(b"b")),
        labels={"class": ("<script>", None)},
        splits=("train", "test"),
        pixels=np.arange(2 * 4 * 5, dtype=np.uint8).reshape(2, 4, 5),
        problems=(Problem("c", "empty file"),),
    )
    with StudyStore(tmp_path) as store:
        store.put_table(table)
        found = store.table(table.name)
        assert found.digest() == table.digest() and found.problems == table.problems
        np.testing.assert_array_equal(found.pixels, table.pixels)
        next(tmp_path.glob("pixels-*.npy")).unlink()
        assert store.table(table.name).pixels is None
        assert store.table("other") is None


def test_a_folder_without_a_study_is_one_line(tmp_path):
    with pytest.raises(UsageError, match="no study in"):
        StudyStore(tmp_path / "none", must_exist=True)
    assert not (tmp_path / "none").exists()


def test_a_file_that_is_no_study_is_refused(tmp_path):
    (tmp_path / FILE).write_bytes(b"not a database, certainly not one of ours" * 30)
    with pytest.raises(StoreError, match="no readable study"):
        StudyStore(tmp_path)


def test_another_programs_database_is_left_alone(tmp_path):
    other = sqlite3.connect(tmp_path / FILE)
    other.execute("CREATE TABLE theirs (x)")
    other.close()
    with pytest.raises(UsageError, match="no study of headstart"):
        StudyStore(tmp_path)


def test_a_store_of_a_newer_version_asks_for_an_update(tmp_path):
    StudyStore(tmp_path).close()
    base = sqlite3.connect(tmp_path / FILE)
    base.execute("PRAGMA user_version = 99")
    base.close()
    with pytest.raises(UsageError, match="newer version"):
        StudyStore(tmp_path)


def test_a_full_disk_is_one_line_and_loses_only_the_cell_in_flight(tmp_path, record):
    with StudyStore(tmp_path) as store:
        store.put_result(record.results[0])
        pages = store._base.execute("PRAGMA page_count").fetchone()[0]
        store._base.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(StoreError, match="full; free some space"):
            store.put_result(record.results[1], np.ones((9000, 3), np.float32), named(9000))
    with StudyStore(tmp_path, must_exist=True) as store:
        assert list(store.results()) == [record.results[0].cell.id]
