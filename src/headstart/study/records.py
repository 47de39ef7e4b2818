"""What a study leaves behind, as frozen values: the report is made from these and from nothing else."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from headstart.base.hashing import digest_json
from headstart.images.table import ImageTable
from headstart.measure.values import Score

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Cell:
    """One run of one method on one dataset under one seed; its id is the hash of its content.

    `seed` is None where the seed changes nothing (given splits with a validation split and a head without
    randomness), so that no spread over seeds can be a false zero.
    """

    dataset: str
    data_digest: str
    split_digest: str
    target: str
    backbone: str
    weights_digest: str
    layer: str
    module: str
    pooling: str
    height: int
    width: int
    preprocessing_digest: str
    engine: str
    precision: str
    scenario: str
    head: str
    seed: int | None
    version: str

    @property
    def id(self) -> str:
        """Content-derived id (32 hexadecimal digits)."""
        return _cell_id(self)

    @property
    def method(self) -> str:
        """Name of the method without dataset and seed: what a row of the results table is."""
        size = f" {self.height}px" if self.height == self.width else f" {self.height}x{self.width}px"
        return f"{self.scenario} {self.backbone} {self.layer} {self.pooling} {self.head}{size}"


@lru_cache(maxsize=1 << 16)
def _cell_id(cell: Cell) -> str:
    return digest_json(asdict(cell))


@dataclass(frozen=True)
class CellResult:
    """What one cell gave. A failed cell has status "failed" and its error, and no scores.

    `selection` is the score that chooses "best": accuracy on the validation split or on inner folds of
    train (`selected_on` says which). `scores` are of the test split and choose nothing. `chosen` holds what
    was tuned, e.g. {"C": 0.1}. Probabilities (n_test, n_classes) stay in the store.
    """

    cell: Cell
    status: str
    error: str = ""
    classes: tuple[str, ...] = ()
    selection: float | None = None
    selected_on: str = ""
    n_train: int = 0
    n_validation: int = 0
    n_test: int = 0
    scores: dict[str, Score] = field(default_factory=dict)
    per_class: dict[str, dict[str, float]] = field(default_factory=dict)
    confusion: tuple[tuple[int, ...], ...] = ()
    chosen: dict[str, Any] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    peak_bytes: int = 0
    model_bytes: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class MethodSummary:
    """A method over its seeds on one dataset: the row of the results table.

    `status` is "done", "partial" (some seeds failed: shown, and never averaged as if they were not there),
    "failed" or "missing" (planned, not run yet).
    """

    dataset: str
    method: str
    cells: tuple[str, ...]
    status: str
    backbone: str
    layer: str
    pooling: str
    head: str
    scenario: str
    selection: float | None
    scores: dict[str, Score]
    seconds: dict[str, float]
    peak_bytes: int
    model_bytes: int
    n_seeds: int
    n_failed: int
    errors: tuple[str, ...] = ()


@dataclass(frozen=True)
class StudyRecord:
    """A whole study as the report needs it.

    `tables` are the datasets with the splits of the first seed; `test_rows[cell id]` are the row numbers
    (in the dataset's table) behind the rows of `probabilities[cell id]`, held for the best method of each
    dataset alone. `best[dataset]` is a method name, or absent where nothing finished.
    """

    folder: str
    command: str
    spec: dict[str, Any]
    tables: dict[str, ImageTable]
    targets: dict[str, str]
    summaries: tuple[MethodSummary, ...]
    results: tuple[CellResult, ...]
    best: dict[str, str]
    test_rows: dict[str, tuple[int, ...]]
    probabilities: dict[str, np.ndarray]
    cards: dict[str, dict[str, Any]]
    versions: dict[str, str]
    machine: dict[str, Any]
    warnings: tuple[str, ...]
    seconds_total: float
    n_planned: int
    engines: tuple[dict[str, Any], ...] = ()
