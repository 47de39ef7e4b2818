"""Copies among images: exact, re-encoded, resized, cropped, brightened or mirrored, as pairs and as clusters.

Hashes and features say which images could be copies (`duplicate_search`); each such pair is aligned and compared
in its detail (`duplicate_align`). How alike two different photos can look depends on the set, so the threshold is
worked out from it: the tail of the likeness of all candidate pairs, extrapolated. Fine stripes look otherwise in
small pictures once they are cropped: somewhat less likeness suffices where the features are as good as equal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from headstart.base.ahead import ahead
from headstart.base.errors import BadImage
from headstart.base.events import Progress, emit
from headstart.base.runtime import n_threads
from headstart.features.duplicate_align import AT_ONCE, SIDE, likeness
from headstart.features.duplicate_search import hashes, near_hashes, nearest_others
from headstart.images.decode import ImageItem, open_picture
from headstart.images.geometry import upright
from headstart.images.resize import resize

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Rows = NDArray[np.int64]

LEAST_SIDE = 24
MIN_SIDE = 160
"""Least side that a JPEG is decoded at."""
NEIGHBOURS, HASH_NEAR = 3, 8
COARSE, COARSE_LIKE = 8, 0.75
LEAST_SPREAD = 4.0
"""Standard deviation in grey levels below which a picture shows nothing that could be compared."""
FLOOR = 0.88
"""Likeness that copies have at the least, however different the other images of a set are."""
FALSE_PAIRS = 1e-4
"""Share of candidate pairs that the extrapolated tail may leave above the threshold."""
TAIL = (0.50, 0.90)
LEAST_TAIL = 60
ROUNDS = 4
NEARLY, SLACK = 0.15, 0.12
"""How far below the threshold a pair is aligned the other way too, and how far it may stay where features agree."""
SECOND, LEAST_COSINE = 1e-3, 0.88
"""Share of candidate pairs that may have the cosine of features which counts as agreement; its least value."""
COLOUR, DOUBTFUL = 0.04, 0.02
"""Largest mean difference of the shares of red and green between a picture and its copy; that from which features must
agree too (a crop of 90 % differs by up to 0.035 and has a cosine of 0.89 or more; two shirts of one cut by 0.034, 0.86).
"""


@dataclass(frozen=True, eq=False)
class Prints:
    """Small pictures of images, by which copies are known.

    Attributes
    ----------
    grey : ndarray of uint8, shape (n, SIDE, SIDE)
        The whole image, squashed to a square.
    colours : ndarray of uint8, shape (n, 4, 4, 3)
    ok : ndarray of bool, shape (n,)
        False where the image cannot be read.
    large : ndarray of bool, shape (n,)
        Whether both sides have `LEAST_SIDE` pixels or more: smaller images are compared by their files alone.
    """

    grey: NDArray[np.uint8]
    colours: NDArray[np.uint8]
    ok: NDArray[np.bool_]
    large: NDArray[np.bool_]

    @classmethod
    def empty(cls, n: int) -> Prints:
        """Of n images, all yet to be read."""
        grey, colours = np.zeros((n, SIDE, SIDE), np.uint8), np.zeros((n, 4, 4, 3), np.uint8)
        return cls(grey, colours, np.zeros(n, bool), np.zeros(n, bool))


@dataclass(frozen=True, eq=False)
class Copies:
    """Pairs of images that are copies of one picture.

    Attributes
    ----------
    pairs : ndarray of int64, shape (m, 2)
        Rows, the smaller first; of equal files each with the next only.
    likeness : ndarray of float32, shape (m,)
        0 to 1; 1 for equal files.
    kinds : tuple of {"equal", "near", "mirrored"}
    clusters : ndarray of int64, shape (n,)
        A number for each image that those of one picture share.
    threshold : float
        Likeness from which a pair counts.
    n_compared : int
        Pairs that were aligned and compared.
    """

    pairs: Rows
    likeness: Floats
    kinds: tuple[str, ...]
    clusters: Rows
    threshold: float
    n_compared: int

    def groups(self) -> list[Rows]:
        """Rows of each cluster of two or more, in order of its first row."""
        order = np.argsort(self.clusters, kind="stable")
        parts = np.split(order, np.flatnonzero(np.diff(self.clusters[order])) + 1)
        return sorted((part for part in parts if len(part) > 1), key=lambda part: int(part[0]))


def small_pictures(pixels: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The grey and the coloured small picture of pixels (h, w, 3)."""
    high, wide = pixels.shape[:2]
    square = resize(pixels, (0.0, 0.0, float(wide), float(high)), SIDE, SIDE, "box")
    grey = square @ np.array([0.299, 0.587, 0.114], np.float32)
    step = SIDE // 4
    colours = square.reshape(4, step, 4, step, 3).mean((1, 3))
    return np.rint(grey).astype(np.uint8), np.rint(colours).astype(np.uint8)


