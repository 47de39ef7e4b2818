"""Words, tables, drawings and slides never disagree on who is better: whatever the answers, in every format."""

import base64
import dataclasses
import html
import json
import re

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from headstart.measure.verdicts import BETTER, WORSE, compare_all
from headstart.report.answers import Answers
from headstart.report.build import build_document
from headstart.report.document import Claim, Figure, Table, blocks_in
from headstart.report.figures_told import gap_id
from headstart.report.html import render
from headstart.report.markdown import drawings, markdown
from headstart.report.paper import build_paper
from headstart.report.pdf import paper_data
from headstart.report.slides import slides
from headstart.report.talk import build_talk
from headstart.report.told import KINDS, OF_THE_OTHER, told_apart
from headstart.report.verdict import verdict
from headstart.testing.records import tiny_record

N = 120
SKILLS = st.lists(st.sampled_from([0.2, 0.5, 0.55, 0.6, 0.9, 1.0]), min_size=3, max_size=3)


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    """Three finished methods of one seed."""
    made = tiny_record(tmp_path_factory.mktemp("one"), per_class=5, seeds=(0,))
    done = tuple(row for row in made.summaries if row.status == "done")[:3]
    kept = {cell for row in done for cell in row.cells}
    results = tuple(each for each in made.results if each.cell.id in kept)
    return dataclasses.replace(
        made, summaries=done, results=results, n_planned=len(results), cards={}, networks={}, engines=(),
        probabilities={}, test_rows={},
    )  # fmt: skip


def answered(record, skills, seed, runs):
    """Made-up answers: method i is right with the chance `skills[i]`, the same images being hard for all."""
    draw = np.random.default_rng(seed)
    hard = draw.random(N)
    truth = draw.integers(0, 3, N)
    said, cells = {}, {}
    for row, skill in zip(record.summaries, skills, strict=True):
        right = (hard < skill) ^ (draw.random((runs, N)) < 0.04)
        said[row.method] = np.where(right, truth, (truth + 1) % 3)
        cells[row.method] = row.cells
    return Answers(
        "shapes", tuple(said), cells, ("a", "b", "c"), tuple(at % 15 for at in range(N)), truth, said
    )


def kinds_expected(record, answers):
    """By the measuring room alone, without the report."""
    best = record.best["shapes"]
    names = [best, *(name for name in answers.methods if name != best)]
    found = compare_all(names, [answers.correct(name) for name in names], against=0)
    return {pair.b: OF_THE_OTHER.get(pair.kind, pair.kind) for pair in found.pairs}, found.pairs[0].words


def counted(kinds):
    """The counts as the sentence says them."""
    n = {kind: list(kinds.values()).count(kind) for kind in KINDS}
    if len(set(kinds.values())) == 1:
        return [f"All {len(kinds)} other methods are {next(iter(kinds.values()))} "]
    return [f"{k} {'is' if k == 1 else 'are'} {kind}" for kind, k in n.items() if k]


def column(table, title):
    return [each.title for each in table.columns].index(title)


def check_tables(blocks, kinds):
    """Every table that says what a method is against the best says the same; at least one does."""
    seen = 0
    for table in (block for block in blocks if isinstance(block, Table)):
        titles = [each.title for each in table.columns]
        for title in {"it is", "against the best"} & set(titles):
            for row in table.rows:
                whole = " ".join(entry.text for entry in row.entries)
                names = [name for name in kinds if all(word in whole.split() for word in name.split()[2:3])]
                said = row.entries[column(table, title)].text
                assert said in (*KINDS, "the best")
                seen += bool(names)
            told = [row.entries[column(table, title)].text for row in table.rows]
            for kind in KINDS:
                assert told.count(kind) == list(kinds.values()).count(kind)
    assert seen


def marks_drawn(svg):
    """Kinds of the marks of the drawing of gaps, in order, and how many are level or apart beside seconds."""
    return re.findall(r'id="gap-(\d+)-([a-z-]+)"', svg)


