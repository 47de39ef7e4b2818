"""Images to features: what the cache holds is read, the rest is decoded and run once, and kept.

Each worker decodes a batch and runs it, so that decoding overlaps the network and only a few batches are in
memory, however many images there are. Several taps come from one forward pass.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from headstart.backbones.card import BackboneCard
from headstart.backbones.classic import require_pretrained
from headstart.backbones.input_size import Given
from headstart.backbones.load import Backbone
from headstart.backbones.load import card as card_of
from headstart.backbones.load import load as load_backbone
from headstart.base.errors import BadImage, DataError
from headstart.base.events import Progress, emit, warn
from headstart.features.calibration import Calibration, calibration_rows, sample_rows
from headstart.features.engines.prepare import Ready, Wish, needs_calibration, prepare_runner, settle
from headstart.features.pool import check_pooling
from headstart.features.run import Seen, run_items
from headstart.features.store import DEFAULT_CACHE_GB, GIGABYTE, FeatureKey, FeatureStore
from headstart.features.taps import Place, Tap
from headstart.images.decode import DECODER, ImageItem
from headstart.images.prepare import prepare
from headstart.images.table import Problem

WRITE_ROWS = 256

__all__ = ["Extraction", "Tap", "extract"]


@dataclass(frozen=True, eq=False)
class Extraction:
    """Features of some images at some taps, and how they came about.

    Attributes
    ----------
    features : dict of Tap to float32 array (n, d)
        Rows in the order given; a row of a bad image is zero.
    ok : bool array (n,)
        False where the image could not be decoded; `problems` says why.
    modules : dict of Tap to str
        The module name behind each tap.
    engine : dict
        Engine, precision, device, parity (see `EngineFacts`).
    seconds : float
        Wall-clock time, export and decoding included.
    n_cached, n_computed : int
        Images read from the cache, and images run through the network.
    """

    features: dict[Tap, np.ndarray]
    ok: np.ndarray
    problems: tuple[Problem, ...]
    modules: dict[Tap, str]
    engine: dict[str, Any]
    seconds: float
    n_cached: int
    n_computed: int
    card: BackboneCard
    calibration: Calibration


def extract(
    items: Sequence[ImageItem],
    digests: Sequence[str],
    *,
    paths: Sequence[str] | None = None,
    backbone: str | Backbone = "lite0",
    taps: Sequence[Tap] = (Tap("pool"),),
    engine: str = "auto",
    precision: str = "float32",
    input_size: Given | None = None,
    cache_gb: float = DEFAULT_CACHE_GB,
    store: FeatureStore | None = None,
    calibration: Calibration | None = None,
    seen: Seen | None = None,
) -> Extraction:
    """Features of images at any layers, from the cache where it holds them.

    Parameters
    ----------
    items : sequence
        Paths, bytes, arrays or PIL images, as `decode` takes them.
    digests : sequence of str
        Content hash of each image; equal digests are computed once.
    paths : sequence of str, optional
        Names for `problems`; default the row numbers.
    backbone : str or Backbone
    taps : sequence of Tap
    engine, precision : str
        See `headstart.features.engines.prepare.settle`.
    input_size : int, "HEIGHTxWIDTH" or (height, width), optional
        Pixels; default the card's.
    cache_gb : float
        Cap of the feature cache in gigabytes; 0 keeps nothing.
    calibration : Calibration, optional
        Of an earlier extraction, so that int8 or bfloat16 features of other images come from the same network.
    seen : callable, optional
        Told every image that is decoded (see `run.Seen`); images whose features the cache holds are not.

    Returns
    -------
    Extraction

    Raises
    ------
    UnknownName, BadOptions, BackboneError, MissingPackage
    """
    start = time.perf_counter()
    if len(items) != len(digests):
        raise DataError(f"{len(items)} images with {len(digests)} digests")
    work = _Work(
        items,
        digests,
        paths,
        backbone,
        tuple(dict.fromkeys(taps)),
        settle(engine, precision),
        input_size,
        calibration,
    )
    kept = store or FeatureStore(cap_bytes=int(cache_gb * GIGABYTE))
    work.read(kept)
    missing = work.missing_rows()
    n_computed = work.compute(kept, missing, seen) if len(missing) else 0
    kept.trim(keep=[work.keys[place] for place in work.places.values()])
    return work.result(time.perf_counter() - start, n_computed)


class _Work:
    """One extraction under way."""

    def __init__(
        self, items: Sequence[ImageItem], digests: Sequence[str], paths: Sequence[str] | None,
        backbone: str | Backbone, taps: tuple[Tap, ...], wish: Wish, input_size: Given | None,
        calibration: Calibration | None,
    ) -> None:  # fmt: skip
        self.items, self.digests = items, digests
        self.paths = paths
        self.backbone, self.size, self.wish = backbone, input_size, wish
        self._loaded: Backbone | None = backbone.at(input_size) if isinstance(backbone, Backbone) else None
        base = card_of(backbone)
        require_pretrained(base)
        self.card = self._loaded.card if self._loaded else _sized(base, input_size)
        self.places = {tap: self._place(tap) for tap in taps}
        self.given = calibration
        self.calibration = Calibration("", self.sample)
        self.sampled: list[int] | None = None
        self.keys: dict[Place, FeatureKey] = {}
        self.rows: dict[Place, np.ndarray | None] = dict.fromkeys(self.places.values())
        self.found: dict[Place, np.ndarray] = {}
        self.ok = np.ones(len(items), bool)
        self.problems: dict[str, str] = {}
        self.ready: Ready | None = None

    def loaded(self) -> Backbone:
        """The network, loaded when it is first needed."""
        if self._loaded is None:
            self._loaded = load_backbone(self.backbone).at(self.size)
            self.card = self._loaded.card
        return self._loaded

    def _place(self, tap: Tap) -> Place:
        check_pooling(tap.pooling)
        named = self.card.layers or {}
        module = named[tap.layer] if tap.layer in named else self.loaded().resolve(tap.layer)
        if tap.pooling == "avg+std":
            layout = "vector" if tap.layer in ("pool", "logits") else self.loaded().layers[module].layout
            check_pooling(tap.pooling, layout, tap.layer)
        return Place(module, tap.pooling)

    def _set_keys(self) -> None:
        self.keys = {
            place: _key(self.card, place, self.wish, self.calibration.id) for place in self.places.values()
        }

    def read(self, store: FeatureStore) -> None:
        """Take from the cache what it holds."""
        self._calibrate()
        self._set_keys()
        for place, key in self.keys.items():
            self.rows[place], self.found[place] = store.read(key, self.digests)

    def _calibrate(self) -> None:
        """Name the sample, where the precision needs one: the caller's, a kept one, or a new one."""
        if not needs_calibration(self.wish):
            self.calibration = Calibration("", self.sample)
        elif self.given is not None and self.given.id:
            self.calibration = self.given
        else:
            name, self.sampled = calibration_rows(self.card, self.digests)
            self.calibration = Calibration(name, self.sample)

    def missing_rows(self) -> np.ndarray:
        """First row of every distinct image that some place lacks."""
        lacking = np.zeros(len(self.items), bool)
        for found in self.found.values():
            lacking |= ~found
        first: dict[str, int] = {}
        for row in np.flatnonzero(lacking):
            first.setdefault(self.digests[int(row)], int(row))
        return np.fromiter(first.values(), int, len(first))

    def compute(self, store: FeatureStore, missing: np.ndarray, seen: Seen | None = None) -> int:
        """Run the network over the missing images, for the places that lack any; how many it ran over."""
        places = [place for place, found in self.found.items() if not found.all()]
        self.ready = prepare_runner(self.loaded, self.card, places, self.wish, self.calibration)
        served = self.ready.facts
        if (served.engine, served.precision) != (self.wish.engine, self.wish.precision):
            self.wish = Wish(served.engine, served.precision)
            self.read(store)
            missing = self.missing_rows()
        same = self._same_images(missing)
        writer = _Writer(self, store, places)
        done = 0
        for rows, out in run_items(
            self.ready.runner, self.card.preprocessing, self.items, missing, self._bad, seen
        ):
            for place, part in zip(places, out, strict=True):
                self._put(place, rows, part, same)
            done += len(rows)
            writer.add(rows)
            emit(Progress(f"features of {self.card.name}", done, len(missing)))
        writer.flush()
        return len(missing)

    def _same_images(self, missing: np.ndarray) -> dict[int, list[int]]:
        """Other rows that hold the same image as a missing row."""
        first = {self.digests[row]: int(row) for row in missing}
        same: dict[int, list[int]] = {}
        for row, digest in enumerate(self.digests):
            if digest in first and first[digest] != row:
                same.setdefault(first[digest], []).append(row)
        return same

    def _put(self, place: Place, rows: list[int], part: np.ndarray, same: dict[int, list[int]]) -> None:
        target = self.rows[place]
        if target is None:
            target = self.rows[place] = np.zeros((len(self.items), part.shape[1]), np.float32)
        target[rows] = part
        for row, vector in zip(rows, part, strict=True):
            if row in same:
                target[same[row]] = vector

    def _bad(self, row: int, error: BadImage) -> None:
        for each in [row, *(r for r, d in enumerate(self.digests) if d == self.digests[row] and r != row)]:
            self.ok[each] = False
            self.problems[self._name(each)] = error.reason

    def _name(self, row: int) -> str:
        return self.paths[row] if self.paths is not None else str(row)

    def sample(self, n: int) -> np.ndarray:
        """Up to n prepared images: those of least digest, so that the choice is seeded by the content alone."""
        good: list[np.ndarray] = []
        for row in self.sampled or sample_rows(self.digests):
            if len(good) == n:
                break
            try:
                good.append(prepare(self.items[row], self.card.preprocessing))
            except BadImage:
                continue
        if not good:
            raise DataError("none of the images could be decoded")
        return np.stack(good)

    def result(self, seconds: float, n_computed: int) -> Extraction:
        """Everything as a value."""
        facts = self.ready.facts.to_dict() if self.ready else {
            "engine": self.wish.engine, "precision": self.wish.precision, "device": "", "parity": None,
            "export_seconds": 0.0, "note": "all rows from the cache",
        }  # fmt: skip
        empty = np.zeros((len(self.items), 0), np.float32)
        features = {
            tap: empty if (rows := self.rows[place]) is None else rows for tap, place in self.places.items()
        }
        return Extraction(
            features=features, ok=self.ok, problems=tuple(Problem(*pair) for pair in self.problems.items()),
            modules={tap: place.module for tap, place in self.places.items()}, engine=facts, seconds=seconds,
            n_cached=len(self.items) - n_computed, n_computed=n_computed, card=self.card,
            calibration=self.calibration,
        )  # fmt: skip


