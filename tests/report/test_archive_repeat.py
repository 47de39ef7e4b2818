"""An archive repeats its study: `repeat.sh` runs in it, on the files that are in it, and finds the same."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import SimpleNamespace

import pytest

import headstart
from headstart.report import archive_inputs
from headstart.report.archive import write_archive
from headstart.report.archive_wheel import wheel_files
from headstart.study.execute import run_study
from headstart.study.record import load_record
from headstart.study.spec import StudySpec, read_spec
from headstart.testing.images import class_folders

PYTHON = """#!/bin/sh
# stands in for the python of a fresh machine that has every package but Headstart: it is installed from the archive,
# all else that is to be installed is noted
if [ "$1 $2 $3 $4" = "-m pip install -r" ]; then
  cp "$5" "$NOTED"
  exec "{python}" -m pip install --quiet --no-index --no-deps --target "$SITE" $(grep whl "$5")
fi
PYTHONPATH="$SITE" exec "{python}" "$@"
"""
QUICK = {
    "layer": ("pool",),
    "head": ("nearest_mean", "lda"),
    "seeds": 2,
    "input_size": (32,),
    "engine": "torch",
}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A study of a ground-truth table whose images lie elsewhere, with a second folder, trained on a policy file."""
    folder = tmp_path_factory.mktemp("archived")
    photos, later = (
        class_folders(folder / "photos", n_per_class=8),
        class_folders(folder / "later", n_per_class=3),
    )
    lines = [["file", "shape", "who"]]
    lines += [
        [path.relative_to(photos).as_posix(), path.parent.name, str(at % 12)]
        for at, path in enumerate(sorted(photos.rglob("*.jpg")))
    ]
    with (folder / "truth.csv").open("w", newline="") as opened:
        csv.writer(opened).writerows(lines)
    spec = StudySpec(
        data=(str(folder / "truth.csv"),), image_root=str(photos), path_column="file", label_columns=("shape",),
        group_column="who", shifted=(str(later),), **QUICK,
    )  # fmt: skip
    return run_study(spec, folder / "study", advise=False, audits=False)


def unpacked(record, folder, *, images):
    write_archive(record, folder / "study.zip", images=images)
    with zipfile.ZipFile(folder / "study.zip") as opened:
        opened.extractall(folder / "unpacked")
    return folder / "unpacked"


def run_in(place, tmp_path, python=PYTHON):
    """Run `repeat.sh` as a user does, from another folder."""
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "python").write_text(python.format(python=sys.executable))
    (tools / "python").chmod(0o755)
    environment = {
        **os.environ, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}", "NOTED": str(tmp_path / "noted.txt"),
        "HEADSTART_CACHE": str(tmp_path / "cache"), "SITE": str(tmp_path / "site"),
    }  # fmt: skip
    return subprocess.run(
        ["sh", str(place / "repeat.sh")],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=560,
    )


def scores_of(record):
    return {
        result.cell.id: (
            result.status,
            {name: score.value for name, score in result.scores.items()},
            [(shift.kind, shift.accuracy.value, shift.drop.value) for shift in result.shifts],
        )
        for result in record.results
    }


def test_repeat_sh_runs_in_the_archive_and_finds_the_same(study, tmp_path):
    place = unpacked(study, tmp_path, images=True)
    ran = run_in(place, tmp_path)
    assert ran.returncode == 0, ran.stderr
    again = load_record(place / "again")
    assert scores_of(again) == scores_of(study) and len(again.results) == len(study.results) == 4
    assert again.best == study.best
    assert {name: table.digest() for name, table in again.tables.items()} == {
        name: table.digest() for name, table in study.tables.items()
    }
    assert (tmp_path / "noted.txt").read_bytes() == (place / "requirements.txt").read_bytes()
    code, home = tmp_path / "site" / "headstart", Path(headstart.__file__).parent
    for path in home.rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            assert (code / path.relative_to(home)).read_bytes() == path.read_bytes()


def test_where_headstart_is_not_packed_repeat_sh_asks_no_index_for_it_and_stops(study, tmp_path, monkeypatch):
    monkeypatch.setattr("headstart.report.archive.wheel_files", lambda: None)
    place = unpacked(study, tmp_path, images=False)
    assert "headstart" not in (place / "requirements.txt").read_text()
    readme = (place / "README.md").read_text()
    assert "Headstart itself: it was never installed" in readme and "source folder first" in readme
    ran = run_in(place, tmp_path, '#!/bin/sh\necho "$@" >> "$NOTED"\n[ "$1" != "-c" ]\n')
    assert ran.returncode == 1 and ran.stderr.startswith("Headstart is not installed, and no index")
    assert ran.stderr.count("\n") == 1 and "pip" not in (tmp_path / "noted.txt").read_text()


