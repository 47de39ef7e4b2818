"""From a number to its runs: the place in a table that names the first run behind a row, and the list it leads to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from headstart.report.division import place_words
from headstart.report.document import Block, Claim, Column, Entry, Figure, Row, Table
from headstart.report.wording import DASH, percent
from headstart.study.records import Cell, CellResult, StudyRecord
from headstart.study.spec_values import per_class_word

NAMED = 3
"""Runs that a sentence, a drawing or a table as a whole names; the others are counted."""
WHOLE_LIST = (
    "All runs are listed in report.html of the study (headstart report) and, with all their scores, in results.csv of "
    "its archive (headstart archive)."
)
RUNS = Column("runs", "the first of the runs behind the row, and how many more")


def runs_entry(ids: Sequence[str]) -> Entry:
    """The first run with a link to its row in the list of runs, and how many more there are; a dash for none.

    Examples
    --------
    >>> runs_entry(("1f" * 16, "2a" * 16)).text
    '1f1f1f1f'
    """
    made = [id for id in ids if id]
    if not made:
        return Entry(DASH, None)
    more = f"+ {len(made) - 1}" if len(made) > 1 else ""
    return Entry(made[0][:8], made[0], small=more, target=place_of(made[0]))


def place_of(id: str) -> str:
    """The name of the place in a document where a run is listed."""
    return f"run-{id}"


def named_in(blocks: Iterable[Block]) -> list[str]:
    """The runs that sentences, drawings and tables name, in the order of the text."""
    named: dict[str, None] = {}
    for block in blocks:
        if isinstance(block, Claim | Figure | Table):
            named.update(dict.fromkeys(block.runs[:NAMED]))
        if isinstance(block, Table):
            places = [entry.target for row in block.rows for entry in row.entries]
            named.update(dict.fromkeys(place[4:] for place in places if place.startswith(place_of(""))))
    return list(named)


def images_words(cell: Cell) -> str:
    """How many images a class a run may learn from: `8`, or `all`.

    Examples
    --------
    >>> images_words(cell)  # doctest: +SKIP
    'all'
    """
    return f"{cell.per_class:,}" if cell.per_class else per_class_word(0)


def telling(record: StudyRecord) -> dict[str, Callable[[Cell], str]]:
    """What tells runs apart beside the id: headings, each with the words for a run.

    Images a class are among them where a study has several numbers of them: runs would read alike else.
    """
    several = len({result.cell.per_class for result in record.results}) > 1
    return {
        "dataset": lambda cell: cell.dataset,
        "method": lambda cell: cell.method,
        **({"images a class": images_words} if several else {}),
        "seed": place_words,
    }


def run_table(record: StudyRecord, runs: Sequence[CellResult], id: str, caption: str) -> Table:
    """Runs with the short form of their ids, which links lead to, and their scores."""
    words = telling(record)
    rows = []
    for result in runs:
        cell, score = result.cell, result.scores.get("accuracy") or result.scores.get("map")
        first = Entry(cell.id[:8], cell.id, anchor=place_of(cell.id))
        told = [Entry(said(cell)) for said in words.values()]
        rows.append(Row((first, *told, Entry(percent(score.value) if score else result.status))))
    columns = (*(Column(title) for title in ("run", *words)), Column("score", numeric=True))
    return Table(id, caption, columns, tuple(rows))
