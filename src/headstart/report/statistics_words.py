"""The statistics behind a study's results: which were used, what each is, and its papers.

One idea: the text of the methods and the list of references are made from the same entries, in every format.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from headstart.measure import paired_splits
from headstart.measure.many import Comparison
from headstart.report import papers
from headstart.report.document import Paragraph, Section
from headstart.report.sections.images_a_class import laws_of
from headstart.report.sections.over_datasets import over_datasets
from headstart.report.sections.retrieval import ranked_for_search
from headstart.report.sections.tuned import TunedWorth
from headstart.report.sharing import ways_of
from headstart.report.sources import Bibliography
from headstart.report.told import Told
from headstart.report.told_search import search_told
from headstart.report.told_shift import rival_told
from headstart.report.told_tests import BOOTSTRAP, CORRECTED_T, MCNEMAR, OVER_SPLITS
from headstart.report.told_values import VALUES
from headstart.report.verdict import datasets
from headstart.study.records import StudyRecord
from headstart.study.shifted import CORRUPTED, FOLDER

INTERVALS, OVER_FOLDS, HOLM, FRIEDMAN, CURVES, TRICKS, TUNED, TUNED_SPLITS = (
    "intervals", "over_folds", "holm", "friedman", "learning_curve", "tricks", "tuned", "tuned_splits",
)  # fmt: skip
Worths = Mapping[str, Sequence[TunedWorth]]
"""What tuning was worth, by dataset."""


@dataclass(frozen=True)
class Statistic:
    """What a statistic is, with a `{}` where each mark stands, and for each mark the papers and what they are for."""

    text: str
    papers: tuple[tuple[tuple[str, ...], str], ...] = ()


_COHEN = (("cohen1988",), "effect sizes")
STATISTICS: Mapping[str, Statistic] = {
    INTERVALS: Statistic(
        "Intervals of one run are Wilson's for accuracy {} and percentiles of a bootstrap over test images for the rest "
        "{}; those of several seeds add the spread over them.",
        (
            (papers.TESTS["wilson"], "interval of an accuracy"),
            (papers.TESTS["percentile_interval"], "intervals of the other metrics"),
        ),
    ),
    OVER_FOLDS: Statistic(
        "The interval of a mean over given folds knows that their training sets overlap: it is that of the corrected "
        "resampled t {}.",
        ((papers.TESTS["over_folds"], "interval of a mean over given folds"),),
    ),
    MCNEMAR: Statistic(
        "Methods were compared on the same test images: McNemar's test in its mid-p form for one run each {}, a paired t "
        "interval over images and seeds for several; the smallest difference that would be seen follows Connor {}, the "
        "effect size is Cohen's h {}.",
        (
            (papers.TESTS["mcnemar"], "two methods on the same images, McNemar's test in its mid-p form"),
            (papers.TESTS["smallest_paired"], "smallest difference that could be seen"),
            _COHEN,
        ),
    ),
    CORRECTED_T: Statistic(
        "Methods were compared over repeated splits or folds by the corrected resampled t-test {}, fold by fold where "
        "there are folds {}; the effect size is Cohen's d {}.",
        (
            (("nadeau2003",), "two methods over splits or folds, the corrected resampled t-test"),
            (("bouckaert2004",), "the same fold by fold"),
            _COHEN,
        ),
    ),
    OVER_SPLITS: Statistic(
        "Where every seed drew a split of its own, methods were compared on the test images of all splits, each image "
        "counted once, by a paired t-test whose standard error joins the spread over images and that over splits {}; the "
        "effect size is Cohen's h {}.",
        ((papers.TESTS["over_splits"], "two methods over images and splits"), _COHEN),
    ),
    BOOTSTRAP: Statistic(
        "Differences of the metric that methods were compared by have intervals and p-values of the paired bootstrap {} "
        "over images and runs.",
        ((papers.TESTS["paired_bootstrap"], "differences of the metric, the paired bootstrap"),),
    ),
    VALUES: Statistic(
        "Labels, numbers, searches and the answers on changed images were compared by what each image scores, by a paired "
        "t-test over images and seeds, or over images and splits where every seed drew its own."
    ),
    HOLM: Statistic(
        "The comparisons of all pairs of methods on a data set are corrected together by Holm's procedure {}, so that "
        "the chance of any false alarm there stays below 5 %.",
        ((papers.TESTS["holm"], "correction for many comparisons"),),
    ),
    FRIEDMAN: Statistic(
        "Over the data sets: Friedman's test with Iman and Davenport's correction, Nemenyi's critical difference {}, and "
        "Wilcoxon's signed-rank test of each pair, which does not depend on the other methods {}; its effect size is the "
        "matched-pairs rank-biserial correlation {}. Chances are of the Bayesian signed-rank test, with one point as "
        "the region of practical equivalence {}.",
        (
            (papers.TESTS["friedman"], "methods over several data sets"),
            (("benavoli2016",), "pairs of methods over several data sets"),
            (papers.TESTS["rank_biserial"], "effect size over several data sets"),
            (papers.TESTS["signed_rank"], "chances over several data sets"),
        ),
    ),
    CURVES: Statistic(
        "Learning curves are inverse power laws or exponentials with a limit {}.",
        ((papers.TESTS["learning_curve"], "accuracy against images a class"),),
    ),
    TUNED: Statistic(
        "What tuning was worth is a difference on the same test images, by McNemar's test in its mid-p form for one run "
        "each {} and by a paired t interval over images and seeds for several; each method is taken alone.",
        ((papers.TESTS["mcnemar"], "a method tuned and with its defaults"),),
    ),
    TUNED_SPLITS: Statistic(
        "What tuning was worth is a difference on the test images of all splits, by a paired t-test whose standard error "
        "joins the spread over images and that over splits {}; each method is taken alone.",
        ((papers.TESTS["over_splits"], "a method tuned and with its defaults"),),
    ),
    TRICKS: Statistic(
        "Each trick is a contrast of runs under the same seeds on the same test images, with a t interval whose error "
        "joins the spread over images and that over seeds, and over data sets where there are several; all effects of a "
        "table are corrected together by Holm's procedure {}.",
        ((papers.TESTS["holm"], "correction for many effects of tricks"),),
    ),
    FOLDER: Statistic(
        "The loss on the images of another folder has Newcombe's interval {}.",
        ((papers.SHIFTS["folder"], "interval of the drop on other test images"),),
    ),
    CORRUPTED: Statistic(
        "Corrupted test images follow Hendrycks and Dietterich {}; the loss on them is paired with the same images "
        "unchanged.",
        ((papers.SHIFTS["corruptions"], "corrupted test images"),),
    ),
}  # fmt: skip


def statistics_used(record: StudyRecord, told: Told, worths: Worths) -> list[str]:
    """Names of the statistics that the results rest on, in the order of `STATISTICS`."""
    found = {each.test for each in told.values() if each is not None}
    for name in datasets(record):
        found |= {test for ways in ways_of(record, name) for test in ways.tests}
        rivals = (rival_told(record, name, kind)[1] for kind in (FOLDER, CORRUPTED))
        found |= {each.test for each in rivals if each is not None}
        found |= {each.test for each in (search_told(record, ranked_for_search(record, name)),) if each}
    if found:
        found.add(HOLM)
    tests = {each.worth.difference["test"] for worth in worths.values() for each in worth}
    found |= {TUNED_SPLITS if test == paired_splits.OVER_SPLITS else TUNED for test in tests}
    if any(result.cell.fold for result in record.results):
        found.add(OVER_FOLDS)
    if isinstance(over_datasets(record), Comparison):
        found.add(FRIEDMAN)
    if any(law["law"] for name in datasets(record) for law in laws_of(record, name)):
        found.add(CURVES)
    if any(result.cell.tricks for result in record.results):
        found.add(TRICKS)
    found |= {shift.kind for row in (*record.summaries, *record.joint) for shift in row.shifts}
    return [name for name in STATISTICS if name in found or name == INTERVALS]


def statistics_section(cited: Bibliography, tests: Iterable[str]) -> Section:
    """What each of these statistics is, with its papers."""
    used = [STATISTICS[name] for name in tests]
    said = (each.text.format(*(cited.cite(*keys) for keys, _ in each.papers)) for each in used)
    return Section("statistics", "Statistics", tuple(Paragraph(text) for text in said))
