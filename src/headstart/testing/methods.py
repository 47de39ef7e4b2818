"""The contract suite of methods: every estimator on images must pass it.

`check_method(make)` runs each check on fresh estimators from `make()`; a check fails with AssertionError.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from headstart.base.errors import UsageError

Make = Callable[[], Any]


def check_method(make: Make, images: list[Any], labels: list[str]) -> None:
    """Every promise of `headstart.methods.contract.Method`, on images that can be told apart."""
    options_are_stored_untouched(make)
    probabilities_are_probabilities(make, images, labels)
    validation_images_choose(make, images, labels)
    works_inside_scikit_learn(make, images, labels)
    bad_input_is_refused(make, images, labels)


def options_are_stored_untouched(make: Make) -> None:
    """`get_params` gives back what was given, and `clone` an equal, unfitted estimator."""
    method = make()
    copy = clone(method)
    assert copy.get_params() == method.get_params()
    assert not hasattr(method, "classes_"), "learned attributes appear at fit"


def probabilities_are_probabilities(make: Make, images: list[Any], labels: list[str]) -> None:
    """Rows sum to one, the largest is the prediction, and `fit` returns self."""
    method = make()
    assert method.fit(images, labels) is method
    shares = method.predict_proba(images)
    assert shares.shape == (len(images), len(set(labels)))
    assert np.allclose(shares.sum(1), 1, atol=1e-5) and (shares >= 0).all()
    assert (method.classes_[shares.argmax(1)] == method.predict(images)).all()
    assert method.score(images, labels) > 0.9
    assert "inner folds" in method.selected_on_


def validation_images_choose(make: Make, images: list[Any], labels: list[str]) -> None:
    """With validation images the record says that they chose, and two fits agree."""
    held = (images[::3], labels[::3])
    first = make().fit(images, labels, validation=held)
    second = make().fit(images, labels, validation=held)
    assert first.selected_on_ == "validation"
    assert first.chosen_ == second.chosen_
    assert np.array_equal(first.predict_proba(images), second.predict_proba(images))


def works_inside_scikit_learn(make: Make, images: list[Any], labels: list[str]) -> None:
    """In a Pipeline, in `cross_validate`, and in `GridSearchCV`."""
    pipeline = make_pipeline(FunctionTransformer(), make())
    scores = cross_validate(pipeline, images, labels, cv=2, error_score="raise")["test_score"]
    assert scores.mean() > 0.7
    search = GridSearchCV(make(), {"seed": [0, 1]}, cv=2, error_score="raise").fit(images, labels)
    assert search.best_score_ > 0.7


def bad_input_is_refused(make: Make, images: list[Any], labels: list[str]) -> None:
    """One class, lengths that differ, no images, one path instead of a list: errors that a person can mend."""
    cases = [(images, ["same"] * len(images)), (images, labels[:-1]), ([], []), ("one.jpg", ["a"])]
    for given, names in cases:
        try:
            make().fit(given, names)
        except UsageError as error:
            assert str(error)
        else:
            raise AssertionError(f"accepted {type(given).__name__} of {len(given)} with {len(names)} labels")
