"""The table of search spaces in a page of the docs: `python -m headstart.methods.tune.tables docs/how-to-tune.md`."""

from __future__ import annotations

import sys
from pathlib import Path

from headstart.methods.tune.space import spaces_table

MARK = "<!-- spaces -->"


def with_table(page: str) -> str:
    """The page with the table of today after the mark."""
    return page.partition(MARK)[0] + f"{MARK}\n\n{spaces_table()}"


if __name__ == "__main__":
    place = Path(sys.argv[1])
    place.write_text(with_table(place.read_text("utf-8")), "utf-8")
