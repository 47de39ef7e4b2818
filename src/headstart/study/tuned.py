"""Tuning as a dimension of a study: which methods are tuned, where, and for how long, on equal terms for all.

Every method is planned twice, with its own defaults and tuned. Trials are judged on the validation images of the
run's split, or on inner folds of its train images; a study that tuned on images which it tests is refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from headstart.base.errors import BadOptions, DataError, HeadstartError, UsageError
from headstart.methods.training_options import TRAINED, TrainingOptions
from headstart.study.partition import Dataset
from headstart.study.records import Cell
from headstart.study.spec import StudySpec, budget_seconds, uses
from headstart.study.trained import options_of

if TYPE_CHECKING:
    from headstart.methods.tune.space import Space

TUNED_VERSION = "2"
"""Part of how a run is tuned: raised when the same trials would give other options."""

TRAINED_TUNED_VERSION = "4"
"""As `TUNED_VERSION`, of what trains."""

META = "tuned_on"


def is_tuned(spec: StudySpec) -> bool:
    """Whether the methods of a spec are tuned beside their defaults."""
    return spec.tune is not None or bool(spec.tune_budget)


def tunable(spec: StudySpec) -> tuple[str, ...]:
    """Heads and scenarios of a spec that can be tuned."""
    heads = spec.head if "features" in uses(spec) else ()
    return (*heads, *(name for name in uses(spec) if name in TRAINED))


def how_tuned(spec: StudySpec) -> dict[str, str]:
    """How each method is tuned, as JSON text, by head or scenario; {} where nothing is.

    Raises
    ------
    BadOptions
        Every mistake of the search spaces at once; a space of one point.
    UsageError
        The file of spaces cannot be read.
    """
    if not is_tuned(spec):
        return {}
    found, made = [], {}
    given = _given_spaces(spec)
    for name in given:
        if name not in tunable(spec):
            found.append(
                f"tune_space: {name!r} is not among the methods tuned here ({', '.join(tunable(spec))})"
            )
    for name in tunable(spec):
        try:
            space = _space(spec, name, given.get(name, {}))
        except BadOptions as error:
            found += error.mistakes
        else:
            made[name] = json.dumps(
                {
                    "version": TRAINED_TUNED_VERSION if name in TRAINED else TUNED_VERSION,
                    "trials": spec.tune, "seconds": budget_seconds(spec.tune_budget),
                    "space": {each.name: _as_given(each.to_dict()) for each in space.dimensions},
                },
                sort_keys=True,
            )  # fmt: skip
    if found:
        raise BadOptions(found)
    return made


def _given_spaces(spec: StudySpec) -> dict[str, Any]:
    from headstart.methods.tune.space_file import read_tables

    return read_tables(spec.tune_space, "tune_space") if spec.tune_space else {}


def _space(spec: StudySpec, name: str, given: Mapping[str, Any]) -> Space:
    """The dimensions of a method that the study leaves open: those with another value than the default are fixed."""
    from headstart.methods.tune.space import narrowed, without

    whole = whole_space(name)
    if name not in TRAINED:
        return narrowed(whole, given)
    options, plain = options_of(spec, name), TrainingOptions()
    fixed = {
        each.name: options[each.name]
        for each in whole.dimensions
        if options[each.name] != getattr(plain, each.name) and each.name not in given
    }
    if len(spec.augment) > 1:  # a dimension of the study: each policy is a method of its own
        fixed["augment"] = options["augment"]
    return without(narrowed(whole, {**fixed, **given}), tuple(fixed))


def whole_space(name: str) -> Space:
    """All that may be tuned of a head or scenario, less what is a dimension of the study itself: layer, pooling, cut."""
    from headstart.methods.tune.space import head_space, training_space, without

    space = training_space(name) if name in TRAINED else head_space(name)
    return without(space, ("layer", "pooling", "trainable"))


def _as_given(dimension: Mapping[str, Any]) -> Any:
    """A dimension as `narrowed` takes it."""
    if "choices" in dimension:
        choices = dimension["choices"]
        return choices[0] if len(choices) == 1 else choices
    return [dimension["low"], dimension["high"]]


def space_of(cell: Cell) -> Space:
    """The search space of a tuned run."""
    from headstart.methods.tune.space import Space, narrowed

    name = cell.head or cell.scenario
    given = json.loads(cell.tuned)["space"]
    whole = whole_space(name)
    kept = tuple(each for each in whole.dimensions if each.name in given)
    return narrowed(Space(name, kept), given)


def tune_mistakes(spec: StudySpec) -> list[str]:
    """What is wrong with the options of tuning."""
    if not is_tuned(spec):
        return ["tune_space: nothing is tuned; give tune as well"] if spec.tune_space else []
    found = [] if tunable(spec) else ["tune: nothing that the study compares has options to tune"]
    for look in (lambda: budget_seconds(spec.tune_budget), lambda: how_tuned(spec)):
        try:
            look()
        except BadOptions as error:
            found += [
                line.replace("budget:", "tune_budget:", 1) if line.startswith("budget:") else line
                for line in error.mistakes
            ]
        except HeadstartError as error:
            found.append(str(error))
    return list(dict.fromkeys(found))


# ---- what is tuned on is not what is tested --------------------------------------------------------------


def refuse_tested(datasets: Sequence[Dataset], kept: Mapping[str, Any]) -> dict[str, Any]:
    """Refuse datasets of which an image would be tuned on and tested, in this run or after an earlier one.

    Parameters
    ----------
    datasets : sequence of Dataset
    kept : mapping
        What the last call gave.

    Returns
    -------
    dict
        By dataset and division: digests of the images that tuning looks at, where the source gives the division
        (one that a seed draws serves that seed's searches alone).

    Raises
    ------
    DataError
        The same image stands in train or validation, and in test.
    UsageError
        An earlier run in the folder was tuned on images that are to test now.
    """
    said = {name: dict(each) for name, each in kept.items()}
    for data in datasets:
        digests = data.table.digests
        for partition in data.partitions:
            for fold in partition.folds:
                _refuse_shared(
                    data, {digests[row]: row for row in (*fold.train, *fold.validation)}, fold.test
                )
        if data.given:
            (partition,) = data.partitions
            (fold,) = partition.folds
            mine = said.setdefault(data.table.name, {})
            before = {digest for name, each in mine.items() if name != partition.digest for digest in each}
            tested = {digests[row] for row in fold.test}
            if partition.digest not in mine and before & tested:
                raise UsageError(
                    f"{data.table.name}: this folder holds a study that was tuned on {len(before & tested)} of the "
                    "images that are to test now; what was tuned on its test split says nothing: name another "
                    "--out, or divide the images as before"
                )
            mine[partition.digest] = sorted({digests[row] for row in (*fold.train, *fold.validation)})
    return said


def _refuse_shared(data: Dataset, seen: Mapping[str, int], test: Sequence[int]) -> None:
    table = data.table
    shared = [row for row in test if table.digests[row] in seen]
    if shared:
        first, other = table.paths[shared[0]], table.paths[seen[table.digests[shared[0]]]]
        raise DataError(
            f"{table.name}: {len(shared)} of {len(test)} test images would also be tuned on (first: {first} is the "
            f"same image as {other}); what is tuned on cannot be the test: keep each image in one split, give "
            "copies one --group-column, or leave out --tune"
        )
