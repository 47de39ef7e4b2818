"""`scan` of folders and ground-truth files: every layout is found, nothing is silently dropped."""

import csv
import io
import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from headstart.base.errors import BadOptions, DataError, UnknownName
from headstart.base.events import Notice, collected_warnings, listening
from headstart.images.scan import scan
from headstart.testing.images import CLASSES, class_folders, split_folders

RNG = np.random.default_rng(0)


def write_image(path, kind="PNG"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(RNG.integers(0, 255, (6, 6, 3)).astype(np.uint8)).save(path, kind)
    return path


def write_csv(path, rows, delimiter=","):
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=delimiter).writerows(rows)
    return path


def reasons(table):
    return {problem.path: problem.reason for problem in table.problems}


def test_class_folders(tmp_path):
    table = scan(class_folders(tmp_path / "shapes", n_per_class=3))
    assert table.name == "shapes"
    assert len(table) == 9
    assert table.classes() == tuple(sorted(CLASSES))
    assert table.splits is None
    assert table.problems == ()
    assert all(table.item(row).is_file() for row in range(9))
    assert len(set(table.digests)) == 9


@pytest.mark.parametrize("name", ["val", "validation", "Valid"])
def test_class_folders_under_splits(tmp_path, name):
    root = split_folders(tmp_path, counts={"train": 2, name: 1, "test": 1})
    table = scan(root)
    assert table.splits.count("train") == 6
    assert table.splits.count("validation") == 3
    assert table.splits.count("test") == 3
    assert table.classes() == tuple(sorted(CLASSES))


def test_two_folders_for_one_split_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"both val/ and validation/"):
        scan(split_folders(tmp_path, counts={"train": 1, "val": 1, "validation": 1}))


def test_folders_below_a_class_belong_to_it_and_extensions_may_be_upper_case(tmp_path):
    write_image(tmp_path / "cat" / "indoor" / "deep" / "A.PNG")
    write_image(tmp_path / "cat" / "b.png")
    write_image(tmp_path / "dog" / "no_extension")
    table = scan(tmp_path)
    assert dict(zip(table.paths, table.labels["label"], strict=True)) == {
        "cat/b.png": "cat",
        "cat/indoor/deep/A.PNG": "cat",
        "dog/no_extension": "dog",
    }
    assert table.problems == ()


def test_a_flat_folder_is_unlabelled(tmp_path):
    write_image(tmp_path / "a.png")
    table = scan(tmp_path)
    assert table.labels == {}
    assert table.paths == ("a.png",)


def test_bad_files_become_problems_with_their_reason(tmp_path):
    root = class_folders(tmp_path, classes=("cat", "dog"), n_per_class=2)
    (root / "cat" / "text.jpg").write_text("not a picture")
    (root / "cat" / "zero.png").touch()
    (root / "cat" / "notes.txt").write_text("note")
    (root / "dog" / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    (root / "dog" / "lost").symlink_to(tmp_path / "nowhere")
    (root / "empty").mkdir()
    write_image(root / "beside.png")
    (root / "README.md").write_text("about")
    for name in ("Thumbs.db", ".DS_Store", "desktop.ini"):
        (root / "cat" / name).write_bytes(b"x")
    (root / ".git").mkdir()
    write_image(root / ".git" / "x.png")
    table = scan(root)
    assert len(table) == 4
    found = reasons(table)
    assert "not an image of a known format" in found.pop("cat/text.jpg")
    assert found == {
        "cat/zero.png": "empty file",
        "cat/notes.txt": "not an image file",
        "dog/gone.jpg": "no such file",
        "dog/lost": "a link that leads nowhere",
        "empty": "class folder without images",
        "beside.png": "image outside any class folder",
    }
    with pytest.raises(DataError, match=r"7 problems: .*; and 2 more; .*--on-bad skip"):
        scan(root, on_bad="fail")


def test_links_in_circles_end(tmp_path):
    root = class_folders(tmp_path, classes=("cat", "dog"), n_per_class=2)
    (root / "cat" / "again").symlink_to(root / "cat")
    (root / "dog" / "up").symlink_to(root)
    table = scan(root)
    assert {"cat/000.jpg", "dog/000.jpg"} <= set(table.paths)
    assert len(table) < 20


def test_hostile_names_are_carried_as_they_are(tmp_path):
    names = ['<script>alert("1")</script>'.replace("/", "_"), "a,b;'c", "line\nbreak", "ünïcödé 猫", "=1+1"]
    for name in names:
        write_image(tmp_path / name / (name + ".png"))
    table = scan(tmp_path)
    assert set(table.labels["label"]) == set(names)
    assert all(table.item(row).is_file() for row in range(len(table)))


def test_names_that_are_not_unicode_still_open_and_their_labels_are_text(tmp_path):
    place = tmp_path / os.fsdecode(b"caf\xe9")
    place.mkdir()
    write_image(tmp_path / "a.png").rename(place / os.fsdecode(b"\xff.png"))
    write_image(tmp_path / "tea" / "b.png")
    table = scan(tmp_path)
    assert set(table.labels["label"]) == {"caf\\xe9", "tea"}
    assert all(table.item(row).is_file() for row in range(2))
    assert len(table.digest()) == 32


def test_a_folder_that_wraps_the_real_one_is_named(tmp_path):
    class_folders(tmp_path / "inner")
    with pytest.raises(DataError, match=r"one level down; give .*inner"):
        scan(tmp_path)


def test_sources_that_are_none_say_what_is_expected(tmp_path):
    with pytest.raises(UnknownName, match="did you mean 'textiles'"):
        scan("textile")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"no readable image found.*class folders"):
        scan(tmp_path / "empty")
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(DataError, match="not a source of images"):
        scan(tmp_path / "notes.txt")
    with pytest.raises(BadOptions, match="skip, fail"):
        scan(tmp_path, on_bad="ignore")


