"""A study runs once, goes on where it stopped, and shows what failed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from headstart.base.errors import BadOptions, Busy, DataError, HeadstartError, UsageError
from headstart.base.events import Notice, Progress, listening
from headstart.base.files import folder_lock
from headstart.methods import heads
from headstart.study import execute
from headstart.study.execute import run_study
from headstart.study.record import find_cell, load_record
from headstart.study.spec import write_spec
from headstart.study.store import StoreError, StudyStore
from headstart.testing.images import class_folders, split_folders


def counted(monkeypatch):
    """Ids of the cells that really run from here on."""
    ran = []
    real = execute.run_cell
    monkeypatch.setattr(execute, "run_cell", lambda cell, *a, **k: ran.append(cell) or real(cell, *a, **k))
    return ran


def essence(record):
    """Everything of a record that must not depend on when and how often the command was run."""
    results = {r.cell.id: (r.status, r.selection, r.scores, r.confusion, r.chosen) for r in record.results}
    return results, record.best, {cell: p.tolist() for cell, p in record.probabilities.items()}


def test_a_study_gives_scores_with_intervals_for_every_method(small, tmp_path):
    record = run_study(small(), tmp_path / "out", command="headstart study shapes")
    assert len(record.summaries) == 4 and record.n_planned == 8
    for row in record.summaries:
        assert row.status == "done" and row.n_seeds == 2
        accuracy = row.scores["accuracy"]
        assert 0 <= accuracy.low <= accuracy.value <= accuracy.high <= 1 and accuracy.n == 6
        assert {"fit", "predict"} == set(row.seconds) and row.model_bytes > 18_000_000
        assert row.peak_bytes > 0
    chosen = next(row for row in record.summaries if row.method == record.best["shapes"])
    assert chosen.selection == max(row.selection for row in record.summaries)
    assert record.command == "headstart study shapes" and record.versions["headstart"]
    assert record.engines[0]["engine"] == "torch"
    (network,) = record.networks.values()
    assert network["stages"][0]["name"] == "stem" and network["n_parameters"] > 3_000_000


def test_probabilities_of_the_best_are_those_of_its_test_images(small, tmp_path):
    record = run_study(small(), tmp_path / "out")
    table = record.tables["shapes"]
    for cell, probabilities in record.probabilities.items():
        result = next(r for r in record.results if r.cell.id == cell)
        truth = [table.labels[record.targets["shapes"]][row] for row in record.test_rows[cell]]
        called = [result.classes[code] for code in probabilities.argmax(axis=1)]
        right = float(np.mean([a == b for a, b in zip(truth, called, strict=True)]))
        assert right == pytest.approx(result.scores["accuracy"].value)
    assert len(record.probabilities) == 2


def test_a_finished_study_reads_and_runs_nothing(small, tmp_path, monkeypatch):
    first = run_study(small(), tmp_path / "out")
    ran = counted(monkeypatch)
    monkeypatch.setattr("headstart.features.extract.extract", lambda *a, **k: pytest.fail("extracted again"))
    assert essence(run_study(small(), tmp_path / "out")) == essence(first)
    assert ran == []


def test_heads_and_layers_added_later_run_alone(small, tmp_path, monkeypatch):
    run_study(small(head=("lda",), layer=("pool",)), tmp_path / "out")
    ran = counted(monkeypatch)
    run_study(small(head=("lda", "nearest_mean"), layer=("pool",)), tmp_path / "out")
    assert {(c.head, c.layer) for c in ran} == {("nearest_mean", "pool")}
    record = run_study(small(), tmp_path / "out")
    assert len(ran) == 6 and all(row.status == "done" for row in record.summaries)


def test_a_study_killed_midway_goes_on_to_the_same_results(small, tmp_path, feature_cache):
    whole = run_study(small(), tmp_path / "whole")
    spec = write_spec(small(), tmp_path / "spec.toml")
    script = f"""
import os, signal
from headstart.base.events import Progress, listening
from headstart.study.execute import TASK, run_study
from headstart.study.spec import read_spec

def kill(event):
    if isinstance(event, Progress) and event.task == TASK and event.done == 3:
        os.kill(os.getpid(), signal.SIGKILL)

with listening(kill):
    run_study(read_spec({str(spec)!r}), {str(tmp_path / "killed")!r})
