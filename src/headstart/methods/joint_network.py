"""A network with several outputs: one trunk with a head an output, or a trunk an output (soft and separate).

All logits come side by side, in the order of the outputs. Trunks that share a frozen part hold the same modules.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from headstart.backbones.freeze import frozen_modules
from headstart.methods.network import LinearHead, TransferNet, Whole
from headstart.methods.output import Output

if TYPE_CHECKING:
    from headstart.backbones.load import Backbone
    from headstart.methods.output_heads import OutputModel

TEMPERATURE_OF_DWA = 2.0


class TiedLinear(nn.Module):
    """One weight vector for all thresholds between ordered levels, a bias each (Cao et al. 2020, section 3.3)."""

    def __init__(self, n_features: int, n_thresholds: int) -> None:
        super().__init__()
        plain = nn.Linear(n_features, 1)
        self.weight = nn.Parameter(plain.weight.detach().clone())
        self.bias = nn.Parameter(
            torch.linspace(1.0, -1.0, n_thresholds) if n_thresholds > 1 else torch.zeros(1)
        )

    def forward(self, features: Tensor) -> Tensor:
        """Logits (n, thresholds) of "above this level?"."""
        return features @ self.weight.t() + self.bias


class JointHead(nn.Module):
    """Features (n, d) to the logits of some outputs side by side, a linear head each."""

    def __init__(
        self,
        n_features: int,
        outputs: Sequence[Output],
        unit_length: Sequence[bool] = (),
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.heads = nn.ModuleList()
        for at, output in enumerate(outputs):
            head = LinearHead(n_features, output.width, unit_length[at] if unit_length else True, dropout)
            if output.kind == "ordinal":
                head.linear = TiedLinear(n_features, output.width)  # type: ignore[assignment]
            self.heads.append(head)

    def forward(self, features: Tensor) -> Tensor:
        """Logits (n, sum of widths)."""
        return torch.cat([head(features) for head in self.heads], dim=1)

    def start_from(self, models: Sequence[OutputModel]) -> None:
        """Become fitted linear heads."""
        for part, model in zip(self.heads, models, strict=True):
            head: Any = part
            fitted: Any = model.head
            coef = np.ascontiguousarray(fitted.model_["coef"].T)
            with torch.no_grad():
                head.unit_length = bool(fitted.unit_length)
                head.mean.copy_(torch.from_numpy(fitted.mean_))
                head.scale.copy_(torch.from_numpy(fitted.scale_))
                head.linear.weight.copy_(torch.from_numpy(coef[: len(head.linear.weight)]))
                head.linear.bias.copy_(torch.from_numpy(np.asarray(fitted.model_["intercept"])))


class Weighting(nn.Module):
    """What each output's loss counts: fixed weights, learned variances, or by how its loss falls.

    Uncertainty: each loss over its learned variance, plus half the logarithm of that (Kendall, Gal and Cipolla,
    Multi-task learning using uncertainty to weigh losses, CVPR 2018, section 3). Dynamic weight averaging: a softmax
    over the ratios of the last two epochs' losses, times their number (Liu, Johns and Davison, End-to-end multi-task
    learning with attention, CVPR 2019, section 3.3; the first two epochs count all alike).

    What it learns or counts are parameters and buffers, so that checkpoints hold them.
    """

    fixed: Tensor
    number: Tensor
    sums: Tensor
    count: Tensor
    before: Tensor

    def __init__(
        self, outputs: Sequence[Output], how: str, weights: Mapping[str, float], n_images: int
    ) -> None:
        super().__init__()
        self.how, self.n_images = how, n_images
        fixed = torch.tensor([float(weights.get(output.name, 1.0)) for output in outputs])
        number = torch.tensor([0.5 if output.kind == "number" else 1.0 for output in outputs])
        self.register_buffer("fixed", fixed, persistent=False)
        self.register_buffer("number", number, persistent=False)
        if how == "uncertainty":
            self.log_variance = nn.Parameter(torch.zeros(len(outputs)))
        if how == "dwa":
            self.register_buffer("sums", torch.zeros(len(outputs)))
            self.register_buffer("count", torch.zeros(1))
            self.register_buffer("before", torch.zeros(2, len(outputs)))

    def forward(self, losses: Tensor, n_images: int) -> Tensor:
        """One number of the losses (k,) of a piece of `n_images`."""
        if self.how == "uncertainty":
            each = self.number * losses * torch.exp(-self.log_variance) + self.log_variance / 2
            return (self.fixed * each).sum()
        if self.how == "dwa":
            factors = self.factors()
            if torch.is_grad_enabled():
                self._count(losses.detach(), n_images)
            return (self.fixed * factors * losses).sum()
        return (self.fixed * losses).sum()

    def factors(self) -> Tensor:
        """Of dynamic weight averaging in this epoch; their sum is the number of outputs."""
        last, one_before = self.before[0], self.before[1]
        if not bool((one_before > 0).all()):
            return torch.ones_like(last)
        ratios = last / one_before
        return len(last) * torch.softmax(ratios / TEMPERATURE_OF_DWA, dim=0)

    def _count(self, losses: Tensor, n_images: int) -> None:
        with torch.no_grad():
            self.sums += losses * n_images
            self.count += n_images
            if float(self.count) >= self.n_images - 0.5:
                self.before[1] = self.before[0]
                self.before[0] = self.sums / self.count
                self.sums.zero_()
                self.count.zero_()

    def to_dict(self, outputs: Sequence[Output]) -> dict[str, float]:
        """What each loss counts now."""
        now = self.fixed.detach()
        if self.how == "uncertainty":
            now = now * self.number * torch.exp(-self.log_variance.detach())
        elif self.how == "dwa":
            now = now * self.factors()
        return {output.name: float(each) for output, each in zip(outputs, now, strict=True)}


class JointNet(nn.Module):
    """Trunks with their heads: one for all outputs, or one an output."""

    def __init__(self, towers: Sequence[TransferNet], weighting: Weighting | None = None) -> None:
        super().__init__()
        self.towers = nn.ModuleList(towers)
        if weighting is not None:
            self.weighting = weighting

    def forward(self, given: Tensor) -> Tensor:
        """Logits (n, sum of widths) of all outputs side by side, float32."""
        parts = [tower(given) for tower in self.towers]
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)


def apart(net: JointNet) -> Tensor:
    """Half the sum over pairs of trunks of the squared distances of their trained weights."""
    towers = [
        {
            name: each
            for name, each in tower.named_parameters()
            if each.requires_grad and name.startswith("body.")
        }
        for tower in net.towers
    ]
    found = [
        (towers[a][name] - towers[b][name]).square().sum()
        for a in range(len(towers))
        for b in range(a)
        for name in towers[a]
    ]
    return torch.stack(found).sum() / 2 if found else torch.zeros(())


def assembled_towers(
    backbone: Backbone, after: str, states: Sequence[Mapping[str, Tensor]], heads: Sequence[nn.Module],
    *, mirror: bool = False,
) -> list[TransferNet]:  # fmt: skip
    """Whole networks, ready to predict, with their trained weights; what is frozen is held once by all of them.

    Parameters
    ----------
    backbone : Backbone
        Not changed.
    after : str
        The cut; "" where everything trains.
    states : sequence of dict
        Weights of each trunk by the backbone's own names.
    heads : sequence of nn.Module
    mirror : bool
        Whether they answer by the mean of an image and its mirror image.
    """
    base: Any = copy.deepcopy(backbone.module)
    own = (backbone.card.layers or {}).get("logits", "")
    if own:
        base.set_submodule(own, nn.Identity())
    frozen = frozen_modules(backbone.layers, after) if after else []
    towers = []
    for state, head in zip(states, heads, strict=True):
        memo: dict[int, Any] = {id(part): part for part in (base.get_submodule(name) for name in frozen)}
        net = copy.deepcopy(base, memo)
        net.load_state_dict(dict(state))
        whole: Any = TransferNet(Whole(net), head, mirror).eval()
        towers.append(whole.to(memory_format=torch.channels_last))
    return towers


def share_frozen(towers: Sequence[TransferNet], backbone: Backbone, after: str) -> None:
    """Let whole networks hold the frozen modules of the first; they must be equal."""
    first: Any = towers[0].body
    for tower in towers[1:] if after else ():
        body: Any = tower.body
        for name in frozen_modules(backbone.layers, after):
            body.net.set_submodule(name, first.net.get_submodule(name))


def in_order(head: JointHead) -> None:
    """Let the thresholds between levels fall (what training all but reaches), so that no level is below zero."""
    for part in head.heads:
        linear: Any = part.linear
        if isinstance(linear, TiedLinear):
            with torch.no_grad():
                linear.bias.copy_(torch.cummin(linear.bias, 0).values)
