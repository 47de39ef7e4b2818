"""Methods by data sets in one table: the score of each, and what it is against the best there by the paired test."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from headstart.measure.many import Comparison
from headstart.measure.verdict_words import EQUIVALENT, NOT_DISTINGUISHABLE
from headstart.measure.verdicts import BETTER, WORSE
from headstart.report.document import Block, Claim, Column, Entry, Row, Table
from headstart.report.run_links import place_of
from headstart.report.sections.over_datasets import over_datasets
from headstart.report.told import Told, ToldApart, metric_of
from headstart.report.told_tests import METRIC_WORDS
from headstart.report.verdict import APART, datasets
from headstart.report.wording import DASH, count, decimal, listed, percent
from headstart.study.records import MethodSummary, StudyRecord

BEST = "the best"
SIGNS = {BEST: "*", BETTER: "+", WORSE: "−", EQUIVALENT: "=", NOT_DISTINGUISHABLE: "≈"}
"""What stands after a score: what the method is against the best of that data set."""
NAMED = 3
"""Methods that a sentence names; the others are counted."""

Rows = dict[tuple[str, str], MethodSummary]
"""Rows with a score, by method and data set."""


def every_dataset(
    record: StudyRecord, told: Told, id: str = "every-dataset", *, most: int = 0, wide: int = 0
) -> list[Block]:
    """The methods that are nowhere worse than the best, and a table of methods by data sets.

    Nothing where the study has no more data sets than `APART`, each of which is told in full.

    Parameters
    ----------
    record : StudyRecord
    told : mapping of str to ToldApart or None
        The paired comparisons that every other part tells, by data set.
    id : str
    most : int
        Of more methods those that rank first or lead a scenario on a data set are shown, so many at most; 0: all.
    wide : int
        Data sets that one table holds; 0: all of them.
    """
    rows = _scored(record)
    names = [name for name in datasets(record) if any(dataset == name for _, dataset in rows)]
    if len(datasets(record)) <= APART or not names:
        return []
    ranks = _ranks(record)
    every = _ordered(record, rows, ranks)
    shown = every
    if most and len(every) > most:
        lead = list(dict.fromkeys((every[0], *leaders(record))))[:most]
        shown = [method for method in every if method in lead]
    parts = [names[at : at + wide] for at in range(0, len(names), wide)] if wide else [names]
    tables = [
        _table(record, told, rows, shown, part, ranks, f"{id}-{at}" if at else id)
        for at, part in enumerate(parts)
    ]
    if len(shown) < len(every):
        left = f" {len(shown)} of {len(every)} methods are shown: those that rank first or lead a scenario on a data set."
        tables = [replace(table, caption=table.caption + left) for table in tables]
    return [*_nowhere_worse(record, told, names, every), *tables]


def leaders(record: StudyRecord) -> list[str]:
    """The methods that lead a scenario on a data set by the choosing score, the most needed first.

    First the best of each data set, then of each scenario the method that leads it most often, then the others.
    """
    rows, need = _scored(record), dict[str, int]()
    for method in record.best.values():
        need[method] = 0
    for scenario in dict.fromkeys(row.scenario for row in rows.values()):
        tops = Counter[str]()
        for name in datasets(record):
            own = [row for row in rows.values() if (row.dataset, row.scenario) == (name, scenario)]
            if own:
                tops[max(own, key=lambda row: (row.status == "done", row.standing or 0.0)).method] += 1
        for at, (method, _) in enumerate(tops.most_common()):
            need[method] = min(need.get(method, 2), 1 if at == 0 else 2)
    return sorted(need, key=need.__getitem__)


def _scored(record: StudyRecord) -> Rows:
    metric = metric_of(record)
    return {(row.method, row.dataset): row for row in record.summaries if metric in row.scores}


def _ranks(record: StudyRecord) -> dict[str, float]:
    """Mean ranks of the methods that finished on every data set; {} where there are none."""
    found = over_datasets(record)
    return dict(zip(found.methods, found.mean_ranks, strict=True)) if isinstance(found, Comparison) else {}


def _ordered(record: StudyRecord, rows: Rows, ranks: dict[str, float]) -> list[str]:
    """By mean rank; methods without one follow, those of most data sets first."""
    metric = metric_of(record)
    scores: dict[str, list[float]] = {}
    for (method, _), row in rows.items():
        scores.setdefault(method, []).append(row.scores[metric].value)

    def key(method: str) -> tuple[float, int, float, str]:
        own = scores[method]
        return ranks.get(method, float("inf")), -len(own), -sum(own) / len(own), method

    return sorted(scores, key=key)


def _table(
    record: StudyRecord, told: Told, rows: Rows, methods: Sequence[str], names: Sequence[str], ranks: dict[str, float],
    id: str,
) -> Table:  # fmt: skip
    measure = METRIC_WORDS[metric_of(record)]
    columns = [Column("method")]
    columns += [Column("mean rank", "over all data sets; 1 is best", numeric=True)] if ranks else []
    columns += [Column(name, f"{measure} on its test images", numeric=True) for name in names]
    made = []
    for method in methods:
        entries = [Entry(method, method.casefold())]
        if ranks:
            rank = ranks.get(method)
            entries.append(Entry(DASH if rank is None else decimal(rank, 2), rank))
        entries += [_entry(record, rows.get((method, name)), told.get(name)) for name in names]
        made.append(Row(tuple(entries)))
    kinds = {
        kind_of(record, row, told.get(name))
        for name in names
        for m in methods
        if (row := rows.get((m, name)))
    }
    caption = f"Test {measure} of each method on each data set" + (", by mean rank. " if ranks else ". ")
    caption += signs_words(kinds)
    caption += " Look for a row without − and gaps: nothing speaks against that method on any of them."
    runs = tuple(
        cell for m in methods for name in names if (row := rows.get((m, name))) for cell in row.cells
    )
    return Table(id, caption, tuple(columns), tuple(made), sortable=True, runs=runs)


def signs_words(kinds: set[str]) -> str:
    """What the signs in a table say, of those that stand in it."""
    signs = [f"{sign} {kind}" for kind, sign in SIGNS.items() if kind in kinds and kind != BEST]
    said = f"{SIGNS[BEST]} is the best there by the choosing score"
    if signs:
        said += f"; against it, by the paired test (Holm): {', '.join(signs)}"
    return f"{said}; without a sign: not compared." if "" in kinds else f"{said}."


def kind_of(record: StudyRecord, row: MethodSummary, told: ToldApart | None) -> str:
    """What a method is against the best of its data set, a key of `SIGNS`; "" where it was not compared."""
    if record.best.get(row.dataset) == row.method:
        return BEST
    return told.kind(row.method) if told is not None else ""


def _entry(record: StudyRecord, row: MethodSummary | None, told: ToldApart | None) -> Entry:
    if row is None:
        return Entry(DASH, None)
    score = row.scores[metric_of(record)]
    sign = SIGNS.get(kind_of(record, row, told), "")
    ran = next((cell for cell in row.cells if cell in record.by_id), "")
    return Entry(
        f"{percent(score.value)} {sign}".strip().replace(" ", "\u00a0"),
        score.value,
        small="" if row.status == "done" else row.status,
        target=place_of(ran) if ran else "",
    )


def _nowhere_worse(
    record: StudyRecord, told: Told, names: Sequence[str], methods: Sequence[str]
) -> list[Claim]:
    """Which methods finished on every data set and are worse than the best on none; nothing where none was compared."""
    rows = {(row.method, row.dataset): row for row in record.summaries if row.status == "done"}
    kinds = {
        method: [kind_of(record, rows[method, name], told.get(name)) for name in names]
        for method in methods
        if all((method, name) in rows for name in names)
    }
    compared = {method: own for method, own in kinds.items() if "" not in own}
    if len(compared) < 2:
        return []
    held = [method for method, own in compared.items() if WORSE not in own]
    runs = tuple(cell for method in compared for name in names for cell in rows[method, name].cells)
    of = f"{count(len(compared), 'method')} that finished on all {count(len(names), 'data set')}"
    if not held:
        return [Claim(f"Each of {of} is worse than the best on at least one of them.", runs)]
    shown = held if len(held) <= NAMED else [*held[:NAMED], f"{len(held) - NAMED} more"]
    every = "on none of them" if len(names) > 1 else "not there"
    said = f"Of {of}, {len(held)} {'is' if len(held) == 1 else 'are'} worse than the best {every}, by the paired tests: "
    return [Claim(f"{said}{listed(shown)}.", runs)]
