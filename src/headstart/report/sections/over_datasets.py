"""Methods over several data sets: mean ranks, who can be told apart, the diagram of it, and the chances by Bayes.

Demsar (2006) for the diagram; bars by Wilcoxon's test with Holm's correction (Benavoli, Corani and Mangili 2016);
chances by the Bayesian signed-rank test with a region of practical equivalence (Benavoli et al. 2017).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from headstart.measure.bayes import signed_rank
from headstart.measure.cannot_tell import CannotTell
from headstart.measure.many import Comparison, Friedman, compare_over_datasets
from headstart.measure.multiple import holm_factors
from headstart.measure.posterior import Posterior
from headstart.measure.power import smallest_over_datasets
from headstart.measure.verdict_words import comparison_words, p_short, p_words, points
from headstart.measure.verdicts import ROPE
from headstart.report.document import Claim, Column, Entry, Figure, Paragraph, Row, Section, Table
from headstart.report.figures_told import Chances, Ranked, chances_bars, critical_difference
from headstart.report.naming import short_names
from headstart.report.run_links import RUNS, runs_entry
from headstart.report.told import metric_of
from headstart.report.told_tests import METRIC_WORDS
from headstart.report.verdict import datasets, ranked
from headstart.report.wording import DASH, count, decimal, listed, percent
from headstart.study.records import StudyRecord

LEAST_DATASETS = 3
DRAWN, BARS, CHANCES = 16, 6, 8
NAMED = 3
"""Methods that the words name; the others are counted."""
SURE, SEED = 0.95, 0


def over_datasets(record: StudyRecord) -> Comparison | CannotTell | None:
    """Methods that finished on every dataset, compared over them; None for a single dataset.

    `left_out_words` names what takes no part.
    """
    planned = _classified(record)
    if len(planned) < 2:
        return None
    names, methods, scores = _compared(record)
    if len(names) < LEAST_DATASETS:
        n = len(names)
        few = (
            f"{count(n, 'data set')} {'has' if n == 1 else 'have'} a finished method"
            if n
            else "nothing has finished"
        )
        return CannotTell(
            f"{few}, and ranks over fewer than {LEAST_DATASETS} tell nothing: that two agree happens by chance every "
            "second time"
        )
    if len(methods) < 2:
        return CannotTell("fewer than two methods finished on every data set")
    return compare_over_datasets(methods, [[scores[name][m] for m in methods] for name in names])


def _classified(record: StudyRecord) -> list[str]:
    """The datasets on which classifiers were planned."""
    planned = {row.dataset for row in record.summaries}
    return [name for name in datasets(record) if name in planned]


def _compared(record: StudyRecord) -> tuple[list[str], list[str], dict[str, dict[str, float]]]:
    """The datasets with a finished method, the methods that finished on all of them, and the scores of each dataset."""
    names = [name for name in _classified(record) if name in record.best]
    scores = {name: _scores(record, name) for name in names}
    methods = [m for m in scores[names[0]] if all(m in scores[name] for name in names)] if names else []
    return names, methods, scores


def left_out_words(record: StudyRecord) -> str:
    """The methods and the datasets that take no part in the comparison over datasets, and why; "" where there are none."""
    names, methods, scores = _compared(record)
    every = list(dict.fromkeys(row.method for row in record.summaries))
    lacking = {m: [name for name in names if m not in scores[name]] for m in every if m not in methods}
    empty = [name for name in _classified(record) if name not in names]
    said = []
    if lacking and names:
        shown = [f"{method} (on {_few(where)})" for method, where in list(lacking.items())[:NAMED]]
        said.append(
            f"{len(lacking)} of {count(len(every), 'method')} whose runs have not all finished on every data set: "
            f"{_few(shown, len(lacking))}"
        )
    if empty:
        said.append(f"{count(len(empty), 'data set')} on which nothing has finished: {_few(empty)}")
    return f"Left out: {'; '.join(said)}." if said else ""


def _few(names: Sequence[str], n: int = 0) -> str:
    """The first names, and how many more there are."""
    more = (n or len(names)) - len(names[:NAMED])
    return f"{', '.join(names[:NAMED])} and {more:,} more" if more else listed(names)


def _scores(record: StudyRecord, dataset: str) -> dict[str, float]:
    rows = [row for row in ranked(record, dataset) if row.status == "done"]
    scores = {row.method: row.scores.get(metric_of(record)) for row in rows}
    return {method: score.value for method, score in scores.items() if score is not None}


def over_datasets_section(record: StudyRecord, id: str = "over-datasets") -> Section | None:
    """Mean ranks by tests, by chance and drawn, or why there are none; None for a single dataset."""
    found = over_datasets(record)
    title = "Over the data sets"
    if found is None:
        return None
    left = [Paragraph(words)] if (words := left_out_words(record)) else []
    if isinstance(found, CannotTell):
        why = Paragraph(f"The methods cannot be compared over data sets: {found.reason}.")
        return Section(id, title, (why, *left))
    shown = set(found.methods)
    runs = tuple(cell for row in record.summaries if row.method in shown for cell in row.cells)
    of = {
        name: tuple(id for row in record.summaries if row.method == name for id in row.cells)
        for name in shown
    }
    names = short_names([row for row in record.summaries if row.method in shown])
    chances = bayes_chances(found)
    measure, seen = METRIC_WORDS[metric_of(record)], could_see(found)
    least = _too_few(found) or _seen_words(found, seen, measure)
    said = f"{_friedman(found)} {least}"
    claims = (
        Claim(comparison_words(found, named=NAMED), runs, strong=True),
        Claim(said, runs),
        *(
            Claim(f"{chance_words(found, each, measure)}{_other_chances(found, chances)}", runs)
            for each in chances[:1]
        ),
    )
    figures = (_diagram(found, names, id, runs), _chances_figure(found, chances, names, id, runs))
    return Section(id, title, (*claims, *left, *figures, _ranks(found, id, measure, seen, of)))


def _group_words(group: tuple[str, ...]) -> str:
    return (
        listed(group) if len(group) <= NAMED else f"the {len(group)} methods from {group[0]} to {group[-1]}"
    )


def _too_few(found: Comparison) -> str:
    """That so few data sets cannot tell two methods apart whatever their scores, where that is so."""
    k = len(found.methods)
    if found.least_p < found.alpha:
        return ""
    return (
        f"With {found.n_datasets} data sets the signed-rank test of a pair gives no p below {found.least_p:g}, even "
        f"where one of the {k} methods is always ahead: it cannot tell any two apart. More data sets would."
    )


def could_see(found: Comparison) -> dict[str, float | CannotTell]:
    """By method: the smallest mean difference from the first that the signed-rank test finds four times in five.

    At the level at which Holm's correction tests that pair, for differences that spread between data sets as those
    of the pair do (`headstart.measure.power.smallest_over_datasets`).
    """
    k, first = len(found.methods), found.methods.index(found.order[0])
    pairs = list(zip(*np.triu_indices(k, 1), strict=True))
    factors = holm_factors([found.wilcoxon_p[i][j] for i, j in pairs])
    factor = {frozenset((int(i), int(j))): float(f) for (i, j), f in zip(pairs, factors, strict=True)}
    table, known = np.array(found.scores), {}
    seen: dict[str, float | CannotTell] = {}
    for name in found.order[1:]:
        at = found.methods.index(name)
        alpha = found.alpha / factor[frozenset((first, at))]
        if alpha not in known:  # of a spread of 1; the smallest difference grows with the spread
            known[alpha] = smallest_over_datasets(
                found.n_datasets, 1.0, np.random.default_rng(SEED), alpha=alpha
            )
        unit = known[alpha]
        spread = float((table[:, first] - table[:, at]).std(ddof=1))
        seen[name] = unit if isinstance(unit, CannotTell) else unit * spread
    return seen


def _seen_words(found: Comparison, seen: dict[str, float | CannotTell], measure: str) -> str:
    """What so many data sets could have shown between the first two by mean rank."""
    first, other = found.order[:2]
    least = seen[other]
    if isinstance(least, CannotTell):
        return f"Between {first} and {other} no difference could have been seen: {least.reason}."
    return (
        f"Between {first} and {other} these {found.n_datasets} data sets would have shown a mean difference of "
        f"{points(least)} points of {measure} or more four times in five."
    )


def _diagram(found: Comparison, names: dict[str, str], id: str, runs: tuple[str, ...]) -> Figure:
    """Demsar's diagram of the first methods by mean rank."""
    shown = found.order[:DRAWN]
    ranks = dict(zip(found.methods, found.mean_ranks, strict=True))
    places = [[shown.index(name) for name in group if name in shown] for group in found.holm_groups]
    kept = list(dict.fromkeys(tuple(group) for group in places if len(group) > 1))
    groups = [g for g in kept if not any(set(g) < set(other) for other in kept)][:BARS]
    caption = (
        f"Mean ranks over {found.n_datasets} data sets (1 is best). A bar joins methods of which no two can be "
        "told apart by Wilcoxon's signed-rank test with Holm's correction, the test of the words and the table; "
        "rings on a bar are its members."
    )
    caption += "" if groups else " There is no bar: every pair is told apart."
    caption += f" Nemenyi's critical difference of mean ranks is {found.critical_difference:.2f}."
    if len(shown) < len(found.order):
        caption += f" The first {len(shown)} of {len(found.order)} methods are drawn."
    svg = critical_difference([Ranked(names[m], ranks[m]) for m in shown], groups, len(found.methods))
    return Figure(f"{id}-diagram", caption, svg, f"Mean ranks of {len(shown)} methods", (), runs, wide=True)


