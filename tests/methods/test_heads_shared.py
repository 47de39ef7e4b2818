"""Spaces that heads share: one work for equal arrays, and no other number."""

from __future__ import annotations

import numpy as np
import pytest

from headstart.methods.heads import make_head
from headstart.methods.heads_shared import once, shared_spaces


def test_inside_the_block_equal_arrays_are_worked_on_once():
    calls = []

    def make():
        calls.append(1)
        return np.ones(3)

    array = np.arange(6.0)
    with shared_spaces():
        first = once("x", (array,), make)
        assert once("x", (array.copy(),), make) is first and once("y", (array,), make) is not first
        array[0] = 5.0
    assert len(calls) == 2
    once("x", (array,), make)
    assert len(calls) == 3


@pytest.mark.parametrize("head", ["logistic", "lda", "ridge", "rbf_svm", "knn"])
def test_sharing_changes_no_number(head):
    draw = np.random.default_rng(0)
    codes = np.arange(120) % 3
    features = (draw.normal(size=(120, 6)) * 1.6 + 2.0 * np.eye(3, 6)[codes]).astype(np.float32)
    plain = make_head(head).fit(features, codes).predict_proba(features)
    with shared_spaces():
        for _ in range(2):
            shared = make_head(head).fit(features, codes).predict_proba(features)
    np.testing.assert_array_equal(plain, shared)
