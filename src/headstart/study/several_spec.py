"""What a spec says of several outputs, read and checked; the standard library alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headstart.base.options import given_fields, option
from headstart.methods.sharing_options import SHARING, SharingOptions
from headstart.methods.target_words import read_levels, read_names, read_numbers, read_pairs

if TYPE_CHECKING:
    from headstart.study.spec import StudySpec

SEPARATE = "separate"


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
    output_weight: tuple[str, ...] = option(
        (), "what the loss of an output counts (default: 1)", metavar="TARGET=WEIGHT"
    )
    head_rate: tuple[str, ...] = option(
        (), "factor on the learning rate of an output's head (default: 1)", metavar="TARGET=FACTOR"
    )
    class_weights: tuple[str, ...] = option(
        (), "outputs whose classes count alike, however many images each has", metavar="TARGET,..."
    )


OF_TRAINING = ("weighting", "tie", "output_weight", "head_rate")
"""Options that networks which train alone have."""


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


def trained_said(spec: StudySpec, targets: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """What a spec says of the training of its targets, JSON-like; and its mistakes.

    What is not said is left out, so that a run is the same one as before these options were there.

    Parameters
    ----------
    spec : StudySpec
    targets : sequence of str
    """
    found: list[str] = []
    numbers = read_numbers({"output_weight": spec.output_weight, "head_rate": spec.head_rate}, targets, found)
    said = {
        "output_weights": numbers["output_weight"],
        "head_rates": numbers["head_rate"],
        "class_weights": sorted(read_names("class_weights", spec.class_weights, targets, found)),
    }
    return {name: value for name, value in said.items() if value}, found


def several_mistakes(spec: StudySpec, *, trained: bool) -> list[str]:
    """What a study of several outputs cannot take.

    Parameters
    ----------
    spec : StudySpec
    trained : bool
        Whether some method trains its network.
    """
    if not several(spec):
        return [
            f"{name}: it is for several targets; leave it out, or name them"
            for name in given_fields(spec, ("sharing", *OF_TRAINING, "class_weights"))
        ]
    if not spec.target:
        return ["target: name the columns of which a kind, levels or a separator are said"]
    found = said_of(spec, spec.target)[1] + trained_said(spec, spec.target)[1]
    found += _of_no_training(spec, trained)
    if "retrieval" in spec.task:
        found.append("task: retrieval searches by one target; leave it out, or name one target")
    if tuple(spec.per_class) != (0,):
        found.append("per_class: several outputs learn from all images; leave it out, or name one target")
    if spec.tune is not None or spec.tune_budget:
        found.append("tune: methods of several outputs are not tuned; leave it out, or name one target")
    for name in ("shifted", "corruptions"):
        if getattr(spec, name):
            found.append(f"{name}: it is for one target; leave it out, or name one target")
    if spec.metric != "accuracy":
        found.append("metric: several outputs are compared by what each of them scores; leave it out")
    if spec.tricks:
        found.append("tricks: they are held to account on one output; leave them out, or name one target")
    return found


def _of_no_training(spec: StudySpec, trained: bool) -> list[str]:
    """Options of training that no run of the study would read."""
    if not trained:
        given = given_fields(spec, ("sharing", *OF_TRAINING))
        return [
            f"{name}: it is for networks that train; leave it out, or add a scenario that trains"
            for name in given
        ]
    shared = [way for way in spec.sharing if way != SEPARATE]
    found = [
        f"{name}: it weighs the outputs of one training, and separate networks have none; add another way of sharing"
        for name in given_fields(spec, () if shared else ("weighting", "output_weight"))
    ]
    if "soft" not in spec.sharing and given_fields(spec, ("tie",)):
        found.append("tie: it is for soft sharing; leave it out, or add soft to sharing")
    return found
