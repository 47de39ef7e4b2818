"""Tuning networks that train: options that all trials share, epochs told to the pruner, trials given up."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("optuna")

from headstart.base.errors import BadOptions, UsageError
from headstart.images.scan import scan
from headstart.methods.curve import Trained
from headstart.methods.kept import entries, runs_folder
from headstart.methods.tune.plan import TunePlan
from headstart.methods.tune.run import make_job, tune_table
from headstart.methods.watch import Abandoned, epoch_done, removed_if_abandoned, watching_epochs

FIXED = {
    "epochs": 3,
    "dtype": "float32",
    "views": 1,
    "augment": "crop",
    "trainable": "last:1",
    "batch_size": 16,
}


@pytest.fixture(scope="module")
def tuned(photos, tiny_name, tmp_path_factory):
    """A small tuning of the last stage of a tiny network."""
    plan = TunePlan(
        backbone=tiny_name, scenario=("finetune",), input_size=32, trials=5, pruner="asha",
        training={**FIXED, "learning_rate": 0.01}, start={"finetune": [{"label_smoothing": 0.25}]},
    )  # fmt: skip
    return tune_table(scan(photos), plan, tmp_path_factory.mktemp("tuned"))


def test_what_is_fixed_is_the_same_in_every_trial(tuned):
    (record,) = tuned.searches
    assert len(record.trials) == 5 and record.trials[0].default
    for each in record.trials:
        assert {name: each.params[name] for name in FIXED if name in each.params} == {
            name: FIXED[name] for name in FIXED if name in each.params
        }
    assert record.trials[1].params["label_smoothing"] == 0.25
    assert {each["name"] for each in record.space if len(each.get("choices", (1, 2))) > 1} == {
        "weight_decay", "layer_decay", "label_smoothing",
    }  # fmt: skip


def test_trials_are_done_or_given_up_and_both_are_recorded(tuned):
    (record,) = tuned.searches
    assert {each.state for each in record.trials} <= {"done", "pruned"}
    assert all(each.given_up.startswith("after epoch") for each in record.trials if each.state == "pruned")
    assert record.best_trial.state == "done"


def test_the_tuned_and_the_default_network_are_measured_on_the_same_images(tuned):
    worth = tuned.best
    assert worth.method == "finetune" and worth.n == tuned.n_test
    assert 0 <= worth.tuned["low"] <= worth.tuned["value"] <= worth.tuned["high"] <= 1


def test_a_trial_that_lags_behind_is_given_up_after_an_epoch(photos, tiny_name):
    plan = TunePlan(
        backbone=tiny_name, scenario=("finetune",), input_size=32, training={**FIXED, "learning_rate": 0.01}
    )
    job = make_job(scan(photos), plan)
    trials, told = job.trials(job.searches()[0]), []

    def tell(epoch, value):
        told.append((epoch, value))
        raise Abandoned("after epoch 1")

    before = {each.id for each in entries(runs_folder())}
    with pytest.raises(Abandoned, match="after epoch 1"):
        trials.measure({}, tell)
    assert [epoch for epoch, _ in told] == [1] and 0 <= told[0][1] <= 1
    assert {each.id for each in entries(runs_folder())} <= before, "what it kept to go on is removed"


def test_nobody_hears_of_epochs_without_a_watcher():
    heard = []
    with watching_epochs(heard.append):
        epoch_done(Trained(kept_epoch=2))
    epoch_done(Trained(kept_epoch=3))
    assert [each.kept_epoch for each in heard] == [2]


def test_a_run_that_ends_otherwise_keeps_its_folder(tmp_path):
    (tmp_path / "run").mkdir()
    with pytest.raises(ValueError, match="x"), removed_if_abandoned(tmp_path / "run"):
        raise ValueError("x")
    assert (tmp_path / "run").is_dir()
    with pytest.raises(Abandoned), removed_if_abandoned(tmp_path / "run"):
        raise Abandoned("now")
    assert not (tmp_path / "run").exists()


class Fitted:
    """A classifier that is fitted already, knows its content and counts how often it is asked."""

    def __init__(self, classes, *, seen=(), id="of some content"):
        self.classes_, self.seen_, self.id, self.n_asked = np.array(classes), seen, id, 0

    def predict_proba(self, items):
        self.n_asked += 1
        return np.full((len(items), len(self.classes_)), 1 / len(self.classes_), np.float32)


def taught(tiny_name, teacher="a folder", **options):
    training = {**FIXED, "epochs": 1, "learning_rate": 0.01, "teacher": teacher}
    given = {"scenario": ("finetune",), "input_size": 32, "trials": 3, "pruner": "none", **options}
    return TunePlan(backbone=tiny_name, training=training, **given)


def test_a_teacher_answers_once_for_all_trials(photos, tiny_name, tmp_path):
    table = scan(photos)
    asked = {}
    for id in ("of some content", ""):
        teacher = Fitted(table.classes("label"), id=id)
        found = tune_table(table, taught(tiny_name), tmp_path / f"out {id}", teacher=teacher)
        assert [each.state for each in found.searches[0].trials] == ["done"] * 3
        asked[id] = teacher.n_asked
    assert asked["of some content"] == 1 and asked[""] > 3, "three trials, and the networks that test"


@pytest.mark.parametrize("folds", [0, 2])
def test_a_teacher_that_saw_images_that_test_is_refused(photos, tiny_name, tmp_path, folds):
    table, plan = scan(photos), taught(tiny_name, folds=folds)
    job = make_job(table, plan)
    tested = [job.table.digests[row] for part in job.parts for row in part.test]
    teacher = Fitted(table.classes("label"), seen=(tested[0], tested[-1], "another"))
    with pytest.raises(
        UsageError, match="teacher: it was fitted or chosen on 2 of the images that are to test"
    ):
        tune_table(table, plan, tmp_path / "out", teacher=teacher)
    assert teacher.n_asked == 0


def test_processes_that_would_not_know_the_teacher_are_refused(photos, tiny_name, tmp_path):
    table = scan(photos)
    with pytest.raises(BadOptions, match="workers: 2 processes cannot be handed a fitted teacher"):
        tune_table(
            table, taught(tiny_name, workers=2), tmp_path / "out", teacher=Fitted(table.classes("label"))
        )
    assert not (tmp_path / "out").exists()


def test_a_search_is_known_by_what_its_teacher_says_and_not_by_where_it_lies(photos, tiny_name):
    def name(folder, id):
        job = make_job(scan(photos), taught(tiny_name, folder))
        job.teacher = Fitted(job.classes, id=id)
        return job.searches()[0].name

    assert name("here", "one") == name("there", "one") != name("here", "other")
    assert name("here", "") != name("there", "")
