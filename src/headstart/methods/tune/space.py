"""Search spaces: what may be tuned of a method, read off its options, narrowed by the user.

No optuna here: the docs and the help draw the same values.
"""

from __future__ import annotations

import dataclasses
import difflib
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headstart.base.errors import BadOptions
from headstart.base.options import Search, among
from headstart.methods.training_options import TRAINED, TrainingOptions

ONLY_FINETUNE = ("trainable", "views")
ONLY_PRETRAINED = ("layer_decay",)
NEAR = 0.02
"""Share of a range that counts as its border."""


@dataclass(frozen=True)
class Dimension:
    """One option with the values that may be tried.

    Attributes
    ----------
    name : str
    search : Search
    default : object
        The option's own; None where the method finds it (a path, a range test).
    limits : (float or None, float or None)
        What the option allows at all.
    allowed : tuple
        What the option allows at all, where it is one of some values; empty where any text goes.
    """

    name: str
    search: Search
    default: Any = None
    limits: tuple[float | None, float | None] = (None, None)
    allowed: tuple[Any, ...] = ()

    @property
    def is_point(self) -> bool:
        """Whether there is nothing to choose."""
        return len(self.search.choices) == 1 or (
            not self.search.choices and self.search.low == self.search.high
        )

    @property
    def point(self) -> Any:
        """The only value of a point."""
        return self.search.choices[0] if self.search.choices else self.search.low

    @property
    def values(self) -> tuple[Any, ...] | None:
        """Every value that may be tried; None where they cannot be counted."""
        s = self.search
        if s.choices:
            return s.choices
        if s.low is None or s.high is None or not s.whole:
            return None
        return tuple(range(int(s.low), int(s.high) + 1))

    def holds(self, value: Any) -> bool:
        """Whether the value may be tried."""
        s = self.search
        if s.choices:
            return any(type(value) is type(each) and value == each for each in s.choices)
        if isinstance(value, bool) or not isinstance(value, int | float) or s.low is None or s.high is None:
            return False
        return s.low <= value <= s.high and (not s.whole or float(value).is_integer())

    def border(self, value: Any) -> str:
        """ "low" or "high" where the value lies on that border and the option would allow more beyond; else ""."""
        s = self.search
        if self.is_point:
            return ""
        if s.choices:
            return self._end_of_choices(value)
        if s.low is None or s.high is None:
            return ""
        ends = [math.log(each) if s.log else each for each in (s.low, s.high, value)]
        share = (ends[2] - ends[0]) / (ends[1] - ends[0])
        lowest, highest = self.limits
        if share <= NEAR and (lowest is None or s.low > lowest):
            return "low"
        if share >= 1 - NEAR and (highest is None or s.high < highest):
            return "high"
        return ""

    def _end_of_choices(self, value: Any) -> str:
        """`border` of values to choose from that have an order: numbers, and cuts by their stages."""
        places = [_place(each) for each in self.search.choices]
        known = [each for each in places if each is not None]
        place = _place(value)
        if place is None or len(known) < len(places):
            return ""
        lowest, highest = self.limits
        if place == min(known) and (lowest is None or place > lowest):
            return "low"
        return "high" if place == max(known) and (highest is None or place < highest) else ""

    def to_dict(self) -> dict[str, Any]:
        """The values that may be tried, JSON-like."""
        s = self.search
        if s.choices:
            return {"name": self.name, "choices": list(s.choices)}
        return {"name": self.name, "low": s.low, "high": s.high, "log": s.log, "whole": s.whole}


def _place(value: Any) -> float | None:
    """Where a value stands in the order of its option; None where that has none."""
    if isinstance(value, str):
        start, _, rest = value.partition(":")
        return float(rest) if start == "last" and rest.isdecimal() else None
    return None if isinstance(value, bool) else float(value)


@dataclass(frozen=True)
class Space:
    """The dimensions of one method."""

    method: str
    dimensions: tuple[Dimension, ...]

    @property
    def free(self) -> tuple[Dimension, ...]:
        """Dimensions with more than one value."""
        return tuple(each for each in self.dimensions if not each.is_point)

    @property
    def fixed(self) -> dict[str, Any]:
        """The others with their value."""
        return {each.name: each.point for each in self.dimensions if each.is_point}

    @property
    def n_points(self) -> int | None:
        """Points of the space; None where they cannot be counted."""
        values = [each.values for each in self.free]
        return None if None in values else math.prod(len(each or ()) for each in values)

    def points(self) -> Iterator[dict[str, Any]]:
        """Every point of a finite space, as its free dimensions; nothing where they cannot be counted."""
        if self.n_points is not None:
            for point in itertools.product(*(each.values or () for each in self.free)):
                yield {each.name: value for each, value in zip(self.free, point, strict=True)}

    def to_dict(self) -> list[dict[str, Any]]:
        """Every dimension, JSON-like."""
        return [each.to_dict() for each in self.dimensions]


def head_space(head: str, layers: Sequence[str] = ("pool",), poolings: Sequence[str] = ("avg",)) -> Space:
    """What may be tuned of a head: layer, pooling, and the options that it declares a search for.

    Raises
    ------
    UnknownName
        No such head.
    """
    from headstart.methods.heads import HEADS

    places = [
        Dimension("layer", among(*layers), default="pool" if "pool" in layers else layers[0]),
        Dimension("pooling", among(*poolings), default=poolings[0]),
    ]
    return Space(head, (*places, *_declared(HEADS[head])))


