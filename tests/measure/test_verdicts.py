"""Words, flags, intervals and p-values of a verdict never disagree."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.base.errors import UsageError
from headstart.measure.cannot_tell import CannotTell
from headstart.measure.multiple import holm
from headstart.measure.verdict_words import shown
from headstart.measure.verdicts import compare_all, compare_all_by, compare_all_splits

ENDS = re.compile(r"95 % interval (-?[\d.e-]+) to (-?[\d.e-]+), p (=|<) ([\d.e-]+)")


def study(seed, n_methods, n_images, n_seeds, gap):
    g = np.random.default_rng(seed)
    image = g.normal(1, 1.2, n_images)
    return [image + gap * place + g.normal(0, 0.4, (n_seeds, n_images)) > 0 for place in range(n_methods)]


def agrees(verdict):
    """Whether kind, interval, adjusted p and words of a verdict say one thing."""
    found, said = verdict.difference, verdict.words
    leaves_out_zero = found.low > 0 or found.high < 0
    assert found.low <= found.value <= found.high
    assert (verdict.p <= verdict.alpha + 1e-9) == leaves_out_zero
    low, high, sign, p = ENDS.search(said).groups()
    low, high, p = float(low), float(high), float(p)
    assert (low > 0 or high < 0) == leaves_out_zero
    assert sign == "<" or (p <= verdict.alpha) == leaves_out_zero
    inside = max(abs(found.low), abs(found.high)) < verdict.rope
    assert (max(abs(low), abs(high)) < 100 * verdict.rope) == inside
    if inside:
        assert verdict.kind == "practically equivalent"
        assert f"{verdict.a} and {verdict.b} are practically equivalent" in said
        assert ("leaves out zero" in said) == leaves_out_zero
    elif leaves_out_zero:
        assert verdict.kind == ("better" if found.value > 0 else "worse")
        assert said.startswith(f"{verdict.a} is {verdict.kind} than {verdict.b} by ")
    else:
        assert verdict.kind == "not distinguishable"
        assert f"{verdict.a} and {verdict.b} are not distinguishable" in said
        seen = ("could have seen differences of", "too few", "did the same")
        none = not isinstance(verdict.smallest, CannotTell) and verdict.smallest >= 1
        assert any(each in said for each in seen) != none
        assert ("so few images could not have shown any difference" in said) == none
    return True


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000), k=st.integers(2, 5), n=st.integers(3, 400), n_seeds=st.integers(1, 3),
    gap=st.sampled_from([0.0, 0.05, 0.2, 0.6]), rope=st.sampled_from([0.0, 0.01, 0.05]),
)  # fmt: skip
def test_accuracy_verdicts_agree_with_themselves(seed, k, n, n_seeds, gap, rope):
    found = compare_all(list("abcde"[:k]), study(seed, k, n, n_seeds, gap), rope=rope)
    assert all(agrees(verdict) for verdict in found.pairs)
    assert len(found.pairs) == k * (k - 1) // 2
    assert [verdict.p for verdict in found.pairs] == pytest.approx(
        holm([v.difference.p for v in found.pairs])
    )


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), k=st.integers(2, 4), gap=st.sampled_from([0.0, 0.3, 1.0]))
def test_bootstrap_verdicts_agree_with_themselves(seed, k, gap):
    right = study(seed, k, 80, 2, gap)
    true = np.random.default_rng(seed).integers(0, 3, 80)
    answers = [np.where(run, true, (true + 1) % 3) for run in right]
    found = compare_all_by(
        list("abcd"[:k]), true, answers, np.random.default_rng(0), metric="macro_f1", n_draws=1999
    )
    assert all(agrees(verdict) for verdict in found.pairs)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), gap=st.sampled_from([0.0, 0.02, 0.1]), rope=st.sampled_from([0.0, 0.02]))
def test_split_verdicts_agree_with_themselves(seed, gap, rope):
    scores = 0.7 + 0.02 * np.random.default_rng(seed).normal(size=(3, 10)) + gap * np.arange(3)[:, None]
    found = compare_all_splits(["a", "b", "c"], scores, test_over_train=1 / 9, rope=rope)
    assert all(agrees(verdict) for verdict in found.pairs)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), n_seeds=st.integers(1, 3), gap=st.sampled_from([0.1, 0.6]))
def test_swapping_two_methods_turns_better_into_worse_and_no_number(seed, n_seeds, gap):
    a, b = study(seed, 2, 150, n_seeds, gap)
    there, back = compare_all(["a", "b"], [a, b]).pairs[0], compare_all(["b", "a"], [b, a]).pairs[0]
    turned = {"better": "worse", "worse": "better"}
    assert back.kind == turned.get(there.kind, there.kind)
    assert back.difference.low == pytest.approx(-there.difference.high)
    assert ENDS.search(there.words).group(0) == ENDS.search(back.words).group(0)


def test_the_words_of_a_clear_difference():
    a, b = np.ones(300, int), np.ones(300, int)
    b[:30] = 0
    verdict = compare_all(["stage6 + LDA", "pool + logistic"], [a, b]).pairs[0]
    assert verdict.words.startswith(
        "stage6 + LDA is better than pool + logistic by 10.0 points (95 % interval "
    )
    assert verdict.words.endswith("p < 0.001).")
    assert verdict.effect.kind == "Cohen's h"


def test_not_distinguishable_tells_what_could_have_been_seen():
    a, b = np.ones(300, int), np.ones(300, int)
    a[:20], b[15:37] = 0, 0
    verdict = compare_all(["a", "b"], [a, b]).pairs[0]
    assert verdict.kind == "not distinguishable"
    assert abs(verdict.difference.value) < verdict.smallest
    assert f"differences of {100 * verdict.smallest:.1f} points or more" in verdict.words


def test_the_same_answers_on_many_images_are_practically_equivalent_and_on_few_they_are_not():
    same = np.tile([1, 1, 0], 1000)
    assert compare_all(["a", "b"], [same, same]).pairs[0].kind == "practically equivalent"
    few = compare_all(["a", "b"], [same[:30], same[:30]]).pairs[0]
    assert few.kind == "not distinguishable"
    assert isinstance(few.smallest, CannotTell)


def test_splits_without_spread_cannot_tell_and_say_so():
    verdict = compare_all_splits(["a", "b"], [[0.8, 0.9], [0.7, 0.8]], test_over_train=0.25).pairs[0]
    assert (verdict.kind, verdict.p) == ("not distinguishable", 1)
    assert "cannot tell: all 2 splits" in verdict.words


def test_the_best_group_holds_all_that_cannot_be_told_from_the_best():
    runs = np.ones((4, 600), int)
    for place, n_wrong in enumerate((30, 28, 34, 200)):
        runs[place, 40 * place : 40 * place + n_wrong] = 0
    found = compare_all(["a", "b", "c", "bad"], list(runs))
    assert found.best_group == ("a", "b", "c")
    assert found.group_of("bad") == ("bad",)
    assert found.between("bad", "a").kind == "better"
    with pytest.raises(UsageError, match="no pair"):
        found.between("a", "z")


def test_false_alarms_over_all_pairs_stay_near_the_level():
    alarms = sum(
        any(
            v.kind in ("better", "worse")
            for v in compare_all(list("abcd"), study(s, 4, 200, 1, 0.0), rope=0).pairs
        )
        for s in range(100)
    )
    assert alarms / 100 <= 0.1


def test_numbers_keep_their_side_of_a_limit():
    assert shown(0.04996, 3, (0.05,)) == "0.04996"
    assert shown(0.003, 1, (0.0,)) == "0.003"
    assert shown(-0.0, 1, (0.0,)) == "0.0"
    assert shown(3.14159, 1, (0.0,)) == "3.1"


def test_methods_and_runs_that_do_not_agree_are_refused():
    with pytest.raises(UsageError, match="different names"):
        compare_all(["a", "a"], [[1, 0], [1, 1]])
    with pytest.raises(UsageError, match="one entry each"):
        compare_all(["a", "b", "c"], [[1, 0], [1, 1]])
    with pytest.raises(UsageError, match="alpha"):
        compare_all(["a", "b"], [[1, 0], [1, 1]], alpha=0)