def prints_of(items: Sequence[ImageItem]) -> Prints:
    """Decode images (at a small scale where the format allows) to their small pictures."""
    n = len(items)
    prints = Prints.empty(n)
    for row, made in enumerate(ahead(_print, items, n_threads())):
        if made is not None:
            prints.grey[row], prints.colours[row], prints.large[row] = made
            prints.ok[row] = True
        if row % 256 == 255 or row + 1 == n:
            emit(Progress("small pictures", row + 1, n))
    return prints


def _print(item: ImageItem) -> tuple[NDArray[np.uint8], NDArray[np.uint8], bool] | None:
    try:
        picture = open_picture(item, min_side=MIN_SIDE)
    except BadImage:
        return None
    large = min(picture.height, picture.width) >= LEAST_SIDE
    return *small_pictures(upright(picture.pixels, picture.orientation)), large


def find_copies(
    prints: Prints, digests: Sequence[str], features: Floats | None = None, *, threshold: float | None = None
) -> Copies:
    """Pairs of copies among images.

    Parameters
    ----------
    prints : Prints
    digests : sequence of str
        Content hash of each image; equal ones are equal files.
    features : ndarray of float32, shape (n, d), optional
        Of a pretrained network: without them only near hashes are compared, which misses crops.
    threshold : float, optional
        Likeness from which a pair counts, instead of the one worked out from the set.

    Returns
    -------
    Copies
    """
    equal = _equal_files(digests)
    first = np.array([pair[1] for pair in equal], np.int64)
    shown = prints.ok & prints.large & (prints.grey.std(axis=(1, 2)) >= LEAST_SPREAD)
    shown[first] = False  # of equal files one is compared for all
    rows = np.flatnonzero(shown)
    pairs, mirrored = _candidates(prints, features, rows)
    alike = _compared(prints, pairs, mirrored)
    other = ~_best(pairs, alike)
    if threshold is None:
        threshold = _robust(alike, other)
    close = (alike >= threshold - NEARLY) & (alike < threshold)
    back = _compared(
        prints, pairs[close][:, ::-1], mirrored[close]
    )  # a crop aligns better one way than the other
    alike[close] = np.maximum(alike[close], back)
    kept = alike >= threshold
    if features is not None:
        cosines = _cosines(features, pairs)
        kept |= (alike >= threshold - SLACK) & (cosines >= _robust(cosines, other, SECOND, LEAST_COSINE))
        kept &= (cosines >= LEAST_COSINE) | (_colour_steps(prints.colours, pairs, mirrored) <= DOUBTFUL)
    near, turned, alike = pairs[kept], mirrored[kept], alike[kept]
    near, turned, alike = _once(near, turned, alike)
    every = np.concatenate([np.array(equal, np.int64).reshape(-1, 2), near])
    return Copies(
        every, np.concatenate([np.ones(len(equal), np.float32), alike]),
        ("equal",) * len(equal) + tuple("mirrored" if each else "near" for each in turned),
        joined(every, len(digests)), threshold, len(pairs),
    )  # fmt: skip


