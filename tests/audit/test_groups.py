"""Images of one group (a patient, a video) vouch for nothing about each other, and groups across splits are told."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from headstart.audit.drift import find_drift
from headstart.audit.enough import find_too_few
from headstart.audit.labels import judge, suspects
from headstart.audit.leakage import find_parted_groups
from headstart.audit.run import audit
from headstart.testing.scenes import named_table, scenes_table

pytest.importorskip("cleanlab")
N_VIDEOS, FRAMES = 60, 10


def videos(seed=0, spread=3.0, apart=2.0, d=100):
    """Features of frames, whose videos lie far from each other, and the classes and numbers of the videos."""
    rng = np.random.default_rng(seed)
    video = np.repeat(np.arange(N_VIDEOS), FRAMES)
    codes = video % 2
    centres = spread * rng.normal(size=(N_VIDEOS, d))[video] + apart * np.eye(2, d)[codes]
    features = (centres + 0.3 * rng.normal(size=(len(video), d))).astype(np.float32)
    return features, [f"class {code}" for code in codes], video


def judged_of(features, labels, groups):
    found = judge(features, labels, groups, ok=np.ones(len(labels), bool))
    assert not isinstance(found, str), found
    return found


def test_frames_of_a_video_do_not_vouch_for_each_others_wrong_label():
    features, labels, video = videos(spread=0.5, apart=14.0)
    given = ["class 1" if at == 4 else label for at, label in zip(video, labels, strict=True)]
    wrong = np.flatnonzero(video == 4)
    alone = judged_of(features, given, np.arange(len(given)))
    whole = judged_of(features, given, video)
    assert not np.isin(wrong, alone.rows[suspects(alone)]).any()
    assert np.isin(wrong, whole.rows[suspects(whole)]).all()


def test_a_judge_that_keeps_groups_whole_is_as_good_as_on_new_groups():
    features, labels, video = videos(apart=0.0)
    assert judged_of(features, labels, np.arange(len(labels))).accuracy > 0.9
    assert judged_of(features, labels, video).accuracy < 0.7


def test_a_class_of_one_group_is_not_judged_for_no_other_group_knows_it():
    features, labels, video = videos(apart=8.0)
    given = ["rare" if at == 3 else label for at, label in zip(video, labels, strict=True)]
    judged = judged_of(features, given, video)
    assert judged.classes == ("class 0", "class 1") and 30 not in judged.rows
    said = judge(features, [f"class {at % 6}" for at in video], video % 6, ok=np.ones(len(video), bool))
    assert said == "it takes two classes of 4 readable images or more in two groups or more; there are 0"


def test_what_tells_one_video_from_another_is_no_drift():
    features, labels, video = videos()
    table = named_table(labels, ["test" if at % 10 > 7 else "train" for at in video])
    fine, columns = np.ones(len(video), bool), {"label": "classes"}
    alone, _ = find_drift(table, features, fine, np.arange(len(video)), columns)
    assert [(each.kind, each.severity) for each in alone] == [("drift", "high")]
    assert find_drift(table, features, fine, video, columns)[0] == []
    moved = features + 12 * np.eye(1, 100, 20) * (video % 10 > 7)[:, None]
    (finding,) = find_drift(table, moved.astype(np.float32), fine, video, columns)[0]
    assert finding.kind == "drift" and finding.facts["area"] > 0.8


def test_drift_from_a_split_of_one_video_cannot_be_told():
    features, labels, video = videos()
    table = named_table(labels, ["test" if at < 2 else "train" for at in video])
    found, facts = find_drift(
        table, features, np.ones(len(video), bool), np.where(video < 2, 0, video), {"label": "classes"}
    )
    assert found == [] and "test_area" not in facts


def test_a_learning_curve_takes_whole_videos():
    features, labels, video = videos(apart=0.0)
    _, inflated = find_too_few(judged_of(features, labels, np.arange(len(labels))))
    _, facts = find_too_few(judged_of(features, labels, video))
    assert inflated["accuracy"][-1] > 0.9 and facts["accuracy"][-1] < 0.7
    few = find_too_few(judged_of(features, labels, video % 6))[1]
    assert few == {"skipped": "fewer than 12 groups of images"}


def parted_table():
    """Patient p has images in train and test, q in validation and test, r in train alone, s in test alone."""
    groups = ["p"] * 3 + ["q"] * 4 + ["r"] * 20 + ["s"] * 20
    splits = ["train", "train", "test", "validation", "test", "test", "test"] + ["train"] * 20 + ["test"] * 20
    return named_table(["a", "b"] * 23 + ["a"], splits, groups)


def test_groups_across_splits_are_a_finding_with_its_images_and_the_command_that_mends_it():
    (finding,) = find_parted_groups(parted_table())
    assert finding.kind == "parted_groups" and finding.severity == "high" and finding.check == "duplicates"
    assert finding.message.startswith(
        "2 groups have images in several splits: 5 images of validation and test (20"
    )
    assert finding.rows == (3, 4, 5, 6, 2) and finding.groups == ((3, 4, 5), (0, 1, 2))
    assert finding.details == (("q", "validation 1, test 3"), ("p", "train 2, test 1"))
    assert finding.remarks[4] == "test, q" and finding.leave_out == ()
    given = (("--group-column", "patient"), ("--seed", "3"))
    assert (
        finding.command("x.csv", given)
        == "headstart split x.csv --group patient --seed 3 --anew --out split.csv"
    )


def test_groups_within_a_split_and_tables_without_groups_are_no_finding():
    table = parted_table()
    assert find_parted_groups(table.select(list(range(7, 47)))) == []
    assert find_parted_groups(replace(table, groups=None)) == []
    assert find_parted_groups(replace(table, splits=None)) == []


def test_an_audit_keeps_the_groups_of_its_table_whole(tmp_path):
    table = scenes_table(tmp_path, 60)
    video = np.arange(60) % 12
    rng = np.random.default_rng(0)
    features = (4 * rng.normal(size=(12, 40))[video] + 0.2 * rng.normal(size=(60, 40))).astype(np.float32)
    labels = {"label": tuple("ab"[at % 2] for at in video)}
    groups = tuple(f"v{at}" for at in video)
    plain, grouped = (
        audit(replace(table, labels=labels, groups=each), only=("duplicates", "labels"), features=features)
        for each in (None, groups)
    )
    accuracies = [
        next(each.facts["accuracy"] for each in found.checked if each.check == "labels")
        for found in (plain, grouped)
    ]
    assert accuracies[0] > 0.95 and accuracies[1] < 0.8
    assert not plain.of("parted_groups") and len(grouped.of("parted_groups")[0].details) == 12


def test_splits_that_differ_in_light_alone_are_told_apart_by_it():
    rng = np.random.default_rng(0)
    n = 200
    table = named_table(["a", "b"] * (n // 2), ["train" if at < 140 else "test" for at in range(n)])
    space = rng.normal(size=(n, 20)).astype(np.float32)
    light = rng.normal(100, 10, size=(n, 2)).astype(np.float32)
    given = (np.ones(n, bool), np.arange(n), {"label": "classes"})
    assert find_drift(table, space, *given, light=light)[0] == []
    light[140:, 0] -= 50
    light[3] = np.nan  # cannot be read
    given[0][3] = False
    assert find_drift(table, space, *given)[0] == []
    (finding,) = find_drift(table, space, *given, light=light)[0]
    assert finding.severity == "high" and finding.facts["area"] > 0.95
