"""Tables as text: which sign parts the cells, and labels with spaces about them, which are told."""

from __future__ import annotations

import csv

import pytest
from PIL import Image

from headstart.audit.balance import find_spaces
from headstart.base.events import Notice, listening
from headstart.dataset.build import Recipe, drafted, joined
from headstart.images.scan import scan
from headstart.images.table_file import read_table_file
from headstart.images.whereabouts import Whereabouts, below


def read(folder, text):
    for name in "abc":
        Image.new("RGB", (4, 4), (ord(name), 0, 0)).save(folder / f"{name}.png")
    (folder / "t.csv").write_text(text)
    return read_table_file(folder / "t.csv", Whereabouts(folder, below(folder))).columns


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("a.png,x;y;z\n", {"path": ("a.png",), "label": ("x;y;z",)}),
        ("a.png,x;y\nb.png,p;q\n", {"path": ("a.png", "b.png"), "label": ("x;y", "p;q")}),
        ("a.png;1,5\nb.png;2,5\n", {"path": ("a.png", "b.png"), "label": ("1,5", "2,5")}),
        ("file;light\na.png;1,5\n", {"file": ("a.png",), "light": ("1,5",)}),
        ("file|label\na.png|x;y,z\n", {"file": ("a.png",), "label": ("x;y,z",)}),
        ('"file; or; path","label"\na.png,x\n', {"file; or; path": ("a.png",), "label": ("x",)}),
        ('file,"la;bel;s"\na.png,"x,y"\n', {"file": ("a.png",), "la;bel;s": ("x,y",)}),
        ("file,label\na.png,x;y\nb.png,x;y;z,more\nc.png,x\n", {"file": ("a.png", None, "c.png")}),
        ("file\na.png\n", {"file": ("a.png",)}),
        ("file\tlabel\na.png\tx, y\n", {"file": ("a.png",), "label": ("x, y",)}),
    ],
)
def test_the_sign_that_parts_all_lines_alike_and_leaves_an_image_is_the_delimiter(tmp_path, text, columns):
    found = read(tmp_path, text)
    assert {name: found[name] for name in columns} == columns


def test_a_long_table_is_judged_by_its_first_lines(tmp_path):
    lines = [f"{name}.png;{at},5;some words that fill the line" for at in range(3000) for name in "abc"]
    found = read(tmp_path, "\n".join(["path;light;note", *lines]))
    assert list(found) == ["path", "light", "note"] and len(found["path"]) == 9000


def spaced_table(folder, name, labels, header=("path", "label")):
    folder.mkdir(exist_ok=True)
    for at in range(len(labels)):
        Image.new("RGB", (4, 4), (at, len(labels), 0)).save(folder / f"{at}.png")
    with (folder / name).open("w", newline="") as file:
        csv.writer(file).writerows([header, *((f"{at}.png", label) for at, label in enumerate(labels))])
    return folder


def test_labels_with_spaces_about_them_are_read_without_and_told(tmp_path):
    folder = spaced_table(tmp_path / "one", "t.csv", ["cat", "cat ", " dog", "cat ", "dog"])
    said = []
    with listening(lambda event: said.append(event.message) if isinstance(event, Notice) else None):
        table = scan(folder)
    assert table.labels["label"] == ("cat", "cat", "dog", "cat", "dog")
    assert table.spaced == {"label": {"cat ": 2, " dog": 1}}
    assert said[0].endswith("; 3 labels have spaces about them, which are left out")
    (found,) = find_spaces(table, "label")
    assert found.rename == {"cat ": "cat", " dog": "dog"} and found.mends
    assert found.details == (("cat ", "cat (2)"), (" dog", "dog (1)"))
    assert "3 labels have spaces about them: 'cat ' (2), ' dog' (1)" in found.message
    told = {each.kind: each.message for each in drafted(table, Recipe()).findings}
    assert "'cat ' (2), ' dog' (1)" in told["spaces"]
    other = scan(spaced_table(tmp_path / "two", "t.csv", ["cat ", "cat", "dog"]))
    assert joined([table, other]).spaced == {"label": {"cat ": 3, " dog": 1}}


def test_metadata_tells_them_too_and_a_style_is_no_spelling(tmp_path):
    root = tmp_path / "set"
    root.mkdir()
    for split in ("train", "test"):
        spaced_table(root / split, "metadata.csv", ["cat ", "dog"], ("file_name", "label"))
    assert scan(root).spaced == {"label": {"cat ": 2}}
    styled = scan(spaced_table(tmp_path / "styled", "t.csv", [" cat", " dog", " cat"]))
    assert styled.labels["label"] == ("cat", "dog", "cat") and styled.spaced == {}
    assert find_spaces(styled, "label") == []
