"""A never-ending stream of batches that is also a sequence of an epoch's batches; lazy, seeded, resumable.

What a batch holds is a pure function of (seed, epoch, place in the epoch): not of how many threads or worker
processes make it, nor of what was asked for before.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from headstart.backbones.card import Preprocessing
from headstart.base.errors import BadOptions
from headstart.base.hashing import digest_json
from headstart.base.runtime import n_threads
from headstart.images.class_modes import Labels
from headstart.images.decode import ImageItem
from headstart.images.prepare import prepare
from headstart.images.views import ViewPolicy, views_of

if TYPE_CHECKING:
    from headstart.images.augment import Policy
    from headstart.images.augment.featurewise import Featurewise

AHEAD = 2
STATE = 1


@dataclass(frozen=True)
class Finish:
    """From pixels to numbers: ``(pixels * scale - mean) / std``, then featurewise, in one of two orders.

    Attributes
    ----------
    scale : float
    mean, std : tuple of float
        Of the three channels after scaling.
    channels_first : bool
    featurewise : Featurewise
    """

    scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]
    channels_first: bool
    featurewise: Featurewise

    def apply(self, pixels: np.ndarray, out: np.ndarray) -> None:
        """uint8 (h, w, c) into a row of a batch, float32."""
        seen = out.transpose(1, 2, 0) if self.channels_first else out
        np.multiply(pixels, np.float32(self.scale), out=seen, dtype=np.float32, casting="unsafe")
        if any(self.mean):
            seen -= np.asarray(self.mean, np.float32)
        if any(each != 1 for each in self.std):
            seen *= np.float32(1) / np.asarray(self.std, np.float32)
        if self.featurewise.wanted:
            seen[:] = self.featurewise.apply(seen[None])[0]


@dataclass(eq=False)
class Flow:
    """Batches of images with their labels. Made by `ImageGenerator`, not by hand.

    Iterating never ends; ``len(flow)`` is the number of batches of an epoch and ``flow[i]`` the i-th of the epoch
    that `set_epoch` chose, so that ``torch.utils.data.DataLoader(flow, batch_size=None, num_workers=2)`` runs
    through one epoch. A batch is ``(images, labels)``, or images alone where `class_mode` is None; images are
    float32, (n, height, width, channels) or (n, channels, height, width).

    Attributes
    ----------
    filenames : tuple of str
    class_indices : dict of str to int
        (of the first target)
    classes : ndarray of int64, shape (n,)
    n : int
        Images.
    epoch, batch_index : int
        Where iteration stands: the batch that comes next.

    Examples
    --------
    >>> from headstart.images.generator import ImageGenerator
    >>> flow = ImageGenerator("light").flow(np.zeros((5, 8, 8, 3), np.uint8), list("abaab"), batch_size=2, seed=1)
    >>> len(flow), next(flow)[0].shape, next(flow)[1].shape
    (3, (2, 8, 8, 3), (2, 2))
    """

    items: Sequence[ImageItem]
    filenames: tuple[str, ...]
    labels: Labels
    how: Preprocessing
    policy: Policy
    views: ViewPolicy
    finish: Finish
    batch_size: int
    shuffle: bool
    seed: int
    grey: bool = False
    exact: bool = False
    n_workers: int = 0
    epoch: int = 0
    batch_index: int = 0
    _order: tuple[int, np.ndarray] = field(default=(-1, np.zeros(0, np.int64)), repr=False)
    _pool: Any = field(default=None, repr=False)
    _waiting: Any = field(default_factory=deque, repr=False)

    # ---- what it is -----------------------------------------------------------------------------------------

    @property
    def n(self) -> int:
        """Number of images."""
        return len(self.items)

    @property
    def samples(self) -> int:
        """Number of images, by Keras's name."""
        return self.n

    @property
    def class_mode(self) -> str | None:
        """The form of labels."""
        return self.labels.mode

    @property
    def class_indices(self) -> dict[str, int]:
        """Class names of the first target to their numbers, sorted."""
        names = self.labels.classes[0] if self.labels.classes else ()
        return {name: number for number, name in enumerate(names)}

    @property
    def num_classes(self) -> int:
        """Of the first target."""
        return len(self.class_indices)

    @property
    def classes(self) -> np.ndarray:
        """Class numbers of the first target, int64 (n,)."""
        found: np.ndarray = self.labels.codes[0]
        return found

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Of one image, in the order that batches have."""
        channels = 1 if self.grey else 3
        size = (self.how.height, self.how.width)
        return (channels, *size) if self.finish.channels_first else (*size, channels)

    def __len__(self) -> int:
        return -(-self.n // self.batch_size)

    # ---- batches ----------------------------------------------------------------------------------------------

    def order(self, epoch: int) -> np.ndarray:
        """Rows in the order of an epoch; the last one is kept, since an epoch's batches come one after the other."""
        if self._order[0] != epoch:
            draw = np.random.default_rng([self.seed, epoch, 1])
            self._order = epoch, draw.permutation(self.n) if self.shuffle else np.arange(self.n)
        return self._order[1]

    def rows(self, index: int, epoch: int) -> np.ndarray:
        """Rows of one batch."""
        return self.order(epoch)[index * self.batch_size : (index + 1) * self.batch_size]

    def pixels(self, row: int, epoch: int) -> np.ndarray:
        """One image as it is seen in an epoch, uint8 (height, width, channels).

        Raises
        ------
        BadImage
            The file cannot be read; the message names it.
        """
        if not self.views.changes:
            found = prepare(self.items[row], self.how, fast=not self.exact)
        else:
            found = views_of(self.items[row], f"row {row}", [epoch], self.how, self.views, self.seed)[0]
        return np.asarray(Image.fromarray(found).convert("L"))[..., None] if self.grey else found

    def __getitem__(self, index: int) -> Any:
        if not -len(self) <= index < len(self):
            raise IndexError(f"batch {index} of {len(self)}")
        return self._assembled(self._begun(index % len(self), self.epoch))

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        if not self.n:
            raise StopIteration
        self._work_ahead()
        self._step()
        return self._assembled(self._waiting.popleft())

    def _step(self) -> None:
        self.batch_index += 1
        if self.batch_index >= len(self):
            self.epoch, self.batch_index = self.epoch + 1, 0

    def _work_ahead(self) -> None:
        """Have the next batches under way, so that making them runs beside what uses them."""
        while len(self._waiting) <= AHEAD:
            at = self.epoch * len(self) + self.batch_index + len(self._waiting)
            self._waiting.append(self._begun(at % len(self), at // len(self)))

    def _begun(self, index: int, epoch: int) -> tuple[int, int, np.ndarray, np.ndarray, list[Future[None]]]:
        rows = self.rows(index, epoch)
        out = np.empty((len(rows), *self.image_shape), np.float32)

        def one(place: int) -> None:
            self.finish.apply(self.pixels(int(rows[place]), epoch), out[place])

        return index, epoch, rows, out, [self._threads().submit(one, place) for place in range(len(rows))]

    def _assembled(self, begun: tuple[int, int, np.ndarray, np.ndarray, list[Future[None]]]) -> Any:
        index, epoch, rows, images, futures = begun
        for each in futures:
            each.result()
        labels = self.labels.of(rows, images)
        if self.policy.mixes:
            from headstart.images.augment.apply import mix

            draw = np.random.default_rng([self.seed, epoch, index, 2])
            seen = images.transpose(0, 2, 3, 1) if self.finish.channels_first else images
            seen, labels = mix(seen, labels, self.policy, draw)
            images = np.ascontiguousarray(seen.transpose(0, 3, 1, 2)) if self.finish.channels_first else seen
        return images if self.class_mode is None else (images, labels)

    def _threads(self) -> ThreadPoolExecutor:
        """The threads of this process (a forked worker starts its own)."""
        if self._pool is None or self._pool[0] != os.getpid():
            self._pool = os.getpid(), ThreadPoolExecutor(self.n_workers or n_threads())
        pool: ThreadPoolExecutor = self._pool[1]
        return pool

    # ---- where it stands ---------------------------------------------------------------------------------------

    def set_epoch(self, epoch: int) -> None:
        """Which epoch ``flow[i]`` and the next batch are of."""
        if epoch < 0:
            raise BadOptions([f"epoch: {epoch} is below 0"])
        self.epoch, self.batch_index = int(epoch), 0
        self._waiting.clear()

    def on_epoch_end(self) -> None:
        """Go on to the next epoch (for those who walk by ``flow[i]``)."""
        self.set_epoch(self.epoch + 1)

    def reset(self) -> None:
        """Begin again at the first batch of the first epoch."""
        self.set_epoch(0)

    def fingerprint(self) -> str:
        """Hash of everything that decides the batches but the pixels themselves."""
        return digest_json({
            "files": list(self.filenames), "n": self.n, "policy": self.policy.digest(), "how": self.how.digest(),
            "batch_size": self.batch_size, "shuffle": self.shuffle, "seed": self.seed, "grey": self.grey,
        })  # fmt: skip

    def state_dict(self) -> dict[str, Any]:
        """Where iteration stands, JSON-like; `load_state_dict` goes on with the very next batch."""
        return {
            "version": STATE, "epoch": self.epoch, "batch_index": self.batch_index, "of": self.fingerprint(),
        }  # fmt: skip

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where another flow of the same images and options stood.

        Raises
        ------
        BadOptions
            The state is of other images or options, or no state.
        """
        epoch, index = state.get("epoch"), state.get("batch_index")
        if state.get("version") != STATE or not isinstance(epoch, int) or not isinstance(index, int):
            raise BadOptions(["state: expected what state_dict() gave"])
        if state.get("of") != self.fingerprint():
            raise BadOptions(["state: it is of other images, another policy, size, batch size or seed"])
        if not (epoch >= 0 and 0 <= index < max(1, len(self))):
            raise BadOptions([f"state: batch {index} of epoch {epoch} is not one of this flow"])
        self.set_epoch(epoch)
        self.batch_index = index

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_pool": None, "_waiting": deque()}