@pytest.mark.parametrize(("suffix", "delimiter"), [(".csv", ","), (".csv", ";"), (".tsv", "\t")])
def test_a_ground_truth_file_is_found_and_its_columns_too(tmp_path, suffix, delimiter):
    rows = [["number", "picture", "kind_label", "colour_label", "split", "patient_id"]]
    for at in range(6):
        write_image(tmp_path / "images" / f"{at}.png")
        split = ("train", "val", "test")[at % 3]
        rows.append([at, f"images/{at}.png", "ab"[at % 2], "" if at == 1 else "red", split, f"p{at // 2}"])
    file = write_csv(tmp_path / f"truth{suffix}", rows, delimiter)
    heard = []
    with listening(heard.append):
        table = scan(tmp_path)
    assert table.labels["kind_label"] == ("a", "b") * 3
    assert table.labels["colour_label"][1] is None
    assert table.splits == ("train", "validation", "test") * 2
    assert table.groups == ("p0", "p0", "p1", "p1", "p2", "p2")
    assert any("'picture'" in event.message for event in heard if isinstance(event, Notice))
    assert scan(file).digests == table.digests


def test_columns_may_be_named_and_a_wrong_name_is_answered(tmp_path):
    write_image(tmp_path / "pics" / "1.png")
    write_image(tmp_path / "pics" / "2.png")
    file = write_csv(tmp_path / "t.csv", [["n", "what", "who"], ["1", "x", "u"], ["2", "y", "u"]])
    named = {
        "path_column": "n",
        "label_columns": ["what"],
        "group_column": "who",
        "image_root": tmp_path / "pics",
    }
    table = scan(file, **named)
    assert table.labels == {"what": ("x", "y")}
    assert table.groups == ("u", "u")
    with pytest.raises(UnknownName, match="did you mean 'what'"):
        scan(file, label_columns=["whit"])
    with pytest.raises(BadOptions, match="without one table of labels"):
        scan(tmp_path / "pics", path_column="n")


