"""Every layout, written and read again, gives the same images, labels and splits; originals stay as they are."""

from __future__ import annotations

import csv
import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.base.errors import BadOptions, DataError
from headstart.base.new_folder import new_folder
from headstart.dataset.build import Recipe, drafted, joined, write_dataset
from headstart.dataset.names import class_folders
from headstart.dataset.write import LAYOUTS
from headstart.images.file_names import placed
from headstart.images.scan import scan
from headstart.images.table import ImageTable
from headstart.testing.images import class_folders as drawn
from headstart.testing.images import split_folders

MANY = ("csv", "imagefolder", "parquet")
"""Layouts that hold several label columns."""
HOSTILE = (
    "../../up",
    "=1+1",
    "a,b",
    'say "hi"',
    "con",
    "Train",
    "<b>bold</b>",
    "a/b",
    "Ünï",
    "' x",
    ".hidden",
    "A_b",
    "a_B",
)


def written(table, out, **recipe):
    plan = Recipe(**recipe)
    return write_dataset(drafted(table, plan), out, plan)


def held(table, target=None):
    """Content, label and split of every image, whatever its name."""
    labels = table.labels[table.target(target)]
    splits = table.splits or ("train",) * len(table)
    return Counter(zip(table.digests, labels, splits, strict=True))


