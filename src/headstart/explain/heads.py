"""Fitted heads as torch modules: the same scores, with a gradient, so that a map can go through the head."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from headstart.base.errors import BadOptions
from headstart.features.pool import pool

if TYPE_CHECKING:
    from headstart.backbones.load import Backbone
    from headstart.methods.heads_base import Head

LEAST_LENGTH = 1e-12


class TorchHead(nn.Module):
    """A fitted head whose scores are a matrix product, of the features or of their kernel values."""

    def __init__(self, head: Head) -> None:
        super().__init__()
        model: dict[str, Any] = head.model_
        if "coef" not in model:
            raise BadOptions([
                f"head: {head.name} has no gradient, so no map can go through it; take occlusion, or a model with "
                "the head logistic, linear_svm, rbf_svm, ridge, lda or nearest_mean"
            ])  # fmt: skip
        self.unit_length = bool(head.unit_length)
        self.cosine = getattr(head, "metric", "") == "cosine"
        self.gamma = float(model["gamma"]) if "landmarks" in model else None
        names = {
            "mean": head.mean_,
            "scale": head.scale_,
            "coef": model["coef"],
            "intercept": model["intercept"],
        }
        if self.gamma is not None:
            names["landmarks"] = model["landmarks"]
        for name, values in names.items():
            self.register_buffer(name, torch.from_numpy(np.array(values, np.float32)))

    def forward(self, features: Tensor) -> Tensor:
        """Scores (n, k) of features (n, d)."""
        known: Tensor = _unit(features) if self.unit_length else features
        known = (known - self._of("mean")) / self._of("scale")
        if self.cosine:
            known = _unit(known)
        if self.gamma is not None:
            known = torch.exp(-self.gamma * torch.cdist(known, self._of("landmarks")).square())
        return known @ self._of("coef") + self._of("intercept")

    def _of(self, name: str) -> Tensor:
        out: Tensor = getattr(self, name)
        return out


class OpaqueHead(nn.Module):
    """A head without a gradient (nearest neighbours), for what needs none."""

    def __init__(self, head: Head) -> None:
        super().__init__()
        self.head = head

    def forward(self, features: Tensor) -> Tensor:
        """Probabilities (n, k) of features (n, d)."""
        return torch.from_numpy(np.asarray(self.head.predict_proba(features.detach().numpy()), np.float32))


class Headed(nn.Module):
    """Frozen network, pooled features of some layers, fitted head."""

    def __init__(self, backbone: Backbone, places: Sequence[tuple[str, str]], head: nn.Module) -> None:
        super().__init__()
        self.net, self.head = backbone.module, head
        self.places = tuple(places)
        self.layouts = {name: backbone.layers[name].layout for name, _ in places}
        self.n_prefix = int(getattr(backbone.module, "num_prefix_tokens", 0) or 0)

    def forward(self, images: Tensor) -> Tensor:
        """Scores of normalised images; the network's own classifier runs and is not read."""
        caught: dict[str, Tensor] = {}
        hooks = [
            self.net.get_submodule(name).register_forward_hook(
                lambda part, given, out, name=name: caught.__setitem__(name, out)
            )
            for name in self.layouts
        ]
        try:
            self.net(images)
        finally:
            for hook in hooks:
                hook.remove()
        parts = [pool(caught[name], self.layouts[name], how, self.n_prefix) for name, how in self.places]
        out: Tensor = self.head(torch.cat(parts, dim=1))
        return out


def torch_head(head: Head) -> nn.Module:
    """The head as a module; one without a gradient where it has none."""
    return TorchHead(head) if "coef" in head.model_ else OpaqueHead(head)


def _unit(rows: Tensor) -> Tensor:
    out: Tensor = rows / rows.norm(dim=1, keepdim=True).clamp(min=LEAST_LENGTH)
    return out
