"""Scenarios `finetune`, `full` and `scratch`: the network itself is trained on the new images.

The same estimator, the same loop and the same head for all three, so that a comparison compares what it says:
which weights train, and from where they start (Yosinski et al., How transferable are features in deep neural
networks?, NeurIPS 2014; Kornblith et al., Do Better ImageNet Models Transfer Better?, CVPR 2019).
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from headstart.base.errors import BadImage, BadOptions, DataError, UsageError
from headstart.base.options import mistakes, option
from headstart.base.runtime import n_threads
from headstart.features.extractor import FeatureExtractor, item_digest, listed
from headstart.images.flow import Flow
from headstart.images.prepare import prepare
from headstart.images.table import ImageTable, Problem
from headstart.images.views import policy
from headstart.methods.calibrate import softmax
from headstart.methods.contradictions import check_paths, contradictions
from headstart.methods.from_flow import given_options, held_out
from headstart.methods.from_flow import named as named_of
from headstart.methods.heads import make_head
from headstart.methods.starting import Division, divided, kept_start, start_of
from headstart.methods.teacher import check_classes, teacher_name
from headstart.methods.training_options import TRAINED, TrainingOptions

if TYPE_CHECKING:
    from headstart.backbones.card import Preprocessing
    from headstart.backbones.load import Backbone
    from headstart.methods.heads_base import Head

N_SAMPLES = 8


@dataclass(kw_only=True, eq=False, repr=False)
class FineTuneClassifier(TrainingOptions, ClassifierMixin, BaseEstimator):  # type: ignore[misc,unused-ignore]
    """A pretrained network trained further on new images, in part or whole; or from scratch.

    Parameters
    ----------
    scenario : {"finetune", "full", "scratch"}
        What trains: from a cut on (`trainable`), everything from pretrained weights, everything from random
        weights.
    backbone : str or Backbone
    input_size : int or (height, width), optional
        Pixels; default the backbone's own.
    seed : int
        Of views, order, head, random weights, and the inner fold that is held out.
    n_folds : int
        One of so many inner folds of train chooses the epoch, where no validation images are given. The fitted head
        itself is kept (epoch 0) unless an epoch betters it there by more than one standard error of the difference:
        chosen by all folds and fitted on all of train.
    cache_gb : float
        Cap of the features, and as much again of the kept activations (of training and validation images together).
    seconds : float, optional
        Training time after which no new epoch starts.
    other parameters
        See `headstart.methods.training_options.TrainingOptions`.

    Attributes
    ----------
    classes_, chosen_, selection_, selected_on_
        See `headstart.methods.contract.Method`.
    network_ : torch.nn.Module
        The whole network, images (n, 3, height, width) to class scores, in evaluation mode.
    temperature_ : float
    samples_ : ndarray of uint8, shape (n, height, width, 3)
        Some training images as the network sees them, for the check of an export.
    record_ : dict
        What was decided and measured: cut, path, rate, precision, curve, seconds.
    findings_ : tuple of Finding
    start_selection_ : float
        Validation accuracy of the linear head that training started from; NaN without one.

    Examples
    --------
    >>> import numpy as np
    >>> from headstart.testing.backbones import tiny_backbone
    >>> dark, light = np.zeros((8, 32, 32, 3), np.uint8), np.full((8, 32, 32, 3), 250, np.uint8)
    >>> model = FineTuneClassifier(backbone=tiny_backbone(), trainable="last:1", epochs=2, augment="none")
    >>> model.fit(np.concatenate([dark, light]), ["dark"] * 8 + ["light"] * 8).predict(light[:1])
    array(['light'], dtype='<U5')
    """

    scenario: str = option("finetune", "how the pretrained network is used", choices=TRAINED)
    backbone: Any = option("lite0", "pretrained network")
    input_size: Any = option(None, "side of the input in pixels (default: the backbone's own)")
    seed: int = option(0, "of everything random", low=0)
    n_folds: int = option(
        5, "inner folds, of which one is held out where there are no validation images", low=2
    )
    cache_gb: float = option(10.0, "cap of kept features and of kept activations, in GB", low=0.0)
    seconds: float | None = option(None, "training time after which no new epoch starts", low=0.0)

    # ---- fitting ---------------------------------------------------------------------------------------------

    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        validation: tuple[Any, Any] | None = None,
        groups: Sequence[Any] | None = None,
        steps_per_epoch: int | None = None,
        validation_data: Any = None,
    ) -> FineTuneClassifier:
        """Train on X; `validation`, else one inner fold of X, chooses the epoch that is kept.

        Parameters
        ----------
        X : sequence of paths, PIL images or arrays, or one array (n, height, width[, 3]), or a Flow
            A generator's flow brings its labels, its policy and its batch size.
        y : sequence, shape (n,)
        validation : (X, y), optional
        groups : sequence, optional
            What the inner folds must not part.
        steps_per_epoch : int, optional
            Steps that count as an epoch of a flow (default: as many as show every image once).
        validation_data : Flow or (X, y), optional
            As `validation`, by Keras's name.

        Raises
        ------
        BadOptions, DataError, UnknownName, BackboneError
        """
        self._check()
        given_options(X, y, steps_per_epoch, validation, validation_data)
        validation = validation or held_out(validation_data)
        self._given = {}
        if isinstance(X, Flow):
            self._given = {
                "augment": X.policy, "batch_size": X.batch_size, "steps_per_epoch": steps_per_epoch,
            }  # fmt: skip
            X, y = named_of(X)
        items, labels = listed(X), np.asarray(y)
        _same_length(items, labels)
        held_items: list[Any] = []
        held_labels = labels[:0]
        if validation is not None:
            held_items, held_labels = listed(validation[0]), np.asarray(validation[1])
            _same_length(held_items, held_labels)
        both = [*items, *held_items]
        digests = [item_digest(item) for item in both]
        held = np.arange(len(both)) >= len(items)
        named = np.concatenate([labels, held_labels]) if len(held_items) else labels
        return self._fit(both, digests, None, named, held, groups, strict=True)

    def fit_table(self, table: ImageTable, target: str | None = None) -> FineTuneClassifier:
        """Fit on the table's train split, choose on its validation split if there is one; test is never read.

        A table without splits is all train. Images that cannot be read are left out and kept in `problems_`.
        """
        self._check()
        self._given = {}
        name = table.target(target)
        fitting = table.rows("train") if table.splits is not None else table.rows("all")
        if not fitting:
            raise DataError(f"{table.name} has no training images")
        rows = [row for row in [*fitting, *table.rows("validation")] if table.labels[name][row] is not None]
        part = table.select(rows)
        held = np.array([split == "validation" for split in part.splits or [""] * len(part)], bool)
        groups = (
            None if part.groups is None else [g for g, out in zip(part.groups, held, strict=True) if not out]
        )
        labels = np.asarray(part.labels[name])
        return self._fit(part.items(), part.digests, part.paths, labels, held, groups, strict=False)

    def _check(self) -> None:
        found = mistakes(self)
        found += contradictions(self, self.scenario)
        try:
            policy(self.augment)
        except UsageError as error:
            found.append(str(error))
        if found:
            raise BadOptions(found)

    def _fit(
        self,
        items: Sequence[Any],
        digests: Sequence[str],
        paths: Sequence[str] | None,
        labels: np.ndarray,
        held: np.ndarray,
        groups: Sequence[Any] | None,
        *,
        strict: bool,
    ) -> FineTuneClassifier:
        from headstart.backbones.classic import require_pretrained
        from headstart.backbones.freeze import find_cut
        from headstart.backbones.load import load
        from headstart.methods.distil import lesson_of
        from headstart.methods.network import with_head
        from headstart.methods.training import Part, Training

        start = time.perf_counter()
        self.classes_, codes = np.unique(labels[~held], return_inverse=True)
        if len(self.classes_) < 2:
            raise UsageError(
                f"a classifier needs two classes or more; got one class only: {str(self.classes_[0])!r}"
            )
        check_classes(self.teacher, self.classes_)  # what it learned is known before an image is looked at
        backbone: Backbone = load(self.backbone).at(self.input_size)
        if self.scenario != "scratch":
            require_pretrained(backbone.card)
        cut = find_cut(backbone, self.trainable if self.scenario == "finetune" else "all")
        check_paths(backbone, cut, self)  # what cannot be is told before anything is computed
        matrix, ok = self._seen(backbone, items, digests, paths, strict)
        self._note_problems(ok, digests, labels, held)
        extract_seconds = time.perf_counter() - start
        known = ok & (~held | np.isin(labels, self.classes_))
        part = self._divide(codes, held, known, groups)
        train, out, self.selected_on_ = part.train, part.held, part.chosen_on
        number = {label: code for code, label in enumerate(self.classes_.tolist())}
        coded = np.array([number.get(label, -1) for label in labels.tolist()])
        head, whole = self._start(matrix, coded, part)
        self.n_train_, self.n_validation_ = len(train), len(out)
        lesson = lesson_of(self, items, digests, coded, train, out)
        run = Training(
            self.scenario, backbone, _options(self, self._given), _part(Part, items, digests, coded, train),
            _part(Part, items, digests, coded, out) if len(out) else None,
            [str(each) for each in self.classes_], head, self.seed, self.cache_gb, self.seconds, lesson,
            inner=part.inner,
        )  # fmt: skip
        outcome = run.run()
        if kept := kept_start(outcome.trained, whole):
            outcome = with_head(outcome, kept)
        chosen = train[:: max(1, len(train) // N_SAMPLES)][:N_SAMPLES]
        self.samples_ = np.stack([prepare(items[int(row)], backbone.card.preprocessing) for row in chosen])
        self._keep(outcome, backbone, part, extract_seconds, start)
        if kept:
            self.selection_, self.selected_on_ = float(kept.selection_), kept.selected_on_
            self.n_train_, self.n_validation_ = len(part.rows), 0
        return self

    def _seen(
        self, backbone: Backbone, items: Sequence[Any], digests: Sequence[str], paths: Any, strict: bool
    ) -> tuple[np.ndarray | None, np.ndarray]:
        """Features of the plain views where a head starts from them, and which images can be read at all."""
        how = backbone.card.preprocessing
        matrix = None
        if self._starts_plain():
            problems, ok = unreadable(items, paths, how)
        else:
            extractor = FeatureExtractor(backbone=backbone, cache_gb=self.cache_gb)
            found = extractor.extract(items, digests, paths)
            matrix, problems, ok = extractor.joined(found), found.problems, found.ok
        if strict and problems:
            first = "; ".join(f"{each.path}: {each.reason}" for each in problems[:3])
            raise DataError(f"{len(problems)} of {len(items)} images cannot be read ({first})")
        self.problems_ = problems
        return matrix, ok

    def _starts_plain(self) -> bool:
        return self.start == "plain" or self.scenario == "scratch"

    def _note_problems(
        self, ok: np.ndarray, digests: Sequence[str], labels: np.ndarray, held: np.ndarray
    ) -> None:
        self.seen_ = tuple(digest for digest, good in zip(digests, ok, strict=True) if good)
        left = np.unique(labels[ok & ~held])
        if len(left) < len(self.classes_):
            gone = ", ".join(repr(str(each)) for each in self.classes_ if each not in left)
            raise DataError(f"no readable training image is left of {gone}")

    def _divide(self, codes: np.ndarray, held: np.ndarray, known: np.ndarray, groups: Any) -> Division:
        rows, place = np.flatnonzero(known & ~held), np.cumsum(~held) - 1
        return divided(
            rows, np.flatnonzero(known & held), codes[place[rows]],
            None if groups is None else [groups[int(place[row])] for row in rows],
            n_folds=self.n_folds, seed=self.seed, alone="every class",
        )  # fmt: skip

    def _start(
        self, matrix: np.ndarray | None, codes: np.ndarray, part: Division
    ) -> tuple[Head | None, Head | None]:
        """The head that training starts from, and that on all of train where an inner fold chooses."""
        self.start_selection_ = float("nan")
        if matrix is None:
            return None, None
        features = matrix

        def fit(rows: np.ndarray, held: np.ndarray | None, options: Any, groups: Any) -> Head:
            validation = None if held is None else (features[held], codes[held])
            return make_head("logistic", **options).fit(
                features[rows], codes[rows], validation=validation, n_folds=self.n_folds, seed=self.seed,
                groups=groups,
            )  # fmt: skip

        found = start_of(part, fit, lambda head: head.chosen_)
        self.start_selection_ = float(found.head.selection_)
        return found.head, found.whole

    def _keep(
        self, outcome: Any, backbone: Backbone, part: Division, extract_seconds: float, start: float
    ) -> None:
        from headstart.methods.network import assembled

        self.network_ = assembled(backbone, outcome)
        self.temperature_ = outcome.temperature
        accuracy = outcome.trained.kept_accuracy
        self.record_ = {**outcome.record, "kept_accuracy": accuracy, "epoch_chosen_on": part.chosen_on}
        self.findings_ = outcome.findings
        self.card_ = backbone.card
        self.selection_ = float("nan") if accuracy is None else float(accuracy)
        self.chosen_ = {
            "epoch": outcome.trained.kept_epoch, "learning_rate": outcome.record["learning_rate"],
        }  # fmt: skip
        self.seconds_ = {"extract": extract_seconds, "fit": time.perf_counter() - start - extract_seconds}

    # ---- predicting --------------------------------------------------------------------------------------------

    def decision_scores(self, X: Any) -> np.ndarray:
        """Class scores (n, k) before the temperature."""
        check_is_fitted(self, "network_")
        from headstart.methods.network import run_network

        return run_network(self.network_, listed(X), self.card_.preprocessing)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities (n, k), columns as in `classes_`."""
        return self.proba_of(self.decision_scores(X))

    def proba_of(self, scores: np.ndarray) -> np.ndarray:
        """Probabilities (n, k) of class scores before the temperature."""
        return softmax(scores / np.float32(self.temperature_))

    def predict(self, X: Any) -> np.ndarray:
        """The most probable class of each image."""
        return np.asarray(self.classes_[self.predict_proba(X).argmax(1)])


