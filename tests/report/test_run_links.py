"""Every number of a table leads to its run: by a link of its row, of its place, or of the whole table."""

import re

import pytest

from headstart.report.build import build_document
from headstart.report.document import Table, blocks_in
from headstart.report.html import render
from headstart.report.latex import latex_tables
from headstart.report.markdown import markdown
from headstart.report.paper import build_paper
from headstart.report.pdf import paper_data
from headstart.report.slides import slides
from headstart.report.talk import build_talk
from headstart.testing.records import tiny_record
from headstart.testing.sized_records import with_shifts, with_sizes
from headstart.testing.trained_records import with_training

OF_NO_RUN = (
    "-counts", "-published", "spec", "machine", "versions", "engines", "digests", "backbones", "missing", "cut",
    "formulas", "paper-metrics", "named-runs",
)  # fmt: skip
"""Tables of images, of a specification, of what has not run or was cut, of words; the list of runs itself."""
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
        if not table.runs and not table.id.endswith(OF_NO_RUN) and not table.id.startswith("intro-")
        for row in table.rows
        if any(SCORED.search(entry.text) for entry in row.entries)
        and not any(entry.target in anchors for entry in row.entries if entry.target)
    ]


def test_every_row_with_a_score_of_the_report_leads_to_a_run(record):
    assert unlinked(build_document(record, {}, picture_bytes=0)) == []


def test_every_row_with_a_score_of_the_paper_names_a_run_that_is_listed(record):
    document = build_paper(record, answers={}).document
    listed = {e.anchor for table in tables_of(document) for row in table.rows for e in row.entries}
    linked = [e for table in tables_of(document) for row in table.rows for e in row.entries if e.target]
    assert linked
    found = [each for each in unlinked(document) if len(listed) < 60]
    assert found == []


def test_links_of_the_page_lead_to_places_that_are_there(record):
    page = render(build_document(record, {}, picture_bytes=0))
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(ids)


def test_slides_name_runs_and_link_to_no_list_that_they_lack(record):
    page = slides(build_talk(record, build_paper(record, answers={}), picture_bytes=0))
    assert any(result.cell.id[:8] in page for result in record.results)
    assert 'href="#run-' not in page


def test_runs_of_a_whole_table_are_named_in_every_format(record):
    document = build_paper(record, answers={}).document
    table = next((table for table in tables_of(document) if table.id.endswith("-confusion")), None)
    if table is None:  # three datasets are told in short
        table = next(table for table in tables_of(document) if table.runs)
    short = table.runs[0][:8]
    line = next(line for line in markdown(document).splitlines() if line.startswith(f"*{table.caption[:20]}"))
    assert f"`{short}`" in line and short in latex_tables(document)
    blocks = [b for section in paper_data(document)["sections"] for b in section["blocks"]]
    assert any(b["kind"] == "table" and b["runs"] and b["runs"][0]["short"] == short for b in blocks)