def state(folder):
    return {
        path: (path.stat().st_mtime_ns, path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def split_photos(tmp_path_factory):
    return split_folders(tmp_path_factory.mktemp("photos") / "set")


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("splits", [True, False])
def test_images_labels_and_splits_come_back(split_photos, tmp_path, layout, splits):
    source = split_photos if splits else split_photos / "train"
    before, table = state(split_photos), scan(source)
    place, _ = written(table, tmp_path / "out", layout=layout)
    back = scan(place)
    assert held(back) == held(table) and back.problems == ()
    assert (back.splits is None) == (not splits and layout != "imagefolder")
    assert state(split_photos) == before


@pytest.mark.parametrize("layout", ["csv", "imagefolder", "parquet", "coco"])
def test_hostile_class_names_come_back_unchanged(tmp_path, layout):
    photos = drawn(tmp_path / "photos", classes=[f"c{at}" for at in range(len(HOSTILE))], n_per_class=2)
    table = scan(photos)
    named = replace(
        table, labels={"label": tuple(HOSTILE[int(label[1:])] for label in table.labels["label"])}
    )
    place, _ = written(named, tmp_path / "out", layout=layout)
    assert held(scan(place)) == held(named)


def test_hostile_class_names_become_safe_folders_and_are_told(tmp_path):
    photos = drawn(tmp_path / "photos", classes=[f"c{at}" for at in range(len(HOSTILE))], n_per_class=2)
    table = scan(photos)
    named = replace(
        table, labels={"label": tuple(HOSTILE[int(label[1:])] for label in table.labels["label"])}
    )
    place, draft = written(named, tmp_path / "out", layout="folders")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "photos"]
    back = scan(place)
    assert len(back) == len(named) and len(back.classes()) == len(HOSTILE)
    (told,) = [each for each in draft.findings if each.kind == "folder_names"]
    assert "'../../up' is 'up'" in told.message and (place / "_con").is_dir()


@settings(deadline=None, max_examples=200)
@given(st.sets(st.text(min_size=1, max_size=12), min_size=1, max_size=12))
def test_any_class_has_a_folder_of_its_own_on_any_system(names):
    folders = class_folders(names)
    assert set(folders) == names
    assert len({folder.casefold() for folder in folders.values()}) == len(names)
    for folder in folders.values():
        assert (
            folder
            and folder not in (".", "..")
            and not set(folder) & set('/\\:*?"<>|\0')
            and folder[0] != "."
        )


@settings(deadline=None, max_examples=100)
@given(st.lists(st.text(alphabet="aA.=/\\ ü", max_size=6), min_size=1, max_size=8))
def test_equal_names_get_their_digest(names):
    table = ImageTable(
        "t",
        "",
        tuple(f"{at}/{name}" for at, name in enumerate(names)),
        tuple(f"{at:032x}" for at in range(len(names))),
    )
    paths = placed(table, ["d"] * len(names))
    assert len({path.casefold() for path in paths}) == len(names)
    assert all(
        path.startswith("d/") and path.count("/") == 1 and ".." not in path.split("/") for path in paths
    )


def test_no_cell_is_a_formula_and_paths_still_lead_to_images(tmp_path):
    photos = drawn(tmp_path / "photos", classes=("=cmd", "@sum", "+1", "-2"), n_per_class=2)
    place, _ = written(scan(photos), tmp_path / "out", layout="csv")
    with (place / "labels.csv").open(newline="") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    assert not any(cell.startswith(("=", "+", "-", "@")) for cell in cells)
    assert scan(place).classes() == ("+1", "-2", "=cmd", "@sum")


def test_groups_and_further_labels_are_kept_or_told(tmp_path, split_photos):
    table = scan(split_photos)
    rich = replace(
        table,
        labels={**table.labels, "colour": ("red",) * len(table)},
        groups=tuple(f"g{at % 5}" for at in range(len(table))),
    )
    for layout, kept, lost in (
        ("csv", True, ()),
        ("imagefolder", True, ()),
        ("parquet", True, ()),
        ("folders", False, ("colour", "groups")),
        ("coco", False, ("colour",)),
    ):
        place, draft = written(rich, tmp_path / layout, layout=layout)
        back = scan(place, label_columns=("label", "colour") if kept else ())
        assert (back.groups is not None) == (layout != "folders")
        told = " ".join(each.message for each in draft.findings)
        assert all(word in told for word in lost)
        if back.groups is not None:
            assert Counter(zip(back.digests, back.groups, strict=True)) == Counter(
                zip(rich.digests, rich.groups, strict=True)
            )
        if kept:
            assert set(back.labels["colour"]) == {"red"}


@pytest.fixture(scope="module")
def holed(split_photos):
    """The photos with a further column in which every third label is missing, and the class "None" is a class."""
    table = scan(split_photos)
    colours = tuple((None, "None", "red")[row % 3] for row in range(len(table)))
    return replace(table, labels={**table.labels, "colour": colours})


@pytest.mark.parametrize("layout", LAYOUTS)
def test_missing_labels_stay_missing(holed, tmp_path, layout):
    place, draft = written(holed, tmp_path / "out", layout=layout)
    back = scan(place, label_columns=("label", "colour") if layout in MANY else ())
    assert held(back) == held(holed) and back.problems == ()
    if layout in MANY:
        assert held(back, "colour") == held(holed, "colour")
    else:
        assert any("colour" in each.message for each in draft.findings)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_images_without_the_first_label_are_left_out_aloud_where_no_other_can_be_held(
    holed, tmp_path, layout
):
    place, draft = written(holed, tmp_path / "out", layout=layout, target="colour")
    n_lacking = holed.labels["colour"].count(None)
    told = f"{n_lacking} images without a label of 'colour' left out" in draft.steps
    assert any(f"{n_lacking} images have no label of 'colour'" in each.message for each in draft.findings)
    counts = Counter(name for split in draft.counts().values() for name in split)
    if layout in MANY:
        back = scan(place, label_columns=("colour", "label"))
        assert held(back, "colour") == held(holed, "colour") and not told
        assert held(back, "label") == held(holed, "label")
        assert "(no label)" in counts and "| all 2 |" in (place / "README.md").read_text()
    else:
        back = scan(place)
        assert set(back.labels["label"]) == {"None", "red"} and "(no label)" not in counts
        assert len(back) == len(holed) - n_lacking and told


@pytest.mark.parametrize("layout", MANY)
def test_images_without_any_label_are_left_out_aloud(holed, tmp_path, layout):
    bare = replace(
        holed, labels={**holed.labels, "label": tuple(None if row < 3 else "x" for row in range(len(holed)))}
    )
    _, draft = written(bare, tmp_path / "out", layout=layout)
    assert draft.steps == ("1 images without a label left out",) and len(draft.table) == len(holed) - 1


@pytest.mark.parametrize("layout", ["imagefolder", "parquet"])
def test_the_datasets_library_loads_what_was_written(holed, tmp_path, layout):
    datasets = pytest.importorskip("datasets")
    place, _ = written(holed, tmp_path / "out", layout=layout)
    loaded = datasets.load_dataset(str(place), cache_dir=str(tmp_path / "cache"))
    assert set(loaded) == {"train", "validation", "test"}
    assert sum(len(part) for part in loaded.values()) == len(holed)
    colours: Counter[object] = Counter()
    for part in loaded.values():
        kind = part.features["colour"]
        for code in part["colour"]:
            colours[kind.int2str(code) if layout == "parquet" and code is not None else code] += 1
        assert part[0]["image"].size == (48, 40)
    assert colours == Counter(holed.labels["colour"])


def numbered(table):
    """The table with a column of measured numbers and one of sets of labels, both with holes, and a last one of classes."""
    numbers = [None if row == 2 else f"{row * 1.37 - 20:.2f}" for row in range(len(table))]
    marks = [(None, "dirt;scratch", "dirt", ";")[row % 4] for row in range(len(table))]
    labels = {"size": tuple(numbers), "marks": tuple(marks), **table.labels}
    return replace(table, labels=labels, groups=tuple(f"g{row % 5}" for row in range(len(table))))


def test_numbers_and_sets_of_labels_come_back_from_parquet(split_photos, tmp_path):
    import pyarrow.parquet as pq

    table = numbered(scan(split_photos))
    place, _ = written(table, tmp_path / "out", layout="parquet")
    schema = pq.read_schema(next((place / "data").glob("train*")))
    assert [str(schema.field(name).type) for name in table.targets] == ["double", "string", "int64"]
    back = scan(place)  # the note in the file says which columns are labels
    assert back.targets == table.targets and set(back.groups) == set(table.groups)
    assert held(back, "marks") == held(table, "marks") and held(back, "label") == held(table, "label")
    given = {
        digest: cell and float(cell) for digest, cell in zip(table.digests, table.labels["size"], strict=True)
    }
    assert given == {
        digest: cell and float(cell) for digest, cell in zip(back.digests, back.labels["size"], strict=True)
    }


def test_the_datasets_library_reads_numbers_as_numbers(split_photos, tmp_path):
    datasets = pytest.importorskip("datasets")
    table = numbered(scan(split_photos))
    place, _ = written(table, tmp_path / "out", layout="parquet")
    loaded = datasets.load_dataset(str(place), cache_dir=str(tmp_path / "cache"))
    sizes = sorted(size for part in loaded.values() for size in part["size"] if size is not None)
    assert sizes == sorted(float(cell) for cell in table.labels["size"] if cell is not None)
    assert {mark for part in loaded.values() for mark in part["marks"]} == set(table.labels["marks"])


def test_a_note_that_is_none_is_passed_over(split_photos, tmp_path):
    import pyarrow.parquet as pq

    place, _ = written(numbered(scan(split_photos)), tmp_path / "out", layout="parquet")
    (path,) = (place / "data").glob("test*")
    for at, note in enumerate(
        (b"{", b"[]", b'{"targets": 3}', b'{"targets": [[1]]}', b'{"targets": ["gone"]}')
    ):
        whole = pq.read_table(path)
        copy = tmp_path / f"{at}.parquet"
        pq.write_table(whole.replace_schema_metadata({**whole.schema.metadata, b"headstart": note}), copy)
        assert scan(copy).targets == ("label",)


@pytest.mark.parametrize(
    "way",
    [("folders", "csv", "parquet", "coco", "imagefolder", "folders"), ("coco", "folders", "parquet", "csv")],
)
def test_from_layout_to_layout_nothing_is_lost(split_photos, tmp_path, way):
    table = scan(split_photos)
    for number, layout in enumerate(way):
        place, _ = written(table, tmp_path / f"{number}-{layout}", layout=layout)
        table = scan(place)
        assert not table.problems
    assert held(table) == held(scan(split_photos))


@pytest.mark.parametrize(
    ("layout", "name"),
    [("csv", "split"), ("imagefolder", "file_name"), ("imagefolder", "split"), ("parquet", "image")],
)
def test_a_label_column_with_a_name_of_the_layouts_own_is_refused(split_photos, tmp_path, layout, name):
    table = scan(split_photos)
    odd = replace(table, labels={name: table.labels["label"]})
    with pytest.raises(DataError, match=f"label column is called '{name}'"):
        written(odd, tmp_path / "out", layout=layout)
    assert not (tmp_path / "out").exists()


def test_links_lead_to_the_originals(split_photos, tmp_path):
    place, _ = written(scan(split_photos), tmp_path / "out", ways="symlink")
    links = list(place.rglob("*.jpg"))
    assert links and all(
        path.is_symlink() and path.resolve().is_relative_to(split_photos.resolve()) for path in links
    )
    assert held(scan(place)) == held(scan(split_photos))
    with pytest.raises(BadOptions, match="Parquet"):
        drafted(scan(split_photos), Recipe(layout="parquet", ways="symlink"))


def test_images_that_are_an_array_are_written_as_png(tmp_path):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (12, 8, 8, 3)).astype(np.uint8)
    np.savez(tmp_path / "a.npz", x_train=pixels, y_train=np.arange(12) % 3)
    table = scan(tmp_path / "a.npz")
    for layout in LAYOUTS:
        place, _ = written(table, tmp_path / layout, layout=layout)
        assert Counter(scan(place).labels["label"]) == {"0": 4, "1": 4, "2": 4}
    with pytest.raises(BadOptions, match="no files to link"):
        drafted(table, Recipe(ways="symlink"))


