"""Failure detectors: after each run, is there a sign that the result is not what it seems?

Each is a finding with what to do. They look at scores of the images that were chosen on, never at test.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from headstart.base.findings import Finding
from headstart.base.hashing import digest_bytes

if TYPE_CHECKING:
    from headstart.methods.curve import Epoch

COLLAPSED_SHARE = 0.99
HEAD_GAIN = 0.02
MODES_DIFFER = 0.1


def collapsed(predicted: np.ndarray, truth: np.ndarray, names: Sequence[str]) -> Finding | None:
    """All images are given one class, where there are several."""
    if len(truth) < 2 or len(set(truth.tolist())) < 2:
        return None
    counts = np.bincount(predicted, minlength=len(names))
    if counts.max() < COLLAPSED_SHARE * len(predicted):
        return None
    return Finding(
        "collapsed",
        f"{counts.max()} of {len(predicted)} held-out images are given the class {names[int(counts.argmax())]!r}",
        "lower the learning rate, or balance the classes (--balance weights)",
        "error",
    )


def no_better_than_majority(accuracy: float, truth: np.ndarray, train: np.ndarray) -> Finding | None:
    """The accuracy is that of always saying the commonest class of train."""
    common = int(np.bincount(train).argmax())
    share = float((truth == common).mean())
    if accuracy > share + 1e-9:
        return None
    return Finding(
        "majority",
        f"accuracy {accuracy:.1%} is no better than always saying the commonest class ({share:.1%})",
        "check the labels and the images, or try the scenario features, which needs least data",
        "error",
    )


def head_never_learned(curve: Sequence[Epoch], n_classes: int) -> Finding | None:
    """The training accuracy never left chance."""
    if not curve:
        return None
    best = max(line.accuracy for line in curve)
    if best > 1.0 / n_classes + HEAD_GAIN:
        return None
    return Finding(
        "never learned",
        f"the training accuracy never rose above {best:.1%} (chance is {1 / n_classes:.1%})",
        "raise the learning rate or the number of epochs, or start from a fitted head (--start head-first)",
        "error",
    )


def modes_disagree(in_train_mode: float, in_eval_mode: float) -> Finding | None:
    """Training and evaluation mode tell different things of the same plain views."""
    if abs(in_train_mode - in_eval_mode) <= MODES_DIFFER:
        return None
    return Finding(
        "modes disagree",
        f"the same images score {in_train_mode:.1%} in training mode and {in_eval_mode:.1%} in evaluation mode",
        "BatchNorm's statistics do not fit: train longer, in larger batches, or keep pretrained ones (--batchnorm keep)",
    )


def frozen_moved(before: Mapping[str, str], after: Mapping[str, str]) -> Finding | None:
    """A weight or statistic that should have stayed has changed."""
    moved = [name for name, digest in before.items() if after.get(name) != digest]
    if not moved:
        return None
    return Finding(
        "frozen moved",
        f"{len(moved)} frozen tensors changed ({', '.join(moved[:3])})",
        "this is a fault of Headstart: do not use this model, and please report it",
        "error",
    )


def scratch_better(
    scratch: float, pretrained: float, *, scratch_name: str, pretrained_name: str
) -> Finding | None:
    """Random weights came further than pretrained ones on the same images.

    Parameters
    ----------
    scratch, pretrained : float
        Accuracies that the two were chosen by (never of test), under equal terms.
    scratch_name, pretrained_name : str
        The methods that reached them.
    """
    if scratch <= pretrained:
        return None
    return Finding(
        "scratch better than pretrained",
        f"{scratch_name} from random weights reaches {scratch:.1%} on the images that chose, above the "
        f"{pretrained:.1%} of {pretrained_name}: there the pretrained weights did not help",
        "try an earlier cut or a backbone trained on images like these; look for a learning rate too high for "
        "pretrained weights; or take scratch, if the same holds with more seeds",
    )


def digests_of(state: Mapping[str, object], names: frozenset[str]) -> dict[str, str]:
    """Content hash of every tensor of a state whose name is not in `names`."""
    return {
        name: digest_bytes(tensor.detach().cpu().contiguous().numpy().tobytes())  # type: ignore[attr-defined]
        for name, tensor in state.items()
        if name not in names
    }
