"""Networks that train inside a study: planned on equal terms, run like any other cell, kept with their curves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from headstart.backbones.catalog import without_folder
from headstart.base.events import Notice, Progress, listening
from headstart.methods import finetune
from headstart.methods.loop import Loop
from headstart.study import execute
from headstart.study.execute import run_study
from headstart.study.handover import hand_over
from headstart.study.record import load_record
from headstart.study.resolve import resolve
from headstart.study.rows import result_from, result_row
from headstart.study.spec import StudySpec, write_spec
from headstart.study.store import StudyStore
from headstart.study.trained import trained_methods


@pytest.fixture
def training(small, tiny_name):
    """A spec of one head and one fine-tuned network, two epochs at a given rate."""

    def make(**options):
        given = {
            "scenario": ("features", "finetune"), "backbone": (tiny_name,), "trainable": ("last:1",),
            "layer": ("pool",), "head": ("nearest_mean",), "seeds": 1, "engine": "auto",
            "epochs": 2, "views": 1, "learning_rate": 0.003, "dtype": "float32",
        }  # fmt: skip
        return small(**{**given, **options})

    return make


@pytest.fixture(scope="module")
def finished(tmp_path_factory, tiny_name, feature_cache):
    """A study of two heads, a cut, the whole network and random weights; with the folder it lies in."""
    from headstart.testing.images import class_folders

    folder = tmp_path_factory.mktemp("finished")
    spec = StudySpec(
        data=(str(class_folders(folder / "shapes", n_per_class=10)),), backbone=(tiny_name,), layer=("pool",),
        scenario=("features", "finetune", "full", "scratch"), trainable=("last:1",), head=("nearest_mean", "lda"),
        input_size=(32,), train_input_size=(48,), seeds=2, train_seeds=1, epochs=2, views=1,
        learning_rate=0.003, dtype="float32",
    )  # fmt: skip
    patch = pytest.MonkeyPatch()
    patch.setenv("HEADSTART_CACHE", str(feature_cache))
    told = []
    with listening(told.append):
        run_study(spec, folder / "out")
    patch.undo()
    return folder / "out", spec, told


# ---- the plan ---------------------------------------------------------------------------------------------------


def test_networks_train_after_the_features_of_their_seed_and_the_seed_always_matters(finished):
    folder, _, told = finished
    with StudyStore(folder, must_exist=True) as store:
        plan = store.meta()["plan"]
    assert [(cell["seed"], cell["scenario"]) for cell in plan] == [
        (0, "features"), (0, "features"), (0, "finetune"), (0, "full"), (0, "scratch"),
        (1, "features"), (1, "features"),
    ]  # fmt: skip
    said = [event.message for event in told if isinstance(event, Notice)]
    assert said[0].startswith("7 runs: 5 methods on 1 dataset; about") and "for training networks" in said[0]
    assert any(line.startswith("shapes, seed 0: scratch") for line in said)


def test_every_option_that_changes_the_result_changes_the_id(training):
    def ids(**options):
        spec = training(**options)
        (method,) = trained_methods(spec, resolve(spec))
        return method.options

    others = [{"epochs": 3}, {"start": "plain"}, {"augment": "crop"}, {"fresh": True}, {"balance": "weights"}]
    others.append({"keep": "last"})
    assert len({ids(), *(ids(**each) for each in others)}) == 7
    assert ids(cache_gb=1.0) == ids()


FIRST_FIELDS = (
    "dataset",
    "data_digest",
    "split_digest",
    "target",
    "backbone",
    "weights_digest",
    "layer",
    "module",
    "pooling",
    "height",
    "width",
    "preprocessing_digest",
    "engine",
    "precision",
    "scenario",
    "head",
    "seed",
    "version",
)
"""Fields of a run when there were only runs of features."""


def test_runs_of_features_keep_the_id_that_they_had_before_networks_trained(finished):
    from dataclasses import asdict

    from headstart.base.hashing import digest_json

    cell = next(each.cell for each in load_record(finished[0]).results if not each.cell.trains)
    before = {name: value for name, value in asdict(cell).items() if name in FIRST_FIELDS}
    assert (
        cell.id == digest_json({**before, "backbone": without_folder(cell.backbone)}) != digest_json(before)
    )
    packaged = replace(cell, backbone="lite0")
    assert packaged.id == digest_json({**before, "backbone": "lite0"})


def test_a_guess_of_the_time_grows_with_epochs_and_gives_way_to_what_was_measured(training):
    from headstart.study.estimate import Rates, cell_seconds
    from headstart.study.sources import scan_sources
    from headstart.study.trained import trained_cell

    def seconds(rates=None, at=1.0, **options):
        spec = training(**options)
        variants = resolve(spec)
        (source,) = scan_sources(spec)
        data = source.dataset(spec)
        cell = trained_cell(data, trained_methods(spec, variants)[0], 0)
        n_train = len(data.partition(0).folds[0].train)
        timed = {round(n_train * at): rates}
        known = Rates(train_seconds={(cell.dataset, cell.method): timed}) if rates else Rates()
        return cell_seconds(cell, data, variants[0], known)

    assert seconds(epochs=20) > seconds(epochs=2)
    assert seconds(learning_rate=None) > seconds()
    assert seconds((3.0, 5.0), epochs=4) == 17.0 and seconds((3.0, 5.0), epochs=4, folds=3) == 51.0
    assert seconds((3.0, 5.0), epochs=None, equal="seconds", train_seconds=30.0) == 35.0
    half = seconds((3.0, 5.0), at=0.5, epochs=4)  # measured on half as many images: epochs take twice as long
    assert 24.0 + 5.0 <= half <= 24.0 + 10.0


# ---- running ---------------------------------------------------------------------------------------------------


def test_a_trained_network_has_scores_a_curve_and_what_it_cost(finished):
    record = load_record(finished[0])
    assert record.n_planned == len(record.results) == 7
    rows = {row.scenario: row for row in record.summaries if row.trains}
    assert {name: row.status for name, row in rows.items()} == dict.fromkeys(
        ("finetune", "full", "scratch"), "done"
    )
    for row in rows.values():
        (result,) = [each for each in record.results if each.cell.id in row.cells]
        (fit,) = result.training
        assert (result.n_train, result.n_validation, result.n_test) == (18, 6, 6)
        assert result.selected_on == "validation" and result.selection == fit["selection"]
        assert len(fit["curve"]) == 2 and row.images_seen == result.images_seen == 36
        assert set(result.seconds) == {"fit", "predict"} and 0 < row.train_seconds < result.seconds["fit"]
        assert result.chosen == {"epoch": fit["kept_epoch"], "learning_rate": 0.003}
        assert (row.layer, row.pooling, row.head) == ("", "", "") and row.model_bytes > 100_000
    assert rows["finetune"].method.endswith("last:1 32px") and rows["full"].method.endswith("all 48px")
    assert result_from(result_row(result)) == result


def test_probabilities_of_a_trained_winner_are_kept(training, tmp_path):
    record = run_study(training(scenario=("finetune",)), tmp_path / "out")
    (result,) = record.results
    probabilities = record.probabilities[result.cell.id]
    labels = record.tables["shapes"].labels[record.targets["shapes"]]
    truth = [labels[row] for row in record.test_rows[result.cell.id]]
    called = [result.classes[code] for code in probabilities.argmax(axis=1)]
    assert np.mean([a == b for a, b in zip(truth, called, strict=True)]) == result.scores["accuracy"].value


def test_steps_of_training_are_told_inside_the_cells(finished):
    steps = [event for event in finished[2] if isinstance(event, Progress) and event.task == "train"]
    assert steps and max(step.total for step in steps) == 2
    runs = [event.done for event in finished[2] if isinstance(event, Progress) and event.task == execute.TASK]
    assert runs == list(range(8))


def test_a_finished_study_trains_nothing(finished, monkeypatch):
    monkeypatch.setattr(
        finetune.FineTuneClassifier, "fit_table", lambda *a, **k: pytest.fail("trained again")
    )
    told = []
    with listening(told.append):
        record = run_study(finished[1], finished[0])
    assert len(record.results) == 7
    assert "all are done already" in next(event.message for event in told if isinstance(event, Notice))


def test_measured_epochs_make_the_next_estimate(finished):
    from headstart.study.passes import known_rates

    with StudyStore(finished[0]) as store:
        rates = known_rates(store)
    assert len(rates.train_seconds) == 3
    assert all(timed.keys() == {18} for timed in rates.train_seconds.values())
    assert all(
        epoch > 0 and rest > 0 for timed in rates.train_seconds.values() for epoch, rest in timed.values()
    )


def test_test_images_are_not_read_before_all_is_chosen(training, tmp_path, monkeypatch):
    seen = []
    real = finetune.FineTuneClassifier.fit_table
    monkeypatch.setattr(
        finetune.FineTuneClassifier,
        "fit_table",
        lambda self, table, target: seen.append(table) or real(self, table, target),
    )
    record = run_study(training(scenario=("finetune",)), tmp_path / "out")
    (result,) = record.results
    tested = {record.tables["shapes"].paths[row] for row in record.test_rows[result.cell.id]}
    assert len(tested) == 6 and not tested & set(seen[0].paths)


def test_folds_train_a_network_each_and_test_every_image_once(training, tmp_path):
    record = run_study(training(scenario=("finetune",), folds=3), tmp_path / "out")
    (result,) = record.results
    assert result.n_test == 30 and len(result.training) == 3
    assert all(fit["epoch_chosen_on"] == "1 of 5 inner folds" for fit in result.training)
    started = all(fit["kept_epoch"] == 0 for fit in result.training)
    assert result.selected_on == ("5 inner folds" if started else "1 of 5 inner folds")
    assert result.n_train + result.n_validation == 20 and (result.n_validation == 0) == started
    assert sorted(record.test_rows[result.cell.id]) == list(range(30))
    assert result.images_seen == sum(fit["images_seen"] for fit in result.training)


def test_equal_seconds_are_filled_with_as_many_epochs_as_fit(training, tmp_path):
    spec = training(scenario=("finetune",), equal="seconds", train_seconds=1.0, epochs=None, start="plain")
    (result,) = run_study(spec, tmp_path / "out").results
    (fit,) = result.training
    assert fit["epochs"] == max(1, int(1.0 / fit["epoch_seconds_expected"]))
    assert result.train_seconds - fit["curve"][-1]["seconds"] < 1.5  # no epoch begins after the time


def test_a_network_that_cannot_train_is_shown_as_failed(training, tmp_path, monkeypatch):
    monkeypatch.setattr(Loop, "run", lambda self: (_ for _ in ()).throw(RuntimeError("no memory is left")))
    record = run_study(training(), tmp_path / "out")
    row = next(row for row in record.summaries if row.trains)
    assert (row.status, row.errors) == ("failed", ("RuntimeError: no memory is left",))
    assert record.best["shapes"].startswith("features")
    monkeypatch.undo()
    assert all(row.status == "done" for row in run_study(training(), tmp_path / "out").summaries)


def test_a_network_killed_while_it_trains_goes_on_from_its_checkpoint(training, tmp_path, monkeypatch):
    plain = execute.classifier_of
    often = lambda cell, **options: plain(cell, **options, checkpoint_minutes=0.0)  # noqa: E731
    monkeypatch.setattr(execute, "classifier_of", often)
    options = {"scenario": ("finetune",), "epochs": 4}
    spec = write_spec(training(**options), tmp_path / "spec.toml")
    script = f"""
