"""Label columns of every kind, and several at once: what is looked at, what is not and why, and who is named."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from headstart.audit.mend import write_mended
from headstart.audit.run import audit
from headstart.report.audit_page import audit_document
from headstart.testing.scenes import named_table, scenes_table

pytest.importorskip("cleanlab")
OF_CLASSES = ("labels", "balance", "cues", "enough")


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    return scenes_table(tmp_path_factory.mktemp("scenes"), 60)


def drawn(n=60, d=8):
    return np.random.default_rng(0).normal(size=(n, d)).astype(np.float32)


def with_columns(table, **columns):
    return replace(table, labels={name: tuple(cells) for name, cells in columns.items()})


def ages(n=60):
    return [f"{age:.3f}" for age in np.random.default_rng(1).uniform(1, 90, n)]


def test_numbers_are_no_classes_and_it_is_said_why(scenes):
    table = with_columns(scenes, age=ages())
    found = audit(table, only=(*OF_CLASSES, "duplicates", "drift"), features=drawn())
    assert [each.kind for each in found.findings if each.column] == []
    skipped = {each.check: each.skipped for each in found.checked}
    assert all(skipped[check].startswith("column 'age' is of numbers") for check in OF_CLASSES)
    assert skipped["duplicates"] == skipped["drift"] == ""


def test_a_kind_that_is_told_goes_before_what_cells_look_like(scenes):
    table = with_columns(scenes, grade=[str(row % 4) for row in range(60)])
    assert audit(table, only=("balance",), features=drawn()).checked[0].skipped == ""
    told = audit(table, only=("balance",), features=drawn(), kinds={"grade": "number"})
    assert "is of numbers" in told.checked[0].skipped


def test_each_label_of_a_cell_is_counted_for_itself(scenes):
    cells = ["dirt;scratch" if row % 2 else "dirt" for row in range(60)]
    cells[0], cells[1], cells[2] = "Dirt", "scratch; dent", "dirt;dent;lost"
    found = audit(with_columns(scenes, marks=cells), only=OF_CLASSES, features=drawn())
    kinds = {each.kind: each for each in found.findings}
    assert "'dent' (2)" in kinds["tiny_classes"].message and kinds["tiny_classes"].leave_out == ()
    assert kinds["spellings"].rename == {"Dirt": "dirt"} and kinds["spellings"].rows == (0,)
    assert "3 labels of the other splits are absent" in kinds["absent_classes"].message
    assert kinds["absent_classes"].rows == (0, 1, 2) and kinds["absent_classes"].leave_out == ()
    assert "many_classes" not in kinds
    skipped = {each.check: each.skipped for each in found.checked}
    assert all("holds sets of labels" in skipped[check] for check in ("labels", "cues", "enough"))


def test_a_mended_table_spells_labels_alike_within_cells(scenes, tmp_path):
    cells = ["dirt;scratch"] * 50 + ["scratch;Dirt"] * 10
    found = audit(with_columns(scenes, marks=cells), only=("balance",), features=drawn())
    made = write_mended(found, tmp_path / "mended.csv")
    text = (tmp_path / "mended.csv").read_text()
    assert made.n_renamed == 10 and "scratch;dirt" in text and "Dirt" not in text


def test_every_label_column_is_looked_at_and_findings_name_theirs(scenes, tmp_path):
    colours = ["red", "blue"] * 28 + ["Red"] * 4
    table = with_columns(scenes, label=scenes.labels["label"], colour=colours, age=ages())
    found = audit(table, only=OF_CLASSES, features=drawn())
    assert found.targets == ("label", "colour", "age")
    assert {(each.check, each.column) for each in found.checked} == {
        (check, name) for check in OF_CLASSES for name in found.targets
    }
    (spelt,) = found.of("spellings")
    assert spelt.column == "colour" and spelt.message.startswith("colour: 1 class is spelt")
    assert "--target colour" in found.mending(spelt)
    blocks = [block for section in audit_document(found).sections for block in section.blocks]
    anchors = [block.id for block in blocks if block.kind in ("table", "gallery")]
    assert len(anchors) == len(set(anchors))
    write_mended(found, tmp_path / "mended.csv")
    assert "Red" not in (tmp_path / "mended.csv").read_text()
    assert audit(table, only=OF_CLASSES, target="label", features=drawn()).of("spellings") == ()


def test_the_whole_ranking_of_labels_is_told_the_most_suspect_first(scenes):
    labels = ["ab"[row % 2] for row in range(60)]
    features = (6 * np.eye(2, 8)[np.arange(60) % 2] + drawn()).astype(np.float32)
    labels[7], labels[20] = "a", None
    found = audit(with_columns(scenes, label=labels), only=("labels", "quality"), features=features)
    ranking = {each.check: each.ranking for each in found.checked}
    assert ranking["quality"] == () and len(ranking["labels"]) == 59
    first = ranking["labels"][0]
    assert (first.row, first.label, first.rather) == (7, "a", "b") and first.quality < 0.5 < first.probability
    qualities = [each.quality for each in ranking["labels"]]
    assert qualities == sorted(qualities)
    told = found.to_dict(ranking=True)["checked"]
    by_check = {each["check"]: each["ranking"] for each in told}
    assert by_check["labels"][0]["path"] == scenes.paths[7] and by_check["quality"] == []
    assert all("ranking" not in each for each in found.to_dict()["checked"])


def test_named_labels_of_the_ranking_are_those_of_the_finding(scenes):
    from headstart.audit.labels import judge, ranked, suspects

    codes = np.arange(300) % 2
    features = (6 * np.eye(2, 8)[codes] + drawn(300)).astype(np.float32)
    labels = ["ba"[code] if row < 20 else "ab"[code] for row, code in enumerate(codes)]
    judged = judge(features, labels, np.arange(300), ok=np.ones(300, bool))
    named = suspects(judged)
    ranking = ranked(judged, named)
    assert [each.row for each in ranking if each.named] == judged.rows[named].tolist() and len(named) >= 15


def test_copies_contradict_each_other_in_any_column_of_classes():
    from headstart.audit.leakage import find_leakage
    from headstart.features.duplicates import Copies, joined

    pairs = np.array([[0, 1], [2, 3], [4, 5]])
    copies = Copies(pairs, np.ones(3, np.float32), ("near",) * 3, joined(pairs, 6), 0.9, 10)
    table = with_columns(
        named_table(["a"] * 6), label=["a"] * 6, colour=["x", "y", "x", "x", "x", "x"],
        marks=["p;q", "p;q", "p;q", "q; p", "p", "q;p"], age=["1.5", "2.5"] * 3,
    )  # fmt: skip
    columns = {"label": "classes", "colour": "classes", "marks": "labels", "age": "number"}
    found = find_leakage(table, copies, columns)
    assert [(each.kind, each.column, each.groups) for each in found] == [
        ("conflict", "colour", ((0, 1),)), ("conflict", "marks", ((4, 5),)), ("copies", "", ((2, 3),)),
    ]  # fmt: skip


def test_numbers_that_drift_are_told_by_their_fifths():
    from headstart.audit.drift import find_drift

    rng = np.random.default_rng(0)
    splits = ["test" if row % 3 == 0 else "train" for row in range(300)]
    cells = [f"{rng.uniform(0, 10) + 8 * (split == 'test'):.3f}" for split in splits]
    table = with_columns(named_table(["a"] * 300, splits), age=cells)
    space = rng.normal(size=(300, 8)).astype(np.float32)
    found, _ = find_drift(table, space, np.ones(300, bool), np.arange(300), {"age": "number"})
    assert [(each.kind, each.column) for each in found] == [("class_shares", "age")]
    assert "fifth" in found[0].message
