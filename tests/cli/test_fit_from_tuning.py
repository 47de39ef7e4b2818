"""fit --from the folder of a tuning: its best method as it was found, on the same split of the same images."""

from __future__ import annotations

import json
import shutil

import pytest

pytest.importorskip("optuna")

from headstart.cli.teacher import teacher_of
from headstart.export.bundle import load_bundle
from headstart.images.scan import scan
from headstart.methods.tune.found import UNFINISHED, load_tuning
from headstart.methods.tune.plan import TunePlan
from headstart.methods.tune.run import tune_table
from headstart.methods.tune.trials import HeadTrials
from headstart.testing.images import class_folders

OPTIONS = ("--input-size", "48", "--engine", "torch", "--layer", "stage4,stage5")
SPACE = "[lda]\nshrinkage = [0.3, 0.9]\nstandardise = true\n"
"""The defaults of lda lie outside, so what is found is never they."""
NETWORK = (
    "--scenario", "finetune", "--trainable", "last:1", "--input-size", "48", "--epochs", "2", "--views", "1", "--augment",
    "none", "--dtype", "float32", "--prefix-precision", "float32", "--learning-rate", "0.003", "--batch-size", "8",
)  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Images that a test may copy and move."""
    return class_folders(tmp_path_factory.mktemp("data") / "shapes", n_per_class=10)


@pytest.fixture(scope="module")
def command(data, tmp_path_factory):
    """A tuning of two heads, less its output folder."""
    space = tmp_path_factory.mktemp("space") / "space.toml"
    space.write_text(SPACE)
    return ["tune", data, *OPTIONS, "--head", "nearest_mean,lda", "--space", space, "--trials", "4", "--out"]


@pytest.fixture(scope="module")
def tuned(command, tmp_path_factory):
    """It, finished. Not to be changed."""
    from headstart.cli.main import main

    out = tmp_path_factory.mktemp("runs") / "tuned"
    assert main([*map(str, command), str(out)]) == 0
    return out


@pytest.fixture
def copied(tuned, tmp_path):
    return shutil.copytree(tuned, tmp_path / "copied")


@pytest.fixture
def refused(run, tmp_path):
    """The one line that `fit --from` refuses with, before a model is made."""

    def say(*arguments) -> str:
        ran = run("fit", *arguments, "--out", tmp_path / "refused")
        assert (ran.status, ran.out) == (2, ""), ran.err
        assert [line.startswith("headstart: error: ") for line in ran.err.splitlines()].count(True) == 1, (
            ran.err
        )
        assert (
            ran.err.splitlines()[-1].startswith("headstart: error: ") and not (tmp_path / "refused").exists()
        )
        return ran.err

    return say


def rewritten(folder, change):
    """The record with something changed in it."""
    kept = json.loads((folder / "tuning.json").read_text())
    change(kept)
    (folder / "tuning.json").write_text(json.dumps(kept))
    return folder


def first(folder, method):
    """The record with that method as the best."""

    def change(kept):
        kept["worth"].sort(key=lambda each: each["method"] != method)

    return rewritten(folder, change)


def test_the_model_is_the_best_trial_and_scores_on_test_as_it_was_tested(
    run, tuned, data, tmp_path, as_documented
):
    found = load_tuning(tuned)
    best = next(each for each in found.searches if each.method == found.best.method).best_trial
    facts = as_documented("fit", run("fit", "--from", tuned, "--out", tmp_path / "m", "--json").out)
    assert (facts["head"], facts["layer"]) == (found.best.method, [best.params["layer"]])
    assert facts["selection"] == pytest.approx(best.value) and facts["data"] == found.data
    assert (facts["n_train"], facts["n_validation"]) == (found.n_train, found.n_validation)
    tested = as_documented("evaluate", run("evaluate", tmp_path / "m", data, "--json").out)
    assert tested["n"] == found.n_test, "the others are known to have been seen"
    assert tested["accuracy"]["value"] == pytest.approx(found.best.tuned["value"])


def test_the_head_has_the_options_that_were_found_and_defaults_choose_for_themselves(run, copied, tmp_path):
    (lda,) = (each for each in load_tuning(copied).searches if each.method == "lda")
    ran = run("fit", "--from", first(copied, "lda"), "--out", tmp_path / "m", "--json")
    assert ran.status == 0, ran.err
    head = load_bundle(tmp_path / "m").head
    assert not lda.best_trial.default and head.standardise is True
    assert head.shrinkage == lda.best_trial.params["shrinkage"] >= 0.3
    assert json.loads(ran.out)["selection"] == pytest.approx(lda.best_trial.value)

    def defaults(kept):
        (search,) = (each for each in kept["searches"] if each["method"] == "nearest_mean")
        search["best"] = next(each["number"] for each in search["trials"] if each["default"])

    rewritten(first(copied, "nearest_mean"), defaults)
    facts = json.loads(run("fit", "--from", copied, "--out", tmp_path / "m", "--json").out)
    (mean,) = (each for each in load_tuning(copied).searches if each.method == "nearest_mean")
    assert load_bundle(tmp_path / "m").head.standardise is None
    assert facts["selection"] == pytest.approx(mean.default["value"]) and facts["layer"] == ["stage4"]


def test_validation_images_may_join_train_at_last(run, tuned, tmp_path):
    facts = json.loads(run("fit", "--from", tuned, "--refit", "--out", tmp_path / "m", "--json").out)
    assert facts["refit"] and facts["n_validation"] > 0


def test_a_network_is_trained_as_in_its_best_trial_with_the_same_teacher(
    run, refused, data, tiny_name, tmp_path, as_documented
):
    out, teacher = tmp_path / "out", tmp_path / "teacher"
    taught = run("fit", data, "--head", "nearest_mean", "--layer", "stage5", *OPTIONS[:4], "--out", teacher)
    assert taught.status == 0, taught.err
    ran = run(
        "tune", data, *NETWORK, "--backbone", tiny_name, "--teacher", teacher, "--trials", "3", "--out", out
    )
    assert ran.status == 0, ran.err
    found = load_tuning(out)
    best = found.searches[0].best_trial
    ran = run("fit", "--from", out, "--out", tmp_path / "m", "--json")
    assert ran.status == 0, ran.err
    facts = as_documented("fit", ran.out)
    assert (facts["scenario"], facts["trainable"], facts["epochs"]) == ("finetune", "last:1", 2)
    assert facts["selection"] == pytest.approx(best.value)
    options = load_bundle(tmp_path / "m").card["options"]
    assert options["teacher_id"] == teacher_of(teacher).id
    searched = ("weight_decay", "layer_decay", "label_smoothing")
    if not best.default:
        assert {name: options[name] for name in searched} == {name: best.params[name] for name in searched}
    tested = as_documented("evaluate", run("evaluate", tmp_path / "m", data, "--json").out)
    assert (tested["n"], tested["accuracy"]["value"]) == (
        found.n_test,
        pytest.approx(found.best.tuned["value"]),
    )
    said = refused("--from", out, "--refit")
    assert "finetune needs its validation images to choose the epoch that is kept; leave refit out" in said
    card = json.loads((teacher / "card.json").read_text())
    (teacher / "card.json").write_text(json.dumps({**card, "data": "another"}))
    assert f"teacher: {teacher} is not the model that taught in the tuning" in refused("--from", out)


def test_a_nested_tuning_gives_a_model_of_all_its_images(run, data, tmp_path):
    tune = ("tune", data, *OPTIONS[:4], "--layer", "stage5", "--head", "lda", "--trials", "3", "--folds", "2")
    assert run(*tune, "--out", tmp_path / "out").status == 0
    ran = run("fit", "--from", tmp_path / "out", "--out", tmp_path / "m", "--json")
    assert ran.status == 0, ran.err
    assert "the tuning tested shapes by folds, so the model learns from all of its images" in ran.err
    facts = json.loads(ran.out)
    assert (facts["n_train"], facts["n_validation"]) == (30, 0)
    bests = [each.best_trial for each in load_tuning(tmp_path / "out").searches]
    best = max(bests, key=lambda each: each.value)
    if not best.default:
        assert load_bundle(tmp_path / "m").head.shrinkage == best.params["shrinkage"]
    assert ("its folds found other options" in ran.err) == (bests[0].params != bests[1].params)


def test_images_that_lie_elsewhere_now_are_named_and_no_others_are_taken(
    run, refused, command, data, tmp_path
):
    moved = shutil.copytree(data, tmp_path / "shapes")
    (moved / "disc" / "bad.jpg").write_bytes((moved / "disc" / "000.jpg").read_bytes()[:400])
    out = tmp_path / "out"
    assert run(command[0], moved, *command[2:], out).status == 0
    assert len(load_tuning(out).unread) == 1
    moved = moved.rename(tmp_path / "away")
    said = refused("--from", out)
    assert (
        f"(the tuning in {out} read {tmp_path / 'shapes'}; run this where it was run, or name DATA)" in said
    )
    ran = run("fit", moved, "--from", out, "--out", tmp_path / "m", "--json")
    assert ran.status == 0, ran.err
    assert json.loads(ran.out)["selection"] == pytest.approx(load_tuning(out).best.chosen_by)
    (moved / "disc" / "001.jpg").rename(moved / "square" / "of another class.jpg")
    assert "the images of shapes have changed since the tuning; tune again" in refused(moved, "--from", out)


def test_a_table_is_read_as_it_was_and_its_label_column_must_be_there(run, refused, tmp_path):
    images = class_folders(tmp_path / "images", n_per_class=8).rglob("*.jpg")
    rows = [
        f"{each.parent.name}/{each.name},{number % 5},{each.parent.name}"
        for number, each in enumerate(images)
    ]
    (tmp_path / "t.csv").write_text("\n".join(["path,number,shape", *rows]))
    read = ("--image-root", tmp_path / "images")
    tune = (
        "tune",
        tmp_path / "t.csv",
        *read,
        "--target",
        "shape",
        *OPTIONS,
        "--head",
        "lda",
        "--trials",
        "3",
    )
    assert run(*tune, "--out", tmp_path / "out").status == 0
    ran = run("fit", "--from", tmp_path / "out", "--out", tmp_path / "m", "--json")
    assert ran.status == 0, ran.err
    assert json.loads(ran.out)["target"] == "shape"
    assert "target: the tuning decides it" in refused("--from", tmp_path / "out", "--target", "number")
    (tmp_path / "other.csv").write_text("\n".join(["path,number,form", *rows]))
    said = refused(tmp_path / "other.csv", "--from", tmp_path / "out")
    assert "no label column is called 'shape'" in said


def test_a_tuning_that_was_stopped_is_refused_until_its_command_has_ended(
    run, refused, command, tmp_path, monkeypatch
):
    out, whole = tmp_path / "out", HeadTrials.measure

    def stopped(self, params, tell):
        if params:
            raise KeyboardInterrupt
        return whole(self, params, tell)

    for trials in ("4", "6"):  # a new tuning, and one that goes on
        full = [*command[:-2], trials, "--out", out]
        with monkeypatch.context() as patch:
            patch.setattr(HeadTrials, "measure", stopped)
            assert run(*full).status == 130
        assert f"the tuning in {out} has not finished its trials; run its command again" in refused(
            "--from", out
        )
        assert run(*full).status == 0 and not (out / UNFINISHED).exists()
        assert run("fit", "--from", out, "--out", tmp_path / "m").status == 0


def test_a_tuning_whose_trials_all_failed_has_no_best(run, refused, data, command, tmp_path, monkeypatch):
    whole = HeadTrials.measure

    def fails(self, params, tell):
        if params:
            raise ArithmeticError("not finite")
        return whole(self, params, tell)

    monkeypatch.setattr(HeadTrials, "measure", fails)
    tune = [each if each != "nearest_mean,lda" else "lda" for each in command]
    assert run(*tune, tmp_path / "out").status == 0
    assert "has no best: no trial of lda came to its end" in refused("--from", tmp_path / "out")


def test_a_tuning_from_python_or_of_an_older_headstart_says_what_to_do(
    run, refused, data, command, copied, tmp_path
):
    plan = TunePlan(head=("lda",), layer=("stage5",), input_size=48, engine="torch", trials=3)
    found = tune_table(scan(data), plan, tmp_path / "out")
    assert f"name them: headstart fit DATA --from {tmp_path / 'out'}" in refused("--from", tmp_path / "out")
    ran = run("fit", data, "--from", tmp_path / "out", "--out", tmp_path / "m", "--json")
    assert json.loads(ran.out)["selection"] == pytest.approx(found.best.chosen_by)

    def older(kept):
        for name in ("source", "contents", "unread", "teacher"):
            del kept[name]

    rewritten(copied, older)
    assert "an older Headstart made it; run its command again" in refused("--from", copied)
    assert "all trials are done already" in run(*command, copied).err
    assert run("fit", "--from", copied, "--out", tmp_path / "m").status == 0


def test_what_the_tuning_decides_and_folders_that_are_none_are_refused(refused, tuned, data, tmp_path):
    said = refused("--from", tuned, "--head", "knn", "--split-column", "s")
    assert "head: the tuning decides it; leave it out with --from" in said
    assert "scenario: the study or tuning decides it" in refused("--from", tuned, "--scenario", "finetune")
    assert "split-column: the tuning decides it" in said
    assert "holds a tuning, whose best method is fitted; leave :lda out" in refused("--from", f"{tuned}:lda")
    assert "no study and no tuning in" in refused("--from", tmp_path / "nowhere")
    assert "no study and no tuning in" in refused(data, "--from", tmp_path)
