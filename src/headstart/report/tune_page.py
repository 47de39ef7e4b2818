"""The report of a tuning: what it was worth on test, then each search with its history, importances and slices."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from headstart.base.files import write_text
from headstart.images.collect import clean
from headstart.methods.training_options import TRAINED
from headstart.methods.tune.found import SearchRecord, Tuning, Worth
from headstart.report import papers
from headstart.report.cited import references_section, together
from headstart.report.document import (
    Block,
    Claim,
    Column,
    Document,
    Entry,
    Paragraph,
    Points,
    Row,
    Section,
    Table,
)
from headstart.report.html import render
from headstart.report.tune_search import search_blocks
from headstart.report.tune_words import doubts, fold_text, gain, verdict
from headstart.report.wording import count, decimal, duration, percent, signed_points

WORTH_COLUMNS = (
    Column("method"),
    Column("chosen by, defaults", "accuracy on the images that choose", True),
    Column("chosen by, tuned", "the same of the best trial; it flatters, as the best of many does", True),
    Column("test, defaults", "with its 95 % interval", True),
    Column("test, tuned", "with its 95 % interval", True),
    Column("difference", "tuned less defaults on the same images, in points, with its 95 % interval", True),
    Column("p", "two-sided", True),
)


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
            references_section(together(_uses(found)), of="this tuning"),
        ),
    )


def _uses(found: Tuning) -> list[tuple[tuple[str, ...], str]]:
    pruner = str(found.plan["pruner"])
    trained = any(record.method in TRAINED for record in found.searches)
    uses = [(papers.TUNERS["tpe"], "proposals of trials")]
    return [*uses, (papers.TUNERS.get(pruner, ()) if trained else (), "trials that are given up")]


def _short(found: Tuning) -> Section:
    blocks: list[Block] = [Claim(clean(line), strong=at == 0) for at, line in enumerate(verdict(found))]
    if said := doubts(found):
        blocks.append(Points(tuple(clean(each) for each in said), "To know before you believe it"))
    return Section("short", "In short", tuple(blocks))


def _worth(found: Tuning) -> Section:
    rows = tuple(Row(worth_entries(each), "best" if each is found.best else "") for each in found.worth)
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
        Table("worth-table", caption, WORTH_COLUMNS, rows, sortable=True),
        Paragraph(how, quiet=True),
    ]
    if found.plan["folds"]:
        blocks.insert(0, Paragraph(nested))
    return Section("worth", "What tuning was worth", (*blocks, *_snippets(found)))


def worth_entries(each: Worth) -> tuple[Entry, ...]:
    """A method's row of what tuning was worth."""
    d = each.difference
    return (
        Entry(each.method, each.method),
        Entry(percent(each.default_chosen_by), each.default_chosen_by),
        Entry(percent(each.chosen_by), each.chosen_by),
        _scored(each.default),
        _scored(each.tuned),
        Entry(signed_points(d["value"]), d["value"], small=signed_points(d["low"], d["high"])),
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


def _search(found: Tuning, record: SearchRecord, number: int) -> Section:
    blocks = search_blocks(record, f"search-{number}", pruner=str(found.plan["pruner"]))
    return Section(f"search-{number}", f"{record.method}{fold_text(found, record)}", tuple(blocks))


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
