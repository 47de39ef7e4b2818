"""A person labels a folder of images: the images, their features, the journal and the model, held together.

Every label is in the journal before anything else happens. The model is fitted apart (`refit`), from a copy of
the labels, so that labelling never waits for it.
"""

from __future__ import annotations

import csv
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.base.errors import DataError, UnknownName, UsageError
from headstart.base.events import warn
from headstart.base.files import written_aside
from headstart.base.hashing import digest_bytes
from headstart.base.runtime import cache_folder
from headstart.dataset.classes import check_classes
from headstart.dataset.journal import SKIPPED, LabelJournal, open_journal
from headstart.dataset.names import path_cell
from headstart.dataset.next_rows import DIVERSE, ORDERS, Shape, nearest_of, next_rows
from headstart.dataset.suggest import Suggester, fit_suggester
from headstart.features.cluster_space import Space
from headstart.features.extractor import FeatureExtractor
from headstart.images.collect import Row, build_table, clean, looks_like_image, told, walk
from headstart.images.file_names import cell, is_text
from headstart.images.table import ImageTable, Problem

if TYPE_CHECKING:
    from numpy.typing import NDArray

DIMENSIONS = 64
RECENT = "labelled"
TABLE_NAME = "labels.csv"


@dataclass(frozen=True)
class Counts:
    """How far the work is: images, those labelled, those skipped, and labels a class."""

    n: int
    n_labelled: int
    n_skipped: int
    per_class: dict[str, int]


