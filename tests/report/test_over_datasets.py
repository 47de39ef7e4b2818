"""Methods over several data sets: the diagram draws the groups that the words and the table tell."""

import dataclasses
import re

import numpy as np
import pytest

from headstart.measure.many import compare_over_datasets
from headstart.measure.power import smallest_over_datasets
from headstart.report.document import Claim, Figure, Paragraph, Table
from headstart.report.figures_told import Ranked, critical_difference
from headstart.report.naming import short_names
from headstart.report.paper import build_paper
from headstart.report.sections import over_datasets as part
from headstart.report.sections.over_datasets import (
    bayes_chances,
    chance_words,
    over_datasets,
    over_datasets_section,
)
from headstart.testing.records import tiny_record
from headstart.testing.trained_records import with_training


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    return tiny_record(
        tmp_path_factory.mktemp("over"), datasets=("a", "b", "c", "d"), per_class=10, seeds=(0,)
    )


def blocks(record, kind):
    return [block for block in over_datasets_section(record).blocks if isinstance(block, kind)]


def test_words_table_and_diagram_agree_on_who_cannot_be_told_apart(record):
    found = over_datasets(record)
    claims, (diagram, _), (table,) = blocks(record, Claim), blocks(record, Figure), blocks(record, Table)
    best = found.order[0]
    level = [
        m for m in found.order[1:] if found.holm_p[found.methods.index(best)][found.methods.index(m)] >= 0.05
    ]
    assert f"{best} has the best mean rank" in claims[0].text
    assert len(level) == len(found.order) - 1  # four data sets tell nothing apart
    assert f"not distinguishable from any of the other {len(level)} methods" in claims[0].text
    assert "gives no p below 0.125" in claims[1].text
    assert re.findall(r'id="group-(\d+)"', diagram.svg) == ["0"]
    assert [row.entries[0].text for row in table.rows] == list(found.order)
    assert all(row.entries[3].sort >= 0.05 for row in table.rows[1:])


def made(monkeypatch, scores, names):
    """A comparison of these scores in place of the record's."""
    found = compare_over_datasets(names, scores)
    monkeypatch.setattr(part, "over_datasets", lambda record: found)
    return found


def test_methods_that_are_told_apart_have_no_bar_in_common(record, monkeypatch):
    names = [row.method for row in record.summaries if row.dataset == "a"][:3]
    draw = np.random.default_rng(0)
    base = 0.5 + 0.1 * draw.random((20, 1))
    scores = np.hstack([base + 0.2, base + 0.19 + 0.02 * draw.random((20, 1)), base])
    found = made(monkeypatch, scores, names)
    claims, (diagram, chances), _ = blocks(record, Claim), blocks(record, Figure), blocks(record, Table)
    assert len(found.holm_groups) == 1 and names[2] not in found.holm_groups[0]
    assert re.findall(r'id="group-(\d+)"', diagram.svg) == ["0"]
    assert "Not told apart: " in claims[1].text and names[2] not in claims[1].text.split("Not told apart")[1]
    assert chances.svg.startswith("<svg")


def test_where_every_pair_is_told_apart_there_is_no_bar(record, monkeypatch):
    names = [row.method for row in record.summaries if row.dataset == "a"][:3]
    base = np.linspace(0.5, 0.6, 20)[:, None]
    draw = np.random.default_rng(1)
    made(monkeypatch, np.hstack([base + 0.3, base + 0.15, base]) + 0.01 * draw.random((20, 3)), names)
    diagram = blocks(record, Figure)[0]
    assert "group-" not in diagram.svg and "every pair is told apart" in diagram.caption


def test_the_chances_add_to_one_and_say_when_it_stays_open(record):
    found = over_datasets(record)
    for other, chance in bayes_chances(found):
        assert chance.a_better + chance.same + chance.b_better == pytest.approx(1)
        said = chance_words(found, (other, chance))
        sure = max(chance.a_better, chance.same, chance.b_better) >= 0.95
        assert ("stays open" in said) != sure and "within 1 point of accuracy" in said


def test_a_group_that_is_no_run_of_neighbours_is_drawn_with_its_members():
    svg = critical_difference([Ranked("a", 1.0), Ranked("b", 2.0), Ranked("c", 3.0)], [(0, 2)], 3)
    assert svg.count('id="group-') == 1


