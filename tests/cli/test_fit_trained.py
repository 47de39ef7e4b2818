"""fit with the scenarios that train, and what is done with the model after."""

from __future__ import annotations

import json
import signal

import numpy as np
import pytest

from headstart.cli.main import main
from headstart.methods.loop import Loop

QUICK = ("--epochs", "1", "--learning-rate", "0.001", "--dtype", "float32", "--input-size", "48")


@pytest.fixture
def unsaved(monkeypatch):
    """Nothing is written; the fitted classifiers."""
    kept = []
    monkeypatch.setattr("headstart.export.save.save_bundle", lambda fitted, *_, **__: kept.append(fitted))
    return kept


def test_fit_says_what_trained_and_how(trained, as_documented):
    facts = as_documented("fit", trained.out)
    assert (facts["scenario"], facts["trainable"], facts["cut"]) == ("finetune", "last:1", "layer3")
    assert (facts["n_train"], facts["n_validation"], facts["selected_on"]) == (18, 6, "validation")
    assert (facts["epochs"], len(facts["curve"])) == (3, 3)
    assert (facts["path"], facts["share_kept"]) == ("cache", 1.0)
    assert facts["path_reason"] == "2 views are run once and seen in 3 epochs"
    each_epoch = [facts["start_selection"], *(line["held_accuracy"] for line in facts["curve"])]
    assert (
        facts["selection"]
        == pytest.approx(each_epoch[facts["chosen"]["epoch"]])
        == pytest.approx(max(each_epoch))
    )
    assert facts["start"] == "head-first"
    assert 0 <= facts["start_selection"] <= 1


def test_fit_without_json_ends_with_the_path_of_the_model(run, photos, tiny_name, tmp_path, unsaved):
    where = ("--backbone", tiny_name, "--out", tmp_path / "m")
    ran = run("fit", photos, "--scenario", "finetune", "--trainable", "last:1", *QUICK, *where)
    lines = ran.out.splitlines()
    assert lines[0].startswith(f"trained last:1 (what comes after layer3) of {tiny_name}: ")
    assert lines[0].endswith(" weights, 1 epoch at learning rate 0.001")
    assert lines[1].startswith("frozen part in float32: 6 views, 1 epoch: ")
    assert lines[2].startswith("learned 3 classes from 18 images, chose on 6; ")
    assert " with a linear head on the frozen network" in lines[3]
    assert lines[-1] == f"model: {tmp_path / 'm'}"


def test_scratch_trains_all_from_random_weights(run, photos, tiny_name, tmp_path, unsaved, as_documented):
    where = ("--backbone", tiny_name, "--out", tmp_path / "m")
    ran = run("fit", photos, "--scenario", "scratch", *QUICK, *where, "--json")
    facts = as_documented("fit", ran.out)
    assert (facts["trainable"], facts["cut"], facts["path"]) == ("all", None, "plain")
    assert (facts["start"], facts["start_selection"]) == ("plain", None)


def test_several_patterns_of_parameters_train(run, photos, tiny_name, tmp_path, unsaved):
    cut = ("--trainable", "layer4.*.bias,layer4.*.bn1.weight")
    where = ("--backbone", tiny_name, "--out", tmp_path / "m")
    ran = run("fit", photos, "--scenario", "finetune", *cut, "--no-temperature", *QUICK, *where)
    assert ran.status == 0, ran.err
    assert unsaved[0].trainable == ("layer4.*.bias", "layer4.*.bn1.weight")
    assert unsaved[0].temperature_ == 1.0


