"""Parameters in groups, each with its factor on the learning rate and its decay; the optimiser over them.

Layer-wise rates: Howard and Ruder, ULMFiT, ACL 2018 (discriminative fine-tuning, gradual unfreezing). L2-SP:
Li, Grandvalet and Davoine, Explicit Inductive Bias for Transfer Learning, ICML 2018. AdamW: Loshchilov and
Hutter, Decoupled Weight Decay Regularization, ICLR 2019.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from headstart.methods.training_options import TrainingOptions


@dataclass
class Groups:
    """Trainable parameters by depth: 0 is the head, 1 the last stage, 2 the one before it ...

    Attributes
    ----------
    depth : dict of str to int
        Of each trainable parameter.
    tensors : dict of str to Parameter
    factors : dict of str to float
        On the learning rate; 0 while a parameter is not unfrozen yet.
    start : dict of str to Tensor
        Pretrained values, for L2-SP (the head has none).
    own : dict of str to float
        Further factors of single parameters (of a head, where there are several).
    """

    depth: dict[str, int]
    tensors: dict[str, nn.Parameter]
    factors: dict[str, float]
    start: dict[str, Tensor] = field(default_factory=dict)
    layer_decay: float = 1.0
    own: dict[str, float] = field(default_factory=dict)

    def parameters(self) -> list[nn.Parameter]:
        """All of them."""
        return list(self.tensors.values())

    def unfrozen(self, epoch: int, n_epochs: int, how: str) -> dict[str, float]:
        """Factors of an epoch: with gradual unfreezing one depth more each epoch, all by two thirds of them."""
        deepest = max(self.depth.values(), default=0)
        if how == "gradual" and deepest:
            wait = max(1, round(2 * n_epochs / 3 / deepest)) if n_epochs > deepest else 1
            reach = epoch // wait
        else:
            reach = deepest
        return {
            name: self.layer_decay**depth * self.own.get(name, 1.0) if depth <= reach else 0.0
            for name, depth in self.depth.items()
        }

    def pull(self, strength: float) -> Tensor | float:
        """Half the squared distance to the pretrained weights, times `strength`."""
        if not strength or not self.start:
            return 0.0
        return strength / 2 * torch.stack([
            (self.tensors[name] - first).square().sum() for name, first in self.start.items()
        ]).sum()  # fmt: skip


def make_groups(
    net: nn.Module,
    stages: Sequence[str],
    options: TrainingOptions,
    *,
    pretrained: bool,
    own: Mapping[str, float] | None = None,
) -> Groups:
    """Group the trainable parameters of a network.

    Parameters
    ----------
    net : nn.Module
        `TransferNet`: names start with "head." or "body.net."; or several side by side as "towers.0." ...
    stages : sequence of str
        Names of the backbone's stages, first to last.
    options : TrainingOptions
    pretrained : bool
        Whether the body's weights are worth staying near.
    own : dict of str to float, optional
        Factors on the rate of the parameters whose names start so.
    """
    tensors = {name: each for name, each in net.named_parameters() if each.requires_grad}
    depth = {name: _depth(name, stages) for name in tensors}
    start = {}
    if options.l2_sp and pretrained:
        start = {
            name: each.detach().clone() for name, each in tensors.items() if _inner(name).startswith("body.")
        }
    alone = {
        name: factor for name in tensors for first, factor in (own or {}).items() if name.startswith(first)
    }
    factors = {name: options.layer_decay**level * alone.get(name, 1.0) for name, level in depth.items()}
    return Groups(depth, tensors, factors, start, options.layer_decay, alone)


def _inner(name: str) -> str:
    """The name within its own network."""
    return re.sub(r"^towers\.\d+\.", "", name)


def _depth(name: str, stages: Sequence[str]) -> int:
    inner = _inner(name)
    if not inner.startswith("body."):
        return 0  # a head, or what weighs the losses of several
    inner = inner.removeprefix("body.net.")
    for number, stage in enumerate(reversed(stages)):
        if inner.startswith(f"{stage}."):
            return number + 1
    # before the stages (stem, positions) or after them (last convolution, norm)
    first = stages[0].rpartition(".")[0] if stages else ""
    early = any(
        word in inner
        for word in ("stem", "patch_embed", "pos_embed", "cls_token", "reg_token", "conv1.", "bn1.")
    )
    return len(stages) + 1 if early and not (first and inner.startswith(f"{first}.")) else 1


def make_optimiser(groups: Groups, options: TrainingOptions, rate: float) -> torch.optim.Optimizer:
    """AdamW or SGD with one group a (factor, decay); vectors (biases, norms) decay where `decayed` is "all"."""
    parts: list[dict[str, Any]] = []
    by_kind: dict[tuple[int, bool, float], list[str]] = {}
    for name, tensor in groups.tensors.items():
        decays = tensor.ndim > 1 or options.decayed == "all"
        by_kind.setdefault((groups.depth[name], decays, groups.own.get(name, 1.0)), []).append(name)
    for (_, decays, _), names in by_kind.items():
        parts.append(
            {
                "params": [groups.tensors[name] for name in names],
                "weight_decay": options.weight_decay if decays else 0.0,
                "first": names[0],
            }
        )
    if options.optimiser == "sgd":
        return torch.optim.SGD(parts, lr=rate, momentum=options.momentum, nesterov=options.momentum > 0)
    fused = all(each.device.type in ("cpu", "cuda") for each in groups.parameters())
    return torch.optim.AdamW(parts, lr=rate, fused=fused)


def set_rates(optimiser: torch.optim.Optimizer, groups: Groups, rate: float) -> None:
    """Give every group its rate."""
    for part in optimiser.param_groups:
        part["lr"] = rate * groups.factors[part["first"]]
