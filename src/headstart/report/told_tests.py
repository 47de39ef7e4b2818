"""Which test tells methods apart: the one that the runs of a dataset allow, so that every run counts.

| what the runs tested | test |
|---|---|
| the same images, one run a method | McNemar's, mid-p (`headstart.measure.paired`) |
| the same images, several seeds | paired t over images and seeds (the same) |
| a split a seed, fewer than five | paired t over images and splits (`headstart.measure.paired_splits`) |
| a split a seed, five or more | corrected resampled t (`headstart.measure.resampled`) |
| drawn folds, once or repeated; given folds | corrected resampled t, fold by fold, n_test / n_train = 1 / (k - 1) |

For a metric other than accuracy the paired bootstrap takes the place of the first three. Folds: Bouckaert and Frank
(2004), Evaluating the replicability of significance tests for comparing learning algorithms, PAKDD.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.measure.metrics import macro_averages
from headstart.measure.paired_splits import compare_all_over_splits
from headstart.measure.split_bootstrap import compare_all_by_over_splits
from headstart.measure.verdicts import Verdicts, compare_all, compare_all_by, compare_all_splits
from headstart.report.answers import Answers
from headstart.report.verdict import LEAST_SPLITS
from headstart.report.wording import count
from headstart.study.records import CellResult
from headstart.study.summarise import fold_ratio, split_ratio

if TYPE_CHECKING:
    from numpy.typing import NDArray

ACCURACY = "accuracy"
METRIC_WORDS = {
    ACCURACY: "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro F1",
    "macro_precision": "macro precision",
    "macro_recall": "macro recall",
    "map": "mAP",
}
"""What methods can be compared by, and how it is called; "map" of searches."""
MCNEMAR, OVER_SPLITS, CORRECTED_T, BOOTSTRAP = "mcnemar", "over_splits", "corrected_t", "paired_bootstrap"
N_DRAWS, SEED = 4999, 0
Runs = Mapping[str, Mapping[int, CellResult]]
"""The finished runs of each method by seed."""


@dataclass(frozen=True)
class Found:
    """Verdicts on the pairs with the first method, the runs behind each method, how, and the test's short name."""

    verdicts: Verdicts
    runs: dict[str, tuple[str, ...]]
    how: str
    test: str


def over_given_splits(
    names: Sequence[str], runs: Runs, metric: str, *, whole: bool, n_images: int
) -> Found | None:
    """The corrected t-test over given folds, or over five splits or more, from the scores of the runs alone.

    Parameters
    ----------
    names : sequence of str
        Methods, the best first.
    runs : mapping
    metric : str
    whole : bool
        Every method must have all seeds of the best, else there is none; otherwise those that lack one are left out.
    n_images : int
        Of the dataset, for runs that learned from some images a class; 0 where it is not known.
    """
    seeds = sorted(runs[names[0]])
    own = [runs[names[0]][seed] for seed in seeds]
    by_fold = any(result.cell.fold for result in own)
    splits = {result.cell.split_digest for result in own}
    if len(seeds) < (2 if by_fold else LEAST_SPLITS) or len(splits) < len(seeds):
        return None
    if any(result.n_fits > 1 for result in own):
        return None  # drawn folds, pooled: a score is of all images, and no fold's own
    kept = [name for name in names if set(seeds) <= set(runs[name])]
    if len(kept) < (len(names) if whole else 2):
        return None
    scores = [[runs[name][seed].scores[metric].value for seed in seeds] for name in kept]
    ratio = fold_ratio(own) if by_fold else split_ratio(own, n_images)
    found = compare_all_splits(kept, np.array(scores), test_over_train=ratio, against=0)
    how = f"over {len(seeds)} {'given folds' if by_fold else 'splits'}, by the corrected resampled t-test"
    cells = {name: tuple(runs[name][seed].cell.id for seed in seeds) for name in kept}
    return Found(found, cells, how, CORRECTED_T)


