"""Methods by data sets: a row for each way of using a network, and signs that are those of the paired verdicts."""

import dataclasses
import json
import re

import numpy as np
import pytest

from headstart.measure.verdicts import WORSE
from headstart.report.answers import Answers
from headstart.report.build import build_document
from headstart.report.document import Claim, Figure, Table, blocks_in
from headstart.report.html import render
from headstart.report.latex import latex_tables
from headstart.report.markdown import markdown
from headstart.report.paper import build_paper
from headstart.report.pdf import paper_data
from headstart.report.sections.every_dataset import BEST, SIGNS, every_dataset, kind_of, leaders
from headstart.report.slides import slides
from headstart.report.talk import build_talk
from headstart.report.told import told_all
from headstart.testing.records import tiny_record
from headstart.testing.trained_records import with_training

NAMES = ("a", "b", "c", "d")
SKILLS = (0.95, 0.94, 0.9, 0.4, 0.9, 0.93)
"""How often each method is right: some cannot be told from the best, one is far worse."""


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    made = tiny_record(tmp_path_factory.mktemp("every"), datasets=NAMES, per_class=10, seeds=(0,))
    return with_training(made)


def answered(record, name, seed):
    """Made-up answers of the finished methods of a data set, the same images being hard for all."""
    draw, n = np.random.default_rng(seed), 200
    hard, truth = draw.random(n), draw.integers(0, 3, n)
    rows = [row for row in record.summaries if row.dataset == name and row.status == "done"]
    said = {
        row.method: np.where((hard < skill) ^ (draw.random((1, n)) < 0.03), truth, (truth + 1) % 3)
        for row, skill in zip(rows, SKILLS * 4, strict=False)
    }
    cells = {row.method: row.cells for row in rows}
    return Answers(name, tuple(said), cells, ("x", "y", "z"), tuple(at % 30 for at in range(n)), truth, said)


@pytest.fixture(scope="module")
def answers(record):
    return {name: answered(record, name, seed) for seed, name in enumerate(NAMES)}


@pytest.fixture(scope="module")
def told(record, answers):
    return told_all(record, answers)


@pytest.fixture(scope="module")
def paper(record, answers):
    return build_paper(record, answers=answers)


def table_of(document):
    found = [b for s in document.sections for b in blocks_in(s) if isinstance(b, Table)]
    return next(table for table in found if table.id == "every-dataset")


def test_each_sign_is_the_verdict_of_the_paired_test_on_that_method_and_data_set(record, told, paper):
    table, seen = table_of(paper.document), set()
    titles = [column.title for column in table.columns]
    by = {(row.method, row.dataset): row for row in record.summaries}
    for row in table.rows:
        for at, name in enumerate(titles):
            if name not in NAMES or row.entries[at].sort is None:
                continue
            method, entry = row.entries[0].text, row.entries[at]
            summary = by[method, name]
            assert entry.sort == summary.scores["accuracy"].value
            best = record.best[name] == method
            kind = BEST if best else told[name].kind(method)
            assert entry.text.split("\u00a0")[2:] == ([SIGNS[kind]] if kind else [])
            seen.add(kind)
    assert {BEST, WORSE, "not distinguishable"} <= seen
    for kind in seen - {BEST, ""}:
        assert f"{SIGNS[kind]} {kind}" in table.caption
    assert "* is the best there" in table.caption and "Look for a row" in table.caption


def test_the_leader_of_every_scenario_on_every_data_set_has_a_row(record, paper):
    rows = {row.entries[0].text for row in table_of(paper.document).rows}
    scored = [row for row in record.summaries if "accuracy" in row.scores and row.status == "done"]
    for name in NAMES:
        for scenario in {row.scenario for row in scored if row.dataset == name}:
            own = [row for row in scored if (row.dataset, row.scenario) == (name, scenario)]
            assert max(own, key=lambda row: row.standing or 0).method in rows
    assert {"scratch", "full", "finetune", "features"} <= {row.scenario for row in scored}


def test_of_many_methods_those_that_lead_a_scenario_are_shown_and_that_is_said(record, told):
    lead = leaders(record)
    assert set(lead[: len(set(record.best.values()))]) == set(record.best.values())
    (whole,) = [b for b in every_dataset(record, told) if isinstance(b, Table)]
    top = whole.rows[0].entries[0].text
    (table,) = [b for b in every_dataset(record, told, most=len(lead) + 1) if isinstance(b, Table)]
    rows = [row.entries[0].text for row in table.rows]
    assert set(rows) == {top, *lead} and len(rows) < len(whole.rows)
    assert (
        f"{len(rows)} of {len(whole.rows)} methods are shown: those that rank first or lead" in table.caption
    )


def test_many_data_sets_fill_several_tables_each_with_every_method(record, told):
    parts = [b for b in every_dataset(record, told, wide=3) if isinstance(b, Table)]
    shown = [[c.title for c in table.columns if c.title in NAMES] for table in parts]
    assert shown == [["a", "b", "c"], ["d"]] and len({table.id for table in parts}) == 2
    assert [row.entries[0].text for row in parts[0].rows] == [row.entries[0].text for row in parts[1].rows]


