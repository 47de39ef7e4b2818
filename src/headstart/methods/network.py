"""The network that trains: a backbone (whole, or from the cut on) with a new linear head on its pooled features.

The head scales features as the linear heads of the scenario `features` do, so that it can start as exactly
the classifier that was fitted there (head first, then the network: Kumar et al., Fine-Tuning can Distort
Pretrained Features and Underperform Out-of-Distribution, ICLR 2022).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from headstart.backbones.freeze import Cut, frozen_modules, make_suffix
from headstart.backbones.residual import drop_paths, residual_paths, set_gammas
from headstart.backbones.scratch import random_copy
from headstart.base.errors import BackboneError
from headstart.base.runtime import n_threads
from headstart.images.prepare import prepare
from headstart.methods.training_options import TrainingOptions

if TYPE_CHECKING:
    from headstart.backbones.card import Preprocessing
    from headstart.backbones.load import Backbone
    from headstart.methods.heads_base import Head
    from headstart.methods.training import Outcome

LEAST_LENGTH = 1e-12
BATCH = 32


class LinearHead(nn.Module):
    """Features (n, d) to class scores (n, k): unit length, centre and scale, then a linear layer."""

    mean: Tensor
    scale: Tensor

    def __init__(
        self, n_features: int, n_classes: int, unit_length: bool = True, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.unit_length = unit_length
        self.dropout = nn.Dropout(dropout)
        self.register_buffer("mean", torch.zeros(n_features))
        self.register_buffer("scale", torch.ones(n_features))
        self.linear = nn.Linear(n_features, n_classes)

    def forward(self, features: Tensor) -> Tensor:
        """Class scores."""
        known = features.float()
        if self.unit_length:
            known = known / known.norm(dim=1, keepdim=True).clamp(min=LEAST_LENGTH)
        out: Tensor = self.linear(self.dropout((known - self.mean) / self.scale))
        return out

    def start_from(self, head: Head) -> None:
        """Become a fitted linear head."""
        model = head.model_
        with torch.no_grad():
            self.unit_length = bool(head.unit_length)
            self.mean.copy_(torch.from_numpy(head.mean_))
            self.scale.copy_(torch.from_numpy(head.scale_))
            self.linear.weight.copy_(torch.from_numpy(np.ascontiguousarray(model["coef"].T)))
            self.linear.bias.copy_(torch.from_numpy(np.asarray(model["intercept"])))


class Whole(nn.Module):
    """The whole network; `net` holds it as in `Suffix`, so that parameters have the same names."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, images: Tensor) -> Tensor:
        """Pooled features of normalised images (n, 3, height, width)."""
        out: Tensor = self.net(images)
        return out


class TransferNet(nn.Module):
    """Body and head. `body.net` is the backbone without its own classifier, whole or from the cut on.

    With `mirror`, scores are the mean of the images' and of their mirror images' (Krizhevsky, Sutskever and
    Hinton, ImageNet Classification with Deep Convolutional Neural Networks, NIPS 2012, section 4.1).
    """

    def __init__(self, body: nn.Module, head: nn.Module, mirror: bool = False) -> None:
        super().__init__()
        self.body, self.head, self.mirror = body, head, mirror

    def forward(self, given: Tensor) -> Tensor:
        """Class scores (n, k), float32."""
        out = self.once(given)
        return (out + self.once(given.flip(3))) / 2 if self.mirror else out

    def once(self, given: Tensor) -> Tensor:
        """Class scores of what is given alone, mirror or not."""
        out: Tensor = self.head(self.body(given))
        return out


def make_net(
    backbone: Backbone,
    cut: Cut,
    n_classes: int,
    *,
    from_cut: bool,
    seed: int,
    fresh_weights: bool = False,
    options: TrainingOptions | None = None,
) -> TransferNet:
    """A network ready to train, with a random head.

    Parameters
    ----------
    backbone : Backbone
        Not changed.
    cut : Cut
    n_classes : int
    from_cut : bool
        Whether the network starts at the cut (takes activations) or is whole (takes images).
    seed : int
        Of random weights.
    fresh_weights : bool
        Random weights in place of the pretrained ones (the scenario `scratch`).
    options : TrainingOptions, optional
        Its `zero_gamma`, `stochastic_depth` and `dropout`; none of them by default.

    Raises
    ------
    BackboneError
        The network cannot be run from the cut on, gives no pooled features, or has no path for an option.
    """
    layers = backbone.layers
    asked = options or TrainingOptions()
    own = (backbone.card.layers or {}).get("logits", "")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if from_cut:
            body = make_suffix(backbone.module, layers, cut.after)
        else:
            body = Whole(random_copy(backbone, seed) if fresh_weights else copy.deepcopy(backbone.module))
        net: Any = body.net
        if own:
            net.set_submodule(own, nn.Identity())
        if asked.zero_gamma != "own" and fresh_weights:
            set_gammas(net, residual_paths(net), 0.0 if asked.zero_gamma == "on" else 1.0)
        if asked.stochastic_depth:
            drop_paths(net, backbone.module, cut.trainable, asked.stochastic_depth)
        width = _width(body, backbone, cut if from_cut else None)
        return _with_grad(TransferNet(body, LinearHead(width, n_classes, dropout=asked.dropout)), cut)


