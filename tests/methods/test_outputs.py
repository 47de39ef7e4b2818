"""Outputs are read off columns, coded and decoded; what is wrong with them is said all at once."""

import numpy as np
import pytest

from headstart.base.errors import BadOptions, DataError, UnknownName
from headstart.images.table import ImageTable
from headstart.methods.outputs import (
    Output,
    decide,
    decode,
    encode,
    is_missing,
    outputs_of_columns,
    probabilities,
    read_outputs,
    split_labels,
)


def table(splits=None, **columns):
    names = tuple(str(row) for row in range(len(next(iter(columns.values())))))
    return ImageTable("drawn", "", names, names, columns, splits=splits)


def test_kinds_are_found_in_the_cells():
    numbers = tuple(f"{row / 7:.3f}" for row in range(30))
    drawn = table(
        colour=("red", "blue") * 15, marks=("a;b", "b") * 15, size=numbers, grade=("0", "0.5", "1") * 10
    )
    found = read_outputs(drawn, ["colour", "marks", "size", "grade"], {"grade": "ordinal"})
    assert [each.kind for each in found] == ["classes", "labels", "number", "ordinal"]
    assert [each.width for each in found] == [2, 2, 1, 2]
    assert found[3].levels == ("0", "0.5", "1")


def test_classes_and_scale_come_from_training_images_alone():
    drawn = table(
        ("train", "train", "train", "test"), kind=("a", "b", "a", "c"), size=("1.5", "2", "4", "900")
    )
    kind, size = read_outputs(drawn, ["kind", "size"], {"size": "number"})
    assert kind.levels == ("a", "b")
    assert size.centre == pytest.approx(2.5)


def test_every_mistake_is_said_at_once():
    columns = {
        "same": ["x", "x"],
        "none": [None, None],
        "grade": ["low", "high"],
        "size": ["3", "tall"],
        "marks": ["a;b", "a"],
        "other": ["a", "b"],
    }
    with pytest.raises(BadOptions) as caught:
        outputs_of_columns(
            columns,
            {"grade": "ordinal", "size": "number", "other": "clases", "gone": "ordinal"},
            levels={"marks": ["a", "a"]},
        )
    said = str(caught.value)
    for part in (
        "same: one class only", "none: every label is missing", "their order cannot be read off",
        "numbers are expected; got 'tall'", "did you mean 'classes' or 'labels'?", "no target is called 'gone'",
        "levels of marks: 'a' is named twice",
    ):  # fmt: skip
        assert part in said


def test_a_missing_column_is_named_with_the_nearest():
    with pytest.raises(UnknownName, match="did you mean 'defect'"):
        read_outputs(table(defect=("a", "b")), ["defct"])


def test_an_ordinal_level_that_is_not_named_is_refused():
    with pytest.raises(BadOptions, match=r"'0\.5' not named; named are 0, 1"):
        outputs_of_columns({"grade": ["0", "0.5", "1"]}, levels={"grade": ["0", "1"]})


def test_numeric_levels_are_found_by_value():
    grade = outputs_of_columns({"grade": ["0", "1.0", "0.5"]}, levels={"grade": ["0", "0.50", "1"]})[0]
    assert encode(grade, ["1", "0.5", "0.0", None]).tolist() == [2, 1, 0, -1]


def test_odd_spaces_make_no_new_labels():
    assert split_labels("  dirt ;scratch;; dirt; deep   hole ") == ("dirt", "scratch", "deep hole")
    marks = outputs_of_columns({"marks": [" a;b", "b ; a", "a", ";", None]})[0]
    assert marks.levels == ("a", "b")
    coded = encode(marks, [" b;a ", ";", None])
    assert coded[:2].tolist() == [[1, 1], [0, 0]]
    assert is_missing(marks, coded).tolist() == [False, False, True]
    assert decode(marks, coded) == ["a;b", "", None]


def test_another_separator_is_said():
    assert outputs_of_columns({"m": ["a|b", "b"]}, separators={"m": "|"})[0].levels == ("a", "b")


def test_unknown_labels_are_refused_or_left_out():
    kind = Output("kind", "classes", ("a", "b"))
    with pytest.raises(DataError, match="kind: 'c' not among its 2 labels"):
        encode(kind, ["a", "c"])
    assert encode(kind, ["a", "c"], unknown="missing").tolist() == [0, -1]
    marks = Output("marks", "labels", ("a", "b"))
    assert is_missing(marks, encode(marks, ["a;c", "a"], unknown="missing")).tolist() == [True, False]
    with pytest.raises(DataError, match="numbers are expected"):
        encode(Output("size", "number", ()), ["1", "inf"])


def test_probabilities_of_levels_sum_to_one_and_the_most_probable_is_decided():
    grade = Output("grade", "ordinal", ("0", "1", "2"))
    drawn = np.random.default_rng(0).normal(size=(50, 2)).astype(np.float32)
    given = probabilities(grade, drawn)
    assert given.shape == (50, 3)
    assert (given >= 0).all()
    assert np.allclose(given.sum(1), 1, atol=1e-6)
    assert decide(grade, np.array([[0.4, 0.2, 0.4], [0.1, 0.5, 0.4]])).tolist() == [0, 1]


def test_labels_are_each_probable_on_their_own_and_numbers_have_units():
    marks = Output("marks", "labels", ("a", "b"))
    given = probabilities(marks, np.array([[0.0, 2.0]]))
    assert given[0].tolist() == pytest.approx([0.5, 0.8808], abs=1e-4)
    assert decide(marks, given, [0.6, 0.9]).tolist() == [[0, 0]]
    size = Output("size", "number", (), centre=10.0, scale=2.0)
    assert probabilities(size, np.array([[1.5]])).tolist() == [13.0]


def test_an_output_returns_from_its_card():
    size = Output("size", "number", (), centre=10.0, scale=2.0)
    assert Output.from_dict(size.to_dict()) == size


def test_levels_that_are_fractions_have_their_own_order():
    cells = ["1", "0", "2/3", "1/3", "0"]
    (output,) = outputs_of_columns({"defect": cells}, {"defect": "ordinal"})
    assert output.levels == ("0", "1/3", "2/3", "1")
    with pytest.raises(BadOptions, match="order cannot be read off"):
        outputs_of_columns({"defect": ["1/0", "1", "2"]}, {"defect": "ordinal"})
