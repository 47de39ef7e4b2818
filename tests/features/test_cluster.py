"""Groups of images: the estimator's rules, the quick k-means, and what cannot be grouped."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from headstart.base.errors import BadOptions, DataError, UnknownName
from headstart.base.events import collected_warnings
from headstart.features.cluster import ImageClusterer
from headstart.features.cluster_found import cluster_table, medoid
from headstart.features.cluster_methods import METHODS
from headstart.features.cluster_space import Space, far_from_centre
from headstart.features.kmeans import quick_kmeans
from headstart.images.scan import scan

QUICK = {"layer": "stage2", "input_size": 48, "engine": "torch"}


def blobs(n_groups=3, n_each=30, d=8, seed=0, apart=9.0):
    rng = np.random.default_rng(seed)
    centres = np.eye(d)[:n_groups] * apart
    points = np.concatenate([centre + rng.normal(size=(n_each, d)) for centre in centres])
    return points.astype(np.float32), np.repeat(np.arange(n_groups), n_each)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_finds_clear_groups(method):
    points, truth = blobs()
    given = {} if method == "hdbscan" else {"n": 3}
    found = ImageClusterer(method=method, scale="none", dimensions=0, **given).fit_features(points)
    kept = found.labels_ >= 0
    assert found.n_clusters_ == 3 and kept.mean() > 0.8
    assert adjusted_rand_score(truth[kept], found.labels_[kept]) == pytest.approx(1)
    assert (np.diff(np.bincount(found.labels_[kept])) <= 0).all()


@pytest.mark.parametrize("choose", ["modularity", "silhouette", "gap", "stability"])
def test_the_number_is_chosen(choose):
    found = ImageClusterer(choose=choose, most=6, scale="standard").fit_features(blobs(4, apart=20.0)[0])
    assert found.n_clusters_ == found.curve_.chosen == 4


def test_clone_keeps_every_option_and_nothing_learned():
    made = ImageClusterer(n=3, layer=["stage2", "pool"], whiten=True)
    again = clone(made.fit_features(blobs()[0]))
    assert again.get_params() == made.get_params() and not hasattr(again, "labels_")
    assert again.set_params(n=2).fit_features(blobs()[0]).n_clusters_ == 2


def test_only_kmeans_predicts():
    points, _ = blobs()
    found = ImageClusterer(n=3, whiten=True, dimensions=4).fit_features(points)
    assert (found.predict_features(points) == found.labels_).all()
    assert not hasattr(ImageClusterer(method="spectral"), "predict")


def test_images_of_a_table_are_grouped_and_the_bad_one_left_out(photos, tmp_path):
    table = scan(photos)
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no image")
    more = replace(
        table, paths=(*table.paths, str(broken)), digests=(*table.digests, "0" * 32),
        labels={"label": (*table.labels["label"], None)},
    )  # fmt: skip
    with collected_warnings() as said:
        found = cluster_table(more, ImageClusterer(n=3, **QUICK))
    assert "1 images cannot be read" in said[0]
    assert len(found.labels) == 30 and found.table.problems[-1].path == str(broken)
    assert {"silhouette", "davies_bouldin", "stability"} == set(found.shape)
    assert found.agreement["ari"].n == 30
    assert all(group.share <= 1 and found.labels[group.medoid] == group.number for group in found.groups)
    assert sum(group.n for group in found.groups) == 30


def test_fit_and_predict_take_paths(photos):
    table = scan(photos)
    paths = [str(path) for path in table.items()]
    found = ImageClusterer(n=3, **QUICK).fit(paths)
    assert (found.predict(paths[:5]) == found.labels_[:5]).all()
    assert (found.labels_ == ImageClusterer(n=3, **QUICK).fit_predict(paths)).all()


def test_a_far_point_is_an_outlier_and_keeps_its_cluster():
    points, _ = blobs(2)
    far = np.concatenate([points, points[:1] + 30]).astype(np.float32)
    labels = np.concatenate([np.repeat([0, 1], 30), [0]])
    centres = np.stack([far[:30].mean(0), far[30:60].mean(0)])
    distances, outliers = far_from_centre(far, labels, centres)
    assert outliers[-1] and distances.argmax() == 60 and outliers.sum() < 5


def test_hdbscan_without_clusters_says_so():
    noise = np.random.default_rng(0).uniform(size=(30, 8))
    with collected_warnings() as said:
        found = ImageClusterer(method="hdbscan", min_size=20, scale="none").fit_features(noise)
    assert found.n_clusters_ == 0 and found.outliers_.all() and "no cluster" in said[0]


def test_the_medoid_is_an_image_in_the_middle():
    assert medoid(np.array([[0.0], [1.0], [1.2], [9.0]]), np.arange(4)) in (1, 2)


def test_whitened_components_have_variance_one():
    points = blobs()[0]
    made = Space.learned(points, "standard", 4, True).moved(points)
    assert made.shape == (90, 4) and made.std(0, ddof=1) == pytest.approx(np.ones(4), abs=1e-3)


@pytest.mark.parametrize("n_clusters", [1, 7, 40])
def test_the_quick_kmeans_is_as_good_as_that_of_scikit_learn(n_clusters):
    points = blobs(8, 1500, seed=3, apart=4.0)[0]
    found = quick_kmeans(points, n_clusters)
    full = KMeans(n_clusters, n_init=1, random_state=0).fit(points)
    assert found.inertia <= 1.03 * full.inertia_
    assert found.inertia == pytest.approx(
        ((points - found.centres[found.labels]) ** 2).sum(dtype=np.float64), rel=1e-4
    )


def test_the_quick_kmeans_fills_every_cluster_it_can():
    few = np.repeat(np.eye(4, dtype=np.float32), 5, axis=0)
    assert len(np.unique(quick_kmeans(few, 4).labels)) == 4


@pytest.mark.parametrize(
    "options, features, error, said",
    [
        ({"method": "kmean"}, blobs()[0], UnknownName, "did you mean 'kmeans'"),
        ({"choose": "gaps"}, blobs()[0], UnknownName, "gap"),
        ({"scale": "units"}, blobs()[0], UnknownName, "unit"),
        ({"n": 0}, blobs()[0], BadOptions, "at least 1"),
        ({"n": "many"}, blobs()[0], BadOptions, "at least 1"),
        ({"method": "hdbscan", "n": 3}, blobs()[0], BadOptions, "finds its own number"),
        ({"n": 2, "dimensions": -1, "most": 1, "min_size": 1}, blobs()[0], BadOptions, "dimensions"),
        ({"n": 91}, blobs()[0], DataError, "91 clusters of 90 images"),
        ({"n": 2}, blobs()[0][:1], DataError, "2 or more images, got 1"),
        ({"n": 2}, np.ones((5, 8)), DataError, "all the same"),
        ({"n": 5}, np.repeat(np.eye(3), 4, axis=0), DataError, "3 of them different"),
        ({"n": 2}, np.where(np.eye(6) > 0, np.nan, 1.0), DataError, "6 of 6 images are not finite"),
    ],
)  # fmt: skip
def test_what_cannot_be_grouped_is_said(options, features, error, said):
    with pytest.raises(error, match=said):
        ImageClusterer(**options).fit_features(features)


def test_no_readable_image_is_an_error(photos, tmp_path):
    table = scan(photos).select([0, 1])
    with pytest.raises(DataError, match="none of the 2 images"):
        ImageClusterer(n=2, **QUICK).fit_table(
            replace(table, root=str(tmp_path), digests=("1" * 32, "2" * 32))
        )
