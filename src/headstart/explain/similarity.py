"""How alike two representations of the same images are: linear CKA, layer against layer.

Kornblith, Norouzi, Lee and Hinton, Similarity of Neural Network Representations Revisited, ICML 2019, section 3, but
with the unbiased estimator of HSIC: the plain one goes towards 1 for any two layers of more dimensions than images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from headstart.base.errors import BadOptions
from headstart.explain.filters import feature_maps
from headstart.explain.target import Target

LEAST_IMAGES = 4


def linear_cka(first: np.ndarray, second: np.ndarray) -> float:
    """Linear centred kernel alignment of features (n, d) and (n, e): 1 where one is the other rotated, at most 1.

    Of features that have nothing in common it is 0 in the mean, so that it may lie a little below. With the Gram matrices
    K and L, their diagonals set to 0, HSIC is estimated without bias as

        (tr(K L) + sum(K) sum(L) / ((n - 1) (n - 2)) - 2 sum(K L) / (n - 2)) / (n (n - 3))

    and CKA is HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L)).

    Parameters
    ----------
    first, second : ndarray, shape (n, d) and (n, e)
        Of the same images in the same order.

    Returns
    -------
    float
        NaN where one does not vary.

    Raises
    ------
    BadOptions
        Different numbers of images, or fewer than 4.
    """
    if len(first) != len(second) or len(first) < LEAST_IMAGES:
        raise BadOptions([
            f"images: CKA needs the same {LEAST_IMAGES} or more images twice, got {len(first)} and {len(second)}"
        ])  # fmt: skip
    one, two = (_gram(each) for each in (first, second))
    below = _hsic(one, one) * _hsic(two, two)
    return _hsic(one, two) / float(np.sqrt(below)) if below > 0 else float("nan")


def _gram(features: np.ndarray) -> np.ndarray:
    """Products of centred features, without each image's own (the centre changes no HSIC, but the rounding)."""
    centred = features.astype(np.float64) - features.mean(0, dtype=np.float64)
    out: np.ndarray = centred @ centred.T
    np.fill_diagonal(out, 0.0)
    return out


def _hsic(one: np.ndarray, two: np.ndarray) -> float:
    n = len(one)
    rows = one.sum(0) @ two.sum(0)
    found = (one * two).sum() + one.sum() * two.sum() / ((n - 1) * (n - 2)) - 2 * rows / (n - 2)
    return float(found / (n * (n - 3)))


@dataclass(frozen=True, eq=False)
class Change:
    """CKA of the layers of two networks.

    Attributes
    ----------
    rows, columns : tuple of str
        Layers of the first and of the second network.
    cka : ndarray, shape (rows, columns)
    n : int
        Images.
    """

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    cka: np.ndarray
    n: int

    def same_layer(self) -> dict[str, float]:
        """CKA of each layer with itself, of the layers that both have."""
        return {
            name: float(self.cka[at, self.columns.index(name)])
            for at, name in enumerate(self.rows)
            if name in self.columns
        }


def representation_change(
    first: Target, second: Target, pixels: np.ndarray, layers: Sequence[str] = ()
) -> Change:
    """Linear CKA between layers of two networks on the same images, mean-pooled over positions.

    Parameters
    ----------
    first, second : Target
        Before and after fine-tuning, say.
    pixels : ndarray of uint8, shape (n, height, width, 3)
    layers : sequence of str
        Names or aliases; by default the stem and the stages.
    """
    names = tuple(layers) or tuple(
        each for each in first.aliases if each in second.aliases and _has(first, each)
    )
    if not names:
        raise BadOptions(["layer: the two networks share no named layer with rows and columns; name some"])
    before, after = (
        [feature_maps(each, pixels, name).mean((2, 3)) for name in names] for each in (first, second)
    )
    cka = np.array([[linear_cka(a, b) for b in after] for a in before])
    return Change(names, names, cka, len(pixels))


def trunk_pairs(first: Target, second: Target, output: str | None = None) -> dict[str, tuple[Target, Target]]:
    """The networks to compare of two models: for each output the trunks that serve it, where one model has a trunk each.

    Parameters
    ----------
    first, second : Target
    output : str, optional
        One output alone; every one that has a trunk of its own by default.

    Returns
    -------
    dict
        By output; the one pair of two models of one trunk under "".

    Raises
    ------
    UnknownName
        No such output of the second model.
    BadOptions
        Both have a trunk an output, and none of the same name.
    """
    parted = [each for each in (second, first) if each.n_trunks > 1]
    if not parted:
        return {"": (first, second)}
    names = [each.name for each in parted[0].outputs]
    if output is not None and parted[0] is second:
        names = [second.output(output).name]
    elif output in names:
        names = [str(output)]
    if len(parted) > 1:
        names = [name for name in names if any(each.name == name for each in first.outputs)]
        if not names:
            raise BadOptions(
                [f"beside: {first.name} and {second.name} share no output, and each of theirs has a network"]
            )
    return {
        name: (
            first.of(name) if first.n_trunks > 1 else first,
            second.of(name) if second.n_trunks > 1 else second,
        )
        for name in names
    }


def _has(target: Target, alias: str) -> bool:
    return target.aliases[alias] in target.layers
