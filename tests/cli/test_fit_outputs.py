"""fit, evaluate, predict and export with several outputs, as documented; mistakes are told in one line."""

from __future__ import annotations

import json

import pytest

from headstart.cli.declared import OutputFlags
from headstart.cli.fit_outputs import parsed
from headstart.methods.target_words import read_pairs
from headstart.testing.outputs import labelled_files, marked_squares


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    images, columns = marked_squares(48)
    columns["marks"][::6] = [None] * 8
    for each in columns.values():
        each[1] = None
    return labelled_files(tmp_path_factory.mktemp("cells"), images, columns)


@pytest.fixture(scope="module")
def model(cells, tiny_name, tmp_path_factory):
    from headstart.cli.main import main

    out = tmp_path_factory.mktemp("several") / "model"
    where = ("--input-size", "48", "--engine", "torch", "--backbone", tiny_name, "--out", str(out))
    targets = ("--target", "colour,marks,size,light", "--kind", "size=ordinal")
    assert main(["fit", str(cells), *targets, *where]) == 0
    return out


def test_fit_says_what_each_output_is_and_reached(run, cells, tiny_name, tmp_path, as_documented):
    where = ("--input-size", "48", "--engine", "torch", "--backbone", tiny_name, "--out", tmp_path / "m")
    ran = run("fit", cells, "--target", "colour,size", "--levels", "size=0,1,2,3", *where, "--json")
    facts = as_documented("fit, several outputs", ran.out)
    assert {name: each["kind"] for name, each in facts["outputs"].items()} == {
        "colour": "classes",
        "size": "ordinal",
    }
    assert facts["n_unlabelled"] == 1 and facts["n_train"] + facts["n_validation"] < 47


def test_networks_are_trained_for_several_outputs(run, cells, tiny_name, tmp_path, as_documented):
    quick = (
        "--epochs",
        "1",
        "--learning-rate",
        "0.001",
        "--dtype",
        "float32",
        "--input-size",
        "48",
        "--views",
        "1",
    )
    where = ("--augment", "none", "--backbone", tiny_name, "--out", tmp_path / "m")
    several = ("--sharing", "separate", "--class-weights", "colour")
    ran = run("fit", cells, "--target", "colour,light", "--scenario", "finetune", "--trainable", "last:1",
              *several, *quick, *where, "--json")  # fmt: skip
    facts = as_documented("fit, several outputs", ran.out)
    assert set(facts["runs"]) == {"colour", "light"} and facts["start"] == "head-first"


def test_classes_are_weighed_and_heads_told_with_frozen_features(run, cells, tiny_name, tmp_path):
    where = ("--input-size", "48", "--engine", "torch", "--backbone", tiny_name, "--out", tmp_path / "m")
    ran = run("fit", cells, "--target", "colour,size", "--kind", "size=ordinal", "--head", "lda", "--class-weights",
              "colour,size", *where)  # fmt: skip
    assert ran.status == 0, ran.err
    assert "the head lda is for classes" in ran.err and "size has cumulative_logistic" in ran.err
    assert [line.split()[2] for line in ran.out.splitlines() if line.startswith(("colour", "size"))] == [
        "lda", "cumulative_logistic",
    ]  # fmt: skip
    assert json.loads((tmp_path / "m" / "card.json").read_text())["class_weights"] == ["colour", "size"]


def test_one_target_of_another_kind_is_fitted_too(run, cells, tiny_name, tmp_path, as_documented):
    where = ("--input-size", "48", "--engine", "torch", "--backbone", tiny_name, "--out", tmp_path / "m")
    ran = run("fit", cells, "--target", "light", "--kind", "light=number", *where, "--json")
    assert as_documented("fit, several outputs", ran.out)["outputs"]["light"]["kind"] == "number"


def test_evaluate_and_predict_are_as_documented(run, model, cells, as_documented):
    found = as_documented(
        "evaluate, several outputs", run("evaluate", model, cells, "--split", "all", "--json").out
    )
    assert found["outputs"]["marks"]["n_missing"] == 8 and found["joint"]["n"] == 39
    image = cells.parent / "000.png"
    (entry,) = as_documented("predict, several outputs", run("predict", model, image, "--json").out)
    assert set(entry["outputs"]) == {"colour", "marks", "size", "light"}
    assert entry["predicted"]["colour"] in ("blue", "red")
    assert isinstance(entry["predicted"]["marks"], list)
    said = run("predict", model, image).out
    assert "colour: " in said and "; light: " in said


def test_explain_shows_every_output(run, model, cells, as_documented):
    image = cells.parent / "000.png"
    found = as_documented("explain", run("explain", model, image, "--no-check", "--json").out)
    said = found["images"][0]["outputs"]
    assert list(said) == [each["output"] for each in found["methods"]] == ["colour", "marks", "size", "light"]
    assert said["colour"]["class"] in ("blue", "red") and said["marks"]["class"] in ("left", "right")
    assert said["size"]["class"] in "0123" and said["light"]["class"] == "value"
    for output, label in (("size", "3"), ("marks", "right"), ("light", "value")):
        ran = run("explain", model, image, "--no-check", "--output", output, "--label", label, "--json")
        (view,) = as_documented("explain", ran.out)["images"][0]["outputs"].items()
        assert view[0] == output and view[1]["class"] == label and view[1]["maps"]["gradcam"]["peak"]


def test_export_names_the_columns_of_the_table(run, model, tmp_path, as_documented):
    facts = as_documented("export", run("export", model, "--onnx", tmp_path / "m.onnx", "--json").out)
    assert [(each["name"], each["first"], each["last"]) for each in facts["outputs"]] == [
        ("colour", 0, 1), ("marks", 2, 3), ("size", 4, 7), ("light", 8, 8),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--target", "colour,mark"), "did you mean 'marks'"),
        (("--target", "colour,size", "--kind", "sise=ordinal"), "no target is called 'sise'"),
        (("--target", "colour,size", "--kind", "size"), "kind: expected TARGET=VALUE, got 'size'"),
        (("--target", "colour,size", "--levels", "size=0,1,2"), "'3' not named"),
        (("--target", "colour,size", "--tie", "2", "--scenario", "finetune"), "tie: is for --sharing soft"),
        (("--target", "colour,size", "--sharing", "soft"), "soft ties networks that train"),
        (
            ("--target", "colour,size", "--head-rate", "size=2"),
            "is for --scenario finetune or full or scratch",
        ),
        (("--target", "colour", "--sharing", "hard"), "is for several targets"),
        (
            ("--target", "colour,size", "--class-weights", "colour", "--head", "knn"),
            "the head knn cannot weigh",
        ),
        (
            ("--target", "colour,size", "--output-weight", "size=two", "--scenario", "full"),
            "expected a number",
        ),
    ],
)
def test_what_cannot_be_fitted_is_told_in_one_line(given, said, run, cells, tmp_path):
    ran = run("fit", cells, *given, "--out", tmp_path / "m")
    assert ran.status == 2 and said in ran.err
    assert not (tmp_path / "m").exists()


def test_levels_arrive_in_pieces_and_a_comma_can_part_labels():
    flags = OutputFlags(levels=("a=x", "y", "b=1", "2"), separator=("a=",))
    found = parsed(flags, ["a", "b"])
    assert found["levels"] == {"a": ["x", "y"], "b": ["1", "2"]} and found["separator"] == {"a": ","}
    assert read_pairs({"separator": ["a= "]}, ["a"], []) == {
        "separator": {"a": " "}
    }  # refused where columns are read
