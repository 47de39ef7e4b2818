"""What an operator on images is: a name, parameters with ranges, and a kernel that draws from a passed generator.

The registry holds every operator; policies, the command line and the docs read names, ranges and defaults
from it. It loads the kernels (torch, torchvision, kornia) when it is first looked into, so that what only may
augment stays quick.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

from headstart.base.registry import Registry

Value = float | int | str | bool
Given = Value | tuple[Value, ...]
Kernel = Callable[[Any, Mapping[str, Any], np.random.Generator], Any]
KERNELS = ("automatic", "colour", "filtering", "geometry", "mixing", "noise")
"""The modules that hold them."""


@dataclass(frozen=True)
class Parameter:
    """One number, choice or switch of an operator.

    Attributes
    ----------
    name : str
    default : number, (low, high), str or bool
        What is drawn where a policy gives nothing: a pair is drawn from, evenly; anything else is fixed.
    low, high : float
        Least and largest value (numbers alone).
    help : str
        One line, with the unit.
    choices : tuple of str
        Of a choice.
    whole : bool
        Whether numbers are whole.
    """

    name: str
    default: Given
    low: float = 0.0
    high: float = 1.0
    help: str = ""
    choices: tuple[str, ...] = ()
    whole: bool = False

    def mistakes(self, given: Any) -> list[str]:
        """What is wrong with a value or a range that a policy gives."""
        if self.choices:
            return self._wrong_choices(given)
        if isinstance(self.default, bool):
            return [] if isinstance(given, bool) else [f"{self.name}: expected true or false, got {given!r}"]
        ends = given if isinstance(given, list | tuple) else (given,)
        if len(ends) not in (1, 2) or not all(_is_number(each) for each in ends):
            return [f"{self.name}: expected a number or [low, high], got {given!r}"]
        if len(ends) == 2 and ends[0] > ends[1]:
            return [f"{self.name}: the range {list(ends)} ends before it begins"]
        if self.whole and any(each != int(each) for each in ends):
            return [f"{self.name}: expected whole numbers, got {given!r}"]
        out = [each for each in ends if not self.low <= each <= self.high]
        return [f"{self.name}: {each} is outside {self.low:g} .. {self.high:g}" for each in out]

    def _wrong_choices(self, given: Any) -> list[str]:
        names = given if isinstance(given, list | tuple) else (given,)
        found = []
        for name in names or ("",):
            if name not in self.choices:
                near = difflib.get_close_matches(str(name), self.choices, n=1)
                hint = f" (did you mean {near[0]!r}?)" if near else ""
                found.append(f"{self.name}: {name!r} is not one of {', '.join(self.choices)}{hint}")
        return found

    def drawn(self, given: Given, draw: np.random.Generator) -> Value:
        """A value: a pair of numbers is drawn from evenly (ends included), of several choices one is taken."""
        if not isinstance(given, tuple):
            return given
        if self.choices:
            return given[int(draw.integers(len(given)))]
        low, high = float(given[0]), float(given[-1])
        if self.whole:
            return int(draw.integers(int(low), int(high) + 1))
        return float(draw.uniform(low, high)) if high > low else low


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and bool(np.isfinite(value))


@dataclass(frozen=True)
class Operator:
    """One operator.

    Attributes
    ----------
    name : str
    family : str
        "geometry", "colour", "filter", "noise", "mix" or "automatic".
    help : str
        One line.
    kernel : callable
        ``kernel(image, values, draw)`` gives the changed image; pure given the generator.
    takes : {"any", "bytes", "floats", "batch"}
        What the kernel works on: a PIL image or a tensor (c, h, w); a uint8 tensor (c, h, w); a float tensor
        (1, c, h, w) in 0..1; a whole batch with its labels.
    parameters : tuple of Parameter
    """

    name: str
    family: str
    help: str
    kernel: Kernel
    takes: str = "any"
    parameters: tuple[Parameter, ...] = ()

    def parameter(self, name: str) -> Parameter | None:
        """The parameter of that name, or None."""
        return next((each for each in self.parameters if each.name == name), None)

    def mistakes(self, given: Mapping[str, Any]) -> list[str]:
        """What is wrong with the values that a policy gives, each as one sentence."""
        found = []
        for name, value in given.items():
            if (parameter := self.parameter(name)) is None:
                known = [each.name for each in self.parameters]
                near = difflib.get_close_matches(name, known, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"it takes {', '.join(known) or 'none'}"
                found.append(f"{self.name} has no parameter {name!r} ({hint})")
            else:
                found += parameter.mistakes(value)
        return found

    def drawn(self, given: Mapping[str, Given], draw: np.random.Generator) -> dict[str, Any]:
        """Values of every parameter for one image."""
        return {each.name: each.drawn(given.get(each.name, each.default), draw) for each in self.parameters}


class _Operators(Registry[Operator]):
    """A registry that is filled when it is first looked into, whichever module asks."""

    filled = False

    def _fill(self) -> None:
        if not self.filled:
            for name in KERNELS:
                import_module(f"headstart.images.augment.{name}")
            self.filled = True

    def __getitem__(self, name: str) -> Operator:
        self._fill()
        return super().__getitem__(name)

    def __contains__(self, name: object) -> bool:
        self._fill()
        return super().__contains__(name)

    def __iter__(self) -> Iterator[str]:
        self._fill()
        return super().__iter__()

    def __len__(self) -> int:
        self._fill()
        return super().__len__()


OPERATORS: Registry[Operator] = _Operators("operator")


def operator(
    name: str, family: str, help: str, *parameters: Parameter, takes: str = "any"
) -> Callable[[Kernel], Kernel]:
    """Register a kernel under a name."""

    def register(kernel: Kernel) -> Kernel:
        OPERATORS.add(name, Operator(name, family, help, kernel, takes, parameters))
        return kernel

    return register
