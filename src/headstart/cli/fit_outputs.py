"""`headstart fit` with several outputs, or one that is no choice among classes."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.base.errors import BadOptions
from headstart.cli.declared import OutputFlags
from headstart.cli.fit_options import options_of, probe_of, tuner_of
from headstart.cli.flags import build
from headstart.cli.sources import open_targets
from headstart.methods.target_words import read_levels, read_names, read_numbers, read_pairs

if TYPE_CHECKING:
    from headstart.methods.multi_output import MultiOutputTransfer

NAMES = tuple(field.name for field in dataclasses.fields(OutputFlags))


def asks_for_outputs(flags: dict[str, Any]) -> bool:
    """Whether the flags speak of several outputs, or of another kind than classes."""
    return "," in (flags.get("target") or "") or any(flags.get(name) not in (None, []) for name in NAMES)


def fit_outputs(
    data: str, scenario: str, flags: dict[str, Any], out: Path
) -> tuple[MultiOutputTransfer, str, str]:
    """Fit; the estimator, the names of its outputs, and the name of the data."""
    options, training, source = options_of(scenario, flags)
    own = build(OutputFlags, flags)
    table, targets = open_targets(data, source)
    said = parsed(own, targets)
    given = {name for name in NAMES if flags.get(name) not in (None, [])}
    _check(own, targets, given)
    from headstart.methods.multi_output import MultiOutputTransfer
    from headstart.methods.strata import split_outputs

    estimator = probe_of(options) if scenario == "features" else tuner_of(scenario, options, training, out)
    model = MultiOutputTransfer(
        estimator=estimator, sharing=own.sharing, weighting=own.weighting, tie=own.tie,
        kinds=said["kind"], levels=said["levels"], separators=said["separator"],
        output_weights=said["output_weight"], head_rates=said["head_rate"], class_weights=own.class_weights,
    )  # fmt: skip
    divided = split_outputs(
        table, targets, said["kind"], levels=said["levels"], separators=said["separator"], seed=options.seed
    )
    model.fit_table(divided, targets)
    model.n_unlabelled_ += sum(problem.reason.startswith("no label") for problem in table.problems)
    return model, ",".join(targets), table.name


def _check(own: OutputFlags, targets: Sequence[str], given: set[str]) -> None:
    found = []
    if len(targets) == 1:
        found += [
            f"{name.replace('_', '-')}: is for several targets; name them with --target A,B"
            for name in ("sharing", "weighting", "tie", "output_weight", "head_rate")
            if name in given
        ]
    elif "tie" in given and own.sharing != "soft":
        found.append("tie: is for --sharing soft")
    if found:
        raise BadOptions(found)


def parsed(own: OutputFlags, targets: Sequence[str]) -> dict[str, dict[str, Any]]:
    """What is said of each target.

    Raises
    ------
    BadOptions
        Every entry that is not TARGET=VALUE, names no target, or is no number where one is expected.

    Examples
    --------
    >>> flags = OutputFlags(levels=("worn=new", "used", "gone"), output_weight=("worn=2",))
    >>> found = parsed(flags, ["worn"])
    >>> found["levels"], found["output_weight"]
    ({'worn': ['new', 'used', 'gone']}, {'worn': 2.0})
    """
    found: list[str] = []
    pairs, numbers = (
        {name: getattr(own, name) for name in names}
        for names in (("kind", "separator"), ("output_weight", "head_rate"))
    )
    said: dict[str, dict[str, Any]] = {
        **read_pairs(pairs, targets, found), **read_numbers(numbers, targets, found),
    }  # fmt: skip
    said["levels"] = dict(read_levels(own.levels, targets, found))
    read_names("class_weights", own.class_weights, targets, found)
    if found:
        raise BadOptions(found)
    return said