"""
    ended = subprocess.run([sys.executable, "-c", script], env={**os.environ}, check=False)
    assert ended.returncode == -signal.SIGKILL
    stopped = load_record(tmp_path / "killed")
    assert len(stopped.results) == 3 and stopped.n_planned == 8 and stopped.seconds_total > 0
    assert essence(run_study(small(), tmp_path / "killed")) == essence(whole)


def test_ctrl_c_closes_the_record_and_keeps_what_ran(small, tmp_path):
    def press(event):
        if isinstance(event, Progress) and event.task == execute.TASK and event.done == 2:
            raise KeyboardInterrupt

    with listening(press), pytest.raises(KeyboardInterrupt):
        run_study(small(), tmp_path / "out")
    record = load_record(tmp_path / "out")
    assert len(record.results) == 2
    assert {row.status for row in record.summaries} == {"partial", "missing"}


def test_a_study_stopped_while_it_takes_features_has_a_record_too(small, tmp_path):
    def press(event):
        if isinstance(event, Progress) and event.task.startswith("features"):
            raise KeyboardInterrupt

    spec = small(data=(str(class_folders(tmp_path / "fresh", seed=11)),))
    with listening(press), pytest.raises(KeyboardInterrupt):
        run_study(spec, tmp_path / "out")
    record = load_record(tmp_path / "out")
    assert record.results == () and record.n_planned == 8 and record.best == {}
    assert {row.status for row in record.summaries} == {"missing"}


def test_a_second_run_in_the_same_folder_is_refused(small, tmp_path):
    with folder_lock(tmp_path / "out"), pytest.raises(Busy, match="another run"):
        run_study(small(), tmp_path / "out")


def test_mistakes_are_reported_before_a_folder_is_made(small, tmp_path):
    with pytest.raises(BadOptions) as caught:
        run_study(small(backbone=("lite9",), head=("svm",), layer=("poool",)), tmp_path / "out")
    assert len(caught.value.mistakes) == 2 and not (tmp_path / "out").exists()


def test_a_failed_cell_is_shown_and_tried_again(small, tmp_path, monkeypatch):
    class Broken(heads.HEADS["lda"]):
        def fit(self, X, y, *, seed=0, **options):
            if seed == 1:
                raise np.linalg.LinAlgError("singular matrix")
            return super().fit(X, y, seed=seed, **options)

    real = heads.make_head

    def make(name, **options):
        return Broken() if name == "lda" else real(name, **options)

    monkeypatch.setattr(heads, "make_head", make)
    record = run_study(small(layer=("pool",)), tmp_path / "out")
    row = next(row for row in record.summaries if row.head == "lda")
    assert (row.status, row.n_failed, row.errors) == ("partial", 1, ("LinAlgError: singular matrix",))
    assert row.scores == {} and "nearest_mean" in record.best["shapes"]
    monkeypatch.undo()
    again = run_study(small(layer=("pool",)), tmp_path / "out")
    assert all(row.status == "done" for row in again.summaries)


def test_a_pass_that_fails_fails_its_own_cells_alone(small, tmp_path, monkeypatch):
    import headstart.features.extract as home

    real = home.extract

    def sometimes(*items, backbone, input_size, **options):
        if input_size == 48:
            raise HeadstartError("the network cannot take images of 48 x 48")
        return real(*items, backbone=backbone, input_size=input_size, **options)

    monkeypatch.setattr(home, "extract", sometimes)
    record = run_study(small(input_size=(32, 48), layer=("pool",), seeds=1), tmp_path / "out")
    assert {row.method.split()[-1]: row.status for row in record.summaries} == {
        "32px": "done",
        "48px": "failed",
    }
    assert any("48 x 48" in warning for warning in record.warnings)


def test_with_a_given_split_every_method_runs_once(small, tmp_path):
    root = split_folders(tmp_path / "given")
    record = run_study(small(data=(str(root),)), tmp_path / "out")
    assert {(r.cell.seed, r.selected_on) for r in record.results} == {(None, "validation")}
    assert all(row.n_seeds == 1 and row.scores["accuracy"].n_seeds == 1 for row in record.summaries)


def test_a_given_split_without_validation_tunes_on_inner_folds_that_the_seed_draws(small, tmp_path):
    root = split_folders(tmp_path / "given", counts={"train": 6, "test": 3})
    record = run_study(small(data=(str(root),), layer=("pool",)), tmp_path / "out")
    assert sorted({r.cell.seed for r in record.results}) == [0, 1]
    assert all(r.selected_on == "5 inner folds" and r.n_validation == 0 for r in record.results)


def test_folds_test_every_image_once(small, tmp_path):
    record = run_study(small(folds=3, layer=("pool",), head=("lda",), seeds=1), tmp_path / "out")
    (result,) = record.results
    assert result.n_test == 30 and sorted(record.test_rows[result.cell.id]) == list(range(30))


def test_a_budget_stops_new_runs_and_says_so(small, tmp_path):
    other = class_folders(tmp_path / "other", n_per_class=6, seed=5)
    spec = small(budget="0.001s", data=(*small().data, str(other)))
    record = run_study(spec, tmp_path / "out")
    assert {r.cell.dataset for r in record.results} == {"shapes", "other"} and len(record.results) == 2
    assert any("14 of 16 runs are missing" in warning for warning in record.warnings)
    whole = run_study(small(data=spec.data), tmp_path / "out")
    assert len(whole.results) == 16 and not any("budget" in warning for warning in whole.warnings)


def test_a_dataset_that_changed_runs_anew_and_its_old_runs_are_left_out(small, shapes, tmp_path):
    before = run_study(small(), tmp_path / "out")
    shutil.copy(
        class_folders(tmp_path / "more", n_per_class=1, seed=9) / "disc" / "000.jpg", shapes / "disc/new.jpg"
    )
    after = run_study(small(), tmp_path / "out")
    assert not {r.cell.id for r in before.results} & {r.cell.id for r in after.results}
    assert len(after.results) == 8 and len(after.tables["shapes"]) == 31
    assert any("shapes has changed since 8 earlier runs" in warning for warning in after.warnings)


def test_an_unreadable_image_is_left_out_and_named(small, shapes, tmp_path):
    path = shapes / "disc" / "000.jpg"
    path.write_bytes(path.read_bytes()[:400])
    for _ in range(2):
        record = run_study(small(), tmp_path / "out")
        assert len(record.tables["shapes"]) == 29 and len(record.results) == 8
        assert [problem.path for problem in record.tables["shapes"].problems] == ["disc/000.jpg"]


def test_an_unreadable_image_ends_the_study_where_that_was_asked_for(small, shapes, tmp_path):
    path = shapes / "disc" / "000.jpg"
    path.write_bytes(path.read_bytes()[:400])
    with pytest.raises(DataError, match="000"):
        run_study(small(on_bad="fail"), tmp_path / "out")


def test_two_datasets_of_one_name_stay_apart(small, tmp_path):
    other = class_folders(tmp_path / "elsewhere" / "shapes", n_per_class=6, seed=3)
    record = run_study(small(data=(*small().data, str(other)), layer=("pool",), seeds=1), tmp_path / "out")
    assert list(record.tables) == ["shapes", "shapes (2)"]


def test_two_absent_sources_are_both_named(small, tmp_path):
    spec = small(data=(str(tmp_path / "none"), str(tmp_path / "nor")))
    with pytest.raises(BadOptions, match=r"(?s)none.*nor"):
        run_study(spec, tmp_path / "out")


def test_an_output_folder_that_is_a_file_is_refused(small, tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(UsageError, match="is a file"):
        run_study(small(), tmp_path / "out")


def test_a_pass_that_the_cache_serves_whole_is_timed_all_the_same(small, tmp_path):
    root = class_folders(tmp_path / "many", n_per_class=40, seed=7)
    spec = small(data=(str(root),), layer=("pool",), head=("nearest_mean",), seeds=1)
    first = run_study(spec, tmp_path / "first")
    second = run_study(spec, tmp_path / "second")
    assert first.engines[0]["n_computed"] == 120 and second.engines[0]["n_computed"] == 0
    for record in (first, second):
        assert record.results[0].seconds["extract"] > 0


def test_the_time_of_an_export_is_not_that_of_a_pass(monkeypatch):
    from headstart.base.events import emit
    from headstart.study import passes

    at = iter([10.0, 12.0])
    monkeypatch.setattr(passes.time, "perf_counter", lambda: next(at))
    with passes._clock() as clock:
        emit(Progress("export the network", 0, 1))
        emit(Progress("features of net", 32, 96))
        emit(Progress("features of net", 96, 96))
    assert clock.rate() == pytest.approx(32)


def test_the_engine_and_its_check_outlive_a_pass_from_the_cache(small, tmp_path):
    run_study(small(layer=("pool",)), tmp_path / "out")
    with StudyStore(tmp_path / "out") as store:
        (key, facts), *_ = store.passes().items()
        store.put_pass(key, {**facts, "engine": {**facts["engine"], "parity": {"least_cosine": 1.0}}})
    run_study(small(layer=("pool", "stage4")), tmp_path / "warm")
    record = run_study(small(layer=("pool", "stage4")), tmp_path / "out")
    assert record.engines[0]["least_cosine"] == 1.0


def test_the_plan_is_told_before_it_starts(small, tmp_path):
    told = []
    with listening(lambda event: told.append(event)):
        run_study(small(), tmp_path / "out")
    notices = [event.message for event in told if isinstance(event, Notice)]
    assert notices[0].startswith("8 runs: 4 methods on 1 dataset; about")
    steps = [event for event in told if isinstance(event, Progress) and event.task == execute.TASK]
    assert [(step.done, step.total) for step in steps] == [(n, 8) for n in range(9)]


def test_a_full_disk_ends_the_run_in_one_line_and_leaves_a_readable_store(small, tmp_path, monkeypatch):
    real = StudyStore.put_result
    kept = []

    def put(self, *given, **options):
        if len(kept) == 3:
            self._base.execute(
                f"PRAGMA max_page_count = {self._base.execute('PRAGMA page_count').fetchone()[0]}"
            )
        kept.append(given)
        return real(self, *given, **options)

    monkeypatch.setattr(StudyStore, "put_result", put)
    with pytest.raises(StoreError, match="full; free some space"):
        run_study(small(layer=("stage3", "stage4", "stage5", "pool"), seeds=5), tmp_path / "out")
    assert len(load_record(tmp_path / "out").results) >= 3


def test_the_best_run_can_be_named_for_a_refit(small, tmp_path):
    record = run_study(small(), tmp_path / "out")
    best = find_cell(record)
    assert best.cell.method == record.best["shapes"] and best.status == "done"
    assert find_cell(record, best.cell.id[:10]).cell == best.cell
    with pytest.raises(UsageError, match="no finished run"):
        find_cell(record, "zzzz")


def test_the_start_of_an_id_that_fits_several_runs_is_refused(small, tmp_path):
    record = run_study(small(seeds=5), tmp_path / "out")  # 20 ids: two must share a first digit
    first = [result.cell.id[0] for result in record.results]
    with pytest.raises(UsageError, match="runs start with"):
        find_cell(record, next(digit for digit in first if first.count(digit) > 1))


def test_a_record_is_read_without_torch_and_with_its_images_gone(small, shapes, tmp_path):
    run_study(small(layer=("pool",), seeds=1), tmp_path / "out")
    shutil.rmtree(shapes)
    script = f"""
