"""The verdict in words says what the numbers of the table say."""

import dataclasses
import itertools

import pytest

from headstart.measure.values import Score
from headstart.report.sections.results import depth_order, results_table
from headstart.report.summary import SCORE_KEYS, summary_lines
from headstart.report.verdict import accuracy, ranked, selected_on, verdict
from headstart.report.wording import interval, percent
from headstart.testing.records import tiny_record


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    return tiny_record(tmp_path_factory.mktemp("study"))


def with_scores(record, **given):
    """The record with other (value, low, high, selection) for methods named "BACKBONE_LAYER_HEAD"."""
    rows = []
    for row in record.summaries:
        key = f"{row.backbone}_{row.layer}_{row.head}"
        if key in given:
            value, low, high, selection = given[key]
            scores = {**row.scores, "accuracy": Score(value, low, high, 100, 3)}
            row = dataclasses.replace(row, scores=scores, selection=selection, standing=selection)
        rows.append(row)
    return dataclasses.replace(record, summaries=tuple(rows))


def text_of(record):
    return " ".join(claim.text for claim in verdict(record, "shapes", None).claims)


def test_the_verdict_names_the_best_with_the_numbers_of_its_row(record):
    table = results_table(record, "shapes", "t", None)
    first, said = table.rows[0], text_of(record)
    shown = [entry.text for entry in first.entries]
    small = [entry.small for entry in first.entries]
    score = accuracy(ranked(record, "shapes")[0])
    assert first.mark == "best"
    assert record.best["shapes"] in said
    assert percent(score.value) in shown and percent(score.value) in said
    assert interval(score) in small and interval(score) in said


def test_intervals_alone_tell_nothing_apart(record):
    near = with_scores(
        record, lite1_pool_logistic=(0.9, 0.85, 0.95, 0.99), lite1_pool_knn=(0.88, 0.8, 0.92, 0.98)
    )
    far = with_scores(
        record, lite1_pool_logistic=(0.9, 0.85, 0.95, 0.99), lite1_pool_knn=(0.5, 0.4, 0.6, 0.98)
    )
    for given in (near, far):
        said = text_of(given)
        assert "It cannot be told from the runner-up, features lite1 pool avg knn" in said
        assert "what both said of the same images is not in the record" in said


def test_runs_that_are_missing_are_named_as_the_reason(record):
    rows = [
        dataclasses.replace(row, status="partial") if row.method == record.best["shapes"] else row
        for row in record.summaries
    ]
    assert "not all of their runs are there" in text_of(dataclasses.replace(record, summaries=tuple(rows)))


def test_a_runner_up_that_wins_on_test_is_told_and_chooses_nothing(record):
    turned = with_scores(
        record, lite1_pool_logistic=(0.5, 0.4, 0.6, 0.99), lite1_pool_knn=(0.9, 0.85, 0.95, 0.98)
    )
    said = text_of(turned)
    assert said.startswith("Best on shapes: features lite1 pool avg logistic")
    assert "the test images choose nothing" in said


def test_level_scores_are_called_level(record):
    level = with_scores(
        record, lite1_pool_logistic=(0.9, 0.85, 0.95, 0.99), lite1_pool_knn=(0.9, 0.85, 0.95, 0.99)
    )
    assert "level with 1 other method" in text_of(level)


def test_a_higher_score_by_fewer_images_is_explained(record):
    best = record.best["shapes"]
    rows = [
        row if row.method == best else dataclasses.replace(row, selection=1.0, standing=0.1)
        for row in record.summaries
    ]
    said = text_of(dataclasses.replace(record, summaries=tuple(rows)))
    assert "It is highest on validation less one standard error (" in said
    assert "scores above it are of fewer images" in said


def test_what_chose_networks_and_heads_is_said_once(record):
    kinds = itertools.cycle(["5 inner folds", "1 of 5 inner folds"])
    results = tuple(dataclasses.replace(each, selected_on=next(kinds)) for each in record.results)
    found = selected_on(dataclasses.replace(record, results=results), "shapes")
    assert found == "5 inner folds (networks that train: one of them)"


def test_every_claim_with_a_score_names_its_runs(record):
    ids = {result.cell.id for result in record.results}
    claims = verdict(record, "shapes", None).claims
    assert claims[0].runs and claims[1].runs
    assert all(set(claim.runs) <= ids for claim in claims)


def test_failed_partial_and_missing_methods_stay_in_the_table(record):
    rows = results_table(record, "shapes", "t", None).rows
    marks = [row.mark for row in rows]
    assert len(rows) == 12
    assert sorted(mark for mark in marks if mark) == ["best", "failed", "missing", "partial"]
    failed = rows[marks.index("failed")]
    assert any("singular matrix" in entry.small for entry in failed.entries)
    assert all(entry.sort is None for entry in rows[marks.index("missing")].entries[4:9])


def test_layers_stand_in_order_of_depth_even_by_module_name(record):
    rows = [row for row in record.summaries if row.backbone == "lite0"]
    renamed = {"pool": "blocks.2.1"}
    mixed = [dataclasses.replace(row, layer=renamed.get(row.layer, row.layer), cells=()) for row in rows]
    assert depth_order(record, rows, "lite0") == ["stage3", "stage5", "pool"]
    assert depth_order(record, mixed, "lite0").index("blocks.2.1") < depth_order(
        record, mixed, "lite0"
    ).index("stage5")


def test_a_summary_is_plain_values_best_first(record):
    summary = summary_lines(record)
    first = summary.rows[0]
    assert first["best"] and first["method"] == record.best["shapes"]
    assert set(SCORE_KEYS) <= set(first)
    assert set(first["accuracy"]) == {"value", "low", "high"}
    assert len(summary.rows) == 12
    assert "3 are missing" in summary.missing[0]
    assert summary.verdict[0].startswith("Best on shapes")


def test_a_summary_needs_neither_matplotlib_nor_jinja():
    import subprocess
    import sys

    code = "import sys, headstart.report.summary; print({'matplotlib', 'jinja2', 'torch'} & set(sys.modules))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.strip() == "set()"


def test_where_nothing_finished_nothing_is_called_best(tmp_path):
    record = tiny_record(tmp_path, n_run=0)
    assert "no method can be called best" in text_of(record)
    assert "0 of 36" in summary_lines(record).missing[0]
