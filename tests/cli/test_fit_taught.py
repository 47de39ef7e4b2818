"""fit and tune with a teacher, end to end: what is kept of it, and teachers that are refused before anything is run."""

from __future__ import annotations

import numpy as np
import pytest

from headstart.cli.teacher import teacher_of
from headstart.export.bundle import load_bundle
from headstart.export.save import save_bundle
from headstart.export.trained import load_network
from headstart.images.scan import scan
from headstart.testing.images import class_folders

QUICK = (
    "--epochs",
    "1",
    "--learning-rate",
    "0.001",
    "--dtype",
    "float32",
    "--views",
    "1",
    "--augment",
    "none",
)


@pytest.fixture
def fitted(monkeypatch):
    """The classifiers that are saved; they are saved all the same."""
    kept = []

    def saved(classifier, *given, **named):
        kept.append(classifier)
        return save_bundle(classifier, *given, **named)

    monkeypatch.setattr("headstart.export.save.save_bundle", saved)
    return kept


@pytest.fixture
def student(photos, tiny_name, tmp_path):
    """The command of a student, less its teacher."""
    where = ("--backbone", tiny_name, "--input-size", "48", "--out", tmp_path / "m")
    return ("fit", photos, "--scenario", "finetune", "--trainable", "last:1", *QUICK, *where)


@pytest.fixture
def others(tmp_path):
    """Images of which the kept model knows two classes of three."""
    return class_folders(tmp_path / "others", classes=("disc", "square", "zebra"), n_per_class=10)


@pytest.fixture
def blind(monkeypatch):
    """Images cannot be looked at."""

    def looked(*_, **__):
        raise AssertionError("an image was looked at")

    for where in (
        "headstart.methods.finetune.prepare", "headstart.methods.tune.run._read",
        "headstart.features.extractor.FeatureExtractor.extract", "headstart.study.measure_situation.measure",
    ):  # fmt: skip
        monkeypatch.setattr(where, looked)


def assert_says_the_same(folder, classifier, new_photos):
    items = scan(new_photos).items()
    expected = classifier.predict_proba(items)
    assert np.abs(load_bundle(folder).predict_proba(items).probabilities - expected).max() < 1e-4
    assert load_network(folder).head.linear.weight.shape[0] == 3


def test_a_student_of_a_kept_model_is_saved_and_says_the_same_when_it_is_loaded(
    run, student, tiny_model, new_photos, tmp_path, fitted, as_documented
):
    ran = run(*student, "--teacher", tiny_model, "--json")
    assert ran.status == 0, ran.err
    as_documented("fit", ran.out)
    assert_says_the_same(tmp_path / "m", fitted[0], new_photos)
    card = load_bundle(tmp_path / "m").card
    assert (card["options"]["teacher"], card["options"]["teacher_id"]) == (
        "BundleTeacher", teacher_of(tiny_model).id,
    )  # fmt: skip
    assert card["record"]["teacher"]["name"] == "BundleTeacher"
    predicted = run("predict", tmp_path / "m", new_photos / "disc" / "000.jpg", "--json")
    assert as_documented("predict", predicted.out)


def test_a_student_of_a_network_is_saved_with_the_name_of_its_teacher(
    run, student, tiny_name, new_photos, tmp_path, fitted
):
    ran = run(*student, "--teacher", tiny_name)
    assert ran.status == 0, ran.err
    assert_says_the_same(tmp_path / "m", fitted[0], new_photos)
    options = load_bundle(tmp_path / "m").card["options"]
    assert options["teacher"] == tiny_name and "teacher_id" not in options


def test_a_student_teaches_in_its_turn(run, student, tiny_model, tmp_path):
    assert run(*student, "--teacher", tiny_model).status == 0
    ran = run(*student[:-1], tmp_path / "next", "--teacher", tmp_path / "m")
    assert ran.status == 0, ran.err
    assert load_bundle(tmp_path / "next").card["options"]["teacher_id"] == teacher_of(tmp_path / "m").id


@pytest.mark.parametrize("kind", ["folder", "network"])
def test_with_several_outputs_a_teacher_is_refused(run, tiny_name, tiny_model, tmp_path, blind, kind):
    images = class_folders(tmp_path / "images").rglob("*.jpg")
    rows = [f"images/{each.parent.name}/{each.name},{each.parent.name},{each.stem}" for each in images]
    (tmp_path / "two.csv").write_text("\n".join(["path,label,number", *rows]))
    ran = run(
        "fit", tmp_path / "two.csv", "--target", "label,number", "--kind", "number=number", "--scenario", "finetune",
        "--trainable", "last:1", *QUICK, "--backbone", tiny_name, "--input-size", "48", "--out", tmp_path / "m",
        "--teacher", tiny_model if kind == "folder" else tiny_name,
    )  # fmt: skip
    assert (ran.status, ran.out) == (2, ""), ran.err
    assert ran.err.splitlines()[-1] == "headstart: error: teacher: is for one output; leave it out"
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize("more", [(), ("--start", "plain")])
def test_fit_refuses_a_teacher_of_other_classes_before_an_image_is_looked_at(
    run, student, others, tiny_model, tmp_path, blind, more
):
    ran = run("fit", others, *student[2:], *more, "--teacher", tiny_model)
    assert (ran.status, ran.out) == (2, "") and len(ran.err.splitlines()) == 1, ran.err
    gone = sorted(set(load_bundle(tiny_model).classes) - {"disc", "square"})
    assert f"it lacks 'zebra' and has {', '.join(map(repr, gone))} besides" in ran.err
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize("more", [(), ("--folds", "2"), ("--advice",)])
def test_tune_refuses_a_teacher_of_other_classes_before_an_image_is_looked_at(
    run, others, tiny_name, tiny_model, tmp_path, blind, more
):
    pytest.importorskip("optuna")
    ran = run(
        "tune", others, "--scenario", "finetune", "--backbone", tiny_name, "--input-size", "32", "--epochs", "1",
        "--teacher", tiny_model, "--trials", "2", *more, "--out", tmp_path / "out",
    )  # fmt: skip
    assert (ran.status, ran.out) == (2, "") and len(ran.err.splitlines()) == 1, ran.err
    assert "teacher: it knows other classes; it lacks 'zebra'" in ran.err
    assert not (tmp_path / "out" / "trials.sqlite").exists()
