"""The adviser held to account: what it had said before studies, against what they found. Reads stores only.

Advice is of the number of images a class that it was recorded with (older records: of all), of each network at its own
size and of the default augmentation: only runs of that are held against it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from headstart.base.errors import UsageError
from headstart.methods.training_options import TrainingOptions
from headstart.study.advice_record import COSTLY, META
from headstart.study.record import load_record
from headstart.study.records import MethodSummary, StudyRecord
from headstart.study.store import StudyStore

ONE_POINT = 0.01
NOT_RECORDED = "the study recorded no advice, nor why"
NOT_PLANNED = "the study stopped before its plan was made"
AUGMENT = TrainingOptions().augment


@dataclass(frozen=True)
class AuditRow:
    """One data set of one study: the advice that the study could run, and the best method that it found.

    `followed` says whether the study ran all that the adviser said to run: then `advised` is what its choosing score
    puts first among them. Else it is the first of the ranking that it ran, and counts in no share. `rank` is the place
    in the ranking (1: the first); `regret` is accuracy that the best method (by test, mean over seeds) had more.
    `n_held` of `n_intervals` 90 % intervals held what the study found. `per_class` is the number of images a class that
    the advice and these runs are of; 0: all.
    """

    study: str
    dataset: str
    advised: str
    rank: int
    followed: bool
    accuracy: float
    best: str
    best_accuracy: float
    regret: float
    n_held: int
    n_intervals: int
    per_class: int = 0


@dataclass(frozen=True)
class Silent:
    """A data set on which no advice can be audited, and why."""

    study: str
    dataset: str
    reason: str


@dataclass(frozen=True)
class Audit:
    """Every data set with advice that the study ran; `silent` are the others, each with its reason."""

    rows: tuple[AuditRow, ...]
    silent: tuple[Silent, ...]

    @property
    def followed(self) -> tuple[AuditRow, ...]:
        """The data sets whose study ran what the adviser said to run."""
        return tuple(row for row in self.rows if row.followed)

    @property
    def n_costly(self) -> int:
        """Data sets of studies so short that advice would have cost more than half of them: the shares are not of such."""
        return sum(COSTLY in each.reason for each in self.silent)

    @property
    def within_a_point(self) -> float | None:
        """Share of data sets whose advice was the best method or within one point of it; None for none."""
        rows = self.followed
        return sum(row.regret <= ONE_POINT for row in rows) / len(rows) if rows else None

    @property
    def mean_regret(self) -> float | None:
        """Mean accuracy lost by taking the advice; None where no study ran it."""
        rows = self.followed
        return sum(row.regret for row in rows) / len(rows) if rows else None

    @property
    def held(self) -> float:
        """Share of the 90 % intervals that held."""
        return sum(row.n_held for row in self.rows) / sum(row.n_intervals for row in self.rows)

    def to_dict(self) -> dict[str, Any]:
        """As a JSON-like value."""
        return {
            "within_a_point": self.within_a_point,
            "mean_regret": self.mean_regret,
            "held": self.held,
            "n_costly": self.n_costly,
            "rows": [asdict(row) for row in self.rows],
            "silent": [asdict(each) for each in self.silent],
        }


def audit_studies(folders: Sequence[str | Path]) -> Audit:
    """Compare the advice that studies recorded with their results.

    Raises
    ------
    UsageError
        A folder without a study, or no study with advice and a finished method that it named.
    """
    rows: list[AuditRow] = []
    silent: list[Silent] = []
    for folder in folders:
        record = load_record(folder)
        if not record.planned:
            asked = ", ".join(map(str, record.spec.get("data") or ())) or "data not recorded"
            silent.append(Silent(str(folder), asked, NOT_PLANNED))
        with StudyStore(folder, must_exist=True) as store:
            said = store.meta().get(META) or {}
        for dataset in record.targets:
            if dataset in said:
                found = _row(record, dataset, said[dataset])
            else:
                found = record.unadvised.get(dataset) or NOT_RECORDED
            if isinstance(found, str):
                silent.append(Silent(str(folder), dataset, found))
            else:
                rows.append(found)
    if not rows:
        why = "; ".join(f"{each.study}, {each.dataset}: {each.reason}" for each in silent)
        raise UsageError(
            f"no advice can be audited ({why}); run a study with --advice and methods of the advice, at the networks' own "
            "size"
        )
    return Audit(tuple(rows), tuple(silent))


def _row(record: StudyRecord, dataset: str, advice: Mapping[str, Any]) -> AuditRow | str:
    """The row, or why the study says nothing of the advice."""
    number = int(advice.get("per_class") or 0)  # older records do not say, and are of all images
    done = [
        row
        for row in record.sized or record.summaries
        if row.dataset == dataset and row.status == "done" and not row.tuned and row.per_class == number
    ]
    if record.tricks:
        return "its networks trained with tricks switched on and off, which the advice is not of"
    if not done:
        images = f"{number:,} images a class" if number else "all images"
        return f"no method finished on {images}, which the advice is of"
    candidates = list(advice.get("candidates", ()))
    ran = [
        (rank, each, row)
        for rank, each in enumerate(candidates, 1)
        if (row := _run_of(record, done, each, advice))
    ]
    if not ran:
        return "it ran no method of the advice at the size and with the augmentation that the advice is of"
    named = set(advice.get("run") or [str(candidates[0]["name"])])
    asked = [each for each in ran if str(each[1]["name"]) in named]
    followed = len(asked) == len(named)
    rank, advised, seen = max(asked, key=lambda each: (_chosen_by(each[2]), -each[0])) if followed else ran[0]
    best = max(done, key=_accuracy)
    return AuditRow(
        study=record.folder,
        dataset=dataset,
        advised=str(advised["name"]),
        rank=rank,
        followed=followed,
        accuracy=_accuracy(seen),
        best=best.method,
        best_accuracy=_accuracy(best),
        regret=_accuracy(best) - _accuracy(seen),
        n_held=sum(each["low"] <= _accuracy(row) <= each["high"] for _, each, row in ran),
        n_intervals=len(ran),
        per_class=number,
    )


def _run_of(
    record: StudyRecord,
    done: Sequence[MethodSummary],
    candidate: Mapping[str, Any],
    advice: Mapping[str, Any],
) -> MethodSummary | None:
    """The method that a candidate of the advice is of, as the study ran it; None where it did not."""
    sides = _sides(candidate, advice)
    for row in done:
        cell = next(record.cells[id] for id in row.cells if id in record.cells)
        if _key(row) == _named(candidate) and (cell.height, cell.width) == sides:
            return row
    return None


def _sides(candidate: Mapping[str, Any], advice: Mapping[str, Any]) -> tuple[int, int]:
    """Height and width of the input that a candidate is of: its evidence's, else the network's own."""
    if size := int(candidate.get("size") or 0):
        return size, size
    backbone = str(candidate["backbone"])
    if found := (advice.get("sizes") or {}).get(backbone):
        return int(found[0]), int(found[1])
    from headstart.backbones.load import card

    shape = card(backbone).preprocessing
    return shape.height, shape.width


def _key(row: MethodSummary) -> tuple[str, ...]:
    if row.trains:
        return row.scenario, row.backbone, row.cut if row.scenario == "finetune" else "", row.augment
    return row.scenario, row.backbone, row.layer, row.head, row.pooling


def _named(candidate: Mapping[str, Any]) -> tuple[str, ...]:
    scenario, backbone = str(candidate["scenario"]), str(candidate["backbone"])
    if scenario != "features":
        return scenario, backbone, str(candidate["cut"]), AUGMENT
    return scenario, backbone, str(candidate["layer"]), str(candidate["head"]), "avg"


def _chosen_by(row: MethodSummary) -> float:
    return -1.0 if row.standing is None else row.standing


def _accuracy(row: MethodSummary) -> float:
    return row.scores["accuracy"].value
