"""Summaries of the networks of a study, kept beside its results so that a report needs no network to show them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from headstart.base.errors import HeadstartError
from headstart.base.events import warn
from headstart.study.resolve import Variant


def network_key(backbone: str, height: int, width: int) -> str:
    """Name of a network at a size."""
    return f"{backbone} {height}x{width}"


def networks_of(variants: Iterable[Variant], known: dict[str, Any]) -> dict[str, Any]:
    """Summaries (`headstart.backbones.summary.Summary.to_dict`) by `network_key`; known ones are not made again.

    Parameters
    ----------
    variants : iterable of Variant
    known : dict
        Made before.

    Returns
    -------
    dict of str to dict
    """
    found = {}
    for each in variants:
        shape = each.card.preprocessing
        key = network_key(each.card.name, shape.height, shape.width)
        if key in known:
            found[key] = known[key]
            continue
        from headstart.backbones.summary import summarise

        try:
            found[key] = summarise(each.card.name, (shape.height, shape.width)).to_dict()
        except HeadstartError as error:
            warn(f"{key}: no summary of the network ({error})")
    return found