def _width(body: nn.Module, backbone: Backbone, cut: Cut | None) -> int:
    shape = backbone.card.preprocessing
    size = backbone.layers[cut.after].shape if cut else (3, shape.height, shape.width)
    body.eval()
    with torch.no_grad():
        out = body(torch.zeros(2, *size))
    if not isinstance(out, Tensor) or out.ndim != 2:
        raise BackboneError(f"{backbone.card.name}: the network gives no pooled features to put a head on")
    return int(out.shape[1])


def _with_grad(net: TransferNet, cut: Cut) -> TransferNet:
    wanted = {f"body.net.{name}" for name in cut.trainable}
    for name, parameter in net.named_parameters():
        parameter.requires_grad_(name in wanted or name.startswith("head."))
    return net


def set_mode(net: TransferNet, frozen: Sequence[str], *, training: bool, batchnorm: str) -> None:
    """Training or evaluation mode, where frozen means frozen.

    Parameters
    ----------
    net : TransferNet
    frozen : sequence of str
        Modules of the body that stay in evaluation mode whatever happens (`frozen_names`).
    training : bool
    batchnorm : {"keep", "update"}
        "keep": every BatchNorm normalises by its kept statistics; "update": those with weights that train
        normalise by the batch and move their statistics.
    """
    net.train(training)
    if not training:
        return
    body: Any = net.body
    for name in frozen:
        body.net.get_submodule(name).eval()
    for part in net.modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm):
            trains = any(each.requires_grad for each in part.parameters(recurse=False))
            if batchnorm == "keep" or not trains:
                part.eval()


def frozen_names(net: TransferNet, backbone: Backbone, cut: Cut) -> tuple[str, ...]:
    """Modules before the cut that the network holds (none where it starts at the cut)."""
    if not cut.after or not isinstance(net.body, Whole):
        return ()
    return tuple(frozen_modules(backbone.layers, cut.after))


def may_move(net: TransferNet, batchnorm: str) -> frozenset[str]:
    """Names of parameters and buffers that training may change; everything else is frozen."""
    names = {name for name, each in net.named_parameters() if each.requires_grad}
    if batchnorm == "update":
        for name, part in net.named_modules():
            if isinstance(part, nn.modules.batchnorm._BatchNorm) and any(
                each.requires_grad for each in part.parameters(recurse=False)
            ):
                names |= {f"{name}.{each}" for each, _ in part.named_buffers(recurse=False)}
    return frozenset(names)


def whole_state(net: TransferNet, backbone: Backbone) -> dict[str, Tensor]:
    """The backbone's state with what was trained put in, by name (its own classifier left out)."""
    own = (backbone.card.layers or {}).get("logits", "")
    state = {
        name: tensor
        for name, tensor in backbone.module.state_dict().items()
        if not own or not name.startswith(f"{own}.")
    }
    trained = {name.removeprefix("body.net."): each for name, each in net.state_dict().items()}
    return {name: trained.get(name, tensor).detach().clone() for name, tensor in state.items()}


def normaliser(mean: Sequence[float], std: Sequence[float]) -> Any:
    """A function from uint8 (n, height, width, 3) to normalised float32 (n, 3, height, width)."""
    centre = 255.0 * torch.tensor(mean).reshape(1, 3, 1, 1)
    factor = 1.0 / (255.0 * torch.tensor(std).reshape(1, 3, 1, 1))

    def normalise(pixels: Tensor) -> Tensor:
        return (pixels.permute(0, 3, 1, 2).float() - centre) * factor

    return normalise


def with_head(outcome: Outcome, head: Head) -> Outcome:
    """The outcome with this fitted head in place of its own; its record says so."""
    n_classes, width = outcome.head_state["linear.weight"].shape
    part = LinearHead(width, n_classes)
    part.start_from(head)
    return replace(
        outcome,
        head_state={name: each.detach().clone() for name, each in part.state_dict().items()},
        unit_length=bool(part.unit_length),
        temperature=float(head.temperature_),
        record={**outcome.record, "head_refitted": True},
    )


def assembled(backbone: Backbone, outcome: Outcome) -> TransferNet:
    """The whole trained network, ready to predict."""
    net = copy.deepcopy(backbone.module)
    own = (backbone.card.layers or {}).get("logits", "")
    if own:
        net.set_submodule(own, nn.Identity())
    net.load_state_dict(outcome.state)
    n_classes, width = outcome.head_state["linear.weight"].shape
    head = LinearHead(width, n_classes, outcome.unit_length)
    head.load_state_dict(outcome.head_state)
    whole: Any = TransferNet(Whole(net), head, outcome.mirror).eval()
    out: TransferNet = whole.to(memory_format=torch.channels_last)
    return out


def run_network(net: Callable[[Tensor], Tensor], items: Sequence[Any], how: Preprocessing) -> np.ndarray:
    """Class scores (n, k) of images, decoded and prepared as the weights expect, float32."""
    normalise = normaliser(how.mean, how.std)
    torch.set_num_threads(n_threads())
    parts = []
    with torch.inference_mode(), ThreadPoolExecutor(n_threads()) as pool:
        for at in range(0, len(items), BATCH):
            pixels = np.stack(list(pool.map(lambda item: prepare(item, how), items[at : at + BATCH])))
            images = normalise(torch.from_numpy(pixels)).contiguous(memory_format=torch.channels_last)
            parts.append(net(images).numpy())
    return np.concatenate(parts)
