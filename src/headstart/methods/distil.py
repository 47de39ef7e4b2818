"""Distillation: a student learns a teacher's answers on the training images beside their labels.

Hinton, Vinyals and Dean, Distilling the Knowledge in a Neural Network, 2015, section 2: both are softened by the
same temperature T, and that part of the loss counts T squared times. The teacher answers once, on the plain view
of each image, whatever view the student sees.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from headstart.backbones.load import load
from headstart.base.errors import DataError
from headstart.features.extractor import FeatureExtractor
from headstart.methods.heads import make_head
from headstart.methods.heads_shared import once
from headstart.methods.objective import Classes
from headstart.methods.teacher import check_classes, is_fitted

if TYPE_CHECKING:
    from headstart.methods.finetune import FineTuneClassifier

LEAST = 1e-7


@dataclass(frozen=True, eq=False)
class Lesson:
    """What a teacher says of the training images.

    Attributes
    ----------
    teacher : str
    answers : ndarray of float32, shape (n, k)
        Probabilities, not softened.
    selection : float
        Its accuracy on the validation images; NaN without any.
    seconds : float
        Until it had answered.
    """

    teacher: str
    answers: np.ndarray
    selection: float
    seconds: float = 0.0


class Distilled(Classes):
    """Classes and a teacher's answers: labels are (n, 2 k), the answers behind the labels."""

    def __init__(self, answers: np.ndarray, *given: Any) -> None:
        super().__init__(*given)
        self.answers = torch.from_numpy(softened(answers, self.options.distill_temperature)).to(self.device)

    def labels(self, rows: np.ndarray) -> Tensor:
        """Labels and softened answers side by side."""
        return torch.cat([super().labels(rows), self.answers[torch.from_numpy(rows).to(self.device)]], 1)

    def loss(self, scores: Tensor, labels: Tensor, rows: np.ndarray) -> Tensor:
        """The shares of both losses."""
        own, theirs = labels[:, : self.n_classes], labels[:, self.n_classes :]
        share, heat = self.options.distill, self.options.distill_temperature
        losses = -(theirs * (scores / heat).log_softmax(1)).sum(1)
        return (1 - share) * super().loss(scores, own, rows) + share * heat**2 * self.mean(losses, rows)


def softened(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities whose logarithms are divided by a temperature, float32."""
    logs = np.log(np.maximum(probabilities.astype(np.float64), LEAST)) / temperature
    raised = np.exp(logs - logs.max(1, keepdims=True))
    out: np.ndarray = (raised / raised.sum(1, keepdims=True)).astype(np.float32)
    return out


def lesson_of(
    student: FineTuneClassifier, items: Sequence[Any], digests: Sequence[str], codes: np.ndarray,
    train: np.ndarray, out: np.ndarray,
) -> Lesson | None:  # fmt: skip
    """What the student's teacher says of the training images, once it has learned; None without a teacher.

    Parameters
    ----------
    items, digests, codes
        All images.
    train, out : ndarray of int
        Rows that train, and rows that choose.
    """
    start = time.perf_counter()
    found = _lesson(student, items, digests, codes, train, out)
    seconds = time.perf_counter() - start
    return None if found is None else replace(found, seconds=max(found.seconds, seconds))


def _lesson(
    student: FineTuneClassifier, items: Sequence[Any], digests: Sequence[str], codes: np.ndarray,
    train: np.ndarray, out: np.ndarray,
) -> Lesson | None:  # fmt: skip
    teacher = student.teacher
    if is_fitted(teacher):
        return _answered(teacher, items, digests, train, student.classes_)
    if not teacher:
        return None
    rows = [int(row) for row in (*train, *out)]
    shown, coded = [items[row] for row in rows], codes[rows]
    if student.teacher_by == "finetune":
        return learn_tuned(student, shown, coded, len(train))
    return learn_features(
        teacher, shown, [digests[row] for row in rows], coded, len(train), len(student.classes_),
        seed=student.seed, cache_gb=student.cache_gb,
    )  # fmt: skip


def _answered(
    teacher: Any, items: Sequence[Any], digests: Sequence[str], train: np.ndarray, classes: Iterable[Any]
) -> Lesson:
    """`ask`; inside `shared_spaces` a teacher whose content is known is asked once about the same images."""
    start, names = time.perf_counter(), [str(each) for each in classes]

    def asked() -> Lesson:
        found = ask(teacher, [items[int(row)] for row in train], names)
        return replace(found, seconds=time.perf_counter() - start)

    if not getattr(teacher, "id", ""):
        return asked()
    told_apart_by = (np.array([digests[int(row)] for row in train]), np.array(names))
    return once(f"teacher {teacher.id}", told_apart_by, asked)


def learn_tuned(student: FineTuneClassifier, items: Sequence[Any], codes: np.ndarray, n_train: int) -> Lesson:
    """A teacher whose last stage is fine-tuned, for as many epochs as its student."""
    from headstart.methods.finetune import FineTuneClassifier

    learner = FineTuneClassifier(
        backbone=student.teacher, trainable="last:1", epochs=student.epochs, batch_size=student.batch_size,
        augment=student.augment, views=student.views, seed=student.seed, cache_gb=student.cache_gb,
        dtype=student.dtype, checkpoint_minutes=student.checkpoint_minutes,
    )  # fmt: skip
    validation = (items[n_train:], codes[n_train:]) if len(codes) > n_train else None
    learner.fit(items[:n_train], codes[:n_train], validation=validation)
    answers = np.zeros((n_train, len(student.classes_)), np.float32)
    answers[:, learner.classes_.astype(int)] = learner.predict_proba(items[:n_train])
    return Lesson(learner.card_.name, answers, learner.selection_)


def learn_features(
    teacher: Any, items: Sequence[Any], digests: Sequence[str], codes: np.ndarray, n_train: int,
    n_classes: int, *, seed: int, cache_gb: float,
) -> Lesson:  # fmt: skip
    """A teacher that is a logistic regression on the features of another network.

    Parameters
    ----------
    items, digests, codes
        The training images, then those that choose its regularisation.
    n_train : int
        How many train.

    Raises
    ------
    DataError
        Images that the teacher cannot read.
    """
    backbone = load(teacher)
    extractor = FeatureExtractor(backbone=backbone, cache_gb=cache_gb)
    found = extractor.extract(items, digests, None)
    if found.problems:
        raise DataError(f"the teacher {backbone.card.name} cannot read {len(found.problems)} images")
    matrix = extractor.joined(found)
    head = make_head("logistic")
    held = (matrix[n_train:], codes[n_train:]) if len(codes) > n_train else None
    head.fit(matrix[:n_train], codes[:n_train], validation=held, seed=seed)
    answers = np.zeros((n_train, n_classes), np.float32)
    answers[:, np.asarray(head.classes_, int)] = head.predict_proba(matrix[:n_train])
    return Lesson(backbone.card.name, answers, float(head.selection_))


def ask(teacher: Any, items: Sequence[Any], classes: Iterable[Any]) -> Lesson:
    """The answers of a classifier that is fitted already.

    Raises
    ------
    UsageError
        Its classes are not those of the training images.
    """
    theirs = [str(each) for each in teacher.classes_]
    ours = [str(each) for each in classes]
    check_classes(teacher, ours)
    answers = np.asarray(teacher.predict_proba(items), np.float32)[:, [theirs.index(name) for name in ours]]
    return Lesson(type(teacher).__name__, answers, float(getattr(teacher, "selection_", float("nan"))))
