"""Policies: operators in sequence, one of several, some of several, sometimes; values, written in TOML.

A policy is pure: the same image, generator and policy give the same result, in any thread, on any device.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from headstart.base.errors import BadOptions
from headstart.base.hashing import digest_json
from headstart.images.augment.operator import OPERATORS, Operator

GROUPS = ("sequence", "one_of", "some_of")
DEEPEST = 8
MOST_STEPS = 200


@dataclass(frozen=True)
class Step:
    """One operator, its values or ranges, and its probability.

    Attributes
    ----------
    op : str
        Name in `OPERATORS`.
    values : tuple of (name, value)
        A number, a pair (drawn from evenly), a choice, several choices; what is left out is the operator's own.
    p : float
        Probability, 0..1.
    """

    op: str
    values: tuple[tuple[str, Any], ...] = ()
    p: float = 1.0

    @property
    def operator(self) -> Operator:
        """From the registry."""
        return OPERATORS[self.op]


@dataclass(frozen=True)
class Group:
    """Several steps: all in turn, one of them, or some of them (in their order); `p` makes it sometimes.

    Attributes
    ----------
    kind : {"sequence", "one_of", "some_of"}
    steps : tuple of Step or Group
    n : (low, high)
        How many of `some_of`.
    weights : tuple of float
        Of `one_of` (empty: equal).
    p : float
    """

    kind: str
    steps: tuple[Step | Group, ...]
    n: tuple[int, int] = (1, 1)
    weights: tuple[float, ...] = ()
    p: float = 1.0


@dataclass(frozen=True)
class Policy:
    """How images are changed.

    Attributes
    ----------
    name : str
    steps : tuple of Step or Group

    Examples
    --------
    >>> from headstart.images.augment import parse_policy
    >>> policy = parse_policy('steps = [{op = "rotate", degrees = [-10, 10], p = 0.5}]', "mine")
    >>> parse_policy(policy.to_toml(), "mine") == policy
    True
    """

    name: str
    steps: tuple[Step | Group, ...] = field(default=())

    def digest(self) -> str:
        """Hash of everything that decides what is drawn."""
        return digest_json({"steps": [as_dict(each) for each in self.steps]})

    def to_toml(self) -> str:
        """The policy as TOML."""
        import tomli_w

        return tomli_w.dumps({"name": self.name, "steps": [as_dict(each) for each in self.steps]})

    def operators(self) -> Iterator[Step]:
        """Every step, through all groups."""
        yield from _flat(self.steps)

    @property
    def mixes(self) -> bool:
        """Whether images of a batch are mixed with each other, labels included."""
        return any(each.operator.takes == "batch" for each in self.operators())


def _flat(steps: Sequence[Step | Group]) -> Iterator[Step]:
    for each in steps:
        if isinstance(each, Step):
            yield each
        else:
            yield from _flat(each.steps)


def as_dict(step: Step | Group) -> dict[str, Any]:
    """A step as TOML and JSON hold it; what is as by default is left out."""
    out: dict[str, Any]
    if isinstance(step, Step):
        out = {"op": step.op, **{name: list(v) if isinstance(v, tuple) else v for name, v in step.values}}
    else:
        out = {"op": step.kind, "steps": [as_dict(each) for each in step.steps]}
        if step.kind == "some_of":
            out["n"] = list(step.n)
        if step.weights:
            out["weights"] = list(step.weights)
    if step.p != 1.0:
        out["p"] = step.p
    return out


def parse_policy(text: str, name: str) -> Policy:
    """A policy from TOML.

    Parameters
    ----------
    text : str
    name : str
        Where the text gives none; part of messages.

    Raises
    ------
    BadOptions
        Every mistake at once.
    """
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadOptions([f"{name}: not TOML ({error})"]) from None
    wrong = [
        f"{name}: {key!r} is not known; expected name, steps" for key in found if key not in ("name", "steps")
    ]
    steps = _read_steps(found.get("steps", []), f"{name}: steps", wrong, 0)
    if "steps" not in found:
        wrong.append(f"{name}: expected steps = [...]")
    if wrong:
        raise BadOptions(wrong)
    policy = Policy(str(found.get("name", name)), steps)
    if sum(1 for _ in policy.operators()) > MOST_STEPS:
        raise BadOptions([f"{name}: more than {MOST_STEPS} steps"])
    return policy


def read_policy(path: str | Path) -> Policy:
    """A policy from a TOML file.

    Raises
    ------
    BadOptions
    """
    file = Path(path)
    try:
        return parse_policy(file.read_text(encoding="utf-8"), file.name)
    except (OSError, UnicodeDecodeError) as error:
        said = getattr(error, "strerror", None) or "not text"
        raise BadOptions([f"policy {path}: cannot be read ({said})"]) from None


def _read_steps(given: Any, where: str, wrong: list[str], depth: int) -> tuple[Step | Group, ...]:
    if not isinstance(given, list) or depth > DEEPEST:
        wrong.append(f"{where}: expected a list of steps, at most {DEEPEST} deep")
        return ()
    read = [_read_step(each, f"{where}[{at}]", wrong, depth) for at, each in enumerate(given)]
    return tuple(each for each in read if each is not None)


def _read_step(given: Any, where: str, wrong: list[str], depth: int) -> Step | Group | None:
    if not isinstance(given, Mapping) or not isinstance(given.get("op"), str):
        wrong.append(f'{where}: expected {{op = "NAME", ...}}')
        return None
    rest = {key: value for key, value in given.items() if key not in ("op", "p")}
    p = given.get("p", 1.0)
    if isinstance(p, bool) or not isinstance(p, int | float) or not 0 <= p <= 1:
        wrong.append(f"{where}: p: {p!r} is no probability in 0 .. 1")
        p = 1.0
    op = given["op"]
    if op in (*GROUPS, "sometimes"):
        return _read_group("sequence" if op == "sometimes" else op, rest, float(p), where, wrong, depth)
    if op not in OPERATORS:
        near = difflib.get_close_matches(op, [*OPERATORS, *GROUPS], n=2)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        wrong.append(f"{where}: no operator is called {op!r}{hint}")
        return None
    wrong += [f"{where}: {each}" for each in OPERATORS[op].mistakes(rest)]
    if OPERATORS[op].takes == "batch" and depth:
        wrong.append(f"{where}: {op} mixes a whole batch, so it stands outside groups")
    values = tuple((name, tuple(v) if isinstance(v, list) else v) for name, v in rest.items())
    return Step(op, values, float(p))


def _read_group(
    kind: str, given: Mapping[str, Any], p: float, where: str, wrong: list[str], depth: int
) -> Group:
    known = {"sequence": ("steps",), "one_of": ("steps", "weights"), "some_of": ("steps", "n")}[kind]
    wrong += [
        f"{where}: {key!r} is not known; {kind} takes {', '.join(known)}" for key in given if key not in known
    ]
    steps = _read_steps(given.get("steps", []), f"{where}.steps", wrong, depth + 1)
    if not given.get("steps"):
        wrong.append(f"{where}: {kind} needs steps")
    n = given.get("n", [1, len(steps)])
    ends = n if isinstance(n, list) else [n, n]
    if not (len(ends) == 2 and all(isinstance(each, int) for each in ends) and 0 <= ends[0] <= ends[1]):
        wrong.append(f"{where}: n: expected a number or [low, high], got {n!r}")
        ends = [1, 1]
    weights = given.get("weights", [])
    good = isinstance(weights, list) and all(isinstance(w, int | float) and w >= 0 for w in weights)
    if not good or (weights and (len(weights) != len(given.get("steps", [])) or not sum(weights))):
        wrong.append(f"{where}: weights: expected one number of at least 0 a step, not all 0")
        weights = []
    low, high = (min(each, len(steps)) for each in ends) if kind == "some_of" else (1, 1)
    return Group(kind, steps, (low, high), tuple(float(each) for each in weights), p)


def draw_happens(p: float, draw: np.random.Generator) -> bool:
    """Whether a step with this probability is taken; certain steps draw nothing."""
    return p >= 1.0 or bool(draw.random() < p)


def is_mixing(step: Step | Group) -> bool:
    """Whether a step works on a whole batch."""
    return isinstance(step, Step) and OPERATORS[step.op].takes == "batch"
