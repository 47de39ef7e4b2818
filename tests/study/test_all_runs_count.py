"""A real study of several seeds or folds: every run counts in what is said of who is better."""

import numpy as np

from headstart.measure.resampled import corrected_t
from headstart.report.answers import load_answers
from headstart.report.told import told_apart
from headstart.report.told_tests import MCNEMAR, fold_scores
from headstart.study.execute import run_study
from headstart.testing.images import split_folders


def test_a_study_with_folds_and_two_seeds_is_compared_fold_by_fold(small, tmp_path):
    made = run_study(small(layer=("pool",), head=("lda", "knn"), folds=3, seeds=2), tmp_path / "out")
    (name,) = made.tables
    answers = load_answers(made)[name]
    assert len(answers.splits) == 2 and sorted(np.bincount(answers.folds)) == [10, 10, 10]
    found = told_apart(made, name, answers)
    assert "over 3 folds, 2 times over" in found.how and len(found.runs[made.best[name]]) == 2
    (pair,) = found.verdicts.pairs
    scores = [
        np.concatenate([fold_scores(p, m, "accuracy") for p in answers.splits]) for m in (pair.a, pair.b)
    ]
    expected = corrected_t(*scores, test_over_train=1 / 2)
    assert getattr(pair.difference, "p", None) == getattr(expected, "p", None)


def test_a_study_with_a_split_a_seed_is_compared_over_both(small, tmp_path):
    made = run_study(small(layer=("pool",), head=("lda", "knn"), seeds=2), tmp_path / "out")
    (name,) = made.tables
    answers = load_answers(made)[name]
    assert [part.seed for part in answers.splits] == [0, 1]
    found = told_apart(made, name, answers)
    assert found.test == "over_splits" and all(len(runs) == 2 for runs in found.runs.values())


def test_seeds_of_few_images_a_class_on_a_given_split_are_compared_image_by_image(small, tmp_path):
    """Each seed learns from other images, but all are tested on the same ones: no splits that overlap at random."""
    root = split_folders(tmp_path / "given", counts={"train": 8, "validation": 3, "test": 6})
    spec = small(data=(str(root),), layer=("pool",), per_class=(3,), seeds=5)
    record = run_study(spec, tmp_path / "out", advise=False, audits=False)
    assert len({result.cell.split_digest for result in record.results}) == 5
    answers = load_answers(record)["given"]
    assert answers.rest == () and {len(said) for said in answers.said.values()} == {5}
    found = told_apart(record, "given", answers)
    assert found.test == MCNEMAR and "images and seeds" in found.how
