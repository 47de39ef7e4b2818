"""Does an augmentation destroy labels? Measured on the images themselves, with the features of a frozen network.

Two questions, both answered on images that the classifier has not seen. Does the operator carry images over to
other classes? And if so, can a classifier that has learned from changed images still tell them, or do changed
images of one class look like plain ones of another (a six turned by half is a nine)?
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.model_selection import StratifiedKFold

from headstart.base.errors import BadImage, DataError
from headstart.base.events import Progress, emit, warn
from headstart.base.hashing import digest_bytes
from headstart.features.extractor import FeatureExtractor
from headstart.images.augment import OPERATORS, Group, Policy, Step, augment
from headstart.images.prepare import prepare
from headstart.images.resize import resize
from headstart.images.table import ImageTable
from headstart.measure.intervals import wilson
from headstart.methods.from_flow import ready
from headstart.methods.heads import make_head

if TYPE_CHECKING:
    from headstart.backbones.card import Preprocessing

MOST_IMAGES = 600
FOLDS = 5
LIMIT = 0.10
"""Share of images carried over to another class that an operator may reach (lower end of its interval)."""
KEPT = 0.90
"""Share of the plain accuracy that must be left on changed images once a classifier has learned from such."""
SLACK = 0.05
OFTEN = 0.15
"""A confusion is one of labels where so many more of a class's images (lower end) share it than plain ones do."""
LEAST_SPREAD = 0.3

VARIANTS: dict[str, Step] = {
    "rotate 90": Step("rotate", (("degrees", 90),)),
    "rotate 180": Step("rotate", (("degrees", 180),)),
    "rotate -30..30": Step("rotate", (("degrees", (-30, 30)),)),
    "hue, any": Step("hue", (("turn", (-0.5, 0.5)),)),
    "zoom to half": Step("zoom", (("factor", 0.5),)),
    "crop of 20 % area": Step("random_resized_crop", (("area", 0.2),)),
    "gaussian blur, strong": Step("gaussian_blur", (("sigma", 4.0),)),
}
"""Stronger settings than the operators' own."""


@dataclass(frozen=True)
class OperatorCheck:
    """What one operator does to the images of a dataset.

    Attributes
    ----------
    name : str
    distance : float
        Median distance from an image to its changed self, over the median distance from an image to the nearest
        image of another class: at 1 the operator moves images as far as classes lie apart.
    crossed, crossed_low, crossed_high : float
        Share of the images told rightly when plain that are taken for another class when changed; 95 % interval.
    n : int
        Images told rightly when plain.
    learned : float
        Accuracy on changed images of a classifier that has learned from plain and changed ones, over the
        accuracy on plain images of one that has learned from plain ones.
    pairs : tuple of (str, str, float)
        The most frequent confusions after learning (class, taken for, share of that class's images), where they
        are frequent beyond those of plain images.
    verdict : {"safe", "far", "unclear", "destroys"}
        It does not cross; it does, and can be learned; too few images to tell whether it can; it cannot.
    """

    name: str
    distance: float
    crossed: float
    crossed_low: float
    crossed_high: float
    n: int
    learned: float
    pairs: tuple[tuple[str, str, float], ...]
    verdict: str

    @property
    def flagged(self) -> bool:
        """Whether the operator crosses between classes."""
        return self.verdict != "safe"


@dataclass(frozen=True)
class AugmentationCheck:
    """Every operator on one dataset.

    Attributes
    ----------
    dataset, backbone : str
    n_images, n_classes : int
    plain_accuracy : float
        Of the classifier on plain images that it has not seen.
    operators : tuple of OperatorCheck
        Those that cross first, the worst at the top.
    seconds : float
    """

    dataset: str
    backbone: str
    n_images: int
    n_classes: int
    plain_accuracy: float
    operators: tuple[OperatorCheck, ...]
    seconds: float

    def __getitem__(self, name: str) -> OperatorCheck:
        return next(each for each in self.operators if each.name == name)

    def to_dict(self) -> dict[str, Any]:
        """JSON-like."""
        return asdict(self)


def probes(policy: Policy | None = None) -> dict[str, Step | Group]:
    """What is tried: each operator by itself with its own ranges and some stronger ones, or a policy's steps."""
    if policy is not None:
        named = {}
        for at, step in enumerate(policy.steps):
            name = step.op if isinstance(step, Step) else step.kind
            named[name if name not in named else f"{name} ({at + 1})"] = replace(step, p=1.0)
        return named
    left_out = ("resize", "rand_augment", "trivial_augment", "augmix")
    own = {
        name: Step(name) for name in OPERATORS if OPERATORS[name].takes != "batch" and name not in left_out
    }
    return {**own, **VARIANTS}


