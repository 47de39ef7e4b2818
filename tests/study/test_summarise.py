"""A method's row says what its runs say; the best is chosen by selection, never by test."""

from __future__ import annotations

from dataclasses import replace

import pytest

from headstart.measure.intervals import less_one_error
from headstart.measure.values import Score
from headstart.study.records import Cell, CellResult
from headstart.study.summarise import choose_best, fold_ratio, split_ratio, summarise


def cell(head, seed, dataset="d"):
    digests = {"data_digest": "1", "split_digest": "2", "weights_digest": "3", "preprocessing_digest": "4"}
    place = {"backbone": "net", "layer": "pool", "module": "gap", "pooling": "avg", "height": 64, "width": 64}
    how = {"target": "t", "engine": "torch", "precision": "float32", "scenario": "features", "version": "1"}
    return Cell(dataset=dataset, head=head, seed=seed, **digests, **place, **how)


def done(of, selection, test=0.5, seconds=1.0):
    score = Score(test, test - 0.1, test + 0.1, 100)
    return CellResult(of, "done", selection=selection, scores={"accuracy": score}, seconds={"fit": seconds})


def failed(of):
    return CellResult(of, "failed", error="singular matrix")


def judged(cells, *results):
    by_id = {result.cell.id: result for result in results}
    rows = summarise(cells, by_id)
    return {row.head: row for row in rows}, choose_best(rows, by_id)


A, B = [cell("a", 0), cell("a", 1)], [cell("b", 0), cell("b", 1)]


def test_the_best_is_chosen_by_selection_whatever_the_test_scores_say():
    _, best = judged([*A, *B], *(done(c, 0.9, test=0.5) for c in A), *(done(c, 0.8, test=0.99) for c in B))
    assert best == {"d": A[0].method}


def test_a_tie_goes_to_the_faster_method():
    _, best = judged([*A, *B], *(done(c, 0.9, seconds=5) for c in A), *(done(c, 0.9, seconds=1) for c in B))
    assert best == {"d": B[0].method}


def test_seeds_in_another_order_are_level():
    shares, heads = (0.1, 0.2, 0.3), ("a", "b")
    runs = [
        done(cell(head, seed), share, seconds=5 if head == "a" else 1)
        for head, order in zip(heads, (shares, shares[::-1]), strict=True)
        for seed, share in enumerate(order)
    ]
    assert sum(shares) != sum(shares[::-1])
    _, best = judged([run.cell for run in runs], *runs)
    assert best == {"d": cell("b", 0).method}


def test_a_tie_within_the_jitter_of_clocks_goes_to_the_first_of_the_plan():
    _, best = judged([*A, *B], *(done(c, 0.9, seconds=5.1) for c in A), *(done(c, 0.9, seconds=5) for c in B))
    assert best == {"d": A[0].method}


def test_the_way_of_sharing_that_ran_the_frozen_part_for_all_is_not_the_slower_one():
    plain = replace(A[0], head="", layer="", scenario="finetune", cut="last:1", training='{"epochs": 1}')
    ways = [replace(plain, sharing=way, outputs="{}") for way in ("hard", "separate")]
    runs = [
        replace(done(way, 0.9, seconds=fit), training=({"seconds": {"train": trained}},))
        for way, fit, trained in zip(ways, (38.0, 18.0), (0.2, 9.0), strict=True)
    ]
    results = {run.cell.id: run for run in runs}
    assert choose_best(summarise(ways, results), results) == {"d": ways[0].method}


def test_a_failed_seed_is_shown_and_not_averaged_away():
    rows, best = judged([*A, *B], done(A[0], 0.99), failed(A[1]), *(done(c, 0.5) for c in B))
    row = rows["a"]
    assert (row.status, row.n_failed, row.n_seeds) == ("partial", 1, 1)
    assert row.scores == {} and row.selection is None and row.errors == ("singular matrix",)
    assert best == {"d": B[0].method}


def test_a_method_with_a_failed_seed_is_the_best_only_where_there_is_no_other():
    _, best = judged(A, done(A[0], 0.99), failed(A[1]))
    assert best == {"d": A[0].method}


def test_nothing_is_best_where_everything_failed():
    rows, best = judged(A, failed(A[0]), failed(A[1]))
    assert rows["a"].status == "failed" and best == {}


def test_a_seed_that_has_not_run_yet_leaves_a_mean_of_those_that_have():
    rows, _ = judged(A, done(A[0], 0.9))
    assert rows["a"].status == "partial" and rows["a"].n_failed == 0
    assert rows["a"].scores["accuracy"].n_seeds == 1


def test_what_has_not_run_is_missing():
    rows, best = judged(A)
    assert rows["a"].status == "missing" and best == {}


def test_methods_are_compared_on_the_seeds_that_both_have():
    _, best = judged([*A, *B], done(A[0], 0.8), done(A[1], 0.99), done(B[0], 0.85))
    assert best == {"d": B[0].method}


