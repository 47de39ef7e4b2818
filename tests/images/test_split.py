"""Splits are disjoint, complete, stratified, whole in groups, and hang on content and seed alone."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.base.errors import BadOptions
from headstart.base.events import collected_warnings
from headstart.base.hashing import digest_bytes
from headstart.images.split import ensure_splits, k_folds, split_digest, split_table, subsample
from headstart.images.table import ImageTable

quick = settings(max_examples=60, deadline=None)
class_sizes = st.lists(st.integers(1, 40), min_size=1, max_size=6)
ratios = st.sampled_from(
    [(0.6, 0.2, 0.2), (0.8, 0.1, 0.1), (0.7, 0.0, 0.3), (0.2, 0.4, 0.4), (1.0, 0.0, 0.0)]
)


def table_of(sizes, *, splits=None, groups=None):
    labels = tuple(f"class{at}" for at, size in enumerate(sizes) for _ in range(size))
    paths = tuple(f"{row:04d}.png" for row in range(len(labels)))
    digests = tuple(digest_bytes(path.encode()) for path in paths)
    return ImageTable("t", "", paths, digests, {"label": labels}, groups=groups, splits=splits)


@quick
@given(class_sizes, ratios, st.integers(0, 5))
def test_each_class_is_shared_out_to_within_one_image(sizes, shares, seed):
    table = split_table(table_of(sizes), ratios=shares, seed=seed)
    counts = Counter(zip(table.labels["label"], table.splits, strict=True))
    for at, size in enumerate(sizes):
        for split, share in zip(("train", "validation", "test"), shares, strict=True):
            assert abs(counts[f"class{at}", split] - share * size) < 1
        assert counts[f"class{at}", "train"] >= 1


@quick
@given(class_sizes, st.integers(0, 5), st.randoms())
def test_the_order_of_rows_and_the_place_in_a_folder_change_nothing(sizes, seed, random):
    table = table_of(sizes)
    order = list(range(len(table)))
    random.shuffle(order)
    first = split_table(table, seed=seed)
    second = split_table(table.select(order), seed=seed)
    assert dict(zip(first.paths, first.splits, strict=True)) == dict(
        zip(second.paths, second.splits, strict=True)
    )
    assert split_digest(first) == split_digest(second)


def test_another_seed_gives_another_split_and_no_split_is_a_stretch_of_the_folder():
    table = table_of([30, 30])
    splits = [split_table(table, seed=seed).splits for seed in range(3)]
    assert len(set(splits)) == 3
    assert len({split_digest(split_table(table, seed=seed)) for seed in range(3)}) == 3
    assert set(splits[0][:30]) == {"train", "validation", "test"}
    assert set(splits[0][-12:]) != {"test"}


@quick
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 12)), min_size=1, max_size=80), st.integers(0, 3))
def test_groups_stay_whole_and_every_class_can_be_learned(pairs, seed):
    sizes = Counter(label for label, _ in pairs)
    pairs = sorted(pairs)
    remap = {label: at for at, label in enumerate(sorted(sizes))}
    groups = tuple(str(group) for _, group in pairs)
    table = split_table(table_of([sizes[label] for label in sorted(sizes)], groups=groups), seed=seed)
    assert all(
        len({s for g, s in zip(groups, table.splits, strict=True) if g == group}) == 1 for group in groups
    )
    in_train = {
        label for label, split in zip(table.labels["label"], table.splits, strict=True) if split == "train"
    }
    assert in_train == {f"class{at}" for at in remap.values()}


def test_many_small_groups_come_near_the_wanted_shares():
    rng = np.random.default_rng(0)
    groups = tuple(str(group) for group in rng.integers(0, 100, 600))
    table = split_table(table_of([300, 200, 100], groups=groups))
    counts = Counter(table.splits)
    for split, share in (("train", 0.6), ("validation", 0.2), ("test", 0.2)):
        assert abs(counts[split] / 600 - share) < 0.04


def test_given_splits_are_left_alone():
    given_splits = ("train",) * 6 + ("test",) * 4
    table = table_of([5, 5], splits=given_splits)
    assert split_table(table) is table
    assert ensure_splits(table, seed=0) is table
    only_train = table_of([5, 5], splits=("train",) * 10)
    assert split_table(only_train) is only_train


def test_a_test_split_is_drawn_from_train_where_the_source_gives_none():
    table = table_of([10, 10], splits=("train", "validation") * 10)
    ensured = ensure_splits(table, seed=1)
    assert Counter(ensured.splits) == {"train": 8, "validation": 10, "test": 2}
    moved = {
        split for given, split in zip(table.splits, ensured.splits, strict=True) if given == "validation"
    }
    assert moved == {"validation"}


def test_a_source_of_test_images_only_is_divided_anew_aloud():
    with collected_warnings() as warnings:
        ensured = ensure_splits(table_of([10, 10], splits=("test",) * 20), seed=0)
    assert Counter(ensured.splits) == {"train": 12, "validation": 4, "test": 4}
    assert "set aside" in warnings[0]


def test_small_classes_do_not_crash_and_are_named():
    with collected_warnings() as warnings:
        table = split_table(table_of([1, 2, 3, 4, 20]))
    counts = Counter(zip(table.labels["label"], table.splits, strict=True))
    assert all(counts[f"class{at}", "train"] for at in range(5))
    assert "'class0' (1)" in warnings[0]
    assert "class4" not in warnings[0]


def test_unlabelled_images_and_missing_labels_are_split_too():
    bare = ImageTable("t", "", ("a", "b", "c", "d", "e"), tuple("12345"))
    assert Counter(split_table(bare).splits) == {"train": 3, "validation": 1, "test": 1}
    some = ImageTable("t", "", ("a", "b", "c"), tuple("123"), {"y": ("u", None, None)})
    assert len(split_table(some).splits) == 3
    assert split_table(ImageTable("t", "", (), ())).splits == ()


def test_impossible_ratios_and_folds_are_refused():
    for shares in ((0.0, 0.5, 0.5), (0.5, 0.2, 0.2), (1.2, -0.1, -0.1), (0.5, 0.5)):
        with pytest.raises(BadOptions, match="add up to 1"):
            split_table(table_of([4]), ratios=shares)
    with pytest.raises(BadOptions, match="folds"):
        k_folds(["a", "b"], 3, seed=0)
    with pytest.raises(BadOptions, match="groups"):
        k_folds(["a", "b", "a"], 2, seed=0, groups=[1, 1, 1])


@quick
@given(st.lists(st.integers(0, 4), min_size=5, max_size=90), st.integers(2, 5), st.integers(0, 3))
def test_folds_hold_each_row_out_once_and_are_stratified(labels, n_folds, seed):
    labels = np.array(labels)
    folds = k_folds(labels, n_folds, seed=seed)
    assert sorted(np.concatenate([held for _, held in folds])) == list(range(len(labels)))
    for train, held in folds:
        assert not set(train) & set(held)
        assert len(train) + len(held) == len(labels)
        for label in set(labels.tolist()):
            assert abs((labels[held] == label).sum() - (labels == label).sum() / n_folds) < 1
    again = k_folds(labels, n_folds, seed=seed)
    assert all(np.array_equal(a[1], b[1]) for a, b in zip(folds, again, strict=True))


@quick
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9)), min_size=5, max_size=60), st.integers(0, 3))
def test_folds_keep_groups_whole_and_none_is_empty(pairs, seed):
    labels, groups = (np.array(column) for column in zip(*pairs, strict=True))
    n_folds = min(4, len(set(groups.tolist())))
    if n_folds < 2:
        return
    folds = k_folds(labels, n_folds, seed=seed, groups=groups)
    assert sorted(np.concatenate([held for _, held in folds])) == list(range(len(labels)))
    for train, held in folds:
        assert len(held)
        assert not set(groups[train].tolist()) & set(groups[held].tolist())


@quick
@given(st.lists(st.integers(0, 3), min_size=1, max_size=60), st.integers(1, 9), st.integers(0, 3))
def test_a_subsample_is_sorted_nested_and_even(labels, per_class, seed):
    labels = np.array(labels)
    rows = subsample(labels, per_class, seed=seed)
    assert list(rows) == sorted(set(rows.tolist()))
    for label in set(labels.tolist()):
        assert (labels[rows] == label).sum() == min(per_class, (labels == label).sum())
    assert set(rows.tolist()) <= set(subsample(labels, per_class + 1, seed=seed).tolist())


def test_a_subsample_of_groups_shows_as_many_groups_as_it_can():
    groups = np.repeat(np.arange(5), 10)
    rows = subsample(np.zeros(50), 5, seed=3, groups=groups)
    assert sorted(groups[rows]) == [0, 1, 2, 3, 4]
    with pytest.raises(BadOptions):
        subsample(np.zeros(3), 0, seed=0)
