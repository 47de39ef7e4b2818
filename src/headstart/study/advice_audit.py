"""The adviser held to account: what it had said before studies, against what they found. Reads stores only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from headstart.base.errors import UsageError
from headstart.study.advice_record import META
from headstart.study.record import load_record
from headstart.study.records import MethodSummary, StudyRecord
from headstart.study.store import StudyStore

ONE_POINT = 0.01


@dataclass(frozen=True)
class AuditRow:
    """One data set of one study: the advice that the study could run, and the best method that it found.

    `rank` is the place of that advice in the list (1: the first advice); `regret` is accuracy that the best method
    (by test, mean over seeds) had more. `n_held` of `n_intervals` 90 % intervals held what the study found.
    """

    study: str
    dataset: str
    advised: str
    rank: int
    accuracy: float
    best: str
    best_accuracy: float
    regret: float
    n_held: int
    n_intervals: int


@dataclass(frozen=True)
class Audit:
    """Every data set with advice; `silent` are those without (the study was told not to ask, or is older)."""

    rows: tuple[AuditRow, ...]
    silent: tuple[str, ...]

    @property
    def within_a_point(self) -> float:
        """Share of data sets whose advice was the best method or within one point of it."""
        return sum(row.regret <= ONE_POINT for row in self.rows) / len(self.rows)

    @property
    def mean_regret(self) -> float:
        """Mean accuracy lost by taking the advice."""
        return sum(row.regret for row in self.rows) / len(self.rows)

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
            "rows": [asdict(row) for row in self.rows],
            "silent": list(self.silent),
        }


def audit_studies(folders: Sequence[str | Path]) -> Audit:
    """Compare the advice that studies recorded with their results.

    Raises
    ------
    UsageError
        A folder without a study, or no study with advice and a finished method that it named.
    """
    rows: list[AuditRow] = []
    silent: list[str] = []
    for folder in folders:
        record = load_record(folder)
        with StudyStore(folder, must_exist=True) as store:
            said = store.meta().get(META) or {}
        for dataset in record.targets:
            row = _row(record, dataset, said[dataset]) if dataset in said else None
            if row is None:
                silent.append(f"{folder}: {dataset}")
            else:
                rows.append(row)
    if not rows:
        raise UsageError(
            f"no advice can be audited in {', '.join(map(str, folders))}: the studies recorded none, or ran nothing "
            "that it named; run a study with --advice and methods of the advice"
        )
    return Audit(tuple(rows), tuple(silent))


def _row(record: StudyRecord, dataset: str, advice: Mapping[str, Any]) -> AuditRow | None:
    """None where the study finished no method that the advice named."""
    ran = {
        _key(row): row
        for row in record.summaries
        if row.dataset == dataset and row.status == "done" and not row.tuned
    }
    found = [
        (rank, each, ran[key])
        for rank, each in enumerate(advice.get("candidates", ()), 1)
        if (key := _named(each)) in ran
    ]
    if not found:
        return None
    rank, advised, seen = found[0]
    best = max(ran.values(), key=_accuracy)
    return AuditRow(
        study=record.folder,
        dataset=dataset,
        advised=str(advised["name"]),
        rank=rank,
        accuracy=_accuracy(seen),
        best=best.method,
        best_accuracy=_accuracy(best),
        regret=_accuracy(best) - _accuracy(seen),
        n_held=sum(each["low"] <= _accuracy(row) <= each["high"] for _, each, row in found),
        n_intervals=len(found),
    )


def _key(row: MethodSummary) -> tuple[str, ...]:
    if row.trains:
        return row.scenario, row.backbone, row.cut if row.scenario == "finetune" else ""
    return row.scenario, row.backbone, row.layer, row.head, row.pooling


def _named(candidate: Mapping[str, Any]) -> tuple[str, ...]:
    scenario, backbone = str(candidate["scenario"]), str(candidate["backbone"])
    if scenario != "features":
        return scenario, backbone, str(candidate["cut"])
    return scenario, backbone, str(candidate["layer"]), str(candidate["head"]), "avg"


def _accuracy(row: MethodSummary) -> float:
    return row.scores["accuracy"].value
