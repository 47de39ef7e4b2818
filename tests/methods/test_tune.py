"""Tuning heads: judged on what may choose, resumable, shared, and measured on test once."""

from __future__ import annotations

import dataclasses
import json
import threading
import time

import numpy as np
import pytest

optuna = pytest.importorskip("optuna")

from headstart.base.errors import BadOptions, DataError, UsageError  # noqa: E402
from headstart.base.events import Notice, listening  # noqa: E402
from headstart.images.table import ImageTable  # noqa: E402
from headstart.methods.tune import run as running  # noqa: E402
from headstart.methods.tune.divide import divide  # noqa: E402
from headstart.methods.tune.ended import add_seconds, spent  # noqa: E402
from headstart.methods.tune.found import load_tuning  # noqa: E402
from headstart.methods.tune.job import Job, read_job, spaces_folder, write_job  # noqa: E402
from headstart.methods.tune.plan import TunePlan  # noqa: E402
from headstart.methods.tune.run import tune_table  # noqa: E402
from headstart.methods.tune.storage import claim, lose, n_taken, open_storage, open_study, take_back  # noqa: E402
from headstart.methods.tune.work import begin, work  # noqa: E402

N, D = 120, 6


def blobs(seed=0, spread=1.6):
    """Three overlapping classes of points; what stands for an image is its row of features."""
    rng = np.random.default_rng(seed)
    codes = np.arange(N) % 3
    features = rng.normal(size=(N, D)) * spread
    features[np.arange(N), codes] += 2.0
    return features.astype(np.float32), codes


def table_of(codes, splits=True):
    digests = tuple(f"{row:032x}" for row in range(N))
    parts = tuple(("train", "train", "train", "validation", "test")[row % 5] for row in range(N))
    return ImageTable(
        name="blobs", root="", paths=tuple(f"{row}.jpg" for row in range(N)), digests=digests,
        labels={"label": tuple(f"class {code}" for code in codes)}, splits=parts if splits else None,
    )  # fmt: skip


@pytest.fixture
def table(monkeypatch):
    """A table whose features are at hand: no network is run."""
    features, codes = blobs()
    made = table_of(codes)

    def read(table, plan):
        rows = [int(path.removesuffix(".jpg")) for path in table.paths]
        places = [(layer, pooling) for layer in plan.layer for pooling in plan.pooling]
        return table, {place: features[rows] * (1 if place[0] == "pool" else -1) for place in places}

    monkeypatch.setattr(running, "_read", read)
    return made


def job_of(table, plan):
    return running.make_job(table, plan)


def test_trials_count_the_defaults_and_the_best_is_at_least_as_good(table, tmp_path):
    found = tune_table(table, TunePlan(head=("lda", "knn"), trials=9), tmp_path / "out")
    for record in found.searches:
        assert len(record.trials) == 9
        assert record.trials[0].default and record.trials[0].value == record.default["value"]
        assert record.best_trial.value >= record.default["value"]
        assert max(each.value for each in record.trials) == record.best_trial.value
    assert found.best.chosen_by == max(each.chosen_by for each in found.worth)
    assert found.n_test_reads == 1 and found.n_test == N // 5
    for worth in found.worth:
        assert worth.difference["low"] <= worth.difference["value"] <= worth.difference["high"]
        assert worth.difference["value"] == pytest.approx(worth.tuned["value"] - worth.default["value"])


def test_the_record_reads_back_as_it_was_written(table, tmp_path):
    found = tune_table(table, TunePlan(head=("lda",), trials=4), tmp_path / "out")
    assert json.loads(json.dumps(load_tuning(tmp_path / "out").to_dict())) == json.loads(
        json.dumps(found.to_dict())
    )


