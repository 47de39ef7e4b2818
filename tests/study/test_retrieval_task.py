"""The task retrieval: layers ranked for search, copies left out, chosen outside test."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from headstart.measure.paired_values import compare_all_values
from headstart.report.build import build_document, write_report
from headstart.report.document import blocks_in
from headstart.report.figures_told import gap_id
from headstart.report.sections.retrieval import ranked_for_search, retrieval_section, search_claims
from headstart.report.summary import summary_lines
from headstart.report.told import OF_THE_OTHER
from headstart.report.told_search import search_told
from headstart.study.execute import run_study
from headstart.study.partition import make_dataset
from headstart.study.record import load_record
from headstart.study.retrieval import run_retrieval_cell
from headstart.study.spec import StudySpec
from headstart.testing.images import split_folders
from headstart.testing.plans import GIVEN, planned, table


def searched(features, judge=None, search="cosine", n=90):
    data = make_dataset(table(n, GIVEN), "class", seeds=1, folds=0)
    spec = StudySpec(data=("x",), task=("retrieval",), layer=("pool",), search=(search,))
    (cell,) = planned(spec, [table(n, GIVEN)]).cells
    assert cell.scenario == "retrieval" and cell.seed is None
    return run_retrieval_cell(cell, data, features, features if judge is None else judge).result, data


def apart(n=90, spread=0.1, seed=0):
    rng = np.random.default_rng(seed)
    return (np.eye(3)[np.arange(n) % 3] + rng.normal(0, spread, (n, 3))).astype(np.float32)


@pytest.mark.parametrize("search", ["cosine", "l2"])
def test_classes_that_lie_apart_are_found_whole(search):
    noise = np.random.default_rng(1).normal(size=(90, 8)).astype(np.float32)
    result, data = searched(apart(), noise, search)
    assert result.status == "done" and result.scores["map"].value == pytest.approx(1)
    assert result.selection == pytest.approx(1) and result.selected_on == "validation"
    assert result.n_test == 18 and set(result.per_class) == set(data.classes())


def test_features_without_meaning_find_about_the_share_of_the_class():
    noise = np.random.default_rng(2).normal(size=(300, 16)).astype(np.float32)
    result, _ = searched(noise, n=300)
    assert 0.3 < result.scores["map"].value < 0.45


def test_copies_of_the_query_are_no_hits():
    features = np.random.default_rng(3).normal(size=(90, 16)).astype(np.float32)
    judge = np.random.default_rng(4).normal(size=(90, 16)).astype(np.float32)
    data = make_dataset(table(90, GIVEN), "class", seeds=1, folds=0)
    fold = data.partition(None).folds[0]
    codes = data.codes()
    for query in fold.test:  # one training image of the class is a copy, in the layer and for the judge
        twin = next(row for row in fold.train if codes[row] == codes[query])
        features[twin], judge[twin] = features[query], judge[query]
    result, _ = searched(features, judge)
    with_copies, _ = searched(features, np.random.default_rng(5).normal(size=(90, 16)).astype(np.float32))
    assert result.chosen["copies"] > 0 == with_copies.chosen["copies"]
    assert result.scores["map"].value < with_copies.scores["map"].value


def test_a_study_ranks_layers_for_search_and_for_classes_side_by_side(shapes, tmp_path):
    spec = StudySpec(
        data=(str(shapes),), task=("classification", "retrieval"), head=("lda",), layer=("stage6", "pool"),
        search=("cosine", "whitened"), seeds=1,
    )  # fmt: skip
    run_study(spec, tmp_path / "out")
    record = load_record(tmp_path / "out")
    assert {row.scenario for row in record.summaries} == {"features"}
    assert len(record.retrieval) == 4 and len(record.best_retrieval) == 1
    chosen = max(record.retrieval, key=lambda row: row.selection)
    assert record.best_retrieval[chosen.dataset] == chosen.method
    summary = summary_lines(record)
    assert [row["best"] for row in summary.searches] == [True, False, False, False]
    assert any("For search" in line for line in summary.verdict)
    assert "Search" in [section.title for section in build_document(record).every]


def test_a_study_of_search_alone_has_a_report(shapes, tmp_path):
    spec = StudySpec(data=(str(shapes),), task=("retrieval",), layer=("pool",), seeds=1, folds=3)
    record = run_study(spec, tmp_path / "out")
    assert not record.best and record.best_retrieval
    assert record.results[0].n_test == len(record.tables[record.retrieval[0].dataset])
    text = write_report(record, tmp_path / "report.html").read_text("utf-8")
    assert "Nothing has finished" not in text and "mAP" in text


@pytest.fixture(scope="module")
def two_ways(tmp_path_factory):
    """Two layers compared in two ways each, on given splits."""
    folder = tmp_path_factory.mktemp("ways")
    data = split_folders(folder / "given")
    spec = StudySpec(
        data=(str(data),),
        task=("retrieval",),
        layer=("stage3", "pool"),
        search=("cosine", "whitened"),
        seeds=1,
    )
    run_study(spec, folder / "out", audits=False)
    return load_record(folder / "out")


def found_of(record):
    """The average precision of each query, by method, the best first."""
    rows = ranked_for_search(record, "given")
    return {row.method: record.probabilities[row.cells[0]][:, 0] for row in rows}


def test_the_average_precision_of_each_query_is_kept_and_is_that_of_the_score(two_ways):
    found = found_of(two_ways)
    for row in two_ways.retrieval:
        assert np.nanmean(found[row.method]) == pytest.approx(row.scores["map"].value, abs=1e-6)
        test = two_ways.tables["given"].rows("test")
        assert sorted(two_ways.test_rows[row.cells[0]]) == list(test)


def test_ways_of_searching_are_told_apart_by_a_paired_test_in_words_table_and_drawing(two_ways):
    found = found_of(two_ways)
    expected = compare_all_values(list(found), list(found.values()), against=0)
    told = search_told(two_ways, ranked_for_search(two_ways, "given"))
    kinds = {pair.b: OF_THE_OTHER.get(pair.kind, pair.kind) for pair in expected.pairs}
    assert {name: told.kind(name) for name in list(found)[1:]} == kinds
    assert [pair.p for pair in told.verdicts.pairs] == [pair.p for pair in expected.pairs]
    assert {pair.n_pairs for pair in told.verdicts.pairs} == {6}
    said = [claim.text for claim in search_claims(two_ways, "given")]
    assert said[1] == told.verdicts.pairs[0].words and "mAP" in said[1]
    assert "by a paired t-test over images, with Holm's correction for 6 pairs of methods" in said[2]
    blocks = list(blocks_in(retrieval_section(two_ways, "given", "x")))
    (table,) = (block for block in blocks if getattr(block, "id", "") == "x-table")
    at = [column.title for column in table.columns].index("against the best")
    assert [row.entries[at].text for row in table.rows] == ["the best", *kinds.values()]
    drawn = [
        mark for block in blocks for mark in re.findall(r'id="(gap-[a-z0-9-]+)"', getattr(block, "svg", ""))
    ]
    shown = [pair for pair in told.verdicts.pairs if hasattr(pair.difference, "low")]
    assert drawn == [gap_id(place, kinds[pair.b]) for place, pair in enumerate(shown)]
    assert [row["against_best"] for row in summary_lines(two_ways).searches] == ["", *kinds.values()]


def test_a_record_that_kept_no_queries_says_that_nothing_was_tested(two_ways):
    older = replace(two_ways, probabilities={}, test_rows={})
    said = [claim.text for claim in search_claims(older, "given")]
    assert "3 other ways of searching was not tested: what each query found is not in the record" in said[1]
    blocks = list(blocks_in(retrieval_section(older, "given", "x")))
    assert not any("gap-" in getattr(block, "svg", "") for block in blocks)
    assert {row["against_best"] for row in summary_lines(older).searches} == {""}


@pytest.mark.parametrize(
    ("options", "how"),
    [
        ({"folds": 3, "seeds": 1}, "over 3 folds, fold by fold, by the corrected resampled t-test"),
        ({"seeds": 2}, "over 2 splits, by a paired t-test over images and splits"),
        ({"seeds": 5}, "over 5 splits, by the corrected resampled t-test"),
    ],
)
def test_folds_and_drawn_splits_all_count(shapes, tmp_path, options, how):
    kinds = sorted(shapes.iterdir())
    # three of ten lie in a wrong folder, so that no search is perfect
    for here, there in pairwise((*kinds, kinds[0])):
        for number in range(3):
            (here / f"{number:03d}.jpg").rename(there / f"from-{here.name}-{number}.jpg")
    spec = StudySpec(data=(str(shapes),), task=("retrieval",), layer=("stage3", "pool"), **options)
    run_study(spec, tmp_path / "out", audits=False)
    record = load_record(tmp_path / "out")
    rows = ranked_for_search(record, record.retrieval[0].dataset)
    told = search_told(record, rows)
    assert told.how == how and told.runs[rows[0].method] == rows[0].cells
    gap = told.verdicts.pairs[0].difference
    values = [row.scores["map"].value for row in rows]
    assert gap.value == pytest.approx(values[0] - values[1], abs=0.05)