class LabelSession:
    """Labels of the images of a folder, while a person gives them; made by `open_session`.

    Attributes
    ----------
    table : ImageTable
        The images that can be read.
    points : float32 (n, d)
        Their features in a few principal components.
    classes : tuple of str
    version : int
        Grows with every change of labels.
    model : Suggester or None
    model_version : int
        Version of the labels that `model` knows.
    n_gone : int
        Labelled images that are no longer in the folder; their labels stay in the journal.
    """

    def __init__(
        self,
        table: ImageTable,
        points: NDArray[np.float32],
        classes: Sequence[str],
        journal: LabelJournal,
        folder: Path,
    ) -> None:
        self.table, self.points, self.journal, self.folder = table, points, journal, folder
        self.version, self.model_version = 0, -1
        self.model: Suggester | None = None
        self._lock = threading.RLock()
        self._images = list(zip(table.paths, table.digests, strict=True))
        self._row = {image: row for row, image in enumerate(self._images)}
        self._moved, self.n_gone = _found_again(journal, self._images, self._row)
        self.classes = tuple(classes)
        self._near = np.full(len(table), np.inf, np.float32)
        self._near_known: set[int] = set()

    # ---- what the person does -------------------------------------------------------------------------

    def give(self, labels: Mapping[int, str | None]) -> None:
        """Label images (row to class, `SKIPPED`, or None to take a label away), as one step.

        Raises
        ------
        UsageError
            A row or class that there is not; nothing is then written.
        """
        if not labels:
            raise UsageError("no image was given")
        for row, label in labels.items():
            if not 0 <= row < len(self._images):
                raise UsageError(f"there is no image {row}; there are {len(self._images)}")
            if label not in (None, SKIPPED) and label not in self.classes:
                raise UnknownName("class", str(label), self.classes)
        with self._lock:
            self.journal.give({self._key(row): label for row, label in labels.items()})
            self.version += 1

    def undo(self) -> list[int]:
        """Take the last step back; the rows it was about (empty where there was none)."""
        with self._lock:
            step = self.journal.undo()
            self.version += step is not None
            given = () if step is None else step.given
            return [row for image, _ in given if (row := self._row_of(image)) is not None]

    # ---- what there is --------------------------------------------------------------------------------

    def label_of(self, row: int) -> str | None:
        """Class of an image, `SKIPPED`, or None."""
        return self.journal.labels.get(self._key(row))

    def labelled(self) -> dict[int, str]:
        """Class of each image that has one."""
        with self._lock:
            known = list(self.journal.labels.items())
        rows = ((self._row_of(image), label) for image, label in known if label != SKIPPED)
        return {row: label for row, label in rows if row is not None}

    def counts(self) -> Counts:
        """How far the work is."""
        with self._lock:
            labels = list(self.journal.labels.items())
        here = [label for image, label in labels if self._row_of(image) is not None]
        per_class = Counter(here)
        n_skipped = per_class.pop(SKIPPED, 0)
        return Counts(
            len(self._images),
            len(here) - n_skipped,
            n_skipped,
            {name: per_class[name] for name in self.classes},
        )

    def batch(self, order: str, shape: Shape) -> list[list[int]]:
        """Images to show next, in rows of similar ones; order `labelled` shows the latest labels again.

        Raises
        ------
        UnknownName
        """
        if order == RECENT:
            return self._latest(shape)
        if order not in ORDERS:
            raise UnknownName("order", order, (*ORDERS, RECENT))
        with self._lock:
            free = np.ones(len(self._images), bool)
            taken = [row for image in self.journal.labels if (row := self._row_of(image)) is not None]
            free[taken] = False
            if self.model is None or order == DIVERSE:
                self._learn_near(self.labelled())
            return next_rows(self.points, free, self._near, self.model, order=order, shape=shape)

    def suggestions(self, rows: Sequence[int]) -> list[tuple[str, float] | None]:
        """Likeliest class and its confidence for each of some images; None while there is no model."""
        model = self.model
        if model is None or not rows:
            return [None] * len(rows)
        found = model.guess(self.points[list(rows)])
        return [
            (model.classes[code], float(sure))
            for code, sure in zip(found.codes, found.confidence, strict=True)
        ]

    def refit(self) -> bool:
        """Fit the model on the labels so far; False where it knows them already."""
        with self._lock:
            version, labels = self.version, self.labelled()
        if version == self.model_version:
            return False
        rows = list(labels)
        model = fit_suggester(self.points[rows], [labels[row] for row in rows])
        with self._lock:
            self.model, self.model_version = model, version
        return True

    def write_table(self) -> Path:
        """Write `labels.csv` (path, label) beside the journal, whole or not at all; without names that are no text."""
        path = self.folder / TABLE_NAME
        labels = {row: label for row, label in self.labelled().items() if is_text(self.table.paths[row])}
        with written_aside(path) as aside, aside.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("path", "label"))
            writer.writerows((path_cell(self.table.paths[row]), cell(labels[row])) for row in sorted(labels))
        return path

    def to_dict(self) -> dict[str, Any]:
        """As a JSON-like value."""
        counts = self.counts()
        return {
            "images": self.table.root,
            "journal": str(self.journal.path),
            "table": str(self.folder / TABLE_NAME),
            "n": counts.n,
            "n_labelled": counts.n_labelled,
            "n_skipped": counts.n_skipped,
            "n_unreadable": len(self.table.problems),
            "n_gone": self.n_gone,
            "classes": counts.per_class,
        }

    # ---- steps ----------------------------------------------------------------------------------------

    def _key(self, row: int) -> tuple[str, str]:
        return self._moved.get(row, self._images[row])

    def _row_of(self, image: tuple[str, str]) -> int | None:
        return self._row.get(image)

    def _latest(self, shape: Shape) -> list[list[int]]:
        """Rows of the latest labels, newest first, each row of one class."""
        with self._lock:
            labels = self.labelled()
            seen = dict.fromkeys(
                row
                for step in reversed(self.journal.steps)
                for image, _ in step.given
                if (row := self._row_of(image)) in labels
            )
        newest = list(seen)[: shape.n_rows * shape.n_columns]
        newest.sort(key=lambda row: labels[row])  # stable: newest first within a class
        made: list[list[int]] = []
        for row in newest:
            if not made or len(made[-1]) == shape.n_columns or labels[made[-1][0]] != labels[row]:
                made.append([])
            made[-1].append(row)
        return made[: shape.n_rows]

    def _learn_near(self, labels: Iterable[int]) -> None:
        """Distances to the labelled images, kept up with the labels (all anew when one was taken away)."""
        now = set(labels)
        if not self._near_known <= now:
            self._near[:] = np.inf
            self._near_known = set()
        nearest_of(self.points, sorted(now - self._near_known), self._near)
        self._near_known = now


