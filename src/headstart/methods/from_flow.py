"""What an estimator reads from a generator's flow: images, labels, augmentation, batch size, order.

Labels are class names; the flow's size and layout do not matter, since each network is shown images as its own
weights expect them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.base.errors import BadOptions
from headstart.base.hashing import digest_bytes
from headstart.images.decode import ImageItem
from headstart.images.flow import Flow
from headstart.images.views import views_of

if TYPE_CHECKING:
    from headstart.backbones.card import Preprocessing
    from headstart.backbones.load import Backbone


def named(flow: Flow) -> tuple[list[ImageItem], np.ndarray]:
    """All images of a flow with their class names, in the order of its source.

    Raises
    ------
    BadOptions
        The flow has no labels, or several targets.
    """
    if len(flow.labels.codes) != 1:
        found = f"{len(flow.labels.codes)} targets" if len(flow.labels.codes) else "no labels"
        raise BadOptions([f"the generator has {found}; fit needs one class an image"])
    return list(flow.items), np.asarray(flow.labels.classes[0])[flow.classes]


def held_out(given: Any) -> tuple[Any, np.ndarray] | None:
    """Images and labels of `validation_data`: a flow (never augmented here) or (X, y)."""
    if given is None:
        return None
    if isinstance(given, Flow):
        return named(given)
    if not isinstance(given, tuple | list) or len(given) != 2:
        raise BadOptions([f"validation_data: expected a flow or (X, y), got {type(given).__name__}"])
    return given[0], np.asarray(given[1])


def given_options(X: Any, y: Any, steps: int | None, validation: Any, validation_data: Any) -> None:
    """Refuse what contradicts itself.

    Raises
    ------
    BadOptions
    """
    found = []
    if isinstance(X, Flow):
        if y is not None:
            found.append("y: the generator has the labels; leave y out")
        if X.policy.mixes:
            found.append(f"the policy {X.policy.name!r} mixes images; in training give mixup= or cutmix=")
    elif y is None:
        found.append("y: labels are missing")
    elif steps is not None:
        found.append("steps_per_epoch: it goes with a generator; give X without it")
    if steps is not None and steps < 1:
        found.append(f"steps_per_epoch: {steps} is below 1")
    if validation is not None and validation_data is not None:
        found.append("validation and validation_data: give one of them")
    if found:
        raise BadOptions(found)


class Seen(Sequence[ImageItem]):
    """The images that a flow shows in some steps, made when they are asked for, ready for a network.

    Parameters
    ----------
    flow : Flow
        From the epoch where it stands.
    n_steps : int
    how : Preprocessing
        Of the network.
    """

    def __init__(self, flow: Flow, n_steps: int, how: Preprocessing) -> None:
        self.flow, self.how = flow, how
        steps = [divmod(flow.epoch * len(flow) + step, len(flow)) for step in range(n_steps)]
        rows = [flow.rows(index, epoch) for epoch, index in steps]
        self.rows = np.concatenate(rows)
        self.epochs = np.repeat([epoch for epoch, _ in steps], [len(each) for each in rows])

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, at: Any) -> Any:
        if isinstance(at, slice):
            return [self[each] for each in range(*at.indices(len(self)))]
        row, epoch = int(self.rows[at]), int(self.epochs[at])
        views = self.flow.views
        return views_of(self.flow.items[row], f"row {row}", [epoch], self.how, views, self.flow.seed)[0]

    def digests(self, of_items: Sequence[str]) -> list[str]:
        """Names of the views by what decides them, so that no pixel is hashed."""
        fixed = digest_bytes(self.flow.views.digest().encode(), str(self.flow.seed).encode())
        return [
            digest_bytes(fixed.encode(), of_items[row].encode(), f"{row} {epoch}".encode())
            for row, epoch in zip(self.rows.tolist(), self.epochs.tolist(), strict=True)
        ]


def ready(backbone: Backbone) -> Backbone:
    """The backbone for images that have its size already: nothing is cropped away."""
    how = replace(backbone.card.preprocessing, crop=1.0, crop_mode="squash")
    return replace(backbone, card=replace(backbone.card, preprocessing=how))
