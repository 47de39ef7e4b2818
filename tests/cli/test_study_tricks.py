"""study --tricks: the JSON as documented, the table, the CSV, and one line for every mistake."""

from __future__ import annotations

import csv

QUICK = (
    "--scenario",
    "finetune",
    "--trainable",
    "last:1",
    "--input-size",
    "48",
    "--epochs",
    "1",
    "--views",
    "1",
)
FIXED = ("--learning-rate", "0.001", "--seeds", "1", "--keep", "last")


def test_a_factorial_study_of_tricks_prints_what_is_documented(
    run, photos, tiny_name, tmp_path, as_documented
):
    command = ("study", photos, "--backbone", tiny_name, *QUICK, *FIXED, "--tricks", "ema,dropout",
               "--design", "factorial", "--out", tmp_path / "out")  # fmt: skip
    ran = run(*command, "--json")
    assert ran.status == 0, ran.err
    assert "4 runs: 4 methods on 1 dataset" in ran.err
    found = as_documented("study", ran.out)
    (table,) = found["tricks"]
    assert (table["design"], table["resolution"], table["n_seeds"]) == ("factorial", 0, 1)
    assert [each["trick"] for each in table["effects"]] == ["ema", "dropout", "ema x dropout"]
    assert all(each["low"] <= each["effect"] <= each["high"] for each in table["effects"])
    assert {row["cut"] for row in found["methods"]} == {
        "last:1 bare", "last:1 bare+ema", "last:1 bare+dropout", "last:1 bare+dropout+ema",
    }  # fmt: skip
    with (tmp_path / "out" / "tricks.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["per_class"] for row in rows} == {"all"}
    assert [float(row["effect"]) for row in rows] == [each["effect"] for each in table["effects"]]
    again = run(*command)
    assert "all are done already" in again.err and "factorial, 3 effects" in again.out
    assert "Forest plot of tricks" in (tmp_path / "out" / "report.html").read_text("utf-8")


def test_distillation_learns_from_another_network_of_the_study(
    run, photos, tiny_name, tmp_path, as_documented
):
    ran = run("study", photos, "--backbone", tiny_name, *QUICK, *FIXED, "--tricks", "distillation",
              "--teacher", tiny_name, "--out", tmp_path / "out", "--json")  # fmt: skip
    assert ran.status == 0, ran.err
    (table,) = as_documented("study", ran.out)["tricks"]
    assert table["effects"][0]["kind"] in ("cannot tell", "helps", "hurts")


def test_a_misspelt_trick_is_one_line_with_the_nearest_name(run, photos, tmp_path):
    ran = run("study", photos, *QUICK, "--tricks", "label_smooting", "--out", tmp_path / "out")
    assert ran.status == 2 and "did you mean 'label_smoothing'" in ran.err
    assert not (tmp_path / "out").exists()