def _key(card: BackboneCard, place: Place, wish: Wish, calibration: str) -> FeatureKey:
    """Where the cache keeps the features of a place."""
    precision = wish.precision + (f"/{calibration}" if calibration else "")
    return FeatureKey(
        card.weights_digest, card.preprocessing.digest(), place.module, place.pooling, wish.engine, precision, DECODER
    )  # fmt: skip


def n_uncached(
    digests: Sequence[str], card: BackboneCard, places: Sequence[tuple[str, str]], engine: str, precision: str,
    *, like: Sequence[str] = (), store: FeatureStore | None = None,
) -> int:  # fmt: skip
    """Different images that `extract` would run over: those that the cache lacks at any of the places.

    Parameters
    ----------
    digests : sequence of str
    card : BackboneCard
        At the size of the images.
    places : sequence of (module, pooling)
    engine, precision : str
        Those that serve.
    like : sequence of str
        Digests of the images that a network of lower precision is calibrated on; default `digests`.
    """
    wish, kept = Wish(engine, precision), store or FeatureStore()
    name = calibration_rows(card, like or digests)[0] if needs_calibration(wish) else ""
    wanted, lacking = set(digests), set[str]()
    for place in places:
        lacking |= kept.lacking(_key(card, Place(*place), wish, name), wanted - lacking)
    return len(lacking)


