"""A plan is a pure function: the same for the same arguments, whatever the order of rows."""

from __future__ import annotations

import pytest

from headstart.base.errors import BadOptions, DataError
from headstart.study.estimate import Rates, scaled
from headstart.study.partition import make_dataset
from headstart.study.spec import StudySpec
from headstart.testing.plans import GIVEN, planned, resolved, table


def test_auto_layers_are_the_stages_from_the_third_on_and_pool():
    spec = StudySpec(data=("x",))
    assert [place.layer for place in resolved(spec)[0].places] == ["stage3", "stage4", "stage5", "pool"]


def test_a_layer_may_be_named_by_its_module():
    spec = StudySpec(data=("x",), layer=("blocks.0.conv", "blocks.4"))
    assert [place.module for place in resolved(spec)[0].places] == ["blocks.4", "blocks.0.conv"]


def test_unknown_backbone_layer_head_pooling_and_budget_are_reported_together():
    spec = StudySpec(
        data=("x",),
        backbone=("net", "absent"),
        layer=("stge3",),
        head=("logistc",),
        pooling=("agv",),
        budget="x",
    )
    with pytest.raises(BadOptions) as caught:
        resolved(spec)
    said = caught.value.mistakes
    assert [line.split(":")[0] for line in said] == ["pooling", "head", "budget", "layer", "backbone"]
    assert "'stage3'" in said[3] and "'logistic'" in said[1] and "known: net" in said[4]


def test_a_precision_that_the_engine_has_not_is_refused_before_anything_runs():
    with pytest.raises(BadOptions, match="int8 runs in onnxruntime or openvino"):
        resolved(StudySpec(data=("x",), engine="torch", precision="int8"))


def test_two_names_for_one_place_are_refused():
    with pytest.raises(BadOptions, match="the same place"):
        resolved(StudySpec(data=("x",), layer=("stage1", "blocks.0")))


def test_a_size_outside_the_range_is_refused_before_anything_runs():
    with pytest.raises(BadOptions, match="input_size: 4 is below 16"):
        resolved(StudySpec(data=("x",), input_size=(4,)))


def test_each_input_size_is_a_variant_of_its_own():
    sizes = [v.card.preprocessing.height for v in resolved(StudySpec(data=("x",), input_size=(64, 96)))]
    assert sizes == [64, 96]


def test_with_a_given_split_a_cell_without_randomness_runs_once():
    plan = planned(StudySpec(data=("x",), head=("knn",), layer=("pool",)), [table(given=GIVEN)])
    assert [cell.seed for cell in plan.cells] == [None]


def test_inner_folds_are_drawn_by_the_seed_where_no_validation_split_is_given():
    plan = planned(StudySpec(data=("x",), head=("knn",), layer=("pool",)), [table(given=("train", "test"))])
    assert [cell.seed for cell in plan.cells] == [0, 1, 2]
    assert len({cell.split_digest for cell in plan.cells}) == 1


def test_without_a_given_split_each_seed_draws_its_own():
    plan = planned(StudySpec(data=("x",), head=("knn",), layer=("pool",)), [table()])
    assert len({cell.split_digest for cell in plan.cells}) == 3


def test_every_method_runs_under_the_first_seed_before_any_runs_under_the_second():
    plan = planned(StudySpec(data=("x",), head=("knn", "lda")), [table(), table(name="other")])
    seeds = [cell.seed for cell in plan.cells]
    assert seeds == sorted(seeds) and len(plan.cells) == 2 * 2 * 4 * 3
    assert {cell.dataset for cell in plan.cells[:2]} == {"shapes", "other"}
    assert plan.cells[0].layer == "pool"


def test_the_order_of_rows_changes_no_cell():
    spec = StudySpec(data=("x",), folds=3)
    forward, backward = table(), table(order=list(range(29, -1, -1)))
    assert planned(spec, [forward]) == planned(spec, [backward])
    assert planned(StudySpec(data=("x",)), [forward]) == planned(StudySpec(data=("x",)), [backward])


def test_planning_twice_gives_the_same_plan():
    spec = StudySpec(data=("x",))
    assert planned(spec, [table()]) == planned(spec, [table()])


def test_a_change_of_the_data_changes_every_cell():
    spec = StudySpec(data=("x",))
    before, after = planned(spec, [table(30)]), planned(spec, [table(31)])
    assert not {c.id for c in before.cells} & {c.id for c in after.cells}


