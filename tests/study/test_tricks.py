"""Studies of tricks: the spec's mistakes, designs and their resolution, plans and ids, effects with their errors."""

from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.base.errors import BadOptions
from headstart.images.scan import scan
from headstart.methods.tricks.registry import TRICKS
from headstart.study.execute import run_study
from headstart.study.spec import StudySpec, spec_from, spec_mistakes
from headstart.study.store import StudyStore
from headstart.study.trained import trained_methods
from headstart.study.trick_designs import FULL, columns_of, least_word, make_design
from headstart.study.trick_effects import Ran, judged, trick_tables
from headstart.study.trick_spec import fitting, label_of, on_of, shown
from headstart.testing.backbones import tiny_weights
from headstart.testing.images import class_folders
from headstart.testing.plans import resolved

TRAINS = {"data": ("x",), "scenario": ("finetune",)}


# ---- the spec ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        ({"tricks": ("mixupp",)}, "did you mean 'mixup'"),
        ({"tricks": ("mixup", "mixup")}, "'mixup' is named twice"),
        ({"tricks": ("all", "mixup")}, "all names every trick"),
        ({"tricks": ("mixup",), "scenario": ("features",)}, "add finetune, full or scratch"),
        ({"tricks": ("mixup",), "budget": "10m"}, "budget: a budget cuts methods"),
        ({"tricks": ("ema",), "label_smoothing": 0.3}, "label_smoothing: tricks switch it"),
        ({"tricks": ("distillation",)}, "teacher: distillation needs one"),
        ({"tricks": ("ema",), "teacher": "lite1"}, "nothing learns from it"),
        ({"tricks": ("cosine", "one_cycle"), "design": "leave-one-out"}, "cosine and one_cycle cannot be on together"),
        ({"tricks": ("ema",), "design": "factorial"}, "two tricks or more"),
        ({"tricks": ("ema",), "augment": ("light", "heavy")}, "one augmentation"),
        ({"tricks": ("ema",), "tune": 3}, "tune: a tuned training"),
        ({"design": "factorial"}, "name some with tricks"),
        ({"tricks": ("ema",), "design": "fractorial"}, "design"),
    ],
)  # fmt: skip
def test_mistakes_about_tricks_are_told_before_anything_runs(given_, expected):
    found = spec_mistakes(StudySpec(**{**TRAINS, **given_}))
    assert any(expected in line for line in found), found


def test_tricks_may_be_compared_one_at_a_time_though_they_exclude_one_another():
    assert spec_mistakes(StudySpec(**TRAINS, tricks=("cosine", "one_cycle", "ema", "swa"))) == []
    assert spec_from({**{k: list(v) for k, v in TRAINS.items()}, "tricks": "ema"}).tricks == ("ema",)


def test_a_trick_that_no_network_can_have_is_refused_and_with_all_it_is_named():
    spec = StudySpec(**TRAINS, tricks=("zero_gamma", "ema"))
    with pytest.raises(BadOptions, match="zero_gamma: it sets starting weights"):
        resolved(spec)
    everything = fitting(
        replace(spec, tricks=("all",), design="leave-one-out"), "finetune", "lite0", "last:1", [224]
    )
    assert "one_cycle" in everything.left_out and "stochastic_depth" in everything.left_out
    assert "distillation" not in {*everything.names, *everything.left_out}, "there is no teacher"
    both = {*everything.names, *everything.left_out}
    assert both == set(TRICKS) - {"distillation"}


def test_a_trick_that_changes_nothing_is_refused_and_with_all_it_is_named():
    with pytest.raises(BadOptions, match="rand_augment: it changes nothing here"):
        resolved(StudySpec(**TRAINS, tricks=("rand_augment", "ema"), augment=("rand_augment",)))
    with pytest.raises(BadOptions, match="l2_sp: the head alone trains"):
        resolved(StudySpec(**TRAINS, tricks=("l2_sp", "ema"), trainable=("head",)))
    everything = StudySpec(**TRAINS, tricks=("all",), augment=("rand_augment",))
    assert "rand_augment" in fitting(everything, "finetune", "lite0", "last:1", [224]).left_out


# ---- designs -------------------------------------------------------------------------------------------------


@given(st.integers(2, 11), st.integers(3, 5))
@settings(max_examples=40, deadline=None)
def test_a_factorial_design_has_the_resolution_that_it_states(n, resolution):
    _n_base, columns = columns_of(n, resolution)
    found = least_word(columns)
    assert len(set(columns)) == n and (found == FULL or found >= resolution)
    for m in range(1, resolution):
        for some in combinations(columns, m):
            assert np.bitwise_xor.reduce(some) != 0


