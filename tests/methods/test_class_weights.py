"""Classes, labels and levels that count alike: the heads reach what scikit-learn reaches with balanced weights."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from headstart.base.errors import BadOptions
from headstart.methods.class_weights import answer_weights, balance, row_weights
from headstart.methods.heads import HEADS, make_head
from headstart.methods.heads_linear import linear_path
from headstart.methods.heads_outputs import binary_cross_entropy, ordinal_path, steps_above
from headstart.methods.heads_select import Round, choose
from headstart.methods.output import Output
from headstart.methods.output_heads import fit_output_head

DRAW = np.random.default_rng(0)
CODES = DRAW.choice(3, 240, p=[0.8, 0.15, 0.05])
X = (1.2 * np.eye(3, 8)[CODES] + DRAW.normal(size=(240, 8))).astype(np.float32)
SCALER = StandardScaler().fit(X)
XS = SCALER.transform(X)
EVEN = np.repeat(np.arange(3), 200)
X_EVEN = (1.2 * np.eye(3, 8)[EVEN] + DRAW.normal(size=(600, 8))).astype(np.float32)


def plain(name, **options):
    """A head on standardised features, as the oracles see them."""
    return make_head(name, unit_length=False, standardise=True, balanced=True, **options)


def test_weights_let_classes_and_answers_count_alike():
    assert np.allclose(balance(np.array([6, 3, 0])), [0.75, 1.5, 4.5])
    weights = row_weights(CODES, 3)
    sums = [weights[code == CODES].sum() for code in range(3)]
    assert np.allclose(sums, 80, rtol=1e-4)
    yes = (DRAW.random((100, 2)) < [0.1, 0.6]).astype(np.float32)
    each = answer_weights(yes)
    assert np.allclose((each * yes).sum(0), 50, rtol=1e-4) and np.allclose(
        (each * (1 - yes)).sum(0), 50, rtol=1e-4
    )


def test_logistic_reaches_scikit_learns_balanced_probabilities():
    head = plain("logistic", C=0.1, tolerance=1e-6).fit(X, CODES)
    oracle = LogisticRegression(C=0.1, tol=1e-8, max_iter=5000, class_weight="balanced").fit(XS, CODES)
    np.testing.assert_allclose(
        head.predict_proba(X_EVEN), oracle.predict_proba(SCALER.transform(X_EVEN)), atol=2e-3
    )


def test_the_linear_svm_reaches_liblinears_balanced_decisions():
    """Its weights are of the class, in each one-against-the-rest question alike."""
    head = plain("linear_svm", C=0.01, tolerance=1e-6).fit(X, CODES)
    weights = row_weights(CODES, 3)
    for code in range(3):
        oracle = LinearSVC(C=0.01, dual=False, tol=1e-8, intercept_scaling=1000, max_iter=5000)
        oracle.fit(XS, np.where(code == CODES, 1, -1), sample_weight=weights)
        np.testing.assert_allclose(
            head.decision_function(X)[:, code], oracle.decision_function(XS), atol=5e-3, rtol=5e-3
        )


@pytest.mark.parametrize("d", [8, 400])
def test_ridge_reaches_scikit_learns_balanced_decisions(d):
    wide = np.concatenate([X[:90], DRAW.normal(size=(90, d - 8))], axis=1).astype(np.float32)
    head = plain("ridge", alpha=20.0).fit(wide, CODES[:90])
    scaled = StandardScaler().fit_transform(wide)
    oracle = RidgeClassifier(alpha=20.0, class_weight="balanced").fit(scaled, CODES[:90])
    np.testing.assert_allclose(head.decision_function(wide), oracle.decision_function(scaled), atol=2e-3)


def test_lda_has_equal_priors_and_weighs_the_scatter_of_each_class_alike():
    head = make_head("lda", unit_length=False, shrinkage=0.3, balanced=True).fit(X, CODES)
    oracle = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.3, priors=np.full(3, 1 / 3)).fit(X, CODES)
    mine, theirs = head.decision_function(X_EVEN), oracle.decision_function(X_EVEN)
    np.testing.assert_allclose(mine - mine[:, :1], theirs - theirs[:, :1], atol=2e-2)


@pytest.mark.parametrize("name", sorted(set(HEADS) - {"knn", "nearest_mean"}))
def test_rare_classes_are_found_more_often(name):
    usual = make_head(name).fit(X, CODES)
    weighed = make_head(name, balanced=True).fit(X, CODES)
    rare = EVEN == 2
    assert (weighed.predict(X_EVEN)[rare] == 2).mean() > (usual.predict(X_EVEN)[rare] == 2).mean() + 0.1


def test_what_is_tuned_is_chosen_by_weighted_accuracy_and_told_as_plain():
    """The first value finds no rare image and is right more often; the second finds all of them."""
    codes = np.repeat([0, 1], [90, 10])
    said = [np.zeros(100, int), np.where(np.arange(100) < 30, 1, codes)]
    walk = [({}, np.eye(2, dtype=np.float32)[each]) for each in said]
    nothing = np.zeros((0, 1), np.float32)
    held = Round(nothing, codes[:0], nothing, codes)
    weights = row_weights(codes, 2)
    for given, place in ((None, 0), (weights, 1)):
        found = choose([iter(walk)], [held], [0, 1], stops_early=False, calibrates=False, weights=given)
        assert found.value == place and found.accuracy == [0.9, 0.7][place]
        assert found.visited == ((0, 0.9), (1, 0.7))
    assert found.worth == pytest.approx((2 / 3 + 1) / 2)


def test_ties_go_to_the_lower_weighted_loss():
    codes = np.repeat([0, 1], [90, 10])
    sure_of = [np.where(codes == code, 4, 1)[:, None] for code in (0, 1)]
    walk = [({}, (np.eye(2)[codes] * each).astype(np.float32)) for each in sure_of]
    nothing = np.zeros((0, 1), np.float32)
    held = Round(nothing, codes[:0], nothing, codes)
    values = {}
    for name, given in (("plain", None), ("rare", np.where(codes == 1, 20.0, 0.1).astype(np.float32))):
        values[name] = choose(
            [iter(walk)], [held], [0, 1], stops_early=False, calibrates=False, weights=given
        ).value
    assert values == {"plain": 0, "rare": 1}


@pytest.mark.parametrize("name", ["logistic", "linear_svm", "ridge", "rbf_svm"])
def test_a_head_whose_classes_count_alike_is_chosen_by_balanced_accuracy(name):
    for seed in range(5):
        draw = np.random.default_rng(seed)
        codes = draw.choice(3, 160, p=[0.8, 0.12, 0.08])
        features = (1.2 * np.eye(3, 8)[codes] + draw.normal(size=(160, 8))).astype(np.float32)
        head = make_head(name, balanced=True)
        kept = []
        real = head._best
        head._best = lambda *given, real=real, kept=kept: kept.append(real(*given)) or kept[-1]
        head.fit(features[:80], codes[:80], validation=(features[80:], codes[80:]))
        scores = head.predict(features[80:])
        each = [np.mean(scores[codes[80:] == code] == code) for code in range(3)]
        assert np.mean(each) == pytest.approx(max(one.worth for one in kept), abs=1e-6)
        assert head.selection_ == pytest.approx(np.mean(scores == codes[80:]))


def test_means_count_alike_already_and_votes_cannot_be_weighed():
    usual = make_head("nearest_mean").fit(X, CODES).predict_proba(X_EVEN)
    assert np.array_equal(make_head("nearest_mean", balanced=True).fit(X, CODES).predict_proba(X_EVEN), usual)
    with pytest.raises(BadOptions, match="balanced: the head knn cannot weigh classes; take another head"):
        make_head("knn", balanced=True).fit(X, CODES)


def test_each_label_is_scikit_learns_balanced_logistic_regression():
    truth = (X[:, :2] + DRAW.normal(size=(240, 2)) > [1.5, 0]).astype(np.float32)
    found = next(
        linear_path(X, truth, 2, [0.5], binary_cross_entropy, tolerance=1e-6, weights=answer_weights(truth))
    )
    for at in range(2):
        theirs = LogisticRegression(C=0.5, tol=1e-8, class_weight="balanced").fit(X, truth[:, at])
        assert np.allclose(found["coef"][:, at], theirs.coef_[0], atol=2e-3)


def test_weighed_levels_are_the_optimum_of_a_general_solver():
    above, weights = steps_above(CODES, 3), row_weights(CODES, 3)[:, None]

    def cost(flat):
        scores = (X @ flat[:8])[:, None] + flat[8:]
        return 0.5 * flat[:8] @ flat[:8] + 0.3 * binary_cross_entropy(scores, above, weights)[0]

    best = minimize(cost, np.zeros(10), tol=1e-10)
    found = next(ordinal_path(X, above, [0.3], tolerance=1e-6, weights=weights))
    assert np.allclose(found["coef"][:, 0], best.x[:8], atol=2e-3)
    assert np.allclose(found["intercept"], best.x[8:], atol=2e-3)


@pytest.mark.parametrize("kind", ["classes", "labels", "ordinal"])
def test_an_output_whose_labels_count_alike_gives_rare_ones_more(kind):
    output = Output("a", kind, ("x", "y", "z"))
    coded = np.eye(3, dtype=np.float32)[CODES] if kind == "labels" else CODES
    usual, weighed = (fit_output_head(output, X, coded, None, balanced=each) for each in (False, True))
    assert weighed.of_features(X_EVEN)[:, 2].mean() > usual.of_features(X_EVEN)[:, 2].mean() + 0.1
