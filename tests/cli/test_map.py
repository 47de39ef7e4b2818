"""map: how far to trust it as text and JSON, a page, predictions; mistakes in one line, nothing lost."""

from __future__ import annotations

import pytest

QUICK = ("--layer", "stage2", "--input-size", "48", "--engine", "torch", "--method", "pca")


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_the_map_is_written_and_trust_is_told(run, photos, tmp_path, as_documented):
    ran = run("map", photos, *QUICK)
    assert ran.status == 0, ran.err
    assert "Of each image's 14 nearest neighbours," in ran.out and "Trustworthiness 0." in ran.out
    assert "Map of photos" in (tmp_path / "map.html").read_text("utf-8")
    value = as_documented("map", run("map", photos, *QUICK, "--clusters", "none", "--json").out)
    assert value["n"] == len(value["images"]) == 30 and value["n_clusters"] is None
    assert value["images"][0]["path"] == "disc/000.jpg" and value["folder"] is None


def test_a_model_predicts_every_image(run, photos, tiny_model, as_documented):
    ran = run("map", photos, *QUICK, "--model", tiny_model, "--colour", "error", "--json")
    assert ran.status == 0, ran.err
    value = as_documented("map", ran.out)
    assert value["n_predicted"] == 30 and 0 <= value["n_errors"] < 15
    assert {each["prediction"] for each in value["images"]} <= {"disc", "square", "stripes"}


def test_predictions_of_another_program(run, photos, tmp_path, as_documented):
    rows = [
        "path,score,prediction",
        "disc/000.jpg,1,square",
        f"{photos}/disc/001.jpg,1,disc",
        "stranger.jpg,1,disc",
    ]
    (tmp_path / "said.csv").write_text("\ufeff" + "\n".join(rows), "utf-8")
    ran = run("map", photos, *QUICK, "--predictions", "said.csv", "--json")
    value = as_documented("map", ran.out)
    assert value["n_predicted"] == 2 and value["n_errors"] == 1
    assert "1 rows name no image of photos ('stranger.jpg', ...)" in ran.err


@pytest.mark.parametrize(
    "text, said",
    [
        ("name,prediction\nx,y", "no column 'path'"),
        ("", "no column 'path' and no column 'prediction'"),
        ("path,prediction\nx.jpg,disc", "expected paths like 'disc/000.jpg', not 'x.jpg'"),
        ("path,prediction\ndisc/000.jpg,a\ndisc/000.jpg,b", "has two predictions, 'a' and 'b'"),
        (None, "cannot be read as CSV"),
    ],
)
def test_predictions_that_cannot_be_used_are_one_line(run, photos, tmp_path, text, said):
    if text is not None:
        (tmp_path / "said.csv").write_text(text)
    ran = run("map", photos, *QUICK, "--predictions", "said.csv")
    assert ran.status == 2 and said in ran.err and ran.err.count("\n") == 1, ran.err


@pytest.mark.parametrize(
    "given, said",
    [
        (("--method", "umapp"), "did you mean 'umap'"),
        (("--clusters", "0"), "expected auto, none or a whole number"),
        (("--clusters", "31"), "31 clusters of 30 images"),
        (("--colour", "weight"), "no column of the map is called 'weight'"),
        (("--model", "m", "--predictions", "p"), "not from both"),
        (("--model", "nowhere"), "is no model"),
        (("--neighbors", "1"), "below 2"),
        (("--out", "mine.html"), "is no page of Headstart and is not replaced"),
    ],
)
def test_mistakes_are_one_line_and_nothing_is_lost(run, photos, tmp_path, given, said):
    (tmp_path / "mine.html").write_text("mine")
    ran = run("map", photos, *QUICK, *given)
    assert ran.status == 2 and said in ran.err and ran.err.count("\n") == 1, ran.err
    assert (tmp_path / "mine.html").read_text() == "mine" and len(list(tmp_path.iterdir())) == 1
