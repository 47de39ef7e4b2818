"""Which method is best and how sure: words made from the very numbers that the tables and drawings show.

Best is highest on validation or inner folds, less one standard error; test scores are told and never choose. Whether
it is better than another comes from the paired tests alone (`headstart.report.told`); "not distinguishable" is a
verdict.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headstart.measure.values import Score
from headstart.measure.verdict_words import EQUIVALENT, NOT_DISTINGUISHABLE
from headstart.measure.verdicts import BETTER, WORSE
from headstart.report.division import repeats
from headstart.report.document import Claim
from headstart.report.wording import count, duration, listed, percent, scored, total_seconds
from headstart.study.records import CellResult, CutMethod, MethodSummary, StudyRecord

if TYPE_CHECKING:
    from headstart.report.told import ToldApart


APART = 2
"""Of more datasets each is told in less, in a sentence or a row of one table, so that a paper keeps its length."""
ASKED = ("data", "target", "task", "scenario", "backbone", "layer", "head", "seeds", "folds", "budget")
"""Options of a study that say what it compares."""
LEAST_SPLITS = 5
"""Splits over which methods are compared by a test of their means; over fewer the images of all are compared."""


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


def datasets(record: StudyRecord) -> list[str]:
    """Every dataset of the study, in order; also one whose images were not scanned before it stopped."""
    return list(dict.fromkeys([*record.tables, *(row.dataset for row in record.summaries)]))


def ranked(record: StudyRecord, dataset: str) -> list[MethodSummary]:
    """Rows of one dataset: the best first, then by choosing score; rows without one come last."""
    best = record.best.get(dataset)
    order = {"done": 0, "partial": 1, "failed": 2, "missing": 3, "cut": 4}

    def key(row: MethodSummary) -> tuple[bool, bool, float, int, str]:
        chosen_by = row.standing if row.standing is not None else 0.0
        return row.method != best, row.standing is None, -chosen_by, order.get(row.status, 3), row.method

    return sorted((row for row in record.summaries if row.dataset == dataset), key=key)


def best_of(record: StudyRecord, dataset: str) -> MethodSummary | None:
    """The best method of a dataset, or None where nothing finished."""
    name = record.best.get(dataset)
    return next((row for row in record.summaries if row.dataset == dataset and row.method == name), None)


def results_of(record: StudyRecord, summary: MethodSummary) -> list[CellResult]:
    """The results behind a row, in the order of its cells."""
    by_id = record.by_id
    return [by_id[id] for id in summary.cells if id in by_id]


def selected_on(record: StudyRecord, dataset: str, only: MethodSummary | None = None) -> str:
    """What chose among the methods, or the options of one: "validation", "5 inner folds" ..."""
    rows = [row for row in record.summaries if row.dataset == dataset] if only is None else [only]
    shown = {cell for row in rows for cell in row.cells}
    said = {result.selected_on for result in record.results if result.cell.id in shown}
    for each in sorted(said):
        whole = each.removeprefix("1 of ")
        if whole != each and whole in said:  # heads by every fold, networks by the first
            one = "networks that train: one of them" + (
                ", all where they kept their start" if _kept_start(record, shown, whole) else ""
            )
            said = said - {each, whole} | {f"{whole} ({one})"}
    return listed(sorted(said - {""})) or "validation or inner folds"


def _kept_start(record: StudyRecord, shown: set[str], folds: str) -> bool:
    """Whether a network that trained kept the head that it started from, chosen on all these folds."""
    return any(r.cell.id in shown and r.cell.trains and r.selected_on == folds for r in record.results)


def verdict(record: StudyRecord, dataset: str, told: ToldApart | None) -> Verdict:
    """The claims on one dataset, the most important first.

    Parameters
    ----------
    record : StudyRecord
    dataset : str
    told : ToldApart or None
        The paired comparison that tables and drawings show; None where there is none, and then that is said.
    """
    best = best_of(record, dataset)
    if best is None:
        text = f"Nothing has finished on {dataset} yet, so no method can be called best."
        return Verdict(dataset, None, None, (Claim(text, strong=True),))
    others = [row for row in ranked(record, dataset) if row is not best and accuracy(row) is not None]
    by_name = {row.method: row for row in others}
    rival = by_name.get(told.verdicts.pairs[0].b) if told is not None else next(iter(others), None)
    claims = [_winner(record, best, others)]
    if told is not None:
        claims += [*told_claims(told), *_cheaper_words(record, best, told)]
    elif rival is not None:
        claims.append(_untold(best, rival))
    claims += [*_higher_on_test(best, others, told), *_largest_class(record, best)]
    return Verdict(dataset, best, rival, tuple(claims))


def _winner(record: StudyRecord, best: MethodSummary, others: Sequence[MethodSummary]) -> Claim:
    score, took = accuracy(best), total_seconds(best.seconds)
    said = f"Best on {best.dataset}: {best.method}. {_chosen(record, best, others)}"
    if score is not None:
        said += f"; on the test images it is right for {scored(score)}, n = {score.n:,}, {runs_phrase(record, best)}"
    elif best.n_failed:
        said += f"; {count(best.n_failed, 'of its runs', 'of its runs')} failed, so it has no mean test score"
    return Claim(said + (f", in {duration(took)}." if took is not None else "."), best.cells, strong=True)


def _chosen(record: StudyRecord, best: MethodSummary, others: Sequence[MethodSummary]) -> str:
    on, mine = selected_on(record, best.dataset, best), best.selection
    if mine is None or best.standing is None:
        return f"It was chosen on {on}"
    rest = [row for row in others if row.selection is not None]
    if any((row.standing or 0.0) > best.standing for row in rest):
        said = f"It is highest on {on} over the {repeats(record, best.dataset)}s that all methods have run"
        return f"{said} ({percent(mine)} over all of its own)"
    if any((row.selection or 0.0) > mine for row in rest):
        return f"It is highest on {on} less one standard error ({percent(mine)}; scores above it are of fewer images)"
    if level := sum(row.standing == best.standing for row in rest):
        return f"It is highest on {on} ({percent(mine)}, level with {count(level, 'other method')})"
    return f"It is highest on {on} ({percent(mine)})"


def runs_phrase(record: StudyRecord, summary: MethodSummary) -> str:
    """How many runs stand behind a row, in words: seeds, or folds that the source gives."""
    what = repeats(record, summary.dataset)
    if summary.n_seeds < len(summary.cells):
        return f"{summary.n_seeds} of {count(len(summary.cells), what)}"
    return "1 run" if summary.n_seeds == 1 else count(summary.n_seeds, what)


LEVEL = "Of those that are not told from the best,"
"""How the sentence on what is cheaper begins."""
LINKS = {WORSE: "than", NOT_DISTINGUISHABLE: "from", EQUIVALENT: "to", BETTER: "than"}


def told_claims(found: ToldApart) -> list[Claim]:
    """What the runner-up is against the best, and what all others are, counted."""
    pairs, best = found.verdicts.pairs, found.best.method
    runs = tuple(cell for name in (best, *found.level()) for cell in found.runs[name])
    own = (*found.runs[pairs[0].a], *found.runs[pairs[0].b])
    kinds = {kind: len(methods) for kind, methods in found.methods_by_kind().items()}
    by = "" if found.metric == "accuracy" else f"by {found.measure} "
    by += f"{found.how}, with Holm's correction for {count(pairs[0].n_pairs, 'pair')} of methods"
    if len(kinds) == 1:
        kind, n = next(iter(kinds.items()))
        every = "The only other method is" if n == 1 else f"All {n} other methods are"
        said = f"{every} {kind} {LINKS[kind]} {best} {by}."
    else:
        parts = listed(f"{n} {'is' if n == 1 else 'are'} {kind}" for kind, n in kinds.items())
        said = f"Against {best}, of {count(len(pairs), 'other method')} {parts} {by}."
    return [Claim(pairs[0].words, own, strong=True), Claim(said, runs)]


def cheapest(record: StudyRecord, best: MethodSummary, told: ToldApart) -> tuple[float, MethodSummary] | None:
    """Of the methods that the paired test does not tell from the best, the one that took least; None if it is no less."""
    level, mine = set(told.level()), total_seconds(best.seconds)
    timed = [
        (seconds, row)
        for row in ranked(record, best.dataset)
        if row.method in level and (seconds := total_seconds(row.seconds)) is not None
    ]
    if mine is None or not timed:
        return None
    seconds, row = min(timed, key=lambda pair: pair[0])
    return (seconds, row) if seconds < mine and duration(seconds) != duration(mine) else None


def _cheaper_words(record: StudyRecord, best: MethodSummary, told: ToldApart) -> list[Claim]:
    """Whether what is level with the best takes less time, and which takes least."""
    if not told.level() or total_seconds(best.seconds) is None:
        return []
    found = cheapest(record, best, told)
    if found is None:
        return [Claim(f"{LEVEL} none took less time.", best.cells)]
    seconds, row = found
    said = f"{LEVEL} {row.method} took the least time: {duration(seconds)} a run"
    return [Claim(f"{said}, the best {duration(total_seconds(best.seconds))}.", (*row.cells, *best.cells))]


def _untold(best: MethodSummary, rival: MethodSummary) -> Claim:
    """Why it is not known whether the best is better than the next."""
    theirs = accuracy(rival)
    so = f"the runner-up, {rival.method}" + (f": {scored(theirs)}" if theirs is not None else "")
    if accuracy(best) is None:
        why = "the best has no mean test score"
    elif "partial" in (best.status, rival.status):
        why = "not all of their runs are there"
    else:
        why = "what both said of the same images is not in the record"
    return Claim(f"It cannot be told from {so}; {why}.", (*best.cells, *rival.cells))


def _higher_on_test(
    best: MethodSummary, others: Sequence[MethodSummary], told: ToldApart | None
) -> list[Claim]:
    mine = accuracy(best)
    scores = [(score.value, row) for row in others if (score := accuracy(row)) is not None]
    if mine is None or not scores:
        return []
    value, top = max(scores, key=lambda pair: pair[0])
    if value <= mine.value:
        return []
    said = f"{top.method} has the highest test accuracy ({percent(value)})"
    if kind := told.kind(top.method) if told is not None else "":
        of = f" of {told.measure}" if told is not None and told.metric != "accuracy" else ""
        said += f", and is {kind} {LINKS[kind]} the best by the paired test{of}"
    return [Claim(f"{said}; the test images choose nothing.", top.cells)]


def _largest_class(record: StudyRecord, best: MethodSummary) -> list[Claim]:
    """What naming one class every time would score: below that, nothing was learned."""
    confusion = next((result.confusion for result in results_of(record, best) if result.confusion), ())
    totals = [sum(row) for row in confusion]
    if not sum(totals):
        return []
    share = max(totals) / sum(totals)
    said = f"For comparison: naming the most frequent class every time would be right for {percent(share)}"
    score = accuracy(best)
    if score is not None and score.value <= share:
        said += ", no less than the best is"
    elif score is not None and score.low is not None and score.low <= share:
        said += ", which lies within the interval of the best: that it learned more is not shown"
    return [Claim(f"{said}.")]


def missing_claims(record: StudyRecord) -> list[Claim]:
    """What a study that stopped, or failed in part, does not show."""
    if not record.planned:
        said = "Nothing of this study was planned or run yet: it stopped before its plan was made, or still prepares it."
        return [Claim(f"{said}{asked_words(record)} The same command goes on.", strong=True)]
    ran = len(record.results)
    failed = tuple(result.cell.id for result in record.results if result.status == "failed")
    claims = []
    if ran < record.n_planned:
        missing = record.n_planned - ran
        said = f"This study is not complete: {ran:,} of {count(record.n_planned, 'planned run')} were made, {missing:,} "
        said += f"{'is' if missing == 1 else 'are'} missing. The same command goes on where it stopped."
        claims.append(Claim(said, strong=True))
    if failed:
        one = len(failed) == 1
        said = f"{count(len(failed), 'run')} of {ran:,} failed and {'is' if one else 'are'} shown as failed."
        claims.append(Claim(said, failed))
    return claims


def asked_words(record: StudyRecord) -> str:
    """What a study was asked, as a sentence with a space before it."""
    given = {name: record.spec.get(name) for name in ASKED}
    said = [
        f"{name.replace('_', ' ')} {', '.join(map(str, value)) if isinstance(value, list | tuple) else value}"
        for name, value in given.items()
        if value
    ]
    return f" Asked was: {'; '.join(said)}." if said else " What was asked was not recorded."


def subtitle_words(record: StudyRecord) -> str:
    """How much was compared, how much of it ran, and how long that took."""
    if not record.planned:
        return "nothing was planned or run yet"
    n_methods = len({row.method for row in (*record.summaries, *record.retrieval, *record.joint)})
    said = f"{count(n_methods, 'method')} on {count(len(datasets(record)), 'dataset')}, {len(record.results):,} of "
    return said + f"{count(record.n_planned, 'run')}, {duration(record.seconds_total)}"


def cut_claims(record: StudyRecord) -> list[Claim]:
    """What the race under the budget cut, one sentence a dataset."""
    claims = []
    for name in dict.fromkeys(cut.dataset for cut in record.cut):
        cuts = [cut for cut in record.cut if cut.dataset == name]
        said = (
            f"On {name} the budget cut {count(len(cuts), 'method')} early, by validation after a short run: "
        )
        said += listed(f"{cut.method} ({_cut_at(cut)})" for cut in cuts)
        claims.append(Claim(f"{said}. Without a budget they run whole.", strong=False))
    return claims


def _cut_at(cut: CutMethod) -> str:
    if cut.score is None:
        return "it failed"
    return f"{percent(cut.score)} after {count(cut.epochs, 'epoch')}"
