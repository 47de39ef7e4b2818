"""A bundle: one folder that predicts anywhere, offline, without torch and with an empty cache.

card.json             what it is, how it was made, digests of the other files
backbone.safetensors  the backbone's weights
model.onnx            pixels to probabilities (and features): the network as far as it is used, and the head
head.skops            the fitted classifier for use in Python (a fixed list of types; no pickle)
seen.json             content hashes of the images it was fitted and chosen on
"""

from __future__ import annotations

import importlib
import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.backbones.card import BackboneCard, Preprocessing
from headstart.base.errors import BundleError
from headstart.base.events import Progress, emit
from headstart.base.files import folder_written_aside
from headstart.base.hashing import digest_file
from headstart.base.runtime import versions
from headstart.export.weld import check_welded, facts_of, weld

if TYPE_CHECKING:
    from headstart.images.decode import ImageItem
    from headstart.images.table import Problem
    from headstart.methods.heads_base import Head
    from headstart.methods.probe import TransferClassifier

FORMAT, VERSION = "headstart-bundle", 1
FILES = ("backbone.safetensors", "model.onnx", "head.skops", "seen.json")


def save_bundle(
    classifier: TransferClassifier, folder: str | Path, *, target: str = "label", data: str = ""
) -> Path:
    """Write a fitted classifier as a bundle, whole or not at all.

    Parameters
    ----------
    classifier : TransferClassifier
        Fitted.
    folder : path
        A new folder, or an older bundle (replaced); anything else is refused.
    target : str
        Name of the output (the label column).
    data : str
        Name of the dataset it was fitted on.

    Raises
    ------
    BundleError
        The folder holds something that is no bundle; the network cannot be exported.
    """
    from headstart.features.engines.prepare import graph_for_bundle
    from headstart.features.taps import Place

    place = Path(folder)
    if (
        place.exists()
        and not (place / "card.json").is_file()
        and (not place.is_dir() or any(place.iterdir()))
    ):
        raise BundleError(f"{place} exists and is no bundle; choose another folder")
    found = classifier.extractor_.extraction_
    places = [Place(found.modules[tap], tap.pooling) for tap in classifier.extractor_.taps()]
    graph, weights = graph_for_bundle(
        classifier.backbone, found.card, places, found.engine["precision"], found.calibration
    )
    with folder_written_aside(place) as aside:
        classes = [str(each) for each in classifier.classes_]
        weld(
            graph, classifier.head_, aside / "model.onnx", facts_of(classes, target, found.card.preprocessing)
        )
        check_welded(aside / "model.onnx", classifier.head_, found.card.preprocessing)
        shutil.copyfile(weights, aside / "backbone.safetensors")
        _write_head(classifier.head_, aside / "head.skops")
        (aside / "seen.json").write_text(json.dumps(sorted(set(getattr(classifier, "seen_", ())))))
        card = _card(classifier, found.card, target, data, aside)
        (aside / "card.json").write_text(json.dumps(card, indent=1, ensure_ascii=False))
    return place


def _card(
    classifier: TransferClassifier, backbone: BackboneCard, target: str, data: str, folder: Path
) -> dict[str, Any]:
    extractor = classifier.extractor_
    return {
        "format": FORMAT,
        "version": VERSION,
        "scenario": classifier.scenario,
        "target": target,
        "classes": [str(each) for each in classifier.classes_],
        "backbone": backbone.to_dict(),
        "layer": extractor.layer if isinstance(extractor.layer, str) else list(extractor.layer),
        "modules": [extractor.extraction_.modules[tap] for tap in extractor.taps()],
        "pooling": extractor.pooling,
        "head": classifier.head,
        "chosen": classifier.chosen_,
        "selection": None if not np.isfinite(classifier.selection_) else classifier.selection_,
        "selected_on": classifier.selected_on_,
        "engine": extractor.extraction_.engine,
        "precision": classifier.precision,
        "data": data,
        "n_train": getattr(classifier, "n_train_", None),
        "n_validation": getattr(classifier, "n_validation_", None),
        "refit": classifier.refit,
        "seconds": classifier.seconds_,
        "versions": versions(),
        "digests": {name: digest_file(folder / name) for name in FILES},
    }


def _skops() -> Any:
    """skops.io, imported without the torch that scikit-learn would load along with it (2 seconds)."""
    hidden = "torch" not in sys.modules
    if hidden:
        sys.modules["torch"] = None  # type: ignore[assignment]
    try:
        return importlib.import_module("skops.io")
    finally:
        if hidden:
            del sys.modules["torch"]


def _write_head(head: Head, path: Path) -> None:
    _skops().dump(head, path)


