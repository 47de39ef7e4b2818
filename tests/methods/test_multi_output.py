"""Several outputs on one network: features once, missing labels for nothing, every kind of output, plain errors."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import cross_val_score

from headstart.base.errors import BadOptions, DataError, UnknownName
from headstart.base.events import collected_warnings
from headstart.images.table import ImageTable
from headstart.methods.multi_output import MultiOutputTransfer
from headstart.methods.output_heads import fit_output_head
from headstart.methods.outputs import Output
from headstart.methods.probe import TransferClassifier
from headstart.methods.strata import split_outputs, strata, strata_column
from headstart.methods.thresholds import best_thresholds
from headstart.testing.backbones import tiny_backbone
from headstart.testing.outputs import KINDS, marked_squares

IMAGES, COLUMNS = marked_squares()


def labels(**changed):
    return np.array(list({**COLUMNS, **changed}.values()), dtype=object).T


def small(**options):
    probe = TransferClassifier(
        backbone=tiny_backbone(), engine="torch", layer=("stem", "blocks.2"), cache_gb=0
    )
    return MultiOutputTransfer(estimator=probe, **options)


def frame(columns):
    pandas = pytest.importorskip("pandas")
    return pandas.DataFrame(columns)


@pytest.fixture(scope="module")
def fitted():
    return small(kinds=KINDS).fit(IMAGES, dict(COLUMNS))


def test_every_kind_of_output_learns_what_can_be_seen(fitted):
    assert [each.kind for each in fitted.outputs_] == ["classes", "labels", "ordinal", "number"]
    scores = {each.output.name: each.score for each in fitted.models_}
    assert scores["colour"] > 0.9 and scores["marks"] > 0.9 and scores["light"] > 0.8
    assert scores["size"] > 0.4  # four levels
    assert all("inner folds" in each.selected_on for each in fitted.models_)


def test_predictions_are_one_column_an_output(fitted):
    said = fitted.predict(IMAGES)
    assert said.shape == (60, 4)
    assert set(said[:, 0]) == {"red", "blue"} and set(said[:, 1]) <= {"left", "right", "left;right", ""}
    assert np.corrcoef(said[:, 3].astype(float), [float(x) for x in COLUMNS["light"]])[0, 1] > 0.95
    shares = fitted.predict_proba(IMAGES)
    assert [each.shape for each in shares] == [(60, 2), (60, 2), (60, 4), (60,)]
    assert np.allclose(shares[2].sum(1), 1, atol=1e-5)
    assert fitted.score(IMAGES, dict(COLUMNS)) > 0.5


def test_the_network_runs_once_for_all_outputs(monkeypatch):
    from headstart.features.extractor import FeatureExtractor

    runs = []
    real = FeatureExtractor.extract
    monkeypatch.setattr(
        FeatureExtractor,
        "extract",
        lambda self, items, *more: runs.append(len(items)) or real(self, items, *more),
    )
    small(kinds=KINDS).fit(IMAGES, dict(COLUMNS))
    assert runs == [60]
    runs.clear()
    small(kinds=KINDS, sharing="separate").fit(IMAGES, dict(COLUMNS))
    assert runs == [60] * 4


def test_a_missing_label_costs_its_output_alone_and_changes_no_other(fitted):
    holes = [None if row % 3 == 0 else cell for row, cell in enumerate(COLUMNS["marks"])]
    other = small(kinds=KINDS).fit(IMAGES, {**COLUMNS, "marks": holes})
    assert [each.n_train for each in other.models_] == [60, 40, 60, 60]
    for at in (0, 2, 3):
        assert np.array_equal(other.predict_proba(IMAGES)[at], fitted.predict_proba(IMAGES)[at])


def test_images_without_any_label_are_left_out_and_counted():
    columns = {name: [None, None, *cells[2:]] for name, cells in COLUMNS.items()}
    with collected_warnings() as told:
        model = small(kinds=KINDS).fit(IMAGES, columns)
    assert model.n_unlabelled_ == 2 and model.n_train_ == 58
    assert any("2 images have no label of any output" in str(each) for each in told)


def test_separate_networks_say_what_a_shared_frozen_one_says(fitted):
    alone = small(kinds=KINDS, sharing="separate").fit(IMAGES, dict(COLUMNS))
    for one, other in zip(alone.predict_proba(IMAGES), fitted.predict_proba(IMAGES), strict=True):
        assert np.allclose(one, other, atol=1e-4)


def test_it_keeps_scikit_learns_contract():
    model = small(kinds={"output2": "ordinal", "output3": "number"})
    assert clone(model).get_params()["kinds"] == model.kinds
    scores = cross_val_score(model, IMAGES, labels(), cv=2, error_score="raise")
    assert (scores > 0.2).all()
    assert not hasattr(model, "models_")
    named = small(kinds=KINDS).fit(IMAGES, frame(COLUMNS))
    assert [each.name for each in named.outputs_] == list(COLUMNS)


def test_validation_images_choose_and_their_unknown_labels_are_left_out():
    held, more = marked_squares(30, seed=5)
    more["colour"] = ["green", *more["colour"][1:]]
    with collected_warnings() as told:
        model = small(kinds=KINDS).fit(IMAGES, dict(COLUMNS), validation=(held, more))
    assert model.selected_on_ == "validation"
    assert [each.n_validation for each in model.models_] == [29, 30, 30, 30]
    assert any("colour: 1 validation images have labels that train lacks" in str(each) for each in told)


@pytest.mark.parametrize(
    ("options", "columns", "said"),
    [
        ({}, {"colour": ["red"] * 60}, "one class only"),
        ({}, {"colour": [None] * 60, "size": COLUMNS["size"]}, "every label is missing"),
        ({"levels": {"size": ["0", "1", "2"]}}, {"size": COLUMNS["size"]}, "'3' not named"),
        ({"sharing": "soft"}, COLUMNS, "soft ties networks that train"),
        ({"weighting": "dwa"}, COLUMNS, "is for networks that train"),
        ({"sharing": "hrad"}, COLUMNS, "did you mean 'hard'"),
        ({"kinds": {"colr": "classes"}}, COLUMNS, "did you mean 'colour'"),
    ],
)
def test_what_cannot_be_is_refused_with_what_to_do(options, columns, said):
    with pytest.raises(BadOptions, match=said):
        small(**options).fit(IMAGES, dict(columns))


def test_classes_labels_and_levels_count_alike_on_frozen_features_too(fitted):
    colours = ["red" if row % 12 == 0 else "blue" for row in range(60)]
    columns = {**COLUMNS, "colour": colours}
    named = ("colour", "marks", "size")
    usual = small(kinds=KINDS).fit(IMAGES, columns)
    weighed = small(kinds=KINDS, class_weights=named).fit(IMAGES, columns)
    assert [each.head.balanced for each in weighed.models_] == [True, True, True, False]
    red = [model.predict_proba(IMAGES)[0][:, 1].mean() for model in (usual, weighed)]
    assert red[1] > 1.5 * red[0]
    neighbours = small(kinds=KINDS, class_weights=("size",))
    neighbours.estimator.head = "knn"
    assert neighbours.fit(IMAGES, dict(COLUMNS)).models_[2].head.balanced  # the head of levels is another one
    neighbours.class_weights = ("colour",)
    with pytest.raises(BadOptions, match="class_weights: 'colour': the head knn cannot weigh classes"):
        neighbours.fit(IMAGES, dict(COLUMNS))
    with pytest.raises(BadOptions, match="'light' is a number and has no classes"):
        small(kinds=KINDS, class_weights=("light",)).fit(IMAGES, dict(COLUMNS))


def test_a_head_that_is_asked_for_and_not_taken_is_told(fitted):
    asked = small(kinds=KINDS)
    asked.estimator.head = "lda"
    with collected_warnings() as told:
        asked.fit(IMAGES, dict(COLUMNS))
    assert [each.head.name for each in asked.models_] == [
        "lda", "logistic", "cumulative_logistic", "ridge_regression",
    ]  # fmt: skip
    assert [str(each) for each in told if "the head lda" in str(each)] == [
        "the head lda is for classes; each other kind has a head of its own: marks has logistic, size has "
        "cumulative_logistic, light has ridge_regression"
    ]
    with collected_warnings() as quiet:
        asked.set_params(kinds=None).fit(IMAGES, {"colour": COLUMNS["colour"]})
        small(kinds=KINDS).fit(IMAGES, dict(COLUMNS))
    assert not any("the head" in str(each) for each in quiet)


def test_labels_of_one_dimension_and_of_another_length_are_refused():
    with pytest.raises(DataError, match="several outputs are columns"):
        small().fit(IMAGES, COLUMNS["colour"])
    with pytest.raises(DataError, match="60 images with 59 rows of labels"):
        small().fit(IMAGES, labels()[:-1])


def test_a_missing_target_and_a_target_given_twice_are_told():
    table = ImageTable("drawn", "", ("a", "b"), ("a", "b"), {"defect": ("x", "y")})
    with pytest.raises(UnknownName, match="did you mean 'defect'"):
        small().fit_table(table, ["defct"])
    with pytest.raises(BadOptions, match="'defect' given twice"):
        small().fit_table(table, ["defect", "defect"])


def test_an_ordinal_head_uses_one_direction_and_thresholds_in_order():
    draw = np.random.default_rng(0)
    along = draw.normal(size=300)
    features = np.column_stack([along, draw.normal(size=(300, 7))]).astype(np.float32) + 5
    levels = np.digitize(along + 0.2 * draw.normal(size=300), [-1, 0, 1])
    grade = Output("grade", "ordinal", ("0", "1", "2", "3"))
    found = fit_output_head(grade, features, levels, None)
    model = found.head.model_
    assert np.array_equal(model["coef"][:, 0], model["coef"][:, 2])
    assert (np.diff(model["intercept"]) < 0).all()
    assert found.score > 0.7
    mord = np.abs(found.decided(found.of_features(features)) - levels)
    assert mord.mean() < 0.3


def test_the_ordinal_optimum_is_that_of_a_general_solver():
    from scipy.optimize import minimize

    from headstart.methods.heads_outputs import binary_cross_entropy, ordinal_path, steps_above

    draw = np.random.default_rng(1)
    features = draw.normal(size=(80, 3)).astype(np.float32)
    levels = np.digitize(features[:, 0] + 0.5 * draw.normal(size=80), [-0.5, 0.5])
    above = steps_above(levels, 3)

    def cost(flat):
        scores = (features @ flat[:3])[:, None] + flat[3:]
        return 0.5 * flat[:3] @ flat[:3] + 0.3 * binary_cross_entropy(scores, above)[0]

    best = minimize(cost, np.zeros(5), tol=1e-10)
    found = next(ordinal_path(features, above, [0.3], tolerance=1e-6))
    assert np.allclose(found["coef"][:, 0], best.x[:3], atol=2e-3)
    assert np.allclose(found["intercept"], best.x[3:], atol=2e-3)


def test_labels_are_as_scikit_learns_one_against_the_rest():
    from sklearn.linear_model import LogisticRegression

    from headstart.methods.heads_linear import linear_path
    from headstart.methods.heads_outputs import binary_cross_entropy

    draw = np.random.default_rng(2)
    features = draw.normal(size=(100, 4)).astype(np.float32)
    truth = (features[:, :2] + draw.normal(size=(100, 2)) > 0).astype(np.float32)
    found = next(linear_path(features, truth, 2, [0.5], binary_cross_entropy, tolerance=1e-6))
    for at in range(2):
        theirs = LogisticRegression(C=0.5, tol=1e-8).fit(features, truth[:, at])
        assert np.allclose(found["coef"][:, at], theirs.coef_[0], atol=2e-3)


def test_thresholds_give_the_best_f1_and_rare_labels_keep_one_half():
    draw = np.random.default_rng(3)
    truth = (draw.random((200, 2)) < [0.2, 0.005]).astype(float)
    shares = np.clip(truth * 0.2 + draw.random((200, 2)) * 0.4, 0, 1)
    found = best_thresholds(truth, shares)
    assert found[1] == 0.5

    def f1(at):
        given = shares[:, 0] >= at
        return 2 * (given & (truth[:, 0] > 0)).sum() / (given.sum() + truth[:, 0].sum())

    assert f1(found[0]) == pytest.approx(max(f1(at) for at in np.linspace(0, 1, 1001)))


def test_a_split_is_balanced_over_all_outputs_at_once():
    names = tuple(f"{row}" for row in range(200))
    a, b = tuple("xy"[row % 2] for row in range(200)), tuple("pq"[row // 2 % 2] for row in range(200))
    table = split_outputs(ImageTable("drawn", "", names, names, {"a": a, "b": b}), ["a", "b"])
    for pair in ("xp", "xq", "yp", "yq"):
        rows = [row for row in table.rows("test") if a[row] + b[row] == pair]
        assert len(rows) == 10


def test_rare_combinations_join_their_first_label():
    first = Output("a", "classes", ("x", "y"))
    second = Output("b", "classes", ("p", "q"))
    codes = strata([first, second], [np.array([0] * 10 + [1] * 10), np.array([0] * 9 + [1] + [0, 1] * 5)])
    assert len(set(codes.tolist())) == 4 and codes[9] != codes[0]


def test_the_strata_of_a_split_can_be_read_and_divide_as_their_numbers_do():
    """A warning named them by a bare number."""
    outputs = (
        Output("a", "classes", tuple("uvwxyz")), Output("b", "labels", ("dent", "rust")), Output("c", "number", ()),
    )  # fmt: skip
    draw = np.random.default_rng(0)
    coded = [
        draw.integers(-1, 6, 3000), (draw.random((3000, 2)) < 0.4).astype(np.float32),
        np.where(draw.random(3000) < 0.2, np.nan, draw.random(3000)).astype(np.float32),
    ]  # fmt: skip
    numbers, cells = strata(outputs, coded), strata_column(outputs, coded)
    assert [int(cell.split()[0]) for cell in cells] == numbers.tolist()
    assert sorted(set(cells)) == sorted(
        set(cells), key=lambda cell: cell.split()[0]
    )  # what a split draws stays
    said = " ".join(cells)
    for part in ("a u", "a missing", "b dent", "b without labels", "c in fifth 1", "c missing"):
        assert part in said
