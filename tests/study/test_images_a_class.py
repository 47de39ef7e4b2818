"""The number of images a class as a dimension: nested draws, inner folds, rows apart from the main table."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from headstart.base.errors import BadOptions
from headstart.measure.curve_questions import crossing
from headstart.measure.curves import learning_curve
from headstart.report.build import build_document
from headstart.report.document import Claim
from headstart.report.paper import build_paper
from headstart.report.sections.images_a_class import _crossing_words, _curve, _lines, _x, images_section
from headstart.report.summary import summary_lines
from headstart.report.talk import build_talk
from headstart.report.verdict import results_of
from headstart.study.execute import run_study
from headstart.study.partition import make_dataset
from headstart.study.plan import sizes_of
from headstart.study.record import load_record
from headstart.study.spec import StudySpec, read_spec, spec_from, write_spec
from headstart.study.spec_values import read_per_class
from headstart.testing.images import split_folders
from headstart.testing.plans import GIVEN, planned, table


def test_the_images_of_a_smaller_number_are_among_those_of_a_larger_one():
    data = make_dataset(table(90, GIVEN), "class", seeds=2, folds=0)
    small, large = (data.partition(0, n).folds[0] for n in (4, 9))
    assert set(small.train) < set(large.train) < set(data.partition(0).folds[0].train)
    codes = data.codes()
    assert np.bincount(codes[list(small.train)]).tolist() == [4, 4, 4]
    assert small.validation == () and small.test == large.test == data.partition(0).folds[0].test
    assert data.partition(1, 4).digest != data.partition(0, 4).digest != data.partition(0, 9).digest


def test_nothing_of_validation_or_test_is_learned_from_in_any_fold():
    data = make_dataset(table(60), "class", seeds=1, folds=3)
    for fold in data.partition(0, 5).folds:
        assert not set(fold.train) & set(fold.test) and len(fold.train) == 15


def test_a_number_that_no_class_exceeds_is_all_of_them():
    data = make_dataset(table(90, GIVEN), "class", seeds=1, folds=0)
    spec = StudySpec(data=("x",), per_class=(5, 18, 500))
    assert data.most_per_class() == 18
    assert sizes_of(data, spec) == (0, 5)


def test_the_seed_matters_where_images_are_drawn_even_with_given_splits():
    spec = StudySpec(data=("x",), head=("lda",), layer=("pool",), per_class=(0, 5), seeds=3)
    cells = planned(spec, [table(90, GIVEN)]).cells
    assert [(cell.per_class, cell.seed) for cell in cells] == [(0, None), (5, 0), (5, 1), (5, 2)]


def test_a_run_on_all_images_keeps_its_id_whatever_else_is_asked():
    one = StudySpec(data=("x",), head=("lda",), layer=("pool",))
    two = StudySpec(data=("x",), head=("lda",), layer=("pool",), per_class=(0, 5))
    assert {c.id for c in planned(one, [table(90)]).cells} < {c.id for c in planned(two, [table(90)]).cells}


@pytest.mark.parametrize("given", [-1, 0.5, "few", True, "1e3", ""])
def test_what_is_no_number_of_images_is_refused(given):
    with pytest.raises(ValueError, match="number of images"):
        read_per_class(given)
    with pytest.raises(BadOptions, match="per_class"):
        spec_from({"data": "x", "per_class": given})


def test_a_spec_file_holds_it(tmp_path):
    (tmp_path / "a.toml").write_text('data = "x"\nper_class = [5, 20, "all"]\n')
    spec = read_spec(tmp_path / "a.toml")
    assert spec.per_class == (5, 20, 0)
    assert read_spec(write_spec(spec, tmp_path / "b.toml")) == spec


def test_the_record_keeps_fewer_images_apart_from_the_main_table(shapes, tmp_path):
    spec = StudySpec(
        data=(str(shapes),), head=("nearest_mean", "lda"), layer=("pool",), per_class=(2, 4, 0), seeds=2
    )
    run_study(spec, tmp_path / "out")
    record = load_record(tmp_path / "out")
    assert {row.per_class for row in record.summaries} == {0}
    assert {row.per_class for row in record.sized} == {0, 2, 4}
    few = next(row for row in record.sized if row.per_class == 2)
    assert few.n_train == 2 * len(record.tables[few.dataset].classes("label"))
    assert "validation" not in {result.selected_on for result in record.results if result.cell.per_class}
    summary = summary_lines(record)
    assert len(summary.sized) == 6 and len(summary.rows) == 2


def test_the_report_draws_accuracy_against_images_a_class(shapes, tmp_path):
    spec = StudySpec(data=(str(shapes),), head=("lda",), layer=("pool",), per_class=(1, 2, 4, 0), seeds=3)
    record = run_study(spec, tmp_path / "out", advise=False, audits=False)
    (name,) = record.best
    section = images_section(record, name, "images")
    assert section is not None
    claim, table, beside = section.blocks
    assert "two points more" in claim.text and claim.runs
    assert [column.title for column in table.columns][1:5] == ["1", "2", "4", "all"]
    assert "<svg" in beside.blocks[0].svg
    assert images_section(replace(record, sized=()), name, "images") is None


@pytest.fixture
def unbalanced(tmp_path):
    """Folders with a given split: eight and twelve training images, four test images of each class."""
    folder = split_folders(
        tmp_path / "unbalanced", classes=("disc", "square"), counts={"train": 12, "validation": 3, "test": 4}
    )
    for at in range(8, 12):
        (folder / "train" / "disc" / f"{at:03d}.jpg").unlink()
    return folder


def test_unbalanced_classes_stand_at_the_mean_of_what_each_gives(unbalanced, tmp_path):
    spec = StudySpec(data=(str(unbalanced),), head=("lda",), layer=("pool",), per_class=(2, 10, 0), seeds=2)
    record = run_study(spec, tmp_path / "out", advise=False, audits=False)
    (name,) = record.best
    (line,) = _lines(record, record.sized, name).values()
    assert [row.per_class for row in line] == [2, 10, 0]
    assert [_x(record, row) for row in line] == [2.0, 9.0, 10.0]  # ten of twelve and all of eight: nine
    said = " ".join(
        block.text for block in images_section(record, name, "x").blocks if isinstance(block, Claim)
    )
    assert "two points more" in said
    document, paper = build_document(record, {}, picture_bytes=0), build_paper(record)
    assert all("Images a class" in titles(each) for each in (document, paper.document))
    assert build_talk(record, paper).slides and summary_lines(record).sized


def titles(document):
    waiting = list(document.sections)
    for section in waiting:
        waiting += section.parts
    return {section.title for section in waiting}


def test_two_numbers_that_gave_equally_many_images_are_one_point(unbalanced, tmp_path):
    spec = StudySpec(data=(str(unbalanced),), head=("lda",), layer=("pool",), per_class=(2, 4, 0), seeds=2)
    record = run_study(spec, tmp_path / "out", advise=False, audits=False)
    (name,) = record.best
    (line,) = _lines(record, record.sized, name).values()
    twice = [*line[:2], replace(line[1], per_class=5), line[2]]
    curve = _curve(record, "x", twice)
    assert [point.n for point in curve.points] == [2, 4, 10]


def test_a_network_stands_at_the_images_that_it_was_given_with_those_that_chose_among_them(
    unbalanced, tmp_path
):
    spec = StudySpec(data=(str(unbalanced),), head=("lda",), layer=("pool",), per_class=(4, 0), seeds=1)
    record = run_study(spec, tmp_path / "out", advise=False, audits=False)
    few, every = sorted(record.sized, key=lambda row: -row.per_class)
    (run,) = results_of(record, few)
    inner = replace(run, n_train=6, n_validation=2, selected_on="1 of 5 inner folds")
    assert _x(replace(record, results=(inner,)), few) == 4.0
    (run,) = results_of(record, every)
    assert run.selected_on == "validation" and run.n_validation == 6 and _x(record, every) == 10.0


def test_a_law_that_fits_is_told_with_its_crossing():
    rng = np.random.default_rng(0)
    sizes = np.array([5, 10, 20, 50, 100])
    quick = [1 - (0.5 * n**-0.3 + 0.12) + rng.normal(0, 0.003, 4) for n in sizes]
    slow = [1 - (2.0 * n**-0.7 + 0.05) + rng.normal(0, 0.003, 4) for n in sizes]
    curves = [learning_curve(n, sizes, s, rng) for n, s in (("quick", quick), ("slow", slow))]
    found = crossing(*curves)
    assert found.before == "quick" and found.after == "slow" and found.low <= found.n <= found.high
    assert "images a class" in _crossing_words(found)