def check_drawings(svgs, kinds, order):
    """The marks carry the kinds of their rows; the filled marks are those that cannot be told from the best."""
    gaps = [marks_drawn(svg) for svg in svgs if marks_drawn(svg)]
    assert gaps
    for found in gaps:
        assert [f"gap-{at}-{kind}" for at, kind in found] == [
            gap_id(at, kinds[name]) for at, name in enumerate(order)
        ]
    level = [svg for svg in svgs if re.search(r'id="marks-\d+-(level|apart)"', svg)]
    assert level
    for svg in level:
        groups = re.findall(r'<g id="marks-\d+-(level|apart)">(.*?)</g>\s*</g>', svg, re.DOTALL)
        n = {
            word: sum(body.count("<use ") for each, body in groups if each == word)
            for word in ("level", "apart")
        }
        assert n["apart"] == sum(kind in (BETTER, WORSE) for kind in kinds.values())
        assert n["level"] == 1 + sum(kind not in (BETTER, WORSE) for kind in kinds.values())


def every_block(document):
    return [block for section in document.sections for block in blocks_in(section)]


def flat(text):
    """The text without breaks, ties and signs of markup."""
    return re.sub(r"[\s\u00a0\u200b\\]+", " ", html.unescape(text))


@settings(
    max_examples=12, deadline=None, phases=(Phase.generate,),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(SKILLS, st.integers(0, 10_000), st.sampled_from([1, 1, 3]))
def test_words_tables_and_drawings_agree_in_report_paper_and_talk(record, skills, seed, runs):
    answers = answered(record, skills, seed, runs)
    kinds, words = kinds_expected(record, answers)
    given_answers = {"shapes": answers}
    document = build_document(record, given_answers, picture_bytes=0)
    paper = build_paper(record, answers=given_answers)
    for whole in (document, paper.document):
        blocks = every_block(whole)
        texts = [block.text for block in blocks if isinstance(block, Claim)]
        assert words in texts
        for phrase in counted(kinds):
            assert any(phrase in text for text in texts), (phrase, texts)
        check_tables(blocks, kinds)
        svgs = [block.svg for block in blocks if isinstance(block, Figure)]
        check_drawings(svgs, kinds, [name for name in answers.methods if name != record.best["shapes"]])
    talk = build_talk(record, paper, picture_bytes=0)
    said = [block for slide in (*talk.slides, *talk.backup) for block in slide.blocks]
    assert any(isinstance(block, Claim) and block.text == words for block in said)
    check_tables(said, kinds)


@pytest.mark.parametrize(
    ("skills", "kind"), [([0.55, 0.9, 0.9], "better"), ([0.9, 0.2, 0.9], "worse"), ([0.9, 0.9, 0.9], "")]
)
def test_every_format_holds_the_same_verdict(record, skills, kind):
    answers = answered(record, skills, 3, 1)
    kinds, words = kinds_expected(record, answers)
    assert not kind or kind in kinds.values()
    given_answers = {"shapes": answers}
    paper = build_paper(record, answers=given_answers)
    page = render(build_document(record, given_answers, picture_bytes=0))
    drawn = [
        base64.b64decode(each).decode()
        for each in re.findall(r"data:image/svg\+xml;base64,([A-Za-z0-9+/=]+)", page)
    ]
    order = [name for name in answers.methods if name != record.best["shapes"]]
    check_drawings(drawn, kinds, order)
    texts = {
        "html": page,
        "markdown": markdown(paper.document),
        "pdf": json.dumps(paper_data(paper.document), ensure_ascii=False),
        "slides": slides(build_talk(record, paper, picture_bytes=0)),
    }
    for name, text in texts.items():
        assert flat(words) in flat(text), name
    check_drawings(list(drawings(paper.document).values()), kinds, order)


def test_not_distinguishable_is_a_verdict_that_says_what_could_have_been_seen(record):
    answers = answered(record, [0.6, 0.6, 0.6], 1, 3)
    found = told_apart(record, "shapes", answers)
    said = " ".join(claim.text for claim in verdict(record, "shapes", found).claims)
    assert "not distinguishable" in said and "this study could have seen differences of" in said
