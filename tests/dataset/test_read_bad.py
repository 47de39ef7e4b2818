"""Sources that are wrong: each a problem with its reason, or one error that says what to do."""

from __future__ import annotations

import json
import shutil

import pytest

from headstart.audit.files import find_bad_files
from headstart.base.errors import DataError
from headstart.base.events import collected_warnings
from headstart.images.scan import scan
from headstart.testing.images import class_folders


@pytest.fixture
def photos(tmp_path):
    made = class_folders(tmp_path / "photos", n_per_class=2)
    flat = tmp_path / "set" / "images"
    flat.mkdir(parents=True)
    for path in made.rglob("*.jpg"):
        shutil.copy(path, flat / f"{path.parent.name}{path.name}")
    return flat.parent


def coco(images, notes, categories=(("cat", 1), ("dog", 2))):
    return {
        "images": [{"id": at, "file_name": name, "width": 1, "height": 1} for at, name in enumerate(images)],
        "annotations": [
            {"id": at, "image_id": image, "category_id": kind} for at, (image, kind) in enumerate(notes)
        ],
        "categories": [{"id": at, "name": name} for name, at in categories],
    }


def reasons(table):
    return {problem.path: problem.reason for problem in table.problems}


def test_coco_that_names_missing_files_and_lacks_others(photos):
    held = coco(
        ["disc000.jpg", "none.jpg", "../../photos/disc/000.jpg", "disc001.jpg", "square000.jpg"],
        [(0, 1), (1, 1), (2, 1), (4, 1), (4, 2)],
    )
    (photos / "labels.json").write_text(json.dumps(held))
    table = scan(photos / "labels.json")
    assert table.paths == ("images/disc000.jpg",) and table.labels["label"] == ("cat",)
    said = reasons(table)
    assert "no such image file" in said["none.jpg"]
    assert "leaves the image folder" in said["../../photos/disc/000.jpg"]
    assert (
        "no category" in said["images/disc001.jpg"]
        and "several categories: cat, dog" in said["images/square000.jpg"]
    )
    assert said["images/stripes000.jpg"] == "not named in the annotations"


def test_several_boxes_of_one_category_are_one_label(photos):
    (photos / "labels.json").write_text(json.dumps(coco(["disc000.jpg"], [(0, 2), (0, 2)])))
    assert scan(photos).labels["label"] == ("dog",)


@pytest.mark.parametrize(
    "text, said",
    [
        ("{", "not JSON"),
        ("[]", "no COCO file"),
        ('{"images": {}, "annotations": [], "categories": []}', "no COCO file"),
        ('{"images": [1], "annotations": [], "categories": []}', "no COCO file"),
        ("[" * 100_000, "not JSON"),
        ('{"images": [], "annotations": [], "categories": []}', "no readable image"),
        (
            json.dumps(
                {
                    "images": [{"id": [], "file_name": 3}],
                    "annotations": [{"image_id": {}, "category_id": []}],
                    "categories": [{"id": {}}],
                }
            ),
            "no readable image",
        ),
    ],
)
def test_what_is_no_coco_file_is_one_error(photos, text, said):
    (photos / "x.json").write_text(text)
    with pytest.raises(DataError, match=said):
        scan(photos / "x.json")


def test_several_coco_files_without_a_split_are_refused(photos):
    for name in ("a.json", "b.json"):
        (photos / name).write_text(json.dumps(coco(["disc000.jpg"], [(0, 1)])))
    with pytest.raises(DataError, match=r"several COCO files \(a.json, b.json\)"):
        scan(photos)


def metadata(photos, *records, name="metadata.jsonl"):
    (photos / name).write_text(
        "\n".join(json.dumps(each) if isinstance(each, dict) else each for each in records)
    )


def test_metadata_that_names_missing_files_and_the_same_image_twice(photos):
    metadata(
        photos,
        {"file_name": "images/disc000.jpg", "label": "cat"},
        {"file_name": "images/disc000.jpg", "label": "dog"},
        {"file_name": "images/none.jpg", "label": "dog"},
        {"file_name": "/etc/passwd", "label": "dog"},
        {"file_name": "images/square000.jpg", "label": 7},
    )
    table = scan(photos)
    assert table.paths == ("images/square000.jpg",) and table.labels["label"] == ("7",)
    said = reasons(table)
    assert "no such image file" in said["images/none.jpg"] and "outside" in said["/etc/passwd"]
    assert said["images/disc000.jpg"] == "named twice with different labels: cat and dog"
    assert said["images/stripes001.jpg"] == "not named in the metadata"


TWICE = (("disc000.jpg", "cat"), ("square000.jpg", "dog"), ("disc000.jpg", "dog"), ("square000.jpg", "dog"))


@pytest.mark.parametrize("way", ["csv", "metadata", "coco"])
def test_an_image_with_two_labels_is_left_out_whatever_the_format(photos, way):
    if way == "csv":
        lines = [f"images/{name},{label}" for name, label in TWICE]
        (photos / "labels.csv").write_text("\n".join(["path,label", *lines]))
    elif way == "metadata":
        metadata(photos, *({"file_name": f"images/{name}", "label": label} for name, label in TWICE))
    else:
        kinds = [(at, 1 + (label == "dog")) for at, (_, label) in enumerate(TWICE)]
        (photos / "labels.json").write_text(json.dumps(coco([name for name, _ in TWICE], kinds)))
    with collected_warnings() as warned:
        table = scan(photos)
    assert table.paths == ("images/square000.jpg",) and table.labels["label"] == ("dog",)
    assert reasons(table)["images/disc000.jpg"] == "named twice with different labels: cat and dog"
    assert [each for each in warned if "again with the same label" in each]
    (told,) = [each for each in find_bad_files(table, []) if each.kind == "two_labels"]
    assert told.facts["n"] == 1 and "take no part" in told.effect


def test_an_image_in_two_coco_splits_is_left_out(photos):
    for split, more in (("train", "images/disc001.jpg"), ("test", "images/none.jpg")):
        held = coco(["images/disc000.jpg", more], [(0, 1), (1, 2)])
        (photos / f"{split}.json").write_text(json.dumps(held))
    table = scan(photos)
    assert table.paths == ("images/disc001.jpg",)
    assert "named twice with different splits" in reasons(table)["images/disc000.jpg"]


@pytest.mark.parametrize(
    "line, said",
    [("{", "line 1: not JSON"), ("[1]", "line 1: expected an object"), ('{"label": "x"}', "'file_name'")],
)
def test_broken_metadata_is_one_error_with_its_line(photos, line, said):
    metadata(photos, line)
    with pytest.raises(DataError, match=said):
        scan(photos)


def test_metadata_as_csv_under_each_split(photos):
    for split in ("train", "test"):
        shutil.copytree(photos / "images", photos / split)
        rows = [f"{path.name},{path.name[:4]}" for path in sorted((photos / split).glob("*.jpg"))]
        (photos / split / "metadata.csv").write_text("\n".join(["file_name,label", *rows]))
    shutil.rmtree(photos / "images")
    table = scan(photos)
    assert (
        len(table) == 12
        and set(table.splits) == {"train", "test"}
        and table.classes() == ("disc", "squa", "stri")
    )


def test_parquet_that_is_none_is_one_error(photos):
    (photos / "x.parquet").write_bytes(b"PAR1nothing")
    with pytest.raises(DataError, match="not a readable Parquet file"):
        scan(photos / "x.parquet")
