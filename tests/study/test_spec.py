"""A spec reads back as written, and reports every mistake at once."""

from __future__ import annotations

import pytest

from headstart.base.errors import BadOptions, UsageError
from headstart.study.spec import StudySpec, budget_seconds, read_spec, spec_mistakes, write_spec


def test_a_written_spec_reads_back_as_the_same_value(tmp_path):
    spec = StudySpec(data=("a", "b"), head=("knn",), input_size=(96, 128), budget="1h30m", cache_gb=2.5)
    assert read_spec(write_spec(spec, tmp_path / "study.toml")) == spec


def test_one_text_stands_for_a_list_of_one(tmp_path):
    (tmp_path / "s.toml").write_text('data = "textiles"\ninput_size = 96\n')
    spec = read_spec(tmp_path / "s.toml")
    assert spec.data == ("textiles",) and spec.input_size == (96,)


def test_one_augmentation_may_be_given_by_its_name():
    assert StudySpec(data=("a",), augment="none").augment == ("none",)


def test_a_spec_without_data_takes_those_that_are_named_beside_it(tmp_path):
    (tmp_path / "s.toml").write_text("seeds = 2\n")
    assert read_spec(tmp_path / "s.toml", ["photos"]).data == ("photos",)
    with pytest.raises(BadOptions, match="data: nothing is named"):
        read_spec(tmp_path / "s.toml")


def test_five_mistakes_are_all_reported_with_the_nearest_names(tmp_path):
    (tmp_path / "s.toml").write_text(
        'data = ["x"]\nhaed = ["knn"]\npooling = ["agv"]\nseeds = "three"\nfolds = 1\nbudget = "soon"\n'
    )
    with pytest.raises(BadOptions) as caught:
        read_spec(tmp_path / "s.toml")
    said = caught.value.mistakes
    assert len(said) == 5
    assert "haed: no such option; did you mean 'head'?" in said
    assert any(line.startswith("pooling: 'agv'") and "'avg'" in line for line in said)
    assert "seeds: expected a whole number, got 'three'" in said
    assert any(line.startswith("folds: 1 fold") for line in said)
    assert any(line.startswith("budget: 'soon'") for line in said)


def test_wrong_types_inside_a_list_name_the_value(tmp_path):
    (tmp_path / "s.toml").write_text('data = ["x", 3]\ninput_size = ["big", true]\n')
    with pytest.raises(BadOptions) as caught:
        read_spec(tmp_path / "s.toml")
    assert caught.value.mistakes == (
        "data: expected a list of texts, got 3",
        "input_size: 'big' is no size; write 224, or 100x200 (height x width, in pixels)",
        "input_size: True is no size; write 224, or 100x200 (height x width, in pixels)",
    )


def test_a_date_where_a_text_belongs_is_a_mistake_like_another(tmp_path):
    (tmp_path / "s.toml").write_text('data = ["x"]\npath_column = 2020-01-01\n')
    with pytest.raises(BadOptions, match="path_column: expected a text"):
        read_spec(tmp_path / "s.toml")


@pytest.mark.parametrize("content", [b"data = [", b"\xff\xfe"])
def test_a_file_that_is_no_toml_is_one_line(tmp_path, content):
    (tmp_path / "s.toml").write_bytes(content)
    with pytest.raises(UsageError, match="is no TOML"):
        read_spec(tmp_path / "s.toml")


def test_an_absent_file_is_one_line(tmp_path):
    with pytest.raises(UsageError, match="cannot be read"):
        read_spec(tmp_path / "none.toml")


def test_the_same_name_twice_is_a_mistake():
    assert spec_mistakes(StudySpec(data=("x",), head=("knn", "knn"))) == ["head: 'knn' is named twice"]


def test_a_spec_without_data_or_head_says_what_is_missing():
    assert [line.split(":")[0] for line in spec_mistakes(StudySpec(head=()))] == ["data", "head"]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("", None), ("90s", 90), ("10m", 600), ("2h", 7200), ("1h30m", 5400), ("0.5 h", 1800)],
)
def test_a_budget_is_a_time_with_its_unit(text, seconds):
    assert budget_seconds(text) == seconds


@pytest.mark.parametrize("text", ["10", "m", "10 parsecs", "0s", "-5m", "10m!"])
def test_a_budget_without_a_unit_or_without_time_is_refused(text):
    with pytest.raises(BadOptions, match="budget"):
        budget_seconds(text)


def test_the_choices_of_a_spec_are_those_of_the_rooms_below():
    from headstart.features import pool, store
    from headstart.features.engines import runner
    from headstart.methods.heads import HEADS
    from headstart.study import spec

    assert spec.POOLINGS == pool.POOLINGS and set(spec.HEAD_NAMES) == set(HEADS)
    assert (spec.ENGINES, spec.PRECISIONS) == (runner.ENGINES, runner.PRECISIONS)
    assert StudySpec().cache_gb == store.DEFAULT_CACHE_GB


def test_a_metric_of_classes_says_nothing_of_a_search():
    assert any(
        "metric" in line
        for line in spec_mistakes(StudySpec(data=("a",), task=("retrieval",), metric="macro_f1"))
    )
    assert not spec_mistakes(StudySpec(data=("a",), task=("retrieval", "classification"), metric="macro_f1"))
