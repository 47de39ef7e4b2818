"""What training leaves behind as values: the lines of its curve, what was kept, and why it could not go on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from headstart.base.errors import HeadstartError


@dataclass(frozen=True)
class Epoch:
    """One line of the training curve."""

    epoch: int
    loss: float
    accuracy: float
    held_loss: float | None
    held_accuracy: float | None
    seconds: float
    rate: float


@dataclass
class Trained:
    """What training gave; the network holds the weights that were kept.

    `stopped_early`: before its last epoch, by patience or time; `cut_short`: in the middle of what it was to be, at the
    moment that a caller set (`headstart.methods.deadline`).
    """

    curve: list[Epoch] = field(default_factory=list)
    kept_epoch: int = 0
    kept_accuracy: float | None = None
    kept_loss: float | None = None
    images_seen: int = 0
    n_steps: int = 0
    stopped_early: bool = False
    cut_short: bool = False
    seconds: float = 0.0


def joined(one: Trained, other: Trained) -> Trained:
    """Two trainings of one soup: what both cost."""
    return replace(
        one,
        images_seen=one.images_seen + other.images_seen,
        n_steps=one.n_steps + other.n_steps,
        seconds=one.seconds + other.seconds,
        cut_short=one.cut_short or other.cut_short,
    )


def soup_of(kept: Sequence[Trained], total: Trained) -> Trained:
    """The soup of these, the best first: the curve of the best whose training is in it.

    `kept_epoch` is 0 only where all of them are what training started from.
    """
    lead = next((each for each in kept if each.kept_epoch), kept[0])
    return replace(total, curve=lead.curve, kept_epoch=lead.kept_epoch, stopped_early=lead.stopped_early)


class Diverged(HeadstartError):
    """The loss is not a finite number."""

    def __init__(self, step: int, rate: float) -> None:
        self.step, self.rate = step, rate
        super().__init__(f"the loss is not finite at step {step} (learning rate {rate:.2g})")


def counted(epochs: int) -> str:
    """In words."""
    return f"{epochs} epoch{'' if epochs == 1 else 's'}"
