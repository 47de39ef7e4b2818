"""`--size`: the same words for every verb, a dimension of a study, and models that keep their size."""

from __future__ import annotations

import json

import pytest

from headstart.testing.backbones import tiny_weights

QUICK = ("--engine", "torch", "--layer", "pool", "--head", "nearest_mean")


@pytest.fixture(scope="module")
def vit(tmp_path_factory):
    """A vision transformer with random weights, by name."""
    return tiny_weights(tmp_path_factory.mktemp("vit"), "test_vit3")


@pytest.mark.parametrize("verb", ["fit", "study", "features"])
@pytest.mark.parametrize(
    ("size", "said"),
    [
        ("abc", "'abc' is no size; write 224, or 100x200 (height x width, in pixels)"),
        ("0x10", "0x10 is below 16"),
        ("5000x5000", "5000 is above 2048"),
        ("10x", "'10x' is no size"),
    ],
)
def test_nonsense_is_one_line_whatever_the_verb(run, photos, tmp_path, verb, size, said):
    ran = run(verb, photos, "--size", size, "--out", tmp_path / "out.npz")
    assert ran.status == 2
    assert said in ran.err
    assert ran.err.count("\n") == 1


def test_a_study_lists_every_size_that_a_network_cannot_take(run, photos, vit, tmp_path):
    ran = run(
        "study", photos, "--backbone", vit, "--size", "100x200,96,20x30", *QUICK, "--out", tmp_path / "out"
    )
    assert ran.status == 2
    assert (
        "100 x 200: sides are multiples of 16 pixels (its patches); near: 96 x 192 and 112 x 208" in ran.err
    )
    assert "20 x 30: sides are multiples of 16 pixels (its patches); near: 16 x 16 and 32 x 32" in ran.err
    assert "96 x 96" not in ran.err
    assert not (tmp_path / "out").exists()


def test_sizes_are_a_dimension_of_a_study_and_a_model_keeps_its_own(
    run, as_documented, photos, new_photos, tiny_name, tmp_path
):
    (tmp_path / "s.toml").write_text(
        f'data = ["{photos}"]\nsizes = [32, "48x64"]\nbackbone = "{tiny_name}"\n'
    )
    out = tmp_path / "out"
    ran = run("study", "--spec", tmp_path / "s.toml", *QUICK, "--seeds", "1", "--out", out, "--json")
    assert ran.status == 0, ran.err
    rows = as_documented("study", ran.out)["methods"]
    assert {(row["height"], row["width"]) for row in rows} == {(32, 32), (48, 64)}
    assert {row["method"].split()[-1] for row in rows} == {"32px", "48x64px"}
    page = (out / "report.html").read_text("utf-8")
    assert "by input size: the best method at each" in page
    assert "2 input sizes (32 x 32 and 48 x 64 pixels)" in page
    shown = run("study", "--spec", tmp_path / "s.toml", *QUICK, "--seeds", "1", "--out", out)
    assert "all are done already" in shown.err
    assert "48x64" in shown.out

    from headstart.study.record import load_record

    cell = next(r.cell for r in load_record(out).results if r.cell.height == 48)
    assert run("fit", "--from", f"{out}:{cell.id[:12]}", "--out", tmp_path / "model").status == 0
    shape = json.loads((tmp_path / "model" / "card.json").read_text())["backbone"]["preprocessing"]
    assert (shape["height"], shape["width"]) == (48, 64)
    assert run("predict", tmp_path / "model", new_photos).status == 0
    refused = run("fit", "--from", out, "--size", "96", "--out", tmp_path / "other")
    assert refused.status == 2
    assert "input-size: the study decides it" in refused.err
    other = run("predict", tmp_path / "model", new_photos, "--size", "96")
    assert other.status == 2
    assert "fitted at 48x64 pixels" in other.err and "112x96 would do" in other.err
    assert other.err.count("\n") == 1


def test_a_transformer_is_trained_saved_and_read_back_at_an_oblong_size(
    run, photos, new_photos, vit, tmp_path
):
    options = ("--scenario", "full", "--start", "plain", "--epochs", "1", "--learning-rate", "0.001")
    more = ("--dtype", "float32", "--backbone", vit, "--size", "32x48")
    model = tmp_path / "model"
    ran = run("fit", photos, *options, *more, "--out", model)
    assert ran.status == 0, ran.err
    found = run("predict", model, new_photos, "--json")
    assert found.status == 0, found.err

    import numpy as np
    import torch

    from headstart.export.bundle import load_bundle
    from headstart.export.trained import load_network
    from headstart.images.prepare import normalise, prepare

    bundle = load_bundle(model)
    assert (bundle.preprocessing.height, bundle.preprocessing.width) == (32, 48)
    images = sorted(str(each) for each in new_photos.rglob("*.*"))[:3]
    pixels = normalise(
        np.stack([prepare(each, bundle.preprocessing) for each in images]), bundle.preprocessing
    )
    with torch.no_grad():
        scores = load_network(bundle)(torch.from_numpy(pixels)) / bundle.card["temperature"]
    assert np.allclose(scores.softmax(1), bundle.predict_proba(images).probabilities, atol=1e-4)


def test_layers_are_shown_at_a_size(run, as_documented, vit):
    shown = as_documented(
        "backbones --layers", run("backbones", vit, "--layers", "--size", "96x192", "--json").out
    )
    assert (shown["preprocessing"]["height"], shown["preprocessing"]["width"]) == (96, 192)
    assert shown["smallest_size"] == [16, 16]
    said = run("backbones", vit, "--layers").out
    assert "160 x 160 pixels (smallest 16 x 16)" in said
    assert run("backbones", vit, "--layers", "--size", "100").status == 2
    assert "goes with --layers" in run("backbones", "--size", "100").err
