"""Conditions on columns: what they mean, and that hostile text is a clear error and nothing else."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.base.errors import UnknownName, UsageError
from headstart.features.stores.where import Compare, holds, parse_where

COLUMNS = {
    "label": ("hat", "dress", None, 'a "b"\''),
    "width": ("300", "80.5", "x", None),
    "taken at": ("noon", "night", "noon", None),
}


def rows(text):
    return np.flatnonzero(holds(parse_where(text), COLUMNS)).tolist()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('label == "hat"', [0]),
        ("label != 'hat'", [1, 3]),
        ('label in ("hat", "dress")', [0, 1]),
        ("width > 100", [0]),
        ("width <= 80.5", [1]),
        ("width == 3e2", [0]),
        ('label < "e"', [1, 3]),
        ("`taken at` == 'noon' and label == 'hat' or width < 100", [0, 1]),
        ("`taken at` == 'noon' and (label == 'hat' or width < 100)", [0]),
        (r"""label == "a \"b\"'" """, [3]),
    ],
)
def test_a_condition_holds_where_it_should(text, expected):
    assert rows(text) == expected


def test_the_value_is_frozen_and_bound():
    made = parse_where('label == "x\' OR 1=1 --"')
    assert made == Compare("label", "==", ("x' OR 1=1 --",))
    assert not holds(made, COLUMNS).any()
    with pytest.raises(AttributeError):
        made.column = "path"


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("", 1), ("label", 6), ("label = 'x'", 7), ("label == x", 10), ("label == 'x", 10), ("label in ()", 11),
        ("label == 'x' label == 'y'", 14), ("(label == 'x'", 14), ("__import__('os')", 11),
        ("label == 'x'; drop", 13), ("and == 'x'", 1), ("label == 1x", 10), ("``", 1),
    ],
)  # fmt: skip
def test_a_mistake_names_its_place(text, at):
    with pytest.raises(UsageError, match=f"at character {at},"):
        parse_where(text)


def test_deep_and_long_conditions_are_refused():
    with pytest.raises(UsageError, match="parentheses"):
        parse_where("(" * 500 + "label == 'x'" + ")" * 500)
    with pytest.raises(UsageError, match="characters"):
        parse_where("label == '" + "x" * 5000 + "'")


def test_an_unknown_column_names_the_nearest():
    with pytest.raises(UnknownName, match="did you mean 'label'"):
        rows("lable == 'hat'")


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_a_condition_or_an_error(text):
    with suppress(UsageError):
        holds(parse_where(text), COLUMNS)
