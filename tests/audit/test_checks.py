"""Each check finds what is planted, and is silent on clean data."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from headstart.audit.balance import find_alike, find_imbalance, find_spellings
from headstart.audit.cues import area, find_cues
from headstart.audit.drift import find_drift
from headstart.audit.enough import find_too_few
from headstart.audit.files import find_bad_files
from headstart.audit.labels import find_label_errors, judge, label_quality, suspects
from headstart.audit.leakage import find_leakage
from headstart.audit.look import NUMBERS, Looks, look
from headstart.audit.quality import find_poor_images
from headstart.features.duplicates import Copies, Prints, joined
from headstart.images.scan import scan
from headstart.images.table import Problem
from headstart.testing.scenes import named_table, scenes_table, write_scenes

pytest.importorskip("cleanlab")


COLUMN = {"label": "classes"}


def clouds(n=600, k=3, apart=4.0, seed=0, d=24):
    """Features of k classes, and their labels."""
    rng = np.random.default_rng(seed)
    codes = np.arange(n) % k
    centres = apart * np.eye(k, d)
    return (centres[codes] + rng.normal(size=(n, d))).astype(np.float32), [f"class {code}" for code in codes]


def fine(n):
    return np.ones(n, bool)


def judged_of(features, labels, clusters=None):
    n = len(labels)
    found = judge(features, labels, np.arange(n) if clusters is None else clusters, ok=fine(n))
    assert not isinstance(found, str)
    return found


# ---- labels -----------------------------------------------------------------------------------------------------


def test_wrong_labels_lead_the_ranking_and_are_counted():
    features, labels = clouds(apart=6.0)
    rng = np.random.default_rng(1)
    wrong = rng.choice(600, 30, replace=False)
    given = list(labels)
    for row in wrong.tolist():
        given[row] = f"class {(int(labels[row][-1]) + 1 + int(rng.integers(2))) % 3}"
    judged = judged_of(features, given)
    first = judged.rows[np.argsort(label_quality(judged.probabilities, judged.codes))][:42]
    assert np.isin(wrong, first).mean() >= 0.8
    (finding,) = find_label_errors(named_table(given), judged, suspects(judged))
    assert finding.severity in ("medium", "high") and finding.facts["low"] <= 0.05 <= finding.facts["high"]
    assert all(finding.suggest[row] == labels[row] for row in set(finding.rows) & set(wrong.tolist()))
    assert finding.leave_out == ()  # without splits nothing is left out: it would flatter the later test


@pytest.mark.parametrize("apart", [2.5, 4.0, 6.0])
def test_right_labels_are_left_alone_though_classes_overlap(apart):
    features, labels = clouds(n=900, apart=apart)
    judged = judged_of(features, labels)
    assert find_label_errors(named_table(labels), judged, suspects(judged)) == []


def test_suspects_of_train_alone_are_left_out_of_a_mended_table():
    features, labels = clouds()
    given = [labels[(row + 1) % 600] if row < 40 else label for row, label in enumerate(labels)]
    splits = ["train" if row % 2 else "test" for row in range(600)]
    judged = judged_of(features, given)
    (finding,) = find_label_errors(named_table(given, splits), judged, suspects(judged))
    assert finding.leave_out and all(splits[row] == "train" for row in finding.leave_out)
    assert any(splits[row] == "test" for row in finding.rows)


def test_a_copy_never_vouches_for_its_own_wrong_label():
    features, labels = clouds(n=300)
    features = np.concatenate([features, features[:30]])
    given = [*labels, *labels[:30]]
    for row in (*range(30), *range(300, 330)):
        given[row] = "class 2" if labels[row % 300] != "class 2" else "class 0"
    clusters = np.concatenate([np.arange(300), np.arange(30)])
    parted = label_quality(*(lambda j: (j.probabilities, j.codes))(judged_of(features, given)))
    whole = label_quality(*(lambda j: (j.probabilities, j.codes))(judged_of(features, given, clusters)))
    assert whole[:30].mean() < parted[:30].mean()


def test_ten_thousand_classes_are_one_finding_and_not_judged():
    table = named_table([f"class {row}" for row in range(10_000)])
    (finding,) = find_imbalance(table, "label")
    assert finding.kind == "many_classes" and "10,000 classes" in finding.message
    many = [f"class {row // 4}" for row in range(8_000)]
    assert "at most 1,000 classes" in judge(
        np.zeros((8_000, 2), np.float32), many, np.arange(8_000), ok=fine(8_000)
    )


# ---- classes ----------------------------------------------------------------------------------------------------


def test_equal_classes_are_no_finding():
    assert find_imbalance(named_table(["a", "b"] * 50), "label") == []


def test_tiny_unequal_and_absent_classes_are_named():
    labels = ["a"] * 400 + ["b"] * 20 + ["c"] * 2 + ["d"] * 12
    splits = ["train"] * 422 + ["test"] * 12
    kinds = {each.kind: each for each in find_imbalance(named_table(labels, splits), "label")}
    assert set(kinds) == {"tiny_classes", "imbalance", "absent_classes"}
    assert kinds["tiny_classes"].severity == "high" and kinds["tiny_classes"].leave_out == (420, 421)
    assert "33 times" in kinds["imbalance"].message and "1 class of" in kinds["absent_classes"].message


@pytest.mark.parametrize(
    ("one", "other"),
    [("T-Shirt", "t shirt"), ("Hat", "hat"), ("long_sleeve", "Long Sleeve"), ("tshirt", "t-shirt")],
)
def test_labels_that_differ_in_spelling_alone_are_to_be_merged(one, other):
    (finding,) = find_spellings(named_table([one] * 5 + [other] * 3 + ["shoe"] * 4), "label")
    assert finding.rename == {other: one} and len(finding.rows) == 3


def test_different_words_are_not_merged():
    assert find_spellings(named_table(["hat", "hats", "shoe", "-", "_"]), "label") == []
    assert find_spellings(named_table(["-1", "1", "10-1", "101"] * 10), "label") == []


def test_classes_that_are_the_same_cannot_be_told_apart():
    features, labels = clouds(n=600, k=3)
    rng = np.random.default_rng(3)
    given = [
        label if label != "class 2" else str(rng.choice(["class 2", "class 2 again"])) for label in labels
    ]
    (finding,) = find_alike(judged_of(features, given))
    assert "'class 2' and 'class 2 again'" in finding.message and finding.facts["n_pairs"] == 1
    assert find_alike(judged_of(features, labels)) == []


# ---- looks ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    return scenes_table(tmp_path_factory.mktemp("clean"), 120)


def changed(table, tmp_path, rows, change):
    """The table with some images changed, in a folder of its own."""
    for row, path in enumerate(table.paths):
        place = tmp_path / path
        place.parent.mkdir(parents=True, exist_ok=True)
        image = Image.open(table.item(row)).convert("RGB")
        (change(image) if row in rows else image).save(place, quality=92)
    return scan(tmp_path)


def test_clean_scenes_have_neither_poor_images_nor_cues(clean):
    looks = look(clean)
    assert find_poor_images(clean, looks) == [] and looks.problems == ()
    assert find_cues(clean, looks, "label")[0] == []


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("dark", lambda image: ImageEnhance.Brightness(image).enhance(0.08)),
        ("bright", lambda image: Image.eval(image, lambda x: 235 + x // 13)),
        ("blank", lambda image: Image.new("RGB", image.size, (90, 90, 90))),
        ("blurred", lambda image: image.filter(ImageFilter.GaussianBlur(5))),
        ("small", lambda image: image.resize((28, 21))),
        ("odd_shape", lambda image: image.resize((400, 100))),
    ],
)
def test_poor_images_are_named_and_no_others(clean, tmp_path, kind, change):
    rows = {3, 40, 77}
    table = changed(clean, tmp_path, rows, change)
    (finding,) = find_poor_images(table, look(table))
    assert finding.kind == kind and set(finding.rows) == rows


def test_a_border_of_one_pixel_on_one_class_is_a_cue(clean, tmp_path):
    rows = {row for row, label in enumerate(clean.labels["label"]) if label == "b"}
    table = changed(clean, tmp_path, rows, lambda image: ImageOps.expand(ImageOps.crop(image, 1), 1, "white"))
    found, _ = find_cues(table, look(table), "label")
    assert "cue_border" in {each.kind for each in found}


def test_a_class_in_dark_images_only_is_a_cue(clean, tmp_path):
    rows = {row for row, label in enumerate(clean.labels["label"]) if label == "b"}
    table = changed(clean, tmp_path, rows, lambda image: ImageEnhance.Brightness(image).enhance(0.3))
    found, areas = find_cues(table, look(table), "label")
    cues = {each.kind: each for each in found}
    assert "cue_brightness" in cues and areas["brightness"] > 0.98
    assert (
        cues["cue_brightness"].severity == "medium"
    )  # 'b' and 'a' are far from each other, both of other light
    assert (
        "'b' is" in cues["cue_brightness"].message
        and "grey levels of 255 darker" in cues["cue_brightness"].message
    )
    assert cues["cue_brightness"].facts["brighter"]["b"] < -50


def test_brightness_that_is_what_a_class_looks_like_is_worth_knowing_and_no_more():
    """Contrast tells a class of textiles at an area of 1.00, at the same brightness; so may a little more light."""
    n = 120
    rng = np.random.default_rng(0)
    own = np.arange(n) % 2
    labels = ["ab"[code] for code in own]
    severities = {}
    for what, by in (("contrast", 0.0), ("light", 30.0), ("far", 70.0)):
        looks = looks_of(n, rng)
        looks.numbers["contrast"][:] = 20 + 30 * own * (what == "contrast") + rng.normal(size=n)
        looks.numbers["brightness"][:] = 120 + by * own + 3 * rng.normal(size=n)
        (finding,) = find_cues(named_table(labels), looks, "label")[0]
        assert finding.kind == "cue_brightness" and finding.facts["low"] > 0.98
        severities[what] = finding.severity
    assert severities == {"contrast": "low", "light": "low", "far": "medium"}
    looks = looks_of(n, rng)
    looks.numbers["sharpness"][:] = own + 0.1 * rng.normal(size=n)
    assert [each.severity for each in find_cues(named_table(labels), looks, "label")[0]] == ["low"]


def test_what_tells_one_video_from_another_is_no_cue_but_what_tells_the_classes_of_new_videos_is():
    rng = np.random.default_rng(0)
    video = np.repeat(np.arange(16), 20)
    labels = [("a", "b")[at % 2] for at in video]
    looks = looks_of(len(video), rng)
    looks.numbers["sharpness"][:] = 2000 * rng.permutation(16)[video] + rng.normal(size=len(video))
    alone = find_cues(named_table(labels), looks, "label")[0]
    assert [each.kind for each in alone] == ["cue_sharpness"]
    groups = [f"video {at}" for at in video]
    found, areas = find_cues(named_table(labels, groups=groups), looks, "label")
    assert found == [] and areas["sharpness"] < 0.8, areas
    looks.numbers["sharpness"][:] += 40_000 * (video % 2)
    (finding,) = find_cues(named_table(labels, groups=groups), looks, "label")[0]
    assert finding.kind == "cue_sharpness" and finding.facts["area"] > 0.98
    of_one = ["one video" if label == "a" else group for label, group in zip(labels, groups, strict=True)]
    assert find_cues(named_table(labels, groups=of_one), looks, "label")[0], "no fold can part it from itself"


def looks_of(n, rng):
    """Looks at n images of one size that tell nothing of any label."""
    numbers = {name: rng.normal(100, 5, n).astype(np.float32) for name in NUMBERS}
    for name in ("height", "width", "bytes"):
        numbers[name] = np.full(n, 200, np.float32)
    prints = Prints.empty(n)
    prints.ok[:] = True
    return Looks(prints, numbers, np.zeros((n, 16), np.float32), ("",) * n, ())


def test_a_camera_of_its_own_is_a_cue(tmp_path):
    folder = write_scenes(tmp_path, 90)
    for path in folder.rglob("*.jpg"):
        exif = Image.Exif()
        exif[0x010F], exif[0x0110] = ("Canon", "A\0B") if path.parent.name == "a" else ("Nikon", "C")
        Image.open(path).save(path, exif=exif, quality=92)
    table = scan(folder)
    looks = look(table)
    found, _ = find_cues(table, looks, "label")
    assert set(looks.cameras) == {"Canon A", "Nikon C"} or all("\0" not in each for each in looks.cameras)
    assert "cue_camera" in {each.kind for each in found}


def test_areas_under_the_curve_are_scikit_learns():
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(0)
    own, scores = rng.random(200) < 0.3, np.round(rng.normal(size=200), 1)
    assert area(scores, own) == pytest.approx(roc_auc_score(own, scores))


# ---- splits -----------------------------------------------------------------------------------------------------


def test_splits_of_one_kind_do_not_drift_and_others_do():
    features, labels = clouds(n=600)
    splits = np.array(["test" if row % 4 == 3 else "train" for row in range(600)])
    table, clusters = named_table(labels, splits.tolist()), np.arange(600)
    assert find_drift(table, features, fine(600), clusters, COLUMN)[0] == []
    moved = features.copy()
    moved[splits == "test", 10] += 3
    (finding,) = find_drift(table, moved, fine(600), clusters, COLUMN)[0]
    assert finding.kind == "drift" and finding.severity == "high" and finding.facts["area"] > 0.9


def test_other_shares_of_classes_are_no_drift_of_images():
    features, labels = clouds(n=900)
    rng = np.random.default_rng(0)
    splits = ["test" if rng.random() < (0.6 if label == "class 0" else 0.1) else "train" for label in labels]
    found, _ = find_drift(named_table(labels, splits), features, fine(900), np.arange(900), COLUMN)
    assert [each.kind for each in found] == ["class_shares"]


def test_a_curve_that_still_rises_is_told_and_a_flat_one_is_not():
    easy, labels = clouds(n=600, apart=9.0)
    assert find_too_few(judged_of(easy, labels))[0] == []
    rng = np.random.default_rng(0)
    codes = np.arange(900) % 30
    hard = (2.2 * rng.normal(size=(30, 200))[codes] + 7 * rng.normal(size=(900, 200))).astype(np.float32)
    found, facts = find_too_few(judged_of(hard, [str(code) for code in codes]))
    assert facts["accuracy"] == sorted(facts["accuracy"]) and len(found) == 1 and found[0].kind == "too_few"


def copies_of(pairs, n):
    pairs = np.array(pairs, np.int64).reshape(-1, 2)
    return Copies(pairs, np.ones(len(pairs), np.float32), ("near",) * len(pairs), joined(pairs, n), 0.9, 10)


def test_copies_are_told_apart_by_splits_and_labels():
    labels = ["a", "a", "b", "a", "b", "b", "a", "a"]
    splits = ["train", "test", "train", "train", "train", "train", "validation", "test"]
    table = named_table(labels, splits)
    found = {each.kind: each for each in find_leakage(table, copies_of([(0, 1), (2, 3), (4, 5)], 8), COLUMN)}
    assert set(found) == {"leakage", "conflict", "copies"}
    assert found["leakage"].groups == ((0, 1),) and found["leakage"].leave_out == (0,)
    assert found["conflict"].leave_out == (2, 3) and found["copies"].leave_out == (5,)


def test_without_copies_there_is_no_finding():
    assert find_leakage(named_table(["a", "b"]), copies_of([], 2), COLUMN) == []


def test_the_split_that_is_judged_on_last_keeps_its_image():
    table = named_table(["a"] * 3, ["test", "validation", "train"])
    (finding,) = find_leakage(table, copies_of([(0, 1), (1, 2)], 3), COLUMN)
    assert set(finding.leave_out) == {1, 2}


def test_bad_files_are_sorted_by_what_is_wrong():
    table = replace(
        named_table(["a"] * 5),
        problems=(
            Problem("x.jpg", "no such image file (labels.csv row 7)"),
            Problem("y.jpg", "not named in labels.csv"),
            Problem("z.jpg", "named twice with different labels: a and b"),
        ),
    )
    found = {each.kind: each for each in find_bad_files(table, [Problem("2.jpg", "truncated")])}
    assert set(found) == {"missing", "not_named", "two_labels", "unreadable"}
    assert found["unreadable"].leave_out == (2,) and found["two_labels"].severity == "high"
    assert find_bad_files(named_table(["a"]), []) == []
