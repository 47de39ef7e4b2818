"""Label columns that are called as columns of groups and splits are: what is named for labels is taken for nothing else."""

from __future__ import annotations

import csv
import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from headstart.images.scan import scan
from headstart.images.scan_targets import scan_targets

KINDS = ("train", "test", "train", "test")
"""Labels that are names of splits too."""


def write_images(folder, n=4):
    folder.mkdir(parents=True, exist_ok=True)
    for at in range(n):
        Image.new("RGB", (4, 4), (at, 0, 0)).save(folder / f"{at}.png")


def write_csv(folder, name, *, patient=False):
    write_images(folder)
    with (folder / "truth.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", name, "label", *(["patient"] if patient else [])])
        for at, kind in enumerate(KINDS):
            writer.writerow([f"{at}.png", kind, "ab"[at // 2], *([f"p{at}"] if patient else [])])
    return folder / "truth.csv"


def write_metadata(folder, name):
    write_images(folder)
    lines = [{"file_name": f"{at}.png", name: kind, "label": "ab"[at // 2]} for at, kind in enumerate(KINDS)]
    (folder / "metadata.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return folder


def write_parquet(folder, name):
    write_images(folder)
    held = []
    for at in range(len(KINDS)):
        buffer = io.BytesIO()
        Image.new("RGB", (4, 4), (at, 0, 0)).save(buffer, "PNG")
        held.append({"bytes": buffer.getvalue(), "path": f"{at}.png"})
    pq.write_table(
        pa.table({"image": held, name: list(KINDS), "label": list("aabb")}), folder / "set.parquet"
    )
    return folder / "set.parquet"


@pytest.mark.parametrize("name", ["group", "split", "fold", "patient_id"])
@pytest.mark.parametrize("write", [write_csv, write_metadata, write_parquet])
def test_a_column_that_is_named_for_labels_is_neither_group_nor_split(tmp_path, monkeypatch, write, name):
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    source = write(tmp_path / "set", name)
    table = scan(source, label_columns=(name,))
    assert sorted(table.labels[name]) == sorted(KINDS)
    assert table.groups is None and table.splits is None
    table, targets = scan_targets(source, name)
    assert targets == (name,) and table.groups is None and table.splits is None


def test_another_column_is_then_the_group(tmp_path):
    table = scan(write_csv(tmp_path, "group", patient=True), label_columns=("group",))
    assert table.groups == ("p0", "p1", "p2", "p3")
    assert scan(tmp_path / "truth.csv").groups == KINDS
