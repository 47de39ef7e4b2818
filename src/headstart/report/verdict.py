"""Which method is best and how sure: words made from the very numbers that the results table shows.

Best is highest on validation or inner folds; test scores are told and never choose. Two methods whose 95 %
intervals on the test images overlap are called "not clearly different".
"""

from __future__ import annotations

from dataclasses import dataclass

from headstart.measure.values import Score
from headstart.report.document import Claim
from headstart.report.wording import count, duration, listed, percent, scored, total_seconds
from headstart.study.records import CellResult, MethodSummary, StudyRecord


@dataclass(frozen=True)
class Verdict:
    """The best method of one dataset and its nearest rival, as the claims of the report tell it."""

    dataset: str
    best: MethodSummary | None
    rival: MethodSummary | None
    claims: tuple[Claim, ...]


def accuracy(summary: MethodSummary) -> Score | None:
    """The test accuracy of a method, or None where it has none."""
    return summary.scores.get("accuracy")


def overlaps(one: Score, other: Score) -> bool:
    """Whether two 95 % intervals share a point."""
    return one.low <= other.high and other.low <= one.high


def ranked(record: StudyRecord, dataset: str) -> list[MethodSummary]:
    """Rows of one dataset: the best first, then by validation score; what has no score comes last."""
    best = record.best.get(dataset)
    rows = [row for row in record.summaries if row.dataset == dataset]
    order = {"done": 0, "partial": 1, "failed": 2}

    def key(row: MethodSummary) -> tuple[bool, int, float, str]:
        chosen_by = row.selection if row.selection is not None else float("-inf")
        return (row.method != best, order.get(row.status, 3), -chosen_by, row.method)

    return sorted(rows, key=key)


def best_of(record: StudyRecord, dataset: str) -> MethodSummary | None:
    """The best method of a dataset, or None where nothing finished."""
    name = record.best.get(dataset)
    return next((row for row in record.summaries if row.dataset == dataset and row.method == name), None)


def results_of(record: StudyRecord, summary: MethodSummary) -> list[CellResult]:
    """The results behind a row, in the order of its cells."""
    by_id = {result.cell.id: result for result in record.results}
    return [by_id[id] for id in summary.cells if id in by_id]


def selected_on(record: StudyRecord, dataset: str) -> str:
    """What chose the best: "validation", "5 inner folds" ..."""
    said = {result.selected_on for result in record.results if result.cell.dataset == dataset}
    return listed(sorted(said - {""})) or "validation or inner folds"


def seeds_phrase(summary: MethodSummary) -> str:
    """How many seeds stand behind a row, in words."""
    return "1 run" if summary.n_seeds == 1 else f"{summary.n_seeds} seeds"


def verdict(record: StudyRecord, dataset: str) -> Verdict:
    """The claims on one dataset, the most important first."""
    best = best_of(record, dataset)
    if best is None:
        text = f"Nothing has finished on {dataset} yet, so no method can be called best."
        return Verdict(dataset, None, None, (Claim(text, strong=True),))
    others = [row for row in ranked(record, dataset) if row.status == "done" and row is not best]
    rival = others[0] if others else None
    claims = [_winner(record, best)]
    if rival is not None:
        claims.append(_against(best, rival))
    claims += _crowd(best, others) + _higher_on_test(best, others)
    return Verdict(dataset, best, rival, tuple(claims))


def _winner(record: StudyRecord, best: MethodSummary) -> Claim:
    score = accuracy(best)
    said = f"Best on {best.dataset}: {best.method}. "
    said += f"It is highest on {selected_on(record, best.dataset)} ({percent(best.selection)})"
    if score is not None:
        said += f"; on the test images it is right for {scored(score)}, n = {score.n:,}, {seeds_phrase(best)}"
    took = total_seconds(best.seconds)
    said += f", in {duration(took)}." if took is not None else "."
    return Claim(said, best.cells, strong=True)


def _against(best: MethodSummary, rival: MethodSummary) -> Claim:
    mine, theirs = accuracy(best), accuracy(rival)
    runs = (*best.cells, *rival.cells)
    if mine is None or theirs is None:
        return Claim(
            f"The runner-up is {rival.method}; without test scores the two cannot be compared.", runs
        )
    if overlaps(mine, theirs):
        said = f"It is not clearly different from the runner-up, {rival.method}: {scored(theirs)}; the intervals overlap."
    elif mine.value > theirs.value:
        said = f"It is clearly above the runner-up, {rival.method}: {scored(theirs)}; the intervals do not overlap."
    else:
        said = (
            f"On the test images the runner-up, {rival.method}, is clearly above it: {scored(theirs)}. "
            "The choice made on validation did not hold there."
        )
    return Claim(said, runs)


def _crowd(best: MethodSummary, others: list[MethodSummary]) -> list[Claim]:
    mine = accuracy(best)
    if mine is None or len(others) < 2:
        return []
    near = [row for row in others if (score := accuracy(row)) is not None and overlaps(mine, score)]
    said = f"Of {count(len(others), 'other finished method')}, {len(near)} cannot be told from it by their intervals"
    said += "; take the cheapest of them if time or memory matters." if near else "."
    return [Claim(said, tuple(id for row in (best, *near) for id in row.cells))]


def _higher_on_test(best: MethodSummary, others: list[MethodSummary]) -> list[Claim]:
    mine = accuracy(best)
    scores = [(score.value, row) for row in others if (score := accuracy(row)) is not None]
    if mine is None or not scores:
        return []
    value, top = max(scores, key=lambda pair: pair[0])
    if value <= mine.value:
        return []
    said = f"{top.method} has the highest test accuracy ({percent(value)}), but the test images choose nothing here."
    return [Claim(said, top.cells)]


def missing_claims(record: StudyRecord) -> list[Claim]:
    """What a study that stopped, or failed in part, does not show."""
    ran = len(record.results)
    failed = tuple(result.cell.id for result in record.results if result.status == "failed")
    claims = []
    if ran < record.n_planned:
        said = f"This study is not complete: {ran:,} of {count(record.n_planned, 'planned run')} have been made, "
        said += f"{record.n_planned - ran:,} are missing. The same command goes on where it stopped."
        claims.append(Claim(said, strong=True))
    if failed:
        said = f"{count(len(failed), 'run')} of {ran:,} failed and {'is' if len(failed) == 1 else 'are'} shown as failed."
        claims.append(Claim(said, failed))
    return claims