def unreadable(
    items: Sequence[Any], paths: Sequence[str] | None, how: Preprocessing
) -> tuple[tuple[Problem, ...], np.ndarray]:
    """Images that cannot be decoded, and True for each of the others (bool, (n,))."""

    def look(row: int) -> Problem | None:
        try:
            prepare(items[row], how)
        except BadImage as error:
            return Problem(error.path if paths is None else paths[row], error.reason)
        return None

    with ThreadPoolExecutor(n_threads()) as pool:
        found = list(pool.map(look, range(len(items))))
    return tuple(each for each in found if each), np.array([each is None for each in found], bool)


def _same_length(items: Sequence[Any], labels: np.ndarray) -> None:
    if labels.shape != (len(items),):
        raise DataError(f"{len(items)} images with {len(labels) if labels.ndim else 0} labels")


def _options(estimator: FineTuneClassifier, given: dict[str, Any]) -> TrainingOptions:
    own = {f.name: getattr(estimator, f.name) for f in dataclasses.fields(TrainingOptions)}
    return TrainingOptions(**{**own, "teacher": teacher_name(estimator.teacher), **given})


def _part(
    kind: Any, items: Sequence[Any], digests: Sequence[str], codes: np.ndarray, rows: np.ndarray
) -> Any:
    return kind([items[int(row)] for row in rows], [digests[int(row)] for row in rows], codes[rows])
