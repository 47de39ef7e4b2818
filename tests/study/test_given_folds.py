"""Folds that a table gives: a run a fold, tuned on its inner folds, with intervals that know that folds overlap."""

from __future__ import annotations

import csv
from dataclasses import replace

import pytest

from headstart.base.errors import DataError, UnknownName
from headstart.measure.resampled import corrected_t, over_folds
from headstart.measure.values import Score
from headstart.report.answers import load_answers
from headstart.report.build import build_document
from headstart.report.document import Points, Table, blocks_in
from headstart.report.paper import build_paper
from headstart.report.sections.compared import use_of_splits
from headstart.report.told import told_apart
from headstart.report.verdict import best_of, runs_phrase
from headstart.study.execute import run_study
from headstart.study.handover import hand_over
from headstart.study.spec import StudySpec


def write_folds(shapes, path, *, n_folds=3, inner=0):
    """A table of the images with a fold, and inner folds, dealt out in turn within each class."""
    rows = []
    for folder in sorted(each for each in shapes.iterdir() if each.is_dir()):
        for at, file in enumerate(sorted(folder.iterdir())):
            row = {"path": f"{folder.name}/{file.name}", "label": folder.name, "fold": at % n_folds}
            for outer in range(n_folds if inner else 0):
                row[f"inner_{outer}"] = "" if at % n_folds == outer else at // n_folds % inner
            rows.append(row)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.fixture
def folded(small, shapes, tmp_path):
    """A spec of a table with folds."""

    def make(inner=0, **options):
        table = write_folds(shapes, tmp_path / "folds.csv", inner=inner)
        given = {
            "image_root": str(shapes),
            "label_columns": ("label",),
            "fold_column": "fold",
            "layer": ("pool",),
        }
        return small(data=(str(table),), **{**given, **options})

    return make


def test_each_given_fold_is_a_run_tested_on_its_own_images(folded, tmp_path):
    record = run_study(folded(), tmp_path / "out")
    assert sorted({(each.cell.seed, each.cell.fold) for each in record.results}) == [(0, 1), (1, 2), (2, 3)]
    tested = [row for cell in record.test_rows for row in record.test_rows[cell]]
    assert sorted(tested) == list(range(30))
    for row in record.summaries:
        runs = [each for each in record.results if each.cell.id in row.cells]
        scores = [each.scores["accuracy"] for each in runs]
        expected = over_folds(scores, test_over_train=runs[0].n_test / runs[0].n_train)
        assert row.scores["accuracy"] == expected and expected.n == 30
    assert "3 folds that the source gives, a run each" in use_of_splits(record, "folds")
    found = told_apart(record, "folds", load_answers(record).get("folds"))
    assert found.test == "corrected_t" and "over 3 given folds" in found.how
    folds_are_not_called_seeds(record)


def folds_are_not_called_seeds(record):
    """In verdict, limits, tables and lists of runs."""
    paper, report = build_paper(record), build_document(record, load_answers(record), picture_bytes=0)
    best = best_of(record, "folds")
    assert runs_phrase(record, best) == "3 folds"
    assert runs_phrase(record, replace(best, n_seeds=2)) == "2 of 3 folds"
    for document in (paper.document, report):
        blocks = [block for section in document.sections for block in blocks_in(section)]
        said = " ".join(
            [getattr(b, "text", "") for b in blocks]
            + [i for b in blocks if isinstance(b, Points) for i in b.items]
        )
        assert "3 folds" in said and "3 given folds were run, each once" in said
        assert "seeds were run" not in said and "3 seeds" not in said
        columns = {c.title for b in blocks if isinstance(b, Table) and "table" in b.id for c in b.columns}
        assert "seeds" not in columns
        entries = {e.text for b in blocks if isinstance(b, Table) for row in b.rows for e in row.entries}
        assert {"fold 1", "fold 2", "fold 3"} <= entries


def test_the_winner_of_a_study_by_given_folds_is_handed_over(folded, tmp_path):
    record = run_study(folded(seeds=1), tmp_path / "out")
    model = hand_over(tmp_path / "out").classifier
    assert sorted(model.classes_) == ["disc", "square", "stripes"] and record.best


def test_given_inner_folds_tune(folded, tmp_path):
    record = run_study(folded(inner=2, head=("lda", "knn")), tmp_path / "out")
    assert {each.selected_on for each in record.results} == {"2 given inner folds"}


def test_another_fold_column_gives_other_cells(folded, small, tmp_path):
    nested = {each.cell.id for each in run_study(folded(inner=2), tmp_path / "out").results}
    plain = {each.cell.id for each in run_study(folded(), tmp_path / "out").results}
    assert not nested & plain


def test_a_network_that_trains_is_chosen_on_the_first_inner_fold(folded, tiny_name, tmp_path):
    spec = folded(
        inner=2, scenario=("finetune",), backbone=(tiny_name,), trainable=("last:1",), engine="auto", epochs=1,
        views=1, learning_rate=0.003, dtype="float32",
    )  # fmt: skip
    record = run_study(spec, tmp_path / "out")
    assert len(record.results) == 3 and all(each.n_validation > 0 for each in record.results)


def test_what_is_wrong_with_a_fold_column_is_said(folded, shapes, tmp_path):
    with pytest.raises(UnknownName, match="did you mean 'fold'"):
        run_study(folded(fold_column="folds"), tmp_path / "out")
    with pytest.raises(DataError, match=r"is no table file; write one: headstart split"):
        run_study(StudySpec(data=(str(shapes),), fold_column="fold"), tmp_path / "out")


def test_the_interval_over_folds_is_that_of_the_corrected_t_test():
    scores = [Score(value, value, value, 10) for value in (0.7, 0.8, 0.75, 0.9)]
    found = over_folds(scores, test_over_train=1 / 3)
    test = corrected_t([each.value for each in scores], [0.0] * 4, test_over_train=1 / 3)
    assert (found.value, found.low) == pytest.approx((test.value, test.low)) and found.high == min(
        1.0, test.high
    )
    same = over_folds([Score(0.8, 0.6, 0.95, 20)] * 4, test_over_train=1 / 3)
    assert same.high - same.low == pytest.approx(0.35 / 2)
