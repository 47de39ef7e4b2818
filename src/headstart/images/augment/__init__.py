"""Augmentation: operators in one registry, policies of them, and what runs a policy on images.

Names are imported when first used: what only may augment (every estimator) loads neither kornia nor torch for it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

_HOMES = {
    "OPERATORS": "operator",
    "Operator": "operator",
    "Parameter": "operator",
    "Group": "policy",
    "Policy": "policy",
    "Step": "policy",
    "parse_policy": "policy",
    "read_policy": "policy",
    "PRESETS": "presets",
    "find_policy": "presets",
    "augment": "apply",
    "augment_batch": "apply",
}

__all__ = [*_HOMES]

if TYPE_CHECKING:
    from headstart.images.augment.apply import augment as augment
    from headstart.images.augment.apply import augment_batch as augment_batch
    from headstart.images.augment.operator import OPERATORS as OPERATORS
    from headstart.images.augment.operator import Operator as Operator
    from headstart.images.augment.operator import Parameter as Parameter
    from headstart.images.augment.policy import Group as Group
    from headstart.images.augment.policy import Policy as Policy
    from headstart.images.augment.policy import Step as Step
    from headstart.images.augment.policy import parse_policy as parse_policy
    from headstart.images.augment.policy import read_policy as read_policy
    from headstart.images.augment.presets import PRESETS as PRESETS
    from headstart.images.augment.presets import find_policy as find_policy


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
