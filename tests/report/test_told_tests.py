"""Which test compares methods: every run counts, folds are compared fold by fold with 1 / (k - 1)."""

import dataclasses

import numpy as np
import pytest

from headstart.measure.paired_splits import paired_over_splits
from headstart.measure.resampled import corrected_t
from headstart.measure.values import Score
from headstart.report.answers import Answers
from headstart.report.document import Claim, Figure
from headstart.report.sections.results import results_table
from headstart.report.sections.told_apart import told_apart_section, told_table
from headstart.report.told import OF_THE_OTHER, told_apart
from headstart.report.told_tests import fold_scores, value_of
from headstart.report.verdict import verdict
from headstart.testing.records import tiny_record

N, K = 300, 5


def answers_of(record, rng, *, n_seeds, folds=False, gap=0.12):
    """Answers of two methods where every seed tests images of its own, or all of them in folds."""
    best = record.best["shapes"]
    names = [
        best,
        next(row.method for row in record.summaries if row.status == "done" and row.method != best),
    ]
    hard, truth = rng.random(N), rng.integers(0, 3, N)
    made = []
    for seed in range(n_seeds):
        rows = np.arange(N) if folds else np.sort(rng.permutation(N)[: N // 4])
        said = {}
        for name, skill in zip(names, (0.6 + gap, 0.6), strict=True):
            right = hard[rows] + 0.15 * rng.normal(size=len(rows)) < skill
            said[name] = np.where(right, truth[rows], (truth[rows] + 1) % 3)[None]
        cells = {name: (f"{name} {seed}",) for name in names}
        fold = rng.permutation(np.arange(N) % K) if folds else None
        made.append(
            Answers(
                "shapes",
                tuple(names),
                cells,
                ("a", "b", "c"),
                tuple(map(int, rows)),
                truth[rows],
                said,
                seed,
                fold,
            )
        )
    return dataclasses.replace(made[0], rest=tuple(made[1:])), names


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    return tiny_record(tmp_path_factory.mktemp("tests"), per_class=5, seeds=(0,))


def test_three_seeds_with_splits_of_their_own_all_count(record):
    answers, (best, other) = answers_of(record, np.random.default_rng(0), n_seeds=3)
    found = told_apart(record, "shapes", answers)
    (pair,) = found.verdicts.pairs
    parts = answers.splits
    expected = paired_over_splits(
        [p.correct(best)[0] for p in parts], [p.correct(other)[0] for p in parts], [p.rows for p in parts]
    )
    assert found.test == "over_splits" and "3 splits, one a seed" in found.how
    assert pair.difference == expected and len(found.runs[best]) == 3
    first = dataclasses.replace(answers, rest=())
    assert told_apart(record, "shapes", first).verdicts.pairs[0].difference.value != expected.value


@pytest.mark.parametrize("repeats", [1, 3, 6])
def test_drawn_folds_are_compared_fold_by_fold_with_one_over_k_minus_one(record, repeats):
    answers, (best, other) = answers_of(record, np.random.default_rng(1), n_seeds=repeats, folds=True)
    found = told_apart(record, "shapes", answers)
    a, b = (
        np.concatenate([fold_scores(p, name, "accuracy") for p in answers.splits]) for name in (best, other)
    )
    expected = corrected_t(a, b, test_over_train=1 / (K - 1))
    (pair,) = found.verdicts.pairs
    assert found.test == "corrected_t" and f"over {K} folds" in found.how
    assert pair.difference.n == K * repeats and pair.difference.degrees == K * repeats - 1
    assert (pair.difference.p, pair.difference.low) == pytest.approx((expected.p, expected.low))


def test_runs_of_several_seeds_on_the_same_folds_all_count(record):
    """Groups that are as many as the folds give the same folds under every seed."""
    answers, (best, _) = answers_of(record, np.random.default_rng(4), n_seeds=1, folds=True)
    one = answers.said[best]
    two = dataclasses.replace(answers, said={**answers.said, best: np.vstack([one, np.zeros_like(one)])})
    other = dataclasses.replace(answers, said={**answers.said, best: np.zeros_like(one)})
    means = [fold_scores(each, best, "accuracy") for each in (answers, other)]
    assert fold_scores(two, best, "accuracy") == pytest.approx(np.mean(means, axis=0))


def test_repeated_folds_keep_false_alarms_at_their_level():
    """Ten times ten folds of methods that are alike (Bouckaert and Frank 2004), by the ratio 1 / (k - 1)."""
    g, alarms, trials = np.random.default_rng(0), 0, 300
    for _ in range(trials):
        images = g.normal(size=200)  # per-image difference of two methods that are alike
        means = [images[part].mean() for _ in range(10) for part in np.split(g.permutation(200), 10)]
        alarms += corrected_t(means, np.zeros(100), test_over_train=1 / 9).p < 0.05
    assert alarms / trials <= 0.05


@pytest.mark.parametrize("folds", [False, True])
@pytest.mark.parametrize("metric", ["balanced_accuracy", "macro_f1"])
def test_the_chosen_metric_is_what_words_table_and_drawings_compare(record, metric, folds):
    chosen = dataclasses.replace(record, spec={**record.spec, "metric": metric})
    answers, names = answers_of(record, np.random.default_rng(2), n_seeds=2, folds=folds)
    found = told_apart(chosen, "shapes", answers)
    (pair,) = found.verdicts.pairs
    means = [
        np.mean([np.mean(fold_scores(p, name, metric)) if folds else value_of(metric, p.truth, p.said[name][0])
                 for p in answers.splits])
        for name in names
    ]  # fmt: skip
    assert pair.difference.value == pytest.approx(means[0] - means[1])
    said = metric.replace("_", " ").replace("f1", "F1")
    table = told_table(found, "x")
    assert table.columns[1].title == said and table.rows[0].entries[1].sort == pytest.approx(means[1])
    blocks = told_apart_section(chosen, found, "x").blocks
    assert pair.words in [block.text for block in blocks if isinstance(block, Claim)]
    assert (
        f"by {said} " in blocks[1].text and said in next(b for b in blocks if isinstance(b, Figure)).caption
    )
    kind = OF_THE_OTHER.get(pair.kind, pair.kind)
    assert f'id="gap-0-{kind.replace(" ", "-")}"' in next(b for b in blocks if isinstance(b, Figure)).svg
    against = [
        entry.text for row in results_table(chosen, "shapes", "x", found).rows for entry in row.entries
    ]
    assert kind in against


def test_a_method_that_is_higher_in_accuracy_is_told_by_which_metric_it_was_compared(record):
    chosen = dataclasses.replace(record, spec={**record.spec, "metric": "macro_f1"})
    answers, (_, other) = answers_of(record, np.random.default_rng(3), n_seeds=1)
    rows = tuple(
        dataclasses.replace(row, scores={**row.scores, "accuracy": Score(1.0, 0.9, 1.0, 10)})
        if row.method == other
        else row
        for row in chosen.summaries
    )
    found = told_apart(chosen, "shapes", answers)
    said = [
        claim.text for claim in verdict(dataclasses.replace(chosen, summaries=rows), "shapes", found).claims
    ]
    assert any("has the highest test accuracy" in text and "test of macro F1" in text for text in said)


def test_one_test_set_and_a_chosen_metric_use_the_paired_bootstrap(record):
    chosen = dataclasses.replace(record, spec={**record.spec, "metric": "macro_f1"})
    answers, _ = answers_of(record, np.random.default_rng(3), n_seeds=1)
    found = told_apart(chosen, "shapes", dataclasses.replace(answers, seed=None))
    assert found.test == "paired_bootstrap" and found.verdicts.pairs[0].difference.test == "paired bootstrap"
