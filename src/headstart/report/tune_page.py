"""The report of a tuning: what it was worth on test, then each search with its history, importances and slices."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from headstart.base.files import write_text
from headstart.images.collect import clean
from headstart.methods.training_options import TRAINED
from headstart.methods.tune.found import DONE, FAILED, PRUNED, SearchRecord, Tuning, Worth
from headstart.methods.tune.space import values_of
from headstart.report.document import (
    Block,
    Claim,
    Column,
    Document,
    Entry,
    Figure,
    Paragraph,
    Points,
    Row,
    Section,
    Table,
    plain_table,
)
from headstart.report.html import render
from headstart.report.tune_figures import history, importance, slices
from headstart.report.tune_words import (
    doubts,
    fold_text,
    gain,
    points,
    trials_text,
    value_text,
    verdict,
)
from headstart.report.wording import DASH, count, decimal, duration, percent

MOST_ROWS = 500
STATES = {DONE: "done", PRUNED: "given up", FAILED: "failed"}


def write_tuning_page(found: Tuning, path: str | Path) -> Path:
    """Write the report as one HTML file that loads nothing."""
    return write_text(path, render(tuning_document(found)))


def tuning_document(found: Tuning) -> Document:
    """The report as values."""
    subtitle = (
        f"{count(len(found.classes), 'class', 'classes')}; {found.n_train:,} images learn, "
        f"{found.n_validation:,} validate, {found.n_test:,} test; chosen by {found.selected_on}"
    )
    return Document(
        clean(f"Tuning on {found.data}"),
        subtitle,
        (
            _short(found),
            _worth(found),
            *(_search(found, record, number) for number, record in enumerate(found.searches)),
            _repeat(found),
        ),
    )


def _short(found: Tuning) -> Section:
    blocks: list[Block] = [Claim(clean(line), strong=at == 0) for at, line in enumerate(verdict(found))]
    if said := doubts(found):
        blocks.append(Points(tuple(clean(each) for each in said), "To know before you believe it"))
    return Section("short", "In short", tuple(blocks))


def _worth(found: Tuning) -> Section:
    columns = (
        Column("method"),
        Column("chosen by, defaults", "accuracy on the images that choose", True),
        Column("chosen by, tuned", "the same of the best trial; it flatters, as the best of many does", True),
        Column("test, defaults", "with its 95 % interval", True),
        Column("test, tuned", "with its 95 % interval", True),
        Column(
            "difference", "tuned less defaults on the same images, in points, with its 95 % interval", True
        ),
        Column("p", "two-sided", True),
    )
    rows = tuple(Row(_worth_entries(each), "best" if each is found.best else "") for each in found.worth)
    caption = (
        f"Each method with its defaults and as tuned, on the same {found.n_test:,} test images, which were read "
        "after everything was chosen. The row marked is the best by what chooses."
    )
    how = f"The difference is paired ({found.best.difference['test']}); the interval is of the images tested"
    how += (
        " and of the seeds."
        if found.best.n_seeds > 1
        else "; it leaves out what another seed or split would do."
    )
    nested = (
        f"Nested: each method was tuned anew inside each of {found.plan['folds']} folds and tested on the images "
        "that the fold holds out."
    )
    blocks: list[Block] = [
        Table("worth-table", caption, columns, rows, sortable=True),
        Paragraph(how, quiet=True),
    ]
    if found.plan["folds"]:
        blocks.insert(0, Paragraph(nested))
    return Section("worth", "What tuning was worth", (*blocks, *_snippets(found)))


def _worth_entries(each: Worth) -> tuple[Entry, ...]:
    d = each.difference
    return (
        Entry(each.method, each.method),
        Entry(percent(each.default_chosen_by), each.default_chosen_by),
        Entry(percent(each.chosen_by), each.chosen_by),
        _scored(each.default),
        _scored(each.tuned),
        Entry(points(d["value"]), d["value"], small=f"{points(d['low'])} to {points(d['high'])}"),
        Entry(decimal(d["p"]), d["p"]),
    )


def _scored(score: Any) -> Entry:
    return Entry(
        percent(score["value"]), score["value"], small=f"{100 * score['low']:.1f}–{100 * score['high']:.1f}"
    )


def _snippets(found: Tuning) -> tuple[Block, ...]:
    if found.plan["folds"]:
        return ()
    title = f"The best, {found.best.method}, in Python"
    return (Points((snippet(found),), title, code=True),)


def snippet(found: Tuning) -> str:
    """Python that makes the best method as it was tuned."""
    best, plan = found.best, found.plan
    params = dict(best.params[0])
    given: dict[str, Any] = {"backbone": plan["backbone"]}
    if plan["input_size"] is not None:
        given["input_size"] = plan["input_size"]
    if best.method in TRAINED:
        given |= {"scenario": best.method, "seed": plan["seed"], **plan["training"], **params}
        name = "FineTuneClassifier"
    else:
        given |= {"layer": params.pop("layer"), "pooling": params.pop("pooling"), "head": best.method}
        given |= {"head_options": params, "seed": plan["seed"]}
        name = "TransferClassifier"
    lines = ",\n    ".join(f"{key}={value!r}" for key, value in given.items())
    return f"from headstart import {name}\n\nmodel = {name}(\n    {lines},\n)"


# ---- one search --------------------------------------------------------------------------------------------


def _search(found: Tuning, record: SearchRecord, number: int) -> Section:
    id = f"search-{number}"
    blocks: list[Block] = [
        Paragraph(f"{trials_text(record)}; proposed by TPE. {_pruning(found, record)}".strip())
    ]
    blocks.append(_chosen(record, id))
    best = record.best_trial
    blocks.append(
        Figure(
            f"{id}-history",
            "Accuracy on the images that choose, trial after trial. The line is the best so far; the dashes are "
            "the defaults.",
            history(record),
            f"History of {record.method}: {len(record.trials)} trials, the best "
            f"{percent(best.value if best else None)}, the defaults {percent(record.default['value'])}",
        )
    )
    blocks += _mattered(record, id)
    blocks.append(
        Figure(
            f"{id}-slices",
            "Accuracy against each option; every mark is a trial, the ring the best. What is flat did not matter.",
            slices(record),
            f"Accuracy of {record.method} against each option that was searched",
        )
    )
    blocks.append(_trials(record, id))
    return Section(id, f"{record.method}{fold_text(found, record)}", tuple(blocks))


def _pruning(found: Tuning, record: SearchRecord) -> str:
    names = {"hyperband": "Hyperband", "asha": "asynchronous successive halving"}
    name = names.get(str(found.plan["pruner"]))
    if record.method not in TRAINED or name is None:
        return ""
    return f"Trials that lag behind are given up after an epoch ({name})."


def _mattered(record: SearchRecord, id: str) -> list[Block]:
    if not record.importance:
        return [Paragraph(f"What mattered: cannot tell: {record.cannot_tell}.", quiet=True)]
    caption = (
        "What mattered: the share of the variance of the accuracy over the space that each option explains alone "
        "(fANOVA). With few trials this is rough."
    )
    said = ", ".join(f"{name} {100 * share:.0f} %" for name, share in record.importance.items())
    return [Figure(f"{id}-importance", caption, importance(record.importance), f"Importance: {said}")]


def _chosen(record: SearchRecord, id: str) -> Table:
    best = record.best_trial
    ends = {each["name"]: each["end"] for each in record.borders}
    rows = []
    for dimension in record.space:
        name = dimension["name"]
        tuned = DASH if best is None else value_text(best.params[name])
        note = f"on the {ends[name]} border" if name in ends else ""
        fixed = len(dimension.get("choices", (1, 2))) == 1
        rows.append([
            name, value_text(record.default["params"][name]), Entry(tuned, tuned, small=note),
            "fixed" if fixed else values_of(dimension),
        ])  # fmt: skip
    caption = (
        "The options: the method's defaults (what it finds itself put in), the best trial's, and the space."
    )
    return plain_table(f"{id}-chosen", caption, ("option", "defaults", "tuned", "space"), rows)


def _trials(record: SearchRecord, id: str) -> Table:
    names = [each["name"] for each in record.space if len(each.get("choices", (1, 2))) > 1]
    columns = (
        Column("trial", numeric=True),
        Column("state"),
        Column("accuracy", "on the images that choose", True),
        Column("log loss", "on the same images; decides between equals", True),
        *(Column(name) for name in names),
        Column("time", numeric=True),
    )
    rows = tuple(
        Row(
            (
                Entry(str(each.number), each.number),
                Entry(STATES[each.state], each.state, small=clean(each.error or each.given_up)),
                Entry(percent(each.value), each.value),
                Entry(decimal(each.loss), each.loss),
                *(Entry(value_text(each.params[name]), _sort(each.params[name])) for name in names),
                Entry(duration(each.seconds), each.seconds),
            ),
            "best" if each.number == record.best else "failed" if each.state == FAILED else "",
        )
        for each in record.trials[:MOST_ROWS]
    )
    left = len(record.trials) - len(rows)
    caption = "Every trial." + (
        f" The first {MOST_ROWS} of {len(record.trials):,} are listed." if left else ""
    )
    return Table(
        f"{id}-trials", caption, columns, rows, sortable=True, folded=f"All {count(len(rows), 'trial')}"
    )


def _sort(value: Any) -> float | str:
    return str(value) if isinstance(value, bool | str) else float(value)


def _repeat(found: Tuning) -> Section:
    command = re.sub(r"\s+", " ", found.command) or "(run from Python)"
    versions = ", ".join(f"{name} {version}" for name, version in found.versions.items())
    return Section(
        "repeat",
        "To repeat it",
        (
            Points((clean(command),), "", code=True),
            Paragraph(f"It took {duration(found.seconds)} in all. {versions}.", quiet=True),
            Paragraph(
                f"With one worker and a fixed number of trials the same seed gives the same trials; a run that was "
                f"stopped, or several workers, draw others. {gain(found.best)} is what this tuning was worth here.",
                quiet=True,
            ),
        ),
    )
