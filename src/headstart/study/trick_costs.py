"""What runs of a study of tricks cost, whichever came first.

The activations of a frozen part and the features of a teacher are kept: the first run that needs them pays, the others
find them there. So every run is charged what the activations took that it used (kept beside them), and what the
teacher of the dearest run took. Of what else a fit does (reading images, the head to start from) a trick is charged what
its quickest seed took, for the first run of all also exports the network and plans its frozen part; with one seed all
tricks are charged the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from headstart.study.records import CellResult

if TYPE_CHECKING:
    import numpy as np

CACHES = ("cache", "validation_prefix")


def charged(runs: Sequence[Sequence[CellResult]]) -> tuple[np.ndarray, np.ndarray]:
    """Seconds of training (steps, frozen part, teacher) and of the whole run (fit and test), shape of `runs`."""
    import numpy as np

    dearest = max((_teacher(run) for each in runs for run in each), default=0.0)
    training = [
        [
            (run.train_seconds or 0.0) + _frozen(run, "all_seconds") + (_teacher(run) and dearest)
            for run in each
        ]
        for each in runs
    ]
    known = np.array(training)
    said = np.array([[run.seconds["predict"] for run in each] for each in runs])
    rest = np.array([[run.seconds["fit"] - _own(run) for run in each] for each in runs])
    least = rest.min(axis=1, keepdims=True) if rest.shape[1] > 1 else np.median(rest)
    return known, known + said + least


def _own(run: CellResult) -> float:
    """Seconds of a fit that `charged` knows one by one, as far as this run spent them."""
    return (run.train_seconds or 0.0) + _frozen(run, "seconds") + _teacher(run)


def _teacher(run: CellResult) -> float:
    return sum(float(_of(fit, "teacher").get("seconds") or 0.0) for fit in run.training)


def _frozen(run: CellResult, what: str) -> float:
    """What kept activations took: "seconds" in this run, "all_seconds" in whichever; runs of an older version know one."""
    kept = [_of(fit, name) for fit in run.training for name in CACHES]
    return sum(float(each.get(what) or each.get("seconds") or 0.0) for each in kept)


def _of(fit: dict[str, Any], name: str) -> dict[str, Any]:
    return fit.get(name) or {}
