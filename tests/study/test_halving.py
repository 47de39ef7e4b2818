"""Under a budget the methods that train race: the worse half by validation goes, and the same again on resuming."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from headstart.base.events import Notice, Progress, listening
from headstart.study import execute
from headstart.study.execute import run_study
from headstart.study.halving import (
    OutOfTime,
    Race,
    better_half,
    contenders,
    rung_shares,
    shortened,
    stored_cut,
    told,
)
from headstart.study.plan import make_plan
from headstart.study.record import load_record
from headstart.study.resolve import resolve
from headstart.study.sources import scan_sources
from headstart.study.store import StudyStore
from headstart.study.trained import trained_methods

SCORES = {"last:1": 0.9, "last:2": 0.8, "head": 0.85, "norm": 0.7}


@pytest.fixture
def racing(small, tiny_name):
    """A spec of four cuts, eight epochs and two seeds."""

    def make(**options):
        given = {
            "scenario": ("finetune",), "backbone": (tiny_name,), "trainable": tuple(SCORES), "epochs": 8,
            "budget": "1h", "engine": "auto", "learning_rate": 0.003, "views": 1, "dtype": "float32",
        }  # fmt: skip
        return small(**{**given, **options})

    return make


@pytest.fixture
def cells(racing):
    """The planned runs of a spec."""

    def make(**options):
        spec = racing(**options)
        data = [source.dataset(spec) for source in scan_sources(spec)]
        variants = resolve(spec)
        trained = trained_methods(spec, variants)
        return make_plan(spec, data, variants, trained=trained, uses_seed=lambda *_: True).cells

    return make


def scripted(ran, scores=SCORES, **more):
    """A rung that runs nothing: the score of the cut, whatever the length."""

    def run_rung(cell, options):
        ran.append((cell.cut, options["epochs"]))
        given = {"score": scores[cell.cut], "loss": 1.0, "error": "", "learning_rate": 0.01, "findings": []}
        return {**given, "epochs": options["epochs"], "seconds": 1.0, "images_seen": 18, **more}

    return run_rung


def race_of(cells, store):
    ((dataset, group),) = contenders(cells).items()
    return Race(dataset, group, store)


def run(race, run_rung, time_is_up=lambda: False):
    race.run(frozenset(), run_rung, time_is_up, lambda: 12.0)


def test_rungs_double_and_the_last_half_is_the_full_length():
    assert [rung_shares(n) for n in (1, 2, 3, 4)] == [(), (0.5,), (0.25, 0.5), (0.25, 0.5)]


def test_the_loss_settles_equal_scores_and_what_failed_never_goes_on():
    assert better_half({"a": (0.5, 2.0), "b": (0.5, 1.0)}) == (["b"], ["a"])
    assert better_half({"a": (0.5, 1.0), "b": (0.5, 1.0)}) == (["a"], ["b"])
    assert better_half({"a": None, "b": None, "c": (0.1, 9.0)}) == (["c"], ["a", "b"])


def test_the_worse_half_is_cut_at_each_rung_and_one_is_left(cells, tmp_path):
    ran = []
    with StudyStore(tmp_path) as store:
        race = race_of(cells(), store)
        run(race, scripted(ran))
        cuts = stored_cut(store, cells())
    assert ran == [(cut, 2) for cut in SCORES] + [("last:1", 4), ("head", 4)]
    assert [(cut.method.split()[2], cut.rung, cut.score, cut.least_kept) for cut in cuts] == [
        ("last:2", 1, 0.8, 0.85), ("norm", 1, 0.7, 0.85), ("head", 2, 0.85, 0.9),
    ]  # fmt: skip
    assert race.decided and cuts == race.cut
    assert "80.0 % on the images that choose, where the worst that went on has 85.0 %" in told(cuts[0])


def test_rungs_of_equal_seconds_are_shares_of_the_seconds(cells):
    cell = cells(equal="seconds", train_seconds=40.0, epochs=None)[0]
    assert shortened(cell, 0.25, 100) == {"seconds": 10.0}


def test_a_scenario_whose_own_length_hangs_on_the_number_of_images_is_shortened_by_it(cells):
    full = next(
        each for each in cells(equal="own", epochs=None, scenario=("full",)) if each.scenario == "full"
    )
    assert full.options["epochs"] is None
    assert [shortened(full, 0.5, n)["epochs"] for n in (100, 800, 5000)] == [10, 5, 2]


def test_too_few_epochs_to_shorten_are_no_race(cells, tmp_path):
    ran = []
    with StudyStore(tmp_path) as store:
        race = race_of(cells(epochs=1), store)
        run(race, scripted(ran))
    assert ran == [] and race.decided and race.cut == ()


def test_a_race_that_runs_out_of_time_goes_on_and_decides_the_same(cells, tmp_path):
    whole, ran = [], []
    with StudyStore(tmp_path / "whole") as store:
        race = race_of(cells(), store)
        run(race, scripted(whole))
        wanted = race.cut
    with StudyStore(tmp_path / "stopped") as store, pytest.raises(OutOfTime):
        run(race_of(cells(), store), scripted(ran), lambda: len(ran) >= 5)
    with StudyStore(tmp_path / "stopped") as store:
        race = race_of(cells(), store)
        assert len(race.cut) == 2 and not race.decided
        run(race, scripted(ran))
    assert ran == whole and race.cut == wanted


def test_a_method_that_fails_in_a_rung_is_cut_with_its_error(cells, tmp_path):
    scores = {**SCORES, "last:1": None}
    with StudyStore(tmp_path) as store:
        race = race_of(cells(trainable=("last:1", "head")), store)
        run(race, scripted([], scores, error="the loss is not finite"))
    (cut,) = race.cut
    assert cut.score is None and "it failed (the loss is not finite)" in told(cut)


def test_survivors_go_on_to_all_seeds_and_the_cut_are_told(racing, tmp_path, monkeypatch):
    ran, rungs = [], []
    monkeypatch.setattr(execute, "run_rung", lambda cell, data, make: scripted(rungs)(cell, {"epochs": 2}))
    real = execute.run_trained_cell
    monkeypatch.setattr(
        execute,
        "run_trained_cell",
        lambda cell, *a, **k: ran.append((cell.cut, cell.seed)) or real(cell, *a, **k),
    )
    spec = racing(epochs=4, learning_rate=None, views=1)
    said = []
    with listening(said.append):
        record = run_study(spec, tmp_path / "out")
    assert ran == [("last:1", 0), ("last:1", 1)] and record.n_planned == len(record.results) == 2
    assert {row.cut: row.status for row in record.summaries} == {
        "last:1": "done", "last:2": "cut", "head": "cut", "norm": "cut",
    }  # fmt: skip
    # the full run has a range test of its own, so that it gives what it would give without a race
    assert all(result.training[0]["range_test"] for result in record.results)
    steps = [each for each in said if isinstance(each, Progress) and each.task == "train"]
    assert max(each.total for each in steps) == 4  # the steps of a range test are nobody's progress
    assert sum("is cut at rung" in each.message for each in said if isinstance(each, Notice)) == 3
    n_rungs = len(rungs)
    again = run_study(spec, tmp_path / "out")
    assert (again.cut, len(ran), len(rungs)) == (record.cut, 2, n_rungs) and len(again.cut) == 3


def test_without_the_budget_the_cut_methods_run_whole(racing, tmp_path, monkeypatch):
    monkeypatch.setattr(execute, "run_rung", lambda cell, data, make: scripted([])(cell, {"epochs": 1}))
    options = {"trainable": ("last:1", "head"), "epochs": 2, "seeds": 1}
    assert len(run_study(racing(**options), tmp_path / "out").results) == 1
    record = run_study(racing(**options, budget=""), tmp_path / "out")
    assert len(record.results) == 2 and record.cut == ()


def test_a_real_rung_trains_shorter_and_looks_at_no_test_image(racing, tmp_path, monkeypatch):
    record = run_study(racing(trainable=("last:1", "head"), epochs=4, seeds=1), tmp_path / "out")
    (cut,) = record.cut
    assert (cut.epochs, cut.rung, cut.n_rungs) == (2, 1, 1) and cut.score <= cut.least_kept
    assert len(record.results[0].training[0]["curve"]) == 4
    assert load_record(tmp_path / "out").cut == record.cut


def test_a_run_longer_than_the_time_left_ends_in_order_and_goes_on_with_the_next_command(
    racing, tmp_path, monkeypatch
):
    options = {"trainable": ("last:1",), "epochs": 3, "seeds": 1}
    whole = run_study(racing(**options, budget=""), tmp_path / "whole").results[0]
    with monkeypatch.context() as late:
        late.setattr(execute._Run, "_ends", lambda self: self.started)  # no time is left
        (cut,) = run_study(racing(**options), tmp_path / "out").results
    assert cut.cut_short and len(cut.training[0]["curve"]) == 1 < len(whole.training[0]["curve"])
    (finding,) = [each for each in cut.findings if each.kind == "cut short"]
    assert "epoch 1 of 3" in finding.message and "the same command goes on" in finding.advice
    (after,) = run_study(racing(**options), tmp_path / "out").results
    assert not after.cut_short and after.scores == whole.scores
    assert after.training[0]["n_steps"] == whole.training[0]["n_steps"]
    losses = [[line["loss"] for line in each.training[0]["curve"]] for each in (whole, after)]
    assert losses[0] == losses[1]


def test_a_rung_that_the_budget_ends_is_no_measure_and_is_run_again(cells, tmp_path):
    ran = []
    with StudyStore(tmp_path) as store:
        race = race_of(cells(), store)
        with pytest.raises(OutOfTime):
            run(race, scripted(ran, cut_short=True))
        assert len(ran) == 1 and race.state["runs"] == {} and race.cut == ()
        run(race, scripted(ran))
        assert ran[1] == ran[0] and len(race.cut) == 3


def test_a_run_that_the_budget_ended_makes_no_estimate():
    """Its last epoch may be a single step."""
    from headstart.study.passes import known_rates

    whole, ended = (
        SimpleNamespace(
            status="done", whole=not cut_short, n_train=60, train_seconds=seconds, training=({"curve": [{}, {}]},),
            seconds={"fit": seconds + 1, "predict": 1.0}, cell=SimpleNamespace(dataset="shapes", method="full"),
        )
        for cut_short, seconds in ((False, 8.0), (True, 0.2))
    )  # fmt: skip
    store = SimpleNamespace(passes=dict, results=lambda trained_only: {"1": whole, "2": ended})
    assert known_rates(store, ()).train_seconds == {("shapes", "full"): {60: (4.0, 2.0)}}
