"""Which image a name of the ground truth means: folders that contradict a file are never passed over."""

from __future__ import annotations

import json

import pytest

from headstart.audit.files import find_bad_files
from headstart.images.scan import scan
from headstart.images.table import Problem
from headstart.images.whereabouts import Whereabouts
from headstart.testing.images import class_folders


def as_csv(root, labels):
    (root / "truth.csv").write_text("\n".join(["path,label", *(f"{path},{labels[path]}" for path in labels)]))


def as_metadata(root, labels):
    lines = [json.dumps({"file_name": path, "label": label}) for path, label in labels.items()]
    (root / "metadata.jsonl").write_text("\n".join(lines))


def as_coco(root, labels):
    classes = sorted(set(labels.values()))
    held = {
        "images": [{"id": at, "file_name": path} for at, path in enumerate(labels)],
        "annotations": [
            {"image_id": at, "category_id": classes.index(each)} for at, each in enumerate(labels.values())
        ],
        "categories": [{"id": at, "name": name} for at, name in enumerate(classes)],
    }
    (root / "truth.json").write_text(json.dumps(held))


@pytest.mark.parametrize("write", [as_csv, as_metadata, as_coco])
def test_a_file_that_is_gone_is_no_other_of_the_same_name(tmp_path, write):
    root = class_folders(tmp_path, classes=("cat", "dog"), n_per_class=3)
    paths = sorted(path.relative_to(root).as_posix() for path in root.rglob("*.jpg"))
    (root / "cat" / "001.jpg").unlink()
    write(root, {path: path.split("/")[0] for path in paths})
    table = scan(root)
    assert dict(zip(table.paths, table.labels["label"], strict=True)) == {
        path: path.split("/")[0] for path in paths if path != "cat/001.jpg"
    }
    (gone,) = table.problems
    assert gone.path == "cat/001.jpg" and gone.reason.startswith("no such image file")
    (found,) = find_bad_files(table, ())
    assert found.kind == "missing" and found.details[0][0] == "cat/001.jpg"


@pytest.mark.parametrize("write", [as_csv, as_metadata, as_coco])
def test_a_nested_name_may_lack_folders_or_have_more_of_them(tmp_path, write):
    root = class_folders(tmp_path / "photos", classes=("cat", "dog"), n_per_class=2)
    lacks = {"cat/000.jpg": "a", "cat/001.jpg": "b", "dog/000.jpg": "a", "dog/001.jpg": "b"}
    write(tmp_path, lacks)
    assert scan(tmp_path).labels["label"] == ("a", "b", "a", "b")
    for path in tmp_path.iterdir():
        if path.is_file():
            path.unlink()
    write(root, {f"set/photos/{path}": label for path, label in lacks.items()})
    table = scan(root)
    assert dict(zip(table.paths, table.labels["label"], strict=True)) == lacks and table.problems == ()


def found(tmp_path, paths, cell):
    answer = Whereabouts(tmp_path, paths).find(cell)
    return answer.reason if isinstance(answer, Problem) else answer


@pytest.mark.parametrize(
    ("paths", "cell", "answer"),
    [
        (("dog/1.jpg",), "1.jpg", "dog/1.jpg"),
        (("dog/1.jpg",), "1", "dog/1.jpg"),
        (("dog/1.jpg", "cat/1.jpg"), "1.jpg", "2 images are called so"),
        (("dog/1.jpg",), "cat/1.jpg", "no such image file"),
        (("dog/1.jpg",), "cat/1", "no such image file"),
        (("dog/1.jpg",), "DOG/1", "dog/1.jpg"),
        (("a/dog/1.jpg", "b/cat/1.jpg"), "dog/1.jpg", "a/dog/1.jpg"),
        (("a/dog/1.jpg", "b/dog/1.jpg"), "dog/1.jpg", "2 images are called so"),
        (("x/dog/1.jpg", "dog/1.jpg"), "Dog/1.jpg", "dog/1.jpg"),
        (("1.jpg", "dog/1.jpg"), "old/dog/1.jpg", "dog/1.jpg"),
        (("1.jpg",), "images/1.jpg", "1.jpg"),
        (("hotdog/1.jpg",), "dog/1.jpg", "no such image file"),
    ],
)
def test_names_and_their_answers(tmp_path, paths, cell, answer):
    assert found(tmp_path, paths, cell) == answer


def test_a_whole_path_means_one_place(tmp_path):
    assert found(tmp_path, ("dog/1.jpg",), f"{tmp_path}/1.jpg") == "no such image file"
    assert found(tmp_path, ("dog/1.jpg",), f"{tmp_path}/Dog/1") == "dog/1.jpg"