def test_it_says_which_methods_are_nowhere_worse_by_the_same_verdicts(record, told):
    (claim,) = [b for b in every_dataset(record, told) if isinstance(b, Claim)]
    done = {(row.method, row.dataset): row for row in record.summaries if row.status == "done"}
    whole = [m for m in {method for method, _ in done} if all((m, name) in done for name in NAMES)]
    kinds = {m: {kind_of(record, done[m, name], told[name]) for name in NAMES} for m in whole}
    held = [m for m in whole if WORSE not in kinds[m]]
    assert f"Of {len(whole)} methods that finished on all 4 data sets, {len(held)} " in claim.text
    assert 0 < len(held) < len(whole)
    assert [name for name in whole if name in claim.text and name not in held] == []


def test_without_answers_there_are_no_signs_and_it_is_said(record):
    (table,) = every_dataset(record, dict.fromkeys(NAMES))
    signs = {e.text.split("\u00a0")[-1] for row in table.rows for e in row.entries[2:] if e.sort is not None}
    assert signs == {"%", "*"} and "without a sign: not compared" in table.caption


def test_two_data_sets_have_no_such_table(tmp_path):
    record = tiny_record(tmp_path, datasets=("a", "b"), per_class=5, seeds=(0,))
    assert every_dataset(record, told_all(record, {})) == []


def flat(text):
    return re.sub(r"[\s\u00a0\u200b\\{}$]+", "", text)


def test_it_stands_in_every_format(record, answers, paper):
    table = table_of(paper.document)
    first = next(row.entries for row in table.rows if row.entries[0].text == record.best["a"])
    page = render(build_document(record, answers, picture_bytes=0))
    made = {
        "pdf": json.dumps(paper_data(paper.document), ensure_ascii=False),
        "markdown": markdown(paper.document),
        "html": page,
        "slides": slides(build_talk(record, paper, picture_bytes=0)),
    }
    for name, text in made.items():
        for entry in first:
            assert flat(entry.text) in flat(text), (name, entry.text)
    latex = latex_tables(paper.document)
    line = next(line for line in latex.splitlines() if line.startswith(first[0].text))
    assert line.count(r"\%") == sum("%" in entry.text for entry in first) > 0 and r"$\approx$" in latex
    assert re.search(r'href="#run-[0-9a-f]+">', page[page.index('id="every-dataset"') :])


def test_the_talk_has_a_result_of_every_data_set_and_the_diagram(record, paper):
    talk = build_talk(record, paper, picture_bytes=0)
    assert 15 <= talk.minutes <= 20
    by_id = {slide.id: slide for slide in talk.slides}
    (table,) = [block for block in by_id["every"].blocks if isinstance(block, Table)]
    assert set(NAMES) <= {column.title for column in table.columns}
    assert {"features", "finetune", "full", "scratch"} <= {
        row.entries[0].text.split()[0] for row in table.rows
    }
    assert [b.id for b in by_id["ranks"].blocks if isinstance(b, Figure)] == ["over-datasets-diagram"]
    (short,) = by_id["short"].blocks
    assert [row.entries[0].text for row in short.rows] == list(NAMES)
    behind = [slide.title for slide in talk.backup]
    assert [f"The result on {name}" in behind for name in NAMES] == [False, True, True, True]
    others = [slide for slide in talk.slides if slide.title == "The result on a"]
    assert len(others) == 1 and all(slide.minutes == 0 for slide in talk.backup)


def test_the_images_of_a_talk_are_of_every_data_set_told_together(record, paper):
    slide = next(s for s in build_talk(record, paper).slides if s.id == "images")
    gallery = slide.blocks[-1]
    assert slide.title == "The images" and [title for title, _, _ in gallery.groups] == list(NAMES)


def test_a_conclusion_of_many_data_sets_names_the_best_of_each(record, paper):
    part = next(s for s in paper.document.sections if s.id == "conclusion")
    said = part.blocks[0].text
    assert all(f"{record.best[name]} on {name} (" in said for name in NAMES)
    assert part.blocks[1].text.startswith("Over 4 data sets")


def test_a_method_that_failed_on_a_data_set_has_a_gap_there(record, told):
    name = record.summaries[0].method
    rows = tuple(
        dataclasses.replace(row, scores={}, status="failed")
        if (row.method, row.dataset) == (name, "b")
        else row
        for row in record.summaries
    )
    (table,) = [
        b for b in every_dataset(dataclasses.replace(record, summaries=rows), told) if isinstance(b, Table)
    ]
    row = next(row for row in table.rows if row.entries[0].text == name)
    at = [column.title for column in table.columns].index("b")
    assert (row.entries[at].text, row.entries[at].sort) == ("–", None)