def test_a_package_that_is_not_installed_makes_no_wheel(monkeypatch):
    name, files = wheel_files()
    assert name == f"headstart-{version('headstart')}-py3-none-any.whl" and "headstart/__init__.py" in files

    def absent(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr("headstart.report.archive_wheel.distribution", absent)
    assert wheel_files() is None


def test_what_the_spec_names_is_in_the_archive_under_the_names_of_its_spec(study, tmp_path):
    place = unpacked(study, tmp_path, images=True)
    spec = read_spec(place / "study.toml")
    assert (
        spec.data == ("images/truth/truth.csv",)
        and spec.shifted == ("images/later",)
        and spec.image_root == ""
    )
    assert (place / spec.data[0]).read_text() == (Path(study.folder).parent / "truth.csv").read_text()
    assert len(list((place / "images" / "later").rglob("*.jpg"))) == 9


def test_without_images_the_ground_truth_is_in_it_all_the_same(study, tmp_path):
    place = unpacked(study, tmp_path, images=False)
    assert (place / "images" / "truth" / "truth.csv").is_file() and not list(place.rglob("*.jpg"))
    assert "images/NAME" in (place / "README.md").read_text()


def test_a_table_that_names_folders_of_the_machine_is_left_out_and_that_is_said(study, tmp_path, monkeypatch):
    table = Path(study.folder).parent / "truth.csv"
    whole = table.read_text()
    try:
        table.write_text(whole + f"{table.parent / 'photos'},disc,1\n")
        made = write_archive(study, tmp_path / "study.zip")
    finally:
        table.write_text(whole)
    assert not any(name.endswith("truth.csv") and name.startswith("images/") for name in made.files)
    assert any("truth.csv" in line and "folders of this machine" in line for line in made.left_out)


def test_policies_and_search_spaces_go_in_as_files(study, tmp_path):
    (tmp_path / "turns.toml").write_text('[[step]]\nop = "horizontal_flip"\n')
    (tmp_path / "space.toml").write_text("[knn]\nn_neighbors = [3, 5]\n")
    spec = {
        **study.spec,
        "augment": ["none", str(tmp_path / "turns.toml")],
        "tune_space": str(tmp_path / "space.toml"),
    }
    import dataclasses

    made = unpacked(dataclasses.replace(study, spec=spec), tmp_path, images=False)
    told = tomllib.loads((made / "study.toml").read_text())
    assert told["augment"] == ["none", "inputs/turns.toml"] and told["tune_space"] == "inputs/space.toml"
    assert (made / "inputs" / "space.toml").read_text() == "[knn]\nn_neighbors = [3, 5]\n"
    assert (made / "inputs" / "turns.toml").is_file()


def test_of_a_second_folder_only_images_and_ground_truth_go_in(study, tmp_path):
    later = Path(study.folder).parent / "later"
    added = [later / name for name in ("notes.txt", "machine.csv", "gone.jpg", "a\\..\\evil.jpg")]
    image = next(later.rglob("*.jpg")).read_bytes()
    try:
        added[0].write_text("for nobody else")
        added[1].write_text(f"path\n{study.tables['truth'].root}/1.jpg\n")
        added[2].symlink_to("nowhere")
        added[3].write_bytes(image)
        made = write_archive(study, tmp_path / "study.zip", images=True)
    finally:
        for path in added:
            path.unlink(missing_ok=True)
    inside = [name for name in made.files if name.startswith("images/later/")]
    assert len(inside) == 9 and all(name.endswith(".jpg") and "\\" not in name for name in inside)
    said = " ".join(made.left_out)
    assert "machine.csv" in said and "gone.jpg" in said and "evil.jpg" in said


def test_files_of_one_name_from_two_folders_both_go_in(study, tmp_path):
    import dataclasses

    for at, side in enumerate(("left", "right")):
        (tmp_path / side).mkdir()
        (tmp_path / side / "turns.toml").write_text(f"# {at}\n")
    given = [str(tmp_path / side / "turns.toml") for side in ("left", "right", "left")]
    spec = {**study.spec, "augment": given[:2], "tune_space": given[2]}
    made = unpacked(dataclasses.replace(study, spec=spec), tmp_path, images=False)
    told = tomllib.loads((made / "study.toml").read_text())
    places = [*told["augment"], told["tune_space"]]
    assert [(made / place).read_text() for place in places] == ["# 0\n", "# 1\n", "# 0\n"]


def test_the_folder_that_was_studied_is_packed_not_one_of_its_name_that_lies_here(tmp_path, monkeypatch):
    for place in ("there", "here"):
        (tmp_path / place / "photos").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    table = SimpleNamespace(root=str(tmp_path / "there" / "photos"))
    assert archive_inputs._found("photos", table) == tmp_path / "there" / "photos"
