"""The rule of equal terms between methods that train a network, with the figures that show it was kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from headstart.report.document import Block, Column, Entry, Paragraph, Row, Table
from headstart.report.run_links import RUNS, runs_entry
from headstart.report.verdict import results_of
from headstart.report.wording import DASH, count, duration, listed
from headstart.study.records import CellResult, MethodSummary, StudyRecord

OF_FEATURES = (
    "Methods of the scenario features see each image once; their regularisation is chosen among a few values on the same "
    "images."
)


def equal_terms(record: StudyRecord) -> list[Block]:
    """What the trained methods had alike; nothing where none was trained."""
    rows = [row for row in (*record.summaries, *record.joint) if row.trains]
    if not rows:
        return []
    blocks: list[Block] = [Paragraph(f"{rule_words(record)} {OF_FEATURES}")]
    shown = [(row, done) for row in rows if (done := _done(record, row))]
    return [*blocks, _table(record, shown)] if shown else blocks


def tuning_terms(record: StudyRecord) -> str:
    """What every tuned run had alike, as a sentence."""
    trials, seconds = record.spec.get("tune"), record.spec.get("tune_budget")
    each = " within ".join(
        part for part in (f"{trials} trials" if trials else "", str(seconds or "")) if part
    )
    return (
        f"every run of every method had {each}, its own defaults as the first; trials were judged where methods are "
        "chosen, never on test images."
    )


def _done(record: StudyRecord, row: MethodSummary) -> list[CellResult]:
    return [result for result in results_of(record, row) if result.status == "done" and result.training]


def trained_words(record: StudyRecord) -> str:
    """How long each method trained and what it kept, over all data sets, in a sentence; "" where none has."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in (*record.summaries, *record.joint):
        if row.trains:
            found.setdefault(row.method, []).extend(
                fit for result in _done(record, row) for fit in result.training
            )
    said, again = [], False
    for method, fits in found.items():
        if not fits:
            continue
        epochs = sorted({len(fit.get("curve") or ()) for fit in fits})
        words = f"{method} {_range(epochs)}"
        if kept := sum(fit.get("kept_epoch") == 0 for fit in fits):
            words += f", and kept the fitted head it started from in {kept} of {count(len(fits), 'fit')}"
            again = again or any(fit.get("head_refitted") for fit in fits)
        said.append(words)
    batch = record.spec.get("batch_size")
    if not said:
        return ""
    then = " Where a network kept it, its answers are those of that classifier on features." if again else ""
    return f"Networks trained{f' in batches of {batch}' if batch else ''}: {'; '.join(said)}.{then}"


def _range(epochs: Sequence[int]) -> str:
    return count(epochs[0], "epoch") if len(epochs) == 1 else f"{epochs[0]} to {epochs[-1]} epochs"


def rule_words(record: StudyRecord) -> str:
    """The rule of equal terms between networks that train, in words."""
    rule = record.spec.get("equal", "images")
    said = "Equal terms between the methods that train: "
    if rule == "seconds":
        said += f"each gets {record.spec.get('train_seconds')} seconds of training a run, in as many epochs as fit"
    elif rule == "own":
        said += "none in length, each scenario has its own number of epochs"
    else:
        said += "each sees the same number of images, in the same number of epochs"
        said += " unless it stops early for want of patience" if record.spec.get("patience") else ""
    given = record.spec.get("learning_rate")
    said += f"; the learning rate is {given} for all" if given else "; each has one range test for its rate"
    last = record.spec.get("keep") == "last"
    said += (
        ", and the weights of the last epoch are kept"
        if last
        else ", and validation chooses the epoch that is kept"
    )
    return f"{said}."


def _table(record: StudyRecord, shown: Sequence[tuple[MethodSummary, list[CellResult]]]) -> Table:
    several = len({row.dataset for row, _ in shown}) > 1
    titles = [
        *(["dataset"] if several else []), "method", "epochs", "images seen", "training", "range tests",
        "learning rate", "start", "how it ran", RUNS.title,
    ]  # fmt: skip
    rows = []
    for row, done in shown:
        fits = [fit for result in done for fit in result.training]
        seen = row.images_seen
        entries = [
            *([Entry(row.dataset, row.dataset.casefold())] if several else []),
            Entry(row.method, row.method.casefold()),
            Entry(_alike(len(fit.get("curve") or ()) for fit in fits), small=_kept(fits)),
            Entry(f"{seen:,}", seen, small="a run" if len(done) > 1 else ""),
            Entry(duration(row.train_seconds), row.train_seconds, small="a run" if len(done) > 1 else ""),
            Entry(str(0 if record.spec.get("learning_rate") else len(done[0].training))),
            Entry(_alike(f"{float(fit['learning_rate']):.2g}" for fit in fits if fit.get("learning_rate"))),
            Entry(str(fits[0].get("start", "")) or DASH, small=_start(fits)),
            Entry(_alike(str(fit.get("path", DASH)) for fit in fits), small=_how(fits[0])),
            runs_entry([result.cell.id for result in done]),
        ]
        rows.append(Row(tuple(entries)))
    caption = (
        "What each trained method had. Cache: its frozen part ran once a view; stream: once a step; plain: the "
        "whole network ran in every step."
    )
    columns = tuple(Column(title, numeric=title in ("epochs", "images seen", "training")) for title in titles)
    return Table("equal-terms", caption, columns, tuple(rows), sortable=True)


def _alike(values: Any) -> str:
    """The value, or the different ones."""
    return listed(str(value) for value in dict.fromkeys(values)) or DASH


def _kept(fits: Sequence[dict[str, Any]]) -> str:
    epochs = sorted({int(fit["kept_epoch"]) for fit in fits if fit.get("kept_epoch") is not None})
    said = [str(epoch) if epoch else "the start" for epoch in epochs]
    return f"kept: {listed(said)}" if said else ""


def _start(fits: Sequence[dict[str, Any]]) -> str:
    known = [float(fit["start_selection"]) for fit in fits if fit.get("start_selection") is not None]
    known = [value for value in known if value == value]
    return f"from {100 * sum(known) / len(known):.1f} % on the images that choose" if known else ""


def _how(fit: dict[str, Any]) -> str:
    said = [str(fit["dtype"])] if fit.get("dtype") else []
    if fit.get("n_trained"):
        said.append(f"{fit['n_trained'] / 1e6:.2g} M weights train")
    if fit.get("views"):
        said.append(f"{count(int(fit['views']), 'view')} ({fit.get('augment', '')})")
    return ", ".join(said)
