"""Signs that results are not what they seem: those of single runs, and those that only the whole study shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from headstart.base.findings import Finding
from headstart.study.records import CellResult, MethodSummary, StudyFinding


def all_findings(
    summaries: Sequence[MethodSummary], results: Mapping[str, CellResult]
) -> tuple[StudyFinding, ...]:
    """Every finding, dataset by dataset: what the study shows first, then what its runs show.

    Parameters
    ----------
    summaries : sequence of MethodSummary
    results : mapping of cell id to CellResult
    """
    return tuple(
        finding
        for dataset in dict.fromkeys(row.dataset for row in summaries)
        for finding in _of_dataset([row for row in summaries if row.dataset == dataset], results)
    )


def _of_dataset(rows: Sequence[MethodSummary], results: Mapping[str, CellResult]) -> list[StudyFinding]:
    found = [each for row in rows if (each := _scratch_better(row, rows)) is not None]
    for row in rows:
        runs: dict[str, list[str]] = {}
        kept: dict[str, Finding] = {}
        for result in (results[cell] for cell in row.cells if cell in results):
            for finding in result.findings:
                runs.setdefault(finding.kind, []).append(result.cell.id)
                kept.setdefault(finding.kind, finding)
        found += [StudyFinding(row.dataset, row.method, tuple(runs[kind]), kept[kind]) for kind in kept]
    return found


def _scratch_better(row: MethodSummary, rows: Sequence[MethodSummary]) -> StudyFinding | None:
    """Whether this network from random weights is above one trained from pretrained weights, and which."""
    if row.scenario != "scratch" or row.selection is None:
        return None
    beaten = [
        (each.selection, each)
        for each in rows
        if each.scenario in ("finetune", "full")
        and each.tuned == row.tuned
        and each.backbone == row.backbone
        and each.selection is not None
        and each.selection < row.selection
    ]
    if not beaten:
        return None
    from headstart.methods.detect import scratch_better

    score, best = max(beaten, key=lambda pair: pair[0])
    finding = scratch_better(row.selection, score, scratch_name=row.method, pretrained_name=best.method)
    if finding is None:
        return None
    return StudyFinding(row.dataset, row.method, (*row.cells, *best.cells), finding)