def test_parquet_labels_of_any_plain_type(tmp_path):
    for at in range(4):
        write_image(tmp_path / f"{at}.png")
    columns = {
        "file": [f"{at}.png" for at in range(4)],
        "label": [0, 1, 1, None],
        "class": [True, False, True, True],
    }
    pq.write_table(pa.table(columns), tmp_path / "truth.parquet")
    table = scan(tmp_path)
    assert table.labels == {"label": ("0", "1", "1", None), "class": ("True", "False", "True", "True")}
    (tmp_path / "truth.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match="not a readable Parquet"):
        scan(tmp_path)


def test_a_file_without_header_and_names_without_extension(tmp_path):
    for at in range(4):
        write_image(tmp_path / "img" / f"ISIC_{at}.png")
    write_csv(tmp_path / "t.csv", [[f"img/ISIC_{at}.png", "ab"[at % 2]] for at in range(4)])
    assert scan(tmp_path).labels["label"] == ("a", "b", "a", "b")
    write_csv(tmp_path / "t.csv", [["image_id", "dx"], *([f"isic_{at}", "ab"[at % 2]] for at in range(4))])
    assert scan(tmp_path).labels["dx"] == ("a", "b", "a", "b")


def test_rows_that_cannot_be_used_are_problems(tmp_path):
    for name in ("a", "b", "c", "d", "e"):
        write_image(tmp_path / "root" / f"{name}.png")
    outside = write_image(tmp_path / "outside.png")
    rows = [
        ["file", "label"],
        ["a.png", "x"],
        ["b.png", "y"],
        ["b.png", "x"],
        ["c.png", ""],
        ["missing.png", "x"],
        ["../outside.png", "x"],
        [str(outside), "x"],
        ["", "x"],
        ["d.png", "y"],
        ["d.png", "y"],
        [str(tmp_path / "root" / "a.png"), "x"],
    ]
    file = write_csv(tmp_path / "root" / "t.csv", rows)
    with collected_warnings() as warnings:
        table = scan(tmp_path / "root")
    assert table.paths == ("a.png", "d.png")
    assert "2 rows name an image again" in warnings[0]
    found = reasons(table)
    assert "different labels: y and x" in found["b.png"]
    assert "no label" in found["c.png"]
    assert "no such image file" in found["missing.png"]
    assert "leaves the image folder" in found["../outside.png"]
    assert "outside the image folder" in found[str(outside)]
    assert found["t.csv row 9"] == "no image path"
    assert found["e.png"] == "not named in t.csv"
    assert "e.png" not in reasons(scan(file))


def test_rows_of_the_wrong_length_and_files_that_are_no_tables(tmp_path):
    write_image(tmp_path / "a.png")
    write_image(tmp_path / "b.png")
    (tmp_path / "t.csv").write_text("file,label\na.png,x\nb.png,y,z\n")
    assert "3 cells for 2 columns" in reasons(scan(tmp_path))["t.csv row 3"]
    for content, message in (
        (b"", "empty file"),
        (b"file,file\na.png,x\n", "same name"),
        (b"file,label\n\xff\xfe,x\n", "not UTF-8"),
        (b"colour,size\nred,1\n", "name it with path_column"),
        (b"file\na.png\n", "label_columns"),
    ):
        (tmp_path / "t.csv").write_bytes(content)
        with pytest.raises(DataError, match=message):
            scan(tmp_path)


def test_tables_named_like_splits_make_the_splits(tmp_path):
    for at in range(4):
        write_image(tmp_path / "images" / f"{at}.png")
    write_csv(tmp_path / "train.csv", [["file", "label"], ["0.png", "a"], ["1.png", "b"]])
    write_csv(tmp_path / "test.csv", [["file", "label"], ["2.png", "a"], ["3.png", "b"]])
    table = scan(tmp_path)
    assert dict(zip(table.paths, table.splits, strict=True)) == {
        "images/0.png": "train",
        "images/1.png": "train",
        "images/2.png": "test",
        "images/3.png": "test",
    }


def test_a_table_that_names_no_images_leaves_the_class_folders_in_charge(tmp_path):
    class_folders(tmp_path)
    write_csv(tmp_path / "scores.csv", [["run", "accuracy"], ["1", "0.5"], ["2", "0.6"]])
    assert scan(tmp_path).classes() == tuple(sorted(CLASSES))
    with pytest.raises(DataError, match="path_column"):
        scan(tmp_path, label_columns=["accuracy"])


def test_an_unknown_split_in_a_named_column_is_a_problem(tmp_path):
    for at in range(3):
        write_image(tmp_path / f"{at}.png")
    rows = [
        ["file", "label", "part"],
        ["0.png", "a", "train"],
        ["1.png", "b", "test"],
        ["2.png", "b", "future"],
    ]
    write_csv(tmp_path / "t.csv", rows)
    table = scan(tmp_path, split_column="part", label_columns="label")
    assert table.splits == ("train", "test")
    assert "no split called 'future'" in reasons(table)["2.png"]


def test_a_packaged_name_that_is_also_a_folder_is_refused_with_both_ways_out(tmp_path, monkeypatch):
    class_folders(tmp_path / "digits")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=r"packaged:digits or \./digits"):
        scan("digits")
    assert len(scan("packaged:digits")) == 1797
    assert len(scan("./digits")) == 18


def test_the_same_image_has_the_same_digest_wherever_it_lies(tmp_path):
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4)).save(buffer, "PNG")
    for place in ("x/cat/a.png", "y/dog/b.png"):
        (tmp_path / place).parent.mkdir(parents=True)
        (tmp_path / place).write_bytes(buffer.getvalue())
    assert scan(tmp_path / "x").digests == scan(tmp_path / "y").digests
