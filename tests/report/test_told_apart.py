"""Can the methods be told apart: the section's words and table are the verdicts themselves."""

import dataclasses

import numpy as np
import pytest

from headstart.measure.verdicts import compare_all
from headstart.report.answers import load_answers
from headstart.report.build import build_document
from headstart.report.document import Paragraph
from headstart.report.sections.over_datasets import over_datasets, over_datasets_section
from headstart.report.sections.told_apart import told_apart_section, told_table
from headstart.report.told import OF_THE_OTHER, told_apart
from headstart.study.record import load_record
from headstart.testing.records import tiny_record
from headstart.testing.stored_studies import stored_study


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    folder = tmp_path_factory.mktemp("told")
    stored_study(folder, seeds=(0, 1))
    return load_record(folder / "study")


@pytest.fixture(scope="module")
def answers(record):
    return load_answers(record)["shapes"]


def test_the_answers_are_those_of_the_store(record, answers):
    assert answers.methods[0] == record.best["shapes"]
    assert len(answers.rows) == 15 and answers.seed is None
    for name in answers.methods:
        row = next(row for row in record.summaries if row.method == name)
        assert answers.correct(name).mean() == pytest.approx(row.scores["accuracy"].value)


def test_methods_that_failed_in_part_are_not_compared(record, answers):
    partial = [row.method for row in record.summaries if row.status != "done"]
    assert partial and not set(partial) & set(answers.methods)


def test_table_and_words_agree_with_the_verdicts(record, answers):
    found = told_apart(record, "shapes", answers)
    names = [found.best.method, *(name for name in answers.methods if name != found.best.method)]
    expected = compare_all(names, [answers.correct(name) for name in names], against=0)
    assert found.verdicts == expected
    table = told_table(found, "x")
    for row, pair in zip(table.rows, expected.pairs, strict=True):
        assert row.entries[0].text == pair.b and row.entries[5].text == OF_THE_OTHER.get(pair.kind, pair.kind)
        assert row.entries[2].sort == pair.difference.value and row.entries[3].sort == pair.p
    section = told_apart_section(record, found, "x")
    assert section.blocks[0].text == expected.pairs[0].words
    for kind, methods in found.methods_by_kind().items():
        n = len(methods)
        assert f"{n} {'is' if n == 1 else 'are'} {kind}" in section.blocks[1].text or n == len(expected.pairs)


def test_pairs_with_the_best_are_shown_and_corrected_for_every_pair(record, answers):
    pairs, k = told_apart(record, "shapes", answers).verdicts.pairs, len(answers.methods)
    assert {pair.a for pair in pairs} == {record.best["shapes"]} and len(pairs) == k - 1
    assert {pair.n_pairs for pair in pairs} == {k * (k - 1) // 2}


def test_every_sentence_names_its_runs(record, answers):
    known = {result.cell.id for result in record.results}
    for block in told_apart_section(record, told_apart(record, "shapes", answers), "x").blocks:
        if block.kind == "claim":
            assert block.runs and set(block.runs) <= known


def test_without_a_store_there_is_no_such_section(tmp_path):
    record = tiny_record(tmp_path, per_class=5, seeds=(0,))
    assert load_answers(record) == {}
    assert told_apart_section(record, None, "x") is None
    titles = [part.title for section in build_document(record).sections for part in section.parts]
    assert "Can they be told apart?" not in titles


def test_the_report_holds_the_section(record):
    parts = [
        part for section in build_document(record, load_answers(record)).sections for part in section.parts
    ]
    assert "Can they be told apart?" in [part.title for part in parts]


def over_splits(record, n):
    """The record with n seeds, each with a split of its own."""
    results, rows = [], []
    for row in record.summaries:
        own = [r for r in record.results if r.cell.id in row.cells and r.status == "done"]
        if row.status != "done":
            continue
        made = [
            dataclasses.replace(r, cell=dataclasses.replace(r.cell, split_digest=f"{r.cell.seed:032x}"))
            for r in own
        ]
        results += made
        rows.append(dataclasses.replace(row, cells=tuple(r.cell.id for r in made)))
    return dataclasses.replace(record, results=tuple(results), summaries=tuple(rows))


def test_five_splits_are_compared_by_the_corrected_t_test(tmp_path):
    record = over_splits(tiny_record(tmp_path, per_class=10, seeds=(0, 1, 2, 3, 4)), 5)
    found = told_apart(record, "shapes", None)
    assert found.test == "corrected_t" and "over 5 splits" in found.how
    assert all(len(found.runs[name]) == 5 for name in found.verdicts.methods)


def test_one_given_split_is_compared_on_its_images_whatever_the_seeds(tmp_path):
    stored_study(tmp_path, seeds=(0, 1))
    record = load_record(tmp_path / "study")
    assert told_apart(record, "shapes", load_answers(record)["shapes"]).test == "mcnemar"


def test_three_data_sets_are_compared_over_them(tmp_path):
    record = tiny_record(tmp_path, datasets=("a", "b", "c"), per_class=5, seeds=(0,))
    found = over_datasets(record)
    assert found.n_datasets == 3 and np.isclose(sum(found.mean_ranks), sum(range(1, len(found.methods) + 1)))
    section = over_datasets_section(record)
    assert "best mean rank" in section.blocks[0].text and "Friedman" in section.blocks[1].text
    table = section.blocks[-1]
    assert len(table.rows) == len(found.methods)


def test_two_data_sets_are_not(tmp_path):
    section = over_datasets_section(tiny_record(tmp_path, datasets=("a", "b"), per_class=5, seeds=(0,)))
    assert not [block for block in section.blocks if not isinstance(block, Paragraph)]
    assert "tell nothing" in section.blocks[0].text
