"""Images a class and other test images are told by one document, in report, paper, slides and tables alike."""

import csv
import dataclasses
import html
import io
import json
import re

import pytest

from headstart.report.archive import archive_files
from headstart.report.archive_tables import csv_text, method_rows, run_rows
from headstart.report.build import build_document
from headstart.report.document import Claim, Table, blocks_in
from headstart.report.html import render
from headstart.report.latex import latex_tables
from headstart.report.markdown import markdown
from headstart.report.paper import build_paper
from headstart.report.pdf import paper_data
from headstart.report.sections.images_a_class import crossings_of, images_section, laws_of
from headstart.report.sections.shifted import shift_claims
from headstart.report.slides import slides
from headstart.report.talk import build_talk
from headstart.testing.records import tiny_record
from headstart.testing.sized_records import with_shifts, with_sizes


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    made = tiny_record(tmp_path_factory.mktemp("sized"), per_class=30, seeds=(0, 1))
    return with_shifts(with_sizes(made))


@pytest.fixture(scope="module")
def paper(record):
    return build_paper(record, answers={})


@pytest.fixture(scope="module")
def outputs(record, paper):
    """Every format as text without spaces and marks of its markup."""
    made = {
        "html": render(build_document(record, {}, picture_bytes=0)),
        "markdown": markdown(paper.document),
        "pdf": json.dumps(paper_data(paper.document), ensure_ascii=False),
        "slides": slides(build_talk(record, paper, picture_bytes=0)),
    }
    return {name: flat(text) for name, text in made.items()}


def flat(text):
    return re.sub(r"[\s\u00a0\u200b\\]+", "", html.unescape(text))


def table_of(document, ending):
    return next(
        b for s in document.sections for b in blocks_in(s) if isinstance(b, Table) and b.id.endswith(ending)
    )


def test_what_two_points_more_take_and_where_curves_cross_is_in_every_output(record, outputs):
    section = images_section(record, "shapes", "x")
    claims = [block.text for block in section.blocks if isinstance(block, Claim)]
    assert "for two points more?" in claims[0] and any(
        "is more accurate, with more" in each for each in claims
    )
    for name, text in outputs.items():
        for claim in claims[:2]:
            assert flat(claim) in text, (name, claim)


def test_the_table_of_images_a_class_with_its_laws_is_in_every_output(record, paper, outputs):
    table = next(block for block in images_section(record, "shapes", "x").blocks if isinstance(block, Table))
    titles = [column.title for column in table.columns]
    assert titles == ["method", "2", "4", "8", "all", "levels off at", "law"]
    values = [entry.text for row in table.rows for entry in row.entries[1:-1] if "%" in entry.text]
    assert len(values) >= 8
    for name, text in outputs.items():
        for value in values:
            assert flat(value) in text, (name, value)
        assert flat("levels off at") in text
    assert "levels off at" in latex_tables(paper.document)


def test_accuracy_and_drop_on_other_test_images_are_in_every_output(record, paper, outputs):
    claims = [claim.text for claim in shift_claims(record, "shapes")]
    assert len(claims) == 2
    best = next(row for row in record.summaries if row.method == record.best["shapes"])
    for name, text in outputs.items():
        for claim in claims:
            assert flat(claim) in text, (name, claim)
        for shift in best.shifts:
            assert flat(f"{100 * shift.accuracy.value:.1f} %") in text
            assert flat(f"{100 * shift.drop.value:+.1f}") in text
    titles = [column.title for column in table_of(paper.document, "found-0-methods").columns]
    assert "second folder" in titles and "corrupted" in titles


def test_the_tables_of_the_archive_have_columns_by_kind_of_test_images(record):
    rows = list(csv.DictReader(io.StringIO(csv_text(run_rows(record)))))
    done = next(row for row in rows if row["status"] == "done")
    result = next(each for each in record.results if each.cell.id == done["run"])
    for shift in result.shifts:
        assert float(done[f"{shift.kind} accuracy"]) == shift.accuracy.value
        assert float(done[f"{shift.kind} drop_high"]) == shift.drop.high
        assert done[f"{shift.kind} images"] == shift.name and int(done[f"{shift.kind} n"]) == shift.n


def test_two_datasets_share_their_columns_of_other_test_images(tmp_path):
    record = with_shifts(tiny_record(tmp_path, datasets=("a", "b"), per_class=10, seeds=(0,)))
    rows = method_rows(record)
    named = {name for row in rows for name in row if "accuracy" in name or "drop" in name}
    assert {"folder accuracy", "folder drop", "corruptions accuracy"} <= named
    assert not any("later" in name for name in named)
    assert {row["folder images"] for row in rows if row["status"] == "done"} == {"later a", "later b"}


def test_the_archive_holds_the_laws_and_the_crossings(record):
    files = archive_files(record)[0]
    sized = list(csv.DictReader(io.StringIO(files["images_a_class.csv"].decode())))
    law = laws_of(record, "shapes")[0]
    assert {row["per_class"] for row in sized} == {"all", "2", "4", "8"}
    own = [row for row in sized if row["method"] == law["method"]]
    assert len(own) == 4 and {row["law"] for row in own} == {law["law"]}
    assert {float(row["levels_off_at"]) for row in own} == {law["levels_off_at"]}
    crossings = list(csv.DictReader(io.StringIO(files["crossings.csv"].decode())))
    assert (
        [row["before"] for row in crossings]
        == [each["before"] for each in crossings_of(record, "shapes")]
        != []
    )


def test_without_sizes_and_shifts_nothing_is_said_of_them(tmp_path):
    record = tiny_record(tmp_path, per_class=5, seeds=(0,))
    text = markdown(build_paper(record, answers={}).document)
    assert "second folder" not in text and "levels off at" not in text
    assert "images_a_class.csv" not in archive_files(dataclasses.replace(record))[0]
