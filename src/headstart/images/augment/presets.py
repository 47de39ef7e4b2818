"""Policies by name: none, crop, light, medium, heavy, and the automatic ones."""

from __future__ import annotations

from pathlib import Path

from headstart.base.errors import UnknownName
from headstart.images.augment.policy import Group, Policy, Step, read_policy

MIRROR = Step("horizontal_flip", p=0.5)


def _crop(area: float) -> Step:
    return Step("random_resized_crop", (("area", area),))


def _colours(strength: float) -> Step:
    values = tuple((name, strength) for name in ("brightness", "contrast", "saturation"))
    return Step("colour_jitter", values)


HEAVY = (
    _crop(0.2),
    MIRROR,
    _colours(0.4),
    Step("rotate", (("degrees", (-20, 20)),), p=0.5),
    Group("one_of", (Step("gaussian_blur"), Step("sharpen"), Step("gaussian_noise"), Step("jpeg")), p=0.4),
    Group("one_of", (Step("grey"), Step("posterise"), Step("equalise"), Step("gamma")), p=0.3),
    Step("cutout", p=0.4),
)

PRESETS = {
    each.name: each
    for each in (
        Policy("none"),
        Policy("crop", (_crop(0.5),)),
        Policy("light", (_crop(0.5), MIRROR)),
        Policy("medium", (_crop(0.35), MIRROR, _colours(0.3))),
        Policy("heavy", HEAVY),
        Policy("rand_augment", (_crop(0.35), MIRROR, Step("rand_augment"))),
        Policy("trivial_augment", (_crop(0.35), MIRROR, Step("trivial_augment"))),
        Policy("augmix", (_crop(0.35), MIRROR, Step("augmix"))),
    )
}


def find_policy(name: str | Path | Policy) -> Policy:
    """A policy by its name, or from a TOML file (a name that ends in .toml).

    Raises
    ------
    UnknownName, BadOptions
    """
    if isinstance(name, Policy):
        return name
    if isinstance(name, Path) or name.endswith(".toml"):
        return read_policy(name)
    if name not in PRESETS:
        raise UnknownName("augmentation", name, PRESETS, "(a file is written NAME.toml)")
    return PRESETS[name]
