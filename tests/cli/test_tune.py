"""headstart tune: the command, its page, its mistakes, and going on after Ctrl-C."""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing

import pytest

pytest.importorskip("optuna")

from headstart.testing.images import class_folders

OPTIONS = ("--input-size", "48", "--engine", "torch", "--layer", "stage5")


@pytest.fixture(scope="module")
def finished(photos, tmp_path_factory):
    """A finished tuning of two heads."""
    from headstart.cli.main import main

    out = tmp_path_factory.mktemp("runs") / "tuned"
    assert main(["tune", str(photos), *OPTIONS, "--head", "knn,lda", "--trials", "6", "--out", str(out)]) == 0
    return out


def test_it_says_what_tuning_was_worth_and_writes_the_page(run, photos, finished):
    ran = run("tune", photos, *OPTIONS, "--head", "knn,lda", "--trials", "6", "--out", finished)
    assert ran.status == 0 and "all trials are done already" in ran.err
    lines = ran.out.splitlines()
    assert lines[0].startswith("Best on photos by validation: ")
    assert any(line.startswith("lda: ") and "shrinkage" in line for line in lines)
    assert lines[-1] == f"report: {finished / 'tuning.html'}"
    page = (finished / "tuning.html").read_text("utf-8")
    for said in ("What tuning was worth", "history", "slices", "from headstart import TransferClassifier"):
        assert said in page


def test_the_result_is_documented_json(run, photos, finished, as_documented):
    ran = run("tune", photos, *OPTIONS, "--head", "knn,lda", "--trials", "6", "--out", finished, "--json")
    found = as_documented("tune", ran.out)
    assert [len(each["trials"]) for each in found["searches"]] == [6, 6]
    assert found["best"] == found["methods"][0]["method"]


def test_every_mistake_is_named_before_anything_runs(run, photos, tmp_path):
    ran = run("tune", photos, "--budget", "soon", "--epochs", "3", "--out", tmp_path / "out")
    assert (ran.status, ran.err.count("\n")) == (2, 1)
    assert "'soon' is no time" in ran.err and "epochs: is for --scenario" in ran.err
    ran = run("tune", photos, "--head", "knn", "--folds", "1", "--trials", "2", "--out", tmp_path / "out")
    assert ran.status == 2 and "1 fold leaves nothing" in ran.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[lda]\nshrinkage = 0.1\nunit_length = true\nstandardise = false\n", "one point"),
        ("[lda]\nshrinkag = [0.1, 0.2]\n", "did you mean 'shrinkage'?"),
        ("shrinkage = 1\n", "stands outside a table"),
        ("[lda\n", "is no TOML"),
        ("[knn]\nmetric = 'cosine'\n", "'knn' is not among the methods tuned here (lda)"),
    ],
)
def test_a_space_that_cannot_be_is_refused(run, photos, tmp_path, text, said):
    file = tmp_path / "space.toml"
    file.write_text(text)
    ran = run("tune", photos, "--head", "lda", "--space", file, "--out", tmp_path / "out")
    assert ran.status == 2 and said in ran.err
    assert not (tmp_path / "out").exists()


def test_a_tuning_whose_trials_saw_the_test_images_is_refused(run, photos, finished):
    ran = run("tune", photos, *OPTIONS, "--head", "lda", "--seed", "3", "--trials", "3", "--out", finished)
    assert ran.status == 2 and "are to test now" in ran.err


def test_hostile_names_are_text_in_the_page(run, tmp_path):
    names = ("<script>alert(1)</script>"[:24].replace("/", "-"), 'a"b', "c")
    data = class_folders(tmp_path / "<b>photos", classes=names, n_per_class=6)
    out = tmp_path / "out"
    ran = run("tune", data, *OPTIONS, "--head", "nearest_mean", "--trials", "3", "--out", out)
    assert ran.status == 0, ran.err
    page = (out / "tuning.html").read_text("utf-8")
    assert "<b>photos" not in page and "&lt;b&gt;photos" in page


def test_the_page_asks_for_nothing_and_fits_a_phone(browser, finished):
    for width, scheme in ((400, "dark"), (1280, "light")):
        with closing(
            browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        ) as context:
            page = context.new_page()
            said, asked = [], []
            page.on("console", lambda message, said=said: said.append(message.text))
            page.on("request", lambda request, asked=asked: asked.append(request.url))
            page.goto((finished / "tuning.html").as_uri())
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert page.evaluate("[...document.images].every(each => each.naturalWidth > 0)")
            assert said == [] and all(each.startswith(("file:", "data:")) for each in asked)


def test_ctrl_c_is_one_line_and_the_same_command_goes_on(run, photos, tmp_path):
    out = tmp_path / "out"
    command = ["tune", str(photos), *OPTIONS, "--head", "knn", "--trials", "40", "--out", str(out)]
    code = (
        "import signal, sys\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # background shells have it ignored
        f"from headstart.cli.main import main\nsys.exit(main({command!r}))"
    )
    with subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 240
        while n_done(out) < 3 and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=240)
    assert process.returncode == 130, err.decode()
    assert err.decode().strip().splitlines()[-1].startswith("headstart: stopped;")
    done = n_done(out)
    assert 3 <= done < 40
    ran = run(*command)
    assert ran.status == 0, ran.err
    assert n_done(out) == 40