def bayes_chances(found: Comparison) -> list[tuple[str, Posterior]]:
    """The method with the best mean rank against each of the next, by the Bayesian signed-rank test."""
    first = found.order[0]
    of = dict(zip(found.methods, zip(*found.scores, strict=True), strict=True))
    return [
        (other, signed_rank(of[first], of[other], np.random.default_rng(SEED), rope=ROPE))
        for other in found.order[1 : CHANCES + 1]
    ]


def chance_words(found: Comparison, each: tuple[str, Posterior], measure: str = "accuracy") -> str:
    """The chances of the first against the second by rank, and what follows at 95 %."""
    first, (other, chance) = found.order[0], each
    parts = f"{first} is better with a chance of {percent(chance.a_better)}, practically the same "
    parts += f"(within {100 * chance.rope:g} point of {measure}) with {percent(chance.same)}, and worse with "
    parts += percent(chance.b_better)
    sure = max(chance.a_better, chance.same, chance.b_better)
    so = "" if sure >= SURE else f" None reaches {percent(SURE)}: between the two it stays open."
    return f"By the Bayesian signed-rank test, against {other}, {parts}.{so}"


def _other_chances(found: Comparison, chances: list[tuple[str, Posterior]]) -> str:
    """Against which of the others a chance is large enough; "" where there are no others."""
    rest = chances[1:]
    if not rest:
        return ""
    said = []
    for words, part in (
        ("better than", "a_better"),
        ("practically the same as", "same"),
        ("worse than", "b_better"),
    ):
        sure = [other for other, chance in rest if getattr(chance, part) >= SURE]
        said += [f"{words} {listed(sure)}"] if sure else []
    n = f"the next {len(rest)}" if len(rest) > 1 else "the next one"
    if not said:
        return f" Against {n} by mean rank none reaches {percent(SURE)}."
    return f" Of {n} by mean rank, {found.order[0]} is {'; '.join(said)} with {percent(SURE)} or more."


