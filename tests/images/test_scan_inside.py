"""`scan` of what others bring: COCO, metadata beside images, Parquet with images inside; every oddity is told."""

from __future__ import annotations

import io
import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from headstart.base.errors import DataError, UnknownName
from headstart.base.events import Notice, listening
from headstart.images import scan_parquet
from headstart.images.scan import scan
from headstart.testing.images import class_folders

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def png(number):
    rng = np.random.default_rng(number)
    file = io.BytesIO()
    Image.fromarray(rng.integers(0, 255, (8, 8, 3)).astype(np.uint8)).save(file, "PNG")
    return file.getvalue()


def shard(path, numbers, *, paths=None, image=IMAGE, **columns):
    """A Parquet file with an image for each number and further columns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    names = paths or [f"{number}.png" for number in numbers]
    cells = [png(number) for number in numbers]
    if image is IMAGE:
        cells = [{"bytes": cell, "path": name} for cell, name in zip(cells, names, strict=True)]
    made = {"image": pa.array(cells, image), **{name: pa.array(cells) for name, cells in columns.items()}}
    pq.write_table(pa.table(made), path)
    return path


def coco(path, files, label="cat"):
    held = {
        "images": [{"id": at, "file_name": name} for at, name in enumerate(files)],
        "annotations": [{"id": at, "image_id": at, "category_id": 1} for at in range(len(files))],
        "categories": [{"id": 1, "name": label}],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(held))


def test_shards_of_a_hub_folder_are_one_table(tmp_path):
    shard(tmp_path / "set/data/train-00000-of-00002.parquet", range(3), label=["a", "b", "a"])
    shard(tmp_path / "set/data/train-00001-of-00002.parquet", range(3, 5), label=["b", "b"])
    shard(tmp_path / "set/data/test-00000-of-00001.parquet", range(5, 7), label=["a", "b"])
    heard = []
    with listening(heard.append):
        table = scan(tmp_path / "set")
    assert (len(table), table.splits.count("test"), table.labels["label"].count("b")) == (7, 2, 4)
    assert any(isinstance(each, Notice) and "were written to" in each.message for each in heard)
    with listening(heard.clear() or heard.append):
        assert scan(tmp_path / "set").digests == table.digests
    assert not any("were written" in each.message for each in heard if isinstance(each, Notice))


def test_the_hubs_own_conversion_is_read(tmp_path):
    shard(tmp_path / "default/train/0000.parquet", range(3), label=["a", "b", "a"])
    shard(tmp_path / "default/partial-test/0000.parquet", range(3), label=["a", "b", "a"])
    shard(tmp_path / "default/test/0000.parquet", range(3, 5), label=["a", "b"])
    table = scan(tmp_path)
    assert (len(table), set(table.splits)) == (5, {"train", "test"})


def test_plain_bytes_groups_and_named_columns(tmp_path):
    path = shard(
        tmp_path / "x.parquet", range(4), image=pa.binary(), kind=["k", "l", "k", "l"], shade=["1", "2", "1", "2"],
        patient=["p", "p", "q", "q"],
    )  # fmt: skip
    table = scan(path, label_columns=("kind", "shade"))
    assert table.targets == ("kind", "shade") and table.groups == ("p", "p", "q", "q")
    assert scan(path, label_columns="shade", group_column="kind").groups == ("k", "l", "k", "l")
    with pytest.raises(UnknownName, match="no column is called 'shad'"):
        scan(path, label_columns=["shad"])


def test_hostile_paths_inside_parquet_write_nothing_outside(tmp_path, monkeypatch):
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    odd = ["../../../up.png", "/etc/passwd", "a\0b", None]
    table = scan(shard(tmp_path / "in/x.parquet", range(4), paths=odd, label=["a", "b"] * 2))
    written = list(tmp_path.rglob("*.png"))
    assert len(table) == 4 and len(written) == 4
    assert all(path.is_relative_to(tmp_path / "cache/datasets/parquet") for path in written)


def test_what_would_not_fit_is_refused_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    path = shard(tmp_path / "x.parquet", range(4), label=["a", "b"] * 2)
    monkeypatch.setattr(scan_parquet, "SPARE_BYTES", 1 << 60)
    with pytest.raises(DataError, match="are free; make room"):
        scan(path)
    monkeypatch.setattr(scan_parquet, "MAX_UNPACKED_BYTES", 10)
    with pytest.raises(DataError, match="the limit is"):
        scan(path)
    assert not list(tmp_path.rglob("*.png"))


def test_a_broken_image_inside_parquet_is_a_problem(tmp_path):
    cells = [
        {"bytes": png(1), "path": ""},
        {"bytes": b"no image", "path": ""},
        {"bytes": None, "path": "x.png"},
    ]
    pq.write_table(
        pa.table({"image": pa.array(cells, IMAGE), "label": ["a", "b", "c"]}), tmp_path / "x.parquet"
    )
    table = scan(tmp_path / "x.parquet")
    assert len(table) == 1 and len(table.problems) == 2
    assert "no image bytes" in " ".join(problem.reason for problem in table.problems)


def test_one_coco_file_in_each_split_folder(tmp_path):
    photos = class_folders(tmp_path / "photos", n_per_class=2)
    files = sorted(photos.rglob("*.jpg"))
    for split, some in (("train", files[:3]), ("valid", files[3:])):
        place = tmp_path / "set" / split
        place.mkdir(parents=True)
        for number, path in enumerate(some):
            shutil.copy(path, place / f"{number}.jpg")
        coco(place / "_annotations.coco.json", [f"{number}.jpg" for number in range(len(some))], split)
    table = scan(tmp_path / "set")
    assert table.splits.count("train") == table.splits.count("validation") == 3
    assert set(table.labels["label"]) == {"train", "valid"} and not table.problems


def test_captions_and_key_points_beside_objects_are_passed_over(tmp_path):
    photos = class_folders(tmp_path / "set/train2017", n_per_class=1)
    names = [path.relative_to(photos).as_posix() for path in sorted(photos.rglob("*.jpg"))]
    for kind in ("instances", "person_keypoints"):
        coco(tmp_path / f"set/annotations/{kind}_train2017.json", names, kind)
    assert scan(tmp_path / "set").classes() == ("instances",)


def test_columns_that_coco_cannot_have_are_refused(tmp_path):
    class_folders(tmp_path / "set/images", n_per_class=1)
    coco(tmp_path / "set/x.json", ["images/disc/000.jpg"])
    assert len(scan(tmp_path / "set", label_columns="label")) == 1
    for place in (tmp_path / "set", tmp_path / "set/x.json"):
        with pytest.raises(UnknownName, match=r"'colour'.*COCO"):
            scan(place, label_columns="colour")


def test_tables_in_split_folders_that_name_no_files_leave_class_folders_to_speak(tmp_path):
    for split in ("train", "test"):
        class_folders(tmp_path / "set" / split, n_per_class=2)
        (tmp_path / "set" / split / "metadata.csv").write_text("camera,lens\nx,y\n")
    table = scan(tmp_path / "set")
    assert table.classes() == ("disc", "square", "stripes")


def test_a_metadata_file_can_be_given_itself(tmp_path):
    class_folders(tmp_path / "set", n_per_class=1)
    (tmp_path / "set/metadata.jsonl").write_text('{"file_name": "disc/000.jpg", "label": "round"}\n')
    table = scan(tmp_path / "set/metadata.jsonl")
    assert table.labels["label"] == ("round",) and len(table.problems) == 2
