"""Tricks in the spec of a study: every mistake about them, and which tricks each network gets.

The standard library alone is imported; a network is looked at only where a trick needs that.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headstart.base.errors import UnknownName
from headstart.methods.training_options import TrainingOptions
from headstart.methods.tricks.registry import ALL, TRICKS, bag, clashes, idle, owned
from headstart.study.trick_designs import DESIGNS, FACTORIAL, MOST_RUNS, ONE, Design, make_design

if TYPE_CHECKING:
    from headstart.study.spec import StudySpec

DISTILLATION = "distillation"
BARE = "bare"
SHOWN = 4


@dataclass(frozen=True)
class Fitting:
    """The tricks that one network gets in one scenario, and those that it cannot have, each with the reason."""

    names: tuple[str, ...]
    left_out: dict[str, str]


def asked(spec: StudySpec) -> tuple[str, ...]:
    """The tricks that a spec names; "all" without a teacher leaves distillation out."""
    if ALL not in spec.tricks:
        return spec.tricks
    return tuple(name for name in TRICKS if spec.teacher or name != DISTILLATION)


def trick_mistakes(spec: StudySpec, *, trained: bool) -> list[str]:
    """Everything wrong with the tricks of a spec, less what only its networks can tell."""
    if not spec.tricks:
        return _without(spec)
    found = [
        f"tricks: {UnknownName('trick', name, [*TRICKS, ALL])}"
        for name in spec.tricks
        if name and name not in TRICKS and name != ALL
    ]
    if ALL in spec.tricks and len(spec.tricks) > 1:
        found.append("tricks: all names every trick; leave the others out, or leave all out")
    if not trained:
        found.append("tricks: they are of networks that train; add finetune, full or scratch to scenario")
    if spec.budget:
        found.append("budget: a budget cuts methods, and a trick cut has no effect to tell; leave it out")
    if spec.tune is not None or spec.tune_budget:
        found.append("tune: a tuned training is no longer the same but for a trick; leave tune or tricks out")
    if len(spec.augment) > 1:
        found.append("augment: tricks are held to account under one augmentation; give one")
    found += _owned_mistakes(spec)
    known = [name for name in asked(spec) if name in TRICKS]
    if DISTILLATION in known and not spec.teacher:
        found.append("teacher: distillation needs one; name a backbone, e.g. lite1")
    if spec.teacher and DISTILLATION not in known:
        found.append("teacher: nothing learns from it; add distillation to tricks")
    if spec.design in DISTRIBUTED and ALL not in spec.tricks:
        found += [
            f"tricks: {a} and {b} cannot be on together, as {spec.design} needs; leave one out"
            for a, b in clashes(known)
        ]
    if spec.design == FACTORIAL and not found:
        found += _size_mistakes(known, spec.resolution)
    return found


DISTRIBUTED = tuple(each for each in DESIGNS if each != ONE)


def _without(spec: StudySpec) -> list[str]:
    if spec.design != ONE:
        return [f"design: {spec.design} is a design of tricks; name some with tricks"]
    return []


def _owned_mistakes(spec: StudySpec) -> list[str]:
    """Options that a trick switches, given beside it."""
    defaults = {each.name: each.default for each in dataclasses.fields(TrainingOptions)}
    names = {each.name for each in dataclasses.fields(spec)} & owned() & set(defaults)
    return [
        f"{name}: tricks switch it on and off, so it is not yours to give beside them; leave it out"
        for name in sorted(names)
        if getattr(spec, name) != defaults[name]
    ]


def _size_mistakes(known: Sequence[str], resolution: int) -> list[str]:
    names = bag(known)
    if len(names) < 2:
        return ["tricks: a factorial design is of two tricks or more"]
    if len(names) > 16 and resolution == 5:
        return [f"resolution: {len(names)} tricks at resolution 5 need more than {MOST_RUNS} runs; give 4"]
    n = len(make_design(FACTORIAL, names, resolution).runs)
    if n > MOST_RUNS:
        return [f"tricks: {len(names)} of them need {n} runs a seed, more than {MOST_RUNS}; name fewer"]
    return []


def fitting(spec: StudySpec, scenario: str, backbone: str, cut: str, sides: Sequence[int]) -> Fitting:
    """The tricks for one network in one scenario; of those that exclude one another a full bag takes the first.

    `sides` are those of its square inputs, in pixels: at none may a trick leave training as it is.
    """
    from headstart.methods.tricks.needs import unfit
    from headstart.study.trained import options_of

    names = asked(spec)
    left_out = unfit(names, scenario, backbone, cut)
    options = options_of(spec, scenario)
    for side in sides:
        left_out = {**idle(names, options, side), **left_out}
    fit = tuple(name for name in names if name not in left_out)
    if spec.design in DISTRIBUTED and ALL in spec.tricks:
        together = bag(fit)
        for name in fit:
            if name not in together:
                rival = next(each for each in together if name in TRICKS[each].excludes)
                left_out[name] = f"{rival} is in the bag, and they exclude one another"
        fit = together
    return Fitting(fit, left_out)


def design_of(spec: StudySpec, names: Sequence[str]) -> Design:
    """The design of a spec for the tricks that a network gets."""
    return make_design(spec.design, names, spec.resolution)


def label_of(on: frozenset[str]) -> str:
    """The tricks of a run as its cell holds them: in the registry's order, "bare" for none."""
    return "+".join(name for name in TRICKS if name in on) or BARE


def on_of(label: str) -> frozenset[str]:
    """The tricks behind a label."""
    return frozenset() if label == BARE else frozenset(label.split("+"))


def shown(label: str) -> str:
    """A label short enough for a table: "bare", "bare+mixup", or how many tricks and a few letters of their hash."""
    from headstart.base.hashing import digest_json

    on = on_of(label)
    if not on:
        return BARE
    return f"bare+{label}" if len(on) <= SHOWN else f"{len(on)} tricks {digest_json(label)[:8]}"


def note_of(spec: StudySpec, found: dict[tuple[str, str, str], Fitting]) -> dict[str, Any]:
    """What a study keeps of its tricks, JSON-like: the report reads it, and loads no network."""
    return {
        "design": spec.design,
        "asked": list(asked(spec)),
        "of": [
            {
                "scenario": scenario, "backbone": backbone, "cut": cut, "names": list(each.names),
                "left_out": each.left_out, "resolution": design_of(spec, each.names).resolution,
                "runs": len(design_of(spec, each.names).runs), "asked_resolution": spec.resolution,
            }
            for (scenario, backbone, cut), each in found.items()
        ],
    }  # fmt: skip


def told_of(note: dict[str, Any]) -> list[str]:
    """A sentence for each trick that some network cannot have."""
    return [
        f"{of['scenario']} {of['backbone']} {of['cut']} goes without the trick {name}: {reason}"
        for of in note.get("of", ())
        for name, reason in of["left_out"].items()
    ]


def network_mistakes(spec: StudySpec, found: Sequence[Fitting]) -> list[str]:
    """Tricks that are named and that none of these networks can have."""
    if not spec.tricks or ALL in spec.tricks:
        return []
    return [
        f"tricks: {name}: {found[0].left_out[name]}; leave it out, or train something that can have it"
        for name in spec.tricks
        if found and all(name in each.left_out for each in found)
    ]