def _read_head(path: Path) -> Head:
    from headstart.methods.heads import TRUSTED

    skops_io = _skops()
    try:
        odd = [name for name in skops_io.get_untrusted_types(file=path) if name not in TRUSTED]
        if odd:
            raise BundleError(
                f"{path}: holds types that a head never has: {', '.join(odd[:5])}; it is not opened"
            )
        head: Head = skops_io.load(path, trusted=list(TRUSTED))
    except (OSError, KeyError, TypeError, AttributeError, ValueError) as error:
        if isinstance(error, BundleError):
            raise
        raise BundleError(f"{path}: not a head that can be read ({type(error).__name__}: {error})") from error
    return head


@dataclass(frozen=True)
class Prediction:
    """Probabilities of some images: rows of unreadable images are left out and named in `problems`."""

    paths: tuple[str, ...]
    rows: tuple[int, ...]
    probabilities: np.ndarray
    problems: tuple[Problem, ...]


class Bundle:
    """An opened bundle; predicts without torch.

    Parameters
    ----------
    folder : path

    Attributes
    ----------
    card : dict
    classes : tuple of str
    target : str

    Raises
    ------
    BundleError
        A file is missing, altered, or of another version.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.card = self._read_card()
        self.classes: tuple[str, ...] = tuple(self.card["classes"])
        self.target: str = self.card["target"]
        self.backbone = BackboneCard.from_dict(self.card["backbone"])
        self._head: Head | None = None
        self._runner: Any = None

    @property
    def preprocessing(self) -> Preprocessing:
        """What the network expects of an image."""
        return self.backbone.preprocessing

    @property
    def head(self) -> Head:
        """The fitted classifier, on features (read when first wanted; predicting does not need it)."""
        if self._head is None:
            self._head = _read_head(self.folder / "head.skops")
        return self._head

    @property
    def graph(self) -> Path:
        """Pixels to probabilities (first output) and features, as ONNX."""
        return self.folder / "model.onnx"

    def seen(self) -> frozenset[str]:
        """Content hashes of the images it was fitted and chosen on."""
        return frozenset(json.loads((self.folder / "seen.json").read_text()))

    def _read_card(self) -> dict[str, Any]:
        path = self.folder / "card.json"
        try:
            card: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise BundleError(
                f"{self.folder} is no model: it has no card.json (`headstart fit` makes one)"
            ) from error
        except ValueError as error:
            raise BundleError(f"{path} is no JSON: {error}") from error
        if not isinstance(card, dict) or card.get("format") != FORMAT:
            raise BundleError(f"{path} is no card of a Headstart model")
        if card.get("version") != VERSION:
            raise BundleError(
                f"{path}: version {card.get('version')}, this Headstart reads version {VERSION}"
            )
        for name in FILES:
            if not (self.folder / name).is_file():
                raise BundleError(f"{self.folder} is incomplete: {name} is missing")
            if digest_file(self.folder / name) != card.get("digests", {}).get(name):
                raise BundleError(
                    f"{self.folder / name} was altered or damaged (its digest is not the card's)"
                )
        return card

    def runner(self) -> Any:
        """The network, ready to run."""
        if self._runner is None:
            from headstart.features.engines.onnx_engine import OnnxRunner

            self._runner = OnnxRunner(self.graph)
        return self._runner

    def predict_proba(self, items: Sequence[ImageItem], paths: Sequence[str] | None = None) -> Prediction:
        """Probabilities of images (paths, bytes, arrays, PIL images)."""
        from headstart.features.run import run_items
        from headstart.images.table import Problem

        names = (
            list(paths)
            if paths is not None
            else [
                str(item) if isinstance(item, str | Path) else f"image {row}"
                for row, item in enumerate(items)
            ]
        )
        problems: list[Problem] = []
        rows: list[int] = []
        parts: list[np.ndarray] = []
        batches: Iterator[Any] = run_items(
            self.runner(), self.preprocessing, items, range(len(items)),
            lambda row, error: problems.append(Problem(names[row], error.reason)),
        )  # fmt: skip
        for good, found in batches:
            rows += good
            emit(Progress("predict", len(rows) + len(problems), len(items)))
            parts.append(found[0])
        table = np.concatenate(parts) if parts else np.zeros((0, len(self.classes)), np.float32)
        return Prediction(tuple(names[row] for row in rows), tuple(rows), table, tuple(problems))

    def predict(self, items: Sequence[ImageItem]) -> list[str]:
        """The most probable class of each image.

        Raises
        ------
        BadImage
            The first image that cannot be read.
        """
        from headstart.base.errors import BadImage

        found = self.predict_proba(items)
        if found.problems:
            raise BadImage(found.problems[0].path, found.problems[0].reason)
        return [self.classes[best] for best in found.probabilities.argmax(1)]


def load_bundle(folder: str | Path) -> Bundle:
    """Open a bundle that `save_bundle` wrote."""
    return Bundle(folder)
