"""Search spaces: read off the options, narrowed by the user, with borders that mean something."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.base.errors import BadOptions
from headstart.base.options import among, between
from headstart.methods.heads import HEADS, make_head
from headstart.methods.tune.plan import TunePlan, checked, plan_from, spaces_of
from headstart.methods.tune.space import (
    Dimension,
    head_space,
    narrowed,
    spaces_table,
    start_mistakes,
    training_space,
)


def names(space):
    return [each.name for each in space.dimensions]


@pytest.mark.parametrize("head", list(HEADS))
def test_every_head_has_a_space_of_its_own_options(head):
    own = names(head_space(head))[2:]
    assert {"unit_length", "standardise"} <= set(own)
    make_head(head, **dict.fromkeys(own))  # every name is an option


def test_what_a_head_chooses_itself_is_searched():
    for name, kind in HEADS.items() if hasattr(HEADS, "items") else ((n, HEADS[n]) for n in HEADS):
        assert set(kind.tuned) <= set(names(head_space(name)))


def test_layers_and_poolings_are_dimensions():
    space = head_space("knn", ("stage4", "pool"), ("avg", "max"))
    assert [each.name for each in space.free][:2] == ["layer", "pooling"]
    assert head_space("knn").fixed == {"layer": "pool", "pooling": "avg"}


def test_scratch_searches_no_cut_and_no_layer_decay():
    assert "trainable" not in names(training_space("full"))
    assert "layer_decay" not in names(training_space("scratch"))
    assert {"trainable", "views", "augment", "learning_rate"} <= set(names(training_space("finetune")))


def test_cuts_that_the_network_has_not_are_left_out():
    (cut,) = [each for each in training_space("finetune", 2).dimensions if each.name == "trainable"]
    assert cut.search.choices == ("last:1", "last:2")


def test_a_space_can_be_narrowed_widened_and_fixed():
    space = narrowed(
        head_space("logistic"), {"C": [1e-8, 1e3], "unit_length": True, "standardise": [True, False]}
    )
    c = next(each for each in space.dimensions if each.name == "C")
    assert (c.search.low, c.search.high, c.search.log) == (1e-8, 1e3, True)
    assert space.fixed["unit_length"] is True and len(space.free) == 2


def test_a_space_of_one_point_is_refused():
    point = {"C": 0.1, "unit_length": True, "standardise": [False]}
    with pytest.raises(BadOptions, match=r"logistic has one point.*headstart fit"):
        narrowed(head_space("logistic"), point)
    with pytest.raises(BadOptions, match="one point"):
        narrowed(head_space("logistic"), {**point, "C": [0.1, 0.1]})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"c": [1, 2]}, r"'c'; did you mean 'C'\?|called 'c'"),
        ({"C": [1.0, 0.1]}, r"expected \[low, high\]"),
        ({"C": [0.0, 1.0]}, "outside what the option allows"),
        ({"C": "much"}, "expected a number, got 'much'"),
        ({"C": [float("nan"), 1.0]}, "expected a number"),
        ({"C": []}, "an empty list"),
        ({"unit_length": 1}, "is not one of True, False"),
        ({"metric": "taxi"}, "'taxi' is not one of cosine, euclidean"),
        ({"n_neighbors": [1.5, 3]}, "whole number"),
    ],
)
def test_what_cannot_be_a_space_is_said(given, said):
    head = "knn" if {"metric", "n_neighbors"} & set(given) else "logistic"
    with pytest.raises(BadOptions, match=said):
        narrowed(head_space(head), given)


def test_every_mistake_is_told_at_once():
    plan = TunePlan(
        head=("logistic", "knn"),
        space={"logistic": {"C": "x"}, "knn": {"metric": "taxi"}},
    )
    with pytest.raises(BadOptions) as raised:
        spaces_of(plan)
    assert len(raised.value.mistakes) == 2


def test_a_plan_names_its_mistakes():
    plan = TunePlan(
        head=("logistic", "logistic"), folds=1, workers=0, pruner="best", space={"lda": {"shrinkage": 0.1}}
    )
    with pytest.raises(BadOptions) as raised:
        checked(plan)
    said = str(raised.value)
    for part in ("named twice", "1 fold leaves", "workers: 0", "'best'", "'lda' is not among"):
        assert part in said


def test_a_plan_survives_json():
    import json

    plan = TunePlan(
        head=("lda",), space={"lda": {"shrinkage": [0.1, 0.5]}}, start={"lda": [{"shrinkage": 0.2}]}
    )
    assert plan_from(json.loads(json.dumps(plan.to_dict()))).to_dict() == plan.to_dict()


def test_start_values_outside_the_space_are_refused():
    space = head_space("lda")
    assert start_mistakes(space, [{"shrinkage": 0.5}]) == []
    assert "outside the space" in start_mistakes(space, [{"shrinkage": 2.0}])[0]
    assert "nothing to tune" in start_mistakes(space, [{"shrinkag": 0.5}])[0]


@given(st.floats(0, 1))
def test_a_border_is_told_at_both_ends_and_nowhere_between(share):
    dimension = Dimension("C", between(1e-4, 1e2, log=True), limits=(1e-12, None))
    value = 1e-4 * 10 ** (6 * share)
    expected = (
        "low" if share < 0.0199 else "high" if share > 0.9801 else "" if 0.0201 < share < 0.9799 else None
    )
    if expected is not None:
        assert dimension.border(value) == expected


def test_an_end_that_is_the_options_own_limit_is_no_border():
    dimension = Dimension("shrinkage", between(1e-4, 1.0, log=True), limits=(1e-6, 1.0))
    assert dimension.border(1.0) == ""
    assert dimension.border(1e-4) == "low"
    assert Dimension("metric", among("a", "b")).border("a") == ""


@pytest.mark.parametrize(
    ("choices", "limits", "value", "expected"),
    [
        ((16, 32, 64), (1, 4096), 64, "high"),
        ((16, 32, 64), (1, 4096), 16, "low"),
        ((16, 32, 64), (1, 4096), 32, ""),
        ((16, 32, 64), (16, 64), 64, ""),
        (("last:1", "last:2"), (1, 5), "last:2", "high"),
        (("last:1", "last:2"), (1, 5), "last:1", ""),
        (("last:2", "last:5"), (1, 5), "last:5", ""),
        ((True, False), (None, None), True, ""),
        (("none", "crop"), (None, None), "crop", ""),
        (("head", "last:1"), (1, 5), "last:1", ""),
    ],
)
def test_choices_with_an_order_have_borders_too(choices, limits, value, expected):
    assert Dimension("option", among(*choices), limits=limits).border(value) == expected


def test_the_last_cut_of_a_network_is_no_border():
    (cuts,) = (each for each in training_space("finetune", 3).dimensions if each.name == "trainable")
    assert [cuts.border(f"last:{k}") for k in (1, 2, 3)] == ["", "", ""]
    (more,) = (each for each in training_space("finetune", 7).dimensions if each.name == "trainable")
    assert more.border("last:4") == "high"


def test_a_finite_space_counts_its_points():
    space = head_space("nearest_mean")
    assert space.n_points == 8 == len({tuple(each.items()) for each in space.points()})
    assert head_space("lda").n_points is None and list(head_space("lda").points()) == []
    assert head_space("knn").n_points == 16 * 100 // 2 * 2


def test_the_table_of_spaces_has_a_line_for_each_option():
    lines = spaces_table().splitlines()[2:]
    assert any(line.startswith("| features, logistic | `C` | 1e-06 to 100 (logarithmic)") for line in lines)
    assert len(lines) == len(set(lines))
