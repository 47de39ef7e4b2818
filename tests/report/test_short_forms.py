"""Tricks, what tuning was worth and what the audit found: in short in the paper and the slides, in every format."""

import csv
import html
import io
import json
import re
from dataclasses import replace

import pytest

from headstart.methods.tune.found import Worth
from headstart.report import archive, paper
from headstart.report.archive import archive_files
from headstart.report.document import Claim, Table
from headstart.report.latex import latex_tables
from headstart.report.markdown import markdown
from headstart.report.paper import build_paper
from headstart.report.papers import TRICKS as TRICK_PAPERS
from headstart.report.pdf import paper_data, pdf
from headstart.report.sections import tricks
from headstart.report.sections.tuned import TunedWorth
from headstart.report.slides import slides
from headstart.report.talk import MOST_MINUTES, Slide, _in_time, build_talk
from headstart.study.trick_effects import TrickEffect, TrickTable
from headstart.testing.records import tiny_record
from headstart.testing.sized_records import with_shifts, with_sizes

NAMES = ("ema", "mixup", "sam", "swa", "dropout", "cutmix", "erase", "cosine", "clip", "balance")
NOTE = {"design": "one-at-a-time", "asked": NAMES, "of": [{"names": NAMES, "left_out": {}}]}


def finding(severity, message):
    return {
        "check": "duplicates", "kind": "copies", "severity": severity, "message": message, "effect": "scores too high",
        "advice": "drop them", "command": "", "n": 2, "images": [],
    }  # fmt: skip


def audit(*findings, checks=("duplicates", "cues")):
    checked = [{"check": name, "skipped": ""} for name in checks] + [
        {"check": "labels", "skipped": "too many"}
    ]
    return {
        "findings": findings, "checked": checked, "seconds": 1.0, "backbone": "lite0", "splits": "given",
        "data": "shapes", "n_images": 90,
    }  # fmt: skip


AUDIT = audit(
    finding("low", "some images are dark"), finding("high", "3 images lie in train and test"),
    finding("medium", "a class is tiny"), finding("low", "sizes differ"),
)  # fmt: skip


def effect(name, value, half):
    kind = "cannot tell" if abs(value) <= half else "helps" if value > 0 else "hurts"
    p = 0.5 if kind == "cannot tell" else 0.01
    ends = (value - half, value + half)
    return TrickEffect(
        name, (), ("shapes",), kind, value, *ends, *ends, p / 2, p, 300, 3, 4.0, 5.0, 1.4, ("run1",)
    )


def trick_table():
    effects = tuple(effect(name, 0.05 - 0.01 * at, 0.02) for at, name in enumerate(NAMES))
    return TrickTable(
        "finetune", "lite0", "last:1", "224x224", 0, "one-at-a-time", None, ("shapes",), 3, 0.9, effects, (), {},
        ("run1",),
    )  # fmt: skip


def worth(record, at):
    row = record.summaries[at]
    scores = {"value": 0.8, "low": 0.7, "high": 0.9}
    gap = {
        "value": 0.031,
        "low": 0.01,
        "high": 0.05,
        "p": 0.01,
        "test": "McNemar's test (mid-p)",
        "n_differ": 4,
    }
    made = Worth(row.method, 0.85, 0.8, scores, scores, gap, 15, 2, ({"C": 0.3},), False)
    return TunedWorth(row.dataset, made, (), row.cells)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return tiny_record(tmp_path_factory.mktemp("short"), per_class=20, seeds=(0, 1))


@pytest.fixture
def tricky(plain, monkeypatch):
    for module in (tricks, archive):
        monkeypatch.setattr(module, "trick_tables", lambda record: (trick_table(),) if record.tricks else ())
    first, *others = plain.results
    first = replace(first, cell=replace(first.cell, tricks=NAMES[0]))
    return replace(plain, tricks=NOTE, results=(first, *others))


@pytest.fixture
def tuned(plain, monkeypatch):
    worths = {"shapes": [worth(plain, at) for at in range(6)]}
    monkeypatch.setattr(paper, "worths_of", lambda record, answers: worths)
    return plain


def flat(text):
    return re.sub(r"[\s\u00a0\u200b\\]+", "", html.unescape(text))


def outputs(record):
    """The paper and the slides as text without spaces and marks of markup."""
    made = build_paper(record, answers={})
    found = {
        "markdown": markdown(made.document),
        "pdf": json.dumps(paper_data(made.document), ensure_ascii=False),
        "slides": slides(build_talk(record, made, picture_bytes=0)),
    }
    return made, {name: flat(text) for name, text in found.items()}


def part(document, id):
    return next((section for section in document.every if section.id == id), None)


def n_pages(made):
    pytest.importorskip("typst")
    pdfium = pytest.importorskip("pypdfium2")
    return len(pdfium.PdfDocument(pdf(made.document)))