def on_images(names: Sequence[str], answers: Answers, metric: str) -> Found:
    """The test that goes through the answers on single images."""
    if answers.folds is not None:
        return _over_drawn_folds(names, answers, metric)
    if answers.rest:
        return _over_own_splits(names, answers, metric)
    n_runs = {len(answers.said[name]) for name in names}
    how = f"on the same {count(len(answers.rows), 'test image')}"
    runs = {name: answers.runs(name) for name in names}
    if metric == ACCURACY:
        found = compare_all(names, [answers.correct(name) for name in names], against=0)
        how += (
            ", by a paired t-test over images and seeds" if n_runs != {1} else ", by McNemar's test (mid-p)"
        )
        return Found(found, runs, how, MCNEMAR)
    said = [answers.said[name] for name in names]
    drawn = np.random.default_rng(SEED)
    by = compare_all_by(names, _truth(answers), said, drawn, metric=metric, n_draws=N_DRAWS, against=0)
    how += f", by the paired bootstrap of images{' and seeds' if n_runs != {1} else ''}"
    return Found(by, runs, how, BOOTSTRAP)


def _over_own_splits(names: Sequence[str], answers: Answers, metric: str) -> Found:
    parts = dict(enumerate(answers.splits))
    images = {at: np.array(part.rows) for at, part in parts.items()}
    runs = {name: answers.runs(name) for name in names}
    n_images = len({row for part in answers.splits for row in part.rows})
    how = f"on {count(n_images, 'test image')} of {len(parts)} splits, one a seed, "
    if metric == ACCURACY:
        correct = [{at: p.correct(name)[0] for at, p in parts.items() if name in p.said} for name in names]
        found = compare_all_over_splits(names, correct, images, against=0)
        return Found(found, runs, how + "by a paired t-test over images and splits", OVER_SPLITS)
    said = [{at: part.said[name][0] for at, part in parts.items() if name in part.said} for name in names]
    truth = {at: _truth(part) for at, part in parts.items()}
    by = compare_all_by_over_splits(
        names, said, truth, images, np.random.default_rng(SEED), metric=metric, n_draws=N_DRAWS, against=0
    )  # fmt: skip
    return Found(by, runs, how + "by the paired bootstrap of images and splits", BOOTSTRAP)


def _over_drawn_folds(names: Sequence[str], answers: Answers, metric: str) -> Found:
    """Fold by fold, over the repeats that all methods have: r times k differences."""
    parts = [part for part in answers.splits if all(name in part.said for name in names)]
    scores = np.array([[s for part in parts for s in fold_scores(part, name, metric)] for name in names])
    tested = [np.bincount(part.folds) for part in parts if part.folds is not None]
    ratio = float(np.mean([n / (each.sum() - n) for each in tested for n in each]))
    found = compare_all_splits(names, scores, test_over_train=ratio, against=0)
    often = f", {len(parts)} times over" if len(parts) > 1 else ""
    how = f"over {len(tested[0])} folds{often}, fold by fold, by the corrected resampled t-test"
    runs = {name: tuple(cell for part in parts for cell in part.cells[name]) for name in names}
    return Found(found, runs, how, CORRECTED_T)


def fold_scores(answers: Answers, method: str, metric: str) -> list[float]:
    """The metric on each of the drawn folds, the mean over the runs where several were tested on the same ones."""
    folds, runs, truth = answers.folds, answers.said[method], _truth(answers)
    if folds is None:
        return []
    places = [folds == fold for fold in range(int(folds.max()) + 1)]
    return [float(np.mean([value_of(metric, truth[at], said[at]) for said in runs])) for at in places]


def value_of(metric: str, truth: NDArray[Any], said: NDArray[Any]) -> float:
    """A metric of `METRIC_WORDS` from class numbers, shape (n,) each."""
    if metric == ACCURACY:
        return float((truth == said).mean())
    k = int(max(truth.max(), said.max())) + 1
    counts = (np.bincount(each, minlength=k)[None] for each in (truth[truth == said], truth, said))
    return float(macro_averages(*counts)[metric][0])


def _truth(answers: Answers) -> NDArray[np.int64]:
    """Class numbers; a label that is none of the classes is one more."""
    return np.where(answers.truth < 0, len(answers.classes), answers.truth)
