"""The label columns that are asked for are read, whatever they look like."""

from __future__ import annotations

import pytest

from headstart.base.errors import UnknownName
from headstart.images.scan_targets import scan_targets
from headstart.testing.images import class_folders
from headstart.testing.outputs import labelled_files, marked_squares


@pytest.fixture(scope="module")
def numbered(tmp_path_factory):
    """24 images with two columns of numbers that look like no labels."""
    images, columns = marked_squares(24)
    given = {"light": [f"{row}.5" for row in range(24)], "a,b": [f"{row}.25" for row in range(24)]}
    return labelled_files(tmp_path_factory.mktemp("numbered"), images, {**columns, **given})


def test_a_column_of_numbers_is_a_target_because_it_is_named(numbered):
    kept, named = scan_targets(numbered, "light")
    assert named == ("light",) and "colour" in kept.targets, "the other columns stay"
    table, targets = scan_targets(numbered, "colour, light")
    assert targets == ("colour", "light") and set(targets) < set(table.targets)
    assert scan_targets(numbered, ("colour", "light"))[1] == targets


def test_no_target_is_the_first_column_and_columns_that_are_given_stay(numbered):
    assert scan_targets(numbered, "")[1] == scan_targets(numbered, ())[1] == ("colour",)
    with pytest.raises(UnknownName, match="light"):
        scan_targets(numbered, "light", label_columns=("colour",))


def test_a_column_may_have_a_comma_in_its_name(numbered):
    assert scan_targets(numbered, "a,b", label_columns=("colour", "a,b"))[1] == ("a,b",)
    assert scan_targets(numbered, ("a,b",))[1] == ("a,b",)


def test_a_source_without_a_table_names_the_columns_that_it_has(tmp_path):
    with pytest.raises(UnknownName, match="label"):
        scan_targets(class_folders(tmp_path / "shapes", n_per_class=3), "age")