def test_the_paper_has_the_diagram_and_cites_it(record):
    paper = build_paper(record)
    assert {"demsar2006", "benavoli2017"} <= set(paper.bibliography.keys)
    over = next(
        part for section in paper.document.sections for part in section.parts if part.id == "over-datasets"
    )
    assert [block.id for block in over.blocks if isinstance(block, Figure)] == [
        "over-datasets-diagram", "over-datasets-chances",
    ]  # fmt: skip


def test_short_names_leave_out_what_all_share_and_are_never_equal(tmp_path):
    rows = with_training(tiny_record(tmp_path, per_class=5, seeds=(0,))).summaries
    names = short_names(rows)
    assert len(set(names.values())) == len(names) == len({row.method for row in rows})
    assert all(len(short) <= len(whole) for whole, short in names.items())


def test_the_section_says_what_so_many_data_sets_could_have_shown(record, monkeypatch):
    names = [row.method for row in record.summaries if row.dataset == "a"][:3]
    draw = np.random.default_rng(2)
    scores = 0.7 + 0.02 * draw.normal(size=(14, 3)) + [0.0, 0.01, 0.05]
    found = made(monkeypatch, scores, names)
    claims, (table,) = blocks(record, Claim), blocks(record, Table)
    seen = part.could_see(found)
    first, second = found.order[:2]
    spread = np.std(np.subtract(*(scores[:, names.index(n)] for n in (first, second))), ddof=1)
    at = [found.methods.index(n) for n in (first, second)]
    factor = found.holm_p[at[0]][at[1]] / found.wilcoxon_p[at[0]][at[1]]
    expected = smallest_over_datasets(14, spread, np.random.default_rng(0), alpha=0.05 / factor)
    assert seen[second] == pytest.approx(expected, rel=1e-6)
    assert f"a mean difference of {100 * expected:.1f} points of accuracy or more" in claims[1].text
    assert [row.entries[5].sort for row in table.rows] == [None, seen[second], seen[found.order[2]]]


def test_too_few_data_sets_could_have_shown_nothing_and_it_is_said(record):
    claims, (table,) = blocks(record, Claim), blocks(record, Table)
    assert "4 data sets are too few for it to tell any two apart" in claims[0].text
    assert "it cannot tell any two apart. More data sets would." in claims[1].text
    assert all(row.entries[5].text == "—" or row.entries[5].sort is None for row in table.rows)


def paragraphs(record):
    return " ".join(
        block.text for block in over_datasets_section(record).blocks if isinstance(block, Paragraph)
    )


def test_methods_and_data_sets_that_take_no_part_are_counted_and_named(record):
    assert len(over_datasets(record).methods) == 10
    said = paragraphs(record)
    assert "Left out: 2 of 12 methods whose runs have not all finished on every data set: " in said
    for layer in ("stage3", "pool"):  # the one failed, the other never ran
        assert f"features lite0 {layer} avg knn 224px (on a, b, c and 1 more)" in said
    best = {name: method for name, method in record.best.items() if name != "d"}
    rest = dataclasses.replace(record, best=best)
    assert over_datasets(rest).n_datasets == 3
    assert paragraphs(rest).endswith("1 data set on which nothing has finished: d.")


def test_one_failed_seed_leaves_a_method_out_aloud(record):
    found = over_datasets(record)
    name = found.order[-1]
    rows = tuple(
        dataclasses.replace(row, status="partial") if (row.method, row.dataset) == (name, "b") else row
        for row in record.summaries
    )
    short = dataclasses.replace(record, summaries=rows)
    assert name not in over_datasets(short).methods
    assert f"{name} (on b)" in part.left_out_words(short)
    assert "Left out: 3 of 12 methods" in part.left_out_words(short)


def test_two_data_sets_have_no_ranks_and_it_is_told_why(tmp_path):
    two = tiny_record(tmp_path, datasets=("a", "b"), per_class=5, seeds=(0,))
    said = paragraphs(two)
    assert "2 data sets have a finished method, and ranks over fewer than 3 tell nothing" in said
    waiting = dataclasses.replace(two, best={})
    assert "nothing has finished" in paragraphs(waiting)
    one = dataclasses.replace(two, summaries=tuple(row for row in two.summaries if row.dataset == "a"))
    assert over_datasets_section(one) is None