def check_augmentation(
    table: ImageTable, *, target: str | None = None, backbone: str = "lite0", policy: Policy | None = None,
    only: Sequence[str] = (), n_images: int = 300, seed: int = 0, cache_gb: float = 10.0,
) -> AugmentationCheck:  # fmt: skip
    """Measure which operators carry images over to other classes.

    Parameters
    ----------
    table : ImageTable
        Its training images serve where it has splits; test is never read.
    target : str, optional
    backbone : str
    policy : Policy, optional
        Check its steps instead of all operators.
    only : sequence of str
        Names in `probes` to check (default: all).
    n_images : int
        Most images, drawn evenly from the classes; 20 .. 600.
    seed : int
    cache_gb : float

    Raises
    ------
    DataError
        Fewer than two classes of five images or more.
    """
    from headstart.backbones.load import load

    start = time.perf_counter()
    network = load(backbone)
    how = network.card.preprocessing
    chosen = {name: step for name, step in probes(policy).items() if not only or name in only}
    items, digests, codes, classes = _sample(table, target, how, min(n_images, MOST_IMAGES), seed)
    extractor = FeatureExtractor(backbone=ready(network), cache_gb=cache_gb)
    plain = _features(extractor, items, digests)
    judge = _Judge(plain, codes, classes, seed)
    found = []
    for at, (name, step) in enumerate(chosen.items()):
        changed = _Changed(items, Policy(name, (step,)), how, seed)
        found.append(judge.of(name, _features(extractor, changed, changed.digests(digests))))
        emit(Progress("operators", at + 1, len(chosen)))
    order = {"destroys": 0, "unclear": 1, "far": 2, "safe": 3}
    found.sort(key=lambda each: (order[each.verdict], -each.crossed))
    return AugmentationCheck(
        table.name,
        backbone,
        len(items),
        len(classes),
        judge.accuracy,
        tuple(found),
        time.perf_counter() - start,
    )


# ---- images ----------------------------------------------------------------------------------------------------


def _sample(
    table: ImageTable, target: str | None, how: Preprocessing, n_images: int, seed: int
) -> tuple[list[np.ndarray], list[str], np.ndarray, list[str]]:
    """Pixels, digests and classes of an even draw from the classes, decoded once."""
    name = table.target(target)
    labels = table.labels[name]
    rows = [row for row in table.rows("train") or table.rows("all") if labels[row] is not None]
    counts = Counter(labels[row] for row in rows)
    classes = sorted(str(each) for each, count in counts.items() if count >= FOLDS)
    if len(classes) < 2:
        raise DataError(
            f"{table.name}: the check needs two classes of {FOLDS} images or more, and there are {len(classes)}"
        )
    draw = np.random.default_rng([seed, 19])
    each = max(FOLDS, n_images // len(classes))
    items, digests, codes = [], [], []
    for code, label in enumerate(classes):
        own = np.array([row for row in rows if str(labels[row]) == label])
        for row in draw.permutation(own)[:each].tolist():
            try:
                items.append(prepare(table.item(row), how))
            except BadImage as error:
                warn(f"left out: {error}")
                continue
            digests.append(table.digests[row])
            codes.append(code)
    return items, digests, np.array(codes), classes


class _Changed(Sequence[Any]):
    """Images changed by one step, each by its own draw, made when they are asked for."""

    def __init__(self, items: Sequence[np.ndarray], policy: Policy, how: Preprocessing, seed: int) -> None:
        self.items, self.policy, self.how, self.seed = items, policy, how, seed

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, row: Any) -> Any:
        out = augment(self.items[row], self.policy, np.random.default_rng([self.seed, int(row), 23]))
        if out.shape[:2] == (self.how.height, self.how.width):
            return out
        box = (0, 0, out.shape[1], out.shape[0])
        return resize(out, box, self.how.height, self.how.width, self.how.interpolation)

    def digests(self, of_items: Sequence[str]) -> list[str]:
        """By what decides the pixels."""
        fixed = f"{self.policy.digest()} {self.seed}".encode()
        return [digest_bytes(fixed, each.encode(), str(row).encode()) for row, each in enumerate(of_items)]


