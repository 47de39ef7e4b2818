"""Ten thousand classes: what an audit, a split and a plan do with labels takes seconds of processor time, not minutes."""

from __future__ import annotations

import time

import numpy as np
import pytest

from headstart.audit.balance import find_imbalance, find_spellings
from headstart.audit.inflation import measure_inflation
from headstart.audit.labels import judge
from headstart.base.events import collected_warnings
from headstart.dataset.build import Recipe, drafted
from headstart.dataset.edit import Edits
from headstart.dataset.odd import odd_labels
from headstart.images.split import split_table
from headstart.images.split_whole import folds_whole, split_whole
from headstart.images.table import ImageTable

CLASSES, EACH = 10_000, 4
SECONDS = 20.0
"""Of processor time; each takes 0.1 to 2 on the machine of the lab log."""


@pytest.fixture(scope="module")
def table():
    n = CLASSES * EACH
    return ImageTable(
        "many", "", tuple(f"{row}.png" for row in range(n)), tuple(f"{row:032x}" for row in range(n)),
        labels={"label": tuple(f"class {row % CLASSES}" for row in range(n))},
    )  # fmt: skip


@pytest.fixture(autouse=True)
def quick():
    start = time.process_time()
    yield
    assert time.process_time() - start < SECONDS


def test_findings_on_classes_name_a_few_and_count_the_rest(table):
    (tiny,) = find_imbalance(table, "label")
    assert tiny.kind == "tiny_classes" and "10,000 classes" in tiny.message.replace("10000", "10,000")
    assert len(tiny.message) < 300 and find_spellings(table, "label") == []
    assert all(len(each.message) < 1_000 for each in odd_labels(table))


def test_wrong_labels_are_not_looked_for_and_it_is_said_why(table):
    n = len(table)
    said = judge(np.zeros((n, 4), np.float32), table.labels["label"], np.arange(n), ok=np.ones(n, bool))
    assert isinstance(said, str) and "at most 1,000 classes" in said


def test_a_split_keeps_groups_whole(table):
    groups = np.arange(len(table))
    groups[1::500] = groups[0::500]
    parts = np.array(split_whole(table, groups, ratios=(0.7, 0.15, 0.15), seed=0))
    assert (parts[1::500] == parts[0::500]).all() and 0.68 < (parts == "train").mean() < 0.76


def test_folds_keep_groups_whole(table):
    groups = np.arange(len(table))
    groups[1::500] = groups[0::500]
    folds = folds_whole(table, groups, 4, 0, range(len(table)))
    assert (folds[1::500] == folds[0::500]).all() and np.bincount(folds).min() > 0.24 * len(table)


def test_a_plain_split_of_a_study(table):
    assert split_table(table, seed=0).has_split("test")


def test_what_a_random_split_overstates_is_not_measured_aloud(table):
    space = np.zeros((len(table), 4), np.float32)
    with collected_warnings() as said:
        assert measure_inflation(table, "label", space, np.arange(len(table)), held=0.2) is None
    assert "at most 1,000 classes" in " ".join(said)


def test_a_data_set_is_drafted_with_a_balance(table):
    draft = drafted(table, Recipe(edits=Edits(balance=2)))
    assert len(draft.table) == 2 * CLASSES and draft.plan is not None
