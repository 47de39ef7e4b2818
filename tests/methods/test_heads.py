"""Every head keeps the same promises: choosing, refusing, calibrating, round-tripping."""

import subprocess
import sys

import numpy as np
import pytest
import skops.io
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks

from headstart.base.errors import BadOptions, UnknownName, UsageError
from headstart.base.events import collected_warnings
from headstart.methods.heads import HEADS, TRUSTED, make_head
from headstart.methods.heads_base import MANY
from headstart.methods.heads_catalog import HEAD_CARDS, HEAD_NAMES
from headstart.methods.heads_select import inner_folds

every_head = pytest.mark.parametrize("name", HEAD_NAMES)


def clouds(n_per_class=20, n_classes=3, d=8, *, seed=0, distance=3.0):
    """Gaussian clouds with class names: (X, y)."""
    generator = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(n_classes, d)) * distance / np.sqrt(2)
    codes = np.repeat(np.arange(n_classes), n_per_class)
    X = (centres[codes] + generator.normal(size=(len(codes), d))).astype(np.float32)
    return X, np.array([f"class {code}" for code in codes])


@parametrize_with_checks([make_head(name) for name in HEAD_NAMES])
@pytest.mark.filterwarnings("ignore")
def test_scikit_learns_own_checks_pass(estimator, check):
    check(estimator)


def test_the_catalogue_names_every_head_and_what_it_tunes():
    assert HEADS.names() == HEAD_NAMES
    for name in HEADS:
        assert HEADS[name].name == name
        assert HEADS[name].tuned == HEAD_CARDS[name].tuned


@every_head
def test_a_head_learns_separate_clouds_with_validation_and_with_folds(name):
    X, y = clouds()
    held, test = clouds(10, seed=1), clouds(30, seed=2)
    for validation in (held, None):
        head = make_head(name).fit(X, y, validation=validation)
        assert head.score(*test) > 0.9
        assert head.selected_on_ == ("validation" if validation else "5 inner folds")
        assert head.seed_matters_ is HEAD_CARDS[name].uses_seed(has_validation=validation is not None)
        assert 0.8 < head.selection_ <= 1
        assert set(head.chosen_) == set(HEAD_CARDS[name].tuned)
        assert (head.chosen_, head.selection_) in head.path_
        assert head.selection_ == max(accuracy for _, accuracy in head.path_)


@every_head
def test_selection_is_the_accuracy_on_the_validation_images(name):
    X, y = clouds(distance=1.5)
    held = clouds(15, seed=3, distance=1.5)
    head = make_head(name).fit(X, y, validation=held)
    assert head.selection_ == pytest.approx(head.score(*held))


@every_head
def test_with_validation_the_seed_changes_nothing(name):
    X, y = clouds(distance=1.5)
    held, test = clouds(15, seed=3, distance=1.5), clouds(15, seed=4, distance=1.5)
    one, other = (make_head(name).fit(X, y, validation=held, seed=seed) for seed in (0, 1))
    np.testing.assert_array_equal(one.predict_proba(test[0]), other.predict_proba(test[0]))


@every_head
def test_a_fit_can_be_repeated_to_the_last_bit(name):
    X, y = clouds(distance=1.5)
    one, other = (make_head(name).fit(X, y, seed=5) for _ in range(2))
    np.testing.assert_array_equal(one.predict_proba(X), other.predict_proba(X))
    assert one.chosen_ == other.chosen_


@every_head
def test_the_class_predicted_is_the_one_with_the_largest_probability(name):
    X, y = clouds(distance=1.0, n_classes=4)
    head = make_head(name).fit(X, y)
    p = head.predict_proba(X)
    assert p.dtype == np.float32
    np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(head.predict(X), head.classes_[p.argmax(axis=1)])


@every_head
def test_probabilities_are_neither_far_too_sure_nor_far_too_shy(name):
    X, y = clouds(60, distance=1.2, d=30)
    test = clouds(300, seed=1, distance=1.2, d=30)
    options = {"n_neighbors": 20} if name == "knn" else {}
    head = make_head(name, **options).fit(X, y, validation=clouds(60, seed=2, distance=1.2, d=30))
    confidence = head.predict_proba(test[0]).max(axis=1).mean()
    assert abs(confidence - head.score(*test)) < 0.15


@every_head
def test_validation_images_join_train_only_on_request(name):
    X, y = clouds(5, distance=1.0)
    held, test = clouds(40, seed=1, distance=1.0), clouds(200, seed=2, distance=1.0)
    plain = make_head(name).fit(X, y, validation=held)
    joined = make_head(name).fit(X, y, validation=held, refit=True)
    assert joined.chosen_ == plain.chosen_
    assert joined.selection_ == plain.selection_
    assert not np.array_equal(plain.predict_proba(test[0]), joined.predict_proba(test[0]))
    assert joined.score(*test) > plain.score(*test) - 0.05


