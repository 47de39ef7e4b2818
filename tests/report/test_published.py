"""Published results stand beside the user's on the same images, known by what they are."""

import dataclasses

import pytest

from headstart.images.packaged import DATASETS
from headstart.report.build import build_document
from headstart.report.document import Table, blocks_in
from headstart.report.paper import build_paper
from headstart.report.published import PUBLISHED, identity, published_of, published_table
from headstart.report.sources import library
from headstart.testing.records import tiny_record


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    """A study of what says that it is the packaged set of solar cells."""
    made = tiny_record(tmp_path_factory.mktemp("published"), datasets=("elpv",), per_class=5, seeds=(0,))
    table = dataclasses.replace(made.tables["elpv"], source=DATASETS["elpv"].source)
    return dataclasses.replace(made, tables={"elpv": table}, targets={"elpv": "class"})


def of_target(record, target):
    table = record.tables["elpv"]
    labels = {target: table.labels["class"]}
    return dataclasses.replace(
        record, tables={"elpv": dataclasses.replace(table, labels=labels)}, targets={"elpv": target}
    )


@pytest.mark.parametrize("name", [*PUBLISHED])
def test_each_row_says_how_it_was_measured_and_where_it_was_read(name):
    for row in PUBLISHED[name]:
        assert 0 < row.value < 1 and row.who and row.protocol
        assert row.source.startswith("https://")
        assert set(row.papers) <= set(library())


def test_rows_of_another_label_column_are_left_out(record):
    assert {row.target for row in published_of(of_target(record, "defect"), "elpv")} == {"defect"}
    assert {row.target for row in published_of(of_target(record, "probability"), "elpv")} == {"probability"}
    assert published_of(record, "elpv") == ()


def test_a_folder_of_the_same_name_is_not_taken_for_the_set(tmp_path):
    record = of_target(tiny_record(tmp_path, datasets=("elpv",), per_class=5, seeds=(0,)), "defect")
    assert identity(record.tables["elpv"]) == "" and published_table(record, "elpv", "x") is None
    ids = [b.id for s in build_document(record).sections for b in blocks_in(s) if isinstance(b, Table)]
    assert not any(id.endswith("-published") for id in ids)


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("Hugging Face data set uoft-cs/cifar10, commit 0123456789ab.", "cifar10"),
        ("Hugging Face data set zalando-datasets/fashion_mnist, commit 0123456789ab.", "fashion_mnist"),
        ("Hugging Face data set someone/cats, commit 0123456789ab.", ""),
        ("my own cifar10", ""),
    ],
)
def test_sets_of_hugging_face_are_known_by_their_name(record, source, name):
    assert identity(dataclasses.replace(record.tables["elpv"], source=source)) == name


def test_the_users_best_stands_first_with_its_run_and_the_difference_in_protocol_is_told(record):
    given = of_target(record, "defect")
    for document in (build_document(given), build_paper(given).document):
        table = next(
            b
            for s in document.sections
            for b in blocks_in(s)
            if isinstance(b, Table) and b.id.endswith("-published")
        )
        first, second = table.rows[:2]
        assert first.mark == "best" and first.entries[3].target.startswith("run-")
        assert given.best["elpv"] in first.entries[0].text
        assert second.entries[1].text == "88.4 %" and "1,968" in second.entries[2].text
        assert second.entries[3].href.startswith("https://") and "other splits" in table.caption
    assert "deitsch2019" in build_paper(given).bibliography.keys
