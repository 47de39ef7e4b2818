"""What a spec says of several outputs, read and checked; the standard library alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headstart.base.options import option
from headstart.methods.sharing_options import SHARING, SharingOptions
from headstart.methods.target_words import read_levels, read_pairs

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
        "what a target is: classes (one of them), labels (any of them), ordinal (ordered levels) or number "
        "(default: found in the cells)",
        metavar="TARGET=KIND",
    )
    levels: tuple[str, ...] = option(
        (),
        "ordered levels, the lowest first (default: in the order of their numbers), or classes or labels",
        metavar="TARGET=LEVEL,...",
    )
    separator: tuple[str, ...] = option(
        (), "what parts the labels of a cell (default: ;)", metavar="TARGET=SIGN"
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


def said_of(spec: StudySpec, targets: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """What a spec says of its targets, kinds, levels and separators, JSON-like; and its mistakes.

    Parameters
    ----------
    spec : StudySpec
    targets : sequence of str
        Names of the targets, in their order.
    """
    found: list[str] = []
    pairs = read_pairs({"kind": spec.kind, "separator": spec.separator}, targets, found)
    levels = read_levels(spec.levels, targets, found)
    told = {
        "targets": list(targets), "kinds": pairs["kind"], "levels": levels, "separators": pairs["separator"],
    }  # fmt: skip
    return told, found


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
    found = said_of(spec, spec.target)[1]
    if "retrieval" in spec.task:
        found.append("task: retrieval searches by one target; leave it out, or name one target")
    if tuple(spec.per_class) != (0,):
        found.append("per_class: several outputs learn from all images; leave it out, or name one target")
    if spec.tune is not None or spec.tune_budget:
        found.append("tune: methods of several outputs are not tuned; leave it out, or name one target")
    for name in ("shifted", "corruptions", "fold_column"):
        if getattr(spec, name):
            found.append(f"{name}: it is for one target; leave it out, or name one target")
    if spec.metric != "accuracy":
        found.append("metric: several outputs are compared by what each of them scores; leave it out")
    if spec.tricks:
        found.append("tricks: they are held to account on one output; leave them out, or name one target")
    return found
