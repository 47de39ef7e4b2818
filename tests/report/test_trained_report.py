"""The report of a study that trains networks: equal terms, curves, findings, what the budget cut."""

from __future__ import annotations

import dataclasses
import json

import pytest

from headstart.report.build import build_document
from headstart.report.figures import Curve, training_curves
from headstart.report.html import render
from headstart.report.sections.best import _tuned
from headstart.report.sections.curves import _caption, _curve
from headstart.report.sections.equal import _kept
from headstart.report.sections.results import results_table
from headstart.report.summary import summary_lines
from headstart.report.verdict import verdict
from headstart.testing.records import tiny_record
from headstart.testing.trained_records import with_training


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    return with_training(tiny_record(tmp_path_factory.mktemp("study")))


@pytest.fixture(scope="module")
def document(record):
    return build_document(record)


@pytest.fixture(scope="module")
def page(document):
    return render(document)


def section(document, title):
    return next(each for each in document.every if each.title == title)


def tables(document):
    found = {}
    for part in document.every:
        for block in part.blocks:
            for each in getattr(block, "blocks", (block,)):
                if each.kind == "table":
                    found[each.id] = each
    return found


def texts(table):
    return [[entry.text for entry in row.entries] for row in table.rows]


def test_the_table_shows_scenario_cut_seconds_of_training_and_images_seen(record):
    table = results_table(record, "shapes", "t", None)
    titles = [column.title for column in table.columns]
    first = dict(zip(titles, texts(table)[0], strict=True))
    assert (first["scenario"], first["cut"], first["head"]) == ("finetune", "last:2", "–")
    assert (first["training"], first["images seen"]) == ("8.0 s", "180")
    features = next(row for row in texts(table) if row[1] == "features")
    assert features[titles.index("images seen")] == "–"


def test_a_study_without_training_has_no_columns_of_training(tmp_path):
    table = results_table(tiny_record(tmp_path, per_class=5), "shapes", "t", None)
    assert not {"training", "images seen", "cut"} & {column.title for column in table.columns}


def test_the_verdict_names_a_winner_that_has_no_head_and_no_layer(record):
    said = verdict(record, "shapes", None).claims[0].text
    assert said.startswith("Best on shapes: finetune lite0 last:2 224px. It is highest on validation")


def test_the_rule_of_equal_terms_stands_with_its_figures(document):
    said = " ".join(
        block.text for block in section(document, "What was compared").blocks if hasattr(block, "text")
    )
    assert "each sees the same number of images, in the same number of epochs" in said
    assert "each has one range test for its rate" in said
    assert "the best is chosen on those that both have" in said  # one seed of training, three of features
    rows = texts(tables(document)["equal-terms"])
    assert {(row[1], row[2], row[3], row[4]) for row in rows} == {("4", "180", "8.0 s", "1")}


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"equal": "seconds", "train_seconds": 60.0}, "each gets 60.0 seconds of training a run"),
        ({"equal": "own"}, "none in length"),
        ({"patience": 2}, "unless it stops early"),
        ({"learning_rate": 0.01}, "the learning rate is 0.01 for all"),
        ({}, "validation chooses the epoch that is kept"),
        ({"keep": "last"}, "and the weights of the last epoch are kept"),
    ],
)
def test_other_rules_are_told_as_they_are(record, spec, said):
    changed = dataclasses.replace(record, spec={**record.spec, **spec})
    assert said in render(build_document(changed))


def test_every_trained_method_has_its_curves(document):
    results = section(document, "Results")
    figures = [each for block in results.blocks if block.kind == "beside" for each in block.blocks]
    captions = [figure.caption for figure in figures if "curve" in figure.id]
    assert len(captions) == 3
    assert captions[0].startswith("finetune lite0 last:2 224px, seed 0: epoch 4 of 4 kept with 99.5 %")
    assert "from 50.0 % of the linear head; 180 images seen in 8.0 s" in captions[0]


def test_where_the_start_is_kept_its_own_accuracy_is_told(record):
    def caption(**changed):
        run = next(each for each in record.results if each.cell.scenario == "finetune")
        run = dataclasses.replace(run, training=({**run.training[0], **changed},))
        return _caption(run, _curve(run))

    said = caption(kept_epoch=0, start_selection=0.6)
    assert "epoch 0 of 4 kept, which is the linear head that none of them bettered, with 60.0 % on" in said
    assert "99.5 %" not in said and "of the linear head;" not in said
    said = caption(kept_epoch=0, start_selection=0.6, epoch_chosen_on="1 of 5 inner folds")
    assert "bettered by more than one standard error, with 60.0 % on 1 of 5 inner folds" in said


def test_a_start_that_is_kept_stands_among_the_kept_epochs():
    assert _kept([{"kept_epoch": 8}, {"kept_epoch": 0}]) == "kept: the start and 8"
    assert _kept([{"kept_epoch": 0}]) == "kept: the start" and _kept([{}]) == ""


def test_curves_without_validation_images_can_be_drawn():
    curve = Curve((1.0,), (0.3,), (), (), 1)
    svg = training_curves(curve, (0.0, 1.0), (0.0, 1.0))
    assert svg.startswith("<svg") and svg == training_curves(curve, (0.0, 1.0), (0.0, 1.0))


