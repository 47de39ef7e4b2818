"""The index of images: built, brought up to date, searched, crashed, cut short, refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headstart.base.errors import BadOptions, DataError, UnknownName
from headstart.features.index import ImageIndex
from headstart.features.index_quality import _Gallery, evaluate_index
from headstart.features.stores import embedded
from headstart.images.scan import scan
from headstart.testing.images import class_folders

SMALL = {"layer": "stage3", "input_size": 48, "engine": "torch"}


@pytest.fixture(scope="module")
def made(photos, tmp_path_factory):
    """Thirty images, indexed. Not to be changed."""
    place = tmp_path_factory.mktemp("index") / "made"
    ImageIndex.build(photos, place, **SMALL)
    return place


@pytest.fixture
def own(photos, made, tmp_path):
    """A copy of the photos, with an index of them that may be changed."""
    shutil.copytree(photos, tmp_path / "photos")
    ImageIndex.build(tmp_path / "photos", tmp_path / "index", **SMALL)
    return tmp_path / "photos", tmp_path / "index"


def first(folder):
    return sorted(Path(folder).rglob("*.jpg"))[0]


@pytest.mark.parametrize("options", [{}, {"metric": "l2"}, {"whiten": 8}, {"whiten": 8, "metric": "l2"}])
def test_an_image_finds_itself_first(photos, tmp_path, options):
    index = ImageIndex.build(photos, tmp_path / "i", **SMALL, **options)
    (found,) = ImageIndex.open(tmp_path / "i", engine="torch").search([first(photos)], k=5)
    best = found.hits[0]
    assert best.file == first(photos) and best.duplicate and best.columns["label"] == "disc"
    assert best.score == pytest.approx(0 if options.get("metric") == "l2" else 1, abs=2e-3)
    assert not found.hits[1].duplicate or found.hits[1].score > 0.97
    assert index.card.dimension == (8 if "whiten" in options else 40)


def test_a_condition_limits_what_is_found(made, photos):
    index = ImageIndex.open(made, engine="torch")
    (found,) = index.search([first(photos)], k=12, where='label == "square" or label == "stripes"')
    assert len(found.hits) == 12 and {hit.columns["label"] for hit in found.hits} == {"square", "stripes"}
    (few,) = index.search([first(photos)], k=12, where='path == "disc/001.jpg"')
    assert [hit.path for hit in few.hits] == ["disc/001.jpg"]
    assert index.search([first(photos)], k=2, where='label == "no such"')[0].hits == ()


def test_query_expansion_is_the_mean_of_the_first_results(made, photos):
    index = ImageIndex.open(made, engine="torch")
    vectors, _, _ = index.embed([first(photos)])
    plain = index.store.search(vectors, 3).rows[0]
    mean = vectors[0] + index.store.vectors(plain).sum(0)
    true = index.store.search((mean / np.linalg.norm(mean))[None].astype(np.float32), 6).rows[0]
    found = index.search([first(photos)], k=6, expand=3)[0].hits
    assert [hit.path for hit in found] == [index.store.columns["path"][row] for row in true]


def test_an_update_computes_only_what_is_new_or_changed(own):
    photos, place = own
    Image.new("RGB", (50, 40), (9, 9, 200)).save(photos / "disc" / "900.jpg")
    shutil.copy(photos / "disc" / "001.jpg", photos / "square" / "900.jpg")
    Image.new("RGB", (50, 40), (200, 9, 9)).save(photos / "disc" / "000.jpg")
    (photos / "stripes" / "003.jpg").unlink()
    index = ImageIndex.build(photos, place, engine="torch")
    did = index.changes_
    assert (did.n_added, did.n_updated, did.n_removed, did.n_computed, len(index)) == (2, 1, 0, 2, 32)
    assert ImageIndex.build(photos, place, prune=True, engine="torch").changes_.n_removed == 1
    again = ImageIndex.build(photos, place, prune=True, engine="torch")
    assert again.changes_.n_computed == again.changes_.n_added == 0 and len(again) == 31
    assert index.search([photos / "disc" / "000.jpg"], k=1)[0].hits[0].path == "disc/000.jpg"
    assert {path.suffix for path in place.iterdir() if path.name != ".lock"} == {".json", ".npy", ".parquet"}
    fresh = ImageIndex.build(photos, place.with_name("fresh"), **SMALL)
    order = {path: row for row, path in enumerate(again.store.columns["path"])}
    rows = [order[path] for path in fresh.store.columns["path"]]
    assert np.allclose(again.store.vectors(rows), fresh.store.vectors(), atol=1e-5)


def test_images_are_added_and_removed_in_python(own):
    photos, place = own
    index = ImageIndex.open(place, engine="torch")
    pixels = np.random.default_rng(0).integers(0, 255, (40, 40, 3), np.uint8)
    index.add([pixels], {"label": ["noise"]})
    assert index.search([pixels], k=1)[0].hits[0].columns["label"] == "noise"
    index.remove(["disc/000.jpg", str(photos / "disc" / "001.jpg")])
    assert len(ImageIndex.open(place)) == len(index) == 29
    with pytest.raises(DataError, match=r"not in the index: nowhere\.jpg"):
        index.remove(["disc/002.jpg", "nowhere.jpg"])
    assert len(ImageIndex.open(place)) == 29


def test_another_network_or_way_is_refused_and_nothing_is_lost(own):
    photos, place = own
    kept = (place / "card.json").read_bytes()
    with pytest.raises(BadOptions) as error:
        ImageIndex.build(photos, place, backbone="lite1", layer="pool", metric="l2", whiten=4, input_size=64)
    assert all(
        word in str(error.value) for word in ("backbone", "layer", "metric", "whiten", "input-size", "lite1")
    )
    card = json.loads(kept)
    card["index"]["weights_digest"] = "0" * 32
    (place / "card.json").write_text(json.dumps(card))
    for call in (lambda: ImageIndex.open(place), lambda: ImageIndex.build(photos, place, engine="torch")):
        with pytest.raises(DataError, match="another weights digest"):
            call()


def test_a_crash_leaves_the_old_index_whole(own, monkeypatch):
    photos, place = own
    Image.new("RGB", (50, 40), (9, 9, 200)).save(photos / "disc" / "900.jpg")

    def fail(*_):
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(embedded, "write_text", fail)
        with pytest.raises(OSError, match="no space"):
            ImageIndex.build(photos, place, engine="torch")
    assert len(ImageIndex.open(place)) == 30
    assert len(ImageIndex.build(photos, place, engine="torch")) == 31
    assert len(list(place.glob("vectors-*"))) == 1


@pytest.mark.parametrize("pattern", ["vectors-*", "rows-*"])
def test_a_file_cut_short_is_told(own, pattern):
    _, place = own
    (path,) = place.glob(pattern)
    whole = path.read_bytes()
    path.write_bytes(whole[:-50])
    with pytest.raises(DataError, match="cut short"):
        ImageIndex.open(place)
    path.write_bytes(b"x" * len(whole))
    with pytest.raises(DataError, match="index again"):
        ImageIndex.open(place)
    path.unlink()
    with pytest.raises(DataError, match="missing"):
        ImageIndex.open(place)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"index": {}, "files": {}, "n": 3}', "[" * 100_000])
def test_a_damaged_card_is_told(own, text):
    _, place = own
    (place / "card.json").write_text(text)
    with pytest.raises(DataError):
        ImageIndex.open(place)


def test_a_card_that_names_a_file_elsewhere_is_refused(own, tmp_path):
    _, place = own
    card = json.loads((place / "card.json").read_text())
    (vectors,) = place.glob("vectors-*")
    shutil.copy(vectors, tmp_path / vectors.name)
    card["files"]["vectors"]["name"] = f"../{vectors.name}"
    (place / "card.json").write_text(json.dumps(card))
    with pytest.raises(DataError, match="missing"):
        ImageIndex.open(place)


def test_folders_of_something_else_are_left_alone(photos, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(DataError, match="no index"):
        ImageIndex.build(photos, tmp_path, **SMALL)
    with pytest.raises(DataError, match="make one with"):
        ImageIndex.open(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_bad_queries_and_numbers_are_told(made, photos, tmp_path):
    index = ImageIndex.open(made, engine="torch")
    (tmp_path / "no.jpg").write_text("no image")
    with pytest.raises(DataError, match="none of the 1 images can be read"):
        index.search([tmp_path / "no.jpg"], k=1)
    assert [each.query for each in index.search([tmp_path / "no.jpg", first(photos)], k=1)] == [
        str(first(photos))
    ]
    with pytest.raises(BadOptions, match=r"k: 31 is not within 1 .. 30.*expand: -1.*near: 2"):
        index.search([first(photos)], k=31, expand=-1, near=2)


def test_one_image_alone_and_images_all_the_same(tmp_path):
    for name in ("000", "001", "002"):
        (tmp_path / "a").mkdir(exist_ok=True)
        Image.new("RGB", (40, 40), (90, 20, 20)).save(tmp_path / "a" / f"{name}.png")
    index = ImageIndex.build(tmp_path / "a", tmp_path / "same", **SMALL)
    hits = index.search([tmp_path / "a" / "000.png"], k=3)[0].hits
    assert [hit.duplicate for hit in hits] == [True] * 3
    with pytest.raises(BadOptions, match="differ in 0"):
        ImageIndex.build(tmp_path / "a", tmp_path / "white", whiten=2, **SMALL)
    assert not (tmp_path / "white").exists()
    one = tmp_path / "one"
    one.mkdir()
    shutil.copy(tmp_path / "a" / "000.png", one)
    alone = ImageIndex.build(one, tmp_path / "alone", **SMALL)
    assert len(alone.search([one / "000.png"], k=1)[0].hits) == 1


def test_vectors_that_are_not_finite_are_refused(own, monkeypatch):
    photos, place = own
    index = ImageIndex.open(place, engine="torch")
    Image.new("RGB", (50, 40), (9, 9, 200)).save(photos / "disc" / "900.jpg")
    monkeypatch.setattr(index._extractor, "joined", lambda found: np.full((1, 40), np.nan, np.float32))
    with pytest.raises(DataError, match=r"not finite.*900.jpg.*nothing was changed"):
        index.add([photos / "disc" / "900.jpg"])
    assert len(ImageIndex.open(place)) == 30


def test_a_large_index_is_searched_approximately(photos, tmp_path):
    pytest.importorskip("faiss")
    index = ImageIndex.build(photos, tmp_path / "i", exact_rows=10, **SMALL)
    assert index.store.approximate["kind"] == "hnsw" and index.store.approximate["recall"] > 0.9
    opened = ImageIndex.open(tmp_path / "i", exact_rows=10, engine="torch")
    hits = opened.search([first(photos)], k=4, where='label != "square"')[0].hits
    assert hits[0].file == first(photos) and "square" not in {hit.columns["label"] for hit in hits}


def test_quality_leaves_the_query_and_its_copies_out(made, photos, new_photos):
    index = ImageIndex.open(made, engine="torch")
    itself = evaluate_index(index, scan(photos), k=3, near=1.0)
    assert itself.n_same == 30 and itself.quality.n == 30
    assert len(itself.worst) == 10 and itself.worst[0][2] <= itself.worst[9][2]
    other = evaluate_index(index, scan(new_photos), k=3, near=1.0)
    assert other.n_same == 0 and 0.4 < other.quality.scores["map"].value <= 1
    assert set(other.quality.per_class) == {"disc", "square", "stripes"}


def test_quality_of_a_part_of_the_index_ranks_that_part_alone(made, photos):
    index = ImageIndex.open(made, engine="torch")
    some = evaluate_index(index, scan(photos), k=3, near=1.0, where='label in ("disc", "square")')
    assert some.n_index == 20 and some.quality.n == 20 and some.quality.n_nothing_to_find == 10
    with pytest.raises(DataError, match="meets the condition"):
        evaluate_index(index, scan(photos), k=3, where='label == "none"')
    with pytest.raises(UnknownName, match="colour"):
        evaluate_index(index, scan(photos), k=3, where='colour == "red"')


def test_expanded_queries_are_ranked_by_the_mean_of_what_they_find(made):
    index = ImageIndex.open(made, engine="torch")
    gallery = _Gallery(index, np.arange(len(index)), np.zeros(len(index)), near=1.0)
    vectors = index.store.vectors()
    out = np.eye(len(index), dtype=bool)[:3]
    wider = gallery.expanded(vectors[:3], out, 4)
    for query in range(3):
        likeness = vectors @ vectors[query]
        likeness[query] = -np.inf
        mean = vectors[query] + vectors[np.argsort(-likeness)[:4]].sum(0)
        np.testing.assert_allclose(wider[query], mean / np.linalg.norm(mean), rtol=1e-4)


def test_quality_needs_labels(made, tmp_path):
    folder = class_folders(tmp_path / "x", classes=("one",), n_per_class=2)
    index = ImageIndex.build(folder / "one", tmp_path / "i", **SMALL)
    with pytest.raises(DataError, match="no labels"):
        evaluate_index(index, scan(class_folders(tmp_path / "y", n_per_class=2)), k=1)
