"""backbones, datasets, cache: what there is."""

from __future__ import annotations

import functools
import shutil
import subprocess
import sys

import pytest

from headstart.features import selftest
from headstart.features.store import FeatureStore


def test_backbones_lists_the_packaged_ones_and_where_to_find_more(run, as_documented):
    names = [row["name"] for row in as_documented("backbones", run("backbones", "--json").out)]
    assert names[:3] == ["lite0", "lite1", "lite2"]
    assert names[3:] == ["lenet5", "alexnet", "vgg16", "vgg19", "inception_v1", "resnet50"]
    assert "headstart backbones PATTERN" in run("backbones").out


def test_backbones_filters_timm_by_pattern(run, as_documented):
    found = as_documented("backbones", run("backbones", "resnet18*", "--json").out)
    assert found
    assert all(row["name"].startswith("timm:resnet18") for row in found)


def test_a_backbone_shows_its_card_and_layers(run, as_documented):
    card = as_documented("backbones --layers", run("backbones", "lite0", "--layers", "--json").out)
    assert [layer["alias"] for layer in card["layers"]][:2] == ["stem", "stage1"]
    shown = run("backbones", "lite0", "--layers").out
    assert "tf_efficientnet_lite0" in shown
    assert "stage7  blocks.6" in shown
    assert card["stages"][-1] == {"alias": "stage7", "module": "blocks.6"}
    cuts = {cut["trainable"]: (cut["after"], cut["n_trained"]) for cut in card["cuts"]}
    assert cuts["head"] == ("global_pool", 0)
    assert cuts["last:1"][0] == "blocks.5"
    assert cuts["last:2"][0] == "blocks.4"
    assert cuts["last:1"][1] < cuts["last:2"][1] < cuts["all"][1]
    assert {"norm", "bias", "last:7"} <= set(cuts)
    assert any(line.split() == ["last:2", "blocks.4", "2,670,240"] for line in shown.splitlines())
    every = run("backbones", "lite0", "--layers", "--every").out
    assert "blocks.6.0.conv_pw" in every


def test_an_unknown_backbone_is_one_line_with_the_nearest_names(run):
    ran = run("backbones", "lite9", "--layers")
    assert ran.status == 2
    assert "did you mean 'lite" in ran.err


def test_the_selftest_says_what_its_folder_must_hold(run, photos):
    ran = run("backbones", "lite0", "--selftest", photos)
    assert ran.status == 2
    assert "classes.tsv" in ran.err


def test_the_selftest_counts_right_guesses(run, photos, tmp_path, as_documented, monkeypatch):
    on_torch = functools.partial(selftest.self_test, engine="torch", input_size=64)
    monkeypatch.setattr(selftest, "self_test", on_torch)
    shutil.copy(photos / "disc" / "000.jpg", tmp_path / "n01440764_1.jpg")
    (tmp_path / "classes.tsv").write_text("index\tsynset\tname\n0\tn01440764\ttench\n")
    ran = run("backbones", "lite0", "--selftest", tmp_path, "--json")
    found = as_documented("backbones --selftest", ran.out)
    assert found["n"] == 1
    assert ran.status == (0 if found["passed"] else 2)


def test_datasets_are_listed_with_licence_and_how_to_get_them(run, as_documented):
    rows = as_documented("datasets", run("datasets", "--json").out)
    assert {"textiles", "elpv", "digits"} <= {row["name"] for row in rows}
    assert "CC-BY-NC-SA-4.0" in run("datasets").out


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_the_cache_is_listed_and_cleared(run, photos, own_cache, as_documented, tmp_path):
    assert run("cache", "list").out.startswith("nothing is kept")
    options = ("--layer", "stage5", "--input-size", "48", "--engine", "torch")
    run("features", photos, *options, "--out", tmp_path / "f.npz")
    found = as_documented("cache list", run("cache", "list", "--json").out)
    assert found["folder"] == str(own_cache / "features")
    assert [(row["module"], row["n_rows"]) for row in found["entries"]] == [("blocks.4", 30)]
    assert "blocks.4" in run("cache", "list").out
    assert (
        as_documented("cache clear", run("cache", "clear", "--older-than", "1", "--json").out)["freed_bytes"]
        == 0
    )
    assert as_documented("cache clear", run("cache", "clear", "--json").out)["freed_bytes"] > 0
    assert FeatureStore().entries() == []


def test_kept_activations_and_stopped_runs_are_listed_and_cleared(run, own_cache, as_documented):
    from headstart.base.files import folder_lock

    for name, n_bytes in (
        ("prefix/aa/activations.f16", 3000),
        ("prefix/bb/activations.f16", 200),
        ("runs/cc/x", 10),
    ):
        (own_cache / name).parent.mkdir(parents=True)
        (own_cache / name).write_bytes(bytes(n_bytes))
    found = as_documented("cache list", run("cache", "list", "--json").out)
    assert (found["activations"]["bytes"], found["runs"]["bytes"]) == (3200, 10)
    assert {each["id"] for each in found["activations"]["entries"]} == {"aa", "bb"}
    said = run("cache", "list").out
    assert "activations of frozen parts: 2, " in said
    assert "stopped training runs: 1, " in said
    with folder_lock(own_cache / "prefix" / "bb"):
        ran = run("cache", "clear", "--json")
    freed = as_documented("cache clear", ran.out)["freed"]
    assert (freed["activations"], freed["runs"]) == (3000, 10)
    assert "not removed: another run" in ran.err
    assert [each.name for each in (own_cache / "prefix").iterdir()] == ["bb"]
    assert run("cache", "clear").out.startswith("freed ")


def test_cache_without_a_verb_shows_its_help(run):
    assert "clear" in run("cache").out


def test_the_package_runs_as_a_module():
    ran = subprocess.run(
        [sys.executable, "-m", "headstart", "--version"], capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip()
