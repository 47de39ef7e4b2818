"""Retrieval metrics against scikit-learn, and by hand where it has none."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, ndcg_score

from headstart.base.errors import UsageError
from headstart.measure.retrieval import query_scores, summarise


@pytest.fixture
def drawn():
    rng = np.random.default_rng(3)
    return rng.normal(size=(40, 60)), rng.random((40, 60)) < 0.15


def test_average_precision_and_ndcg_are_those_of_sklearn(drawn):
    scores, relevant = drawn
    found = query_scores(scores, relevant, 10)
    for row in range(len(scores)):
        if not relevant[row].any():
            assert all(np.isnan(values[row]) for values in found.values())
            continue
        assert found["map"][row] == pytest.approx(average_precision_score(relevant[row], scores[row]))
        assert found["ndcg"][row] == pytest.approx(
            ndcg_score(relevant[row][None].astype(int), scores[row][None])
        )


def test_precision_recall_and_r_precision_by_hand():
    relevant = np.array([[True, False, True, True, False]])
    found = query_scores(np.array([[5.0, 4.0, 3.0, 2.0, 1.0]]), relevant, 2)
    assert found["precision_at_k"][0] == pytest.approx(1 / 2)
    assert found["recall_at_k"][0] == pytest.approx(1 / 3)
    assert found["r_precision"][0] == pytest.approx(2 / 3)


def test_what_is_ignored_is_as_if_it_were_not_there(drawn):
    scores, relevant = drawn
    ignored = np.zeros(scores.shape, bool)
    ignored[:, ::4] = True
    found = query_scores(scores, relevant, 7, ignored)
    plain = query_scores(scores[:, ~ignored[0]], relevant[:, ~ignored[0]], 7)
    for name, values in plain.items():
        assert np.allclose(found[name], values, equal_nan=True), name


def test_k_beyond_the_items_counts_them_all():
    found = query_scores(np.array([[2.0, 1.0]]), np.array([[True, False]]), 12)
    assert found["precision_at_k"].tolist() == [0.5] and found["recall_at_k"].tolist() == [1.0]


def test_means_have_intervals_and_classes(drawn):
    scores, relevant = drawn
    relevant[:2] = False
    per_query = query_scores(scores, relevant, 10)
    found = summarise(per_query, ["a", "b"] * 20, 10)
    assert found.n == 40 - found.n_nothing_to_find and found.n_nothing_to_find >= 2
    for name, score in found.scores.items():
        assert score.low <= score.value <= score.high
        mean = sum(each["n"] * each[name] for each in found.per_class.values()) / found.n
        assert mean == pytest.approx(score.value)
    assert summarise(per_query, ["a", "b"] * 20, 10) == found


def test_nothing_to_find_at_all_is_an_error():
    with pytest.raises(UsageError, match="nothing to measure"):
        summarise(query_scores(np.ones((2, 3)), np.zeros((2, 3), bool), 2), ["a", "b"], 2)
