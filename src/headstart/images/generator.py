"""Generators with the meaning users know from Keras's `ImageDataGenerator`, and its two old faults mended.

`validation_split` draws at random within each class (Keras takes a contiguous share of the sorted files), and the
validation part is never augmented (Keras augments it with the same generator).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from headstart.backbones.card import Preprocessing
from headstart.base.errors import BadOptions, DataError
from headstart.images.augment import Policy, find_policy
from headstart.images.augment.featurewise import EPSILON, Featurewise
from headstart.images.augment.policy import is_mixing
from headstart.images.class_modes import Labels, labels_from
from headstart.images.collect import looks_like_image, subfolders, walk
from headstart.images.decode import ImageItem
from headstart.images.flow import Finish, Flow
from headstart.images.resize import PILLOW
from headstart.images.split import shares
from headstart.images.table import ImageTable
from headstart.images.views import as_views

SUBSETS = ("training", "validation")
KERAS_SIZE = (256, 256)
Size = tuple[int, int]


@dataclass(kw_only=True)
class _Settings:
    rescale: float | None = None
    validation_split: float = 0.0
    featurewise_center: bool = False
    featurewise_std_normalization: bool = False
    zca_whitening: bool = False
    zca_epsilon: float = EPSILON
    data_format: str | None = None
    exact: bool | None = None
    n_workers: int = 0


@dataclass
class ImageGenerator(_Settings):
    """Makes endless, seeded, augmented batches from arrays, a folder or a table.

    Parameters
    ----------
    policy : str, Path or Policy
        How images change: a preset, a TOML file, a policy.
    preprocessing : str, Preprocessing or Backbone, optional
        A backbone's name or card: its size, interpolation, crop, mean and standard deviation. Without one images
        are squashed to `target_size` and stay in 0..255, as Keras leaves them.
    rescale : float, optional
        Factor on 0..255 (without `preprocessing`).
    validation_split : float
        Share of each class, 0..1, that ``subset="validation"`` gives and ``subset="training"`` leaves out.
    featurewise_center, featurewise_std_normalization, zca_whitening : bool
        By statistics that `fit` learns.
    zca_epsilon : float
    data_format : {"channels_last", "channels_first"}, optional
        Default: channels first with `preprocessing`, as torch wants it, else last, as Keras does.
    exact : bool, optional
        Decode and resize as Pillow does, slower. Default: where nothing is augmented and there is no
        `preprocessing`.
    n_workers : int
        Threads (0: as many as processors).

    Examples
    --------
    >>> generator = ImageGenerator("medium", validation_split=0.2)
    >>> images = np.zeros((10, 16, 16, 3), np.uint8)
    >>> flow = generator.flow(images, [0, 1] * 5, batch_size=4, seed=3, subset="validation")
    >>> flow.n, flow.views.changes
    (2, False)
    """

    policy: str | Path | Policy = "none"
    preprocessing: Any = None
    _featurewise: Featurewise = field(init=False, repr=False)

    def __post_init__(self) -> None:
        found = []
        if not 0 <= self.validation_split < 1:
            found.append(f"validation_split: {self.validation_split} is outside 0 .. 1")
        if self.data_format not in (None, "channels_last", "channels_first"):
            found.append(f"data_format: {self.data_format!r} is not channels_last or channels_first")
        if self.preprocessing is not None and self.rescale is not None:
            found.append("rescale: the preprocessing scales already; give one of them")
        if self.n_workers < 0:
            found.append(f"n_workers: {self.n_workers} is below 0")
        if found:
            raise BadOptions(found)
        self._policy = find_policy(self.policy)
        self._card = _card_of(self.preprocessing)
        self._featurewise = Featurewise(
            self.featurewise_center, self.featurewise_std_normalization, self.zca_whitening, self.zca_epsilon
        )

    def fit(self, x: Any) -> ImageGenerator:
        """Learn featurewise statistics from a sample of images (n, height, width, channels), 0..255."""
        images = np.asarray(x, np.float32)
        self._featurewise.fit(images * np.float32(self.rescale or 1.0))
        return self

    # ---- sources ------------------------------------------------------------------------------------------------

    def flow(
        self, x: Any, y: Any = None, batch_size: int = 32, shuffle: bool = True, seed: int = 0, *,
        target_size: Size | None = None, class_mode: str | None = "categorical", color_mode: str = "rgb",
        interpolation: str = "bilinear", subset: str | None = None,
    ) -> Flow:  # fmt: skip
        """Batches from arrays or from a sequence of paths, PIL images and arrays.

        Parameters
        ----------
        x : ndarray (n, height, width[, 1 or 3]) in 0..255, or a sequence of images or paths
        y : sequence, shape (n,), optional
            Labels; without them batches are images alone.
        batch_size : int
        shuffle : bool
        seed : int
            Of order, augmentation and the validation split.
        target_size : (height, width), optional
            Default: the preprocessing's, else that of the images.
        class_mode : str or None
            See `Labels`.
        color_mode : {"rgb", "grayscale"}
        interpolation : str
            Without `preprocessing`.
        subset : {"training", "validation"}, optional

        Raises
        ------
        BadOptions
        """
        items = _items(x)
        names = tuple(str(each) if isinstance(each, str | Path) else f"{at}" for at, each in enumerate(items))
        if y is not None and len(y) != len(items):
            raise BadOptions([f"{len(items)} images with {len(y)} labels"])
        mode = None if y is None and class_mode != "input" else class_mode
        labels = labels_from(mode, ("label",) if y is not None else (), [list(y)] if y is not None else [])
        size = target_size or self._own_size(items)
        return self._made(
            items, names, labels, batch_size, shuffle, seed, size, color_mode, interpolation, subset
        )

    def flow_from_directory(
        self, directory: str | Path, target_size: Size | None = None, color_mode: str = "rgb",
        classes: Sequence[str] | None = None, class_mode: str | None = "categorical", batch_size: int = 32,
        shuffle: bool = True, seed: int = 0, subset: str | None = None, interpolation: str = "nearest",
    ) -> Flow:  # fmt: skip
        """Batches from class folders; files are listed, and opened when their batch comes.

        Parameters
        ----------
        directory : path
        target_size : (height, width), optional
            Default: the preprocessing's, else 256 x 256 as Keras has it.
        classes : sequence of str, optional
            Class folders to take, in the order of their numbers; default: all, sorted.
        other parameters
            See `flow`.

        Raises
        ------
        DataError
            No such folder, no class folder, no image.
        BadOptions
        """
        root = Path(directory)
        if not root.is_dir():
            raise DataError(f"{root}: no such folder")
        names = list(classes) if classes is not None else sorted(each.name for each in subfolders(root))
        if missing := [each for each in names if Path(each).name != each or not (root / each).is_dir()]:
            raise DataError(f"{root}: no class folder called {', '.join(missing)}")
        files: list[str] = []
        codes: list[int] = []
        for number, name in enumerate(names):
            here = [each for each in walk(root / name, relative_to=root) if looks_like_image(root / each)]
            files += here
            codes += [number] * len(here)
        if not files:
            raise DataError(f"{root}: no image in a class folder (found {len(names)} folders)")
        labels = Labels(class_mode, ("label",), (tuple(names),), np.array([codes], np.int64))
        items: list[ImageItem] = [root / each for each in files]
        size = target_size or self._card_size() or KERAS_SIZE
        return self._made(
            items, tuple(files), labels, batch_size, shuffle, seed, size, color_mode, interpolation, subset
        )

    def flow_from_table(
        self, table: ImageTable | str | Path, target: str | Sequence[str] | None = None, split: str = "all",
        target_size: Size | None = None, color_mode: str = "rgb", class_mode: str | None = "categorical",
        batch_size: int = 32, shuffle: bool = True, seed: int = 0, subset: str | None = None,
        interpolation: str = "nearest",
    ) -> Flow:  # fmt: skip
        """Batches from an image table, or from whatever `scan` reads as one.

        Parameters
        ----------
        table : ImageTable, str or Path
        target : str or sequence of str, optional
            Label column; several with ``class_mode="multi_output"`` (default there: all columns).
        split : str
            "train", "validation", "test" or "all".
        other parameters
            See `flow`.

        Raises
        ------
        DataError, BadOptions
        """
        if not isinstance(table, ImageTable):
            from headstart.images.scan import scan

            table = scan(table)
        targets = _targets(table, target, class_mode)
        rows = [
            row for row in table.rows(split)
            if all(table.labels[table.target(each)][row] is not None for each in targets)
        ]  # fmt: skip
        if not rows:
            raise DataError(f"{table.name} has no labelled image in the split {split!r}")
        part = table.select(rows)
        labels = labels_from(class_mode, targets, [list(part.labels[each]) for each in targets])
        size = target_size or self._card_size() or KERAS_SIZE
        return self._made(
            part.items(), tuple(part.paths), labels, batch_size, shuffle, seed, size, color_mode, interpolation,
            subset,
        )  # fmt: skip

    # ---- making -------------------------------------------------------------------------------------------------

    def _card_size(self) -> Size | None:
        return (self._card.height, self._card.width) if self._card else None

    def _own_size(self, items: Sequence[ImageItem]) -> Size:
        if self._card is not None:
            return self._card.height, self._card.width
        shapes = {
            (each.height, each.width) if isinstance(each, Image.Image) else each.shape[:2]
            for each in items if isinstance(each, Image.Image | np.ndarray)
        }  # fmt: skip
        if len(shapes) == 1:
            height, width = shapes.pop()
            return int(height), int(width)
        return KERAS_SIZE

    def _made(
        self, items: Sequence[ImageItem], names: tuple[str, ...], labels: Labels, batch_size: int, shuffle: bool,
        seed: int, size: Size, color_mode: str, interpolation: str, subset: str | None,
    ) -> Flow:  # fmt: skip
        self._check(batch_size, size, color_mode, interpolation, subset, labels, seed)
        policy = self._policy
        if subset is not None:
            rows = self._subset(subset, labels, len(items), seed)
            items, names = [items[row] for row in rows], tuple(names[row] for row in rows)
            labels = Labels(labels.mode, labels.targets, labels.classes, labels.codes[:, rows])
            policy = policy if subset == "training" else Policy("none")
        how = self._how(size, interpolation)
        first = self.data_format == "channels_first" if self.data_format else self._card is not None
        finish = Finish(
            (1 / 255 if self._card else self.rescale or 1.0), how.mean if self._card else (0.0,),
            how.std if self._card else (1.0,), first, self._featurewise,
        )  # fmt: skip
        alone = Policy(policy.name, tuple(each for each in policy.steps if not is_mixing(each)))
        views = as_views(alone)
        exact = self.exact if self.exact is not None else not views.changes and self._card is None
        return Flow(
            items, names, labels, how, policy, views, finish, batch_size, shuffle, seed, color_mode == "grayscale",
            exact, self.n_workers,
        )  # fmt: skip

    def _how(self, size: Size, interpolation: str) -> Preprocessing:
        if self._card is not None:
            return self._card.at((int(size[0]), int(size[1])))
        zero, one = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
        return Preprocessing(int(size[0]), int(size[1]), zero, one, interpolation, 1.0, "squash")

    def _check(
        self, batch_size: int, size: Size, color_mode: str, interpolation: str, subset: str | None,
        labels: Labels, seed: int,
    ) -> None:  # fmt: skip
        found = []
        if batch_size < 1:
            found.append(f"batch_size: {batch_size} is below 1")
        if len(size) != 2 or not all(1 <= each <= 8192 for each in size):
            found.append(f"target_size: expected (height, width) in 1 .. 8192 pixels, got {size}")
        if color_mode not in ("rgb", "grayscale"):
            found.append(f"color_mode: {color_mode!r} is not rgb or grayscale")
        if color_mode == "grayscale" and self._card is not None:
            found.append("color_mode: the backbone's preprocessing is for three channels")
        if interpolation not in PILLOW:
            found.append(f"interpolation: {interpolation!r} is not one of {', '.join(PILLOW)}")
        if subset is not None and subset not in SUBSETS:
            found.append(f"subset: {subset!r} is not one of {', '.join(SUBSETS)}")
        if subset is not None and not self.validation_split:
            found.append("subset: it needs validation_split, which is 0")
        if self._policy.mixes and not labels.soft and subset != "validation":
            found.append(
                f"policy: {self._policy.name!r} mixes images, so labels must be class_mode='categorical'"
            )
        if seed < 0:
            found.append(f"seed: {seed} is below 0")
        if found:
            raise BadOptions(found)

    def _subset(self, subset: str, labels: Labels, n: int, seed: int) -> np.ndarray:
        """Rows of one part: drawn at random, each class alone, the same draw for both parts."""
        codes = labels.codes[0] if len(labels.codes) else np.zeros(n, np.int64)
        held = shares(codes, self.validation_split, seed)
        rows: np.ndarray = np.flatnonzero(held if subset == "validation" else ~held)
        if not len(rows):
            raise BadOptions(
                [f"validation_split: {self.validation_split} of {n} images leaves no {subset} image"]
            )
        return rows


def _targets(
    table: ImageTable, target: str | Sequence[str] | None, class_mode: str | None
) -> tuple[str, ...]:
    """Label columns that a mode shows."""
    given = () if target is None else (target,) if isinstance(target, str) else tuple(target)
    if class_mode in (None, "input"):
        return ()
    if class_mode == "multi_output":
        return tuple(table.target(each) for each in given or table.targets)
    return tuple(table.target(each) for each in given) or (table.target(None),)


def _card_of(given: Any) -> Preprocessing | None:
    if given is None or isinstance(given, Preprocessing):
        return given
    from headstart.backbones.load import card

    return card(given).preprocessing


def _items(x: Any) -> list[ImageItem]:
    """Images of any kind as decodable items; float arrays must hold whole grey levels.

    Raises
    ------
    BadOptions
    """
    if isinstance(x, str | bytes | Path) or not hasattr(x, "__len__"):
        raise BadOptions([f"x: expected arrays or a sequence of images, got {type(x).__name__}"])
    if isinstance(x, np.ndarray) and x.dtype.kind not in "OUS":
        if x.ndim not in (3, 4):
            raise BadOptions(
                [f"x: an array of images has shape (n, height, width[, channels]), got {x.shape}"]
            )
        if x.dtype != np.uint8:
            whole = x.dtype.kind in "iuf" and bool(np.isfinite(x).all()) and bool((x == np.rint(x)).all())
            if not whole or (x.size and (x.min() < 0 or x.max() > 255)):
                raise BadOptions([f"x: expected whole grey levels in 0..255, got {x.dtype} of other values"])
            x = x.astype(np.uint8)
    items = [str(each) if isinstance(each, np.str_) else each for each in x]
    if not items:
        raise BadOptions(["x: there are no images"])
    return items
