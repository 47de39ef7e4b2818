"""From positions to one vector an image: average, maximum, average with spread, generalised mean, flat.

`gem` is generalised-mean pooling with p = 3 (Radenovic, Tolias and Chum, Fine-tuning CNN Image Retrieval
with No Human Annotation, TPAMI 2019, section 3.2). Written in torch so that one definition serves the
reference engine and every exported graph.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from headstart.base.errors import BadOptions, UnknownName

if TYPE_CHECKING:
    from torch import Tensor

POOLINGS = ("avg", "max", "avg+std", "gem", "flat")
GEM_P = 3.0
FLOOR = 1e-6


def check_pooling(pooling: str, layout: str = "nchw", layer: str = "") -> None:
    """Refuse an unknown pooling, and the spread over positions of a layer that has none."""
    if pooling not in POOLINGS:
        raise UnknownName("pooling", pooling, POOLINGS)
    if pooling == "avg+std" and layout == "vector":
        raise BadOptions(
            [f"pooling 'avg+std' needs positions, and layer {layer!r} has none; use 'avg' there"]
        )


def pool(features: Tensor, layout: str, pooling: str, n_prefix: int = 0) -> Tensor:
    """One float32 vector an image.

    Parameters
    ----------
    features : Tensor
        (n, channels), (n, positions, channels), (n, channels, height, width) or (n, height, width, channels),
        as `layout` ("vector", "tokens", "nchw", "nhwc") says.
    pooling : str
        `flat` keeps every value; the others reduce positions. A layer without positions is returned as it is.
    n_prefix : int
        Class and register tokens in front of the positions; left out of every reduction, kept by `flat`.

    Returns
    -------
    Tensor of float32, (n, channels), (n, 2 channels) for `avg+std`, (n, everything) for `flat`.
    """
    features = features.float()
    if layout == "vector":
        return features
    if pooling == "flat":
        return features.flatten(1)
    if layout == "tokens" and n_prefix and features.shape[1] > n_prefix:
        features = features[:, n_prefix:]
    where = {"nchw": (2, 3), "nhwc": (1, 2), "tokens": (1,)}[layout]
    if pooling == "max":
        return features.amax(where)
    if pooling == "gem":
        return features.clamp(min=FLOOR).pow(GEM_P).mean(where).pow(1.0 / GEM_P)
    mean = features.mean(where)
    if pooling == "avg":
        return mean
    import torch

    centred = features - features.mean(where, keepdim=True)
    return torch.cat([mean, centred.square().mean(where).sqrt()], dim=1)
