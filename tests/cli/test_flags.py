"""Flags come from option classes: declared once, several values, every mistake at once."""

from __future__ import annotations

import dataclasses

import pytest

from headstart.base.errors import BadOptions
from headstart.base.options import flag_name
from headstart.cli.declared import DataOptions, FeatureOptions, FitOptions
from headstart.cli.flags import build, parameters
from headstart.study.spec import StudySpec


def test_every_field_of_a_spec_is_a_flag_with_help(run):
    said = run("study", "--help").out
    for field in dataclasses.fields(StudySpec):
        assert field.name == "data" or flag_name(field.name) in said


@pytest.mark.parametrize("declared", [StudySpec, DataOptions, FitOptions, FeatureOptions])
def test_every_option_has_a_line_of_help(declared):
    assert all(field.metadata["help"] for field in dataclasses.fields(declared))
    assert len(parameters(declared)) == len(dataclasses.fields(declared))


def test_values_may_be_repeated_or_separated_by_commas():
    made = build(StudySpec, {"head": ["logistic, knn", "lda"], "input_size": ["64", "96,128"], "seeds": 2})
    assert made.head == ("logistic", "knn", "lda")
    assert made.input_size == (64, 96, 128)
    assert made.seeds == 2


def test_a_flag_that_is_not_given_leaves_the_base_alone():
    base = StudySpec(head=("knn",), seeds=7)
    assert build(StudySpec, {"head": [], "seeds": None, "folds": 4}, base) == dataclasses.replace(
        base, folds=4
    )


def test_every_mistake_is_named_at_once():
    with pytest.raises(BadOptions) as caught:
        build(StudySpec, {"head": ["logistc"], "input_size": ["big,8"], "seeds": 0})
    said = str(caught.value)
    assert "did you mean 'logistic'" in said
    assert "input_size: 'big' is no size; write 224, or 100x200 (height x width, in pixels)" in said
    assert "seeds: 0 is below 1" in said
    assert "input_size: 8 is below 16" in said


def test_numbers_that_are_none_are_told_with_every_other_mistake():
    with pytest.raises(BadOptions) as caught:
        build(StudySpec, {"seeds": "three", "label_smoothing": "some", "head": ["logistc"]})
    assert caught.value.mistakes[:2] == (
        "seeds: expected a whole number, got 'three'",
        "label_smoothing: expected a number, got 'some'",
    )
    assert "'logistic'" in caught.value.mistakes[2]


def test_shared_options_have_the_study_s_choices():
    study = {field.name: field.metadata for field in dataclasses.fields(StudySpec)}
    for declared in (DataOptions, FitOptions, FeatureOptions):
        for field in dataclasses.fields(declared):
            if field.name in study and field.name != "folds":
                assert field.metadata["choices"] == study[field.name]["choices"]
