"""headstart features: Parquet and .npz for other programs."""

from __future__ import annotations

import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from headstart.features.extract import Tap, extract
from headstart.features.save import save_features
from headstart.images.scan import scan
from headstart.testing.images import split_folders

SMALL = ("--input-size", "48", "--engine", "torch")


@pytest.fixture
def data(tmp_path):
    return split_folders(tmp_path / "data", counts={"train": 3, "test": 2})


def test_parquet_holds_path_digest_split_labels_and_a_fixed_size_list_a_layer(
    run, data, tmp_path, as_documented
):
    out = tmp_path / "features.parquet"
    ran = run("features", data, "--layer", "stage4,stage5", *SMALL, "--out", out, "--json")
    facts = as_documented("features", ran.out)
    table, images = pq.read_table(out), scan(data)
    assert facts["layers"] == {"stage4": 80, "stage5": 112}
    assert table.column_names == facts["columns"] == ["path", "digest", "split", "label", "stage4", "stage5"]
    assert str(table.schema.field("stage5").type) == "fixed_size_list<element: float>[112]"
    assert table["path"].to_pylist() == list(images.paths)
    assert table["digest"].to_pylist() == list(images.digests)
    assert table["split"].to_pylist() == list(images.splits)
    assert table["label"].to_pylist() == list(images.labels["label"])
    found = extract(images.items(), images.digests, taps=[Tap("stage5")], input_size=48, engine="torch")
    assert np.array_equal(np.array(table["stage5"].to_pylist(), np.float32), found.features[Tap("stage5")])
    assert json.loads(table.schema.metadata[b"headstart"])["backbone"]["name"] == "lite0"


def test_npz_holds_the_same(run, data, tmp_path):
    options = ("--layer", "stage5", "--pooling", "avg,max", *SMALL)
    assert run("features", data, *options, "--out", tmp_path / "f.npz").status == 0
    assert run("features", data, *options, "--out", tmp_path / "f.parquet").status == 0
    table = pq.read_table(tmp_path / "f.parquet")
    with np.load(tmp_path / "f.npz", allow_pickle=False) as found:
        assert set(found) == {*table.column_names, "headstart"}
        for name in ("path", "digest", "split", "label"):
            assert found[name].tolist() == table[name].to_pylist()
        for name in ("stage5/avg", "stage5/max"):
            assert np.array_equal(found[name], np.array(table[name].to_pylist(), np.float32))


def test_an_unreadable_image_has_no_row_and_is_counted(run, data, tmp_path, as_documented):
    broken = data / "train" / "disc" / "000.jpg"
    broken.write_bytes(broken.read_bytes()[:700])
    ran = run("features", data, "--layer", "stage5", *SMALL, "--out", tmp_path / "f.npz", "--json")
    facts = as_documented("features", ran.out)
    assert (facts["n"], facts["n_unreadable"]) == (14, 1)
    with np.load(tmp_path / "f.npz") as found:
        assert "train/disc/000.jpg" not in found["path"].tolist()
        assert found["stage5"].shape == (14, 112)
        assert (np.abs(found["stage5"]).sum(1) > 0).all()


def test_an_unreadable_image_stops_it_where_asked_to(run, data, tmp_path):
    (data / "train" / "disc" / "000.jpg").write_bytes(b"no image")
    ran = run("features", data, "--on-bad", "fail", *SMALL, "--out", tmp_path / "f.npz")
    assert ran.status == 2
    assert not (tmp_path / "f.npz").exists()


def test_a_label_column_whose_name_is_taken_is_renamed_aloud(tmp_path):
    images = scan(split_folders(tmp_path / "data", counts={"train": 1}))
    named = type(images)(**{**vars(images), "labels": {"path": images.labels["label"]}})
    found = extract(images.items(), images.digests, taps=[Tap("stage4")], input_size=48, engine="torch")
    assert save_features(named, found, tmp_path / "f.parquet").columns[:4] == (
        "path",
        "digest",
        "split",
        "label_path",
    )


def test_many_row_groups_hold_all_rows(tmp_path, monkeypatch):
    images = scan(split_folders(tmp_path / "data", counts={"train": 3}))
    found = extract(images.items(), images.digests, taps=[Tap("stage4")], input_size=48, engine="torch")
    monkeypatch.setattr("headstart.features.save.GROUP_BYTES", 80 * 4 * 2)
    save_features(images, found, tmp_path / "f.parquet")
    save_features(images, found, tmp_path / "f.npz")
    assert pq.ParquetFile(tmp_path / "f.parquet").num_row_groups == 5
    rows = np.array(pq.read_table(tmp_path / "f.parquet")["stage4"].to_pylist(), np.float32)
    with np.load(tmp_path / "f.npz") as saved:
        assert np.array_equal(rows, saved["stage4"])
    assert np.array_equal(rows, found.features[Tap("stage4")])


def test_another_format_is_refused_before_anything_runs(run, data, tmp_path):
    ran = run("features", data, "--out", tmp_path / "f.csv")
    assert ran.status == 2
    assert ".parquet or .npz" in ran.err