def test_accuracy_against_seconds_has_networks_that_train_on_it(document):
    results = section(document, "Results")
    figures = [each for block in results.blocks if block.kind == "beside" for each in block.blocks]
    figure = next(each for each in figures if each.id.endswith("seconds"))
    assert "one shape a head or scenario" in figure.caption
    assert "mathdefault" not in figure.svg
    assert any("lite1" in note or "finetune" in note for note in figure.notes)


def test_findings_stand_with_what_to_do(document, page):
    rows = texts(tables(document)["findings"])
    assert rows[0][1].startswith("scratch") and "from random weights reaches 70.0%" in rows[0][2]
    assert rows[1][2:4] == ["9 of 9 held-out images are given the class 'cross'", "lower the rate"]
    assert "scratch better than pretrained" in page


def test_what_the_budget_cut_is_told_with_rung_and_score(document, page):
    ((*_, method, rung, score, kept, after),) = texts(tables(document)["cut"])
    assert (method, rung, score, kept, after) == (
        "finetune lite0 last:1 224px", "1 of 2", "41.0 %", "66.0 %", "40.0 s",
    )  # fmt: skip
    assert "On shapes the budget cut 1 method early" in page and "cut by the budget" in page
    missing = texts(tables(document)["missing"])
    assert not any(row[1].startswith("finetune") for row in missing)


def test_the_summary_tells_findings_and_cuts_as_plain_values(record):
    summary = summary_lines(record)
    assert [each["kind"] for each in summary.findings] == ["scratch better than pretrained", "collapsed"]
    assert any("the budget cut 1 method" in line for line in summary.missing)
    best = summary.rows[0]
    assert (best["cut"], best["train_seconds"], best["images_seen"], best["head"]) == ("last:2", 8.0, 180, "")
    assert {row["status"] for row in summary.rows if row["scenario"] != "features"} == {"done", "cut"}


def test_the_best_tells_which_epoch_was_kept_and_where_the_rate_is_from(page):
    assert "finetune lite0 last:2 224px, with the weights of epoch 4 of 4, chosen on validation" in page


def test_a_last_epoch_that_is_kept_unasked_was_not_chosen(record):
    def last(result):
        options = {**result.cell.options, "keep": "last"}
        return dataclasses.replace(
            result, cell=dataclasses.replace(result.cell, training=json.dumps(options))
        )

    run = next(each for each in record.results if each.cell.scenario == "finetune")
    assert "epoch 4 of 4, the last, as asked; learning rate" in _tuned(last(run))


def test_options_of_training_are_listed_where_something_trains(record):
    def listed(scenario):
        spec = {"scenario": [*scenario], "epochs": 8, "equal": "images", "trainable": ["last:2"]}
        table = tables(build_document(dataclasses.replace(record, spec=spec)))["spec"]
        return {row[0] for row in texts(table)} - {"scenario"}

    assert listed(["features"]) == set()
    assert listed(["features", "full"]) == {"epochs", "equal"}
    assert listed(["finetune"]) == {"epochs", "equal", "trainable"}


def test_identifiers_stay_unique(page):
    import re

    found = re.findall(r' id="([^"]+)"', page)
    assert len(found) == len(set(found))


def part(document, title):
    return next(each for one in document.sections for each in one.parts if each.title == title)


def test_the_augmentation_in_use_is_shown_on_real_images(record, document, page):
    shown = part(document, "Augmentation in use")
    (gallery,) = [block for block in shown.blocks if block.kind == "gallery"]
    assert "“medium”" in gallery.caption and len(gallery.groups) == 3
    for _, _, pictures in gallery.groups:
        addresses = [each.uri for each in pictures]
        assert len(addresses) == 6 and len(set(addresses)) > 1, "the plain image and views that differ"
    assert "Augmentation in use" in page


def test_where_nothing_is_augmented_nothing_is_shown(tmp_path):
    document = build_document(tiny_record(tmp_path))
    assert not [
        each for one in document.sections for each in one.parts if each.title == "Augmentation in use"
    ]


def test_the_networks_are_shown_by_their_stages(document, page):
    (table,) = section(document, "The networks").blocks
    assert texts(table)[0] == ["stem", "bn1", "112 x 112 x 32", "2", "928", "10.8"]
    assert "3,413,024 parameters" in table.caption and "851 x 851" in table.caption and table.folded in page


def test_a_start_that_no_epoch_bettered_is_told(record):
    shown = next(result for result in record.results if result.training)
    started = {**shown.training[0], "kept_epoch": 0}
    said = _tuned(dataclasses.replace(shown, training=(started,)))
    assert (
        "the fitted head that training started from, as none of its 4 epochs was better on validation" in said
    )
    assert "all of train" not in said
    kept = {**started, "head_refitted": True, "epoch_chosen_on": "1 of 5 inner folds"}
    again = _tuned(dataclasses.replace(shown, training=(kept,), selected_on="5 inner folds"))
    assert "better by more than one standard error on 1 of 5 inner folds" in again
    assert "chosen on 5 inner folds and fitted on all of train" in again
