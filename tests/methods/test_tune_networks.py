"""Tuning networks that train: options that all trials share, epochs told to the pruner, trials given up."""

from __future__ import annotations

import pytest

pytest.importorskip("optuna")

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
