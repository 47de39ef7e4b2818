"""advise: text, JSON, page; a study's recorded advice and its audit; mistakes in one line."""

from __future__ import annotations

import json
import re

import pytest

from headstart.study.advise import BETWEEN


def test_advice_as_text_json_and_page(run, photos, tmp_path, as_documented):
    page = tmp_path / "advice.html"
    given = ("advise", photos, "--engine", "torch")
    ran = run(*given, "--out", page)
    assert ran.status == 0, ran.err
    assert (
        "features of lite0 at" in ran.out and "The textbook's rule" in ran.out and f"page: {page}" in ran.out
    )
    assert re.search(r"^took \d+\.\d s", ran.out, re.MULTILINE)
    text = page.read_text("utf-8")
    assert "this data set is here" in text and "Advice on photos" in text and "LogME" in text
    value = as_documented("advise", run(*given, "--json").out)
    assert value["situation"]["n_classes"] == 3 and value["candidates"][0]["name"] == value["run"][0]
    assert value["seconds"] >= value["situation"]["seconds"] > 0
    assert all(said in ran.out and said in text for said in value["notes"])


def test_several_backbones_are_told_apart_by_the_probes_of_these_images_alone(run, photos):
    one, two = (
        json.loads(run("advise", photos, "--engine", "torch", "--backbone", names, "--json").out)
        for names in ("lite0", "lite0,lite1")
    )
    assert BETWEEN not in one["notes"] and two["notes"][0] == BETWEEN


def test_a_study_of_few_images_a_class_is_audited_at_their_number(run, photos, tmp_path, as_documented):
    quick = ("--layer", "stage6", "--head", "lda", "--per-class", "2,3", "--seeds", "1", "--engine", "torch")
    assert run("study", photos, *quick, "--advice", "--out", tmp_path / "study").status == 0
    ran = run("advise", "--audit", tmp_path / "study")
    assert ran.status == 0 and "photos, 3 images a class" in ran.out
    value = as_documented("advise --audit", run("advise", "--audit", tmp_path / "study", "--json").out)
    assert value["rows"][0]["per_class"] == 3


def test_a_study_records_advice_and_the_audit_reads_it(run, photos, tmp_path, as_documented):
    out = tmp_path / "study"
    told = json.loads(run("advise", photos, "--engine", "torch", "--json").out)
    asked = [each for each in told["candidates"] if each["name"] in told["run"]]
    layers, heads = (",".join(sorted({each[key] for each in asked})) for key in ("layer", "head"))
    quick = ("--layer", layers, "--head", heads, "--seeds", "1", "--engine", "torch")
    assert run("study", photos, *quick, "--advice", "--out", out).status == 0
    ran = run("advise", "--audit", out)
    assert ran.status == 0 and "mean regret" in ran.out and "photos" in ran.out
    value = as_documented("advise --audit", run("advise", "--audit", out, "--json").out)
    (row,) = value["rows"]
    assert row["followed"] and row["n_intervals"] >= len(asked) and value["silent"] == []


def test_an_audit_of_a_study_that_did_not_run_the_advice_says_so(run, photos, tmp_path, as_documented):
    quick = ("--layer", "stage4", "--head", "ridge", "--seeds", "1", "--engine", "torch")
    assert run("study", photos, *quick, "--advice", "--out", tmp_path / "study").status == 0
    ran = run("advise", "--audit", tmp_path / "study")
    assert ran.status == 0 and "no study ran what the adviser said to run" in ran.out
    value = as_documented("advise --audit", run("advise", "--audit", tmp_path / "study", "--json").out)
    assert not value["rows"][0]["followed"] and value["mean_regret"] is None


@pytest.mark.parametrize(
    "given, said",
    [
        (("a", "b"), "one data set at a time"),
        (("a", "--audit", "--out", "x.html"), "an audit has no page"),
        (("nowhere",), "nowhere"),
        (("nowhere", "--audit"), "nowhere"),
    ],
)
def test_mistakes_are_told_in_one_line(run, given, said):
    ran = run("advise", *given)
    assert ran.status == 2 and said in ran.err and ran.err.count("\n") == 1


def test_a_file_that_is_no_page_is_not_replaced(run, photos, tmp_path):
    mine = tmp_path / "mine.html"
    mine.write_text("mine")
    ran = run("advise", photos, "--out", mine)
    assert ran.status == 2 and "no page of Headstart" in ran.err and mine.read_text() == "mine"