def test_a_finished_tuning_is_only_read_and_more_trials_go_on(table, tmp_path):
    plan = TunePlan(head=("knn",), trials=5)
    first = tune_table(table, plan, tmp_path / "out")
    heard = []
    with listening(lambda event: heard.append(event)):
        again = tune_table(table, plan, tmp_path / "out")
    assert again.seconds == first.seconds and again.n_test_reads == 1
    assert any(isinstance(each, Notice) and "done already" in each.message for each in heard)
    more = tune_table(table, dataclasses.replace(plan, trials=8), tmp_path / "out")
    assert len(more.searches[0].trials) == 8 and more.n_test_reads == 2
    assert more.searches[0].trials[:5] == first.searches[0].trials


def test_the_same_seed_gives_the_same_trials(table, tmp_path):
    plan = TunePlan(head=("lda",), trials=6, seed=4)
    one, other = (tune_table(table, plan, tmp_path / name).searches[0] for name in ("a", "b"))
    assert [each.params for each in one.trials] == [each.params for each in other.trials]
    assert [each.value for each in one.trials] == [each.value for each in other.trials]


def test_test_labels_change_no_trial(table, tmp_path):
    """The same search with the labels of the test images turned round."""
    turned = tuple(
        {"class 0": "class 1", "class 1": "class 2", "class 2": "class 0"}[label]
        if split == "test"
        else label
        for label, split in zip(table.labels["label"], table.splits, strict=True)
    )
    other = dataclasses.replace(table, labels={"label": turned})
    plan = TunePlan(head=("logistic",), trials=5)
    job, blind = job_of(table, plan), job_of(other, plan)
    params = {"C": 0.01, "unit_length": True, "standardise": False}
    values = [each.trials(each.searches()[0]).measure(params, lambda *_: None) for each in (job, blind)]
    assert values[0] == values[1]


def test_nested_tuning_tests_every_image_once_on_folds_that_did_not_choose(table, tmp_path):
    found = tune_table(table, TunePlan(head=("lda",), trials=4, folds=3), tmp_path / "out")
    assert found.n_test == N and len(found.searches) == 3 and len(found.best.params) == 3
    parts = divide(table, "label", folds=3)
    assert sorted(row for part in parts for row in part.test) == list(range(N))
    for part in parts:
        assert not set(part.test) & set(part.seen)


def test_without_validation_inner_folds_choose(table, tmp_path):
    found = tune_table(
        dataclasses.replace(table, splits=tuple("train" if s == "validation" else s for s in table.splits)),
        TunePlan(head=("lda",), trials=4), tmp_path / "out",
    )  # fmt: skip
    assert found.selected_on == "inner folds of train" and found.n_validation == 0


def test_images_that_would_choose_and_test_are_refused(table, tmp_path):
    digests = list(table.digests)
    digests[4] = digests[3]  # a test image that is a validation image too
    shared = dataclasses.replace(table, digests=tuple(digests))
    with pytest.raises(DataError, match=r"1 of 24 test images would also be tuned on \(first: 4.jpg"):
        tune_table(shared, TunePlan(trials=3), tmp_path / "out")


def test_a_folder_that_was_tuned_on_what_is_now_the_test_split_is_refused(table, tmp_path):
    tune_table(table, TunePlan(head=("lda",), trials=3), tmp_path / "out")
    turned = {"train": "train", "validation": "test", "test": "validation"}
    other = dataclasses.replace(table, splits=tuple(turned[each] for each in table.splits))
    with pytest.raises(UsageError, match="was tuned on 24 of the images that are to test now"):
        tune_table(other, TunePlan(head=("lda",), trials=3), tmp_path / "out")
    tune_table(other, TunePlan(head=("lda",), trials=3), tmp_path / "elsewhere")


def test_start_values_are_tried_right_after_the_defaults(table, tmp_path):
    start = {"lda": [{"shrinkage": 0.123, "standardise": True}, {"shrinkage": 0.456}]}
    found = tune_table(table, TunePlan(head=("lda",), trials=5, start=start), tmp_path / "out")
    tried = [each.params for each in found.searches[0].trials]
    assert (tried[1]["shrinkage"], tried[1]["standardise"]) == (0.123, True)
    assert tried[2]["shrinkage"] == 0.456