def test_a_vector_layer_is_pooled_once():
    spec = StudySpec(
        data=("x",), layer=("stage4", "pool"), pooling=("max", "avg+std"), head=("knn",), seeds=1
    )
    cells = planned(spec, [table()]).cells
    assert [(c.layer, c.pooling) for c in cells] == [
        ("pool", "avg"),
        ("stage4", "max"),
        ("stage4", "avg+std"),
    ]


def test_done_cells_cost_nothing_and_stay_in_the_plan():
    spec = StudySpec(data=("x",))
    whole = planned(spec, [table()])
    rest = planned(spec, [table()], done=frozenset(cell.id for cell in whole.cells))
    assert rest.pending == () and rest.estimate.seconds == 0 and len(rest.cells) == len(whole.cells)
    assert "all are done already" in rest.describe()


def test_the_estimate_rests_on_measured_rates_where_there_are_some():
    spec = StudySpec(data=("x",), head=("knn",), layer=("pool",))
    rates = Rates({("lite0", 224, 224): 3.0}, {"knn": {18: (2.0,)}})
    plan = planned(spec, [table()], rates=rates)
    assert plan.estimate.extract_seconds == pytest.approx(10) and plan.estimate.fit_seconds == pytest.approx(
        6
    )
    assert "measured here before" in plan.describe()
    assert "rough guess" in planned(spec, [table()]).describe()


def test_measured_seconds_are_those_of_the_same_number_of_images_and_else_grow_as_a_guess_does():
    known = {20: (1.0, 4.0), 2000: (50.0, 30.0)}
    guess = lambda n: (n / 10, 3.0)  # noqa: E731
    assert scaled(known, 20, guess) == (1.0, 4.0) and scaled(known, 2000, guess) == (50.0, 30.0)
    assert scaled(known, 1000, guess) == (25.0, 30.0)  # of the nearest by its ratio; what does not grow stays
    assert scaled(known, 60, guess) == (3.0, 4.0)
    assert scaled({}, 60, guess) == scaled(None, 60, guess) == (6.0, 3.0)


def test_fits_of_other_numbers_of_images_do_not_blur_each_other():
    spec = StudySpec(data=("x",), head=("knn",), layer=("pool",), per_class=(2, 0), seeds=1)
    whole = table(3000)
    n_train = len(make_dataset(whole, "class", seeds=1, folds=0).partition(0).folds[0].train)
    rates = Rates({}, {"knn": {6: (0.5,), n_train: (90.0,)}})
    assert planned(spec, [whole], rates=rates).estimate.fit_seconds == pytest.approx(90.5)


def test_features_in_the_cache_cost_no_pass():
    spec = StudySpec(data=("x",), head=("knn",), layer=("pool",))
    asked = []

    def uncached(name, variant, cells):
        asked.append((name, variant.card.name, len(cells)))
        return 12

    rates = Rates({("lite0", 224, 224): 3.0}, {})
    whole = planned(spec, [table()], rates=rates)
    plan = planned(spec, [table()], rates=rates, uncached=uncached)
    assert plan.estimate.extract_seconds == pytest.approx(4) and asked == [
        ("shapes", "lite0", len(plan.cells))
    ]
    assert plan.estimate.disk_bytes < whole.estimate.disk_bytes
    none = planned(spec, [table()], uncached=lambda *given: 0)
    assert none.estimate.extract_seconds == 0 and "all features are cached" in none.describe()


def test_the_engine_that_served_is_part_of_a_cell():
    spec = StudySpec(data=("x",))
    torch, onnx = (
        planned(spec, [table()], engine_of=lambda *_, name=name: (name, "float32"))
        for name in ("torch", "onnx")
    )
    assert not {c.id for c in torch.cells} & {c.id for c in onnx.cells}


def test_folds_test_every_image_once_and_part_no_group():
    groups = tuple(str(row // 2) for row in range(30))
    data = make_dataset(table(groups=groups), "class", seeds=2, folds=5)
    for partition in data.partitions:
        assert sorted(partition.test_rows) == list(range(30))
        for fold in partition.folds:
            assert not {groups[row] for row in fold.train} & {groups[row] for row in fold.test}


def test_one_class_is_refused_with_a_reason():
    with pytest.raises(DataError, match="1 class"):
        make_dataset(table().select([0, 3, 6]), "class", seeds=1, folds=0)