@every_head
def test_labels_of_any_kind_come_back_as_they_went_in(name):
    X, codes = clouds(n_classes=2)
    second = codes == "class 1"
    for y in (second, second.astype(int) * 7 - 3, codes.astype(object)):
        head = make_head(name).fit(X, y)
        assert set(head.predict(X).tolist()) == set(y.tolist())
        assert head.decision_function(X).shape == (len(X),)


@every_head
def test_a_class_with_one_image_is_learned_and_never_held_out(name):
    X, y = clouds(12)
    X = np.concatenate([X, np.full((1, 8), 9, np.float32)])
    y = np.append(y, "alone")
    head = make_head(name).fit(X, y)
    assert "alone" in head.classes_
    assert head.selected_on_ == "5 inner folds"
    assert np.isfinite(head.predict_proba(X)).all()


@every_head
def test_classes_with_one_image_each_leave_nothing_to_choose_on_and_it_says_so(name):
    X, y = clouds(1, n_classes=3)
    with collected_warnings() as warnings:
        head = make_head(name).fit(X, y)
    assert "single image" in warnings[0]
    assert head.selected_on_.startswith("nothing")
    assert np.isnan(head.selection_)
    assert list(head.predict(X)) == list(y)


@every_head
def test_more_classes_than_images_to_spare_and_more_features_than_images_work(name):
    X, y = clouds(2, n_classes=15, d=200)
    head = make_head(name).fit(X, y)
    assert head.predict_proba(X).shape == (30, 15)
    assert head.selected_on_ == "2 inner folds"
    assert head.score(X, y) > 0.9


@every_head
def test_folds_never_part_a_group(name):
    X, y = clouds(12, distance=1.0)
    groups = np.tile(np.repeat(np.arange(4), 3), 3)
    head = make_head(name).fit(X, y, groups=groups)
    assert head.selected_on_ == "4 inner folds"
    with collected_warnings() as warnings:
        head = make_head(name).fit(X, y, groups=np.zeros(len(y)))
    assert "groups" in head.selected_on_
    assert warnings


@every_head
def test_constant_and_huge_features_do_no_harm(name):
    X, y = clouds(d=6)
    X[:, 0] = 1e6
    X[:, 1] = 0
    X[:, 2] = X[:, 2] * 1e-12
    head = make_head(name).fit(X, y)
    assert np.isfinite(head.predict_proba(X)).all()
    assert head.score(X, y) > 0.8


@every_head
def test_identical_features_give_finite_probabilities(name):
    X, y = np.ones((12, 4), np.float32), np.array(["a", "b", "c"] * 4)
    p = make_head(name).fit(X, y).predict_proba(X)
    assert np.isfinite(p).all()
    np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-5)


@every_head
def test_memory_order_and_width_of_numbers_do_not_matter(name):
    X, y = clouds()
    head = make_head(name).fit(X, y)
    for other in (X.astype(np.float64), np.asfortranarray(X), np.repeat(X, 2, axis=1)[:, ::2]):
        again = make_head(name).fit(other, y)
        np.testing.assert_allclose(again.predict_proba(other), head.predict_proba(X), atol=1e-5)


@every_head
def test_bad_data_is_refused_with_a_sentence(name):
    X, y = clouds()
    broken = X.copy()
    broken[3, 2] = np.nan
    with pytest.raises(UsageError, match="NaN"):
        make_head(name).fit(broken, y)
    with pytest.raises(UsageError, match="one class only"):
        make_head(name).fit(X, np.full(len(X), "same"))
    with pytest.raises(UsageError):
        make_head(name).fit(X, y[:-1])
    with pytest.raises(UsageError, match="groups: one a row"):
        make_head(name).fit(X, y, groups=[1, 2])
    fitted = make_head(name).fit(X, y)
    with pytest.raises(UsageError, match="features"):
        fitted.predict(X[:, :3])
    with pytest.raises(UsageError, match="NaN"):
        fitted.predict_proba(broken)
    with pytest.raises(UsageError, match="NaN"):
        make_head(name).fit(X, y, validation=(broken, y))


def test_validation_labels_that_train_lacks_are_left_out_aloud():
    X, y = clouds()
    held_X, held_y = clouds(5, seed=1)
    strange = np.where(np.arange(15) < 3, "unheard of", held_y)
    with collected_warnings() as warnings:
        head = make_head("logistic").fit(X, y, validation=(held_X, strange))
    assert "3 validation images" in warnings[0]
    assert "unheard of" in warnings[0]
    assert head.selection_ == pytest.approx(head.score(held_X[3:], held_y[3:]))
    with pytest.raises(UsageError, match="none of its labels"):
        make_head("logistic").fit(X, y, validation=(held_X, np.full(15, "unheard of")))
    with pytest.raises(UsageError, match="validation"):
        make_head("logistic").fit(X, y, validation=(held_X, held_y[:4]))


