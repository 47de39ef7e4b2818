"""Which tricks a network cannot have, and why: told before anything runs, never skipped in silence."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from headstart.methods.tricks.registry import TRICKS

NETWORK = ("path", "norm", "sizes")
"""Needs that only a look at the network can answer."""


def unfit(names: Iterable[str], scenario: str, backbone: str, cut: str) -> dict[str, str]:
    """Tricks that this scenario, or this network cut there, cannot have; each with the reason.

    Parameters
    ----------
    names : iterable of str
    scenario : {"finetune", "full", "scratch"}
    backbone : str
        Its name; loaded only where a trick needs a look at it.
    cut : str
        What trains; "all" for the other scenarios.
    """
    found: dict[str, str] = {}
    for name in names:
        for need in TRICKS[name].needs:
            lacking = (
                _of_network(need, backbone, cut) if need in NETWORK else _of_scenario(need, scenario, cut)
            )
            if lacking:
                found.setdefault(name, lacking)
    return found


def _of_scenario(need: str, scenario: str, cut: str) -> str:
    if need == "pretrained" and scenario == "scratch":
        return "scratch has no pretrained weights"
    if need == "random" and scenario != "scratch":
        return f"it sets starting weights, and {scenario} starts from pretrained ones"
    if need == "body" and scenario == "finetune" and cut == "head":
        return "the head alone trains, and what it changes are the pretrained weights below it"
    if need == "cut" and scenario != "finetune":
        return f"{scenario} trains the whole network, so there is no cut to mix at"
    if need == "bfloat16" and not _has_bfloat16():
        return "this processor has no bfloat16"
    return ""


@lru_cache
def _of_network(need: str, backbone: str, cut: str) -> str:
    from headstart.backbones.freeze import find_cut
    from headstart.backbones.load import load
    from headstart.backbones.residual import NO_NORM, NO_PATH, residual_paths, trained_paths

    loaded = load(backbone)
    if need == "path":
        there = trained_paths(loaded.module, find_cut(loaded, cut).trainable)
        return "" if there else f"what trains of {backbone} ({cut}) has no residual path: {NO_PATH}"
    if need == "norm":
        ends = any(path.norm for path in residual_paths(loaded.module))
        return "" if ends else f"{backbone}: {NO_NORM}"
    shape = loaded.card.preprocessing
    if shape.height != shape.width:
        return "its images are not square"
    smaller = loaded.at(max(32, 32 * round(shape.height * 0.75 / 32)))
    return "" if smaller.module is loaded.module else f"{backbone} is tied to its input size"


def _has_bfloat16() -> bool:
    import torch

    from headstart.base.runtime import has_bfloat16

    return has_bfloat16() or torch.cuda.is_available()
