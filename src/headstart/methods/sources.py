"""Where a training loop's inputs come from: views of images, as pixels or as activations at the cut.

Which view an image shows in an epoch is a pure function of (seed, image, epoch), so every source of the same
images gives the same numbers, whether it keeps activations or computes them as they are asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from headstart.backbones.card import Preprocessing
from headstart.base.runtime import n_threads
from headstart.images.decode import ImageItem
from headstart.images.views import PLAIN, ViewPolicy, policy, views_of
from headstart.methods.batches import MIRRORED_EPOCH, PLAIN_EPOCH, Batch
from headstart.methods.mixing import mix_pixels, mixes_pixels

MIRRORED = -2
"""Number of the plain view with left and right exchanged."""

if TYPE_CHECKING:
    from torch import Tensor

    from headstart.features.engines.runner import Runner
    from headstart.methods.training_options import TrainingOptions


@dataclass(frozen=True, eq=False)
class Part:
    """Images with their class numbers."""

    items: Sequence[ImageItem]
    digests: Sequence[str]
    codes: np.ndarray


@dataclass(frozen=True, eq=False)
class Views:
    """Images with their views.

    Attributes
    ----------
    items, digests : sequence
    how : Preprocessing
    policy : ViewPolicy
    seed : int
    n_views : int
        Views that an image shows in turn; 0 for a new one in each epoch.
    """

    items: Sequence[ImageItem]
    digests: Sequence[str]
    how: Preprocessing
    policy: ViewPolicy
    seed: int
    n_views: int

    @cached_property
    def first(self) -> np.ndarray:
        """The view that each image shows first, so that an epoch holds all of them equally."""
        return np.random.default_rng([self.seed, 7]).permutation(len(self.items))

    def number(self, row: int, epoch: int) -> int:
        """Number of the view that an image shows in an epoch."""
        if epoch == PLAIN_EPOCH:
            return PLAIN
        if epoch == MIRRORED_EPOCH:
            return MIRRORED
        return epoch if not self.n_views else int((self.first[row] + epoch) % self.n_views)

    def pixels(self, row: int, numbers: Sequence[int]) -> np.ndarray:
        """Some views of one image, uint8 (len(numbers), height, width, 3)."""
        plain = [PLAIN if number == MIRRORED else number for number in numbers]
        found = views_of(self.items[row], self.digests[row], plain, self.how, self.policy, self.seed)
        for at, number in enumerate(numbers):
            if number == MIRRORED:
                found[at] = found[at, :, ::-1].copy()
        return found


def views_by(options: TrainingOptions) -> ViewPolicy:
    """How views differ, by the options of training."""
    return replace(policy(options.augment), erase=options.erase)


class PixelBatches:
    """Views as normalised images (n, 3, height, width), decoded and drawn in threads."""

    def __init__(self, views: Views, options: TrainingOptions, normalise: Callable[[Tensor], Tensor]) -> None:
        self.views, self.options, self.normalise = views, options, normalise
        self.n = len(views.items)
        self._pool = ThreadPoolExecutor(n_threads())

    def pixels(self, rows: np.ndarray, epoch: int) -> np.ndarray:
        """uint8 (n, height, width, 3)."""

        def one(row: int) -> np.ndarray:
            found: np.ndarray = self.views.pixels(row, [self.views.number(row, epoch)])[0]
            return found

        return np.stack(list(self._pool.map(one, rows.tolist())))

    def mixed(self, rows: np.ndarray, epoch: int) -> tuple[np.ndarray, Any, Any]:
        """Pixels, mixed where the options say so and the epoch is one of training."""
        pixels = self.pixels(rows, epoch)
        if epoch < 0 or not mixes_pixels(self.options) or len(rows) < 2:
            return pixels, None, None
        draw = np.random.default_rng([self.views.seed, epoch, int(rows[0]), 3])
        return mix_pixels(pixels, self.options, draw)

    def get(self, rows: np.ndarray, epoch: int) -> Batch:
        """Normalised images in channels-last order."""
        pixels, other, left = self.mixed(rows, epoch)
        images = self.normalise(torch.from_numpy(pixels)).contiguous(memory_format=torch.channels_last)
        return Batch(images, other, left)


class StreamedBatches:
    """Activations at the cut, computed by the frozen part as they are asked for."""

    def __init__(self, pixels: PixelBatches, runner: Runner, shape: Sequence[int]) -> None:
        self.source, self.runner, self.shape = pixels, runner, tuple(shape)
        self.n = pixels.n
        self._pool = ThreadPoolExecutor(max(1, runner.n_workers))

    def get(self, rows: np.ndarray, epoch: int) -> Batch:
        """Activations, float32 (n, *shape), rounded to float16 as kept ones are."""
        pixels, other, left = self.source.mixed(rows, epoch)
        return Batch(as_inputs(rounded(self.run(pixels)), self.shape), other, left)

    def run(self, pixels: np.ndarray) -> np.ndarray:
        """The frozen part on pixels, as many calls at once as it takes."""
        size = self.runner.batch_size
        parts = [pixels[at : at + size] for at in range(0, len(pixels), size)]
        return np.concatenate([found[0] for found in self._pool.map(self.runner.run, parts)])


def rounded(activations: np.ndarray) -> np.ndarray:
    """Activations as they are kept: float16, values beyond its range at its ends."""
    limit = np.float32(65504.0)
    kept: np.ndarray = np.clip(activations, -limit, limit).astype(np.float16)
    return kept


def as_inputs(kept: np.ndarray, shape: tuple[int, ...]) -> Tensor:
    """Kept activations (n, d) as float32 (n, *shape), feature maps in channels-last order."""
    tensor = torch.from_numpy(kept).float().reshape(-1, *shape)
    return tensor.contiguous(memory_format=torch.channels_last) if tensor.ndim == 4 else tensor
