"""Which images could be copies of each other: nearest neighbours by features, and near hashes.

Features are brought to their first principal components, in which all images are compared with all; what is found
is ranked anew by the whole vectors. (Cells of k-means with a tenth of them probed took a fifth of the time, and
found 83 % of the neighbours of mixed features where this way finds 99 %.) Hashes: the signs of differences between
neighbouring fields of a small picture (dHash; Krawetz 2013), 64 bits, compared with all others or, of many images,
with those that agree in a quarter of the bits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from headstart.base.ahead import ahead
from headstart.base.runtime import n_threads
from headstart.features.neighbours.exact import best

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Rows = NDArray[np.int64]

COMPONENTS = 160
FEW = 12_000
"""Images up to which all hashes are compared with all."""
BLOCK = 64
FIELDS = 16
SAMPLE = 4_096
SPARE = 8
"""Candidates by their components for each neighbour asked for."""
HASH_BITS = 64


def nearest_others(features: Floats, k: int, *, spare: int = SPARE) -> tuple[Rows, Floats]:
    """The k other images whose features have the largest cosine to each image's.

    Parameters
    ----------
    features : ndarray of float32, shape (n, d)
        Not changed; rows of any length.
    k : int
        Neighbours, fewer where there are fewer images.
    spare : int
        Times k candidates are ranked by the whole vectors.

    Returns
    -------
    rows : ndarray of int64, shape (n, k)
        The nearest first.
    cosines : ndarray of float32, shape (n, k)
    """
    n = len(features)
    k = min(k, max(n - 1, 0))
    if k == 0:
        return np.zeros((n, 0), np.int64), np.zeros((n, 0), np.float32)
    lengths = _lengths(features)
    rows = _candidates(components(features, lengths), min(k * spare, n - 1))
    return _ranked(features, lengths, rows, k)


def _lengths(features: Floats) -> Floats:
    """Length of each row, without a second copy of all of them."""
    found = np.empty(len(features), np.float32)
    for at in range(0, len(features), SAMPLE):
        found[at : at + SAMPLE] = np.linalg.norm(features[at : at + SAMPLE], axis=1)
    return np.maximum(found, np.float32(1e-12))


def components(features: Floats, lengths: Floats, n_components: int = COMPONENTS, seed: int = 0) -> Floats:
    """The first principal components of features of length one, themselves of length one, (n, c).

    The mean is kept in, so that products stay near the cosines of the whole vectors.
    """
    n, d = features.shape
    rows = np.sort(np.random.default_rng(seed).choice(n, min(n, SAMPLE), replace=False))
    sample = features[rows] / lengths[rows, None]
    kept = min(n_components, d)
    axes = np.linalg.eigh(sample.T @ sample)[1][:, ::-1][:, :kept].astype(np.float32)
    made = np.empty((n, kept), np.float32)
    for at in range(0, n, SAMPLE):
        made[at : at + SAMPLE] = (features[at : at + SAMPLE] @ axes) / lengths[at : at + SAMPLE, None]
    made /= np.maximum(np.linalg.norm(made, axis=1, keepdims=True), 1e-12)
    return made


def _candidates(points: Floats, k: int) -> Rows:
    """The k other images with the largest products, in any order, all compared with all in blocks and threads."""
    n = len(points)
    width = max(1, min(FIELDS, n // (4 * k)))  # products are looked through by the largest of so many
    wide = -(-n // width) * width

    def block(at: int) -> Rows:
        own = points[at : at + BLOCK]
        part = np.full((len(own), wide), -np.inf, np.float32)
        part[:, :n] = own @ points.T
        part[np.arange(len(own)), np.arange(at, at + len(own))] = -np.inf
        if width == 1:
            return np.argpartition(-part, k - 1, axis=1)[:, :k]
        largest = part.reshape(len(part), width, -1).max(axis=1)
        fields = np.argpartition(-largest, k - 1, axis=1)[:, :k]
        rows = (fields[:, :, None] + np.arange(width) * largest.shape[1]).reshape(len(part), -1)
        near = np.take_along_axis(part, rows, axis=1)
        return np.take_along_axis(rows, np.argpartition(-near, k - 1, axis=1)[:, :k], axis=1)

    return np.concatenate(list(ahead(block, range(0, n, BLOCK), n_threads())))


def _ranked(features: Floats, lengths: Floats, rows: Rows, k: int) -> tuple[Rows, Floats]:
    """The k candidates with the largest cosines of the whole vectors."""
    cosines = np.empty(rows.shape, np.float32)
    step = max(1, 2_000_000 // (rows.shape[1] * features.shape[1] + 1))
    for at in range(0, len(rows), step):
        part = rows[at : at + step]
        products = np.matmul(features[part], features[at : at + step, :, None])[:, :, 0]
        cosines[at : at + step] = products / (lengths[part] * lengths[at : at + step, None])
    return best(rows, cosines, k)


def hashes(pictures: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """64-bit difference hashes of small grey pictures (n, s, s): 8 x 9 fields, each against its right neighbour."""
    side = pictures.shape[1]
    down = _fields(side, 8)
    across = _fields(side, 9)
    fields = down @ pictures.astype(np.float32) @ across.T
    bits = (fields[:, :, 1:] > fields[:, :, :-1]).reshape(len(pictures), HASH_BITS)
    packed = np.packbits(bits, axis=1).view(np.uint64)
    made: NDArray[np.uint64] = packed.ravel()
    return made


def _fields(side: int, n_fields: int) -> Floats:
    """Weights (n_fields, side) of equal fields of a side, fractions of pixels counted."""
    edges = np.linspace(0, side, n_fields + 1)
    pixels = np.arange(side)
    shared = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    weights: Floats = (np.maximum(shared, 0) * (n_fields / side)).astype(np.float32)
    return weights


def near_hashes(
    one: NDArray[np.uint64], other: NDArray[np.uint64], most_bits: int, k: int, few: int = FEW
) -> Rows:
    """Pairs (row of `one`, row of `other`) whose hashes differ in at most `most_bits` bits, shape (m, 2).

    Of each row of `one` the k nearest. Of more than `few` images only pairs that agree in one of four quarters
    of the hash are found: all of those that differ in three bits or fewer.
    """
    if len(one) > few:
        return _by_quarters(one, other, most_bits)
    found = []
    for at in range(0, len(one), BLOCK):
        bits = np.bitwise_count(one[at : at + BLOCK, None] ^ other[None])
        left, right = np.nonzero(bits <= most_bits)
        order = np.lexsort((right, bits[left, right], left))
        left, right = left[order], right[order]
        turn = np.arange(len(left)) - np.searchsorted(left, left)
        found.append(np.stack([left + at, right], axis=1)[turn < k])
    return np.concatenate(found) if found else np.zeros((0, 2), np.int64)


MOST_ALIKE = 64
"""Images with an equal quarter beyond which it says nothing (plain backgrounds)."""


def _by_quarters(one: NDArray[np.uint64], other: NDArray[np.uint64], most_bits: int) -> Rows:
    found = []
    for quarter in range(4):
        left = (one >> np.uint64(16 * quarter)).astype(np.uint16)
        right = (other >> np.uint64(16 * quarter)).astype(np.uint16)
        order = np.argsort(right, kind="stable")
        starts = np.searchsorted(right[order], left, side="left")
        counts = np.searchsorted(right[order], left, side="right") - starts
        counts[counts > MOST_ALIKE] = 0
        rows = np.repeat(np.arange(len(left)), counts)
        turn = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
        pairs = np.stack([rows, order[np.repeat(starts, counts) + turn]], axis=1)
        near = np.bitwise_count(one[pairs[:, 0]] ^ other[pairs[:, 1]]) <= most_bits
        found.append(pairs[near])
    made: Rows = np.unique(np.concatenate(found), axis=0)
    return made
