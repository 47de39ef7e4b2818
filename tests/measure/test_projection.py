"""Trust in a map: equal to scikit-learn's, symmetric where it should be, honest about random maps and samples."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.manifold import trustworthiness

from headstart.base.errors import UsageError
from headstart.measure.projection import map_trust


def drawn(n=120, d=10, seed=0):
    rng = np.random.default_rng(seed)
    space = rng.normal(size=(n, d)) * np.linspace(3, 0.1, d)
    return space, space[:, :2] + 0.3 * rng.normal(size=(n, 2))


@settings(max_examples=25, deadline=None)
@given(st.integers(3, 60), st.integers(1, 12), st.integers(0, 999))
def test_the_measures_equal_those_of_scikit_learn(n, k, seed):
    space, points = drawn(n, 6, seed)
    found = map_trust(space, points, k=k)
    assert found.k == min(k, (n - 1) // 2)
    assert found.trustworthiness.value == pytest.approx(
        trustworthiness(space, points, n_neighbors=found.k), abs=1e-12
    )
    assert found.continuity.value == pytest.approx(
        trustworthiness(points, space, n_neighbors=found.k), abs=1e-12
    )


def test_a_turned_and_stretched_plane_is_kept_whole():
    points = np.random.default_rng(0).normal(size=(80, 2))
    space = points @ np.array([[0.0, 3.0, 0.0], [-3.0, 0.0, 0.0]])
    found = map_trust(space, points)
    assert found.trustworthiness.value == found.continuity.value == found.preserved.value == 1


def test_a_random_map_is_told_apart():
    space, _ = drawn(300)
    found = map_trust(space, np.random.default_rng(9).normal(size=(300, 2)))
    assert 0.4 < found.trustworthiness.value < 0.6 and found.preserved.value < 0.12


def test_a_sample_comes_near_the_whole_and_its_interval_holds_it():
    space, points = drawn(900)
    whole, part = map_trust(space, points), map_trust(space, points, n_queries=300, seed=1)
    assert part.n_queries == 300 and len(set(part.queries)) == 300 and part.n == 900
    for name in ("trustworthiness", "continuity", "preserved"):
        assert getattr(part, name).low <= getattr(whole, name).value <= getattr(part, name).high
    kept = dict(zip(whole.queries, whole.kept, strict=True))
    assert [kept[row] for row in part.queries] == part.kept.tolist()


def test_blocks_change_nothing(monkeypatch):
    space, points = drawn(100)
    whole = map_trust(space, points).to_dict()
    monkeypatch.setattr("headstart.measure.projection.CELLS_AT_ONCE", 700)
    assert map_trust(space, points).to_dict() == whole


def test_labels_agree_on_the_map_and_in_the_space():
    space = np.concatenate([np.full((10, 3), at) for at in (0.0, 9.0)]) + np.random.default_rng(0).normal(
        size=(20, 3)
    )
    labels = ["a"] * 10 + ["b"] * 10
    labels[3] = None
    kept = map_trust(space, space[:, :2], labels, k=4)
    mixed = map_trust(space, np.random.default_rng(1).normal(size=(20, 2)), labels, k=4)
    assert kept.labels_map.value == kept.labels_space.value == 1 and kept.labels_map.n == 19
    assert mixed.labels_space.value == 1 and mixed.labels_map.value < 0.8
    assert map_trust(space, space[:, :2]).labels_map is None


@pytest.mark.parametrize("n, m, k", [(2, 2, 1), (5, 4, 1), (5, 5, 0)])
def test_what_cannot_be_measured_is_refused(n, m, k):
    with pytest.raises(UsageError, match="expected 3 or more points"):
        map_trust(np.eye(n), np.eye(m)[:, :2], k=k)
