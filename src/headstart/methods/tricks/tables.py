"""The table of tricks for the documentation, written from their declarations: `python -m ... docs/PAGE.md`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from headstart.methods.tricks.registry import TRICKS
from headstart.methods.tricks.trick import Base

MARK = "<!-- tricks -->"
SHOWN = Base({"batch_size": 32, "augment": "medium", "teacher": "NAME"}, 224)


def with_table(page: str) -> str:
    """The page with the table of today behind its mark."""
    before, _, after = page.partition(MARK)
    rest = after.lstrip("\n").split("\n")
    while rest and (rest[0].startswith("|") or not rest[0]):
        rest.pop(0)
    head = ["", "| trick | options it sets | kept activations of the frozen part |", "|---|---|---|"]
    lines = [*head, *_rows(), ""]
    return "\n".join([before + MARK, *lines, *rest])


def _rows() -> list[str]:
    return [f"| `{name}` | {_set(name)} | {TRICKS[name].prefix} |" for name in TRICKS]


def _set(name: str) -> str:
    return ", ".join(
        f"`{option} {_text(value)}`" for option, value in TRICKS[name].switched(SHOWN, on=True).items()
    )


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(with_table(path.read_text("utf-8")), "utf-8")
