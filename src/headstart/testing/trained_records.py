"""A made-up study record in which networks were trained too: three scenarios with curves, a finding, a cut."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np

from headstart.base.findings import Finding
from headstart.measure.metrics import evaluate
from headstart.study.findings import all_findings
from headstart.study.records import Cell, CellResult, CutMethod, StudyRecord
from headstart.study.summarise import choose_best, summarise

SKILLS = {"finetune": 3.0, "full": 1.5, "scratch": 2.0}
N_EPOCHS = 4


def with_training(record: StudyRecord, *, winner: str = "finetune") -> StudyRecord:
    """The record of `headstart.testing.records.tiny_record` with trained methods on its first dataset.

    Each of `SKILLS` ran under seed 0: scratch is above full, so that there is a finding; a second cut of
    finetune was cut by the budget. `winner` has the highest selection of all methods.
    """
    first = next(result.cell for result in record.results)
    table = record.tables[first.dataset]
    truth, classes = _truth(record, first), table.classes(record.targets[first.dataset])
    made: dict[str, tuple[CellResult, np.ndarray]] = {}
    for scenario, skill in SKILLS.items():
        cell = _cell(first, scenario, "last:2" if scenario == "finetune" else "all")
        draw = np.random.default_rng(int(cell.id[:8], 16))
        logits = draw.normal(size=(len(truth), len(classes)))
        logits[np.arange(len(truth)), truth] += skill
        shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        found = evaluate(truth, shares, classes)
        made[cell.id] = (_result(cell, found, classes, record, scenario == winner), shares)
    lost = _cell(first, "finetune", "last:1")
    results = {each.cell.id: each for each in record.results} | {id: each for id, (each, _) in made.items()}
    planned = [*(result.cell for result, _ in made.values()), lost]
    cut = CutMethod(first.dataset, lost.method, 1, 2, 0.25, 1, 0.41, 0.66, 3.2, 40.0)
    summaries = (*record.summaries, *summarise(planned, results, {(cut.dataset, cut.method)}))
    best = choose_best(summaries, results)
    held = {id: shares for id, (each, shares) in made.items() if each.cell.method == best[first.dataset]}
    rows = tuple(table.rows("test"))
    return replace(
        record,
        spec={**record.spec, "equal": "images", "epochs": N_EPOCHS, "learning_rate": None},
        summaries=summaries,
        results=tuple(results.values()),
        best=best,
        test_rows={**record.test_rows, **dict.fromkeys(held, rows)},
        probabilities={**record.probabilities, **held},
        n_planned=record.n_planned + len(made),
        findings=all_findings(summaries, results),
        cut=(cut,),
    )


def _truth(record: StudyRecord, cell: Cell) -> np.ndarray:
    table, target = record.tables[cell.dataset], record.targets[cell.dataset]
    classes = table.classes(target)
    return np.array([classes.index(table.labels[target][row] or "") for row in table.rows("test")])


def _cell(like: Cell, scenario: str, cut: str) -> Cell:
    start = "plain" if scenario == "scratch" else "head-first"
    options = json.dumps({"epochs": N_EPOCHS, "start": start, "augment": "medium"})
    bare: dict[str, Any] = dict.fromkeys(("layer", "module", "pooling", "head", "engine", "precision"), "")
    return replace(like, **bare, scenario=scenario, cut=cut, training=options, seed=0)


def _result(cell: Cell, found: Any, classes: tuple[str, ...], record: StudyRecord, wins: bool) -> CellResult:
    reach = {"finetune": 0.9, "full": 0.6, "scratch": 0.7}[cell.scenario]
    last = 0.995 if wins else reach
    rise = [last - 0.3 / epoch for epoch in range(1, N_EPOCHS)] + [last]
    curve = [
        {
            "epoch": at, "loss": 1.2 / at, "accuracy": value - 0.05, "held_loss": 1.0 / at,
            "held_accuracy": value, "seconds": 2.0, "rate": 0.001,
        }
        for at, value in enumerate(rise, start=1)
    ]  # fmt: skip
    fit = {
        "path": "cache" if cell.scenario == "finetune" else "plain", "views": 4, "augment": "light",
        "learning_rate": 0.001, "epochs": N_EPOCHS, "kept_epoch": N_EPOCHS, "curve": curve, "dtype": "float32",
        "images_seen": 45 * N_EPOCHS, "seconds": {"train": 8.0, "all": 12.0}, "n_trained": 2_100_000,
        "start": cell.options["start"], "selection": last,
        "start_selection": None if cell.scenario == "scratch" else 0.5,
    }  # fmt: skip
    collapsed = Finding(
        "collapsed", "9 of 9 held-out images are given the class 'cross'", "lower the rate", "error"
    )
    return CellResult(
        cell,
        "done",
        classes=classes,
        selection=last,
        selected_on="validation",
        n_train=45,
        n_validation=15,
        n_test=15,
        scores=found.scores,
        per_class=found.per_class,
        confusion=found.confusion,
        chosen={"epoch": N_EPOCHS, "learning_rate": 0.001},
        seconds={"extract": 2.0, "fit": 12.0, "predict": 1.0},
        peak_bytes=600_000_000,
        model_bytes=18_000_000,
        training=(fit,),
        findings=(collapsed,) if cell.scenario == "full" else (),
    )