def test_a_run_that_no_seed_changes_is_one_run():
    only = cell("a", None)
    rows, _ = judged([only], done(only, 0.9))
    assert rows["a"].status == "done" and rows["a"].n_seeds == 1
    assert rows["a"].scores["accuracy"].n_seeds == 1


def test_the_mean_over_seeds_has_the_spread_of_the_seeds_in_its_interval():
    rows, _ = judged(A, done(A[0], 0.9, test=0.4), done(A[1], 0.9, test=0.6))
    score = rows["a"].scores["accuracy"]
    assert score.value == pytest.approx(0.5) and score.n_seeds == 2
    assert score.high - score.low > 0.2


def test_every_dataset_has_its_own_best():
    other = [replace(c, dataset="e") for c in A]
    rows = {r.cell.id: r for r in [*(done(c, 0.9) for c in A), *(done(c, 0.2) for c in other)]}
    assert choose_best(summarise([*A, *other], rows), rows) == {"d": A[0].method, "e": A[0].method}


def test_a_run_that_the_budget_ended_is_compared_with_nothing():
    cut = [replace(done(each, 0.99), training=({"cut_short": True},)) for each in A]
    rows, best = judged([*A, *B], *cut, *(done(c, 0.5) for c in B))
    assert (rows["a"].status, rows["a"].n_seeds, rows["a"].scores) == ("cut", 0, {})
    assert best == {"d": B[0].method}
    rows, _ = judged([*A, *B], cut[0], done(A[1], 0.7), *(done(c, 0.5) for c in B))
    assert (rows["a"].status, rows["a"].n_seeds, rows["a"].selection) == ("partial", 1, 0.7)


def run_of(of, n_train, n_validation, n_test):
    return CellResult(of, "done", n_train=n_train, n_validation=n_validation, n_test=n_test)


def test_the_correction_of_folds_is_the_same_when_only_some_images_a_class_are_learned_from():
    of = [replace(A[0], seed=None, fold=fold) for fold in (1, 2, 3, 4, 5)]
    whole = [run_of(each, 80, 0, 20) for each in of]
    few = [replace(each, n_train=10) for each in whole]
    assert fold_ratio(whole) == pytest.approx(1 / 4)
    assert fold_ratio(few) == pytest.approx(1 / 4)


def test_the_correction_of_splits_is_the_same_when_only_some_images_a_class_are_learned_from():
    whole = [run_of(each, 60, 20, 20) for each in A]
    few = [replace(each, n_train=10) for each in whole]
    assert split_ratio(whole, 100) == split_ratio(whole) == pytest.approx(1 / 3)
    assert split_ratio(few, 100) == pytest.approx(1 / 3)
    assert split_ratio(few) == pytest.approx(2.0)  # where the dataset is not known: the careful reading


def test_a_score_by_few_images_does_not_win_by_luck_and_one_by_as_many_keeps_its_place():
    plain, net = (
        cell("a", 0),
        replace(A[0], head="", layer="", scenario="finetune", cut="last:1", training="{}"),
    )
    head = replace(done(plain, 0.90), selected_on="5 inner folds", n_train=100)
    lucky = replace(done(net, 0.93), selected_on="1 of 5 inner folds", n_train=80, n_validation=20)
    by_id = {each.cell.id: each for each in (head, lucky)}
    rows = summarise([plain, net], by_id)
    assert [row.selection for row in rows] == [0.90, 0.93]  # the head first
    assert choose_best(rows, by_id) == {"d": plain.method}
    same = replace(lucky, selected_on="validation", n_validation=100)
    by_id = {each.cell.id: each for each in (head, same)}
    assert choose_best(summarise([plain, net], by_id), by_id) == {"d": net.method}


def test_every_seed_holds_out_other_images():
    net = replace(A[0], head="", layer="", scenario="finetune", cut="last:1", training="{}")
    runs = [
        replace(
            done(replace(net, seed=seed), 0.9), selected_on="1 of 5 inner folds", n_train=80, n_validation=20
        )
        for seed in range(8)
    ]
    one, three, eight = (
        summarise([run.cell for run in some], {run.cell.id: run for run in some})[0].standing
        for some in (runs[:1], runs[:3], runs)
    )
    assert one < three < eight == pytest.approx(less_one_error(0.9, 100))


def test_a_mean_is_as_sure_as_its_runs_and_never_surer_than_all_of_train():
    net = replace(A[0], head="", layer="", scenario="finetune", cut="last:1", training="{}")
    kept = {"selected_on": "5 inner folds", "n_train": 100, "n_validation": 0}
    moved = {"selected_on": "1 of 5 inner folds", "n_train": 80, "n_validation": 20}

    def standing(*said):
        runs = [replace(done(replace(net, seed=at), 0.9), **each) for at, each in enumerate(said)]
        return summarise([run.cell for run in runs], {run.cell.id: run for run in runs})[0].standing

    assert standing(kept) == standing(kept, kept, kept) == pytest.approx(less_one_error(0.9, 100))
    assert standing(kept, moved) == pytest.approx(less_one_error(0.9, round(4 / (1 / 100 + 1 / 20))))
    assert standing(moved, moved) < standing(kept, moved) < standing(kept, kept)
