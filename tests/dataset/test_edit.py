"""Classes renamed, merged and left out; images balanced and sampled: what stays is what the plan said."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.base.errors import BadOptions, DataError, UnknownName
from headstart.dataset.build import Recipe, drafted
from headstart.dataset.classes import check_classes
from headstart.dataset.edit import Edits, balance_plan, edited
from headstart.dataset.odd import odd_labels
from headstart.images.spelling import alike
from headstart.images.table import ImageTable, Problem


def table(labels, *, splits=None, digests=None, problems=()):
    n = len(labels)
    return ImageTable(
        "t",
        "",
        tuple(f"{at}.jpg" for at in range(n)),
        tuple(digests or (f"{at:032x}" for at in range(n))),
        {"label": tuple(labels)},
        splits=splits,
        problems=tuple(problems),
    )


def counts(made):
    return dict(Counter(made.labels["label"]))


def test_rename_and_merge():
    made, _ = edited(table("aabbc"), Edits(rename={"a": "x", "b": "x"}))
    assert counts(made) == {"x": 4, "c": 1}


def test_keep_and_drop_go_by_the_new_names():
    assert counts(edited(table("aabbc"), Edits(rename={"a": "x"}, keep=("x",)))[0]) == {"x": 2}
    assert counts(edited(table("aabbc"), Edits(drop=("a", "c")))[0]) == {"b": 2}


@pytest.mark.parametrize(
    "edits, error, said",
    [
        (Edits(rename={"z": "x"}), UnknownName, "'z'"),
        (Edits(rename={"a": " "}), BadOptions, "no name"),
        (Edits(keep=("a",), drop=("b",)), BadOptions, "without drop"),
        (Edits(drop=("a", "b", "c")), DataError, "nothing is left"),
        (Edits(balance="least"), BadOptions, "smallest"),
        (Edits(balance=0), BadOptions, "at least 1"),
    ],
)
def test_wrong_edits_are_refused(edits, error, said):
    with pytest.raises(error, match=said):
        edited(table("aabbc"), edits)


def test_the_balance_says_who_lacks_how_many_before_anything_is_left_out():
    heard = []
    made, plan = edited(table("aaaaabbbc"), Edits(balance="median"), told=heard.append)
    assert heard == [plan] and plan.goal == 3
    assert [(each.name, each.n, each.n_kept, each.n_lacking) for each in plan.classes] == [
        ("c", 1, 1, 2),
        ("b", 3, 3, 0),
        ("a", 5, 3, 0),
    ]
    assert counts(made) == {"a": 3, "b": 3, "c": 1}


def test_balancing_leaves_validation_and_test_as_they_are():
    splits = ("train",) * 6 + ("test",) * 4
    made, plan = edited(table("aaaabbaaab", splits=splits), Edits(balance="smallest"))
    assert plan.split == "train"
    assert Counter(zip(made.labels["label"], made.splits, strict=True)) == {
        ("a", "train"): 2, ("b", "train"): 2, ("a", "test"): 3, ("b", "test"): 1,
    }  # fmt: skip


labels = st.lists(st.sampled_from("abcd"), min_size=1, max_size=60)


@settings(deadline=None)
@given(labels, st.sampled_from(["smallest", "median", "largest", 1, 3, 50]), st.integers(0, 3))
def test_what_is_kept_is_what_the_plan_says(given_labels, rule, seed):
    before = table(given_labels)
    plan = balance_plan(before, "label", rule)
    made, _ = edited(before, Edits(balance=rule, seed=seed))
    assert counts(made) == {each.name: each.n_kept for each in plan.classes}
    assert all(each.n_kept + each.n_lacking == plan.goal or each.n > plan.goal for each in plan.classes)
    assert set(made.digests) <= set(before.digests) and len(set(made.digests)) == len(made)


@settings(deadline=None)
@given(labels, st.integers(1, 70), st.integers(0, 3), st.randoms())
def test_a_sample_keeps_shares_to_within_one_and_depends_on_content_alone(given_labels, size, seed, random):
    before = table(given_labels)
    made, _ = edited(before, Edits(sample=size, seed=seed))
    assert len(made) == min(size, len(before))
    whole = Counter(given_labels)
    for name, n in Counter(made.labels["label"]).items():
        assert abs(n - len(made) * whole[name] / len(before)) < 1
    order = list(range(len(before)))
    random.shuffle(order)
    again, _ = edited(before.select(order), Edits(sample=size, seed=seed))
    assert set(again.digests) == set(made.digests)


def test_spellings_contradictions_and_tiny_classes_are_findings():
    odd = table(
        ["Cat", "cat ", "cat ", "T-Shirt", "t shirt", "x"],
        digests=[f"{at:032x}" for at in (0, 1, 2, 3, 3, 5)],
        problems=[Problem("none.jpg", "no such image file"), Problem("b.jpg", "not named in labels.csv")],
    )
    found = {each.kind: str(each) for each in odd_labels(odd)}
    assert set(found) == {"left_out", "spelling", "contradiction", "repeated", "single"}
    assert "no such image file" in found["left_out"] and "not named in labels.csv" in found["left_out"]
    assert "'Cat' (1) and 'cat ' (2)" in found["spelling"]
    assert "'T-Shirt'" in found["contradiction"]


def test_spellings_are_merged_into_the_most_frequent_when_asked_for():
    draft = drafted(table(["Cat", "cat", "cat", "dog"]), Recipe(merge_spellings=True))
    assert counts(draft.table) == {"cat": 3, "dog": 1} and "merged" in draft.steps[0]
    assert "spelling" not in {each.kind for each in draft.findings}


def test_what_an_audit_takes_for_spellings_is_merged_and_signs_are_not():
    draft = drafted(table(["tshirt", "t-shirt", "t-shirt", "-1", "1"]), Recipe(merge_spellings=True))
    assert counts(draft.table) == {"t-shirt": 3, "-1": 1, "1": 1}
    assert check_classes(["-1", "1"]) == ("-1", "1")


def test_once_keeps_one_copy_and_none_of_contradictory_ones():
    digests = [f"{at:032x}" for at in (0, 0, 1, 2, 2)]
    draft = drafted(table("aabab", digests=digests), Recipe(once=True))
    assert counts(draft.table) == {"a": 1, "b": 1} and "3 exact copies" in draft.steps[0]


def test_copies_of_which_one_lacks_a_label_are_no_contradiction():
    made = table("aabbcc", digests=[f"{at:032x}" for at in (0, 0, 1, 1, 2, 2)])
    given = {
        "kind": (None, "a", "b", None, None, None),
        "colour": ("red", "red", "blue", "green", "red", "blue"),
    }
    draft = drafted(replace(made, labels=given), Recipe(once=True, layout="csv"))
    assert draft.table.labels == {"kind": ("a", "b"), "colour": ("red", "blue")}


def test_images_without_a_label_are_of_no_class():
    made = table(["a", "a", "a", None, None, None, "b"])
    both = replace(made, labels={**made.labels, "other": ("x",) * 7})

    def edit(**edits):
        return Counter(drafted(both, Recipe(layout="csv", edits=Edits(**edits))).table.labels["label"])

    assert edit(per_class=1) == edit(balance="smallest") == {"a": 1, None: 3, "b": 1}
    assert edit(drop=("b",)) == {"a": 3, None: 3} and edit(keep=("b",)) == {"b": 1}


def test_images_without_a_label_are_left_out_aloud():
    draft = drafted(table(["a", None, "b"]), Recipe())
    assert len(draft.table) == 2 and "1 images have no label" in draft.findings[-1].message


def test_ten_thousand_classes_are_a_finding_not_a_crash():
    names = [f"k{at:05d}" for at in range(10_000)] * 2
    draft = drafted(table(names), Recipe(edits=Edits(balance="smallest")))
    assert len(draft.table) == 20_000 and "many_classes" in {each.kind for each in draft.findings}


@settings(deadline=None)
@given(st.lists(st.text(max_size=8), max_size=8))
def test_names_that_pass_are_clean_and_apart(names):
    try:
        made = check_classes(names)
    except BadOptions:
        return
    assert len(made) == len(names) >= 2 and alike(made) == []
    assert all(name and name == name.strip() and name.isprintable() for name in made)
