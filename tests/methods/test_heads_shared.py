"""Spaces that heads share: one work for equal arrays, and no other number."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from headstart.methods import heads_shared, heads_space
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


@pytest.fixture
def decompositions(monkeypatch):
    """How often a basis was computed."""
    calls = []
    real = heads_space._eigen_space

    def counted(*given):
        calls.append(given)
        return real(*given)

    monkeypatch.setattr(heads_space, "_eigen_space", counted)
    return calls


def fitted(folder):
    draw = np.random.default_rng(0)
    codes = np.arange(60) % 3
    features = (draw.normal(size=(60, 6)) + 2.0 * np.eye(3, 6)[codes]).astype(np.float32)
    with shared_spaces(folder):
        return make_head("logistic", C=1.0).fit(features, codes).predict_proba(features)


def test_blocks_of_one_folder_decompose_once_and_find_the_same_numbers(tmp_path, decompositions):
    plain = fitted(None)
    n = len(decompositions)
    for _ in range(3):
        np.testing.assert_array_equal(fitted(tmp_path), plain)
    assert len(decompositions) == 2 * n > 0


def test_a_file_that_was_cut_off_is_made_again(tmp_path, decompositions):
    plain, n = fitted(tmp_path), len(decompositions)
    files = list(tmp_path.glob(f"*/{heads_shared.FILE}"))
    assert files
    for file in files:
        file.write_bytes(file.read_bytes()[:40])
    np.testing.assert_array_equal(fitted(tmp_path), plain)
    assert len(decompositions) == 2 * n


def test_the_folder_of_many_processes_has_a_cap(tmp_path, monkeypatch):
    monkeypatch.setattr(heads_shared, "MOST_BYTES", 100)
    fitted(tmp_path)
    assert not list(tmp_path.glob(f"*/{heads_shared.FILE}"))


def test_a_process_waits_for_what_another_computes(tmp_path):
    began, ran = threading.Event(), []

    def slow():
        began.set()
        time.sleep(0.2)
        ran.append("slow")
        return np.ones(2)

    def first():
        with shared_spaces(tmp_path):
            once("x", (np.zeros(2),), slow, made_of=np.ndarray)

    other = threading.Thread(target=first)
    other.start()
    began.wait(10)
    with shared_spaces(tmp_path):
        found = once("x", (np.zeros(2),), lambda: ran.append("again"), made_of=np.ndarray)
    other.join()
    assert ran == ["slow"] and found.tolist() == [1.0, 1.0]
