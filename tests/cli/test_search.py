"""index and search: text, JSON as documented, the page, mistakes in one line."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from PIL import Image

from headstart.report import papers
from headstart.report.similar import WAYS, ways_of
from headstart.report.sources import library
from headstart.testing.images import split_folders

SMALL = ("--layer", "stage3", "--input-size", "48", "--engine", "torch")


@pytest.fixture(scope="module")
def index(photos, tmp_path_factory):
    """An index of the thirty photos. Not to be changed."""
    from headstart.features.index import ImageIndex

    place = tmp_path_factory.mktemp("cli") / "photos.index"
    ImageIndex.build(photos, place, layer="stage3", input_size=48, engine="torch")
    return place


def test_index_tells_what_it_did(run, photos, tmp_path, as_documented):
    place = tmp_path / "i"
    said = run("index", photos, "--out", place, *SMALL)
    assert "30 images by lite0 stage3 (avg), 40 values, cosine" in said.out, said.err
    assert "added 30, changed 0, removed 0, run through the network 30" in said.out
    again = as_documented("index", run("index", photos, "--out", place, "--engine", "torch", "--json").out)
    assert (again["n"], again["n_added"], again["n_computed"], again["layer"]) == (30, 0, 0, "stage3")


def test_index_takes_a_split(run, tmp_path, as_documented):
    data = split_folders(tmp_path / "data")
    said = as_documented(
        "index", run("index", data, "--out", tmp_path / "i", "--split", "train", *SMALL, "--json").out
    )
    assert 0 < said["n"] < len(list(data.rglob("*.jpg"))) and "split" in said["columns"]


def test_search_as_text_and_json(run, index, photos, new_photos, as_documented):
    query = photos / "disc" / "000.jpg"
    said = run("search", index, query, "-k", "3", "--engine", "torch").out
    assert said.splitlines()[2].split()[:4] == ["1", "1.000", "disc", "copy"]
    found = as_documented("search", run(
        "search", index, new_photos, "-k", "3", "--engine", "torch", "--json", "--where", 'label in ("disc")',
        "--expand", "2",
    ).out)  # fmt: skip
    assert len(found["queries"]) == 12
    assert {hit["columns"]["label"] for each in found["queries"] for hit in each["hits"]} == {"disc"}


def test_evaluate_as_text_and_json(run, index, new_photos, as_documented):
    said = run("search", index, new_photos, "--evaluate", "-k", "5", "--engine", "torch", "--near", "1")
    assert "mean average precision" in said.out and "queries with the least average precision" in said.out
    value = as_documented(
        "search",
        run(
            "search", index, new_photos, "--evaluate", "-k", "5", "--engine", "torch", "--near", "1", "--json"
        ).out,
    )
    assert value["n"] == 12 and value["k"] == 5 and len(value["worst"]) == 10


def test_evaluate_writes_a_page_of_figures_and_worst_queries(run, index, new_photos, tmp_path):
    page = tmp_path / "quality.html"
    said = run(
        "search", index, new_photos, "--evaluate", "--engine", "torch", "--near", "1", "--html", page,
        "--where", 'label != "stripes"',
    )  # fmt: skip
    assert said.status == 0 and "queries with nothing to find: 4" in said.out
    text = page.read_text("utf-8")
    assert "mean average precision" in text and "The worst queries" in text and "data:image/jpeg" in text


def test_the_page_names_the_papers_behind_the_search(run, index, photos, tmp_path):
    pages = []
    for name, more in (("plain", ()), ("more", ("--expand", "2"))):
        page = tmp_path / f"{name}.html"
        said = run(
            "search",
            index,
            photos / "disc" / "000.jpg",
            "-k",
            "2",
            "--engine",
            "torch",
            "--html",
            page,
            *more,
        )
        assert said.status == 0, said.err
        pages.append(page.read_text("utf-8"))
    assert "References" not in pages[0]
    assert "query expansion" in pages[1] and library()["chum2007"].title in pages[1]
    assert ways_of("gem", 8, 0, "hnsw") == ("gem", "whitened", "hnsw")
    assert ways_of("avg", 0, 1, "ivfpq") == ("expand", "ivfpq")
    assert set(WAYS) == {*papers.SEARCH, *papers.POOLING}


def test_the_page_is_safe_and_shows_the_pictures(run, photos, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(photos, data)
    hostile = data / "disc" / "<img src=x onerror=alert(1)>&.jpg"
    exif = Image.Exif()
    exif[0x010E] = "secret place"
    Image.new("RGB", (60, 40), (200, 0, 0)).save(hostile, exif=exif)
    (data / os.fsdecode(b"\xff<b>")).mkdir()
    shutil.copy(hostile, data / os.fsdecode(b"\xff<b>") / "x.jpg")
    run("index", data, "--out", tmp_path / "i", *SMALL)
    page = tmp_path / "found.html"
    said = run("search", tmp_path / "i", hostile, "-k", "4", "--html", page, "--engine", "torch")
    assert said.status == 0, said.err
    text = page.read_text("utf-8").replace("&#39;", "'")
    assert "<img src=x" not in text and "&lt;img src=x" in text and "<b>" not in text
    assert "default-src 'none'" in text and "http://" not in text
    assert text.count("data:image/jpeg;base64,") == 5
    assert b"secret place" not in page.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("-k", "99"), "k: 99 is not within 1 .. 30"),
        (("--where", "label = 'x'"), "where: expected == at character 7"),
        (("--where", "__import__('os')"), "where: expected ==, !=, <, >, <=, >= or in at character 11"),
        (("--where", "lable == 'x'"), "did you mean 'label'"),
        (("--html", "x.txt"), "expected a name that ends with .html"),
        (("--split", "test"), "split: goes with --evaluate"),
    ],
)
def test_mistakes_are_one_line(run, index, photos, arguments, told):
    said = run("search", index, photos / "disc" / "000.jpg", "--engine", "torch", *arguments)
    assert said.status == 2 and told in said.err and said.err.count("\n") == 1 and not said.out


def test_a_query_that_is_no_image_and_no_file(run, index, tmp_path):
    (tmp_path / "no.jpg").write_text("no")
    said = run("search", index, tmp_path / "no.jpg", "--engine", "torch")
    assert said.status == 2 and "no.jpg" in said.err and said.err.count("\n") == 1
    said = run("search", index, tmp_path / "nowhere.jpg")
    assert said.status == 2 and "nowhere.jpg: no such image file" in said.err
    said = run("search", tmp_path / "nowhere", tmp_path / "no.jpg")
    assert said.status == 2 and "headstart index DATA --out" in said.err


def test_an_index_of_another_backbone_is_refused(run, index, photos):
    before = sorted((path.name, path.stat().st_size) for path in Path(index).iterdir())
    said = run("index", photos, "--out", index, "--backbone", "lite1")
    assert said.status == 2 and "the index was made with 'lite0', not 'lite1'" in said.err
    assert before == sorted((path.name, path.stat().st_size) for path in Path(index).iterdir())
    assert run("index", photos).status == 2