@pytest.mark.parametrize(
    ("n", "resolution", "runs"),
    [(4, 4, 8), (5, 5, 16), (7, 3, 8), (7, 4, 16), (8, 4, 16), (8, 5, 64), (15, 3, 16)],
)
def test_designs_are_as_small_as_in_the_textbooks(n, resolution, runs):
    assert len(make_design("factorial", [f"t{at}" for at in range(n)], resolution).runs) == runs


@given(st.integers(2, 9), st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_every_design_finds_the_effects_that_were_put_in(n, seed):
    names = [f"t{at}" for at in range(n)]
    effects = np.random.default_rng(seed).normal(size=n)
    for kind in ("one-at-a-time", "leave-one-out", "in-order", "factorial"):
        design = make_design(kind, names)
        score = {
            run: sum(e for name, e in zip(names, effects, strict=True) if name in run) for run in design.runs
        }
        for contrast in design.contrasts:
            sides = [np.mean([score[run] for run in side]) for side in (contrast.plus, contrast.minus)]
            expected = 0.0 if " x " in contrast.name else effects[names.index(contrast.name)]
            assert sides[0] - sides[1] == pytest.approx(expected, abs=1e-9)


def test_an_interaction_is_found_and_its_aliases_are_named():
    design = make_design("factorial", ["a", "b", "c", "d"])
    score = {run: float({"a", "b"} <= run) for run in design.runs}
    found = {
        contrast.name: np.mean([score[r] for r in contrast.plus])
        - np.mean([score[r] for r in contrast.minus])
        for contrast in design.contrasts
    }
    assert found["a x b"] == pytest.approx(0.5) and found["a"] == found["b"] == pytest.approx(0.5)
    assert next(c for c in design.contrasts if c.name == "a x b").aliases == ("c x d",)


def test_at_resolution_3_an_interaction_that_is_a_main_effect_is_told_once_and_with_its_sign():
    design = make_design("factorial", ["a", "b", "c"], 3)
    assert [(each.name, each.aliases) for each in design.contrasts] == [
        ("a", ("minus b x c",)), ("b", ("minus a x c",)), ("c", ("minus a x b",))
    ]  # fmt: skip
    score = {run: float({"a", "b"} <= run or not {"a", "b"} & run) for run in design.runs}  # a x b alone, +1
    last = design.contrasts[-1]
    assert np.mean([score[r] for r in last.plus]) - np.mean([score[r] for r in last.minus]) == -1


def test_labels_are_canonical_and_short_in_tables():
    assert label_of(frozenset({"ema", "mixup"})) == "mixup+ema" and on_of("mixup+ema") == {"ema", "mixup"}
    assert label_of(frozenset()) == shown("bare") == "bare" and on_of("bare") == frozenset()
    many = label_of(frozenset(list(TRICKS)[:9]))
    assert shown(many).startswith("9 tricks ") and len(shown(many)) < 20


def test_the_same_tricks_are_the_same_runs_in_every_design():
    def methods(design):
        spec = StudySpec(**TRAINS, trainable=("last:1",), tricks=("ema", "mixup"), design=design)
        return {each.tricks: each.options for each in trained_methods(spec, resolved_lite0())}

    one, order, factorial = (methods(design) for design in ("one-at-a-time", "in-order", "factorial"))
    assert set(one) == {"bare", "ema", "mixup"} and set(order) == {"bare", "ema", "mixup+ema"}
    assert set(factorial) == {"bare", "ema", "mixup", "mixup+ema"}
    assert all(factorial[name] == found[name] for found in (one, order) for name in found)


def resolved_lite0():
    from headstart.study.resolve import resolve

    return resolve(StudySpec(data=("x",), scenario=("finetune",), trainable=("last:1",)))


# ---- effects -----------------------------------------------------------------------------------------------


def made_up(gains, n_seeds=3, n=400, seed=0, noise=0.0, dataset="d"):
    """Runs whose accuracy is 70 % and the gains of what is on, right on the same easy images."""
    draw = np.random.default_rng(seed)
    design = make_design("one-at-a-time", list(gains))
    ease = draw.random(n)
    right, took = [], []
    for run in design.runs:
        rates = [0.7 + sum(gains[name] for name in run) + noise * draw.normal() for _ in range(n_seeds)]
        right.append(np.concatenate([ease < rate for rate in rates]))
        took.append([10.0 * (1 + len(run))] * n_seeds)
    images, of_seed = np.tile(np.arange(n), n_seeds), np.repeat(np.arange(n_seeds), n)
    ids = {run: (label_of(run),) for run in design.runs}
    at = {run: place for place, run in enumerate(design.runs)}
    return design, Ran(dataset, at, right, images, of_seed, np.array(took), np.array(took), ids)


def test_a_large_gain_helps_a_large_loss_hurts_and_nothing_cannot_be_told():
    design, ran = made_up({"ema": 0.15, "mixup": -0.15, "sam": 0.0})
    found = {each.trick: each for each in judged(design, [ran])}
    assert [found[name].kind for name in ("ema", "mixup", "sam")] == ["helps", "hurts", "cannot tell"]
    assert found["ema"].effect == pytest.approx(0.15, abs=0.03)
    assert found["ema"].low <= found["ema"].plain_low < found["ema"].effect < found["ema"].plain_high
    assert found["ema"].times == found["ema"].run_times == pytest.approx(2.0) and found[
        "ema"
    ].seconds == pytest.approx(10.0)


@given(st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_interval_verdict_and_adjusted_p_never_disagree(seed):
    draw = np.random.default_rng(seed)
    gains = {name: float(draw.normal(0, 0.05)) for name in ("ema", "sam", "mixup", "dropout")}
    design, ran = made_up(gains, seed=seed, noise=0.02)
    for each in judged(design, [ran]):
        assert (each.kind == "cannot tell") == (each.adjusted_p >= 0.05) == (each.low <= 0 <= each.high)
        assert each.adjusted_p >= each.p


def test_false_alarms_stay_rare_where_no_trick_does_anything():
    alarms = 0
    for seed in range(60):
        design, ran = made_up({"ema": 0.0, "sam": 0.0, "mixup": 0.0}, seed=seed, noise=0.02)
        alarms += any(each.kind != "cannot tell" for each in judged(design, [ran]))
    assert alarms <= 6, "of 60 tables at most one in ten"


def test_two_datasets_give_the_mean_effect_and_a_narrower_interval():
    design, one = made_up({"ema": 0.05, "sam": 0.0}, noise=0.01)
    _, other = made_up({"ema": 0.07, "sam": 0.0}, noise=0.01, seed=5, dataset="e")
    alone, both = judged(design, [one])[0], judged(design, [one, other])[0]
    assert both.effect == pytest.approx((alone.effect + judged(design, [other])[0].effect) / 2)
    assert both.high - both.low < alone.high - alone.low and both.datasets == ("d", "e")


def over(*gains, noise=0.01):
    """One trick's judgement over datasets with these gains."""
    made = [
        made_up({"ema": gain, "sam": 0.0}, noise=noise, seed=at, dataset=f"d{at}")
        for at, gain in enumerate(gains)
    ]
    return judged(made[0][0], [ran for _, ran in made])[0]


def test_a_gain_on_some_datasets_and_a_loss_on_others_is_no_help():
    three = over(0.2, 0.18, -0.12)
    assert three.kind == "cannot tell" and three.doubt == "datasets disagree in sign" and three.between > 0.1
    two = over(0.25, -0.08)
    assert two.kind == "cannot tell" and two.doubt == "datasets disagree in sign" and two.differ_p < 0.001
    assert two.low == -1.0 and two.plain_low < 0 < two.plain_high, "the interval judges, not a word beside it"


def test_an_even_gain_over_datasets_is_still_told():
    for each in (over(0.15, 0.16), over(0.15, 0.16, 0.14, 0.15)):
        assert (each.kind, each.doubt) == ("helps", "") and len(each.values) == len(each.datasets)
    assert over(0.15).between is None


def test_datasets_that_gain_differently_beyond_their_noise_are_told_to_differ():
    each = over(0.25, 0.03, noise=0.0)
    assert each.doubt == "datasets differ" and each.kind == "cannot tell"


@given(st.integers(0, 10_000), st.integers(2, 4))
@settings(max_examples=25, deadline=None)
def test_over_datasets_too_interval_verdict_and_adjusted_p_never_disagree(seed, n):
    gains = np.random.default_rng(seed).normal(0, 0.1, (n, 3))
    made = [
        made_up(dict(zip(("ema", "sam", "mixup"), row, strict=True)), n=80, seed=seed + at, dataset=f"d{at}")
        for at, row in enumerate(gains)
    ]
    for each in judged(made[0][0], [ran for _, ran in made]):
        assert (each.kind == "cannot tell") == (each.adjusted_p >= 0.05) == (each.low <= 0 <= each.high)
        assert each.effect == pytest.approx(np.mean(each.values))


def test_false_alarms_stay_rare_where_a_trick_gains_on_some_datasets_what_it_loses_on_others():
    draw, alarms = np.random.default_rng(0), 0
    for _seed in range(60):
        alarms += over(*draw.normal(0, 0.1, 3)).kind != "cannot tell"
    assert alarms <= 6, "of 60 tricks at most one in ten"


def test_a_run_that_is_not_there_makes_its_effect_missing_and_no_other():
    design, ran = made_up({"ema": 0.1, "sam": 0.0})
    gone = {run: at for run, at in ran.at.items() if run != frozenset({"sam"})}
    short = replace(ran, at=gone, right=ran.right[:2], train_seconds=ran.train_seconds[:2],
                    seconds=ran.seconds[:2])  # fmt: skip
    kinds = {each.trick: each.kind for each in judged(design, [short])}
    assert kinds["sam"] == "missing" and kinds["ema"] != "missing"


# ---- a whole study -----------------------------------------------------------------------------------------


def test_a_study_of_tricks_is_planned_run_resumed_and_judged(tmp_path):
    photos = class_folders(tmp_path / "photos", n_per_class=10)
    spec = StudySpec(
        data=(str(photos),), scenario=("finetune",), backbone=(tiny_weights(tmp_path),), input_size=((64, 64),),
        trainable=("last:1",), tricks=("ema", "label_smoothing"), seeds=1, epochs=1, views=1, batch_size=16,
        learning_rate=1e-3, augment=("none",), corruptions=("jpeg",), corruption_images=6,
    )  # fmt: skip
    record = run_study(spec, tmp_path / "out")
    assert [row.cut for row in record.summaries].count("last:1 bare") == 1 and record.n_planned == 3
    (table,) = trick_tables(record)
    assert [each.trick for each in table.effects] == ["ema", "label_smoothing"]
    assert table.n_seeds == 1 and all(each.n_images == 6 for each in table.effects)
    options = {result.cell.tricks: result.cell.options for result in record.results}
    assert options["bare"]["ema"] == 0 and options["ema"]["ema"] == 0.99
    further = run_study(replace(spec, tricks=("ema", "label_smoothing", "dropout")), tmp_path / "out")
    done = {result.cell.id for result in record.results}
    assert done < {result.cell.id for result in further.results} and len(further.results) == 4
    assert scan(photos).name == further.results[0].cell.dataset


WRONG = {"label_smoothing+dropout": 0, "label_smoothing": 1, "dropout": 3, "bare": 4}
"""Of six test images, by the tricks of a run."""


def test_leaving_out_and_adding_in_order_are_judged_from_their_own_starts(tmp_path, monkeypatch):
    photos = class_folders(tmp_path / "photos", n_per_class=10)
    spec = StudySpec(
        data=(str(photos),), scenario=("finetune",), backbone=(tiny_weights(tmp_path),), input_size=((64, 64),),
        trainable=("last:1",), tricks=("dropout", "label_smoothing"), seeds=1, epochs=1, views=1, batch_size=16,
        learning_rate=1e-3, augment=("none",), engine="torch",
    )  # fmt: skip
    left, added = (
        run_study(replace(spec, design=design), tmp_path / "out") for design in ("leave-one-out", "in-order")
    )
    done = {result.cell.id: result for record in (left, added) for result in record.results}
    ids = {result.cell.tricks: id for id, result in done.items()}
    assert set(ids) == set(WRONG) and left.n_planned == added.n_planned == 3

    def answered(store, id):
        """Answers of which so many are wrong: what four trainings of seconds find is much the same."""
        _, paths, *rest = kept(store, id)
        classes = done[id].classes
        right = np.array([classes.index(Path(path).parent.name) for path in paths])
        right[: WRONG[done[id].cell.tricks]] -= 1
        return np.eye(len(classes))[right % len(classes)], paths, *rest

    kept = StudyStore.probabilities
    monkeypatch.setattr(StudyStore, "probabilities", answered)
    both = "label_smoothing+dropout"
    for record, start, pairs in (
        (left, both, {"dropout": (both, "label_smoothing"), "label_smoothing": (both, "dropout")}),
        (added, "bare", {"dropout": ("dropout", "bare"), "label_smoothing": (both, "dropout")}),
    ):
        (table,) = trick_tables(record)
        assert table.accuracy == pytest.approx(1 - WRONG[start] / 6)
        assert [each.trick for each in table.effects] == ["dropout", "label_smoothing"]
        for each in table.effects:
            plus, minus = pairs[each.trick]
            assert each.runs == (ids[plus], ids[minus])
            assert each.effect == pytest.approx((WRONG[minus] - WRONG[plus]) / 6)
