"""headstart study, and the hand-over of its winner."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from headstart.study import check
from headstart.study.record import load_record
from headstart.testing.images import split_folders

OPTIONS = ("--input-size", "48", "--engine", "torch", "--layer", "stage5", "--seeds", "2")
HEADS = ("--head", "nearest_mean,logistic")


@pytest.fixture(scope="module")
def finished(photos, tmp_path_factory):
    """A finished study of two heads and two seeds."""
    from headstart.cli.main import main

    folder = tmp_path_factory.mktemp("runs") / "photos"
    assert main(["study", str(photos), *OPTIONS, *HEADS, "--out", str(folder)]) == 0
    return folder


def test_a_study_plans_first_and_ends_with_best_table_and_report(run, photos, tmp_path):
    ran = run("study", photos, *OPTIONS, "--head", "nearest_mean", "--out", tmp_path / "out")
    assert ran.status == 0
    assert ran.err.startswith("2 runs: 1 method on 1 dataset; about ")
    lines = ran.out.splitlines()
    assert lines[0].startswith("Best on photos: features lite0 stage5 avg nearest_mean 48px.")
    assert any("nearest_mean *" in line for line in lines)
    assert lines[-1] == f"report: {tmp_path / 'out' / 'report.html'}"
    assert (tmp_path / "out" / "report.html").read_text().lower().startswith("<!doctype html>")


def test_a_finished_study_only_reads_and_is_documented_json(run, photos, finished, as_documented):
    ran = run("study", photos, *OPTIONS, *HEADS, "--out", finished, "--json")
    found = as_documented("study", ran.out)
    assert "all are done already" in ran.err
    assert (found["n_planned"], found["n_done"], found["n_failed"]) == (4, 4, 0)
    assert [row["best"] for row in found["methods"]] == [True, False]
    assert found["best"]["photos"] == found["methods"][0]["method"]


def test_the_command_that_repeats_a_study_is_kept(photos, finished):
    assert load_record(finished).command.startswith(f"headstart study {photos} --input-size 48 ")


def test_flags_win_over_the_spec_file(run, photos, tmp_path):
    spec = tmp_path / "study.toml"
    spec.write_text(
        f'data = ["{photos}"]\nhead = ["knn"]\nlayer = "stage5"\ninput_size = [48]\nengine = "torch"\nseeds = 1\n'
    )
    ran = run("study", "--spec", spec, "--head", "nearest_mean", "--out", tmp_path / "out", "--json")
    assert ran.status == 0
    kept = load_record(tmp_path / "out").spec
    assert (kept["head"], kept["seeds"]) == (["nearest_mean"], 1)


def test_every_mistake_of_a_study_is_named_before_anything_runs(run, photos, tmp_path):
    options = ("--head", "logistc", "--layer", "stag5", "--backbone", "lite9", "--budget", "soon")
    ran = run("study", photos, *options, "--out", tmp_path / "out")
    assert (ran.status, ran.err.count("\n")) == (2, 1)
    for said in ("'logistic'", "'lite", "'soon' is no time"):
        assert said in ran.err
    assert not (tmp_path / "out").exists()


def kinds(told):
    """What each of several mistakes in one line is of."""
    parts = told.removeprefix("headstart: error: ").split("; ")
    return [part.split(":")[0] for part in parts if ": " in part and not part.startswith("known")]


def test_mistakes_of_five_kinds_in_a_spec_file_are_told_at_once(run, tmp_path):
    (tmp_path / "s.toml").write_text(
        f'data = ["{tmp_path}/nowhere"]\nhaed = ["knn"]\nseeds = "three"\nfolds = 1\nbackbone = ["lite9"]\n'
    )
    ran = run("study", "--spec", tmp_path / "s.toml", "--out", tmp_path / "out")
    told = kinds(ran.err)
    assert (ran.status, ran.err.count("\n")) == (2, 1) and sorted(told) == [
        "backbone",
        "data",
        "folds",
        "haed",
        "seeds",
    ]


def test_mistakes_of_five_kinds_in_flags_are_told_at_once(run, photos, tmp_path):
    (tmp_path / "s.toml").write_text("haed = 1\n")
    flags = ("--seeds", "three", "--folds", "1", "--backbone", "lite9", "--target", "colour")
    ran = run("study", photos, "--spec", tmp_path / "s.toml", *flags, "--out", tmp_path / "out")
    told = kinds(ran.err)
    assert (ran.status, ran.err.count("\n")) == (2, 1) and sorted(told) == [
        "backbone",
        "data",
        "folds",
        "haed",
        "seeds",
    ]
    assert "'colour'" in ran.err and not (tmp_path / "out").exists()


def test_a_study_without_data_says_how_to_name_it(run):
    ran = run("study")
    assert ran.status == 2
    assert "headstart study DATA" in ran.err


def test_fit_from_a_study_gives_the_winner_with_the_same_score(
    run, finished, tmp_path, photos, as_documented
):
    record = load_record(finished)
    row = next(each for each in record.summaries if each.method == record.best["photos"])
    result = next(each for each in record.results if each.cell.id == row.cells[0])
    ran = run("fit", "--from", finished, "--out", tmp_path / "model", "--json")
    assert ran.status == 0, ran.err
    facts = as_documented("fit", ran.out)
    assert (facts["head"], facts["layer"]) == (row.head, [row.layer])
    assert facts["selection"] == pytest.approx(result.selection)
    tested = as_documented("evaluate", run("evaluate", tmp_path / "model", photos, "--json").out)
    assert tested["n"] == result.n_test
    assert tested["accuracy"]["value"] == pytest.approx(result.scores["accuracy"].value)
    assert tested["log_loss"] == pytest.approx(result.scores["log_loss"].value, abs=1e-3)


def test_fit_from_one_run_of_a_study_by_the_start_of_its_id(run, finished, tmp_path, as_documented):
    other = next(
        each for each in load_record(finished).results if each.cell.head == "logistic" and each.cell.seed == 1
    )
    ran = run("fit", "--from", f"{finished}:{other.cell.id[:12]}", "--out", tmp_path / "model", "--json")
    facts = as_documented("fit", ran.out)
    assert facts["head"] == "logistic"
    assert facts["selection"] == pytest.approx(other.selection)
    assert facts["chosen"] == pytest.approx(other.chosen)


def test_fit_from_a_study_of_two_datasets_names_one(run, photos, new_photos, tmp_path, as_documented):
    out = tmp_path / "both"
    assert run("study", photos, new_photos, *OPTIONS, "--head", "nearest_mean", "--out", out).status == 0
    unnamed = run("fit", "--from", out, "--out", tmp_path / "model")
    assert unnamed.status == 2
    assert "name one of photos, new" in unnamed.err
    ran = run("fit", "--from", f"{out}:new", "--out", tmp_path / "model", "--json")
    assert as_documented("fit", ran.out)["data"] == "new"


def test_fit_from_a_study_whose_images_are_gone_says_where_it_ran(run, photos, tmp_path):
    data = shutil.copytree(photos, tmp_path / "data")
    assert run("study", data, *OPTIONS, "--head", "nearest_mean", "--out", tmp_path / "out").status == 0
    shutil.rmtree(data)
    ran = run("fit", "--from", tmp_path / "out", "--out", tmp_path / "model")
    assert ran.status == 2
    assert "run this where it was run" in ran.err


def test_fit_from_a_study_refuses_what_the_study_decides(run, finished, tmp_path):
    ran = run("fit", "--from", finished, "--head", "knn", "--layer", "pool", "--out", tmp_path / "model")
    assert ran.status == 2
    assert "head: the study decides it" in ran.err
    assert "layer: the study decides it" in ran.err


def test_fit_from_a_study_whose_images_have_changed_is_refused(run, tmp_path):
    data = split_folders(tmp_path / "data")
    options = ("--input-size", "48", "--engine", "torch", "--layer", "stage5", "--head", "nearest_mean")
    assert run("study", data, *options, "--out", tmp_path / "out").status == 0
    next((data / "train" / "disc").iterdir()).unlink()
    ran = run("fit", "--from", tmp_path / "out", "--out", tmp_path / "model")
    assert ran.status == 2
    assert "changed since the study" in ran.err


def test_a_folder_whose_name_is_no_unicode_is_studied_and_handed_over(run, photos, tmp_path):
    data = tmp_path / b"ph\xff\x1b[31m".decode("utf-8", "surrogateescape")
    shutil.copytree(photos, data)
    options = (*OPTIONS, "--head", "nearest_mean", "--out", tmp_path / "out")
    ran = run("study", data, *options)
    assert ran.status == 0, ran.err
    assert r"Best on ph\xff\x1b[31m: " in ran.out
    assert run("fit", "--from", tmp_path / "out", "--out", tmp_path / "model").status == 0
    assert run("features", data, *OPTIONS[:6], "--out", data / "f.parquet").status == 0


def test_ctrl_c_is_one_line_and_the_same_command_goes_on(photos, tmp_path, run):
    """Stopped while its runs are under way; a second start does only the rest."""
    command = ["study", str(photos), "--input-size", "48", "--engine", "torch", "--layer", "stage4,stage5"]
    command += ["--head", "nearest_mean,lda,logistic", "--seeds", "10", "--out", str(tmp_path / "out")]
    code = (
        "import signal, sys\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # background shells have it ignored
        f"from headstart.cli.main import main\nsys.exit(main({command!r}))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stderr=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        deadline = time.monotonic() + 240
        while _n_done(tmp_path / "out") < 3 and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=240)
    assert process.returncode == 130, err.decode()
    assert out == b""
    assert err.decode().strip().splitlines()[-1].startswith("headstart: stopped;")
    done = _n_done(tmp_path / "out")
    assert 3 <= done < 60
    ran = run(*command)
    assert ran.status == 0
    assert f"60 runs: 6 methods on 1 dataset, {done} done already" in ran.err


def test_a_study_trains_networks_and_hands_one_over(run, photos, tmp_path, tiny_name, as_documented):
    spec = tmp_path / "study.toml"
    spec.write_text(
        'scenario = ["features", "finetune", "scratch"]\ntrainable = "last:1"\n'
        "train_input_size = 40\n"
        "epochs = 2\nviews = 1\nlearning_rate = 0.003\n"
    )
    options = ("--backbone", tiny_name, "--input-size", "48", "--layer", "pool", "--head", "nearest_mean")
    command = ("study", photos, "--spec", spec, *options, "--train-seeds", "1", "--seeds", "2")
    ran = run(*command, "--out", tmp_path / "out", "--json")
    assert ran.status == 0, ran.err
    found = as_documented("study", ran.out)
    rows = {row["scenario"]: row for row in found["methods"]}
    assert {name: row["images_seen"] for name, row in rows.items()} == {
        "features": 0, "finetune": 36, "scratch": 36,
    }  # fmt: skip
    assert (rows["finetune"]["cut"], rows["scratch"]["cut"], rows["features"]["cut"]) == ("last:1", "all", "")
    assert rows["scratch"]["method"].endswith("all 40px") and rows["scratch"]["train_seconds"] > 0
    table = run(*command, "--out", tmp_path / "out").out
    assert "layer or cut" in table and "last:1" in table and (tmp_path / "out" / "report.html").is_file()
    result = next(r for r in load_record(tmp_path / "out").results if r.cell.scenario == "finetune")
    where = ("--from", f"{tmp_path / 'out'}:{result.cell.id}", "--out", tmp_path / "model")
    ran = run("fit", *where, "--json")
    assert ran.status == 0, ran.err
    assert as_documented("fit", ran.out)["selection"] == pytest.approx(result.selection)


def test_a_budget_races_the_networks_and_says_what_it_cut(run, photos, tmp_path, tiny_name, as_documented):
    options = ("--backbone", tiny_name, "--input-size", "48", "--learning-rate", "0.003", "--views", "1")
    cuts = ("--scenario", "finetune", "--trainable", "head,last:1", "--epochs", "2", "--seeds", "1")
    ran = run("study", photos, *options, *cuts, "--budget", "1h", "--out", tmp_path / "out", "--json")
    assert ran.status == 0, ran.err
    found = as_documented("study", ran.out)
    (cut,) = found["cut"]
    assert (cut["epochs"], cut["rung"]) == (1, 1) and "is cut at rung 1 of 1" in ran.err
    assert sorted(row["status"] for row in found["methods"]) == ["cut", "done"]
    assert (found["n_planned"], found["n_done"]) == (1, 1)
    assert any("the budget cut 1 method early" in line for line in found["missing"])


def _n_done(folder: os.PathLike) -> int:
    import sqlite3
    from contextlib import closing

    if not (folder / "study.sqlite").exists():
        return 0
    with closing(sqlite3.connect(f"file:{folder / 'study.sqlite'}?mode=ro", uri=True, timeout=30)) as base:
        try:
            return base.execute("SELECT count(*) FROM cells").fetchone()[0]
        except sqlite3.OperationalError:
            return 0


def test_a_study_of_several_targets_is_documented_json(run, photos, tmp_path, as_documented):
    file = tmp_path / "tools.csv"
    paths = sorted(path.relative_to(photos) for path in photos.rglob("*.*") if path.is_file())
    lines = [
        f"{path.as_posix()},{path.parent.name},{('', 'new', 'old')[at % 3]}" for at, path in enumerate(paths)
    ]
    file.write_text("\n".join(["path,shape,state", *lines]))
    options = (
        "--input-size",
        "32",
        "--engine",
        "torch",
        "--layer",
        "pool",
        "--head",
        "logistic",
        "--seeds",
        "1",
    )
    said = ("--target", "shape,state", "--levels", "state=new,old", "--image-root", photos)
    ran = run("study", file, *options, *said, "--out", tmp_path / "out", "--json")
    found = as_documented("study", ran.out)
    (row,) = found["outputs"]
    assert row["best"] and set(row["outputs"]) == {"shape", "state"} and "kappa" in row["outputs"]["state"]
    assert (
        found["methods"] == []
        and found["sharing"] == []
        and found["verdict"][0].startswith("Best on tools for")
    )
    shown = run("study", file, *options, *said, "--out", tmp_path / "out").out
    assert "all right" in shown and "frozen" in shown


def test_a_level_that_is_not_named_stops_a_study_of_several_targets(run, photos, tmp_path):
    file = tmp_path / "tools.csv"
    paths = sorted(path.relative_to(photos).as_posix() for path in photos.rglob("*.*") if path.is_file())
    file.write_text("\n".join(["path,a,b", *(f"{path},{at % 2},{at % 3}" for at, path in enumerate(paths))]))
    options = ("--target", "a,b", "--levels", "b=0,1", "--image-root", photos)
    ran = run("study", file, *options, "--out", tmp_path / "out")
    assert ran.status == 2 and "'2' not named" in ran.err


def test_a_mistyped_option_reads_nothing_of_a_large_folder(run, photos, tmp_path, monkeypatch):
    monkeypatch.setattr(check, "MOST_FILES", 3)
    monkeypatch.setattr(check, "scan_sources", lambda spec: pytest.fail("it was scanned"))
    ran = run("study", photos, "--head", "logistc", "--out", tmp_path / "out")
    assert ran.status == 2 and "'logistic'" in ran.err