def test_options_of_another_scenario_are_refused_all_at_once(run, photos, tmp_path):
    ran = run(
        "fit", photos, "--scenario", "full", "--head", "knn", "--trainable", "last:2", "--epochs", "0",
        "--out", tmp_path / "m",
    )  # fmt: skip
    assert (ran.status, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert "head: is for --scenario features; leave it out with full" in ran.err
    assert "trainable: is for --scenario finetune; leave it out with full" in ran.err
    assert "epochs: 0 is below 1" in ran.err
    ran = run("fit", photos, "--mixup", "0.2", "--out", tmp_path / "m")
    assert "mixup: is for --scenario finetune or full or scratch; leave it out with features" in ran.err


def test_an_unknown_scenario_is_one_line_with_the_nearest_name(run, photos, tmp_path):
    ran = run("fit", photos, "--scenario", "fine-tune", "--out", tmp_path / "m")
    assert ran.status == 2
    assert (
        ran.err
        == "headstart: error: no scenario is called 'fine-tune'; did you mean 'finetune' or 'features'?\n"
    )


def test_a_folder_that_is_no_model_is_refused_before_anything_is_trained(run, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    ran = run("fit", "no-such-folder", "--scenario", "full", "--out", tmp_path)
    assert (ran.status, ran.err.count("\n")) == (2, 1)
    assert "exists and is no bundle" in ran.err


def test_ctrl_c_stops_and_the_same_command_goes_on(run, photos, tiny_name, tmp_path, unsaved, monkeypatch):
    train_step = Loop._train_step

    def stop_at_third(self, rows, *given):
        if self.checkpoints is not None and self.step == 2:
            signal.getsignal(signal.SIGINT)(signal.SIGINT, None)
        train_step(self, rows, *given)

    command = (
        "fit", photos, "--scenario", "full", "--backbone", tiny_name, "--input-size", "48", "--epochs", "2",
        "--batch-size", "8", "--learning-rate", "0.001", "--dtype", "float32", "--seed", "3", "--out", tmp_path / "m",
    )  # fmt: skip
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # background shells have it ignored
    with monkeypatch.context() as stopped:
        stopped.setattr(Loop, "_train_step", stop_at_third)
        ran = run(*command)
    signal.signal(signal.SIGINT, before)
    assert (ran.status, ran.out) == (130, "")
    assert ran.err.splitlines()[-1] == "headstart: stopped; the same command goes on with what is kept"
    assert "stopped training runs: 1, " in run("cache", "list").out
    ran = run(*command, "--json")
    assert "an earlier run of the same command was stopped; this one goes on with it" in ran.err
    assert json.loads(ran.out)["epochs"] == 2
    assert "stopped training runs" not in run("cache", "list").out


def test_of_several_processes_only_the_first_writes_and_prints(run, photos, tmp_path, monkeypatch):
    monkeypatch.setattr("headstart.cli.fit._trained", lambda *_: (object(), "label", "photos"))
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    ran = run("fit", photos, "--scenario", "full", "--out", tmp_path / "m", "--json")
    assert (ran.status, ran.out, ran.err) == (0, "", "")
    assert not (tmp_path / "m").exists()


def test_a_trained_model_is_evaluated_and_exported_like_any_other(
    run, trained, new_photos, photos, tmp_path, as_documented
):
    found = as_documented("evaluate", run("evaluate", trained.folder, new_photos, "--json").out)
    assert (found["n"], found["views"]) == (12, 1)
    own = as_documented("evaluate", run("evaluate", trained.folder, photos, "--json").out)
    assert own["n_seen_left_out"] == 24
    facts = as_documented(
        "export", run("export", trained.folder, "--onnx", tmp_path / "m.onnx", "--json").out
    )
    assert facts["largest_difference"] < 1e-4
    assert (tmp_path / "m.onnx").is_file()


def test_predictions_may_be_averaged_over_views(run, trained, new_photos, as_documented):
    image = new_photos / "disc" / "000.jpg"
    outputs = [
        as_documented("predict", run("predict", trained.folder, image, "--views", views, "--json").out)[0]
        for views in (1, 4)
    ]
    plain, averaged = (
        {each["label"]: each["probability"] for each in entry["outputs"]["label"]} for entry in outputs
    )
    assert plain != averaged
    assert np.isclose(sum(averaged.values()), 1, atol=1e-5)
    said = run("evaluate", trained.folder, new_photos, "--views", "2").out
    assert said.startswith("12 images (all images), target label, the mean of 2 views of each\n")


def test_views_below_one_are_refused(run, trained, new_photos):
    ran = run("predict", trained.folder, new_photos, "--views", "0")
    assert (ran.status, ran.err.count("\n")) == (2, 1)


def test_help_of_fit_tells_how_to_turn_an_option_off(capsys):
    assert main(["fit", "--help"]) == 0
    assert "--no-temperature" in capsys.readouterr().out


def test_a_kept_model_teaches_and_one_of_other_classes_is_refused(
    run, photos, tiny_name, tmp_path, unsaved, monkeypatch
):
    from headstart.cli import teacher

    class Kept:
        several = False

        def __init__(self, classes):
            self.classes, self.folder = classes, folder

        def seen(self):
            return frozenset()

        def predict_proba(self, items):
            shares = np.full((len(items), len(self.classes)), 1 / len(self.classes), np.float32)
            return type("Said", (), {"problems": (), "probabilities": shares})()

    names = sorted(each.name for each in photos.iterdir() if each.is_dir())
    folder = tmp_path / "teacher"
    folder.mkdir()
    command = (
        "fit", photos, "--scenario", "finetune", "--trainable", "last:1", *QUICK, "--teacher", folder,
        "--backbone", tiny_name, "--out", tmp_path / "m",
    )  # fmt: skip
    assert run(*command).status == 2, "an empty folder is no model"
    (folder / "card.json").write_text("{}")
    monkeypatch.setattr("headstart.export.bundle.load_bundle", lambda name: Kept((*names[1:], "zebra")))
    ran = run(*command)
    assert ran.status == 2 and f"lacks '{names[0]}' and has 'zebra'" in ran.err
    monkeypatch.setattr("headstart.export.bundle.load_bundle", lambda name: Kept(tuple(names)))
    assert run(*command).status == 0
    assert unsaved[0].record_["teacher"]["name"] == "BundleTeacher"
    assert teacher.teacher_of("lite1") == "lite1" and teacher.teacher_of("") == ""