import sys
sys.modules["torch"] = sys.modules["sklearn"] = None
from headstart.study.record import load_record
record = load_record({str(tmp_path / "out")!r})
assert record.best and len(record.tables["shapes"]) == 30
"""
    subprocess.run([sys.executable, "-c", script], check=True)


def test_a_study_without_a_plan_says_so(tmp_path):
    StudyStore(tmp_path).close()
    record = load_record(Path(tmp_path))
    assert not record.planned and record.results == () and record.n_planned == 0


def test_the_plan_of_a_resumed_study_counts_no_features_that_the_cache_holds(small, tmp_path, monkeypatch):
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    plans = []
    real = execute._Run._planned
    monkeypatch.setattr(execute._Run, "_planned", lambda self: plans.append(real(self)) or plans[-1])

    def first_estimate(**options):
        del plans[:]
        run_study(small(seeds=1, **options), tmp_path / "out", advise=False, audits=False)
        return plans[0].estimate

    fresh = first_estimate(layer=("pool",), head=("lda",))
    assert fresh.extract_seconds > 0
    assert first_estimate(layer=("pool",), head=("lda", "nearest_mean")).extract_seconds == 0
    more = first_estimate(layer=("stage3", "pool"), head=("lda",))
    assert more.extract_seconds == pytest.approx(fresh.extract_seconds)  # all thirty images for the new layer
