"""The spec of a study that trains networks: its options, its mistakes, and the methods and sizes that follow from it."""

from __future__ import annotations

import pytest

from headstart.base.errors import BadOptions
from headstart.methods.training_options import DEFAULT_EPOCHS, TrainingOptions
from headstart.study.resolve import resolve
from headstart.study.spec import StudySpec, read_spec, write_spec
from headstart.study.trained import options_of, trained_methods


def planned(spec):
    return [
        (m.scenario, m.cut, m.variant.card.preprocessing.height) for m in trained_methods(spec, resolve(spec))
    ]


def test_options_of_training_are_those_that_training_declares():
    declared = {name: field.metadata for name, field in TrainingOptions.__dataclass_fields__.items()}
    for name, field in StudySpec.__dataclass_fields__.items():
        if name in declared:
            assert field.metadata["choices"] == declared[name]["choices"]
            assert field.metadata["low"] == declared[name]["low"]


def test_a_spec_that_trains_reads_back_as_the_same_value(tmp_path):
    spec = StudySpec(data=("a",), scenario=("full", "scratch"), epochs=3, train_input_size=(96,), fresh=True)
    assert read_spec(write_spec(spec, tmp_path / "s.toml")) == spec


def test_a_number_that_is_none_is_named_in_a_spec_file(tmp_path):
    (tmp_path / "s.toml").write_text('data = "x"\nepochs = "many"\n')
    with pytest.raises(BadOptions, match="epochs: expected a whole number, got 'many'"):
        read_spec(tmp_path / "s.toml")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"scenario": ("finetun",)}, "did you mean 'finetune'"),
        ({"scenario": ("full",), "equal": "seconds"}, "give train_seconds"),
        ({"train_seconds": 5.0}, "equal seconds alone"),
        ({"scenario": ("full",), "equal": "own", "epochs": 3}, "not yours to give"),
        ({"scenario": ("finetune",), "trainable": ("last:9",)}, "last:9"),
        ({"scenario": ("finetune",), "trainable": ("stge3",)}, "stage3"),
        ({"scenario": ()}, "scenario: nothing is named"),
    ],
)
def test_mistakes_of_training_are_told_before_anything_runs(options, said, tiny_name):
    with pytest.raises(BadOptions, match=said):
        resolve(StudySpec(data=("x",), backbone=(tiny_name,), **options))


@pytest.mark.parametrize(
    ("cuts", "first", "second"),
    [(("last:1", "head", "stage7"), "last:1", "stage7"), (("all", "last:2", "stem"), "all", "stem")],
)
def test_two_names_of_one_cut_are_refused_in_one_line_that_names_both(cuts, first, second):
    with pytest.raises(BadOptions) as caught:
        resolve(StudySpec(data=("x",), scenario=("finetune",), trainable=cuts))
    assert list(caught.value.mistakes) == [
        f"trainable: {first!r} and {second!r} train the same part of lite0; leave one of them out"
    ]


def test_cuts_of_a_network_of_timm_are_compared_by_what_they_train(tiny_name):
    options = {"data": ("x",), "scenario": ("finetune",), "backbone": (tiny_name,)}
    assert resolve(StudySpec(**options, trainable=("head", "last:1", "last:2", "norm")))
    stages = len([name for name in resolve(StudySpec(**options))[0].card.layers if name.startswith("stage")])
    with pytest.raises(BadOptions, match=f"'stage{stages}' and 'last:1' train the same part"):
        resolve(StudySpec(**options, trainable=(f"stage{stages}", "last:1")))


def test_full_and_scratch_may_have_an_input_size_of_their_own():
    spec = StudySpec(
        data=("x",), scenario=("features", "finetune", "full", "scratch"), trainable=("last:1", "last:2"),
        train_input_size=(96,),
    )  # fmt: skip
    assert planned(spec) == [
        ("finetune", "last:1", 224), ("finetune", "last:2", 224), ("full", "all", 96), ("scratch", "all", 96),
    ]  # fmt: skip
    assert [bool(variant.places) for variant in resolve(spec)] == [True, False]


def test_equal_images_are_equal_epochs_and_own_are_those_of_the_scenario():
    def epochs(**options):
        spec = StudySpec(data=("x",), **options)
        return [options_of(spec, name)["epochs"] for name in ("finetune", "full", "scratch")]

    assert epochs() == [8, 8, 8] and epochs(epochs=5) == [5, 5, 5]
    assert epochs(equal="own") == [DEFAULT_EPOCHS["finetune"], None, DEFAULT_EPOCHS["scratch"]]
    timed = options_of(StudySpec(data=("x",), equal="seconds", train_seconds=9.0), "full")
    assert (timed["epochs"], timed["seconds"]) == (None, 9.0)
