"""Probabilities averaged over views of an image: the plain one, and seeded crops and mirrors of one decode.

Averaging over crops and mirrors: Krizhevsky, Sutskever and Hinton, ImageNet Classification with Deep
Convolutional Neural Networks, NeurIPS 2012 (section 4.1).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from headstart.backbones.card import Preprocessing
from headstart.base.ahead import ahead
from headstart.base.errors import BadImage
from headstart.base.hashing import digest_bytes
from headstart.base.runtime import n_threads
from headstart.features.engines.runner import Runner
from headstart.images.decode import ImageItem, decode
from headstart.images.views import PLAIN, ViewPolicy, views_of

SEED = 0


def views_for_prediction(item: ImageItem, n_views: int, how: Preprocessing, by: ViewPolicy) -> np.ndarray:
    """The plain view and `n_views - 1` others of one image, decoded once; the same pixels give the same views.

    Returns
    -------
    ndarray of uint8, shape (n_views, how.height, how.width, 3)

    Raises
    ------
    BadImage
        The image cannot be read.
    """
    side = max(how.height, how.width) / min(how.crop, math.sqrt(by.least_area))
    pixels = decode(item, min_side=math.ceil(side))
    name = digest_bytes(str(pixels.shape).encode(), pixels.tobytes())
    return views_of(pixels, name, [PLAIN, *range(n_views - 1)], how, by, SEED)


def run_views(
    runner: Runner,
    how: Preprocessing,
    items: Sequence[ImageItem],
    n_views: int,
    by: ViewPolicy,
    bad: Callable[[int, BadImage], None],
) -> Iterator[tuple[list[int], np.ndarray]]:
    """Row and mean probabilities (1, k) of each image, in order.

    Parameters
    ----------
    bad : callable
        Told (row, error) of every image that cannot be decoded, in the caller's thread.
    """

    def work(row: int) -> tuple[int, np.ndarray | BadImage]:
        try:
            pixels = views_for_prediction(items[row], n_views, how, by)
        except BadImage as error:
            return row, error
        size = runner.batch_size
        parts = [runner.run(pixels[at : at + size])[0] for at in range(0, n_views, size)]
        return row, np.concatenate(parts).mean(0, keepdims=True)

    for row, found in ahead(work, range(len(items)), max(1, min(runner.n_workers, n_threads()))):
        if isinstance(found, BadImage):
            bad(row, found)
        else:
            yield [row], found
