"""One figure an output for choosing among models: 1 is perfect, missing labels are left out.

Classes and ordered levels: share of right ones. Labels: mean over the labels of the average precision, which needs
no thresholds. Number: share of the variance that is explained (R2).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from headstart.methods.output import Output, decide, is_missing, probabilities


def output_score(output: Output, logits: np.ndarray, coded: np.ndarray) -> float:
    """How well the logits (n, width) of an output fit its labels; NaN where none can be judged."""
    known = ~is_missing(output, coded)
    truth, given = coded[known], logits[known]
    if not len(truth):
        return math.nan
    if output.kind == "labels":
        return mean_average_precision(truth, given)
    found = probabilities(output, given)
    if output.kind != "number":
        return float((decide(output, found) == truth).mean())
    spread = float(np.square(truth - truth.mean(dtype=np.float64)).sum())
    return 1 - float(np.square(found - truth).sum(dtype=np.float64)) / spread if spread > 0 else math.nan


def mean_average_precision(truth: np.ndarray, scores: np.ndarray) -> float:
    """Mean of the average precision over the labels that some images have and some have not; else NaN."""
    from sklearn.metrics import average_precision_score

    known = [at for at in range(truth.shape[1]) if 0 < truth[:, at].sum() < len(truth)]
    if not known:
        return math.nan
    return float(np.mean([average_precision_score(truth[:, at], scores[:, at]) for at in known]))


def mean_score(scores: Sequence[float]) -> float:
    """Mean of the figures that there are; NaN without any."""
    known = [each for each in scores if math.isfinite(each)]
    return float(np.mean(known)) if known else math.nan
