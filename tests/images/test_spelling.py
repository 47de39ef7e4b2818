"""Spellings of one class are found, and what says another thing is never taken for one."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.images.column_kinds import to_number
from headstart.images.spelling import alike, renames, spelling


@pytest.mark.parametrize(
    "labels",
    [
        ("T-Shirt", "t shirt", "t_shirt", "tshirt", " T\u2010Shirt "),
        ("Stra\u00dfe", "STRASSE"),
        ("class 1", "Class_1", "class1"),
        ("2-door", "2 door"),
        ("-1", "\u22121", "\uff0d1", "- 1"),
        ("1 - 2", "1-2", "1\u20132"),
    ],
)
def test_spellings_of_one_label_are_alike(labels):
    assert alike(labels) == [tuple(sorted(labels))]


@pytest.mark.parametrize(
    "labels",
    [
        ("-1", "1", "--1"),
        ("10-1", "101", "1-01", "10 1"),
        ("1-2", "12", "1 2"),
        ("-.5", ".5", "5"),
        ("1e-5", "1e5"),
        ("level -1", "level 1"),
        ("A-", "A", "A+"),
        ("hat", "hats", "-", "_", "--"),
    ],
)
def test_labels_that_say_another_thing_are_not(labels):
    assert alike(labels) == []


@settings(deadline=None, max_examples=300)
@given(*[st.text("0159-_ .,e+\u2212i nf", max_size=7)] * 2)
def test_two_numbers_are_alike_only_where_they_are_equal(one, other):
    numbers = [to_number(label) for label in (one, other)]
    if spelling(one) == spelling(other) and None not in numbers:
        assert numbers[0] == numbers[1]


def test_spellings_become_the_most_frequent_one():
    counts = {"Cat": 1, "cat": 5, "dog": 9, "-1": 2, "1": 3}
    assert renames(alike(counts), counts) == {"Cat": "cat"}
