"""One trick as a value: its options when it is on and when it is off, and what it needs of a network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

STEP = 32


@dataclass(frozen=True)
class Base:
    """What a trick is switched on over: options of training before it, and the side of the input in pixels.

    `side` is 0 where the input is not square.
    """

    options: Mapping[str, Any]
    side: int


Rule = Callable[[Base], Any]
"""A value that hangs on what there is without the trick."""


@dataclass(frozen=True)
class Trick:
    """A switch.

    Attributes
    ----------
    name, title : str
    what : str
        What it does, a sentence.
    papers : tuple of str
        Keys of the bibliography.
    on, off : dict
        Options of training with and without it; a value may be a rule.
    needs : tuple of str
        "pretrained", "random", "body", "cut", "path", "norm", "sizes", "bfloat16": see `headstart.methods.tricks.needs`.
    excludes : tuple of str
        Tricks that cannot be on beside it.
    cost : str
        What it costs when training, as a clause.
    prefix : str
        What it does to the activations that are kept of a frozen part, as a clause.
    answers : bool
        Whether it changes what any weights answer; all others act by training alone, so that they do nothing where
        the head that training starts from is what is kept.
    """

    name: str
    title: str
    what: str
    papers: tuple[str, ...]
    on: Mapping[str, Any]
    off: Mapping[str, Any]
    needs: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()
    cost: str = "nothing"
    prefix: str = "kept"
    answers: bool = False

    def switched(self, base: Base, *, on: bool) -> dict[str, Any]:
        """The options that it sets."""
        chosen = self.on if on else self.off
        return {name: value(base) if callable(value) else value for name, value in chosen.items()}


def side(share: float) -> Rule:
    """A share of the side of the input, to the next multiple of 32 pixels; None where it is not square."""

    def rule(base: Base) -> int | None:
        if share == 1 or not base.side:
            return base.side or None
        return min(base.side, max(STEP, STEP * round(share * base.side / STEP)))

    return rule


def times(name: str, factor: int) -> Rule:
    """An option several times as large."""
    return lambda base: factor * int(base.options[name])


def same(name: str) -> Rule:
    """The value of an option without the trick."""
    return lambda base: base.options[name]
