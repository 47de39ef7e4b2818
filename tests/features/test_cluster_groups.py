"""Groups as folders: safe names, untouched originals, nothing outside the new folder."""

from __future__ import annotations

import csv
import hashlib

import numpy as np
import pytest

from headstart.base.errors import BadOptions, DataError, UnknownName
from headstart.base.new_folder import check_new_folder
from headstart.features.cluster_found import Clustering, Group
from headstart.features.cluster_groups import write_groups
from headstart.images.file_names import cell, safe_name
from headstart.images.table import ImageTable

HOSTILE = (
    "../../../etc/passwd",
    "a/../../b",
    "..",
    "con",
    "x" * 400,
    "=1+1",
    "\x00\n\x1b[2J",
    "ä b/ö",
    "C:\\x",
)


def clustering(table, labels, outliers=None, name="shirt"):
    labels = np.asarray(labels)
    groups = tuple(
        Group(int(each), int((labels == each).sum()), 0, name, 1.0, 0, (0,)) for each in np.unique(labels)
    )
    far = np.zeros(len(labels), bool) if outliers is None else np.asarray(outliers)
    return Clustering(
        table, None, labels, np.linspace(0, 1, len(labels)), far, None, groups, {}, {}, {}, {"cluster": 0.0}
    )


@pytest.fixture
def table(tmp_path):
    """Files with equal names in three folders, and one whose name begins like a formula."""
    root = tmp_path / "images"
    names = ["a/1.jpg", "b/1.JPG", "c/1.jpg", "c/=2.png"]
    for at, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"same" if at < 2 else bytes([at]))
    digests = tuple(hashlib.md5((root / name).read_bytes()).hexdigest() for name in names)
    return ImageTable("images", str(root), tuple(names), digests)


def files(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}


@pytest.mark.parametrize("ways", ["copy", "symlink"])
def test_equal_names_get_their_digest_and_originals_stay(table, tmp_path, ways):
    before = {path: path.read_bytes() for path in (tmp_path / "images").rglob("*.*")}
    out = write_groups(clustering(table, [0, 0, 0, 1]), tmp_path / "out", ways)
    one, other = table.digests[0][:8], table.digests[2][:8]
    assert files(out) == {
        "clusters.csv", f"00-shirt/1-{one}.jpg", f"00-shirt/1-{one}-2.JPG", f"00-shirt/1-{other}.jpg",
        "01-shirt/2.png",
    }  # fmt: skip
    assert {path: path.read_bytes() for path in (tmp_path / "images").rglob("*.*")} == before
    placed = out / "01-shirt" / "2.png"
    assert placed.is_symlink() == (ways == "symlink") and placed.read_bytes() == bytes([3])
    assert not list(tmp_path.glob(".out*"))


def test_outliers_lie_apart_and_the_table_is_no_formula(table, tmp_path):
    found = clustering(table, [0, 0, 1, 1], [False, True, False, False])
    out = write_groups(found, tmp_path / "out", "copy")
    assert "outliers/1.JPG" in files(out)
    rows = list(csv.reader((out / "clusters.csv").open(encoding="utf-8")))
    assert rows[0] == ["path", "cluster", "distance", "outlier"]
    assert rows[2] == ["b/1.JPG", "0", "0.333333", "1"] and len(rows) == 5
    assert cell("=1+1") == "'=1+1" and cell("\t@x")[0] == "'"


def test_hostile_names_stay_inside(tmp_path):
    root = tmp_path / "images"
    root.mkdir()
    pixels = np.zeros((len(HOSTILE), 4, 4, 3), np.uint8)
    for at, name in enumerate(HOSTILE):
        table = ImageTable("x", "", HOSTILE, tuple(f"{n:032x}" for n in range(len(HOSTILE))), pixels=pixels)
        out = write_groups(
            clustering(table, [0] * len(HOSTILE), name=name),
            tmp_path / "out" / str(at),
            "copy",
        )
        assert len(list(out.rglob("*.png"))) == len(HOSTILE)
        assert {path.parent.parent for path in out.rglob("*.png")} == {out}
    assert {path.name for path in tmp_path.iterdir()} == {"images", "out"}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_safe_name_is_one_part_of_a_path(name):
    made = safe_name(name)
    assert not set(made) & set("/\\:\0\n\x1b=") and not made.startswith(".") and len(made) <= 121


def test_a_folder_with_something_in_it_is_refused_and_kept(table, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    with pytest.raises(DataError, match="not empty"):
        write_groups(clustering(table, [0] * 4), out, "copy")
    assert files(out) == {"mine.txt"}
    with pytest.raises(DataError, match="is a file"):
        check_new_folder(out / "mine.txt")
    with pytest.raises(DataError, match="folder of the images"):
        check_new_folder(tmp_path / "images" / "new", tmp_path / "images")


def test_an_empty_folder_is_taken(table, tmp_path):
    (tmp_path / "out").mkdir()
    assert files(write_groups(clustering(table, [0] * 4), tmp_path / "out")) == {"clusters.csv"}


def test_a_lost_original_leaves_no_half_folder(table, tmp_path):
    (tmp_path / "images" / "c" / "1.jpg").unlink()
    with pytest.raises(DataError, match=r"c/1\.jpg"):
        write_groups(clustering(table, [0] * 4), tmp_path / "out", "copy")
    assert [path.name for path in tmp_path.iterdir()] == ["images"]


def test_arrays_cannot_be_linked_and_ways_have_names(tmp_path):
    table = ImageTable("x", "", ("a",), ("0" * 32,), pixels=np.zeros((1, 4, 4), np.uint8))
    with pytest.raises(BadOptions, match="use copy"):
        write_groups(clustering(table, [0]), tmp_path / "out", "symlink")
    with pytest.raises(UnknownName, match="copy"):
        write_groups(clustering(table, [0]), tmp_path / "out", "copi")