def _chances_figure(
    found: Comparison, chances: list[tuple[str, Posterior]], names: dict[str, str], id: str, runs: tuple[str, ...]
) -> Figure:  # fmt: skip
    first = names[found.order[0]]
    rows = [Chances(names[other], c.a_better, c.same, c.b_better) for other, c in chances]
    caption = (
        f"Chance that {found.order[0]} is better than each method named, that both are the same within "
        f"{100 * ROPE:g} point, and that the method named is better, on data sets like these "
        "(Bayesian signed-rank test). A part of 95 % or more settles it."
    )
    return Figure(f"{id}-chances", caption, chances_bars(rows, first), "Chances by method", (), runs)


def _friedman(found: Comparison) -> str:
    test = found.friedman
    if not isinstance(test, Friedman):
        return f"Friedman's test: {test.reason}."
    said = f"Friedman's test: chi-squared {test.chi2:.2f}, {p_words(test.chi2_p, found.alpha)}; "
    said += f"Iman and Davenport's F: {p_words(test.f_p, found.alpha)}. "
    groups = [_group_words(group) for group in found.holm_groups]
    return said + ("Not told apart: " + "; ".join(groups) + "." if groups else "Every pair is told apart.")


def _ranks(
    found: Comparison,
    id: str,
    measure: str,
    seen: dict[str, float | CannotTell],
    runs: Mapping[str, tuple[str, ...]],
) -> Table:
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
                    Entry(DASH if at == first else p_short(p, found.alpha), p),
                    Entry(DASH if at == first else decimal(effect.value, 2), effect.value),
                    _seen_entry(seen.get(name)),
                    runs_entry(runs[name]),
                ),
                "best" if at == first else "",
            )
        )
    caption = (
        f"Mean ranks over {found.n_datasets} data sets (1 is best); p is of Wilcoxon's signed-rank test against "
        "the first, Holm-adjusted; the effect is the matched-pairs rank-biserial correlation. "
        "The last column is the mean difference from the first, in points, that so many data sets show four times in five."
    )
    columns = (
        Column("method"),
        *(
            Column(title, numeric=True)
            for title in ("mean rank", f"mean {measure}", "p", "effect", "could see")
        ),
        RUNS,
    )
    return Table(f"{id}-ranks", caption, columns, tuple(rows), sortable=True)


def _seen_entry(least: float | CannotTell | None) -> Entry:
    if least is None:
        return Entry(DASH, None)
    if isinstance(least, CannotTell):
        return Entry(DASH, None, small="too few data sets")
    return Entry(points(least), least)
