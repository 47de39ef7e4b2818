"""Published results stand beside the user's on the same images, known by what they are."""

import dataclasses
import re

import pytest

from headstart.images.packaged import DATASETS
from headstart.report import published
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
        assert row.papers and set(row.papers) <= set(library())


def test_rows_of_another_label_column_are_left_out(record):
    assert {row.target for row in published_of(of_target(record, "defect"), "elpv")} == {"defect"}
    assert published_of(of_target(record, "type"), "elpv") == published_of(record, "elpv") == ()


def test_a_folder_of_the_same_name_is_not_taken_for_the_set(tmp_path):
    record = of_target(tiny_record(tmp_path, datasets=("elpv",), per_class=5, seeds=(0,)), "defect")
    assert identity(record.tables["elpv"]) == "" and published_table(record, "elpv", "x") is None
    ids = [b.id for s in build_document(record).sections for b in blocks_in(s) if isinstance(b, Table)]
    assert not any(id.endswith("-published") for id in ids)


def of_the_hub(record, name, n_classes=10):
    """A table of the data set of that name on the hub, of 15 images in some classes."""
    table = record.tables["elpv"]
    labels = tuple(str(row % n_classes) for row in range(len(table)))
    source = f"Hugging Face data set {name}, commit 0123456789ab."
    return dataclasses.replace(table, labels={"label": labels}, source=source)


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("uoft-cs/cifar10", "cifar10"),
        ("zalando-datasets/fashion_mnist", "fashion_mnist"),
        ("ylecun/mnist", "mnist"),
        ("mnist", "mnist"),
        ("someone/mnist", ""),
        ("someone/cifar10", ""),
        ("someone/cats", ""),
    ],
)
def test_sets_of_the_hub_are_known_by_owner_and_name(record, name, known):
    assert identity(of_the_hub(record, name)) == known


def test_what_has_other_classes_or_more_images_than_the_benchmark_is_not_taken_for_it(record, monkeypatch):
    assert identity(of_the_hub(record, "uoft-cs/cifar10", n_classes=9)) == ""
    monkeypatch.setitem(published.HUB_SETS, "uoft-cs/cifar10", published.Benchmark("cifar10", 14, 10))
    assert identity(of_the_hub(record, "uoft-cs/cifar10")) == ""


def test_the_text_of_a_source_alone_makes_no_benchmark(record):
    assert identity(dataclasses.replace(record.tables["elpv"], source="my own cifar10")) == ""


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
        assert re.fullmatch(r"\[\d+\]", second.entries[0].small)
        assert second.entries[3].href.startswith("https://") and "other splits" in table.caption
    assert "deitsch2019" in build_paper(given).bibliography.keys
    cited = build_document(given).sections[-2].blocks[0]
    assert any("Deitsch" in row.entries[1].text for row in cited.rows)


def test_a_known_data_set_without_published_rows_has_the_paper_of_its_images_cited(record):
    table = of_the_hub(record, "zalando-datasets/fashion_mnist")
    given = dataclasses.replace(record, tables={"elpv": table}, targets={"elpv": "label"})
    assert published_of(given, "elpv") == () and "fashion_mnist" not in PUBLISHED
    assert "xiao2017" in build_paper(given, answers={}).bibliography.keys
    assert any("Xiao" in row.entries[1].text for row in build_document(given, {}).sections[-2].blocks[0].rows)
