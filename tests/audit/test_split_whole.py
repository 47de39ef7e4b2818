"""Splits and folds part no group, keep the shares of classes, and do not depend on the order of rows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.audit.inflation import measure_inflation
from headstart.base.errors import BadOptions
from headstart.images.split_whole import folds_whole, joined_groups, split_whole
from headstart.testing.scenes import named_table

RATIOS = (0.7, 0.15, 0.15)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 12)), min_size=6, max_size=120),
    st.integers(0, 5),
)
def test_no_group_is_ever_parted_and_every_class_can_be_learned(rows, seed):
    table = named_table([label for label, _ in rows])
    groups = np.unique([group for _, group in rows], return_inverse=True)[1]
    splits = np.array(split_whole(table, groups, ratios=RATIOS, seed=seed))
    assert all(len(set(splits[groups == group])) == 1 for group in np.unique(groups))
    learned = {label for (label, _), split in zip(rows, splits, strict=True) if split == "train"}
    assert learned == {label for label, _ in rows}


@settings(max_examples=20, deadline=None)
@given(st.lists(st.sampled_from("abc"), min_size=60, max_size=300), st.integers(0, 3))
def test_images_that_stand_alone_keep_the_shares_within_one_image(labels, seed):
    table = named_table(labels)
    splits = split_whole(table, np.arange(len(labels)), ratios=RATIOS, seed=seed)
    for label in set(labels):
        n = labels.count(label)
        for share, split in zip(RATIOS, ("train", "validation", "test"), strict=True):
            got = sum(a == label and b == split for a, b in zip(labels, splits, strict=True))
            assert abs(got - share * n) <= (2 if n < 12 else 1) + 1e-9


def test_a_split_depends_on_content_and_not_on_the_order_of_rows():
    rng = np.random.default_rng(0)
    labels = rng.choice(["a", "b"], 80).tolist()
    groups = rng.integers(0, 40, 80)
    table, order = named_table(labels), rng.permutation(80)
    one = split_whole(table, groups, ratios=RATIOS, seed=3)
    other = split_whole(table.select(order.tolist()), groups[order], ratios=RATIOS, seed=3)
    assert [one[row] for row in order] == list(other)
    assert one != split_whole(table, groups, ratios=RATIOS, seed=4)


def test_every_label_column_is_stratified():
    rng = np.random.default_rng(0)
    table = named_table(rng.choice(["a", "b"], 400).tolist())
    table.labels["other"] = tuple(rng.choice(["x", "y", "z"], 400, p=[0.7, 0.2, 0.1]).tolist())
    groups = np.arange(400) // 2
    fold = folds_whole(table, groups, 5, 0, range(400))
    for name in ("label", "other"):
        codes = np.unique(table.labels[name], return_inverse=True)[1]
        counts = np.array([np.bincount(codes[fold == k]) for k in range(5)])
        assert (np.abs(counts - counts.mean(axis=0)) <= 3).all()


def test_folds_hold_each_image_out_once_and_refuse_more_than_there_are_groups():
    table = named_table(["a", "b"] * 10)
    fold = folds_whole(table, np.arange(20), 4, 0, range(20))
    assert np.bincount(fold).tolist() == [5, 5, 5, 5]
    with pytest.raises(BadOptions, match="folds: 5 is outside"):
        folds_whole(table, np.arange(20) // 10, 5, 0, range(20))


def test_copies_and_given_groups_are_joined_in_chains():
    table = named_table(["a"] * 5, groups=["p", "p", "q", "r", "s"])
    found = joined_groups(table, np.array([0, 1, 1, 2, 3]))
    assert found[0] == found[1] == found[2] and len(set(found.tolist())) == 3
    assert joined_groups(named_table(["a"] * 3), None).tolist() == [0, 1, 2]


def test_a_random_split_is_shown_to_overstate_accuracy_where_groups_matter():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(60), 6)
    labels = [["a", "b"][group % 2] for group in groups]
    space = (3 * rng.normal(size=(60, 40))[groups] + 0.2 * rng.normal(size=(360, 40))).astype(np.float32)
    found = measure_inflation(named_table(labels), "label", space, groups, held=0.3)
    assert found is not None and found.low > 0.1 and found.naive > found.whole
    alone = measure_inflation(named_table(labels), "label", space, np.arange(360), held=0.3)
    assert alone is not None and alone.difference == 0