def n_done(out) -> int:
    place = out / "trials.sqlite"
    if not place.exists():
        return 0
    with closing(sqlite3.connect(f"file:{place}?mode=ro", uri=True, timeout=30)) as base:
        try:
            return base.execute("SELECT count(*) FROM trials WHERE state = 'COMPLETE'").fetchone()[0]
        except sqlite3.OperationalError:
            return 0


def test_one_cut_is_fixed_and_several_are_searched():
    from headstart.cli.flags import build
    from headstart.cli.tune import TuneFlags, _planned

    options = build(TuneFlags, {"scenario": ["finetune"]})
    one = _planned(options, {"trainable": ["last:1"]})
    assert one.training == {"trainable": "last:1"} and one.space == {}
    several = _planned(options, {"trainable": ["last:1,last:3"], "epochs": 2})
    assert several.training == {"epochs": 2}
    assert several.space == {"finetune": {"trainable": ["last:1", "last:3"]}}


def test_a_study_tunes_its_methods_and_says_what_that_was_worth(run, photos, tmp_path, as_documented):
    options = ("--head", "nearest_mean", "--layer", "stage5", "--input-size", "48", "--engine", "torch")
    command = ("study", photos, *options, "--seeds", "1", "--tune", "3", "--out", tmp_path / "out")
    ran = run(*command)
    assert ran.status == 0, ran.err
    assert "Tuning 1 method on photos: clearly better on test for" in ran.out
    assert "options" in ran.out and "tuned" in ran.out
    found = as_documented("study", run(*command, "--json").out)
    (worth,) = found["tuned"]
    assert worth["n_trials"] == 3 and worth["n"] == 6
    assert {row["tuned"] for row in found["methods"]} == {True, False}
    assert "What tuning was worth" in (tmp_path / "out" / "report.html").read_text()


def test_a_tuning_begins_with_what_the_adviser_would_take(run, photos, tmp_path, monkeypatch):
    from headstart.testing.situations import tiny_situation

    monkeypatch.setattr(
        "headstart.study.measure_situation.measure", lambda *given, **named: tiny_situation("stage6")
    )
    options = (
        "--head",
        "logistic",
        "--layer",
        "pool,stage5,stage6",
        "--input-size",
        "48",
        "--engine",
        "torch",
    )
    ran = run("tune", photos, *options, "--trials", "3", "--advice", "--json", "--out", tmp_path / "out")
    (search,) = json.loads(ran.out)["searches"]
    assert [trial["params"]["layer"] for trial in search["trials"]] == ["pool", "stage6", "stage5"]


def test_advice_that_has_nothing_to_say_of_a_search_is_refused_before_it_measures(
    run, photos, tmp_path, monkeypatch
):
    def measured(*given, **named):
        raise AssertionError("it must not measure")

    monkeypatch.setattr("headstart.study.measure_situation.measure", measured)
    ran = run("tune", photos, "--head", "lda,knn", "--advice", "--trials", "3", "--out", tmp_path / "out")
    assert ran.status == 2 and len(ran.err.splitlines()) == 1, ran.err
    assert "advice: it ranks layers of features and cuts of finetune, and none is left open here" in ran.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("workers", [1, 2])
def test_the_folder_of_a_model_teaches_every_trial(run, photos, tiny_model, tiny_name, tmp_path, workers):
    ran = run(
        "tune", photos, "--scenario", "finetune", "--backbone", tiny_name, "--input-size", "32", "--trainable",
        "last:1", "--epochs", "1", "--views", "1", "--augment", "none", "--batch-size", "16", "--learning-rate", "0.01",
        "--teacher", tiny_model, "--trials", "2", "--workers", workers, "--out", tmp_path / "out", "--json",
    )  # fmt: skip
    assert ran.status == 0, ran.err
    (search,) = json.loads(ran.out)["searches"]
    assert [each["state"] for each in search["trials"]] == ["done", "done"], search["trials"]


def test_a_model_that_teaches_is_known_by_its_content_and_by_the_images_it_saw(tiny_model, tmp_path):
    from headstart.cli.teacher import teacher_of
    from headstart.export.bundle import load_bundle

    moved = shutil.copytree(tiny_model, tmp_path / "moved")
    one, other = teacher_of(tiny_model), teacher_of(moved)
    assert one.id == other.id and one.seen_ == other.seen_ == load_bundle(moved).seen() != frozenset()
    card = json.loads((moved / "card.json").read_text("utf-8"))
    (moved / "card.json").write_text(json.dumps({**card, "target": "another"}), "utf-8")
    assert teacher_of(moved).id != one.id


def test_a_teacher_that_is_no_model_is_refused_before_anything_is_read(run, tmp_path):
    (tmp_path / "empty").mkdir()
    ran = run(
        "tune", "no such data", "--scenario", "finetune", "--teacher", tmp_path / "empty", "--trials", "2"
    )
    assert ran.status == 2 and "empty" in ran.err and "no such data" not in ran.err
