"""Every number leads to its run: by a link of its row, of its place, or of the whole table, in every format."""

import re
from dataclasses import replace

import pytest

from headstart.report.build import build_document
from headstart.report.document import Document, Section, Table, blocks_in
from headstart.report.html import render
from headstart.report.latex import latex_tables
from headstart.report.markdown import markdown
from headstart.report.paper import build_paper
from headstart.report.pdf import paper_data
from headstart.report.run_links import named_in
from headstart.report.slides import slides
from headstart.report.talk import build_talk, numbered
from headstart.testing.records import tiny_record
from headstart.testing.sized_records import with_shifts, with_sizes
from headstart.testing.trained_records import with_training

OF_NO_RUN = (
    "-counts", "-published", "spec", "machine", "versions", "engines", "digests", "backbones", "missing", "cut",
    "formulas", "paper-metrics",
)  # fmt: skip
"""Tables of images, of a specification, of what has not run or was cut, of words; lists of runs are known by name."""
SCORED = re.compile(r"\d+\.\d %")


@pytest.fixture(scope="module", params=["one", "three"])
def record(request, tmp_path_factory):
    names = {"one": ("a",), "three": ("a", "b", "c")}[request.param]
    made = tiny_record(tmp_path_factory.mktemp("links"), datasets=names, per_class=20, seeds=(0, 1))
    return with_training(with_shifts(with_sizes(made)))


def tables_of(document):
    return [b for section in document.sections for b in blocks_in(section) if isinstance(b, Table)]


def unlinked(document):
    """Rows of tables that show a score and lead to no run."""
    anchors = {entry.anchor for table in tables_of(document) for row in table.rows for entry in row.entries}
    return [
        (table.id, [entry.text for entry in row.entries])
        for table in tables_of(document)
        if not table.runs
        and not table.id.endswith(OF_NO_RUN)
        and not table.id.startswith(("intro-", "named-runs"))
        for row in table.rows
        if any(SCORED.search(entry.text) for entry in row.entries)
        and not any(entry.target in anchors for entry in row.entries if entry.target)
    ]


def test_every_row_with_a_score_of_the_report_leads_to_a_run(record):
    assert unlinked(build_document(record, {}, picture_bytes=0)) == []


def test_every_row_with_a_score_of_the_paper_names_a_run_that_is_listed(record):
    document = build_paper(record, answers={}).document
    linked = [e for table in tables_of(document) for row in table.rows for e in row.entries if e.target]
    assert linked
    assert unlinked(document) == []


def test_every_run_that_the_paper_names_is_in_its_list_which_says_where_the_whole_list_is(record):
    document = build_paper(record, answers={}).document
    (table,) = [each for each in tables_of(document) if each.id == "named-runs"]
    named = named_in(block for section in document.sections for block in blocks_in(section))
    assert [row.entries[0].sort for row in table.rows] == [run for run in named if run in record.by_id]
    assert {run for run in named if run not in record.by_id} == set()
    assert f"{len(table.rows)} runs that this paper names, of {len(record.results)} in all" in table.caption
    assert "report.html" in table.caption and "results.csv" in table.caption


def as_document(talk):
    """The slides as sections."""
    return Document(
        "", "", tuple(Section(slide.id, slide.title, slide.blocks) for _, slide in numbered(talk))
    )


def run_lists(record):
    """Every list of runs, of report, paper and slides."""
    paper = build_paper(record, answers={})
    documents = (
        build_document(record, {}, picture_bytes=0),
        paper.document,
        as_document(build_talk(record, paper, picture_bytes=0)),
    )
    return [
        [table for table in tables_of(document) if table.id == "runs" or table.id.startswith("named-runs")]
        for document in documents
    ]


def test_no_two_rows_of_a_list_of_runs_read_alike(record):
    for tables in run_lists(record):
        assert tables
        rows = [tuple(e.text for e in row.entries[1:5]) for table in tables for row in table.rows]
        assert [column.title for column in tables[0].columns[1:5]] == [
            "dataset", "method", "images a class", "seed",
        ]  # fmt: skip
        assert len(set(rows)) == len(rows) and {row[2] for row in rows} >= {"all", "8"}