import os, signal
from headstart.base.events import Progress, listening
from headstart.study import execute
from headstart.study.spec import read_spec

def kill(event):
    if isinstance(event, Progress) and event.task == "train" and event.done == 3:
        os.kill(os.getpid(), signal.SIGKILL)

plain = execute.classifier_of
execute.classifier_of = lambda cell, **options: plain(cell, **options, checkpoint_minutes=0.0)
with listening(kill):
    execute.run_study(read_spec({str(spec)!r}), {str(tmp_path / "killed")!r})
"""
    ended = subprocess.run([sys.executable, "-c", script], env={**os.environ}, check=False)
    assert ended.returncode == -signal.SIGKILL
    assert load_record(tmp_path / "killed").results == ()
    steps = []
    with listening(lambda event: steps.append(event) if getattr(event, "task", "") == "train" else None):
        (resumed,) = run_study(training(**options), tmp_path / "killed").results
    assert [step.done for step in steps] == [3, 4] or [step.done for step in steps] == [4]
    (whole,) = run_study(training(**options), tmp_path / "whole").results
    curves = [[line["held_loss"] for line in each.training[0]["curve"]] for each in (resumed, whole)]
    assert curves[0] == pytest.approx(curves[1]) and resumed.selection == whole.selection


# ---- findings and the hand-over ----------------------------------------------------------------------------------


def test_findings_of_a_run_reach_the_record_once_and_are_no_mere_warning(training, tmp_path):
    # a rate so small that nothing is learned from a random head
    spec = training(scenario=("finetune",), learning_rate=1e-7, start="plain", trainable=("head",))
    record = run_study(spec, tmp_path / "out")
    kinds = {each.finding.kind for each in record.findings}
    assert kinds & {"never learned", "collapsed", "majority"}
    assert all(each.runs == (record.results[0].cell.id,) for each in record.findings)
    assert not any(each.finding.message in line for each in record.findings for line in record.warnings)


def test_scratch_above_pretrained_is_a_finding_of_the_study(finished):
    from headstart.study.findings import all_findings

    record = load_record(finished[0])

    def found(scratch, full):
        given = {"scratch": scratch, "full": full, "finetune": 0.9}
        rows = [replace(row, selection=given.get(row.scenario, 0.9)) for row in record.summaries]
        return [each.finding for each in all_findings(rows, {})]

    assert found(0.7, 0.7) == []
    (finding,) = found(0.8, 0.7)
    assert finding.kind == "scratch better than pretrained"
    assert "80.0%" in finding.message and "70.0%" in finding.message and "full" in finding.message


def test_a_trained_winner_is_handed_over_as_the_same_network(finished):
    folder, _, _ = finished
    record = load_record(folder)
    (result,) = [each for each in record.results if each.cell.scenario == "finetune"]
    handed = hand_over(folder, cell=result.cell.id[:12])
    assert handed.classifier.scenario == "finetune" and handed.classifier.trainable == "last:1"
    assert handed.classifier.selection_ == result.selection and handed.classifier.chosen_ == result.chosen
    table = record.tables["shapes"]
    with StudyStore(folder) as store:
        kept, paths, _ = store.probabilities(result.cell.id)
    items = [table.item(table.paths.index(path)) for path in paths]
    np.testing.assert_allclose(handed.classifier.predict_proba(items), kept, atol=1e-5)


def test_a_trained_winner_cannot_let_validation_images_join_train(finished):
    from headstart.base.errors import UsageError

    (result,) = [each for each in load_record(finished[0]).results if each.cell.scenario == "full"]
    with pytest.raises(UsageError, match="choose the epoch"):
        hand_over(finished[0], cell=result.cell.id, refit=True)
