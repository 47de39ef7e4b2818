"""Every mistake of a study is told at once: options, images, second test folders, columns, folds, teacher."""

from __future__ import annotations

import csv
import shutil

import pytest

from headstart.base.errors import BadOptions, DataError, UnknownName
from headstart.study import check
from headstart.study.check import check_study, mistakes_of_images
from headstart.study.execute import run_study
from headstart.study.spec import StudySpec
from headstart.testing.images import class_folders


@pytest.fixture
def photos(tmp_path):
    return class_folders(tmp_path / "photos", n_per_class=4)


@pytest.fixture
def truth(tmp_path, photos):
    """A table of the photos with a column of folds."""
    with (tmp_path / "truth.csv").open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(("path", "label", "fold"))
        for at, path in enumerate(sorted(photos.rglob("*.jpg"))):
            out.writerow((path.relative_to(tmp_path).as_posix(), path.parent.name, at % 2))
    return tmp_path / "truth.csv"


def mistakes(spec, out):
    """What a study that is refused says, and that nothing ran."""
    with pytest.raises(BadOptions) as raised:
        run_study(spec, out)
    return raised.value.mistakes


def named(found):
    return [line.split(":", 1)[0] for line in found]


def test_a_second_test_folder_that_is_not_there_is_told_with_the_other_mistakes(photos, tmp_path):
    spec = StudySpec(data=(str(photos),), layer=("stage99",), target=("foo",), shifted=("nofolder",))
    found = mistakes(spec, tmp_path / "out")
    assert named(found) == ["layer", "data", "shifted"] and "'foo'" in found[1] and "'nofolder'" in found[2]
    assert not (tmp_path / "out").exists()


def test_mistakes_of_images_alone_are_told_together(photos, tmp_path):
    spec = StudySpec(
        data=(str(photos), "nophotos"), target=("foo",), shifted=(f"{photos}=no1", "nophotos=no2")
    )
    found = mistakes(spec, tmp_path / "out")
    assert named(found) == ["data", "data", "shifted", "shifted"]


def test_one_mistake_of_the_images_is_told_as_it_was(photos, tmp_path):
    with pytest.raises(DataError, match=r"^shifted: .*'nofolder'"):
        run_study(StudySpec(data=(str(photos),), shifted=("nofolder",)), tmp_path / "out")
    with pytest.raises(UnknownName, match=r"^no label column is called 'foo'"):
        run_study(StudySpec(data=(str(photos),), target=("foo",)), tmp_path / "out")


def test_classes_of_a_second_test_folder_are_told_with_other_mistakes(photos, tmp_path):
    later = class_folders(tmp_path / "later", classes=("disc", "hexagon"), n_per_class=2)
    spec = StudySpec(data=(str(photos),), layer=("stage99",), shifted=(str(later),))
    found = mistakes(spec, tmp_path / "out")
    assert named(found) == ["layer", "shifted"] and "'hexagon'" in found[1]
    shutil.rmtree(later / "hexagon")
    assert named(mistakes(spec, tmp_path / "out")) == ["layer"]


def test_every_column_that_a_table_lacks_is_told_and_the_teacher(truth, tmp_path):
    spec = StudySpec(
        data=(str(truth),), target=("foo",), group_column="g", split_column="s", fold_column="f", label_columns=("l",),
        teacher="nobody", shifted=("nofolder",),
    )  # fmt: skip
    found = mistakes(spec, tmp_path / "out")
    assert named(found) == [
        "teacher", "group_column", "split_column", "fold_column", "label_columns", "target", "shifted",
    ]  # fmt: skip
    assert all("truth.csv" in line for line in found[1:6])


def test_a_folder_of_images_and_a_column_that_are_not_there_are_told_together(truth, tmp_path):
    spec = StudySpec(data=(str(truth),), image_root=str(tmp_path / "nowhere"), group_column="g")
    found = mistakes(spec, tmp_path / "out")
    assert named(found) == ["group_column", "data"] and "nowhere" in found[1]


def test_without_the_column_of_paths_nothing_is_said_of_the_rows(truth):
    found = mistakes_of_images(StudySpec(data=(str(truth),), path_column="nope", split_column="s"))
    assert named(found) == ["path_column", "split_column"]


def test_folds_of_a_folder_are_told_with_its_other_mistakes(photos, tmp_path):
    spec = StudySpec(data=(str(photos),), fold_column="fold", target=("foo",))
    assert named(mistakes(spec, tmp_path / "out")) == ["fold_column", "data"]


def test_a_source_in_which_nothing_is_wrong_has_no_mistakes(truth, photos):
    assert mistakes_of_images(StudySpec(data=(str(truth),), fold_column="fold", target=("label",))) == []
    assert mistakes_of_images(StudySpec(data=(str(photos),), shifted=(str(photos),))) == []


def test_of_a_large_folder_nothing_is_read_again_yet_its_mistake_is_told(photos, tmp_path, monkeypatch):
    monkeypatch.setattr(check, "MOST_FILES", 5)
    spec = StudySpec(data=(str(photos),), target=("foo",), shifted=("nofolder",))
    found = mistakes(spec, tmp_path / "out")
    assert named(found) == ["data", "shifted"] and "'foo'" in found[0]
    with pytest.raises(BadOptions) as raised:
        check_study(StudySpec(data=(str(photos),), target=("foo",), layer=("stage99",), shifted=("hf:a/b",)))
    assert named(raised.value.mistakes) == ["layer"]  # nothing is fetched, and no large folder is read