def test_images_a_class_are_left_out_of_the_list_where_all_runs_have_the_same(tmp_path):
    record = tiny_record(tmp_path, per_class=5, seeds=(0,))
    titles = [[column.title for column in tables[0].columns] for tables in run_lists(record)]
    assert all(each[:4] == ["run", "dataset", "method", "seed"] for each in titles)


def test_links_of_the_markdown_lead_to_places_that_are_there(record):
    text = markdown(build_paper(record, answers={}).document)
    places = re.findall(r'<a id="([^"]+)"></a>', text)
    linked = set(re.findall(r"\]\(#([^)]+)\)", text))
    assert len(places) == len(set(places)) and linked <= set(places)
    assert linked == {place for place in places if place.startswith("run-")}
    best = next(row for row in record.summaries if record.best[row.dataset] == row.method)
    assert f"[`{best.cells[0][:8]}`](#run-{best.cells[0]})" in text
    assert not re.search(r"(?<!\[)`[0-9a-f]{8}`", text)  # no id stands alone


def test_a_run_that_is_not_listed_is_named_without_a_link():
    document = Document("", "", (Section("s", "s", (named_claim("0" * 32),)),))
    assert "`00000000`" in markdown(document) and "](#" not in markdown(document)


def named_claim(*runs):
    from headstart.report.document import Claim

    return Claim("50.0 %", runs)


def test_links_of_the_page_lead_to_places_that_are_there(record):
    page = render(build_document(record, {}, picture_bytes=0))
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(ids)


def test_every_row_with_a_score_of_the_slides_leads_to_a_run_that_their_last_slides_list(record):
    talk = build_talk(record, build_paper(record, answers={}), picture_bytes=0)
    assert unlinked(as_document(talk)) == []
    assert [number for number, slide in numbered(talk) if slide in talk.runs] == [
        f"R{at}" for at in range(1, len(talk.runs) + 1)
    ]
    assert sum(slide.minutes for slide in talk.runs) == 0 and all(
        len(s.blocks[0].rows) <= 12 for s in talk.runs
    )


def test_links_of_the_slides_lead_to_places_that_are_there_and_to_no_other_file(record):
    page = slides(build_talk(record, build_paper(record, answers={}), picture_bytes=0))
    ids = re.findall(r' id="([^"]+)"', page)
    linked = set(re.findall(r'href="#([^"]+)"', page))
    assert len(ids) == len(set(ids)) and linked <= set(ids)
    assert len(linked) > 5 and all(each.startswith("run-") for each in linked)
    assert not re.search(r'href="(?!#|data:|https?://)', page)
    listed = {result.cell.id for result in record.results if f'id="run-{result.cell.id}"' in page}
    assert {f"run-{run}" for run in listed} == linked


def test_slides_of_runs_that_have_no_result_name_them_without_a_link(record):
    talk = build_talk(record, build_paper(record, answers={}), picture_bytes=0)
    page = slides(replace(talk, runs=()))
    assert 'href="#' not in page and any(result.cell.id[:8] in page for result in record.results)


def test_runs_of_a_whole_table_are_named_in_every_format(record):
    document = build_paper(record, answers={}).document
    table = next((table for table in tables_of(document) if table.id.endswith("-confusion")), None)
    if table is None:  # three datasets are told in short
        table = next(table for table in tables_of(document) if table.runs)
    short = table.runs[0][:8]
    line = next(line for line in markdown(document).splitlines() if line.startswith(f"*{table.caption[:20]}"))
    assert f"[`{short}`](#run-{table.runs[0]})" in line and short in latex_tables(document)
    blocks = [b for section in paper_data(document)["sections"] for b in section["blocks"]]
    assert any(b["kind"] == "table" and b["runs"] and b["runs"][0]["short"] == short for b in blocks)
