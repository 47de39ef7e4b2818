"""Tricks where the head that training starts from is kept: nothing is measured, nothing is pooled, and both are told."""

from dataclasses import replace

import numpy as np
import pytest

from headstart.cli.tricks_text import trick_lines
from headstart.study.execute import run_study
from headstart.study.spec import StudySpec
from headstart.study.trick_designs import make_design
from headstart.study.trick_effects import NOTHING, judged, trick_tables
from headstart.study.trick_runs import Ran
from headstart.study.trick_spec import label_of
from headstart.testing.backbones import tiny_weights
from headstart.testing.images import class_folders

TOO_HIGH = 3.0
"""A learning rate at which every epoch is worse than the fitted head."""


def runs_of(design, trained, *, n_seeds=2, n=200, dataset="d", seed=0):
    """Made-up runs: a start that is right on 7 of 10 images, and gains of those that trained under some seeds.

    `trained` maps what is on to the gain of each seed, None where the start is kept.
    """
    ease = np.random.default_rng(seed).random(n)
    right, kept, said = [], [], []
    for run in design.runs:
        gains = trained.get(run, (None,) * n_seeds)
        right.append(np.concatenate([ease < 0.7 + (gain or 0.0) for gain in gains]))
        kept.append([gain is None for gain in gains])
        said.append("start" if all(kept[-1]) and "test_augmentation" not in run else label_of(run))
    took = np.array([[10.0 * (1 + len(run))] * n_seeds for run in design.runs])
    at = {run: place for place, run in enumerate(design.runs)}
    ids = {run: tuple(f"{label_of(run)}-{dataset}-{each}" for each in range(n_seeds)) for run in design.runs}
    return Ran(
        dataset, at, right, np.tile(np.arange(n), n_seeds), np.repeat(np.arange(n_seeds), n), took, took, ids,
        np.array(kept), tuple(said),
    )  # fmt: skip


def on(*names):
    return frozenset(names)


def test_where_every_run_kept_its_start_there_is_no_effect_and_no_interval():
    design = make_design("one-at-a-time", ["ema", "dropout"])
    ran = runs_of(design, {on("dropout"): (0.2, 0.2)})
    ema, dropout = judged(design, [ran])
    assert ema.kind == NOTHING and (ema.start_kept, ema.n_pairs) == (2, 2)
    values = (ema.effect, ema.low, ema.high, ema.plain_low, ema.plain_high, ema.p, ema.adjusted_p)
    assert values == (None,) * 7 and ema.values == () and ema.times == 2.0 and len(ema.runs) == 4
    assert dropout.kind == "helps" and dropout.start_kept == 0
    assert dropout.adjusted_p == dropout.p, "Holm's correction is for what was measured"
    assert (dropout.low, dropout.high) == (dropout.plain_low, dropout.plain_high)


def test_where_some_runs_kept_it_the_effect_stays_and_they_are_counted():
    design = make_design("one-at-a-time", ["ema"])
    (ema,) = judged(design, [runs_of(design, {on("ema"): (None, 0.2), on(): (None, 0.0)})])
    assert (ema.start_kept, ema.n_pairs) == (1, 2) and ema.kind == "cannot tell"
    assert ema.effect == pytest.approx(0.1, abs=0.03)
    (one,) = judged(design, [runs_of(design, {on("ema"): (0.2, 0.2)})])
    assert one.start_kept == 0, "the run without it kept its start, the one with it did not"


def test_a_dataset_where_it_had_nothing_to_act_on_is_in_no_mean():
    design = make_design("one-at-a-time", ["ema", "sam"])
    acted = runs_of(design, {on(): (0.0, 0.0), on("ema"): (0.2, 0.2), on("sam"): (0.0, 0.01)}, dataset="a")
    idle = runs_of(design, {on("sam"): (-0.1, -0.1)}, dataset="b")
    both, alone = judged(design, [acted, idle]), judged(design, [acted])
    assert both[0].datasets == ("a",) and both[0].nothing_on == ("b",)
    assert both[0].effect == alone[0].effect and both[0].values == alone[0].values
    assert (
        both[0].n_images == 200
        and both[0].between is None
        and (both[0].start_kept, both[0].n_pairs) == (0, 2)
    )
    assert both[1].datasets == ("a", "b") and both[1].nothing_on == ()
    nowhere = judged(design, [replace(idle, dataset="c"), idle])[0]
    assert nowhere.kind == NOTHING and nowhere.datasets == ("c", "b") and nowhere.n_pairs == 4


