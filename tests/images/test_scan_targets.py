"""The label columns that are asked for are read, whatever they look like."""

from __future__ import annotations

import numpy as np
import pytest

from headstart.base.errors import BadOptions, UnknownName
from headstart.base.events import Notice, listening
from headstart.images.scan import scan
from headstart.images.scan_targets import scan_targets
from headstart.study.shifted import check_folder
from headstart.study.sources import scan_shifted
from headstart.study.spec import StudySpec
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


def test_a_second_scan_alone_says_what_it_found(numbered):
    """Both did, and the first one left a column out that was learned from."""
    for target, columns in (
        ("light", "'colour', 'marks', 'size', 'light'"),
        ("colour", "'colour', 'marks', 'size'"),
    ):
        said = []
        with listening(lambda event, said=said: said.append(event) if isinstance(event, Notice) else None):
            scan_targets(numbered, target)
        (only,) = [each.message for each in said if "images from column" in each.message]
        assert only.endswith(columns)


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


def test_options_that_a_source_cannot_honour_are_refused_by_name(tmp_path, monkeypatch):
    """They were passed over in silence where images come from a hub, a package or benchmark files."""
    np.savez(tmp_path / "set.npz", x_train=np.zeros((4, 8, 8), np.uint8), y_train=np.arange(4) % 2)
    folder = class_folders(tmp_path / "shapes", n_per_class=1)
    monkeypatch.setattr("headstart.images.hub.load_hub", lambda text: scan("digits"))
    for source in ("hf:me/set", "digits", tmp_path / "set.npz", folder):
        for name in ("path_column", "image_root", "group_column", "split_column"):
            with pytest.raises(BadOptions, match=rf"^{name}: .*leave it out"):
                scan(source, **{name: "column"})
    for source in ("hf:me/set", "digits", tmp_path / "set.npz"):
        assert scan(source, label_columns="label").targets == ("label",)
        with pytest.raises(UnknownName, match="did you mean 'label'"):
            scan(source, label_columns="lable")


def test_a_second_test_folder_is_read_with_the_target_that_is_named(numbered, tmp_path):
    spec = StudySpec(data=("x",), target=("light",))
    assert "light" in scan_shifted(str(numbered), spec).labels
    assert "light" in scan_shifted(str(numbered.parent), spec).labels
    folders = class_folders(tmp_path / "shapes", n_per_class=1)
    assert scan_shifted(str(folders), spec).targets == ("label",)  # its folders are the one label that it has
    other = StudySpec(data=("x",), target=("lihgt",))
    for source in (numbered, numbered.parent):
        with pytest.raises(UnknownName, match="did you mean 'light'"):
            scan_shifted(str(source), other)
    table = scan_shifted(str(numbered), StudySpec(data=("x",)))
    with pytest.raises(UnknownName, match="no label column is called 'state'"):
        check_folder(table, ("red", "blue"), "state", "tools")
