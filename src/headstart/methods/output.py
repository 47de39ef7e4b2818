"""What a model with several outputs says of an image: one `Output` a label column, its coding and its probabilities.

Four kinds: one of some classes; any of some labels (multi-label); one of some ordered levels (cumulative logits:
McCullagh, Regression Models for Ordinal Data, 1980; with one weight vector for all thresholds: Cao, Mirjalili and
Raschka, Rank consistent ordinal regression, 2020); a number. A missing label is coded so that losses leave it out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from headstart.base.errors import DataError
from headstart.images.column_kinds import SEPARATOR, some_of, split_labels, to_number
from headstart.measure.outputs import decided
from headstart.methods.calibrate import softmax


@dataclass(frozen=True)
class Output:
    """One output of a model.

    Attributes
    ----------
    name : str
        The label column.
    kind : {"classes", "labels", "ordinal", "number"}
    levels : tuple of str
        Classes or labels (sorted), or ordered levels (lowest first); empty for a number.
    separator : str
        What parts the labels of a cell of the kind "labels".
    centre, scale : float
        Of the kind "number": logits are of (value - centre) / scale.
    """

    name: str
    kind: str
    levels: tuple[str, ...]
    separator: str = SEPARATOR
    centre: float = 0.0
    scale: float = 1.0

    @property
    def width(self) -> int:
        """Number of logits: one a class or label, one a threshold between levels, one for a number."""
        return {"ordinal": len(self.levels) - 1, "number": 1}.get(self.kind, len(self.levels))

    def to_dict(self) -> dict[str, Any]:
        """As it lies in a card."""
        return {
            "name": self.name, "kind": self.kind, "levels": list(self.levels), "separator": self.separator,
            "centre": self.centre, "scale": self.scale,
        }  # fmt: skip

    @classmethod
    def from_dict(cls, said: Mapping[str, Any]) -> Output:
        """From a card."""
        return cls(
            str(said["name"]), str(said["kind"]), tuple(map(str, said["levels"])), str(said["separator"]),
            float(said["centre"]), float(said["scale"]),
        )  # fmt: skip


def places_of(output: Output) -> dict[Any, int]:
    """Level to code; ordered levels that are numbers are found by value too."""
    places: dict[Any, int] = {level: code for code, level in enumerate(output.levels)}
    if output.kind == "ordinal":
        for code, level in enumerate(output.levels):
            if (value := to_number(level)) is not None:
                places.setdefault(value, code)
    return places


def place_of(cell: str, places: Mapping[Any, int], kind: str) -> int:
    """Code of a cell, -1 where it is none of the levels."""
    if cell in places or kind != "ordinal":
        return places.get(cell, -1)
    value = to_number(cell)
    return -1 if value is None else places.get(value, -1)


def encode(output: Output, column: Sequence[Any], *, unknown: str = "fail") -> np.ndarray:
    """Labels as losses and measures take them.

    Parameters
    ----------
    output : Output
    column : sequence of str or None
        One cell an image; None where the label is missing.
    unknown : {"fail", "missing"}
        What an image becomes with a label that the output does not have.

    Returns
    -------
    ndarray
        Classes and ordinal: int64 (n,), -1 where missing. Labels: float32 (n, k) of 0 and 1, a row of NaN where
        missing. Number: float32 (n,), NaN where missing.

    Raises
    ------
    DataError
        Labels that the output does not have; cells that are no numbers.

    Examples
    --------
    >>> encode(Output("grade", "ordinal", ("0", "0.5", "1")), ["1.0", None, "0"]).tolist()
    [2, -1, 0]
    """
    cells = [None if cell is None else str(cell) for cell in column]
    if output.kind == "number":
        return _numbers(output, cells)
    places = places_of(output)
    odd: dict[str, None] = {}
    if output.kind == "labels":
        coded: Any = np.full((len(cells), len(output.levels)), np.nan, np.float32)
        for row, cell in enumerate(cells):
            if cell is None:
                continue
            found = [(label, places.get(label, -1)) for label in split_labels(cell, output.separator)]
            strange = [label for label, code in found if code < 0]
            odd.update(dict.fromkeys(strange))
            if not strange:
                coded[row] = 0
                coded[row, [code for _, code in found]] = 1
    else:
        coded = np.full(len(cells), -1, np.int64)
        for row, cell in enumerate(cells):
            if cell is not None:
                coded[row] = place_of(cell, places, output.kind)
                if coded[row] < 0:
                    odd[cell] = None
    if odd and unknown == "fail":
        known = ", ".join(output.levels[:12])
        raise DataError(
            f"{output.name}: {some_of(list(odd))} not among its {len(output.levels)} labels ({known})"
        )
    return np.asarray(coded)


def _numbers(output: Output, cells: Sequence[str | None]) -> np.ndarray:
    values = [math.nan if cell is None else to_number(cell) for cell in cells]
    if odd := [cell for cell, value in zip(cells, values, strict=True) if value is None and cell is not None]:
        raise DataError(f"{output.name}: numbers are expected; got {some_of(odd)}; leave such cells empty")
    return np.asarray(values, np.float32)


def is_missing(output: Output, coded: np.ndarray) -> np.ndarray:
    """True for each image without this label (bool, (n,))."""
    if output.kind == "labels":
        return np.asarray(np.isnan(coded).any(axis=1))
    return np.asarray(np.isnan(coded) if output.kind == "number" else coded < 0)


def probabilities(output: Output, logits: np.ndarray) -> np.ndarray:
    """What logits (n, width) say.

    Returns
    -------
    ndarray of float32
        Classes, labels and ordinal levels: (n, k), in the order of `levels`; rows sum to 1 but for labels, each of
        which is a probability of its own. Number: (n,), in the units of the column.
    """
    scores = np.asarray(logits, np.float32).reshape(len(logits), -1)
    if output.kind == "number":
        return np.asarray(scores[:, 0] * np.float32(output.scale) + np.float32(output.centre))
    if output.kind == "classes":
        return softmax(scores)
    each = _sigmoid(scores)
    if output.kind == "labels":
        return each
    above = np.minimum.accumulate(each, axis=1)  # P(level > j) can only fall with j
    edges = np.concatenate([np.ones((len(above), 1)), above, np.zeros((len(above), 1))], axis=1)
    return np.asarray(edges[:, :-1] - edges[:, 1:], np.float32)


def _sigmoid(scores: np.ndarray) -> np.ndarray:
    from scipy.special import expit

    return np.asarray(expit(scores), np.float32)


def decide(output: Output, probability: np.ndarray, thresholds: Sequence[float] | None = None) -> np.ndarray:
    """What is predicted (see `headstart.measure.outputs.decided`), coded as `encode` codes it."""
    said = decided(output.kind, probability, thresholds)
    return np.asarray(said, np.int64 if output.kind in ("classes", "ordinal") else np.float32)


def decode(output: Output, coded: np.ndarray) -> list[str | float | None]:
    """Cells of a coded column: names of levels, labels joined by the separator, numbers; None where missing."""
    missing = is_missing(output, coded)
    if output.kind == "number":
        return [None if gone else float(value) for value, gone in zip(coded, missing, strict=True)]
    if output.kind == "labels":
        return [
            None if gone else output.separator.join(
                level for level, there in zip(output.levels, row, strict=True) if there
            )
            for row, gone in zip(coded, missing, strict=True)
        ]  # fmt: skip
    return [None if gone else output.levels[int(code)] for code, gone in zip(coded, missing, strict=True)]