def _sized(card: BackboneCard, size: Given | None) -> BackboneCard:
    from dataclasses import replace

    return replace(card, preprocessing=card.preprocessing.at(size))


class _Writer:
    """Keep computed rows in the store, some hundreds at a time; give up aloud where that cannot be."""

    def __init__(self, work: _Work, store: FeatureStore, places: Sequence[Place]) -> None:
        self.work, self.store, self.places = work, store, places
        self.rows: list[int] = []
        self.on = store.cap_bytes > 0

    def add(self, rows: Sequence[int]) -> None:
        """Rows that have just been computed."""
        self.rows += rows
        if len(self.rows) >= WRITE_ROWS:
            self.flush()

    def flush(self) -> None:
        """Write what has gathered."""
        work, rows = self.work, self.rows
        self.rows = []
        for place in self.places if self.on and rows else ():
            matrix = work.rows[place]
            assert matrix is not None
            needed = matrix.shape[1] * 4 * len(work.items) * len(work.places)
            if not self.store.room_for(needed):
                return self._give_up(
                    f"the features take {needed / GIGABYTE:.1f} GB, more than --cache-gb allows; they are not kept"
                )
            try:
                names = [work.digests[row] for row in rows]
                self.store.write(work.keys[place], names, matrix[rows], work.card.name)
            except (sqlite3.OperationalError, OSError) as error:
                self._give_up(f"features could not be kept in {self.store.folder} ({error}); the run goes on")

    def _give_up(self, reason: str) -> None:
        self.on = False
        warn(reason)
