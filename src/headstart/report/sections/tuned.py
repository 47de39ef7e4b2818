"""What tuning was worth on one dataset of a study: each method tuned against its own defaults on the same test images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from headstart.images.collect import clean
from headstart.measure.intervals import accuracy_of, over_seeds
from headstart.measure.paired import Difference, paired_accuracy
from headstart.measure.paired_splits import paired_over_splits
from headstart.measure.values import Score
from headstart.methods.tune.found import SearchRecord, Worth, search_from
from headstart.report.answers import Answers
from headstart.report.document import (
    Block,
    Claim,
    Column,
    Entry,
    Paragraph,
    Points,
    Row,
    Section,
    Table,
)
from headstart.report.run_links import RUNS, runs_entry
from headstart.report.sections.equal import tuning_terms
from headstart.report.tune_page import WORTH_COLUMNS, worth_entries
from headstart.report.tune_search import search_blocks
from headstart.report.tune_words import border_sentence, params_text, worth_sentence
from headstart.report.verdict import datasets, ranked, results_of
from headstart.report.wording import DASH, count, signed_points
from headstart.study.records import TUNED, MethodSummary, StudyRecord

PRUNER = "hyperband"
TITLE = "What tuning was worth"


@dataclass(frozen=True)
class TunedWorth:
    """A method of a dataset, tuned and with its defaults, on the same test images.

    Attributes
    ----------
    dataset : str
    worth : Worth
        `method` is the name with the defaults; `params` what each run and fold found.
    searches : tuple of SearchRecord
        Of all runs and folds.
    runs : tuple of str
        The runs behind it.
    """

    dataset: str
    worth: Worth
    searches: tuple[SearchRecord, ...]
    runs: tuple[str, ...]

    @property
    def borders(self) -> list[str]:
        """A sentence for each best value that lies on a border of its space."""
        said = [
            border_sentence(each, border).replace("--space and tune on", "--tune-space and tune again")
            for each in self.searches
            for border in each.borders
        ]
        return list(dict.fromkeys(said))

    def to_dict(self) -> dict[str, Any]:
        """As `headstart study --json` prints it."""
        each = self.worth
        return {
            "dataset": self.dataset, "method": each.method, "chosen_by": each.chosen_by,
            "default_chosen_by": each.default_chosen_by, "tuned": dict(each.tuned), "default": dict(each.default),
            "difference": dict(each.difference), "n": each.n, "n_seeds": each.n_seeds, "same": each.same,
            "params": [dict(one) for one in each.params],
            "n_trials": sum(len(one.trials) for one in self.searches), "borders": self.borders,
        }  # fmt: skip


def worths_of(record: StudyRecord, answers: Mapping[str, Answers]) -> dict[str, list[TunedWorth]]:
    """`tuned_worths` by dataset; a dataset where nothing was tuned is left out."""
    found = {name: tuned_worths(record, name, answers[name]) for name in datasets(record) if name in answers}
    return {name: each for name, each in found.items() if each}


def tuned_worths(record: StudyRecord, dataset: str, answers: Answers) -> list[TunedWorth]:
    """Every tuned method whose runs with and without tuning are done, the best by what chooses first."""
    rows = ranked(record, dataset)
    found = []
    for row in rows:
        base = next((each for each in rows if row.method == each.method + TUNED), None)
        if base is not None and {row.method, base.method} <= set(answers.said):
            found.append(_worth(record, row, base, answers))
    return sorted(found, key=lambda each: -each.worth.chosen_by)


def _worth(record: StudyRecord, row: MethodSummary, base: MethodSummary, answers: Answers) -> TunedWorth:
    own = set(answers.runs(row.method))
    done = [result for result in results_of(record, row) if result.cell.id in own]
    searches = tuple(search_from(each) for result in done for each in result.tuning)
    found = _difference(answers, row.method, base.method)
    bests = [each.best_trial for each in searches]
    params = tuple({} if best is None else dict(best.params) for best in bests)
    a, b = _accuracy(answers, row.method), _accuracy(answers, base.method)
    worth = Worth(
        base.method, row.selection or 0.0, base.selection or 0.0,
        {"value": a.value, "low": a.low, "high": a.high}, {"value": b.value, "low": b.low, "high": b.high},
        {name: getattr(found, name) for name in ("value", "low", "high", "p", "test", "n_differ")},
        found.n, len(answers.runs(row.method)), params, all(best is None or best.default for best in bests),
    )  # fmt: skip
    return TunedWorth(row.dataset, worth, searches, (*answers.runs(row.method), *answers.runs(base.method)))


def _difference(answers: Answers, tuned: str, default: str) -> Difference:
    """Paired on the same images; over images and splits where every seed drew its own."""
    if not answers.rest:
        return paired_accuracy(answers.correct(tuned), answers.correct(default))
    parts = [part for part in answers.splits if {tuned, default} <= set(part.said)]
    return paired_over_splits(
        [part.correct(tuned)[0] for part in parts], [part.correct(default)[0] for part in parts],
        [part.rows for part in parts],
    )  # fmt: skip


def _accuracy(answers: Answers, method: str) -> Score:
    """Accuracy over all runs of a method, with its interval over images and seeds."""
    if not answers.rest:
        return accuracy_of(answers.correct(method))
    each = [accuracy_of(part.correct(method)) for part in answers.splits if method in part.said]
    return over_seeds(each, metric="accuracy")


def tuned_section(
    record: StudyRecord, answers: Answers | None, found: Sequence[TunedWorth], id: str
) -> Section | None:
    """Of what `worths_of` found on one dataset; None where nothing was tuned, or no tuned method is done."""
    if not found or answers is None:
        return None
    blocks: list[Block] = [*_worth_claims(found), Paragraph(_how(record, answers))]
    if borders := [clean(f"{each.worth.method}: {line}") for each in found for line in each.borders]:
        blocks.append(Points(tuple(borders), "On a border of the space"))
    blocks += [_worth_table(found, id), _found_table(found, id)]
    first = found[0].searches[0]
    inner = Section(f"{id}-search", f"The search of {found[0].worth.method}{_which(found[0])}",
                    tuple(search_blocks(first, f"{id}-search", pruner=PRUNER)))  # fmt: skip
    return Section(id, TITLE, tuple(blocks), (inner,))


def tuned_in_short(found: Sequence[TunedWorth], id: str, most: int) -> Section | None:
    """The same for a paper: the sentences, and the first rows of the table (`most`; 0: none); None where nothing was."""
    if not found:
        return None
    table = _worth_table(found, id)
    if len(found) > most:
        said = f"{table.caption} The first {most} of {len(found)} are shown."
        table = replace(table, rows=table.rows[:most], caption=said)
    blocks: list[Block] = [*_worth_claims(found), *([table] if most else [])]
    return Section(id, TITLE, tuple(blocks))


def _worth_claims(found: Sequence[TunedWorth]) -> list[Claim]:
    runs = tuple(run for each in found for run in each.runs)
    return [Claim(overall(found), runs, strong=True), Claim(worth_sentence(found[0].worth), found[0].runs)]


def overall(found: Sequence[TunedWorth]) -> str:
    """Of how many methods tuning changed the test accuracy, for better or worse."""
    better = sum(each.worth.difference["low"] > 0 for each in found)
    worse = sum(each.worth.difference["high"] < 0 for each in found)
    mean = sum(each.worth.difference["value"] for each in found) / len(found)
    rest = len(found) - better - worse
    return (
        f"Tuning {count(len(found), 'method')} on {found[0].dataset}: clearly better on test for {better}, clearly "
        f"worse for {worse}, not told apart for {rest}; {signed_points(mean)} points on average."
    )


def _how(record: StudyRecord, answers: Answers) -> str:
    said = f"Equal terms: {tuning_terms(record)}"
    if answers.seed is not None and len(answers.splits) > 1:
        said += f" Every seed drew its own split; the test images of all {len(answers.splits)} are compared."
    return (
        f"{said} The difference is paired; each method is taken alone, without a correction for their number."
    )


def _worth_table(found: Sequence[TunedWorth], id: str) -> Table:
    rows = tuple(Row((*worth_entries(each.worth), runs_entry(each.runs)), "") for each in found)
    caption = f"Each method with its defaults and as tuned, on the same {found[0].worth.n:,} test images."
    return Table(f"{id}-worth", caption, (*WORTH_COLUMNS, RUNS), rows, sortable=True)


def _found_table(found: Sequence[TunedWorth], id: str) -> Table:
    columns = (Column("method"), Column("trials", numeric=True), Column("options found", "of each run and fold"),
               Column("matters most", "share of the variance of the accuracy, fANOVA, in the first search"),
               RUNS)  # fmt: skip
    rows = tuple(
        Row((
            Entry(each.worth.method, each.worth.method.casefold()),
            Entry(str(n := sum(len(one.trials) for one in each.searches)), n),
            Entry("; ".join(dict.fromkeys(params_text(one) for one in each.worth.params)) or DASH),
            Entry(_matters(each.searches[0])),
            runs_entry(each.runs),
        ))
        for each in found
    )  # fmt: skip
    return Table(f"{id}-found", "What the searches found.", columns, rows, sortable=True)


def _matters(search: SearchRecord) -> str:
    if not search.importance:
        return "cannot tell"
    name = max(search.importance, key=lambda each: search.importance[each])
    return f"{name} {100 * search.importance[name]:.0f} %"


def _which(found: TunedWorth) -> str:
    return "" if len(found.searches) == 1 else f" (the first of {len(found.searches)} runs and folds)"


def tuned_lines(found: Sequence[TunedWorth]) -> list[str]:
    """What a terminal shows: a sentence a dataset, and what lies on a border."""
    lines = [
        overall([each for each in found if each.dataset == name])
        for name in dict.fromkeys(each.dataset for each in found)
    ]
    return lines + [f"{each.worth.method}: {line}" for each in found for line in each.borders]
