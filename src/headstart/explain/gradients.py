"""Maps in the pixels themselves, by captum: integrated gradients and occlusion.

Integrated gradients: Sundararajan, Taly and Yan, Axiomatic Attribution for Deep Networks, ICML 2017, from an image of
the mean colour. Occlusion: Zeiler and Fergus, ECCV 2014: how far a score falls when a window has the mean colour.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from headstart.base.errors import BadOptions, UnknownName
from headstart.base.events import Progress, emit
from headstart.base.optional import require
from headstart.explain.cam import CAMS, Maps, checked_classes, class_activation, finished
from headstart.explain.spatial import frozen
from headstart.explain.target import Target

METHODS = (*CAMS, "integrated_gradients", "occlusion")
STEPS = 32
WINDOWS = 7
MOST_GAP = 0.1
"""Gap of integrated gradients above which more steps are needed."""


def explain(
    target: Target,
    pixels: np.ndarray,
    classes: Sequence[int],
    *,
    method: str = "gradcam",
    layer: str | None = None,
    output: str | None = None,
    steps: int = STEPS,
    windows: int = WINDOWS,
) -> Maps:
    """Maps by any method; see `class_activation`.

    Parameters
    ----------
    method : str
        One of `METHODS`.
    layer : str, optional
        For class-activation maps.
    steps : int
        Points on the way of integrated gradients.
    windows : int
        Windows of an occlusion along the shorter side; they overlap by half.

    Raises
    ------
    UnknownName, BadOptions, MissingPackage
    """
    if method not in METHODS:
        raise UnknownName("map", method, METHODS)
    if method in CAMS:
        return class_activation(target, pixels, classes, method=method, layer=layer, output=output)
    if layer is not None:
        raise BadOptions([f"layer: {method} is computed in the pixels and takes no layer"])
    numbers = checked_classes(target, pixels, classes, output)
    gap = None
    if method == "integrated_gradients":
        signed, gap = integrated_gradients(target, pixels, numbers, output=output, steps=steps)
    else:
        signed = occlusion(target, pixels, numbers, output=output, windows=windows)
    made = finished(method, target.output(output).name, numbers, signed, pixels.shape[1:3], "")
    return replace(made, gap=gap)


def integrated_gradients(
    target: Target, pixels: np.ndarray, classes: np.ndarray, *, output: str | None = None, steps: int = STEPS
) -> tuple[np.ndarray, np.ndarray]:
    """Attributions summed over the colours (n, height, width), and what is missing of each score's difference.

    The second, (n,), is the distance of the sum of a map from score(image) - score(mean colour), over that difference:
    0 where the integral is exact.
    """
    target.check_gradient()
    attribute = require("captum.attr", extra="explain", purpose="integrated gradients")
    method: Any = attribute.IntegratedGradients(_scores(target, output))
    maps, missing = [], []
    with frozen(target.net):
        for at, number in enumerate(classes):
            image = target.images(pixels[at : at + 1])
            found = method.attribute(
                image, baselines=0.0, target=int(number), n_steps=steps, internal_batch_size=8
            ).detach()
            with torch.no_grad():
                ends = target.scores(torch.cat([image, torch.zeros_like(image)]), output)[:, int(number)]
            change = float(ends[0] - ends[1])
            missing.append(abs(float(found.sum()) - change) / max(abs(change), 1e-12))
            maps.append(found.sum(1).float().numpy())
            emit(Progress("integrated gradients", at + 1, len(classes)))
    return np.concatenate(maps), np.array(missing)


def occlusion(
    target: Target,
    pixels: np.ndarray,
    classes: np.ndarray,
    *,
    output: str | None = None,
    windows: int = WINDOWS,
) -> np.ndarray:
    """How far each image's score falls where a window is covered, (n, height, width)."""
    height, width = pixels.shape[1:3]
    if not 2 <= windows <= min(height, width):
        raise BadOptions([f"windows: {windows} is outside 2 .. {min(height, width)}"])
    attribute = require("captum.attr", extra="explain", purpose="occlusion")
    method: Any = attribute.Occlusion(_scores(target, output))
    side = max(2, min(height, width) // windows)
    step = max(1, side // 2)
    maps = []
    with frozen(target.net), torch.no_grad():
        for at, number in enumerate(classes):
            image = target.images(pixels[at : at + 1])
            found = method.attribute(
                image, sliding_window_shapes=(3, side, side), strides=(3, step, step), baselines=0.0,
                target=int(number), perturbations_per_eval=8,
            )  # fmt: skip
            maps.append(found.mean(1).float().numpy())
            emit(Progress("occlusion", at + 1, len(classes)))
    return np.concatenate(maps)


def _scores(target: Target, output: str | None) -> Any:
    def scores(images: Tensor) -> Tensor:
        return target.scores(images, output)

    return scores