def joined(pairs: Rows, n: int) -> Rows:
    """A number for each of n rows that the rows of a chain of pairs share."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    return np.asarray(connected_components(graph, directed=False)[1], np.int64)


def limit(alike: Floats, share: float = FALSE_PAIRS, floor: float = FLOOR) -> float:
    """The likeness (or cosine) above which at most a `share` of the pairs of different images comes.

    Fisher's z of the likeness of candidate pairs is about normal in its upper half; the tail is extrapolated
    from its 50 and 90 % points, of what lies below the threshold of the round before.
    """
    from scipy.special import ndtri

    if len(alike) < LEAST_TAIL:
        return floor
    z = np.arctanh(np.clip(alike, 0, 0.9999))
    found, far = np.inf, float(ndtri(1 - share) - ndtri(TAIL[0]))
    for _ in range(ROUNDS):  # copies are left out of the next round, so that they hardly count
        low, high = np.quantile(z[z <= found], TAIL)
        found = float(low + (high - low) / (ndtri(TAIL[1]) - ndtri(TAIL[0])) * far)
    return max(floor, float(np.tanh(found)))


def _best(pairs: Rows, alike: Floats) -> NDArray[np.bool_]:
    """Which pairs are the most alike of one of their images."""
    found = np.zeros(len(pairs), bool)
    order = np.argsort(-alike, kind="stable")
    first = np.unique(pairs[order].ravel(), return_index=True)[1]
    found[order[first // 2]] = True
    return found


def _robust(
    alike: Floats, other: NDArray[np.bool_], share: float = FALSE_PAIRS, floor: float = FLOOR
) -> float:
    """`limit`, or that of the `other` pairs alone where more lie above it than the tail can bear.

    Where every third image has a copy, copies are the tail, and its extrapolation ends at 1. An image's best pair is
    its copy if it has one; its other pairs are of different images, or of the few that have several copies.
    """
    lower = limit(alike[other], share, floor)
    crowded = int((alike >= lower).sum()) > (1 - TAIL[1]) * len(alike)
    return lower if crowded else limit(alike, share, floor)


def _equal_files(digests: Sequence[str]) -> list[tuple[int, int]]:
    first: dict[str, int] = {}
    pairs = []
    for row, digest in enumerate(digests):
        at = first.setdefault(digest, row)
        if at != row:
            pairs.append((at, row))
    return pairs


def _candidates(prints: Prints, features: Floats | None, rows: Rows) -> tuple[Rows, NDArray[np.bool_]]:
    """Pairs worth comparing, plain or mirrored: near by hash or features, and roughly alike."""
    grey = prints.grey[rows]
    turned = grey[:, :, ::-1]
    own, other = hashes(grey), hashes(turned)
    plain = [near_hashes(own, own, HASH_NEAR, NEIGHBOURS + 1)]
    mirror = [near_hashes(own, other, HASH_NEAR, NEIGHBOURS + 1)]
    if features is not None and len(rows) > 1:
        near = nearest_others(features[rows], NEIGHBOURS)[0]
        pairs = np.stack([np.repeat(np.arange(len(rows)), near.shape[1]), near.ravel()], axis=1)
        plain.append(pairs)
        mirror.append(pairs)
    found, flags = [], []
    for parts, flag in ((plain, False), (mirror, True)):
        pairs = _ordered(np.concatenate(parts))
        pairs = pairs[_roughly_alike(grey, turned if flag else grey, pairs)]
        steps = _colour_steps(prints.colours[rows], pairs, np.full(len(pairs), flag))
        pairs = pairs[steps <= COLOUR]
        found.append(rows[pairs])
        flags.append(np.full(len(pairs), flag))
    return np.concatenate(found), np.concatenate(flags)


def _ordered(pairs: Rows) -> Rows:
    pairs = np.sort(pairs[pairs[:, 0] != pairs[:, 1]], axis=1)
    made: Rows = np.unique(pairs, axis=0)
    return made


def _coarse(grey: NDArray[np.uint8]) -> Floats:
    step = SIDE // COARSE
    fields = grey.reshape(len(grey), COARSE, step, COARSE, step).mean((2, 4), dtype=np.float32)
    flat = fields.reshape(len(grey), COARSE * COARSE)
    flat = flat - flat.mean(1, keepdims=True)
    made: Floats = flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6)
    return made


def _roughly_alike(one: NDArray[np.uint8], other: NDArray[np.uint8], pairs: Rows) -> NDArray[np.bool_]:
    a, b = _coarse(one), _coarse(other)
    found: NDArray[np.bool_] = np.einsum("ij,ij->i", a[pairs[:, 0]], b[pairs[:, 1]]) >= COARSE_LIKE
    return found


def _colour_steps(colours: NDArray[np.uint8], pairs: Rows, mirrored: NDArray[np.bool_]) -> Floats:
    """Mean difference of the shares of red and green, which brightness does not change, of each pair."""
    shares = colours.astype(np.float32) + 8
    shares = shares[..., :2] / shares.sum(-1, keepdims=True)
    left, right = shares[pairs[:, 0]], shares[pairs[:, 1]]
    right = np.where(mirrored[:, None, None, None], right[:, :, ::-1], right)
    made: Floats = np.abs(left - right).mean((1, 2, 3))
    return made


def _compared(prints: Prints, pairs: Rows, mirrored: NDArray[np.bool_]) -> Floats:
    """Likeness of each pair, in threads."""

    def one(part: slice) -> Floats:
        left, right = prints.grey[pairs[part, 0]], prints.grey[pairs[part, 1]]
        right = np.where(mirrored[part, None, None], right[:, :, ::-1], right)
        return likeness(left, right)

    parts = [slice(at, at + AT_ONCE) for at in range(0, len(pairs), AT_ONCE)]
    found = list(ahead(one, parts, n_threads()))
    return np.concatenate(found) if found else np.zeros(0, np.float32)


def _cosines(features: Floats, pairs: Rows) -> Floats:
    found = np.empty(len(pairs), np.float32)
    for at in range(0, len(pairs), 1024):
        left, right = features[pairs[at : at + 1024, 0]], features[pairs[at : at + 1024, 1]]
        lengths = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
        found[at : at + 1024] = np.einsum("ij,ij->i", left, right) / np.maximum(lengths, 1e-12)
    return found


def _once(pairs: Rows, mirrored: NDArray[np.bool_], alike: Floats) -> tuple[Rows, NDArray[np.bool_], Floats]:
    """Each pair once: as it is more alike, plain or mirrored."""
    order = np.lexsort((mirrored, -alike))
    _, first = np.unique(pairs[order], axis=0, return_index=True)
    kept = order[np.sort(first)]
    kept = kept[np.lexsort((pairs[kept, 1], pairs[kept, 0]))]
    return pairs[kept], mirrored[kept], alike[kept]
