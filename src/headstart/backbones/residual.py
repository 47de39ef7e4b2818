"""The residual paths of a network: found, dropped at random while it trains, silenced at its beginning.

Stochastic depth: Huang et al., Deep Networks with Stochastic Depth, ECCV 2016 (a path is kept with a probability
that falls linearly with its depth). Zero gamma: Goyal et al., Accurate, Large Minibatch SGD, 2017, section 5.1,
and He et al., Bag of Tricks, CVPR 2019, section 3.1 (the last BatchNorm of each path starts at 0, so that each
block starts as the identity).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from headstart.backbones.classic_layers import Add
from headstart.base.errors import BackboneError

DROPS = ("drop_path", "drop_path1", "drop_path2", "stochastic_depth")
"""Where timm's and torchvision's blocks drop their residual path."""
SHORTCUTS = ("downsample", "shortcut", "skip")


@dataclass(frozen=True)
class ResidualPath:
    """One residual path.

    Attributes
    ----------
    block : str
        Name of the module that adds it to its input.
    drop : str
        Attribute of the block that can drop the path; "" where the block itself adds.
    norm : str
        Name of the path's last BatchNorm; "" where it has none.
    inside : tuple of str
        What parameters of the path begin with.
    """

    block: str
    drop: str
    norm: str
    inside: tuple[str, ...]


def residual_paths(module: nn.Module) -> tuple[ResidualPath, ...]:
    """All residual paths of a network, first to last; those of blocks that add nothing are not among them.

    Known are the blocks of timm and torchvision, and the classic networks of this library.
    """
    found: list[ResidualPath] = []
    names = dict(module.named_modules())
    for name, part in names.items():
        if isinstance(part, Add):
            prefix = name.removesuffix("_add")
            norm = f"{prefix}_3_bn"
            inside = tuple(f"{prefix}_{n}_" for n in (1, 2, 3))
            found.append(ResidualPath(name, "", norm if norm in names else "", inside))
        elif _adds(part):
            drops = [each for each in DROPS if hasattr(part, each)]
            found += [ResidualPath(name, each, _last_norm(name, part), (f"{name}.",)) for each in drops]
    return tuple(found)


def _adds(part: Any) -> bool:
    """Whether a block with a place to drop its path has a path (blocks that change the shape have none)."""
    if not any(hasattr(part, each) for each in DROPS) or not any(True for _ in part.children()):
        return False
    return bool(getattr(part, "has_skip", getattr(part, "use_res_connect", True)))


def _last_norm(name: str, part: nn.Module) -> str:
    norms = [
        inner
        for inner, each in part.named_modules()
        if isinstance(each, nn.modules.batchnorm._BatchNorm) and inner.split(".")[0] not in SHORTCUTS
    ]
    return f"{name}.{norms[-1]}" if norms else ""


def trained_paths(module: nn.Module, trainable: Collection[str]) -> tuple[ResidualPath, ...]:
    """The residual paths that hold a parameter that trains."""
    return tuple(
        path for path in residual_paths(module) if any(name.startswith(path.inside) for name in trainable)
    )


def drop_paths(net: nn.Module, whole: nn.Module, trainable: Collection[str], most: float) -> int:
    """Let training drop the residual paths that train; how many these are.

    Parameters
    ----------
    net : nn.Module
        The network or its part from a cut on; changed, though in evaluation mode it gives what it gave before.
    whole : nn.Module
        The whole network: the chance grows linearly with depth in it.
    trainable : collection of str
        Names of the parameters that train.
    most : float
        Chance of the last path, from 0 to less than 1.

    Raises
    ------
    BackboneError
        No path trains.
    """
    from timm.layers import DropPath

    every, trained = residual_paths(whole), set(trained_paths(whole, trainable))
    if not trained:
        raise BackboneError(NO_PATH)
    for number, path in enumerate(every):
        if path in trained:
            drop = DropPath(most * (number + 1) / len(every)).train(net.training)
            parent, _, name = path.block.rpartition(".")
            if path.drop:
                setattr(net.get_submodule(path.block), path.drop, drop)
            else:
                setattr(net.get_submodule(parent), name, _DroppingAdd(drop))
    return len(trained)


class _DroppingAdd(Add):
    """Adds a path that training drops at random."""

    def __init__(self, drop: nn.Module) -> None:
        super().__init__()
        self.drop = drop

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """The shortcut and what is left of the path."""
        return super().forward(first, self.drop(second))


def set_gammas(net: nn.Module, paths: Collection[ResidualPath], value: float) -> int:
    """Set the weight of the last BatchNorm of each path; how many there were.

    Parameters
    ----------
    value : float
        0 makes each block its shortcut; 1 is what BatchNorm starts with.

    Raises
    ------
    BackboneError
        No path ends with a BatchNorm, and the value is 0.
    """
    with torch.no_grad():
        norms = list(dict.fromkeys(path.norm for path in paths if path.norm))
        for name in norms:
            weight: Any = net.get_submodule(name).weight
            weight.fill_(value)
    if not norms and not value:
        raise BackboneError(NO_NORM)
    return len(norms)


NO_PATH = "it has no residual path to drop"
NO_NORM = "it has no residual path that ends with BatchNorm"
