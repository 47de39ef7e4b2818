"""What the adviser would take, as configurations that a tuning begins with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from headstart.base.errors import BadOptions
from headstart.images.split import ensure_splits
from headstart.images.table import ImageTable
from headstart.methods.tune.space import Space
from headstart.study.advise import Advice, predict

MOST = 3
"""Configurations of a method."""


def advised_starts(
    table: ImageTable, target: str, methods: Sequence[str], *, backbone: str, layers: Sequence[str], seed: int,
    folds: int = 0, engine: str = "auto", cache_gb: float = 10.0,
) -> dict[str, list[dict[str, Any]]]:  # fmt: skip
    """Ask the adviser, who looks at no test image, and turn its ranking into starts.

    Parameters
    ----------
    table : ImageTable
    target : str
    methods : sequence of str
        Heads, and scenarios that train: those with an open place (see `open_methods`).
    layers : sequence of str
        Those that the tuning may take.
    seed : int
        Of the split, where the source gives none: the tuning's own.
    folds : int
        Outer folds of the tuning.

    Raises
    ------
    BadOptions
        With folds every image is tested, and the adviser may see none of those; no method has an open place.
    """
    from headstart.study.measure_situation import measure

    if folds:
        raise BadOptions(
            ["advice: with folds every image is tested, so the adviser may look at none; leave it out"]
        )
    if not methods:
        raise BadOptions([
            "advice: it ranks layers of features and cuts of finetune, and none is left open here; name several, e.g. "
            "--layer stage5,pool, or leave it out"
        ])  # fmt: skip
    divided = ensure_splits(table, seed=seed, target=target)
    found = measure(divided, target, backbones=(backbone,), engine=engine, cache_gb=cache_gb, seed=seed)
    return starts_of(predict(found), methods, layers)


def open_methods(spaces: Mapping[str, Space]) -> list[str]:
    """Methods whose search may choose what the adviser ranks: the layer of a head, the cut of `finetune`."""
    return [
        name for name, space in spaces.items() if {"layer", "trainable"} & {each.name for each in space.free}
    ]


def starts_of(
    advice: Advice, methods: Sequence[str], layers: Sequence[str]
) -> dict[str, list[dict[str, Any]]]:
    """The first places of each method in the adviser's ranking: layers of a head, cuts of `finetune`.

    A method without an open place (`full`, `scratch`, a head at a single layer) begins with its defaults alone.
    """
    made: dict[str, list[dict[str, Any]]] = {}
    for method in methods:
        places: list[Mapping[str, Any]] = [
            {"layer": each.layer} if each.scenario == "features" else {"trainable": each.cut}
            for each in advice.candidates
            if (
                each.scenario == "features"
                and each.head == method
                and each.layer in layers
                and len(layers) > 1
            )
            or (each.scenario == method == "finetune")
        ]
        distinct = {str(sorted(each.items())): dict(each) for each in places}
        if distinct:
            made[method] = list(distinct.values())[:MOST]
    return made
