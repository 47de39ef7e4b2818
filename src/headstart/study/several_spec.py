"""What a spec says of several outputs, read and checked; the standard library alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headstart.base.errors import BadOptions, UnknownName
from headstart.base.options import option
from headstart.methods.sharing_options import SHARING, SharingOptions

if TYPE_CHECKING:
    from headstart.study.spec import StudySpec


def _sharing(name: str) -> Any:
    """An option of several outputs as it is declared there."""
    field = next(field for field in dataclasses.fields(SharingOptions) if field.name == name)
    return dataclasses.field(default=field.default, metadata=field.metadata)


@dataclass(frozen=True, kw_only=True)
class SeveralOptions:
    """What the targets are, and how networks serve several of them."""

    kind: tuple[str, ...] = option(
        (),
        "what a target is, as TARGET=KIND with classes, labels, ordinal or number (default: found)",
        metavar="TARGET=KIND",
    )
    levels: tuple[str, ...] = option(
        (),
        "levels of an ordinal target, the lowest first, as TARGET=LEVEL,...",
        metavar="TARGET=LEVELS",
    )
    separator: tuple[str, ...] = option(
        (), "what parts the labels of a cell, as TARGET=SIGN (default: ;)", metavar="TARGET=SIGN"
    )
    sharing: tuple[str, ...] = option(
        SHARING,
        "how networks that train serve several targets: hard, one network; soft, one each, held alike; separate, "
        "one each",
        choices=SHARING,
    )
    weighting: str = _sharing("weighting")
    tie: float = _sharing("tie")


def several(spec: StudySpec) -> bool:
    """Whether a study is of outputs: several targets, or one of which a kind is said."""
    return bool(len(spec.target) > 1 or spec.kind or spec.levels or spec.separator)


def said_of(items: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """What is said of each target: `TARGET=VALUE`, and further values without a name after it.

    Raises
    ------
    BadOptions
        A value before any name.

    Examples
    --------
    >>> said_of(["grade=low", "mid", "high", "defect=0", "1"])
    {'grade': ('low', 'mid', 'high'), 'defect': ('0', '1')}
    """
    found: dict[str, tuple[str, ...]] = {}
    name = ""
    for item in items:
        before, sign, value = item.partition("=")
        if not sign and not name:
            raise BadOptions([f"{item!r} says nothing of a target; write TARGET={item}"])
        name, value = (before.strip(), value) if sign else (name, item)
        found[name] = (*found.get(name, ()), value.strip())
    return found


def several_mistakes(spec: StudySpec) -> list[str]:
    """What a study of several outputs cannot take."""
    if not several(spec):
        own = {field.name: field.default for field in dataclasses.fields(spec)}
        return [
            f"{name}: it is for several targets; leave it out, or name them"
            for name in ("sharing", "weighting", "tie")
            if getattr(spec, name) != own[name]
        ]
    if not spec.target:
        return ["target: name the columns of which a kind, levels or a separator are said"]
    found = []
    for option_name in ("kind", "levels", "separator"):
        try:
            said = said_of(getattr(spec, option_name))
        except BadOptions as error:
            found += [f"{option_name}: {line}" for line in error.mistakes]
            continue
        found += [
            f"{option_name}: {UnknownName('target', name, spec.target)}"
            for name in said
            if name not in spec.target
        ]
        if option_name != "levels":
            found += [
                f"{option_name}: {name!r} has {len(v)} values; give one"
                for name, v in said.items()
                if len(v) > 1
            ]
    if "retrieval" in spec.task:
        found.append("task: retrieval searches by one target; leave it out, or name one target")
    if tuple(spec.per_class) != (0,):
        found.append("per_class: several outputs learn from all images; leave it out, or name one target")
    if spec.tune is not None or spec.tune_budget:
        found.append("tune: methods of several outputs are not tuned; leave it out, or name one target")
    for name in ("shifted", "corruptions", "fold_column"):
        if getattr(spec, name):
            found.append(f"{name}: it is for one target; leave it out, or name one target")
    if spec.tricks:
        found.append("tricks: they are held to account on one output; leave them out, or name one target")
    return found
