"""What the model suggests and which images come next."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.dataset.next_rows import ORDERS, Shape, nearest_of, next_rows, squared
from headstart.dataset.suggest import fit_suggester


def blobs(n, n_classes, d=8, spread=0.3):
    """Points round a centre a class, and labels."""
    centres = np.random.default_rng(1).normal(size=(n_classes, d))
    codes = np.arange(n) % n_classes
    points = centres[codes] + spread * np.random.default_rng(n).normal(size=(n, d))
    return points.astype(np.float32), [f"c{code}" for code in codes]


def never(n):
    return np.full(n, np.inf, np.float32)


@pytest.mark.parametrize("n, n_classes", [(6, 3), (60, 3), (1200, 3), (1200, 120)])
def test_it_learns_few_and_many_labels_and_classes(n, n_classes):
    points, labels = blobs(n, n_classes, d=32)
    model = fit_suggester(points, labels)
    new, truth = blobs(300, n_classes, d=32)
    found = model.guess(new)
    right = np.mean([model.classes[code] == label for code, label in zip(found.codes, truth, strict=True)])
    assert right > 0.9 and model.n == n
    assert np.all(
        (found.confidence > 0) & (found.confidence <= 1) & (found.margin >= 0) & (found.margin <= 1)
    )


def test_confidence_is_in_line_with_how_often_it_is_right():
    points, labels = blobs(1500, 4, d=8, spread=1.6)
    model = fit_suggester(points, labels)
    assert model.calibrated
    new, truth = blobs(4000, 4, d=8, spread=1.6)
    found = model.guess(new)
    right = np.mean([model.classes[code] == label for code, label in zip(found.codes, truth, strict=True)])
    assert abs(float(found.confidence.mean()) - right) < 0.04


def test_one_class_gives_no_model_and_one_label_a_class_no_calibration():
    points, _ = blobs(4, 2)
    assert fit_suggester(points, ["a"] * 4) is None and fit_suggester(points[:0], []) is None
    assert fit_suggester(points[:2], ["a", "b"]).calibrated is False


def test_a_class_with_one_label_among_many_stays_known():
    points, labels = blobs(1000, 2)
    assert "alone" in fit_suggester(points, ["alone", *labels[1:]]).classes


@settings(deadline=None, max_examples=60)
@given(
    st.integers(2, 40),
    st.sampled_from(ORDERS),
    st.integers(1, 5),
    st.integers(1, 6),
    st.integers(0, 2**16),
    st.booleans(),
)
def test_each_free_image_comes_at_most_once_and_no_labelled_one(n, order, n_rows, n_columns, seed, fitted):
    rng = np.random.default_rng(seed)
    points = rng.integers(0, 3, (n, 2)).astype(np.float32)
    free = rng.random(n) < 0.7
    model = fit_suggester(points, [str(at % 2) for at in range(n)]) if fitted else None
    rows = next_rows(points, free, never(n), model, order=order, shape=Shape(n_rows, n_columns))
    flat = [row for line in rows for row in line]
    assert len(flat) == len(set(flat)) and all(free[row] for row in flat)
    assert len(rows) <= n_rows and all(1 <= len(line) <= n_columns for line in rows)
    if order != "sure" or model is None:
        assert len(flat) == min(int(free.sum()), n_rows * n_columns)


def test_the_unsure_come_first_and_a_row_is_alike():
    points = np.array([[0, 0], [0.1, 0], [10, 0], [10.1, 0], [5, 0], [5.05, 0]], np.float32)
    model = fit_suggester(points[:4], ["a", "a", "b", "b"])
    free = np.array([False, False, False, False, True, True])
    grown = np.concatenate([points, np.array([[0.2, 0], [9.9, 0]], np.float32)])
    free = np.concatenate([free, [True, True]])
    rows = next_rows(grown, free, never(8), model, order="uncertain", shape=Shape(1, 2))
    assert set(rows[0]) == {4, 5}


def test_diverse_images_lie_far_from_what_is_labelled():
    points = np.array([[0, 0], [0.1, 0], [5, 5], [5.1, 5], [9, 0]], np.float32)
    near = never(5)
    nearest_of(points, [0], near)
    free = np.array([False, True, True, True, True])
    rows = next_rows(points, free, near, None, order="diverse", shape=Shape(3, 1))
    assert rows[0] == [4] and rows[1][0] in (2, 3) and rows[2] == [1]


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 30), st.integers(0, 2**16), st.integers(1, 300))
def test_distances_in_blocks_are_those_one_by_one(n, seed, n_rows):
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(n, 3)).astype(np.float32)
    rows = rng.integers(0, n, n_rows).tolist()
    near = never(n)
    nearest_of(points, rows, near)
    one_by_one = np.min([squared(points, row) for row in rows], axis=0)
    np.testing.assert_allclose(near, one_by_one, atol=1e-4)
