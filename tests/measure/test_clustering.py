"""Scores of groupings against scikit-learn's, and against cases whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics
from sklearn.cluster import KMeans

from headstart.base.errors import UnknownName, UsageError
from headstart.measure.cluster_number import choose_number, dispersion, modularity_parts, stability
from headstart.measure.clustering import (
    adjusted_rand,
    agreement,
    contingency,
    davies_bouldin,
    scored_agreement,
    silhouette,
    silhouettes,
)

pairs = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 5)), min_size=2, max_size=60)


def kmeans(points, number, seed):
    return KMeans(number, n_init=3, random_state=seed).fit(points).labels_


def blobs(n_groups, n_each=40, apart=8.0, seed=0, d=5):
    rng = np.random.default_rng(seed)
    centres = np.eye(max(d, n_groups))[:n_groups] * apart
    return np.concatenate([centre + rng.normal(size=(n_each, len(centre))) for centre in centres])


@settings(max_examples=60, deadline=None)
@given(pairs)
def test_agreement_is_that_of_scikit_learn(cases):
    labels, clusters = map(list, zip(*cases, strict=True))
    found = agreement(contingency(labels, clusters))
    assert found["nmi"] == pytest.approx(metrics.normalized_mutual_info_score(labels, clusters), abs=1e-9)
    assert found["ari"] == pytest.approx(metrics.adjusted_rand_score(labels, clusters), abs=1e-9)
    expected = metrics.homogeneity_completeness_v_measure(labels, clusters)
    assert (found["homogeneity"], found["completeness"], found["v_measure"]) == pytest.approx(
        expected, abs=1e-9
    )
    assert adjusted_rand(labels, clusters) == pytest.approx(found["ari"])
    assert 0 < found["accuracy"] <= found["purity"] <= 1


def test_the_table_is_that_of_scikit_learn():
    labels, clusters = ["b", "a", "b", "c"], [1, -1, 0, 0]
    assert (contingency(labels, clusters) == metrics.cluster.contingency_matrix(labels, clusters)).all()


def test_purity_and_accuracy_of_a_known_case():
    found = agreement(contingency([0] * 5 + [1] * 5, [0, 0, 0, 1, 1, 2, 2, 2, 2, 0]))
    assert found["purity"] == pytest.approx(0.9)
    assert found["accuracy"] == pytest.approx(0.7)


def test_intervals_hold_the_values_and_names_of_clusters_do_not_matter():
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 4, 200)
    clusters = np.where(rng.random(200) < 0.2, rng.integers(0, 4, 200), labels)
    found = scored_agreement(labels, clusters)
    assert all(score.low <= score.value <= score.high and score.n == 200 for score in found.values())
    again = agreement(contingency(labels, 3 - clusters))
    assert {name: score.value for name, score in found.items()} == pytest.approx(again)


def test_shape_is_that_of_scikit_learn():
    points = blobs(3)
    labels = kmeans(points, 5, 0)
    assert silhouettes(points, labels) == pytest.approx(metrics.silhouette_samples(points, labels), abs=1e-9)
    assert davies_bouldin(points, labels) == pytest.approx(metrics.davies_bouldin_score(points, labels))
    score = silhouette(points, labels)
    assert score.value == pytest.approx(metrics.silhouette_score(points, labels))
    assert score.low < score.value < score.high


def test_a_sample_gives_nearly_the_silhouette_of_all():
    points = blobs(3, n_each=300)
    labels = np.repeat([0, 1, 2], 300)
    assert silhouette(points, labels, most=300).value == pytest.approx(
        silhouette(points, labels).value, abs=0.03
    )


def test_outliers_take_no_part_in_the_shape():
    points, labels = blobs(2), np.repeat([0, 1], 40)
    more, marked = np.concatenate([points, points[:3] + 99]), np.concatenate([labels, [-1] * 3])
    assert davies_bouldin(more, marked) == pytest.approx(davies_bouldin(points, labels))
    assert silhouette(more, marked).value == pytest.approx(silhouette(points, labels).value)


def test_one_cluster_has_no_shape():
    assert silhouette(np.eye(3), [0, 0, 0]) is None and davies_bouldin(np.eye(3), [0, 0, -1]) is None


@pytest.mark.parametrize("rule", ["modularity", "silhouette", "gap", "stability"])
def test_every_rule_finds_four_clear_groups(rule):
    curve = choose_number(blobs(4, n_each=25), kmeans, rule=rule, most=7)
    assert curve.chosen == 4
    assert curve.numbers == tuple(range(1 if rule == "gap" else 2, 8))
    assert len(curve.values) == len(curve.errors) == len(curve.numbers)


def test_modularity_is_networkxs_and_its_parts_average_to_it():
    networkx = pytest.importorskip("networkx")
    from sklearn.neighbors import kneighbors_graph

    points, rng = blobs(3), np.random.default_rng(0)
    labels = rng.integers(0, 3, len(points))
    near = kneighbors_graph(points, 5)
    graph = near.maximum(near.T).tocoo()
    groups = [set(np.flatnonzero(labels == k).tolist()) for k in range(3)]
    true = networkx.community.modularity(networkx.from_scipy_sparse_array(graph), groups)
    assert modularity_parts(graph.row, graph.col, labels).mean() == pytest.approx(true)


def test_a_few_images_far_from_all_others_are_not_all_that_modularity_sees():
    points = np.concatenate([blobs(5, n_each=40), np.full((4, blobs(5).shape[1]), 500.0)])
    chosen = {
        rule: choose_number(points, kmeans, rule=rule, most=9).chosen for rule in ("modularity", "silhouette")
    }
    assert chosen["modularity"] in (5, 6) and chosen["silhouette"] == 2


def test_many_clear_groups_are_all_found_by_modularity():
    assert choose_number(blobs(10, n_each=30, apart=20.0), kmeans, most=13).chosen == 10


def test_the_gap_can_say_that_there_are_no_groups():
    flat = np.random.default_rng(0).uniform(size=(120, 2))
    assert choose_number(flat, kmeans, rule="gap", most=5).chosen == 1


def test_the_same_seed_gives_the_same_curve_and_large_data_is_sampled():
    points = blobs(3, n_each=100)
    one, other = (choose_number(points, kmeans, most=4, n_points=90, seed=5) for _ in range(2))
    assert one == other and one.n == 90 and one.chosen == 3


def test_stable_groups_are_told_from_arbitrary_ones():
    clear = stability(blobs(3), kmeans, 3)
    assert clear.value == pytest.approx(1.0, abs=0.02)
    arbitrary = stability(np.random.default_rng(0).uniform(size=(120, 6)), kmeans, 6)
    assert arbitrary.value < 0.7


def test_dispersion_is_the_inertia_of_kmeans():
    points = blobs(3)
    fitted = KMeans(3, n_init=2, random_state=0).fit(points)
    assert dispersion(points, fitted.labels_) == pytest.approx(fitted.inertia_)


def test_what_cannot_be_scored_is_refused():
    with pytest.raises(UnknownName, match="silhouette"):
        choose_number(blobs(2), kmeans, rule="silhuette")
    with pytest.raises(UsageError, match="3 or more"):
        choose_number(np.eye(2), kmeans)
    with pytest.raises(UsageError, match="as many labels"):
        contingency([1], [1, 2])
