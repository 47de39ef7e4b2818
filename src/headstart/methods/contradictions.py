"""Options of training that cannot go together, with the scenario, or with the network: told before anything runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headstart.base.errors import BadOptions

if TYPE_CHECKING:
    from headstart.backbones.freeze import Cut
    from headstart.backbones.load import Backbone


def contradictions(options: Any, scenario: str) -> list[str]:
    """Options of training that cannot go together, or not with the scenario."""
    found = []
    if options.mixup and options.manifold_mixup:
        found.append("mixup and manifold_mixup: give one of them")
    if options.ema and options.swa:
        found.append("ema and swa: both average the weights; give one of them, and 0 for the other")
    if options.zero_gamma == "on" and scenario != "scratch":
        found.append(f"zero_gamma: sets starting weights, and {scenario} starts from pretrained ones")
    return found


def check_paths(backbone: Backbone, cut: Cut, options: Any) -> None:
    """Refuse options that need residual paths where what trains has none.

    Raises
    ------
    BadOptions
    """
    from headstart.backbones.residual import NO_NORM, NO_PATH, residual_paths, trained_paths

    found, name = [], f"{backbone.card.name}, {cut.asked}"
    if options.stochastic_depth and not trained_paths(backbone.module, cut.trainable):
        found.append(f"stochastic_depth: {name}: {NO_PATH}")
    if options.zero_gamma == "on" and not any(path.norm for path in residual_paths(backbone.module)):
        found.append(f"zero_gamma: {name}: {NO_NORM}")
    if found:
        raise BadOptions(found)
