"""Can the methods be told apart: each against the best, with Holm's correction, and over several data sets.

The words and the table come from the same verdicts (`headstart.measure.verdicts`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headstart.measure.cannot_tell import CannotTell
from headstart.measure.many import Comparison, Friedman, compare_over_datasets
from headstart.measure.verdict_words import comparison_words, p_words, points
from headstart.measure.verdicts import BETTER, WORSE, Verdict, Verdicts, compare_all, compare_all_splits
from headstart.report.answers import Answers
from headstart.report.document import Block, Claim, Column, Entry, Paragraph, Row, Section, Table
from headstart.report.verdict import accuracy, best_of, datasets, ranked, results_of
from headstart.report.wording import DASH, count, decimal, listed, percent
from headstart.study.records import MethodSummary, StudyRecord

LEAST_SPLITS = 5
LEAST_DATASETS = 3


@dataclass(frozen=True)
class ToldApart:
    """Every method of a dataset against its best.

    Attributes
    ----------
    best : MethodSummary
    verdicts : Verdicts
        The pairs with the best, which is their `a`.
    runs : dict of str to tuple of str
        The runs that were compared, by method.
    how : str
        What was compared by which test, as a clause.
    test : str
        Name of the statistic: "mcnemar" or "corrected_t".
    """

    best: MethodSummary
    verdicts: Verdicts
    runs: dict[str, tuple[str, ...]]
    how: str
    test: str

    def level(self) -> list[str]:
        """Methods that are neither better nor worse than the best."""
        return [pair.b for pair in self.verdicts.pairs if pair.kind not in (BETTER, WORSE)]


def told_apart(record: StudyRecord, dataset: str, answers: Answers | None) -> ToldApart | None:
    """All methods against the best of a dataset; None where there is nothing to compare.

    Five splits or more, one a seed: the corrected resampled t-test. Else on the same test images: McNemar's
    test (mid-p) for one run, a paired t over images and seeds for several.
    """
    best = best_of(record, dataset)
    if best is None:
        return None
    over_splits = _over_splits(record, dataset, best)
    if over_splits is not None:
        return over_splits
    if answers is None or best.method not in answers.methods:
        return None
    names = [best.method, *(name for name in answers.methods if name != best.method)]
    found = compare_all(names, [answers.correct(name) for name in names], against=0)
    several = any(len(answers.said[name]) > 1 for name in names)
    how = f"on the same {count(len(answers.rows), 'test image')}"
    how += f" (those of seed {answers.seed}, for every seed drew its own)" if answers.seed is not None else ""
    how += ", by a paired t-test over images and seeds" if several else ", by McNemar's test (mid-p)"
    return ToldApart(best, found, answers.cells, how, "mcnemar")


def _over_splits(record: StudyRecord, dataset: str, best: MethodSummary) -> ToldApart | None:
    """The corrected t-test over splits, where every method ran on the same five or more."""
    rows = [row for row in ranked(record, dataset) if row.status == "done"]
    runs = {row.method: {r.cell.seed: r for r in results_of(record, row)} for row in rows}
    seeds = sorted(seed for seed in runs.get(best.method, {}) if seed is not None)
    if len(seeds) < LEAST_SPLITS or len({runs[best.method][seed].cell.split_digest for seed in seeds}) < len(
        seeds
    ):
        return None
    whole = [row.method for row in rows if all(seed in runs[row.method] for seed in seeds)]
    names = [best.method, *(name for name in whole if name != best.method)]
    if len(names) < 2:
        return None
    scores = [[runs[name][seed].scores["accuracy"].value for seed in seeds] for name in names]
    one = runs[best.method][seeds[0]]
    ratio = one.n_test / max(1, one.n_train)
    found = compare_all_splits(names, np.array(scores), test_over_train=ratio, against=0)
    how = f"over {len(seeds)} splits, by the corrected resampled t-test"
    cells = {name: tuple(runs[name][seed].cell.id for seed in seeds) for name in names}
    return ToldApart(best, found, cells, how, "corrected_t")


def told_apart_section(
    record: StudyRecord, dataset: str, answers: Answers | None, id: str, *, most_rows: int = 0
) -> Section | None:
    """Claims and table of one dataset; None where there is nothing to compare."""
    found = told_apart(record, dataset, answers)
    if found is None:
        return None
    note = Paragraph(
        "A paired test looks at each image under both methods, so it sees more than two intervals do."
    )
    return Section(
        id, "Can they be told apart?", (*told_claims(found), note, told_table(found, id, most_rows))
    )


def told_claims(found: ToldApart) -> list[Claim]:
    """Who cannot be told from the best, and what is said of the runner-up."""
    pairs, level = found.verdicts.pairs, found.level()
    runs = tuple(cell for name in (found.best.method, *level) for cell in found.runs[name])
    if level:
        said = f"Of {count(len(pairs), 'other method')}, {len(level)} cannot be told from {found.best.method}"
        said += f" {found.how}, with Holm's correction for {count(len(pairs), 'pair')}."
    else:
        said = f"{found.best.method} differs from every other method {found.how}, with Holm's correction."
    runner_up = pairs[0]
    own = (*found.runs[runner_up.a], *found.runs[runner_up.b])
    return [Claim(said, runs, strong=True), Claim(runner_up.words, own)]


def told_table(found: ToldApart, id: str, most_rows: int = 0) -> Table:
    """One row a method: difference, interval, p, effect, and the smallest difference that could be seen."""
    pairs = found.verdicts.pairs[: most_rows or None]
    scores = dict(zip(found.verdicts.methods, found.verdicts.scores, strict=True))
    caption = f"Each method against the best, {found.best.method}, {found.how}. "
    caption += "Under a difference stands its interval at the confidence that Holm's correction asks for; "
    caption += (
        "p is adjusted by it. The last column is what this comparison would have found four times in five."
    )
    if len(pairs) < len(found.verdicts.pairs):
        caption += f" The first {len(pairs)} of {len(found.verdicts.pairs)} are shown."
    columns = (
        Column("method"),
        Column("accuracy", "on the images that are compared", numeric=True),
        Column("best is better by", "points of accuracy", numeric=True),
        Column("p", "Holm-adjusted", numeric=True),
        Column("effect", "Cohen's h of two shares, or d of paired scores", numeric=True),
        Column("verdict", "of the best against this method"),
        Column("could see", "smallest difference found with a chance of 80 %, in points", numeric=True),
    )
    rows = tuple(Row(_entries(pair, scores[pair.b]), "") for pair in pairs)
    return Table(f"{id}-told", caption, columns, rows, sortable=True)


def _entries(pair: Verdict, score: float) -> tuple[Entry, ...]:
    gap, effect, least = pair.difference, pair.effect, pair.smallest
    told = not isinstance(gap, CannotTell)
    return (
        Entry(pair.b, pair.b.casefold()),
        Entry(percent(score), score),
        Entry(points(gap.value), gap.value, small=f"{points(gap.low)} to {points(gap.high)}")
        if not isinstance(gap, CannotTell)
        else Entry(DASH, None),
        Entry(p_words(pair.p, pair.alpha).removeprefix("p = ").removeprefix("p "), pair.p)
        if told
        else Entry(DASH, None),
        Entry(decimal(effect.value, 2), effect.value, small=effect.magnitude)
        if not isinstance(effect, CannotTell)
        else Entry(DASH, None),
        Entry(pair.kind, pair.kind),
        Entry(points(least), least)
        if not isinstance(least, CannotTell)
        else Entry(DASH, None, small="too few differ"),
    )


def over_datasets(record: StudyRecord) -> Comparison | CannotTell | None:
    """Methods that finished on every dataset, compared over them; None for fewer than three datasets."""
    names = [name for name in datasets(record) if name in record.best]
    if len(names) < LEAST_DATASETS:
        return None
    scores = {name: _scores(record, name) for name in names}
    methods = [m for m in scores[names[0]] if all(m in scores[name] for name in names)]
    if len(methods) < 2:
        return CannotTell("fewer than two methods finished on every dataset")
    return compare_over_datasets(methods, [[scores[name][m] for m in methods] for name in names])


def _scores(record: StudyRecord, dataset: str) -> dict[str, float]:
    rows = [row for row in ranked(record, dataset) if row.status == "done"]
    return {row.method: score.value for row in rows if (score := accuracy(row)) is not None}


def over_datasets_section(record: StudyRecord, id: str = "over-datasets") -> Section | None:
    """Mean ranks with Friedman's test and Wilcoxon's, Holm-adjusted; None for fewer than three datasets."""
    found = over_datasets(record)
    title = "Over the data sets"
    if found is None:
        return None
    if isinstance(found, CannotTell):
        return Section(
            id, title, (Paragraph(f"The methods cannot be compared over data sets: {found.reason}."),)
        )
    shown = set(found.methods)
    runs = tuple(cell for row in record.summaries if row.method in shown for cell in row.cells)
    blocks: list[Block] = [Claim(comparison_words(found), runs, strong=True), Claim(_friedman(found), runs)]
    return Section(id, title, (*blocks, _ranks(found, id)))


def _friedman(found: Comparison) -> str:
    test = found.friedman
    if not isinstance(test, Friedman):
        return f"Friedman's test: {test.reason}."
    said = f"Friedman's test: chi-squared {test.chi2:.2f}, {p_words(test.chi2_p, found.alpha)}; "
    said += f"Iman and Davenport's F: {p_words(test.f_p, found.alpha)}. "
    groups = [listed(group) for group in found.holm_groups]
    return said + ("Not told apart: " + "; ".join(groups) + "." if groups else "Every pair is told apart.")


def _ranks(found: Comparison, id: str) -> Table:
    first = found.methods.index(found.order[0])
    rows = []
    for name in found.order:
        at = found.methods.index(name)
        p, effect = found.holm_p[first][at], found.effects[first][at]
        rows.append(
            Row(
                (
                    Entry(name, name.casefold()),
                    Entry(f"{found.mean_ranks[at]:.2f}", found.mean_ranks[at]),
                    Entry(percent(found.mean_scores[at]), found.mean_scores[at]),
                    Entry(DASH if at == first else p_words(p, found.alpha).removeprefix("p = "), p),
                    Entry(DASH if at == first else decimal(effect.value, 2), effect.value),
                ),
                "best" if at == first else "",
            )
        )
    caption = (
        f"Mean ranks over {found.n_datasets} data sets (1 is best); p is of Wilcoxon's signed-rank test against "
        "the first, Holm-adjusted; the effect is the matched-pairs rank-biserial correlation. "
        f"Nemenyi's critical difference of mean ranks is {found.critical_difference:.2f}."
    )
    columns = (
        Column("method"),
        *(Column(title, numeric=True) for title in ("mean rank", "mean accuracy", "p", "effect")),
    )
    return Table(f"{id}-ranks", caption, columns, tuple(rows), sortable=True)