def training_space(scenario: str, n_stages: int | None = None) -> Space:
    """What may be tuned of a scenario that trains; cuts that the network has not are left out."""
    left_out = (ONLY_FINETUNE if scenario != "finetune" else ()) + (
        ONLY_PRETRAINED if scenario == "scratch" else ()
    )
    found = [each for each in _declared(TrainingOptions) if each.name not in left_out]
    return Space(scenario, tuple(_that_exist(each, n_stages) for each in found))


def _that_exist(dimension: Dimension, n_stages: int | None) -> Dimension:
    if dimension.name != "trainable" or n_stages is None:
        return dimension
    kept = [cut for cut in dimension.search.choices if int(cut.rpartition(":")[2]) <= n_stages]
    return dataclasses.replace(dimension, search=among(*(kept or ["head"])), limits=(1, n_stages))


def _declared(options: Any) -> list[Dimension]:
    found = []
    for field in dataclasses.fields(options):
        meta = field.metadata
        if search := meta.get("search"):
            allowed = tuple(meta["choices"]) or (
                (True, False) if search.choices and isinstance(search.choices[0], bool) else ()
            )
            limits = (meta["low"], meta["high"])
            found.append(Dimension(field.name, search, field.default, limits, allowed))
    return found


def without(space: Space, names: Sequence[str]) -> Space:
    """The space less some of its dimensions."""
    return Space(space.method, tuple(each for each in space.dimensions if each.name not in names))


def narrowed(space: Space, given: Mapping[str, Any]) -> Space:
    """The space with some dimensions as the user wants them.

    Parameters
    ----------
    given : mapping
        Name of an option to [low, high] (a range), to a list of values (for options that are one of some), or
        to a single value, which fixes it.

    Raises
    ------
    BadOptions
        Every mistake at once; or nothing is left to choose.
    """
    found, dimensions = [], []
    for name in given:
        if name not in {each.name for each in space.dimensions}:
            found.append(_unknown(space, name))
    for each in space.dimensions:
        try:
            dimensions.append(_narrowed(each, given[each.name]) if each.name in given else each)
        except ValueError as error:
            found.append(f"space: {space.method}.{each.name}: {error}")
    made = Space(space.method, tuple(dimensions))
    if not found and not made.free:
        found.append(
            f"space: {space.method} has one point, so there is nothing to tune; leave an option open or use headstart fit"
        )
    if found:
        raise BadOptions(found)
    return made


def _unknown(space: Space, name: str, given_in: str = "space") -> str:
    known = [each.name for each in space.dimensions]
    near = difflib.get_close_matches(name, known, n=1)
    said = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
    return f"{given_in}: {space.method} has nothing to tune that is called {name!r}; {said}"


def _narrowed(dimension: Dimension, given: Any) -> Dimension:
    values = list(given) if isinstance(given, list | tuple) else [given]
    if not values:
        raise ValueError("an empty list; name a range or values")
    for value in values:
        _check(dimension, value)
    s = dimension.search
    if s.choices or not isinstance(given, list | tuple):
        return dataclasses.replace(dimension, search=among(*dict.fromkeys(values)))
    if len(values) != 2 or values[0] > values[1]:
        raise ValueError(f"expected [low, high], got {given}")
    low, high = values
    if s.log and low <= 0:
        raise ValueError(f"its range is logarithmic and begins above 0, got {low}")
    return dataclasses.replace(dimension, search=dataclasses.replace(s, low=low, high=high))


def _check(dimension: Dimension, value: Any) -> None:
    s, (low, high) = dimension.search, dimension.limits
    if dimension.allowed:
        if value not in dimension.allowed or isinstance(value, bool) != isinstance(
            dimension.allowed[0], bool
        ):
            raise ValueError(f"{value!r} is not one of {', '.join(map(str, dimension.allowed))}")
    elif s.choices and isinstance(s.choices[0], str):
        if not isinstance(value, str) or not value:
            raise ValueError(f"expected a text, got {value!r}")
    elif isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"expected a number, got {value!r}")
    elif (low is not None and value < low) or (high is not None and value > high):
        raise ValueError(
            f"{value} is outside what the option allows ({low} to {'any' if high is None else high})"
        )
    elif (s.whole or s.choices) and not float(value).is_integer():
        raise ValueError(f"expected a whole number, got {value}")


def start_mistakes(space: Space, start: Sequence[Mapping[str, Any]]) -> list[str]:
    """What is wrong with the configurations to begin with."""
    known = {each.name: each for each in space.dimensions}
    found = [_unknown(space, name, "start") for one in start for name in one if name not in known]
    return found + [
        f"start: {space.method}.{name}: {value!r} is outside the space"
        for one in start
        for name, value in one.items()
        if name in known and not known[name].holds(value)
    ]


def spaces_table() -> str:
    """Every space as a Markdown table, for the docs."""
    from headstart.methods.heads import HEADS

    lines = ["| method | option | values | default |", "|---|---|---|---|"]
    for name in HEADS:
        lines += [_row(f"features, {name}", each) for each in head_space(name).dimensions[2:]]
    for scenario in TRAINED:
        lines += [_row(scenario, each) for each in training_space(scenario).dimensions]
    return "\n".join(lines) + "\n"


def _row(method: str, each: Dimension) -> str:
    default = "found by the method" if each.default is None else f"{each.default}"
    return f"| {method} | `{each.name}` | {values_of(each.to_dict())} | {default} |"


def values_of(dimension: Mapping[str, Any]) -> str:
    """The values that may be tried, in words."""
    if "choices" in dimension:
        return ", ".join(map(str, dimension["choices"]))
    kind = ("logarithmic" if dimension["log"] else "") + (" whole numbers" if dimension["whole"] else "")
    return f"{dimension['low']:g} to {dimension['high']:g}" + (f" ({kind.strip()})" if kind else "")
