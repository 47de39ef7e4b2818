"""An answer that the data do not give, with the reason: returned where a number would be a guess."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CannotTell:
    """No number, and why.

    Attributes
    ----------
    reason : str
        A clause that follows "cannot tell: ".
    """

    reason: str

    def __str__(self) -> str:
        """`cannot tell: ...`."""
        return f"cannot tell: {self.reason}"