@contextmanager
def open_session(
    images: str | Path,
    classes: Sequence[str],
    out: str | Path | None = None,
    *,
    extractor: FeatureExtractor | None = None,
) -> Iterator[LabelSession]:
    """Open a folder of images for labelling; what was labelled before is there again.

    Parameters
    ----------
    images : path
        Every image in it and below it is to be labelled; nothing in it is changed.
    classes : sequence of str
        Empty: those of the journal.
    out : path, optional
        Folder of the journal and of labels.csv; `NAME-labels` beside the images by default.
    extractor : FeatureExtractor, optional
        What the images look like; the pool layer of lite0 by default.

    Raises
    ------
    DataError
        No folder, no images, or a journal that cannot be read.
    BadOptions
        Names that cannot be classes.
    Busy
        The folder is being labelled already.
    """
    place = Path(images).expanduser().resolve()
    if not place.is_dir():
        raise DataError(f"{images}: no such folder; give the folder of the images to label")
    folder = labels_folder(place, out)
    checked = check_classes(classes) if classes else ()
    held = cache_folder() / "labelling" / digest_bytes(str(place).encode("utf-8", "surrogateescape"))
    with open_journal(folder, held) as journal:
        if journal.n_cut:
            warn(f"{journal.path}: the last line was cut off ({journal.n_cut} bytes) and is dropped")
        names = _all_classes(checked, journal)
        table, points = _features(_images_of(place), extractor or FeatureExtractor())
        if table.problems:
            warn(f"{table.name}: left out {told(table.problems)}")
        if odd := [path for path in table.paths if not is_text(path)]:
            warn(
                f"{len(odd)} names are no valid Unicode, {clean(odd[0])} for one; {TABLE_NAME} lacks them until "
                "they are renamed (their labels are kept)"
            )
        session = LabelSession(table, points, names, journal, folder)
        if session.n_gone:
            warn(
                f"{session.n_gone} labelled images are no longer in {place}; their labels stay in the journal"
            )
        session.refit()
        try:
            yield session
        finally:
            session.write_table()


def labels_folder(images: Path, out: str | Path | None) -> Path:
    """Where the journal lies: `out`, or `NAME-labels` beside the images; never among them.

    Raises
    ------
    DataError
    """
    folder = images.with_name(images.name + "-labels") if out is None else Path(out).expanduser().resolve()
    if folder.is_relative_to(images):
        raise DataError(f"out: {folder} lies in the folder of the images; name a folder outside it")
    if folder.exists() and not folder.is_dir():
        raise DataError(f"out: {folder} is a file; name a folder")
    return folder


def _images_of(folder: Path) -> ImageTable:
    rows, problems = [], []
    for path in walk(folder, relative_to=folder):
        if looks_like_image(folder / path):
            rows.append(Row(path))
        else:
            problems.append(Problem(path, "not an image file"))
    return build_table(folder, rows, problems, name=folder.name, targets=(), on_bad="skip")


def _features(table: ImageTable, extractor: FeatureExtractor) -> tuple[ImageTable, NDArray[np.float32]]:
    found = extractor.extract(table.items(), table.digests, table.paths)
    if not found.ok.any():
        raise DataError(f"{table.name}: none of the {len(table)} images could be read")
    features = extractor.joined(found)[found.ok]
    kept = table.without(found.problems)
    try:
        space = Space.learned(features, "unit", DIMENSIONS, False)
    except DataError as error:
        warn(f"images cannot be told apart, so there are no suggestions ({error})")
        return kept, np.zeros((len(kept), 1), np.float32)
    return kept, space.moved(features)


def _all_classes(given: tuple[str, ...], journal: LabelJournal) -> tuple[str, ...]:
    before = sorted(set(journal.labels.values()) - {SKIPPED, *given})
    if given and before:
        warn(f"earlier labels have classes that --classes lacks; they are kept: {', '.join(before)}")
    if not given and len(before) < 2:
        raise DataError(f"{journal.path} names no classes yet; give two or more, e.g. --classes cat,dog")
    return (*given, *before)


def _found_again(
    journal: LabelJournal, images: Sequence[tuple[str, str]], row_of: dict[tuple[str, str], int]
) -> tuple[dict[int, tuple[str, str]], int]:
    """Images that were renamed since they were labelled, by their content; and how many are gone.

    `row_of` learns the old names; the result gives the name in the journal of each such row.
    """
    by_digest: dict[str, list[int]] = {}
    for row, (_, digest) in enumerate(images):
        by_digest.setdefault(digest, []).append(row)
    moved: dict[int, tuple[str, str]] = {}
    n_gone = 0
    for image in journal.labels:
        if image in row_of:
            continue
        rows = [row for row in by_digest.get(image[1], []) if images[row] not in journal.labels]
        if len(rows) == 1 and rows[0] not in moved:
            moved[rows[0]] = image
        else:
            n_gone += 1
    row_of.update({image: row for row, image in moved.items()})
    return moved, n_gone
