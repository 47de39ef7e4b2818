"""cluster: groups as text, JSON, page and folders; mistakes in one line, nothing lost."""

from __future__ import annotations

import shutil

import pytest

QUICK = ("--layer", "stage2", "--input-size", "48", "--engine", "torch")


def test_the_number_is_chosen_and_everything_is_written(run, photos, tmp_path, as_documented):
    out, page = tmp_path / "groups", tmp_path / "page.html"
    given = ("cluster", photos, *QUICK, "--most", "4")
    ran = run(*given, "--out", out, "--groups", "copy", "--html", page)
    assert ran.status == 0, ran.err
    assert "chosen" in ran.out and "modularity" in ran.out and "ari" in ran.out and "page: " in ran.out
    assert len(list(out.rglob("*.jpg"))) == 30 and len((out / "clusters.csv").read_text().splitlines()) == 31
    assert "Groups of images in photos" in page.read_text("utf-8")
    value = as_documented("cluster", run(*given, "--json").out)
    assert value["n"] == 30 and value["curve"]["numbers"] == [2, 3, 4]
    assert value["n_clusters"] == value["curve"]["chosen"] == len(value["clusters"])


@pytest.mark.parametrize("method", ["hdbscan", "agglomerative", "spectral"])
def test_every_method_gives_documented_json(run, photos, as_documented, method):
    given = () if method == "hdbscan" else ("--n", "3")
    value = as_documented("cluster", run("cluster", photos, *QUICK, "--method", method, *given, "--json").out)
    assert value["curve"] is None and value["method"] == method and value["n_labelled"] == 30


def test_images_without_labels(run, photos, tmp_path, as_documented):
    flat = tmp_path / "flat"
    flat.mkdir()
    for at, path in enumerate(sorted(photos.rglob("*.jpg"))):
        shutil.copy(path, flat / f"{at}.jpg")
    ran = run("cluster", flat, *QUICK, "--n", "3", "--html", tmp_path / "page.html")
    assert ran.status == 0 and "davies_bouldin" in ran.out and "ari" not in ran.out
    value = as_documented("cluster", run("cluster", flat, *QUICK, "--n", "3", "--json").out)
    assert value["target"] is None and value["clusters"][0]["name"] is None


@pytest.mark.parametrize(
    "given, said",
    [
        (("--n", "0"), "at least 1"),
        (("--n", "-3"), "at least 1"),
        (("--n", "31"), "31 clusters of 30 images"),
        (("--method", "kmean"), "did you mean 'kmeans'"),
        (("--choose", "gapp"), "did you mean 'gap'"),
        (("--method", "hdbscan", "--n", "3"), "finds its own number"),
        (("--min-size", "3"), "is for --method hdbscan"),
        (("--n", "3", "--choose", "gap"), "goes with --n auto"),
        (("--groups", "copy"), "say where the folders go"),
        (("--groups", "move", "--out", "x"), "copy"),
        (("--out", "{full}"), "not empty"),
        (("--out", "{photos}/groups"), "in the folder of the images"),
        (("--target", "colour"), "colour"),
    ],
)
def test_mistakes_are_one_line(run, photos, tmp_path, given, said):
    full = tmp_path / "full"
    full.mkdir()
    (full / "mine.txt").write_text("mine")
    ran = run("cluster", photos, *QUICK, *[each.format(full=full, photos=photos) for each in given])
    assert ran.status == 2 and said in ran.err and ran.err.count("\n") == 1, ran.err
    assert (full / "mine.txt").read_text() == "mine" and len(list(photos.rglob("*.*"))) == 30


def test_one_image_and_equal_images_are_one_line(run, photos, tmp_path):
    image = next(photos.rglob("*.jpg"))
    for n, said in ((1, "2 or more images, got 1"), (3, "all the same")):
        folder = tmp_path / str(n)
        folder.mkdir()
        for at in range(n):
            shutil.copy(image, folder / f"{at}.jpg")
        ran = run("cluster", folder, *QUICK)
        assert ran.status == 2 and said in ran.err, ran.err
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "x.jpg").write_bytes(b"no image")
    ran = run("cluster", tmp_path / "none", *QUICK)
    assert ran.status == 2 and ran.err.splitlines()[-1].startswith("headstart: error: ")
