"""What is to be tuned and how, as one frozen value; the methods and search spaces that follow from it.

Standard library alone at import, so that `--help` stays quick.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from headstart.base.errors import BadOptions, HeadstartError
from headstart.base.hashing import digest_json
from headstart.base.options import mistakes, option
from headstart.methods.heads_catalog import HEAD_NAMES
from headstart.methods.training_options import SCENARIOS, TRAINED

PRUNERS = ("hyperband", "asha", "none")
FEATURES = "features"
VERSION = "2"
"""Part of the name of every search: raised when the same trial would give another value."""
TRAINED_VERSION = "4"
"""As `VERSION`, of what trains."""


@dataclass(frozen=True, kw_only=True)
class TunePlan:
    """Methods to tune, each in its own search, on equal terms.

    `space` and `start` hold, by method (a head, or a scenario that trains), what `narrowed` takes and
    configurations to try first. `training` are options of training that all trials of `finetune`, `full` and
    `scratch` have alike.
    """

    scenario: tuple[str, ...] = option((FEATURES,), "how the network is used", choices=SCENARIOS)
    head: tuple[str, ...] = option(("logistic",), "classifier on top of the features", choices=HEAD_NAMES)
    backbone: str = option("lite0", "pretrained network", metavar="NAME")
    layer: tuple[str, ...] = option(
        ("pool",), "where features are taken; several are a dimension of the search", metavar="NAME"
    )
    pooling: tuple[str, ...] = option(
        ("avg",), "how a feature map becomes one vector; several are a dimension of the search"
    )
    engine: str = option("auto", "what runs the network")
    precision: str = option("float32", "precision of the network")
    input_size: Any = option(None, "size of the input in pixels (default: the backbone's own)")
    trials: int | None = option(
        None,
        "trials of each method, the defaults among them (default: 50, or with a budget as many as fit)",
        low=2,
        high=100_000,
        metavar="NUMBER",
    )
    seconds: float | None = option(None, "time for all trials, in equal parts for each method", low=1.0)
    pruner: str = option(
        "hyperband",
        "which trials that train are given up early, by validation after each epoch",
        choices=PRUNERS,
    )
    workers: int = option(1, "processes that share one search", low=1, high=256)
    seed: int = option(0, "of everything random, the split where the source gives none too", low=0)
    folds: int = option(
        0,
        "nested: tune anew inside each of this many outer folds and test on what it holds out (0: one split)",
        low=0,
        high=50,
    )
    inner_folds: int = option(
        5, "inner folds of train that choose, where there are no validation images", low=2, high=50
    )
    test_seeds: int = option(
        1, "runs of the tuned and the default method that training ends with", low=1, high=100
    )
    cache_gb: float = option(10.0, "most disk the feature cache may use, in GB", low=0.0, high=100000.0)
    training: Mapping[str, Any] = field(default_factory=dict, metadata={})
    space: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, metadata={})
    start: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict, metadata={})

    @property
    def methods(self) -> tuple[str, ...]:
        """Names of what is tuned: the heads where features serve, and the scenarios that train."""
        heads = self.head if FEATURES in self.scenario else ()
        return (*heads, *(name for name in self.scenario if name in TRAINED))

    @property
    def most_trials(self) -> int | None:
        """Trials of a search; None where the time alone ends it."""
        return self.trials if self.trials or self.seconds else 50

    def to_dict(self) -> dict[str, Any]:
        """JSON-like; `plan_from` reads it back."""
        return dataclasses.asdict(self)


def plan_from(document: Mapping[str, Any]) -> TunePlan:
    """A plan from `TunePlan.to_dict`, through JSON or not."""
    given: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in document.items()}
    return TunePlan(**given)


def checked(plan: TunePlan) -> TunePlan:
    """The plan, or every mistake of its values at once.

    Raises
    ------
    BadOptions
    """
    found = mistakes(_plain(plan))
    found += [
        f"{name}: nothing is named; name at least one"
        for name in ("scenario", "head", "layer", "pooling")
        if not getattr(plan, name)
    ]
    for name in ("scenario", "head", "layer", "pooling"):
        values = getattr(plan, name)
        found += [
            f"{name}: {each!r} is named twice" for each in sorted({v for v in values if values.count(v) > 1})
        ]
    if plan.folds == 1:
        found.append("folds: 1 fold leaves nothing to train on; give 2 or more, or 0 for one split")
    for what in ("space", "start"):
        found += [
            f"{what}: {name!r} is not among the methods tuned here ({', '.join(plan.methods)})"
            for name in getattr(plan, what)
            if name not in plan.methods
        ]
    if found:
        raise BadOptions(found)
    return plan


def _plain(plan: TunePlan) -> Any:
    """The plan as `mistakes` reads it: the fields that are options."""
    kept = [f for f in dataclasses.fields(plan) if "help" in f.metadata]
    kind = dataclasses.make_dataclass(
        "Plain", [(f.name, Any, dataclasses.field(default=None, metadata=f.metadata)) for f in kept]
    )
    return kind(**{f.name: getattr(plan, f.name) for f in kept})


def spaces_of(plan: TunePlan, n_stages: int | None = None) -> dict[str, Any]:
    """The search space of each method of a plan, by its name.

    Parameters
    ----------
    n_stages : int, optional
        Stages of the backbone, for cuts.

    Raises
    ------
    BadOptions
        Every mistake of `space` and `start` at once.
    """
    from headstart.methods.tune.space import head_space, narrowed, start_mistakes, training_space

    found: list[str] = []
    spaces: dict[str, Any] = {}
    for name in plan.methods:
        try:
            whole = (
                training_space(name, n_stages)
                if name in TRAINED
                else head_space(name, plan.layer, plan.pooling)
            )
            given = dict(plan.space.get(name, {}))
            taken = [
                each
                for each in plan.training
                if each in {d.name for d in whole.dimensions} and name in TRAINED
            ]
            space = narrowed(whole, {**{each: plan.training[each] for each in taken}, **given})
        except BadOptions as error:
            found.extend(error.mistakes)
        except HeadstartError as error:
            found.append(str(error))
        else:
            found += start_mistakes(space, plan.start.get(name, ()))
            spaces[name] = space
    if found:
        raise BadOptions(list(dict.fromkeys(found)))
    return spaces


def search_id(plan: TunePlan, method: str, space: Any, parts: Any, teacher: str = "") -> str:
    """What decides every trial of a search: its name in the storage.

    Parameters
    ----------
    parts : JSON-like
        Content of the images and of their division.
    teacher : str
        Content of a fitted teacher; it takes the place of the name that the plan gives it.
    """
    trains = method in TRAINED
    training = {**plan.training, **({"teacher": teacher} if teacher else {})}
    names = ("backbone", "engine", "precision", "input_size", "seed", "inner_folds")
    kept = {name: getattr(plan, name) for name in names}
    return digest_json(
        [
            TRAINED_VERSION if trains else VERSION,
            method,
            space.to_dict(),
            parts,
            kept,
            training if trains else {},
            plan.pruner if trains else "",
        ]
    )
