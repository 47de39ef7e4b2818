"""Paired bootstrap of any metric over a few splits of one data set, each with test images of its own.

A draw takes images from all that any split tested; each run counts those that it was tested on. Splits are drawn
too, the same ones for both methods of a pair, as `headstart.measure.paired_bootstrap` draws seeds. The sister of
`headstart.measure.paired_splits` for what is no accuracy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from headstart.base.errors import UsageError
from headstart.measure.cannot_tell import CannotTell
from headstart.measure.paired import Difference
from headstart.measure.paired_bootstrap import (
    N_DRAWS,
    UNTESTED,
    Metric,
    class_numbers,
    from_draws,
    metric_of,
    of_counts,
    on_draws,
    run_weights,
)
from headstart.measure.paired_splits import NO_SPLIT
from headstart.measure.verdicts import ALPHA, NO_EFFECT, ROPE, Verdicts, judge

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]
    Counts = NDArray[np.int64]


def compare_all_by_over_splits(
    methods: Sequence[str], runs: Sequence[Mapping[int, ArrayLike]], truth: Mapping[int, ArrayLike],
    images: Mapping[int, ArrayLike], generator: np.random.Generator, *, metric: str | Metric,
    alpha: float = ALPHA, rope: float = ROPE, n_draws: int = N_DRAWS, against: int | None = None,
) -> Verdicts:  # fmt: skip
    """Compare any metric of all methods, each pair on the splits that both have.

    Parameters
    ----------
    methods : sequence of str
    runs : sequence of mapping of split to array of int, shape (n_s,)
        Class numbers that each method named; the methods need not have all splits.
    truth, images : mapping of split to array of int, shape (n_s,)
        True classes, and which images these are.
    generator : numpy Generator
    metric : str or function
        As `headstart.measure.paired_bootstrap.metric_draws` takes it.
    alpha, rope, against
        As `headstart.measure.verdicts.compare_all`.
    n_draws : int

    Raises
    ------
    UsageError
        Arrays that do not agree, or an image with two true classes.
    """
    of, keys = metric_of(metric), [(i, s) for i, own in enumerate(runs) for s in sorted(own)]
    whole = _whole(runs, truth, images, keys)
    cells, counts = np.unique(whole, axis=1, return_counts=True)
    values = dict(zip(keys, of_counts(cells, counts[None], of)[:, 0], strict=True))
    draws = dict(zip(keys, on_draws(cells, counts, of, generator, n_draws), strict=True))
    answers = dict(zip(keys, whole[1:], strict=True))
    most = max(len(own) for own in runs)
    weights = {m: run_weights(m, n_draws, generator) for m in range(1, most + 1)}

    def compare(i: int, j: int, level: float) -> Difference | CannotTell:
        shared = sorted(set(runs[i]) & set(runs[j]))
        if not shared:
            return NO_SPLIT
        each = np.stack([draws[i, s] - draws[j, s] for s in shared])
        value = float(np.mean([values[i, s] - values[j, s] for s in shared]))
        pairs = [(answers[i, s], answers[j, s]) for s in shared]
        differ = np.any([a != b for a, b in pairs], axis=0)
        tested = np.any([a != UNTESTED for a, _ in pairs], axis=0)
        drawn = np.einsum("sd,ds->d", each, weights[len(shared)])
        return from_draws(value, drawn, int(tested.sum()), int(differ.sum()), level=level)

    means = [float(np.mean([values[i, s] for s in own])) for i, own in enumerate(runs)]
    return judge(methods, means, compare, lambda i, j: NO_EFFECT, alpha=alpha, rope=rope, against=against)


def _whole(
    runs: Sequence[Mapping[int, ArrayLike]], truth: Mapping[int, ArrayLike], images: Mapping[int, ArrayLike],
    keys: Sequence[tuple[int, int]],
) -> Counts:  # fmt: skip
    """True classes (first row) and the answers of every run on all images; `UNTESTED` where there is none."""
    used = sorted({s for _, s in keys})
    ids, place = np.unique(np.concatenate([np.asarray(images[s]) for s in used]), return_inverse=True)
    ends = np.cumsum([len(np.asarray(images[s])) for s in used])[:-1]
    at = dict(zip(used, np.split(place, ends), strict=True))
    whole = np.full((1 + len(keys), len(ids)), UNTESTED, dtype=np.int64)
    for s in used:
        true = class_numbers(truth[s])[0]
        if len(true) != len(at[s]) or not np.isin(whole[0, at[s]], (UNTESTED,)).all(
            where=whole[0, at[s]] != true
        ):
            raise UsageError(f"split {s}: one true class an image is needed, the same in every split")
        whole[0, at[s]] = true
    for row, (i, s) in enumerate(keys, start=1):
        said = class_numbers(runs[i][s])[0]
        if len(said) != len(at[s]):
            raise UsageError(f"split {s}: {len(said)} answers on {len(at[s])} test images")
        whole[row, at[s]] = said
    return whole
