"""The heads' own solvers reach what scikit-learn and SciPy reach."""

import numpy as np
import pytest
from scipy.optimize import minimize, minimize_scalar
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.metrics import log_loss
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC

from headstart.methods.calibrate import fit_temperature, nll, softmax
from headstart.methods.heads import make_head
from headstart.methods.heads_products import NarrowProducts
from headstart.methods.heads_solver import lbfgs
from headstart.methods.heads_space import eigen_space, unit_rows


def noisy(n=150, d=12, k=4, seed=0):
    generator = np.random.default_rng(seed)
    codes = np.repeat(np.arange(k), -(-n // k))[:n]
    centres = np.random.default_rng(5).normal(size=(k, d))
    mixed = generator.normal(size=(n, d)) @ np.diag(np.geomspace(0.2, 4, d))
    return (centres[codes] * 2 + mixed).astype(np.float32), codes


def plain(name, **options):
    """A head on standardised features, as the oracles see them."""
    return make_head(name, unit_length=False, standardise=True, **options)


X, Y = noisy()
X_TEST, Y_TEST = noisy(400, seed=1)
SCALER = StandardScaler().fit(X)
XS, XS_TEST = SCALER.transform(X), SCALER.transform(X_TEST)


@pytest.mark.parametrize("C", [1e-3, 0.1, 10.0])
def test_logistic_reaches_scikit_learns_probabilities(C):
    head = plain("logistic", C=C, tolerance=1e-6).fit(X, Y)
    oracle = LogisticRegression(C=C, tol=1e-8, max_iter=5000).fit(XS, Y)
    np.testing.assert_allclose(head.predict_proba(X_TEST), oracle.predict_proba(XS_TEST), atol=2e-3)
    np.testing.assert_allclose(head.coef_, oracle.coef_, atol=5e-3 * np.abs(oracle.coef_).max())


@pytest.mark.parametrize("C", [1e-3, 0.1, 1.0])
def test_the_linear_svm_reaches_liblinears_decisions(C):
    head = plain("linear_svm", C=C, tolerance=1e-6).fit(X, Y)
    oracle = LinearSVC(C=C, dual=False, tol=1e-8, intercept_scaling=1000, max_iter=5000).fit(XS, Y)
    np.testing.assert_allclose(
        head.decision_function(X_TEST), oracle.decision_function(XS_TEST), atol=5e-3, rtol=5e-3
    )


@pytest.mark.parametrize("name", ["logistic", "linear_svm"])
def test_a_warm_start_ends_where_a_cold_start_ends(name):
    held = noisy(60, seed=3)
    walked = plain(name, tolerance=1e-6).fit(X, Y, validation=held)
    cold = plain(name, tolerance=1e-6, C=walked.chosen_["C"]).fit(X, Y, validation=held)
    np.testing.assert_allclose(walked.coef_, cold.coef_, atol=2e-3 * np.abs(cold.coef_).max())


@pytest.mark.parametrize("d", [12, 600])
def test_ridge_reaches_scikit_learns_decisions(d):
    wide, codes = noisy(90, d)
    head = plain("ridge", alpha=20.0).fit(wide, codes)
    oracle = RidgeClassifier(alpha=20.0).fit(StandardScaler().fit_transform(wide), codes)
    decisions = oracle.decision_function(StandardScaler().fit_transform(wide))
    np.testing.assert_allclose(head.decision_function(wide), decisions, atol=1e-3)


@pytest.mark.parametrize("shrinkage", [0.05, 0.5, 1.0])
def test_lda_orders_classes_as_scikit_learn_does(shrinkage):
    head = plain("lda", shrinkage=shrinkage).fit(X, Y)
    oracle = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=shrinkage)
    # scikit-learn shrinks the covariance of features that it standardises within classes first
    within = (XS - np.stack([XS[np.equal(Y, c)].mean(axis=0) for c in range(4)])[Y]).std(axis=0)
    same = make_head("lda", unit_length=False, shrinkage=shrinkage)
    same.fit(XS / within, Y)
    oracle.fit(XS / within, Y)
    np.testing.assert_array_equal(same.predict(XS_TEST / within), oracle.predict(XS_TEST / within))
    assert head.score(X_TEST, Y_TEST) == pytest.approx(oracle.score(XS_TEST / within, Y_TEST), abs=0.06)


def test_uniform_neighbours_vote_as_scikit_learns_do():
    for metric in ("euclidean", "cosine"):
        head = plain("knn", n_neighbors=7, metric=metric, weights="uniform").fit(X, Y)
        oracle = KNeighborsClassifier(7, metric=metric, algorithm="brute").fit(XS, Y)
        np.testing.assert_allclose(head.predict_proba(X_TEST), oracle.predict_proba(XS_TEST), atol=1e-6)


def test_weighted_votes_are_those_of_wu_et_al():
    head = make_head("knn", n_neighbors=9, weights="distance").fit(X, Y)
    known = unit_rows(((unit_rows(X) - head.mean_) / head.scale_).astype(np.float32))
    asked = unit_rows(((unit_rows(X_TEST) - head.mean_) / head.scale_).astype(np.float32))
    cosine = asked @ known.T
    near = np.argsort(-cosine, axis=1)[:, :9]
    weight = np.exp(np.take_along_axis(cosine, near, axis=1) / 0.07)
    votes = np.stack([(weight * (Y[near] == c)).sum(axis=1) for c in range(4)], axis=1)
    expected = votes / votes.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(head.predict_proba(X_TEST), expected, atol=1e-4)


def test_the_nearest_mean_is_scikit_learns_nearest_centroid():
    head = plain("nearest_mean", metric="euclidean").fit(X, Y)
    np.testing.assert_array_equal(head.predict(X_TEST), NearestCentroid().fit(XS, Y).predict(XS_TEST))


def test_the_rbf_svm_is_as_good_as_libsvms_and_minimises_its_own_cost():
    gamma, C = 1 / 12, 1.0
    head = plain("rbf_svm", gamma=gamma, C=C).fit(X, Y)
    oracle = SVC(gamma=gamma, C=C).fit(XS, Y)
    assert head.score(X_TEST, Y_TEST) > oracle.score(XS_TEST, Y_TEST) - 0.04
    assert np.mean(head.predict(X_TEST) == oracle.predict(XS_TEST)) > 0.85
    kernel = np.exp(-gamma * ((XS[:, None] - XS[None]) ** 2).sum(axis=2))
    sign = np.where(Y == 0, 1.0, -1.0)

    def cost(packed):
        scores = kernel @ packed[:-1] + packed[-1]
        return packed[:-1] @ kernel @ packed[:-1] / 2 + C * (np.maximum(1 - sign * scores, 0) ** 2).sum()

    mine = np.append(head.model_["coef"][:, 0], head.model_["intercept"][0]).astype(float)
    best = minimize(cost, mine, method="BFGS", options={"maxiter": 300}).fun
    assert cost(mine) <= best * 1.002 + 1e-6


def test_landmarks_stand_in_for_a_kernel_that_would_be_too_large(monkeypatch):
    import headstart.methods.heads_kernel as kernel

    whole = plain("rbf_svm").fit(X, Y)
    monkeypatch.setattr(kernel, "MOST_LANDMARKS", 100)
    part = plain("rbf_svm").fit(X, Y)
    assert part.model_["landmarks"].shape == (100, 12)
    assert part.score(X_TEST, Y_TEST) > whole.score(X_TEST, Y_TEST) - 0.05


def test_the_temperature_is_the_one_with_the_least_loss():
    generator = np.random.default_rng(0)
    scores = generator.normal(size=(3000, 5)) * 4
    codes = np.array([generator.choice(5, p=row) for row in softmax(scores / 2.5)])
    found = fit_temperature(scores, codes)
    best = minimize_scalar(lambda t: nll(scores, codes, t), bounds=(0.1, 20), method="bounded").x
    assert found == pytest.approx(best, rel=0.02)
    assert found == pytest.approx(2.5, rel=0.1)
    assert nll(scores, codes, 2.5) == pytest.approx(log_loss(codes, softmax(scores / 2.5)))


def test_the_temperature_stays_finite_where_scores_are_perfect_or_empty():
    assert 0 < fit_temperature(np.eye(3) * 9, np.arange(3)) < np.inf
    assert fit_temperature(np.zeros((4, 3)), np.zeros(4, int)) == 1.0
    wrong = fit_temperature(np.eye(3), np.array([1, 2, 0]))
    assert np.isfinite(softmax(np.eye(3) / wrong)).all()


def test_lbfgs_finds_the_minimum_of_a_stretched_bowl_and_admits_when_it_has_not():
    widths = np.geomspace(0.5, 50, 30)

    def bowl(x):
        return float((widths * (x - 1) ** 2).sum()) / 2 + 1, widths * (x - 1)

    found, converged = lbfgs(bowl, np.zeros(30), tolerance=1e-8, max_iterations=200)
    assert converged
    np.testing.assert_allclose(found, 1, atol=1e-3)
    assert not lbfgs(bowl, np.zeros(30), tolerance=1e-8, max_iterations=3)[1]


def test_a_step_that_only_goes_up_ends_the_search():
    x, converged = lbfgs(lambda x: (1.0, np.ones(3)), np.zeros(3), tolerance=1e-3, max_iterations=9)
    assert converged
    np.testing.assert_array_equal(x, 0)


@pytest.mark.parametrize("shape", [(40, 9), (9, 40), (5, 5)])
def test_the_eigenbasis_is_orthonormal_and_loses_nothing_of_train(shape):
    features = np.random.default_rng(0).normal(size=shape).astype(np.float32) + 3
    space = eigen_space(features)
    inside = space.enter(features)
    gram = space.directions.T @ space.directions
    np.testing.assert_allclose(gram, np.eye(len(gram)), atol=1e-5)
    np.testing.assert_allclose(inside @ space.directions.T + space.mean, features, atol=1e-4)
    np.testing.assert_allclose(np.square(inside).sum(axis=0), space.eigenvalues, rtol=1e-3, atol=1e-3)


def test_a_linear_head_on_flattened_maps_equals_one_without_the_rotation(monkeypatch):
    import headstart.methods.heads_linear as linear

    wide, codes = noisy(60, 300)
    head = make_head("logistic", C=0.1, tolerance=1e-6).fit(wide, codes)
    monkeypatch.setattr(linear, "eigen_space", lambda features: None)
    slow = make_head("logistic", C=0.1, tolerance=1e-6).fit(wide, codes)
    np.testing.assert_allclose(head.predict_proba(wide), slow.predict_proba(wide), atol=2e-3)


@pytest.mark.parametrize("shape", [(50, 9, 3), (2500, 40, 5), (3, 4000, 10), (1, 1, 2)])
def test_products_in_blocks_equal_whole_products(shape):
    n, d, k = shape
    generator = np.random.default_rng(0)
    features = generator.normal(size=(n, d)).astype(np.float32)
    weights = generator.normal(size=(d, k)).astype(np.float32)
    slope = generator.normal(size=(n, k)).astype(np.float32)
    products = NarrowProducts(features, k)
    assert products.blocked == (d < 4000)
    np.testing.assert_allclose(products.scores(weights), features @ weights, atol=1e-3)
    np.testing.assert_allclose(products.slopes(slope), features.T @ slope, atol=1e-3)
