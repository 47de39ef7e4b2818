"""What a study leaves behind, as frozen values: the report is made from these and from nothing else."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any

from headstart.base.findings import Finding
from headstart.images.table import ImageTable
from headstart.measure.values import Score
from headstart.study.error_map import ErrorMap
from headstart.study.identity import content_id

if TYPE_CHECKING:
    import numpy as np


DEFAULT_AUGMENT = "medium"
"""Augmentation that the name of a method that trains leaves out."""
TUNED = ", tuned"
"""What the name of a tuned method ends with."""


@dataclass(frozen=True)
class Cell:
    """One run of one method on one dataset under one seed; its id is the hash of its content.

    `seed` is None where the seed changes nothing (given splits with a validation split and a head without
    randomness), so that no spread over seeds can be a false zero.

    A run of the scenario `features` has a layer, its module, a pooling and a head; one that trains the network
    has a cut instead (`last:2`; `all`) and its options as JSON text in `training`. One of the task `retrieval`
    has a layer and a pooling, the scenario "retrieval", and how vectors are compared in place of a head.

    `per_class` is the number of images a class that it may learn from; 0: all of them. `tuned` is JSON text of how
    its options are tuned (`headstart.study.tuned`); "" where the method's own defaults serve. `tricks` are those that
    are on, where a study holds tricks to account ("bare": none; "ema+mixup"). `fold` is the given fold (1, 2, ...)
    that it is tested on, and stands for a seed then; 0 where the source gives none. `shifted` is the digest of what
    it is tested on besides: a second test folder, corrupted test images.

    A run of several outputs has how they share in `sharing`, what is said of them as JSON text in `outputs`, and
    the names of all of them, with commas, as its target.
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
    cut: str = ""
    training: str = ""
    per_class: int = 0
    tuned: str = ""
    tricks: str = ""
    fold: int = 0
    shifted: str = ""
    sharing: str = ""
    outputs: str = ""

    @cached_property
    def id(self) -> str:
        """Content-derived id (32 hexadecimal digits)."""
        return content_id(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """What it is, by name; all of it words and numbers."""
        return {each.name: getattr(self, each.name) for each in fields(self)}

    @property
    def method(self) -> str:
        """Name of the method without dataset and seed: what a row of the results table is."""
        return self.base_method + (TUNED if self.tuned else "")

    @property
    def base_method(self) -> str:
        """Name of the method with its own defaults."""
        size = f" {self.height}px" if self.height == self.width else f" {self.height}x{self.width}px"
        way = f" {self.sharing}" if self.sharing else ""
        if not self.trains:
            return f"{self.scenario} {self.backbone} {self.layer} {self.pooling} {self.head}{size}{way}"
        plain = " plain" if self.scenario != "scratch" and self.options.get("start") == "plain" else ""
        augment = str(self.options.get("augment", DEFAULT_AUGMENT))
        views = "" if self.tricks or augment == DEFAULT_AUGMENT else f" {augment}"
        return f"{self.scenario} {self.backbone} {self.training_of}{plain}{views}{size}{way}"

    @property
    def place(self) -> str:
        """Which run of its method it is: its seed, or its fold where the source gives folds."""
        return f"fold {self.fold}" if self.fold else f"seed {self.seed}"

    @property
    def training_of(self) -> str:
        """What trains, and with which tricks."""
        from headstart.study.trick_spec import shown

        return f"{self.cut} {shown(self.tricks)}" if self.tricks else self.cut

    @property
    def trains(self) -> bool:
        """Whether the network itself is trained."""
        return bool(self.training)

    @property
    def classifies(self) -> bool:
        """Whether it is a run of the task classification."""
        return self.scenario != "retrieval"

    @property
    def trained_smaller(self) -> bool:
        """Whether its training images were asked to have a smaller side than the network's own."""
        side: int | None = self.options.get("train_size")
        return side is not None and side < min(self.height, self.width)

    @property
    def options(self) -> dict[str, Any]:
        """Options of training by name; empty where nothing trains."""
        found: dict[str, Any] = json.loads(self.training) if self.training else {}
        return found


@dataclass(frozen=True)
class ShiftResult:
    """What one run, or a method over its seeds, did on other test images than those of the split.

    Attributes
    ----------
    kind : {"folder", "corruptions"}
    name : str
    n : int
        Images; under corruptions each stands for itself and all its changed selves.
    accuracy : Score
        Under corruptions the mean over all of them and all severities.
    drop : Score
        What was lost against the test split, -1..1; paired under corruptions, on the same images.
    clean : float
        Accuracy that the drop is from: of the test split, or of the images that were corrupted.
    by : dict of str to float
        Accuracy under each condition ("jpeg/3"); empty for a folder.
    right : str
        Under how many conditions (or fits) each image was right, packed (`headstart.study.shifted.unpacked`).
    """

    kind: str
    name: str
    n: int
    accuracy: Score
    drop: Score
    clean: float
    by: dict[str, float] = field(default_factory=dict)
    right: str = ""


@dataclass(frozen=True)
class CellResult:
    """What one cell gave. A failed cell has status "failed" and its error, and no scores.

    A run of several outputs has the scores `joint` (all right at once) and `OUTPUT/METRIC`, in `outputs` what each
    output is and its counts (JSON-like), and in `joint` what `headstart.measure.joint.Joint` says. The columns of
    its probabilities are those of the outputs, one after the other.

    `selection` is the score that chooses "best": accuracy on the validation split or on inner folds of
    train (`selected_on` says which). `scores` are of the test split and choose nothing. `chosen` holds what
    was tuned, e.g. {"C": 0.1}. Probabilities (n_test, n_classes) stay in the store.

    `training` holds what each fit of a network decided and measured (one a fold): path, rate, kept epoch,
    images seen, seconds, curve (`headstart.methods.finetune.FineTuneClassifier.record_`), and `selection` and
    `start_selection`. `findings` are signs that the result is not what it seems. `tuning` holds the search of each
    fit of a tuned method, trials included (`headstart.methods.tune.found.SearchRecord` as JSON-like values).

    `tried` is the number of settings that a fit compared on the images that choose, by what was tuned; `n_fits`
    the number of fits (one, or one a fold) and `test_reads` how often test images were read: as often. `tested` is
    the number of test images of each fit, in the order of the probabilities; () in runs of an older version.
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
    training: tuple[dict[str, Any], ...] = ()
    findings: tuple[Finding, ...] = ()
    tuning: tuple[dict[str, Any], ...] = ()
    tried: dict[str, int] = field(default_factory=dict)
    n_fits: int = 0
    test_reads: int = 0
    tested: tuple[int, ...] = ()
    shifts: tuple[ShiftResult, ...] = ()
    outputs: tuple[dict[str, Any], ...] = ()
    joint: dict[str, Any] = field(default_factory=dict)

    @property
    def images_seen(self) -> int:
        """Images that training took a step on, in all fits; 0 where nothing trains."""
        return sum(int(fit.get("images_seen") or 0) for fit in self.training)

    @property
    def whole(self) -> bool:
        """Whether it came to its end: one that the budget ended is compared with nothing until it went on."""
        return self.status == "done" and not self.cut_short

    @property
    def cut_short(self) -> bool:
        """Whether the budget ended the training of a network before its length."""
        return any(bool(fit.get("cut_short")) for fit in self.training)

    @property
    def train_seconds(self) -> float | None:
        """Seconds of training alone, in all fits; None where nothing trains."""
        each = [float((fit.get("seconds") or {}).get("train") or 0.0) for fit in self.training]
        return sum(each) if each else None


@dataclass(frozen=True)
class StudyFinding:
    """A finding with the method, the dataset and the runs that it is of."""

    dataset: str
    method: str
    runs: tuple[str, ...]
    finding: Finding


@dataclass(frozen=True)
class CutMethod:
    """A method that successive halving cut: at which rung, by which score, and after how long.

    `epochs` and `seconds` are those of its last run, `score` its accuracy on the images that chose (None where
    it failed: `error`), `least_kept` that of the worst method that went on, `after_seconds` the time since the
    study began.
    """

    dataset: str
    method: str
    rung: int
    n_rungs: int
    share: float
    epochs: int
    score: float | None
    least_kept: float | None
    seconds: float
    after_seconds: float
    error: str = ""


@dataclass(frozen=True)
class MethodSummary:
    """A method over its seeds on one dataset: the row of the results table.

    `status` is "done", "partial" (some seeds failed: shown, and never averaged as if they were not there),
    "failed", "missing" (planned, not run yet) or "cut" (by the budget: it will not be run).

    A method that trains has a `cut` in place of layer, pooling and head, and means over its seeds of the
    seconds of training and of the images seen. `n_train` is the number of images that a fit learned from. `options`
    is "tuned" where they were found by a search, else "defaults". `shifts` are what it did on other test images,
    over its seeds; `augment` how the images of one that trains were changed. `standing` is what methods are ranked by:
    `selection` less one standard error of the images behind it.
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
    cut: str = ""
    train_seconds: float | None = None
    images_seen: int = 0
    per_class: int = 0
    n_train: int = 0
    options: str = "defaults"
    shifts: tuple[ShiftResult, ...] = ()
    augment: str = ""
    sharing: str = ""
    standing: float | None = None

    @property
    def trains(self) -> bool:
        """Whether the network itself is trained."""
        return bool(self.cut)

    @property
    def tuned(self) -> bool:
        """Whether its options were found by a search."""
        return self.options == "tuned"

    @property
    def place(self) -> str:
        """The layer that features are taken at, or the cut from which on the network trains."""
        return self.cut or self.layer


@dataclass(frozen=True)
class StudyRecord:
    """A whole study as the report needs it.

    `tables` are the datasets with the splits of the first seed; `test_rows[cell id]` are the row numbers
    (in the dataset's table) behind the rows of `probabilities[cell id]`, held for the best method of each
    dataset, for the networks with several outputs that train, and for searches (one column: the average precision of
    each query, NaN where there is nothing to find). `best[dataset]` is a method name, or absent where
    nothing finished. `n_planned` counts no runs of methods that the budget cut; `findings` are those of the runs and
    of the study as a whole.

    `tricks` says how tricks were tried, where they were (`headstart.study.trick_spec.note_of`).

    `summaries` are of the classifiers that learned from most images a class; `sized` are those of every number
    of images a class, where there are several; `retrieval` are those of the task retrieval, `joint` those of several
    outputs; `outputs[dataset]` are these, as JSON-like values. `maps[cell id]` are of the surest errors of the best
    methods' runs, where there are any.

    `audits[dataset]` is what the fast audit found before the first run, as JSON-like values; `advised` are the
    datasets whose advice was recorded before it, `unadvised` says of the others why there is none. `divided[dataset]`
    says where its division comes from (`headstart.study.partition.Dataset.origin`); older records do not.

    `digests[dataset]` is the content of the dataset as its runs have it (`Cell.data_digest`): before any split was
    drawn, so that equal digests mean equal data. `planned` is False where the study stopped before its plan was made:
    then nothing is known but what was asked.
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
    findings: tuple[StudyFinding, ...] = ()
    cut: tuple[CutMethod, ...] = ()
    networks: dict[str, dict[str, Any]] = field(default_factory=dict)
    sized: tuple[MethodSummary, ...] = ()
    retrieval: tuple[MethodSummary, ...] = ()
    best_retrieval: dict[str, str] = field(default_factory=dict)
    tricks: dict[str, Any] = field(default_factory=dict)
    maps: dict[str, tuple[ErrorMap, ...]] = field(default_factory=dict)
    audits: dict[str, dict[str, Any]] = field(default_factory=dict)
    advised: tuple[str, ...] = ()
    unadvised: dict[str, str] = field(default_factory=dict)
    joint: tuple[MethodSummary, ...] = ()
    best_joint: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, tuple[dict[str, Any], ...]] = field(default_factory=dict)
    divided: dict[str, str] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    planned: bool = True

    @cached_property
    def by_id(self) -> dict[str, CellResult]:
        """The results by the id of their cell."""
        return {result.cell.id: result for result in self.results}

    @cached_property
    def cells(self) -> dict[str, Cell]:
        """Every cell that has run, by its id."""
        return {id: result.cell for id, result in self.by_id.items()}
