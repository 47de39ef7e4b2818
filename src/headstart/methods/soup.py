"""A greedy soup: the mean of the weights of several trainings, each taken in where validation does not lose.

Wortsman et al., Model soups, ICML 2022, recipe 1: by falling validation accuracy, keep what does not make the mean
worse. All trainings start from the same weights, with seeds and rates of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

Weights = dict[str, Tensor]
RATES = (1.0, 0.5, 2.0)
"""Factors on the learning rate, in turn."""
SEED_STEP = 7919


@dataclass(frozen=True)
class Soup:
    """What went in.

    Attributes
    ----------
    kept : tuple of int
        Numbers of the trainings that are averaged, the best first.
    accuracies : tuple of float
        Validation accuracy of each training.
    loss, accuracy : float
        Of the mean on the validation images, which chose it.
    """

    kept: tuple[int, ...]
    accuracies: tuple[float, ...]
    loss: float
    accuracy: float


def greedy(
    trained: Sequence[Weights], judge: Callable[[Weights], tuple[float, float]]
) -> tuple[Weights, Soup]:
    """Average greedily.

    Parameters
    ----------
    trained : sequence of dict of str to Tensor
        Weights of each training.
    judge : callable
        Weights to (loss, accuracy) on the validation images.
    """
    judged = [judge(each) for each in trained]
    order = sorted(range(len(trained)), key=lambda at: (-judged[at][1], judged[at][0]))
    kept, best = [order[0]], judged[order[0]]
    soup = trained[order[0]]
    for at in order[1:]:
        tried = mean_of([trained[number] for number in (*kept, at)])
        found = judge(tried)
        if found[1] >= best[1]:
            kept, best, soup = [*kept, at], found, tried
    return soup, Soup(tuple(kept), tuple(accuracy for _, accuracy in judged), *best)


def mean_of(weights: Sequence[Weights]) -> Weights:
    """The mean of each tensor, in double precision, so that what all have alike stays as it is to the last bit."""
    return {
        name: (sum((each[name].double() for each in weights[1:]), start=first.double()) / len(weights)).to(
            first.dtype
        )
        for name, first in weights[0].items()
    }