def test_all_mistakes_come_in_one_error():
    X, y = clouds()
    with pytest.raises(BadOptions) as caught:
        make_head("knn", metric="cosin", n_neighbors=0, weights="heavy", standardise="yes").fit(
            X, y, n_folds=1
        )
    assert len(caught.value.mistakes) == 5
    assert "did you mean 'cosine'" in str(caught.value)
    for name, options in {
        "logistic": {"C": "a lot"},
        "knn": {"n_neighbors": 2.5},
        "lda": {"shrinkage": 2},
    }.items():
        with pytest.raises(BadOptions, match=next(iter(options))):
            make_head(name, **options).fit(X, y)


def test_unknown_heads_and_options_are_refused_with_the_nearest_name():
    with pytest.raises(UnknownName, match="logistic"):
        make_head("logistics")
    with pytest.raises(BadOptions, match="did you mean 'n_neighbors'"):
        make_head("knn", n_neighbours=3)


@every_head
def test_options_are_stored_untouched_and_clones_start_fresh(name):
    head = make_head(name, standardise=False).fit(*clouds())
    fresh = clone(head)
    assert fresh.get_params() == head.get_params()
    assert not hasattr(fresh, "model_")


def test_a_value_that_is_given_is_used_and_still_judged():
    for name, options in {
        "logistic": {"C": 0.5},
        "linear_svm": {"C": 0.5},
        "rbf_svm": {"C": 2.0, "gamma": 0.1},
        "knn": {"n_neighbors": 4},
        "lda": {"shrinkage": 0.4},
        "ridge": {"alpha": 3.0},
    }.items():
        head = make_head(name, **options).fit(*clouds())
        assert head.chosen_ == options
        assert head.path_ == [(options, head.selection_)]


def test_heads_work_inside_scikit_learns_tools():
    X, y = clouds(distance=2.0)
    pipeline = make_pipeline(FunctionTransformer(), make_head("ridge"))
    assert cross_val_score(pipeline, X, y, cv=3).mean() > 0.8
    search = GridSearchCV(make_head("logistic"), {"C": [0.01, 1.0]}, cv=3).fit(X, y)
    assert search.best_score_ > 0.8


@every_head
def test_a_fitted_head_survives_skops_with_the_fixed_list_of_types(name):
    X, y = clouds()
    head = make_head(name).fit(X, y)
    back = skops.io.loads(skops.io.dumps(head), trusted=list(TRUSTED))
    np.testing.assert_array_equal(back.predict_proba(X), head.predict_proba(X))
    assert list(back.predict(X)) == list(head.predict(X))
    assert back.chosen_ == head.chosen_


def test_naming_the_heads_loads_no_scikit_learn():
    code = "import sys, headstart.methods.heads_catalog; assert not {'sklearn', 'numpy', 'torch'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@settings(max_examples=60, deadline=None)
@given(
    counts=st.lists(st.integers(1, 9), min_size=2, max_size=6),
    n_folds=st.integers(2, 6),
    seed=st.integers(0, 1000),
)
def test_inner_folds_hold_out_every_image_once_and_leave_every_class_something(counts, n_folds, seed):
    codes = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    folds = inner_folds(codes, n_folds, seed=seed)
    if max(counts) < 2:
        assert folds == []
        return
    held = np.sort(np.concatenate([out for _, out in folds]))
    np.testing.assert_array_equal(held, np.flatnonzero(np.array(counts)[codes] >= 2))
    for train, out in folds:
        assert not set(train) & set(out)
        assert set(codes[train]) == set(range(len(counts)))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 1000), n_groups=st.integers(2, 12))
def test_no_group_is_on_both_sides_of_a_fold(seed, n_groups):
    generator = np.random.default_rng(seed)
    codes = np.append(generator.integers(0, 3, 40), [3])
    groups = generator.integers(0, n_groups, 41)
    for train, out in inner_folds(codes, 5, seed=seed, groups=groups):
        assert not set(groups[train]) & set(groups[out])


def test_the_nearest_mean_divides_by_single_deviations_where_there_are_many_images():
    many, few = clouds(n_per_class=MANY), clouds(n_per_class=MANY - 1)
    assert make_head("nearest_mean").fit(*many).standardised_
    assert not make_head("nearest_mean").fit(*few).standardised_
    assert make_head("nearest_mean", standardise=True).fit(*few).standardised_
    assert not make_head("nearest_mean", standardise=False).fit(*many).standardised_
    with pytest.raises(BadOptions, match="standardise: None must be True or False"):
        make_head("lda", standardise=None).fit(*many)
