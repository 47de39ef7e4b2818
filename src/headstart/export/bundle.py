"""A bundle: one folder that predicts anywhere, offline, without torch and with an empty cache.

card.json             what it is, how it was made, digests of the other files
backbone.safetensors  the backbone's weights (of a trained network: as they are after training, its head's too)
model.onnx            pixels to probabilities (and features): the network as far as it is used, and the head
head.skops            scenario features: the fitted classifier for use in Python (a fixed list of types; no pickle)
seen.json             content hashes of the images it was fitted and chosen on
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.backbones.card import BackboneCard, Preprocessing
from headstart.backbones.input_size import Given
from headstart.base.early import import_without
from headstart.base.errors import BadImage, BadOptions, BundleError
from headstart.base.events import Progress, emit
from headstart.base.hashing import digest_file
from headstart.export.outputs import Answer, answers_of
from headstart.images.views import POLICIES
from headstart.methods.training_options import TRAINED

if TYPE_CHECKING:
    from headstart.images.decode import ImageItem
    from headstart.images.table import Problem
    from headstart.methods.heads_base import Head

FORMAT, VERSION = "headstart-bundle", 1
FILES = ("backbone.safetensors", "model.onnx", "seen.json")
HEAD = "head.skops"
DEFAULT_POLICY = "light"


def files_of(scenario: str) -> tuple[str, ...]:
    """The files beside the card.

    Raises
    ------
    BundleError
        No scenario of that name.
    """
    if scenario == "features":
        return (*FILES, HEAD)
    if scenario in TRAINED:
        return FILES
    raise BundleError(f"a model of the scenario {scenario!r}, which this Headstart does not know; upgrade it")


def skops_io() -> Any:
    """skops.io, imported without the torch that scikit-learn would load along with it (2 seconds)."""
    return import_without("skops.io", "torch")


def _read_head(path: Path) -> Any:
    from headstart.methods.heads import TRUSTED

    reader = skops_io()
    try:
        odd = [name for name in reader.get_untrusted_types(file=path) if name not in TRUSTED]
        if odd:
            raise BundleError(
                f"{path}: holds types that a head never has: {', '.join(odd[:5])}; it is not opened"
            )
        head = reader.load(path, trusted=list(TRUSTED))
    except (OSError, KeyError, TypeError, AttributeError, ValueError) as error:
        if isinstance(error, BundleError):
            raise
        raise BundleError(f"{path}: not a head that can be read ({type(error).__name__}: {error})") from error
    return head


@dataclass(frozen=True)
class Prediction:
    """Probabilities of some images: rows of unreadable images are left out and named in `problems`.

    With several outputs their answers lie side by side in `probabilities` (see `Bundle.outputs`).
    """

    paths: tuple[str, ...]
    rows: tuple[int, ...]
    probabilities: np.ndarray
    problems: tuple[Problem, ...]


class Bundle:
    """An opened bundle; predicts without torch.

    Parameters
    ----------
    folder : path
    size : int, "HEIGHTxWIDTH" or (height, width), optional
        Input size in pixels other than the one it was fitted at, where the network takes it.

    Attributes
    ----------
    card : dict
    classes : tuple of str
    target : str
        Of the first output.
    outputs : tuple of Answer
        One, or several.

    Raises
    ------
    BundleError
        A file is missing, altered, or of another version.
    BadOptions
        A size that the network does not take.
    """

    def __init__(self, folder: str | Path, size: Given | None = None) -> None:
        self.folder = Path(folder)
        self.card = self._read_card()
        self.classes: tuple[str, ...] = tuple(self.card["classes"])
        self.target: str = self.card["target"]
        try:
            self.outputs: tuple[Answer, ...] = answers_of(self.card)
        except (KeyError, TypeError, ValueError) as error:
            raise BundleError(
                f"{self.folder / 'card.json'}: its outputs cannot be read ({type(error).__name__}: {error})"
            ) from error
        self.backbone = BackboneCard.from_dict(self.card["backbone"])
        self._heads: list[Head] | None = None
        if size is not None:
            self.backbone = replace(self.backbone, preprocessing=self.backbone.preprocessing.at(size))
        self._sized = size is not None
        self._runner: Any = None

    @property
    def preprocessing(self) -> Preprocessing:
        """What the network expects of an image."""
        return self.backbone.preprocessing

    @property
    def scenario(self) -> str:
        """How the pretrained network was used."""
        return str(self.card["scenario"])

    @property
    def trained(self) -> bool:
        """Whether the network itself was trained."""
        return self.scenario in TRAINED

    @property
    def head(self) -> Head:
        """The fitted classifier, on features (read when first wanted; predicting does not need it).

        Raises
        ------
        BundleError
            The network was trained as a whole.
        """
        if self.trained:
            raise BundleError(
                f"{self.folder}: a network of the scenario {self.scenario} has no head of its own; "
                "headstart.load_network gives the whole network"
            )
        if self.several:
            raise BundleError(
                f"{self.folder}: a model with several outputs has several heads; see its `heads`"
            )
        return self.heads[0]

    @property
    def several(self) -> bool:
        """Whether its card names outputs: several, or one that is no choice among classes."""
        return bool(self.card.get("outputs"))

    @property
    def heads(self) -> list[Head]:
        """The fitted heads on features, one an output."""
        if self._heads is None:
            found = _read_head(self.folder / HEAD)
            self._heads = list(found) if isinstance(found, list) else [found]
            if len(self._heads) != len(self.outputs):
                raise BundleError(
                    f"{self.folder / HEAD}: holds {len(self._heads)} heads for {len(self.outputs)} outputs"
                )
        return self._heads

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
        for name in files_of(str(card.get("scenario"))):
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

            self._runner = OnnxRunner(self._at_size() if self._sized else self.graph)
        return self._runner

    def _at_size(self) -> bytes:
        from headstart.features.engines.any_size import at_size

        return at_size(self.graph.read_bytes(), self.preprocessing.height, self.preprocessing.width)

    @property
    def view_policy(self) -> str:
        """How views differ in `predict_proba`: as in training, else "light"."""
        name = str(self.card.get("record", {}).get("augment", DEFAULT_POLICY))
        return name if name in POLICIES and name != "none" else DEFAULT_POLICY

    def predict_proba(
        self, items: Sequence[ImageItem], paths: Sequence[str] | None = None, *, views: int = 1
    ) -> Prediction:
        """Probabilities of images (paths, bytes, arrays, PIL images).

        Parameters
        ----------
        items : sequence
        paths : sequence of str, optional
            What the images are called.
        views : int
            Probabilities are averaged over so many views of each image: the plain one, and seeded crops and
            mirrors as in training. Takes so many times as long.

        Raises
        ------
        BadOptions
            `views` is below 1.
        """
        from headstart.images.table import Problem

        names = list(paths) if paths is not None else [_name(item, row) for row, item in enumerate(items)]
        problems: list[Problem] = []
        rows: list[int] = []
        parts: list[np.ndarray] = []

        def bad(row: int, error: BadImage) -> None:
            problems.append(Problem(names[row], error.reason))

        for good, found in self._runs(items, views, bad):
            rows += good
            emit(Progress("predict", len(rows) + len(problems), len(items)))
            parts.append(found)
        table = np.concatenate(parts) if parts else np.zeros((0, self.outputs[-1].last), np.float32)
        return Prediction(tuple(names[row] for row in rows), tuple(rows), table, tuple(problems))

    def _runs(
        self, items: Sequence[ImageItem], views: int, bad: Callable[[int, BadImage], None]
    ) -> Iterator[tuple[list[int], np.ndarray]]:
        from headstart.export.views import run_views
        from headstart.features.run import run_items

        if views < 1:
            raise BadOptions([f"views: {views} is below 1"])
        if views > 1:
            by = POLICIES[self.view_policy]
            yield from run_views(self.runner(), self.preprocessing, items, views, by, bad)
            return
        for rows, found in run_items(self.runner(), self.preprocessing, items, range(len(items)), bad):
            yield rows, found[0]

    def predict(self, items: Sequence[ImageItem]) -> list[Any]:
        """The most probable class of each image; with several outputs a dict of what each says.

        Raises
        ------
        BadImage
            The first image that cannot be read.
        """
        found = self.predict_proba(items)
        if found.problems:
            raise BadImage(found.problems[0].path, found.problems[0].reason)
        if self.several:
            return [{each.name: each.said(row) for each in self.outputs} for row in found.probabilities]
        return [self.classes[best] for best in found.probabilities.argmax(1)]


def _name(item: ImageItem, row: int) -> str:
    return str(item) if isinstance(item, str | Path) else f"image {row}"


def load_bundle(folder: str | Path, size: Given | None = None) -> Bundle:
    """Open a bundle that `headstart.export.save.save_bundle` wrote; `size` as for `Bundle`."""
    return Bundle(folder, size)
