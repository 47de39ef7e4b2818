"""Run a policy: on one image, on a batch, on a batch with its labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from headstart.base.errors import BadOptions
from headstart.images.augment.automatic import apply as apply_operator
from headstart.images.augment.convert import opened, size_of
from headstart.images.augment.geometry import resized
from headstart.images.augment.operator import OPERATORS
from headstart.images.augment.policy import Group, Policy, Step, draw_happens, is_mixing

Draw = np.random.Generator


def augment(image: Any, policy: Policy, draw: Draw) -> Any:
    """One image, changed.

    Parameters
    ----------
    image : PIL.Image.Image, ndarray of uint8 (h, w), (h, w, 1 or 3), or Tensor (1 or 3, h, w)
        Tensors of uint8, or of floats in 0..1.
    policy : Policy
    draw : numpy.random.Generator
        All chance comes from here.

    Returns
    -------
    As `image`; of another size where the policy says so.

    Raises
    ------
    BadOptions
        An image of another kind; an operator that needs colours on a grey image; one that mixes a batch.

    Examples
    --------
    >>> import numpy as np
    >>> from headstart.images.augment import augment, find_policy
    >>> image = np.zeros((32, 32, 3), np.uint8)
    >>> augment(image, find_policy("medium"), np.random.default_rng(0)).shape
    (32, 32, 3)
    """
    found, back = opened(image)
    for step in policy.steps:
        found = _step(found, step, draw)
    return back(found)


def _step(image: Any, step: Step | Group, draw: Draw) -> Any:
    if not draw_happens(step.p, draw):
        return image
    if isinstance(step, Step):
        if OPERATORS[step.op].takes == "batch":
            raise BadOptions([f"{step.op} mixes the images of a batch; give a batch with its labels"])
        return apply_operator(step.op, image, dict(step.values), draw)
    for each in _chosen(step, draw):
        image = _step(image, each, draw)
    return image


def _chosen(group: Group, draw: Draw) -> Sequence[Step | Group]:
    if group.kind == "sequence":
        return group.steps
    if group.kind == "one_of":
        weights = np.array(group.weights or [1.0] * len(group.steps))
        return [group.steps[int(draw.choice(len(group.steps), p=weights / weights.sum()))]]
    n = int(draw.integers(group.n[0], group.n[1] + 1))
    return [group.steps[at] for at in np.sort(draw.permutation(len(group.steps))[:n])]


def augment_batch(images: Any, policy: Policy, draws: Sequence[Draw], labels: Any = None) -> tuple[Any, Any]:
    """Each image of a batch changed by its own draws, then the batch mixed where the policy says so.

    Parameters
    ----------
    images : ndarray of uint8 (n, h, w, c), or Tensor (n, c, h, w)
    policy : Policy
    draws : sequence of numpy.random.Generator
        One an image; mixing draws from the first.
    labels : ndarray or Tensor, shape (n, k), optional
        One-hot or soft; needed where the policy mixes.

    Returns
    -------
    images, labels
        Images come back at the size they had.

    Raises
    ------
    BadOptions
        The policy mixes and there are no labels of that shape.
    """
    alone = Policy(policy.name, tuple(each for each in policy.steps if not is_mixing(each)))
    out = []
    for image, draw in zip(images, draws, strict=True):
        found, back = opened(image)
        changed = found
        for step in alone.steps:
            changed = _step(changed, step, draw)
        out.append(back(at_size_of(changed, found)))
    return mix(_stacked(images, out), labels, policy, draws[0])


def at_size_of(image: Any, other: Any) -> Any:
    """An opened image brought to the size of another."""
    return image if size_of(image) == size_of(other) else resized(image, *size_of(other), "bilinear")


def mix(images: Any, labels: Any, policy: Policy, draw: Draw) -> tuple[Any, Any]:
    """The steps of a policy that mix a batch and its labels."""
    for step in policy.steps:
        if not is_mixing(step) or not isinstance(step, Step):
            continue
        if labels is None or getattr(labels, "ndim", 0) != 2 or len(labels) != len(images):
            raise BadOptions([f"{step.op} mixes labels too: expected labels of shape (n, classes)"])
        if len(images) > 1 and draw_happens(step.p, draw):
            chosen = OPERATORS[step.op]
            images, labels = chosen.kernel((images, labels), chosen.drawn(dict(step.values), draw), draw)
    return images, labels


def _stacked(images: Any, out: list[Any]) -> Any:
    if isinstance(images, np.ndarray):
        return np.stack(out)
    import torch

    return torch.stack(out)
