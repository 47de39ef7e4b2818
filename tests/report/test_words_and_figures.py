"""Numbers as words, the frontier, bins and drawings."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.measure.metrics import expected_calibration_error
from headstart.measure.values import Score
from headstart.report import figures
from headstart.report.sections.best import reliability_bins
from headstart.report.sections.costs import frontier
from headstart.report.wording import DASH, count, duration, interval, listed, percent, size, total_seconds


def test_absent_numbers_are_dashes_and_never_zeros():
    assert percent(None) == percent(math.nan) == duration(None) == duration(math.inf) == size(0) == DASH
    assert total_seconds({}) is None
    assert interval(Score(0.5, math.nan, math.nan, 3)) == ""


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.0001, "under 1 ms"),
        (0.25, "250 ms"),
        (9.44, "9.4 s"),
        (125, "125 s"),
        (725, "12 min 5 s"),
        (7300, "2 h 1 min"),
    ],
)
def test_durations_carry_their_unit(seconds, said):
    assert duration(seconds) == said


def test_sizes_counts_and_lists_read_as_english():
    assert [size(n) for n in (12, 18_700_000, 2.5e9)] == ["12 B", "18.7 MB", "2.5 GB"]
    assert count(1, "image") == "1 image"
    assert count(2400, "class", "classes") == "2,400 classes"
    assert listed(["a", "b", "c"]) == "a, b and c"


def test_a_total_is_not_added_to_its_parts():
    assert total_seconds({"extract": 1.0, "fit": 2.0}) == 3.0
    assert total_seconds({"extract": 1.0, "fit": 2.0, "total": 3.5}) == 3.5


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 1)), min_size=1, max_size=30))
def test_the_frontier_holds_exactly_what_nothing_beats(points):
    kept = frontier(points)
    for at, (seconds, accuracy) in enumerate(points):
        beaten = any((s <= seconds and a >= accuracy) and (s < seconds or a > accuracy) for s, a in points)
        if at in kept:
            assert not beaten
        elif not beaten:
            assert (seconds, accuracy) in [points[other] for other in kept]


def test_reliability_bins_are_those_of_the_calibration_error():
    rng = np.random.default_rng(0)
    odds = rng.random((200, 3)) ** 3
    probabilities, truth = odds / odds.sum(axis=1, keepdims=True), rng.integers(0, 3, 200)
    confidence, correct, n = reliability_bins(truth, probabilities)
    assert n.sum() == 200
    error = np.nansum(n / 200 * np.abs(confidence - correct))
    assert error == pytest.approx(expected_calibration_error(truth, probabilities))


def test_drawings_are_the_same_every_time_and_leave_no_style_behind():
    import matplotlib

    before = dict(matplotlib.rcParams)
    marks = [figures.Mark(f"head {at}", 1.0 + at, 0.5, 0.4, 0.6) for at in range(9)]
    first = figures.accuracy_against_cost(marks, [0], 0)
    assert first == figures.accuracy_against_cost(marks, [0], 0)
    assert dict(matplotlib.rcParams) == before


def test_drawings_follow_a_dark_page_and_load_nothing():
    svg = figures.accuracy_by_layer(["stem", "pool"], [figures.Mark("a", 0, 0.5, 0.4, 0.6)], (0.4, 0.6))
    assert svg.startswith("<svg")
    assert "prefers-color-scheme:dark" in svg
    assert figures.INK not in svg.replace(f"--ink:{figures.INK}", "")
    assert "font-family" not in svg
    assert "http://" not in svg.replace("http://www.w3.org/", "")


def test_names_that_look_like_formulas_or_lack_glyphs_are_drawn_as_text(recwarn):
    for name in ("$\\frac{1}{0}$", "$x", "名前", "\x00\n", "<b>", "n" * 500):
        marks = [figures.Mark(name, at, 0.5, 0.4, 0.6) for at in range(2)]
        assert "<svg" in figures.accuracy_by_layer([name, "pool"], marks, (0.0, 1.0))
    assert not [str(found.message) for found in recwarn if "Glyph" in str(found.message)]


def test_scores_without_an_interval_and_empty_bins_can_be_drawn():
    assert "<svg" in figures.accuracy_against_cost(
        [figures.Mark("a", 0.0, 1.0, math.nan, math.nan)], [0], None
    )
    assert "<svg" in figures.reliability([math.nan] * 15, [math.nan] * 15, [0] * 15)


def test_very_many_marks_are_drawn_as_dots_and_few_as_lines():
    few, many = (
        figures.accuracy_against_cost(
            [figures.Mark("logistic", 1.0 + at, 0.5, 0.4, 0.6) for at in range(n)], [0], 0
        )
        for n in (100, 3000)
    )
    assert "data:image/png" not in few and "data:image/png" in many
    assert len(many) < 2 * len(few), "a page of ten thousand runs opens without a stall"
