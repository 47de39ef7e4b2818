"""Every output tells the same of one study: the digest of its data, and how many images a class a run learned from."""

from __future__ import annotations

import csv
import io
import tomllib

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headstart.report.archive import archive_files
from headstart.report.archive_inputs import inputs_of
from headstart.report.archive_tables import csv_text, parquet_bytes, run_rows
from headstart.report.build import build_document
from headstart.report.document import Table, blocks_in
from headstart.report.paper import build_paper
from headstart.study.execute import run_study
from headstart.study.spec import StudySpec, spec_from
from headstart.study.spec_values import per_class_word, read_per_class
from headstart.testing.images import class_folders
from headstart.testing.records import tiny_record

QUICK = {"layer": ("pool",), "head": ("nearest_mean",), "input_size": (32,), "engine": "torch"}


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Images without a split: each seed draws its own."""
    return class_folders(tmp_path_factory.mktemp("agree") / "photos", n_per_class=10)


def studied(photos, out, **options):
    return run_study(StudySpec(data=(str(photos),), **QUICK, **options), out, advise=False, audits=False)


@pytest.fixture(scope="module")
def record(photos, tmp_path_factory):
    return studied(photos, tmp_path_factory.mktemp("agree") / "study", per_class=(0, 2), seeds=2)


@pytest.fixture(scope="module")
def files(record):
    return archive_files(record)[0]


def rows_of(content):
    return list(csv.DictReader(io.StringIO(content.decode())))


def digest_in(document):
    """What a document says of the content of the data."""
    tables = [
        b for s in document.sections for b in blocks_in(s) if isinstance(b, Table) and b.id == "digests"
    ]
    (row,) = tables[0].rows
    return row.entries[[column.title for column in tables[0].columns].index("data")].text


def test_the_digest_of_the_data_is_one_number_in_all_outputs(record, files):
    told = {row["data_digest"] for row in rows_of(files["results.csv"])}
    assert told == {result.cell.data_digest for result in record.results} == set(record.digests.values())
    assert told == {
        digest_in(build_document(record, picture_bytes=0)),
        digest_in(build_paper(record).document),
    }
    parquet = pq.read_table(io.BytesIO(files["results.parquet"]))
    assert set(parquet.column("data_digest").to_pylist()) == told
    for name in ("report/report.html", "report/paper.md"):
        assert next(iter(told)) in files[name].decode().replace("\u200b", ""), name


def test_equal_digests_mean_equal_data_however_it_was_divided(record, photos, tmp_path):
    folds = studied(photos, tmp_path / "folds", folds=2, seeds=1)
    assert digest_in(build_document(folds, picture_bytes=0)) == record.digests["photos"]
    (photos / "disc" / "one_more.jpg").write_bytes((photos / "square" / "000.jpg").read_bytes())
    try:
        more = studied(photos, tmp_path / "more", seeds=1)
    finally:
        (photos / "disc" / "one_more.jpg").unlink()
    assert digest_in(build_document(more, picture_bytes=0)) != record.digests["photos"]


def test_a_study_that_has_a_plan_and_no_run_tells_the_digest_too(tmp_path):
    record = tiny_record(tmp_path, n_run=0, per_class=5)
    assert digest_in(build_document(record, picture_bytes=0)) == record.digests["shapes"] != ""


def test_all_images_are_the_word_all_and_never_a_number_below_one(record, files):
    rows = rows_of(files["results.csv"])
    assert {row["per_class"] for row in rows} == {"all", "2"}
    known = {row["run"]: read_per_class(row["per_class"]) for row in rows}
    assert known == {result.cell.id: result.cell.per_class for result in record.results}
    parquet = pq.read_table(io.BytesIO(files["results.parquet"]))
    assert parquet.schema.field("per_class").type == pa.string()
    assert parquet.column("per_class").to_pylist() == [row["per_class"] for row in rows]
    assert {row["per_class"] for row in rows_of(files["images_a_class.csv"])} == {"all", "2"}
    assert {row["per_class"] for row in rows_of(files["methods.csv"])} == {"all"}


def test_the_column_has_one_type_where_all_runs_have_all_images(tmp_path):
    rows = run_rows(tiny_record(tmp_path, per_class=5, seeds=(0,)))
    assert pq.read_table(io.BytesIO(parquet_bytes(rows))).schema.field("per_class").type == pa.string()
    assert {row["per_class"] for row in rows_of(csv_text(rows).encode())} == {"all"}


def test_the_spec_of_the_archive_is_read_back_with_all_images(record):
    import tomli_w

    given = {
        name: value for name, value in inputs_of(record, pictures=False).spec.items() if value is not None
    }
    assert spec_from(tomllib.loads(tomli_w.dumps(given))).per_class == (0, 2)


@pytest.mark.parametrize("number", [0, 1, 20, 1_000_000])
def test_the_word_for_a_number_of_images_is_read_back(number):
    assert read_per_class(per_class_word(number)) == number


def test_the_specification_of_the_report_says_all(record):
    document = build_document(record, picture_bytes=0)
    (spec,) = [b for s in document.sections for b in blocks_in(s) if isinstance(b, Table) and b.id == "spec"]
    assert {row.entries[0].text: row.entries[1].text for row in spec.rows}["per class"] == "all, 2"
