"""One search as blocks of a report: what was found, history, importances, slices, every trial."""

from __future__ import annotations

from typing import Any

from headstart.images.collect import clean
from headstart.methods.training_options import TRAINED
from headstart.methods.tune.found import DONE, FAILED, PRUNED, SearchRecord
from headstart.methods.tune.space import values_of
from headstart.report.document import Block, Column, Entry, Figure, Paragraph, Row, Table, plain_table
from headstart.report.tune_figures import history, importance, slices
from headstart.report.tune_words import trials_text, value_text
from headstart.report.wording import DASH, count, decimal, duration, percent

MOST_ROWS = 500
STATES = {DONE: "done", PRUNED: "given up", FAILED: "failed"}
PRUNERS = {"hyperband": "Hyperband", "asha": "asynchronous successive halving"}


def search_blocks(record: SearchRecord, id: str, *, pruner: str) -> list[Block]:
    """What a search found and how.

    Parameters
    ----------
    record : SearchRecord
    id : str
        Every block's own begins with it.
    pruner : str
        Which gave trials up, where a network trains.
    """
    blocks: list[Block] = [
        Paragraph(f"{trials_text(record)}; proposed by TPE. {_pruning(record, pruner)}".strip())
    ]
    blocks.append(_chosen(record, id))
    best = record.best_trial
    blocks.append(
        Figure(
            f"{id}-history",
            "Accuracy on the images that choose, trial after trial. The line is the best so far; the dashes are "
            "the defaults.",
            history(record),
            f"History of {record.method}: {count(len(record.trials), 'trial')}, the best "
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
    return blocks


def _pruning(record: SearchRecord, pruner: str) -> str:
    if record.method not in TRAINED or pruner not in PRUNERS:
        return ""
    return f"Trials that lag behind are given up after an epoch ({PRUNERS[pruner]})."


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
        f"{id}-trials",
        caption,
        columns,
        rows,
        sortable=True,
        folded=f"All {n} trials" if (n := len(rows)) > 1 else "The only trial",
    )


def _sort(value: Any) -> float | str:
    return str(value) if isinstance(value, bool | str) else float(value)
