"""Splits and folds part no group, keep the shares of classes, and do not depend on the order of rows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.audit.inflation import measure_inflation
from headstart.base.errors import BadOptions
from headstart.base.events import collected_warnings
from headstart.features.duplicates import joined
from headstart.images.split import split_table
from headstart.images.split_whole import folds_whole, joined_groups, split_whole
from headstart.images.table import SPLITS
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


def test_a_column_of_numbers_is_split_by_its_quantiles_and_not_all_into_train():
    rng = np.random.default_rng(0)
    ages = rng.gamma(3, 10, 300)
    table = named_table([f"{age:.3f}" for age in ages])
    with collected_warnings() as said:
        splits = np.array(split_whole(table, np.arange(300), ratios=RATIOS, seed=0))
    assert [int((splits == name).sum()) for name in SPLITS] == [210, 45, 45] and said == []
    fifth = np.searchsorted(np.quantile(ages, [0.2, 0.4, 0.6, 0.8]), ages)
    for name, share in zip(SPLITS, RATIOS, strict=True):
        assert (np.abs(np.bincount(fifth[splits == name], minlength=5) - 60 * share) <= 1).all()
    drawn = np.array(split_table(table, seed=0).splits)
    assert [int((drawn == name).sum()) for name in SPLITS] == [180, 60, 60]


def test_cells_of_several_labels_are_stratified_by_each_label():
    rng = np.random.default_rng(0)
    has = rng.random((600, 8)) < [0.5, 0.4, 0.3, 0.3, 0.2, 0.2, 0.1, 0.05]
    table = named_table([";".join(f"t{at}" for at in np.flatnonzero(row)) or ";" for row in has])
    splits = np.array(split_whole(table, np.arange(600), ratios=RATIOS, seed=0))
    for name, share in zip(SPLITS, RATIOS, strict=True):
        assert abs((splits == name).mean() - share) < 0.01
        assert (np.abs(has[splits == name].sum(axis=0) - share * has.sum(axis=0)) <= 3).all()
    drawn = np.array(split_table(table, seed=0).splits)
    assert abs((drawn == "test").mean() - 0.2) < 0.01  # and not every rare combination in train


def test_a_split_that_ends_empty_is_told():
    table = named_table([f"name {row}" for row in range(40)])
    with collected_warnings() as said:
        splits = split_whole(table, np.arange(40), ratios=RATIOS, seed=0)
    assert set(splits) == {"train"}
    assert "no validation and no test images: column 'label' has a class of its own" in said[0]


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
    copies = joined(np.array([[5, 1], [2, 4]]), 6)
    assert np.array_equal(joined_groups(named_table(["a"] * 6), copies), copies)  # folds stay as they were


def test_a_random_split_is_shown_to_overstate_accuracy_where_groups_matter():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(60), 6)
    labels = [["a", "b"][group % 2] for group in groups]
    space = (3 * rng.normal(size=(60, 40))[groups] + 0.2 * rng.normal(size=(360, 40))).astype(np.float32)
    found = measure_inflation(named_table(labels), "label", space, groups, held=0.3)
    assert found is not None and found.low > 0.1 and found.naive > found.whole
    alone = measure_inflation(named_table(labels), "label", space, np.arange(360), held=0.3)
    assert alone is not None and alone.difference == 0


@pytest.mark.parametrize("metric", ["r2", "map"])
def test_numbers_and_labels_are_overstated_too_and_scored_by_their_own_figures(metric):
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(60), 6)
    value = rng.normal(size=60)[groups] + 0.1 * rng.normal(size=360)
    has = rng.random((60, 2))[groups] < 0.5
    numbers = [f"{each:.4f}" for each in value]
    marks = [";".join(name for name, own in zip("xy", row, strict=True) if own) or ";" for row in has]
    space = (3 * rng.normal(size=(60, 40))[groups] + 0.2 * rng.normal(size=(360, 40))).astype(np.float32)
    table = named_table(numbers if metric == "r2" else marks)
    found = measure_inflation(table, "label", space, groups, held=0.3)
    assert found is not None and (found.column, found.metric) == ("label", metric)
    assert found.low > 0.1 and found.naive > 0.3 and found.naive > found.whole
    told = np.column_stack([value if metric == "r2" else has[:, 0], has[:, 1]]).astype(np.float32)
    seen = np.concatenate([5 * told, 0.1 * rng.normal(size=(360, 4))], axis=1).astype(np.float32)
    honest = measure_inflation(table, "label", seen, groups, held=0.3)
    assert honest is not None and abs(honest.difference) < 0.05 and honest.whole > 0.85


def test_a_column_that_no_part_can_learn_is_not_measured_aloud():
    table = named_table(["a;b", "a", "b", ";"])
    with collected_warnings() as said:
        assert (
            measure_inflation(table, "label", np.zeros((4, 3), np.float32), np.zeros(4, int), held=0.3)
            is None
        )
    assert "label: what a random split would overstate is not measured: there are too few images" in said[-1]
    same = named_table(["a"] * 40)
    assert measure_inflation(same, "label", np.zeros((40, 3), np.float32), np.arange(40), held=0.3) is None
