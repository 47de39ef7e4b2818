"""The rules of a comparison: what breaks one is refused, fails, or is named in the report."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from headstart.methods import heads
from headstart.methods.heads_catalog import HEAD_CARDS
from headstart.study.execute import run_study
from headstart.study.partition import Fold
from headstart.study.rules import RuleBroken, TestRows, check_plan, rules_of, trials
from headstart.study.spec import StudySpec
from headstart.testing.plans import GIVEN, planned, table
from headstart.testing.records import tiny_record


def test_test_rows_are_read_once_and_after_the_choice():
    rows = TestRows(Fold((0, 1), (2,), (3, 4)))
    with pytest.raises(RuleBroken, match="before everything was chosen"):
        rows.read(has_chosen=False)
    assert rows.read(has_chosen=True) == (3, 4) and rows.n_reads == 1
    with pytest.raises(RuleBroken, match="a second time"):
        rows.read(has_chosen=True)


@pytest.mark.parametrize("fold", [Fold((0, 1), (), (1, 2)), Fold((0,), (1,), (1,)), Fold((0, 1), (1,), (2,))])
def test_a_row_in_two_parts_of_a_fit_is_refused(fold):
    with pytest.raises(RuleBroken, match="more than one of train, validation and test"):
        TestRows(fold)


def test_a_plan_with_unequal_splits_is_refused():
    plan = planned(StudySpec(data=("x",), head=("knn", "lda"), layer=("pool",), per_class=(0, 3)), [table()])
    check_plan(plan.cells)
    one, *rest = plan.cells
    with pytest.raises(RuleBroken, match="shapes: methods would be compared on 2 different splits"):
        check_plan([replace(one, split_digest="f" * 32), *rest])


def test_with_a_given_split_seeds_share_it():
    plan = planned(StudySpec(data=("x",), head=("knn",), layer=("pool",)), [table(given=GIVEN)])
    seeded = replace(plan.cells[0], seed=1)
    check_plan([*plan.cells, seeded])
    with pytest.raises(RuleBroken):
        check_plan([*plan.cells, replace(seeded, split_digest="f" * 32)])


def test_runs_that_broke_a_rule_are_named(tmp_path):
    results = [each for each in tiny_record(tmp_path).results if each.status == "done"]
    assert all(rule.kept for rule in rules_of(results))
    bad = [replace(results[0], selected_on="test"), replace(results[1], test_reads=2, n_fits=1), *results[2:]]
    broken = {rule.name: rule.runs for rule in rules_of(bad) if not rule.kept}
    assert broken == {"tuning": (results[0].cell.id,), "test images": (results[1].cell.id,)}


def test_a_run_that_tried_more_than_its_kind_may_breaks_the_rule_of_trials(tmp_path):
    done = [each for each in tiny_record(tmp_path).results if each.status == "done"]
    logistic = next(each for each in done if each.cell.head == "logistic")
    most = heads.HEADS["logistic"].most_tried()
    fair = replace(logistic, tried={"C": most})
    assert all(rule.kept for rule in rules_of([fair, *done]))
    (rule,) = [r for r in rules_of([replace(fair, tried={"C": most + 1}), *done[1:]]) if not r.kept]
    assert rule.name == "trials" and rule.runs == (logistic.cell.id,)
    assert f"logistic: {most + 1} settings in a fit where {most} are allowed" in rule.said


def tuned_run(result, allowed, n):
    how = json.dumps({"trials": allowed, "seconds": None, "space": {}})
    return replace(result, cell=replace(result.cell, tuned=how), tuning=({"trials": [{}] * n},))


def test_searches_with_more_trials_other_budgets_or_none_recorded_break_the_rule(tmp_path):
    one, other, *_ = (each for each in tiny_record(tmp_path).results if each.status == "done")

    def broken(*results):
        return {rule.name: rule.runs for rule in rules_of(results) if not rule.kept}

    assert broken(tuned_run(one, 8, 8), tuned_run(other, 8, 3)) == {}
    over = tuned_run(one, 8, 9)
    assert broken(over, tuned_run(other, 8, 8)) == {"trials": (over.cell.id,)}
    unequal = tuned_run(one, 8, 8), tuned_run(other, 20, 20)
    assert set(broken(*unequal)["trials"]) == {each.cell.id for each in unequal}
    silent = replace(tuned_run(one, 8, 8), tuning=())
    assert broken(silent) == {"trials": (silent.cell.id,)}
    hidden = replace(one, tuning=({"trials": [{}] * 5},))
    assert broken(hidden) == {"trials": (one.cell.id,)}


def test_the_catalog_knows_how_many_settings_each_head_may_try():
    assert {name: card.most_tried for name, card in HEAD_CARDS.items()} == {
        name: heads.HEADS[name].most_tried() for name in HEAD_CARDS
    }


def test_a_study_counts_what_each_head_tried_and_reads_test_images_once(small, tmp_path):
    record = run_study(
        small(layer=("pool",), head=("nearest_mean", "lda", "knn"), folds=3, seeds=1), tmp_path / "out"
    )
    assert all((each.n_fits, each.test_reads) == (3, 3) for each in record.results)
    counts = trials(record.results)
    assert counts["lda (shrinkage)"][1] <= heads.HEADS["lda"].most_tried() and counts["nearest_mean"] == (
        1,
        1,
    )
    assert counts["knn (n_neighbors)"][0] > 1
    assert [rule.kept for rule in rules_of(record.results)] == [True] * 4


def test_a_head_that_looks_at_test_images_too_early_fails_its_run(small, tmp_path, monkeypatch):
    class Careless(heads.HEADS["lda"]):
        def fit(self, X, y, **options):
            super().fit(X, y, **options)
            del self.chosen_
            return self

    real = heads.make_head
    monkeypatch.setattr(
        heads, "make_head", lambda name, **own: Careless() if name == "lda" else real(name, **own)
    )
    record = run_study(small(layer=("pool",), seeds=1), tmp_path / "out")
    failed = {each.cell.head: each.error for each in record.results if each.status == "failed"}
    assert set(failed) == {"lda"} and "before everything was chosen" in failed["lda"]
