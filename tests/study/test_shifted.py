"""Other test images: a second folder and corrupted ones, extracted once, read last, with paired drops."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from headstart.base.errors import BadOptions, DataError
from headstart.base.events import Notice, listening
from headstart.measure.paired_values import paired_values, paired_values_over_splits
from headstart.measure.shift import mean_corruption_error, paired_drop, unpaired_drop
from headstart.measure.values import Score
from headstart.report.build import build_document
from headstart.report.document import blocks_in
from headstart.report.sections.shifted import shift_claims
from headstart.report.told_shift import shift_told
from headstart.study import execute, passes
from headstart.study.execute import run_study
from headstart.study.record import load_record
from headstart.study.shifted import CORRUPTED, FOLDER, packed, unpacked
from headstart.study.spec import StudySpec, read_spec, spec_mistakes, write_spec
from headstart.testing.images import class_folders, split_folders


@pytest.fixture
def later(tmp_path):
    """The same classes on another day, and a class less."""
    return class_folders(tmp_path / "later", classes=("disc", "square"), n_per_class=5, seed=99)


def test_a_second_folder_and_corruptions_stand_beside_the_test_split(small, later, tmp_path, monkeypatch):
    extracted = []
    real = passes.run_pass
    monkeypatch.setattr(
        passes,
        "run_pass",
        lambda source, *a, **k: extracted.append(source.table.name) or real(source, *a, **k),
    )
    data = str(split_folders(tmp_path / "given"))
    spec = small(
        data=(data,),
        shifted=(str(later),),
        corruptions=("gaussian_noise", "jpeg"),
        corruption_images=6,
        seeds=1,
    )
    record = run_study(spec, tmp_path / "out")
    assert sorted(extracted) == ["given", "given corrupted", "given shifted: later"]
    for row in record.summaries:
        folder, corrupted = row.shifts
        assert (folder.kind, folder.n, corrupted.kind, corrupted.n) == (FOLDER, 10, CORRUPTED, 6)
        assert set(corrupted.by) == {
            f"{name}/{at}" for name in ("gaussian_noise", "jpeg") for at in range(1, 6)
        }
        assert corrupted.accuracy.value == pytest.approx(np.mean(list(corrupted.by.values())))
        assert corrupted.drop.value == pytest.approx(corrupted.clean - corrupted.accuracy.value)
        assert folder.drop.value == pytest.approx(row.scores["accuracy"].value - folder.accuracy.value)
        assert folder.drop.low <= folder.drop.value <= folder.drop.high
    assert all(each.test_reads == 1 for each in record.results)
    again = load_record(tmp_path / "out")
    assert again.summaries == record.summaries
    best = next(row for row in record.summaries if row.method == record.best["given"])
    others = [row for row in record.summaries if row is not best]
    for kind, at in ((FOLDER, 0), (CORRUPTED, 1)):
        told = shift_told(record, "given", kind)
        pairs = [(row, told.pair(row.method)) for row in others]
        assert {pair.n_pairs for _, pair in pairs} == {6}
        valued = [(row, pair.difference) for row, pair in pairs if hasattr(pair.difference, "value")]
        assert valued, "a test of no difference at all tests nothing"
        for row, difference in valued:
            value = best.shifts[at].accuracy.value - row.shifts[at].accuracy.value
            assert difference.value == pytest.approx(value)
    said = [claim.text for claim in shift_claims(record, "given")]
    assert any("6 test images under 2 corruptions at 5 severities" in line for line in said)
    ids = {
        getattr(block, "id", "")
        for section in build_document(record).sections
        for block in blocks_in(section)
    }
    assert {"results-0-severity", "results-0-corruptions", "results-0-memory", "results-0-size"} <= ids


def test_cells_of_a_study_run_anew_when_other_test_images_are_asked_for(small, later, tmp_path):
    plain = run_study(small(layer=("pool",), seeds=1), tmp_path / "out")
    more = run_study(small(layer=("pool",), seeds=1, shifted=(str(later),)), tmp_path / "out")
    assert not {each.cell.id for each in plain.results} & {each.cell.id for each in more.results}
    before = {each.cell.method: each.scores for each in plain.results}
    assert {each.cell.method: each.scores for each in more.results} == before


def test_a_folder_with_an_unknown_class_is_refused_with_the_nearest_name(small, tmp_path):
    odd = class_folders(tmp_path / "odd", classes=("disk", "square"), n_per_class=3)
    with pytest.raises(DataError, match=r"shifted: odd has 1 class.*'disk' \(did you mean 'disc'\?\)"):
        run_study(small(shifted=(str(odd),)), tmp_path / "out")


def test_images_of_the_dataset_itself_are_no_second_test_folder(small, shapes, tmp_path):
    with pytest.raises(DataError, match="holds no labelled image that is not in shapes too"):
        run_study(small(shifted=(str(shapes),)), tmp_path / "out")


def test_folds_of_one_cell_share_the_corrupted_images(small, tmp_path):
    spec = small(
        layer=("pool",), head=("lda",), folds=3, seeds=1, corruptions=("contrast",), corruption_images=30
    )
    (result,) = run_study(spec, tmp_path / "out").results
    (shift,) = result.shifts
    assert shift.n == 30 and shift.clean == pytest.approx(result.scores["accuracy"].value)


def test_a_third_seed_runs_alone_where_each_seed_corrupts_images_of_its_own_split(
    small, monkeypatch, tmp_path
):
    options = {"layer": ("pool",), "corruptions": ("contrast",), "corruption_images": 4}
    two = run_study(small(seeds=2, **options), tmp_path / "out")
    ran = []
    real = execute.run_cell
    monkeypatch.setattr(
        execute, "run_cell", lambda cell, *a, **k: ran.append(cell.seed) or real(cell, *a, **k)
    )
    three = run_study(small(seeds=3, **options), tmp_path / "out")
    assert ran == [2] * len(two.summaries)
    known = {each.cell.id: each.shifts for each in two.results}
    assert {each.cell.id: each.shifts for each in three.results if each.cell.seed < 2} == known
    assert {each.shifts[0].n for each in three.results} == {4}
    assert len({each.cell.shifted for each in three.results}) == 3


def _with_right(record, kind, right):
    """The record with other answers on other test images, by method: shape (n_seeds, n)."""
    seen = dict.fromkeys(right, 0)
    results = []
    for each in record.results:
        counts = np.asarray(right[each.cell.method][seen[each.cell.method]])
        seen[each.cell.method] += 1
        shifts = tuple(
            replace(shift, right=packed(counts), by={}) if shift.kind == kind else shift
            for shift in each.shifts
        )
        results.append(replace(each, shifts=shifts))
    means = {name: np.mean(counts) for name, counts in right.items()}
    rows = tuple(
        replace(
            row,
            shifts=tuple(
                replace(shift, accuracy=Score(means[row.method], 0.0, 1.0, 40))
                if shift.kind == kind
                else shift
                for shift in row.shifts
            ),
        )
        for row in record.summaries
    )
    return replace(record, results=tuple(results), summaries=rows)


def test_who_is_better_on_other_images_is_told_with_holms_correction(small, later, tmp_path):
    """A gap that a plain interval would show is none after a correction for all pairs of methods."""
    record = run_study(
        small(data=(str(split_folders(tmp_path / "given")),), seeds=1, shifted=(str(later),)),
        tmp_path / "out",
    )
    best = record.best["given"]
    others = [row.method for row in record.summaries if row.method != best]
    right = {name: [[1] * 30 + [0] * 20] for name in [best, *others]}
    right[others[0]] = [[1] * 36 + [0] * 14]  # six of fifty more: p = 0.013 alone, times six pairs
    changed = _with_right(record, FOLDER, right)
    pair = shift_told(changed, "given", FOLDER).pair(others[0])
    alone = paired_values(right[best][0], right[others[0]][0])
    assert alone.p < 0.05 < pair.p and pair.kind == "not distinguishable"
    (said,) = [claim.text for claim in shift_claims(changed, "given")]
    assert f"Highest there is {others[0]} with 72.0 %, not chosen for that" in said and said.endswith(
        pair.words
    )
    right[others[0]] = [[1] * 50]
    changed = _with_right(record, FOLDER, right)
    pair = shift_told(changed, "given", FOLDER).pair(others[0])
    assert pair.kind == "worse" and shift_claims(changed, "given")[0].text.endswith(pair.words)
    older = replace(
        changed,
        results=tuple(
            replace(each, shifts=tuple(replace(shift, right="") for shift in each.shifts))
            for each in changed.results
        ),
    )
    assert "whether it is better there was not tested" in shift_claims(older, "given")[0].text


def test_seeds_that_saw_other_images_are_compared_seed_by_seed(small, tmp_path):
    spec = small(layer=("pool",), corruptions=("contrast",), corruption_images=4)
    record = run_study(spec, tmp_path / "out")
    best = next(row for row in record.summaries if row.method == record.best["shapes"])
    other = next(row for row in record.summaries if row is not best)
    generator = np.random.default_rng(0)
    low, high = (generator.integers(0, 2, (2, 40)) for _ in range(2))
    changed = _with_right(record, CORRUPTED, {best.method: low, other.method: high})
    told = shift_told(changed, "shapes", CORRUPTED)
    assert told.how == "on the same images of each seed, by a paired t-test over images and splits"
    assert told.pair(other.method).difference == paired_values_over_splits(low, high)
    without = replace(changed, results=tuple(r for r in changed.results if r.cell.id != other.cells[0]))
    gap = shift_told(without, "shapes", CORRUPTED).pair(other.method).difference
    assert gap.value == pytest.approx(low[1].mean() - high[1].mean())


def test_a_network_that_trains_is_tested_on_them_too(small, tiny_name, later, tmp_path):
    spec = small(
        scenario=("finetune",), backbone=(tiny_name,), trainable=("last:1",), engine="auto", epochs=1, views=1,
        learning_rate=0.003, dtype="float32", seeds=1, shifted=(str(later),), corruptions=("jpeg",), corruption_images=4,
        augment=("none", "light"),
    )  # fmt: skip
    record = run_study(spec, tmp_path / "out")
    assert [[shift.n for shift in row.shifts] for row in record.summaries] == [[10, 4], [10, 4]]
    assert {row.augment for row in record.summaries} == {"none", "light"}
    assert len({row.method for row in record.summaries}) == 2


def test_features_run_once_whatever_the_augmentations_and_it_is_said(small, tmp_path):
    said = []
    with listening(lambda event: said.append(event.message) if isinstance(event, Notice) else None):
        record = run_study(small(layer=("pool",), seeds=1, augment=("none", "medium")), tmp_path / "out")
    assert record.n_planned == 2 and any("augmentation is of networks that train" in line for line in said)


def test_several_datasets_name_theirs_and_toml_may_write_a_table(tmp_path):
    (tmp_path / "s.toml").write_text('data = ["a", "x/b"]\n[shifted]\nb = "later"\n')
    spec = read_spec(tmp_path / "s.toml")
    assert spec.shifted == ("b=later",) and read_spec(write_spec(spec, tmp_path / "t.toml")) == spec
    assert spec_mistakes(StudySpec(data=("a", "b"), shifted=("later",))) == [
        "shifted: 'later' names none of the datasets; expected NAME=FOLDER with one of a, b"
    ]


def test_five_mistakes_of_the_new_options_are_all_reported(tmp_path):
    (tmp_path / "s.toml").write_text(
        'data = ["a", "b"]\nshifted = ["c=later"]\ncorruptions = ["gausian_noise"]\ncorruption_images = 0\n'
        'augment = ["light", "lihgt"]\nfold_column = "fold"\nfolds = 3\n'
    )
    with pytest.raises(BadOptions) as caught:
        read_spec(tmp_path / "s.toml")
    keys = sorted(line.partition(":")[0] for line in caught.value.mistakes)
    assert keys == ["augment", "corruption_images", "corruptions", "folds", "shifted"]
    assert any("'gaussian_noise'" in line for line in caught.value.mistakes)


def test_drops_are_paired_or_of_two_proportions():
    assert paired_drop([1, 1, 1, 1], [1, 1, 0, 0]).value == 0.5
    same = paired_drop([1, 0] * 20, [1, 0] * 20)
    assert same.value == 0 and (same.low, same.high) == pytest.approx((-0.0881, 0.0881), abs=1e-4)
    # Newcombe 1998, table II, example (a): 56/70 less 48/80
    from headstart.measure.intervals import wilson

    drop = unpaired_drop(Score(56 / 70, *wilson(56, 70), 70), Score(48 / 80, *wilson(48, 80), 80))
    assert (round(drop.value, 4), round(drop.low, 4), round(drop.high, 4)) == (0.2, 0.0524, 0.3339)


def test_mean_corruption_error_is_of_errors_summed_over_severities():
    base = {"a/1": 0.8, "a/2": 0.6, "b/1": 0.5}
    assert mean_corruption_error(base, base) == pytest.approx(1.0)
    assert mean_corruption_error({"a/1": 0.9, "a/2": 0.8, "b/1": 0.5}, base) == pytest.approx(0.75)
    assert unpacked(packed(np.array([0, 55, 3]))).tolist() == [0, 55, 3]