def test_other_start_values_are_tried_too_and_the_same_ones_are_not_tried_again(table, tmp_path):
    def tuned(trials, *values):
        start = {"lda": [{"shrinkage": each} for each in values]}
        return tune_table(table, TunePlan(head=("lda",), trials=trials, start=start), tmp_path / "out")

    tuned(3, 0.123)
    tried = [each.params["shrinkage"] for each in tuned(6, 0.456, 0.123).searches[0].trials]
    assert tried[3] == 0.456 and tried.count(0.123) == 1


def test_start_values_that_find_no_trial_left_are_said_and_no_test_image_is_read_for_them(table, tmp_path):
    plan = TunePlan(head=("lda",), trials=3, start={"lda": [{"shrinkage": 0.123}]})
    tune_table(table, plan, tmp_path / "out")
    new = {"lda": [{"shrinkage": 0.123}, {"shrinkage": 0.456}, {"shrinkage": 0.789}]}
    heard = []
    with listening(lambda event: heard.append(getattr(event, "message", ""))):
        found = tune_table(table, dataclasses.replace(plan, start=new), tmp_path / "out")
    assert found.n_test_reads == 1
    said = "lda: 2 new configurations to begin with are not tried, as all 3 trials are done"
    assert [each for each in heard if each.startswith(said)]
    more = tune_table(table, dataclasses.replace(plan, start=new, trials=4), tmp_path / "out")
    assert more.searches[0].trials[3].params["shrinkage"] == 0.456
    assert any(
        "1 new configuration to begin with is not tried, as only 1 of 4" in each for each in more.warnings
    )


def test_defaults_outside_a_narrowed_space_are_compared_with_but_no_trial(table, tmp_path):
    plan = TunePlan(head=("lda",), trials=4, space={"lda": {"standardise": True}})
    found = tune_table(table, plan, tmp_path / "out")
    record = found.searches[0]
    assert record.default["params"]["standardise"] is False and not record.default["inside"]
    assert all(each.params["standardise"] and not each.default for each in record.trials)


@pytest.mark.parametrize(("best", "end"), [(10.0, "low"), (1000.0, "high"), (100.0, "")])
def test_the_best_value_on_a_border_is_warned_of(table, tmp_path, monkeypatch, best, end):
    from headstart.methods.tune.trials import HeadTrials, Measured

    def nearer_is_better(self, params, tell):
        options = {"unit_length": True, "standardise": False, "alpha": 50.0, **params}
        full = {each.name: options.get(each.name, each.default) for each in self.space.dimensions}
        return Measured(1 / (1 + abs(np.log10(options["alpha"] / best))), None, full)

    monkeypatch.setattr(HeadTrials, "measure", nearer_is_better)
    plan = TunePlan(head=("ridge",), trials=4, space={"ridge": {"alpha": [10.0, 1000.0]}},
                    start={"ridge": [{"alpha": best}]})  # fmt: skip
    found = tune_table(table, plan, tmp_path / "out")
    (record,) = found.searches
    assert record.best_trial.params["alpha"] == best
    assert [(each["name"], each["end"]) for each in record.borders] == ([("alpha", end)] if end else [])
    warned = [each for each in found.warnings if "lies on the border" in each]
    side = {"low": "lowest", "high": "highest"}.get(end)
    assert len(warned) == bool(end) and all(f"the best alpha, {best:.3g}, lies" in each for each in warned)
    assert all(f"the {side} values tried" in each for each in warned)


def test_the_best_of_ordered_choices_on_a_border_is_warned_of():
    from headstart.methods.tune.found import SearchRecord

    border = {"name": "trainable", "value": "last:4", "end": "high"}
    record = SearchRecord("finetune", 0, [], (), None, {}, {}, borders=(border,))
    heard = []
    with listening(lambda event: heard.append(event.message)):
        running._tell_borders([record])
    assert (
        "the best trainable, last:4, lies on the border of the space (the highest values tried)" in heard[0]
    )


