"""From a number to its runs: the place in a table that names the first run behind a row, and leads to it."""

from __future__ import annotations

from collections.abc import Sequence

from headstart.report.document import Column, Entry
from headstart.report.wording import DASH

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
