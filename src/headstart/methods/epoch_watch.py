"""Failure detectors while a run trains: after every epoch, from the numbers that it gives anyway.

What one epoch shows may be its beginning alone, so a sign counts once it is there for some epochs in a row. It is told
then; what is gone by the end stays in the record, and what is still there the detectors at the end say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from headstart.base.events import Notice, emit
from headstart.base.findings import Finding
from headstart.methods import detect
from headstart.methods.curve import Epoch

IN_A_ROW = 2


@dataclass(eq=False)
class EpochWatch:
    """Looks at each epoch of a run of one class an image.

    Parameters
    ----------
    names : sequence of str
        Of the classes.
    train, truth : ndarray of int
        Class numbers of the training images, and of those that choose.
    fitted_start : bool
        Whether the head was fitted already, so that it has nothing to learn.
    """

    names: Sequence[str]
    train: np.ndarray
    truth: np.ndarray | None
    fitted_start: bool
    rows: dict[str, list[int]] = field(default_factory=dict)
    told: dict[str, Finding] = field(default_factory=dict)

    def after_epoch(self, curve: Sequence[Epoch], predicted: np.ndarray | None) -> None:
        """Look at the last line of a curve, and at the classes that the images which choose were given."""
        here = {each.kind: each for each in self._seen(curve, predicted)}
        epoch = curve[-1].epoch
        for kind, finding in here.items():
            seen = self.rows.setdefault(kind, [])
            if seen and seen[-1] != epoch - 1:
                seen.clear()
            seen.append(epoch)
            if len(seen) >= IN_A_ROW and kind not in self.told:
                self.told[kind] = finding
                emit(Notice(f"epoch {epoch}: {finding}"))

    def _seen(self, curve: Sequence[Epoch], predicted: np.ndarray | None) -> list[Finding]:
        found = [None if self.fitted_start else detect.head_never_learned(curve, len(self.names))]
        if predicted is not None and self.truth is not None:
            found.append(detect.collapsed(predicted, self.truth, self.names))
            accuracy = float((predicted == self.truth).mean())
            found.append(detect.no_better_than_majority(accuracy, self.truth, self.train))
        return [each for each in found if each is not None]

    def passing(self, at_the_end: Sequence[Finding]) -> list[Finding]:
        """What was told while it trained and is gone at the end."""
        there = {each.kind for each in at_the_end}
        return [
            replace(
                each, message=f"while it trained: {each.message}, in epoch {self.rows[kind][-1]} for the last time",
                level="warning",
            )
            for kind, each in self.told.items()
            if kind not in there
        ]  # fmt: skip
