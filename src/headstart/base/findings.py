"""A finding: something that went wrong or looks wrong, what it means, and what to do next."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Finding:
    """One finding.

    Attributes
    ----------
    kind : str
        Short name, e.g. "collapsed".
    message : str
        What was seen, with its figures.
    advice : str
        What to do about it.
    level : str
        "warning" or "error" (the result is of no use).
    """

    kind: str
    message: str
    advice: str
    level: str = "warning"

    def to_dict(self) -> dict[str, Any]:
        """As a JSON-like value."""
        return asdict(self)

    def __str__(self) -> str:
        return f"{self.message}; {self.advice}"
