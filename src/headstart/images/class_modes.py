"""Labels of a batch in the forms that generators give: categorical, sparse, binary, input, multi_output, none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from headstart.base.errors import BadOptions

CLASS_MODES = ("categorical", "sparse", "binary", "input", "multi_output")


@dataclass(frozen=True, eq=False)
class Labels:
    """Class numbers of every image and how batches show them.

    Attributes
    ----------
    mode : str or None
        "categorical": one-hot float32 (n, k); "sparse": int64 (n,); "binary": float32 (n,) of 0 and 1;
        "input": the images themselves; "multi_output": a list with one int64 (n,) a target; None: no labels.
    targets : tuple of str
        One, or several for "multi_output".
    classes : tuple of tuple of str
        Class names of each target, sorted; the place is the class's number.
    codes : ndarray of int64, shape (n targets, n)
    """

    mode: str | None
    targets: tuple[str, ...]
    classes: tuple[tuple[str, ...], ...]
    codes: np.ndarray

    def __post_init__(self) -> None:
        if self.mode is not None and self.mode not in CLASS_MODES:
            raise BadOptions([f"class_mode: {self.mode!r} is not one of {', '.join(CLASS_MODES)} or None"])
        if self.mode in ("categorical", "sparse", "binary") and not len(self.codes):
            raise BadOptions(
                [f"class_mode: {self.mode} needs labels and there are none; give class_mode=None"]
            )
        if self.mode == "binary" and len(self.classes[0]) != 2:
            raise BadOptions([f"class_mode: binary needs two classes and there are {len(self.classes[0])}"])

    @property
    def soft(self) -> bool:
        """Whether labels are shares of classes, so that mixed images can be told of."""
        return self.mode == "categorical"

    def of(self, rows: np.ndarray, images: np.ndarray) -> Any:
        """Labels of some rows; None where the mode gives none."""
        if self.mode is None:
            return None
        if self.mode == "input":
            return images.copy()
        if self.mode == "multi_output":
            return [each[rows] for each in self.codes]
        codes = self.codes[0][rows]
        if self.mode == "sparse":
            return codes
        if self.mode == "binary":
            return codes.astype(np.float32)
        return np.eye(len(self.classes[0]), dtype=np.float32)[codes]


def labels_from(mode: str | None, targets: Sequence[str], columns: Sequence[Sequence[Any]]) -> Labels:
    """Labels from columns of class names, one a target; numbers follow the sorted names.

    Raises
    ------
    BadOptions
        A mode that is not known, several targets in a mode of one, a label that is missing.
    """
    if len(columns) > 1 and mode in ("categorical", "sparse", "binary"):
        raise BadOptions(
            [f"class_mode: {mode} shows one target and {len(columns)} are given; use multi_output"]
        )
    classes, codes = [], []
    for target, column in zip(targets, columns, strict=True):
        if any(each is None for each in column):
            raise BadOptions([f"{target}: {sum(each is None for each in column)} images have no label"])
        names, found = np.unique(np.asarray(column), return_inverse=True)
        classes.append(tuple(str(each) for each in names))
        codes.append(found.astype(np.int64).ravel())
    return Labels(mode, tuple(targets), tuple(classes), np.array(codes, np.int64))