def test_a_folder_that_is_not_empty_or_lies_among_the_images_is_refused(split_photos, tmp_path):
    full = tmp_path / "full"
    full.mkdir()
    (full / "mine.txt").write_text("mine")
    draft = drafted(scan(split_photos), Recipe())
    with pytest.raises(DataError, match="not empty"):
        write_dataset(draft, full, Recipe())
    with pytest.raises(DataError, match="in the folder of the images"):
        write_dataset(draft, split_photos / "new", Recipe(), images=split_photos)
    assert [path.name for path in full.iterdir()] == ["mine.txt"]


def test_what_cannot_be_written_leaves_nothing_behind(tmp_path):
    photos = drawn(tmp_path / "photos")
    draft = drafted(scan(photos), Recipe())
    next(photos.rglob("001.jpg")).unlink()
    with pytest.raises(DataError, match="no longer there"):
        write_dataset(draft, tmp_path / "out", Recipe())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photos"]
    with new_folder(tmp_path / "out") as aside:
        assert aside.is_dir()


def test_two_sources_become_one(tmp_path, split_photos):
    other = drawn(tmp_path / "more", classes=("disc", "star"), n_per_class=3, seed=9)
    both = joined([scan(split_photos), scan(other)])
    assert len(both) == len(scan(split_photos)) + 6 and "star" in both.classes()
    assert all(both.item(row).is_file() for row in range(len(both)))
    place, _ = written(both, tmp_path / "out", layout="csv")
    assert held(scan(place)) == held(both)
    with pytest.raises(DataError, match="two of the sources"):
        joined([scan(other), scan(other)])


def test_parquet_says_its_features_as_the_datasets_library_does(split_photos, tmp_path):
    import pyarrow.parquet as pq

    place, _ = written(scan(split_photos), tmp_path / "out", layout="parquet")
    files = sorted(path.name for path in (place / "data").iterdir())
    assert files == [f"{split}-00000-of-00001.parquet" for split in ("test", "train", "validation")]
    schema = pq.read_schema(place / "data" / files[0])
    note = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
    assert note == {
        "image": {"_type": "Image"},
        "label": {"names": ["disc", "square", "stripes"], "_type": "ClassLabel"},
    }


def test_coco_has_the_fields_that_its_readers_need(split_photos, tmp_path):
    place, _ = written(scan(split_photos), tmp_path / "out", layout="coco")
    held_ = json.loads((place / "annotations" / "train.json").read_text())
    image, note = held_["images"][0], held_["annotations"][0]
    assert {"id", "file_name", "width", "height"} <= set(image) and (
        place / "images" / image["file_name"]
    ).is_file()
    assert note["bbox"] == [0, 0, image["width"], image["height"]] and note["image_id"] == image["id"]
    assert [each["id"] for each in held_["categories"]] == [1, 2, 3]
