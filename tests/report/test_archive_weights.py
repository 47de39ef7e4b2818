"""Weights of the user's own in an archive: no folder of theirs is named in it, and it is said that they are left out."""

from __future__ import annotations

import csv
import io
import json
import tomllib
import zipfile
from dataclasses import replace

import pyarrow.parquet as pq
import pytest

from headstart.backbones.catalog import local_weights, without_folder
from headstart.report.archive import write_archive
from headstart.report.without_paths import short_backbones, without_paths
from headstart.study.execute import run_study
from headstart.study.records import Cell
from headstart.study.spec import StudySpec
from headstart.study.trained import options_of
from headstart.testing.backbones import tiny_weights
from headstart.testing.images import class_folders
from headstart.testing.pdf import pages_of

FOLDERS = ("hiddenone", "hiddentwo")


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    """Two networks whose weights have one file name and lie in two folders."""
    folder = tmp_path_factory.mktemp("own")
    photos, names = class_folders(folder / "photos", n_per_class=8), []
    for seed, name in enumerate(FOLDERS):
        (folder / name).mkdir()
        names.append(tiny_weights(folder / name, seed=seed))
    spec = StudySpec(
        data=(str(photos),), backbone=tuple(names), task=("classification", "retrieval"), layer=("pool",),
        head=("nearest_mean", "lda"), seeds=1, input_size=(32,), engine="torch",
    )  # fmt: skip
    command = f"headstart study {photos} --backbone {','.join(names)}"
    return run_study(spec, folder / "study", command=command, advise=False, audits=False)


def told_in(name, content):
    """All the text of a file of the archive."""
    if name.endswith(".pdf"):
        return " ".join(pages_of(content))
    if name.endswith(".parquet"):
        return str(pq.read_table(io.BytesIO(content)).to_pylist())
    return content.decode(errors="replace")


def test_no_folder_of_the_weights_stands_in_any_file(record, tmp_path):
    made = write_archive(record, tmp_path / "study.zip")
    with zipfile.ZipFile(made.path) as opened:
        files = {name: opened.read(name) for name in opened.namelist()}
    for name, content in files.items():
        text = told_in(name, content)
        assert not [folder for folder in (*FOLDERS, str(tmp_path.parent)) if folder in text], name
    short = ["timm:test_resnet@test_resnet.safetensors", "timm:test_resnet@2/test_resnet.safetensors"]
    assert tomllib.loads(files["study.toml"].decode())["backbone"] == short
    rows = list(csv.DictReader(io.StringIO(files["results.csv"].decode())))
    assert {row["backbone"] for row in rows} == set(short)
    assert [row["run"] for row in rows] == [result.cell.id for result in record.results]
    assert len(set(made.left_out)) == len(made.left_out)
    for place in ("test_resnet.safetensors", "2/test_resnet.safetensors"):
        line = f"the weights {place} of timm:test_resnet: put them beside study.toml, under that name"
        assert line in made.left_out and line in files["README.md"].decode().replace("\\", "")


def test_the_shortened_record_finds_its_runs(record):
    clean = without_paths(record)
    assert [result.cell.id for result in clean.results] == [result.cell.id for result in record.results]
    assert len({row.method for row in clean.summaries}) == len(record.summaries) == 4
    assert set(clean.best.values()) <= {row.method for row in clean.summaries}
    assert set(clean.cards) == {row.backbone for row in clean.summaries}
    assert clean.command.startswith(
        "headstart study photos --backbone timm:test_resnet@test_resnet.safetensors,"
    )


def test_the_id_of_a_run_does_not_change_with_the_folder_of_the_weights(record):
    cell = record.results[0].cell
    moved = replace(cell, backbone="timm:test_resnet@elsewhere/test_resnet.safetensors")
    assert isinstance(moved, Cell) and moved.id == cell.id != replace(cell, weights_digest="other").id


def test_a_teacher_is_known_by_its_weights_wherever_they_lie(record, tmp_path):
    ids = {}
    for seed in (0, 1):
        for name in ("one", "two"):
            folder = tmp_path / f"{name}{seed}"
            folder.mkdir()
            spec = StudySpec(data=("x",), scenario=("full",), teacher=tiny_weights(folder, seed=seed))
            options = json.dumps(options_of(spec, "full"), sort_keys=True)
            ids[name, seed] = replace(record.results[0].cell, training=options).id
    assert ids["one", 0] == ids["two", 0] != ids["one", 1] == ids["two", 1]
    taught = replace(record, spec={**record.spec, "teacher": spec.teacher})
    assert without_paths(taught).spec["teacher"] == "timm:test_resnet@3/test_resnet.safetensors"


def test_two_files_of_one_name_get_two_places_whatever_the_networks_are_called(record):
    names = ("timm:resnet18@a/model.safetensors", "timm:resnet50@b/model.safetensors")
    short = short_backbones(replace(record, spec={"backbone": names}, cards={}, results=()))
    assert [short[name].partition("@")[2] for name in names] == ["model.safetensors", "2/model.safetensors"]


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("vgg16@/srv/x/vgg.pth", "vgg16@vgg.pth"),
        ("local-dir:/srv/x/model", "local-dir:model"),
        ("hf-hub:timm/resnet18.a1_in1k@main", "hf-hub:timm/resnet18.a1_in1k@main"),
        ("timm:resnet18.a1_in1k", "timm:resnet18.a1_in1k"),
        ("lite0", "lite0"),
    ],
)
def test_only_names_of_files_and_folders_are_shortened(name, kept):
    assert without_folder(name) == kept and (local_weights(name) is None) == (name == kept)