def test_what_changes_the_answers_of_any_weights_acts_on_a_start_too():
    design = make_design("one-at-a-time", ["test_augmentation", "ema"])
    ran = runs_of(design, {})
    mirror, ema = judged(design, [ran])
    assert mirror.kind == "cannot tell" and mirror.effect == 0.0, "other answers, by chance as often right"
    assert (mirror.start_kept, mirror.n_pairs) == (2, 2) and ema.kind == NOTHING
    same = replace(ran, said=("start",) * 3)
    assert judged(design, [same])[0].kind == NOTHING, "identical answers: there was nothing to mirror"


def test_an_effect_that_is_seen_is_never_hidden():
    design = make_design("one-at-a-time", ["ema"])
    ran = runs_of(design, {on("ema"): (0.2, 0.2)})
    told = replace(ran, start_kept=np.ones_like(ran.start_kept))
    (ema,) = judged(design, [told])
    assert ema.kind == "helps" and (ema.start_kept, ema.n_pairs) == (2, 2)


def test_in_a_factorial_design_every_pair_of_runs_counts_and_interactions_follow_their_parts():
    design = make_design("factorial", ["ema", "test_augmentation"])
    found = {each.trick: each for each in judged(design, [runs_of(design, {})])}
    assert {name: each.kind == NOTHING for name, each in found.items()} == {
        "ema": True, "test_augmentation": False, "ema x test_augmentation": True,
    }  # fmt: skip
    assert {each.n_pairs for each in found.values()} == {4} == {each.start_kept for each in found.values()}
    found = judged(design, [runs_of(design, {on("ema"): (0.2, 0.2)})])[0]
    assert found.kind != NOTHING and (found.start_kept, found.n_pairs) == (2, 4)


def test_runs_that_kept_the_same_start_are_one_run_and_make_no_other_surer():
    few = make_design("one-at-a-time", ["dropout", "ema"])
    many = make_design(
        "one-at-a-time", ["dropout", "ema", "sam", "swa", "cosine", "warmup", "cutmix", "mixup"]
    )
    gains = {on("dropout"): (0.25, 0.05)}
    a, b = (judged(design, [runs_of(design, gains)])[0] for design in (few, many))
    assert (a.plain_low, a.plain_high) == (b.plain_low, b.plain_high)


# ---- whole studies -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def spec(tmp_path_factory):
    place = tmp_path_factory.mktemp("start")
    photos = class_folders(place / "photos", n_per_class=10)
    return StudySpec(
        data=(str(photos),), scenario=("finetune",), backbone=(tiny_weights(place),), input_size=((64, 64),),
        trainable=("last:1",), tricks=("label_smoothing", "test_augmentation", "greedy_soup"), seeds=2, epochs=1,
        views=1, batch_size=16, learning_rate=TOO_HIGH, augment=("none",), per_class=(5,),
    )  # fmt: skip


def kept_epochs(record):
    return [fit["kept_epoch"] for result in record.results for fit in result.training]


def test_a_study_in_which_no_epoch_betters_the_head_says_so(spec, tmp_path):
    record = run_study(spec, tmp_path / "out", audits=False)
    assert set(kept_epochs(record)) == {0}
    assert all(fit["head_refitted"] for result in record.results for fit in result.training)
    (table,) = trick_tables(record)
    kinds = {each.trick: each.kind for each in table.effects}
    assert kinds["label_smoothing"] == kinds["greedy_soup"] == NOTHING != kinds["test_augmentation"]
    assert all((each.start_kept, each.n_pairs) == (2, 2) for each in table.effects)
    said = "\n".join(trick_lines(table))
    assert "had nothing to act on (in 2 of 2 runs the start was kept)" in said
    assert "--start plain" in said and "--keep last" in said


@pytest.mark.parametrize(("name", "value"), [("start", "plain"), ("keep", "last")])
def test_with_a_random_head_or_the_last_epoch_what_was_trained_is_kept(spec, tmp_path, name, value):
    asked = replace(spec, seeds=1, tricks=("label_smoothing", "greedy_soup"), epochs=2, **{name: value})
    record = run_study(asked, tmp_path / "out", audits=False)
    assert 0 not in kept_epochs(record) and {each.cell.options[name] for each in record.results} == {value}
    assert not any(fit.get("head_refitted") for result in record.results for fit in result.training)
    if name == "keep":
        bare = next(each for each in record.results if each.cell.tricks == "bare")
        assert bare.training[0]["kept_epoch"] == 2 and bare.tried == {"epoch": 1}
    (table,) = trick_tables(record)
    assert all(each.kind != NOTHING and each.start_kept == 0 for each in table.effects)
    assert "start was kept" not in "\n".join(trick_lines(table))
