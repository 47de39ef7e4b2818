"""Augmentation: operators in one registry, policies of them, and what runs a policy on images."""

from headstart.images.augment import automatic, colour, filtering, geometry, mixing, noise
from headstart.images.augment.apply import augment, augment_batch
from headstart.images.augment.operator import OPERATORS, Operator, Parameter
from headstart.images.augment.policy import Group, Policy, Step, parse_policy, read_policy
from headstart.images.augment.presets import PRESETS, policy

__all__ = [
    "OPERATORS", "PRESETS", "Group", "Operator", "Parameter", "Policy", "Step", "augment", "augment_batch",
    "automatic", "colour", "filtering", "geometry", "mixing", "noise", "parse_policy", "policy", "read_policy",
]  # fmt: skip