def test_tricks_are_in_every_output_with_the_surest_first_and_their_papers(tricky):
    made, texts = outputs(tricky)
    found = part(made.document, "tricks")
    (table,) = (block for block in found.blocks if isinstance(block, Table))
    assert len(table.rows) == tricks.SHORT_ROWS < len(NAMES) and "tricks.csv" in table.caption
    assert [column.title for column in table.columns] == [
        "trick",
        "gains",
        "verdict",
        "p",
        "training",
        "runs",
    ]
    claim = next(block for block in found.blocks if isinstance(block, Claim))
    for name, text in texts.items():
        assert flat(claim.text) in text, name
        assert flat(table.rows[0].entries[0].text) in text and flat("+5.0") in text
    assert flat(table.rows[0].entries[0].text) in flat(latex_tables(made.document))
    assert set(TRICK_PAPERS["ema"]) <= set(made.bibliography.keys)
    assert "Holm" in " ".join(
        getattr(block, "text", "") for block in part(made.document, "statistics").blocks
    )
    assert 4 <= n_pages(made) <= 8


def test_what_tuning_was_worth_is_in_every_output(tuned):
    made, texts = outputs(tuned)
    found = part(made.document, "found-0-tuned")
    first, second, table = found.blocks
    assert len(table.rows) == 4 and "The first 4 of 6 are shown." in table.caption
    for name, text in texts.items():
        assert flat(first.text) in text and flat(second.text) in text, name
        assert flat("+3.1") in text
    assert "What tuning was worth is a difference" in part(made.document, "statistics").blocks[1].text
    assert 4 <= n_pages(made) <= 8


def test_what_the_audit_found_answers_whether_the_images_are_consistent(plain):
    _, texts = outputs(replace(plain, audits={"shapes": AUDIT}))
    said = (
        "Is it consistent? A fast audit before the first run (duplicates and cues) has 4 findings (1 high, 1 medium and "
        "2 low): 3 images lie in train and test; a class is tiny; some images are dark; 1 more is in the HTML report."
    )
    for name, text in texts.items():
        assert flat(said) in text and flat("near copies are not looked for") not in text, name
    for name, text in outputs(replace(plain, audits={"shapes": audit()}))[1].items():
        assert (
            flat("Is it consistent? A fast audit before the first run (duplicates and cues) has no finding.")
            in text
        ), name
    for given in ({}, {"shapes": {**audit(), "error": "no memory"}}):
        for name, text in outputs(replace(plain, audits=given))[1].items():
            assert flat("near copies are not looked for here") in text, name


def test_of_many_datasets_the_audit_is_counted_in_their_table(tmp_path):
    record = tiny_record(tmp_path, datasets=("a", "b", "c"), per_class=5, seeds=(0,))
    made = build_paper(replace(record, audits={"a": AUDIT, "b": audit()}), answers={})
    table = part(made.document, "intro-images").blocks[0]
    assert [row.entries[6].small for row in table.rows] == [
        "audit: 1 high, 1 medium and 2 low",
        "audit: nothing",
        "",
    ]


def test_the_archive_holds_the_effects_of_tricks(tricky, plain):
    files = archive_files(tricky)[0]
    rows = list(csv.DictReader(io.StringIO(files["tricks.csv"].decode())))
    assert [row["trick"] for row in rows] == list(NAMES)
    assert float(rows[0]["effect"]) == 0.05 and rows[0]["kind"] == "helps" and rows[0]["datasets"] == "shapes"
    assert "tricks.csv" not in archive_files(plain)[0]


@pytest.mark.parametrize("kind", ["tuned", "tricky"])
def test_the_paper_and_the_talk_of_all_that_there_is_keep_their_length(request, kind):
    record = replace(with_shifts(with_sizes(request.getfixturevalue(kind))), audits={"shapes": AUDIT})
    made, _ = outputs(record)
    assert 4 <= n_pages(made) <= 8
    talk = build_talk(record, made, picture_bytes=0)
    assert 15 <= talk.minutes <= 20
    assert {"tuned": "tuned", "tricky": "tricks"}[kind] in {
        slide.id for slide in (*talk.slides, *talk.backup)
    }


def test_a_talk_that_is_too_long_puts_the_least_needed_slides_behind_it():
    ids = ("question", "figure-layers", "told-1", "errors", "conclusion")
    kept, put_back = _in_time([Slide(id, id, (), 5.0) for id in ids])
    assert sum(slide.minutes for slide in kept) <= MOST_MINUTES
    assert [slide.id for slide in kept] == ["question", "told-1", "errors", "conclusion"]
    assert [(slide.id, slide.minutes) for slide in put_back] == [("figure-layers", 0.0)]
