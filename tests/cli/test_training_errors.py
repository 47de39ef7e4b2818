"""Training on what cannot be trained on: one line that says what to do and status 2, or a finding."""

from __future__ import annotations

import json
import shutil
from collections import namedtuple

import pytest

from headstart.testing.backbones import tiny_weights
from headstart.testing.images import class_folders

QUICK = (
    "--epochs",
    "2",
    "--views",
    "1",
    "--learning-rate",
    "0.001",
    "--dtype",
    "float32",
    "--input-size",
    "48",
)
ONCE = ("--epochs", "1", "--learning-rate", "0.001", "--dtype", "float32")
FINETUNE = ("--scenario", "finetune", "--trainable", "last:1")


@pytest.fixture
def refused(run, tmp_path):
    """Run `fit`; the one line that it ends with."""

    def call(*arguments):
        ran = run("fit", *arguments, "--out", tmp_path / "m")
        assert (ran.status, ran.out) == (2, ""), ran.err
        assert not (tmp_path / "m").exists()
        *_, last = ran.err.splitlines()
        assert last.startswith("headstart: error: ")
        return last

    return call


@pytest.fixture
def fitted(run, tmp_path, monkeypatch):
    """Run `fit --json` without writing the model; its facts and what was told on stderr."""
    monkeypatch.setattr("headstart.export.save.save_bundle", lambda *_, **__: None)

    def call(*arguments):
        ran = run("fit", *arguments, "--out", tmp_path / "m", "--json")
        assert ran.status == 0, ran.err
        return json.loads(ran.out), ran.err

    return call


def test_one_class_alone_is_refused(refused, tmp_path, tiny_name):
    data = class_folders(tmp_path / "data", classes=("disc",), n_per_class=4)
    said = refused(data, *FINETUNE, "--backbone", tiny_name, *QUICK)
    assert "a classifier needs two classes or more; got one class only: 'disc'" in said


def test_a_class_with_one_image_trains_and_is_told_of(fitted, tmp_path, tiny_name):
    data = class_folders(tmp_path / "data", classes=("disc", "square"), n_per_class=6)
    (data / "rare").mkdir()
    shutil.copy(class_folders(tmp_path / "other", n_per_class=1) / "stripes" / "000.jpg", data / "rare")
    facts, told = fitted(data, *FINETUNE, "--backbone", tiny_name, *QUICK)
    assert facts["classes"] == ["disc", "rare", "square"]
    assert "too few images or groups to be in every split: 'rare' (1)" in told


def test_classes_of_one_image_each_train_to_the_last_epoch(fitted, tmp_path, tiny_name):
    data = class_folders(tmp_path / "data", classes=("a", "b", "c", "d"), n_per_class=1)
    facts, _ = fitted(data, *FINETUNE, "--backbone", tiny_name, *QUICK)
    assert (facts["n_train"], facts["n_validation"], facts["selection"]) == (4, 0, None)
    assert facts["selected_on"] == "nothing (every class has a single image): the last epoch is kept"


def test_more_stages_than_the_network_has_are_refused(refused, photos, tiny_name):
    said = refused(
        photos, "--scenario", "finetune", "--trainable", "last:99", "--backbone", tiny_name, *QUICK
    )
    assert "has 4 stages, so last:1 to last:4 are possible" in said


def test_a_cut_that_does_not_exist_is_refused_with_the_nearest_names(refused, photos, tiny_name):
    said = refused(photos, "--scenario", "finetune", "--trainable", "layer5", "--backbone", tiny_name, *QUICK)
    assert "no cut, layer or parameter is called 'layer5'; did you mean 'layer" in said


def test_an_input_size_that_the_network_cannot_take_is_refused(refused, photos, tmp_path):
    name = tiny_weights(tmp_path, "test_vit3")
    said = refused(photos, *FINETUNE, "--backbone", name, "--size", "100")
    assert "the network cannot take images of 100 x 100" in said
    assert "near: 96 x 96 and 112 x 112" in said
    said = refused(photos, *FINETUNE, "--backbone", name, "--input-size", "15")
    assert "input_size: 15 is below 16" in said


def test_seventeen_pixels_train_or_are_refused_in_one_line(run, photos, tiny_name, tmp_path, monkeypatch):
    monkeypatch.setattr("headstart.export.save.save_bundle", lambda *_, **__: None)
    where = ("--backbone", tiny_name, "--input-size", "17", "--out", tmp_path / "m")
    ran = run("fit", photos, "--scenario", "full", "--start", "plain", *ONCE, *where)
    assert (ran.status, ran.err.count("error")) in ((0, 0), (2, 1)), ran.err


def test_weights_that_are_not_finite_are_refused(refused, photos, tmp_path):
    from safetensors.torch import load_file, save_file

    name = tiny_weights(tmp_path)
    path = name.partition("@")[2]
    state = load_file(path)
    state["layer1.0.conv1.weight"][0, 0, 0, 0] = float("nan")
    save_file(state, path)
    said = refused(photos, *FINETUNE, "--backbone", name, *QUICK)
    assert "layer1.0.conv1.weight holds values that are not finite" in said


def test_a_disk_without_room_for_activations_costs_time_alone(fitted, photos, tiny_name, monkeypatch):
    usage = namedtuple("usage", "total used free")

    def full(path):
        return usage(1e9, 1e9, 1e9 if str(path).endswith("m") else 10)

    monkeypatch.setattr("headstart.export.save.check_place", lambda *_: None)
    monkeypatch.setattr(shutil, "disk_usage", full)
    facts, told = fitted(photos, *FINETUNE, "--backbone", tiny_name, *QUICK, "--seed", "5")
    assert (facts["path"], facts["share_kept"]) == ("stream", None)
    assert facts["path_reason"] == "there is no room to keep activations"
    assert "activations cannot be kept" in told


def test_a_disk_without_room_for_the_model_is_told_before_training(refused, photos, tiny_name, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1e9, 1e9, 1000))
    said = refused(photos, *FINETUNE, "--backbone", tiny_name, *QUICK)
    assert "the model needs 5 MB and 0 MB are free; free some, or choose another folder" in said
