"""The task retrieval: layers ranked for search, copies left out, chosen outside test."""

from __future__ import annotations

import numpy as np
import pytest

from headstart.report.build import build_document, write_report
from headstart.report.summary import summary_lines
from headstart.study.execute import run_study
from headstart.study.partition import make_dataset
from headstart.study.record import load_record
from headstart.study.retrieval import run_retrieval_cell
from headstart.study.spec import StudySpec
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
