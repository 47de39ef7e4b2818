"""What a reader of the report alone needs: names explained, costs named, chance and size told apart from merit."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from headstart.explain.checked import Sanity
from headstart.report.naming import naming_words
from headstart.report.paper import build_paper
from headstart.report.paper_discussion import discussion
from headstart.report.sections.equal import trained_words
from headstart.report.sections.over_datasets import SURE, bayes_chances, over_datasets, over_datasets_section
from headstart.report.verdict import LEVEL, best_of, cheapest, selected_on, verdict
from headstart.study.record import load_record
from headstart.testing.records import tiny_record
from headstart.testing.stored_studies import stored_study
from headstart.testing.trained_records import with_training


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    stored_study(folder, seeds=(0, 1))
    return load_record(folder / "study")


@pytest.fixture(scope="module")
def told(record):
    return build_paper(record).told["shapes"]


@pytest.fixture(scope="module")
def trained(record):
    return with_training(record)


def said_of(record, told=None):
    return " ".join(claim.text for claim in verdict(record, "shapes", told).claims)


def with_seconds(record, of):
    """The record with the seconds of each row by `of(row)`."""
    rows = tuple(dataclasses.replace(row, seconds={"fit": of(row)}) for row in record.summaries)
    return dataclasses.replace(record, summaries=rows)


def test_what_is_level_with_the_best_and_cheaper_is_named_with_both_times(record, told):
    (first, *_) = told.level()
    given = with_seconds(record, lambda row: 7.0 if row.method == first else 60.0)
    assert f"{LEVEL} {first} took the least time: 7.0 s a run, the best 60.0 s." in said_of(given, told)


def test_a_method_whose_time_reads_the_same_is_not_called_cheaper(record, told):
    best = record.best["shapes"]
    given = with_seconds(record, lambda row: 60.01 if row.method == best else 60.0)
    assert cheapest(given, best_of(given, "shapes"), told) is None
    assert f"{LEVEL} none took less time." in said_of(given, told)


@pytest.mark.parametrize(
    ("value", "low", "said"),
    [(0.9, 0.8, "33.3 %."), (0.4, 0.2, "that it learned more is not shown"), (0.3, 0.1, "no less than the best is")],
)  # fmt: skip
def test_the_most_frequent_class_is_held_against_the_interval_of_the_best(record, value, low, said):
    best = best_of(record, "shapes")
    score = dataclasses.replace(best.scores["accuracy"], value=value, low=low)
    row = dataclasses.replace(best, scores={**best.scores, "accuracy": score})
    rows = tuple(row if each is best else each for each in record.summaries)
    assert said in said_of(dataclasses.replace(record, summaries=rows))


def test_networks_that_kept_their_start_are_counted_and_were_chosen_on_all_folds(trained):
    results = tuple(
        dataclasses.replace(
            each,
            selected_on="5 inner folds"
            if each.cell.scenario in ("features", "finetune")
            else "1 of 5 inner folds",
            training=tuple({**fit, "kept_epoch": 0, "head_refitted": True} for fit in each.training),
        )
        if each.training or not each.cell.trains
        else each
        for each in trained.results
    )
    given = dataclasses.replace(trained, results=results)
    assert "all where they kept their start" in selected_on(given, "shapes")
    said = trained_words(given)
    assert (
        "kept the fitted head it started from in" in said
        and "its answers are those of that classifier" in said
    )
    assert "kept the fitted head" not in trained_words(trained) and " epochs" in trained_words(trained)
    assert trained_words(dataclasses.replace(trained, summaries=(), joint=())) == ""


def test_names_are_explained_and_only_the_parts_that_there_are(record, trained):
    said = naming_words(record.summaries)
    assert "pool is its last layer before the classifier" in said and "avg the mean" in said
    assert "trains" not in said.split(";")[1] and "logits" not in said
    rows = [row for row in trained.summaries if row.scenario != "finetune" or row.cut == "last:2"]
    assert "last:2: the last 2 stages train" in naming_words(rows)
    assert naming_words(()) == ""


def test_other_input_sizes_of_networks_that_train_are_a_limit(trained):
    def limits(record):
        return " ".join(next(iter(discussion(record, {}).parts)).blocks[0].items)

    assert "may be one of the size" not in limits(trained)
    results = tuple(
        dataclasses.replace(each, cell=dataclasses.replace(each.cell, height=96, width=96))
        if each.cell.trains
        else each
        for each in trained.results
    )
    assert "saw images of 96 px, features are of images of 224 px" in limits(
        dataclasses.replace(trained, results=results)
    )


def test_chances_of_the_others_are_told_as_they_are(tmp_path):
    record = tiny_record(tmp_path / "over", datasets=("a", "b", "c", "d"))
    found = over_datasets(record)
    chances = bayes_chances(found)
    sure = [other for other, chance in chances[1:] if chance.a_better >= SURE]
    said = over_datasets_section(record).blocks[2].text
    if sure:
        assert f"better than {sure[0]}" in said
    assert ("by mean rank none reaches" in said) == (
        not any(max(c.a_better, c.same, c.b_better) >= SURE for _, c in chances[1:])
    )


def test_a_bound_is_named_beside_the_figure_that_it_is_of():
    others = np.array([[0.5] * 5])
    below = Sanity("gradcam", np.array([[0.34, 0.33, 0.24, -0.04, 0.2]]), others)
    reached = Sanity("gradcam", np.array([[0.62, 0.33, 0.24, -0.03, 0.29]]), others)
    above = Sanity("gradcam", np.array([[0.62, 0.43, 0.34, 0.33, 0.29]]), others)
    assert below.passed and below.words.startswith("0.21, below 0.3:")
    assert not reached.passed and reached.words.startswith("0.29, not below 0.3 in size (0.30), and as high")
    assert not above.passed and above.words.startswith("0.40, not below 0.3, and as high")