def test_several_layers_are_searched_together(table, tmp_path):
    found = tune_table(table, TunePlan(head=("knn",), layer=("stage4", "pool"), trials=12), tmp_path / "out")
    assert {each.params["layer"] for each in found.searches[0].trials} == {"stage4", "pool"}


def test_a_trial_that_fails_counts_and_says_why(table, tmp_path, monkeypatch):
    from headstart.methods.tune import trials

    whole = trials.HeadTrials.measure

    def sometimes(self, params, tell):
        if params.get("standardise"):
            raise ArithmeticError("not finite")
        return whole(self, params, tell)

    monkeypatch.setattr(trials.HeadTrials, "measure", sometimes)
    found = tune_table(table, TunePlan(head=("lda",), trials=10), tmp_path / "out")
    failed = [each for each in found.searches[0].trials if each.state == "failed"]
    assert failed and failed[0].error == "ArithmeticError: not finite"
    assert len(found.searches[0].trials) == 10


def test_ctrl_c_gives_the_trial_back_and_the_same_command_goes_on(table, tmp_path, monkeypatch):
    from headstart.methods.tune import trials

    whole, calls = trials.HeadTrials.measure, []

    def stopped(self, params, tell):
        calls.append(dict(params))
        if len(calls) == 4:
            raise KeyboardInterrupt
        return whole(self, params, tell)

    monkeypatch.setattr(trials.HeadTrials, "measure", stopped)
    plan = TunePlan(head=("lda",), trials=6)
    with pytest.raises(KeyboardInterrupt):
        tune_table(table, plan, tmp_path / "out")
    found = tune_table(table, plan, tmp_path / "out")
    assert len(found.searches[0].trials) == 6
    assert calls[4] == calls[3], "the trial that was stopped is tried first"


def test_a_budget_is_shared_equally_and_ends_the_search(table, tmp_path, monkeypatch):
    each_took = {}

    def noted(study, worker, seconds):
        each_took.setdefault(study.study_name, []).append(seconds)
        add_seconds(study, worker, seconds)

    monkeypatch.setattr("headstart.methods.tune.work.add_seconds", noted)
    found = tune_table(table, TunePlan(head=("knn", "lda"), seconds=1.0), tmp_path / "out")
    storage = open_storage(tmp_path / "out")
    for record, name in zip(found.searches, found.names, strict=True):
        took = spent(open_study(storage, name, seed=0))
        assert took >= 0.5 and took > sum(each.seconds for each in record.trials if not each.default)
        assert sum(each_took[name]) == pytest.approx(took)
        assert sum(each_took[name][:-1]) < 0.5, "no trial begins after its budget"


def test_a_budget_is_time_on_the_clock_and_not_of_runs_alone(table, tmp_path, monkeypatch):
    """Trials of a head take a hundredth of the time that Optuna needs to propose and keep them."""
    from headstart.methods.tune.trials import HeadTrials, Measured

    def at_once(self, params, tell):
        options = {"shrinkage": 0.1, **params}
        return Measured(
            0.5, None, {each.name: options.get(each.name, each.default) for each in self.space.dimensions}
        )

    monkeypatch.setattr(HeadTrials, "measure", at_once)
    start = time.monotonic()
    found = tune_table(table, TunePlan(head=("lda",), seconds=2.0), tmp_path / "out")
    took = time.monotonic() - start
    assert 2.0 <= took < 12.0
    assert sum(each.seconds for each in found.searches[0].trials) < 1.0