def _features(extractor: FeatureExtractor, items: Sequence[Any], digests: Sequence[str]) -> np.ndarray:
    return extractor.joined(extractor.extract(items, digests))


# ---- judging ----------------------------------------------------------------------------------------------------


class _Judge:
    """A classifier for each fold of the plain images, and what it says of changed ones."""

    def __init__(self, plain: np.ndarray, codes: np.ndarray, classes: Sequence[str], seed: int) -> None:
        spread = plain.std(axis=0)  # channels that these images do not excite say nothing of distances
        self.scale = 1 / np.maximum(spread, LEAST_SPREAD * np.sqrt(np.mean(np.square(spread))) + 1e-12)
        self.plain, self.codes, self.classes = plain * self.scale, codes, classes
        smallest = int(np.bincount(codes).min())
        if smallest < 2:
            raise DataError("the check needs two readable images of every class")
        folds = StratifiedKFold(min(FOLDS, smallest), shuffle=True, random_state=seed)
        self.folds = list(folds.split(self.plain, codes))
        chooser = make_head("logistic").fit(self.plain, codes, seed=seed)
        self.options = {"C": chooser.chosen_["C"]}
        self.heads = [self._fitted(self.plain[train], codes[train]) for train, _ in self.folds]
        self.told = self._told(self.heads, self.plain)
        self.right = self.told == codes
        self.accuracy = float(self.right.mean())
        self.gap = self._gap()

    def _fitted(self, features: np.ndarray, codes: np.ndarray) -> Any:
        return make_head("logistic", **self.options).fit(features, codes)

    def _told(self, heads: Sequence[Any], features: np.ndarray) -> np.ndarray:
        """What each image is taken for by the classifier that has not seen it, in any dress."""
        out = np.empty(len(features), np.int64)
        for head, (_, held) in zip(heads, self.folds, strict=True):
            out[held] = head.predict(features[held])
        return out

    def _gap(self) -> float:
        """Median distance to the nearest image of another class."""
        squares = np.square(self.plain).sum(axis=1)
        far = squares[:, None] + squares[None] - 2 * self.plain @ self.plain.T
        far[self.codes[:, None] == self.codes[None]] = np.inf
        return float(np.sqrt(np.median(np.maximum(far.min(axis=1), 0))))

    def of(self, name: str, changed: np.ndarray) -> OperatorCheck:
        """The figures of one operator."""
        moved = changed * self.scale
        told = self._told(self.heads, moved)
        n = int(self.right.sum())
        crossed = int((self.right & (told != self.codes)).sum())
        low, high = wilson(crossed, n) if n else (0.0, 1.0)
        learned, verdict, pairs = (1.0, "safe", ()) if low <= LIMIT else self._learnable(moved)
        far = float(np.median(np.linalg.norm(moved - self.plain, axis=1)) / max(self.gap, 1e-12))
        return OperatorCheck(name, far, crossed / max(n, 1), low, high, n, learned, pairs, verdict)

    def _learnable(self, moved: np.ndarray) -> tuple[float, str, tuple[tuple[str, str, float], ...]]:
        """Whether a classifier that has seen changed images tells them; where the images are too few, unclear."""
        told = self._after_learning(moved)
        right, n = int((told == self.codes).sum()), len(told)
        low, high = (each / max(self.accuracy, 1e-12) for each in wilson(right, n))
        pairs = self._pairs(told)
        verdict = "destroys" if pairs or high < KEPT else "far" if low >= KEPT - SLACK else "unclear"
        return right / n / max(self.accuracy, 1e-12), verdict, pairs

    def _after_learning(self, moved: np.ndarray) -> np.ndarray:
        """What changed images are taken for, once others have been learned too."""
        heads = [
            self._fitted(
                np.concatenate([self.plain[train], moved[train]]),
                np.concatenate([self.codes[train], self.codes[train]]),
            )
            for train, _ in self.folds
        ]
        return self._told(heads, moved)

    def _pairs(self, told: np.ndarray) -> tuple[tuple[str, str, float], ...]:
        found = []
        for code, name in enumerate(self.classes):
            own = told[self.codes == code]
            counts = np.bincount(own[own != code], minlength=len(self.classes))
            other = int(counts.argmax())
            when_plain = float((self.told[self.codes == code] == other).mean())
            if wilson(int(counts[other]), len(own))[0] >= when_plain + OFTEN:
                found.append((name, self.classes[other], float(counts[other] / len(own))))
        return tuple(sorted(found, key=lambda each: -each[2])[:3])