@pytest.mark.parametrize("asked", [{"seconds": 600.0}, {"trials": 200}])
def test_a_search_ends_when_every_point_of_a_finite_space_was_tried(table, tmp_path, asked):
    start = time.monotonic()
    found = tune_table(table, TunePlan(head=("nearest_mean",), **asked), tmp_path / "out")
    (record,) = found.searches
    points = {tuple(each.params.items()) for each in record.trials}
    assert len(points) == 8 and len(record.trials) <= 16
    assert time.monotonic() - start < 120
    assert any("every one of the 8 points of its space was tried" in each for each in found.warnings)
    again = tune_table(
        table, dataclasses.replace(TunePlan(head=("nearest_mean",)), trials=300), tmp_path / "out"
    )
    assert again.n_test_reads == 1, "more trials would find nothing new"


def test_two_processes_keep_exactly_the_asked_number_of_trials(table, tmp_path):
    found = tune_table(table, TunePlan(head=("logistic",), trials=12, workers=2), tmp_path / "out")
    assert len(found.searches[0].trials) == 12
    assert len({each.number for each in found.searches[0].trials}) == 12
    assert not spaces_folder(tmp_path / "out").exists()


def test_a_job_reads_back_for_the_workers(table, tmp_path):
    job = job_of(table, TunePlan(head=("knn",), layer=("stage4", "pool"), trials=4))
    write_job(job, tmp_path)
    again = read_job(tmp_path)
    assert isinstance(again, Job) and again.parts == job.parts
    assert [each.name for each in again.searches()] == [each.name for each in job.searches()]
    np.testing.assert_array_equal(again.features["pool", "avg"], job.features["pool", "avg"])


def test_the_trial_of_a_process_that_is_gone_is_tried_again(table, tmp_path):
    job = job_of(table, TunePlan(head=("lda",), trials=4))
    (search,), storage = job.searches(), open_storage(tmp_path)
    begin(job, storage, search)
    study = open_study(storage, search.name, seed=0)
    trial = claim(study, search.space, 4)
    trial.set_user_attr("process", {"pid": 2**22 - 3, "began": 0.0, "host": __import__("platform").node()})
    assert take_back(study) == 1 and n_taken(study) == 1
    work(job, storage)
    done = [each for each in study.get_trials() if each.state.name == "COMPLETE"]
    assert len(done) == 4 and done[1].params == trial.params


def test_a_trial_that_waits_goes_to_one_of_those_who_ask_at_once(tmp_path):
    study, n, taken = open_study(open_storage(tmp_path), "queue", seed=0), 60, []
    for at in range(n):
        study.enqueue_trial({"a": at})
    begin = threading.Barrier(4)

    def take():
        own = open_study(open_storage(tmp_path), "queue", seed=0)
        begin.wait()
        while (found := own._pop_waiting_trial_id()) is not None:
            taken.append(found)

    threads = [threading.Thread(target=take) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(taken) == n and len(set(taken)) == n


def test_a_trial_beyond_the_asked_number_is_given_back(table, tmp_path):
    job = job_of(table, TunePlan(head=("lda",), trials=2))
    (search,), storage = job.searches(), open_storage(tmp_path)
    study = open_study(storage, search.name, seed=0)
    first, second = claim(study, search.space, 2), claim(study, search.space, 2)
    assert first is not None and second is not None and claim(study, search.space, 2) is None
    lose(study, second)
    assert n_taken(study) == 1 and claim(study, search.space, 2) is not None


def test_a_file_that_is_no_storage_is_refused(table, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "trials.sqlite").write_text("not a database at all" * 100)
    with pytest.raises(UsageError, match="cannot be used"):
        tune_table(table, TunePlan(head=("lda",), trials=3), tmp_path / "out")


def test_a_space_of_one_point_is_refused_before_anything_runs(table, tmp_path):
    point = {"shrinkage": 0.1, "unit_length": True, "standardise": False}
    with pytest.raises(BadOptions, match="one point"):
        tune_table(table, TunePlan(head=("lda",), space={"lda": point}), tmp_path / "out")
    assert not (tmp_path / "out").exists()
