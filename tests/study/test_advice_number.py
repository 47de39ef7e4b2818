"""Advice is of the number of images a class that the study's main table is of, and is held against runs of that."""

from __future__ import annotations

from dataclasses import replace

import pytest

from headstart.base.errors import UsageError
from headstart.cli.advise import audit_lines
from headstart.images.scan import scan
from headstart.study import measure_situation
from headstart.study.advice_audit import audit_studies
from headstart.study.advice_record import META, advice_before, advice_seconds, advised_number
from headstart.study.advise import predict
from headstart.study.execute import run_study
from headstart.study.partition import make_dataset
from headstart.study.record import load_record
from headstart.study.spec import StudySpec
from headstart.study.store import StudyStore
from headstart.testing.images import class_folders, split_folders
from headstart.testing.situations import tiny_situation


def spec_of(photos, *numbers):
    """One layer and one head at the network's own size."""
    return StudySpec(
        data=(str(photos),), layer=("stage5",), head=("lda",), seeds=1, engine="torch", per_class=numbers
    )


def dataset_of(folder):
    return make_dataset(scan(folder), "label", seeds=2, folds=0)


@pytest.fixture(scope="module")
def finished(tmp_path_factory, feature_cache):
    """A study of two and four images a class with advice, none of it on all images."""
    folder = tmp_path_factory.mktemp("number")
    photos = class_folders(folder / "photos", n_per_class=10, seed=3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEADSTART_CACHE", str(feature_cache))
        run_study(spec_of(photos, 2, 4), folder / "study", advise=True, audits=False)
    return photos, folder / "study"


def said_by(study):
    with StudyStore(study, must_exist=True) as store:
        return store.meta()[META]["photos"]


def told(study, advice):
    with StudyStore(study, must_exist=True) as store:
        store.put_meta(**{META: {"photos": advice}})


def with_first(advice, name):
    """The advice as if it had said to run that method."""
    ranked = sorted(advice["candidates"], key=lambda each: each["name"] != name)
    return {**advice, "candidates": ranked, "run": [name]}


def accuracy_at(record, number):
    (row,) = [row for row in record.sized or record.summaries if row.per_class == number]
    return row.scores["accuracy"].value


def test_advice_is_of_the_largest_number_and_of_all_images_where_the_study_runs_them(tmp_path):
    data = dataset_of(class_folders(tmp_path / "photos", n_per_class=10, seed=3))
    largest = {(2, 4): 4, (4, 2): 4, (2, 0): 0, (0,): 0, (2, 500): 0}
    assert {asked: advised_number(data, spec_of("x", *asked)) for asked in largest} == largest


def test_fewer_images_cost_the_adviser_less(tmp_path):
    data = dataset_of(class_folders(tmp_path / "photos", n_per_class=10, seed=3))
    few, every = (advice_seconds([data], ["lite0"], spec_of("x", number)) for number in (2, 0))
    assert few < every


@pytest.mark.parametrize("given", [True, False])
def test_only_the_images_that_the_first_seed_draws_are_measured_and_never_test_images(
    given, tmp_path, monkeypatch
):
    counts = {"train": 8, "validation": 3, "test": 5}
    photos = split_folders(tmp_path / "photos", counts=counts, seed=3) if given else tmp_path / "photos"
    data, seen = dataset_of(photos if given else class_folders(photos, n_per_class=10, seed=3)), set()
    real = measure_situation._extracted
    monkeypatch.setattr(
        measure_situation, "_extracted", lambda table, *rest: seen.update(table.paths) or real(table, *rest)
    )
    advice, why = advice_before(data, ["lite0"], spec_of(photos, 2, 4))
    assert advice is not None and why == ""
    fold, paths = data.partition(0, 4).folds[0], data.table.paths
    assert seen == {paths[row] for row in fold.train} and not seen & {paths[row] for row in fold.test}
    situation = advice["situation"]
    assert (advice["per_class"], situation["n"], situation["n_test"]) == (4, 12, len(fold.test))
    assert {n for _, n in situation["class_counts"]} == {4}


def test_a_number_too_small_to_hold_any_out_leaves_a_reason(tmp_path):
    photos = class_folders(tmp_path / "photos", n_per_class=10, seed=3)
    advice, why = advice_before(dataset_of(photos), ["lite0"], spec_of(photos, 1))
    assert advice is None and "a single image to learn from" in why


def test_a_study_without_all_images_is_audited_at_its_largest_number(finished):
    _, study = finished
    advice = said_by(study)
    assert advice["per_class"] == 4 and advice["situation"]["n"] == 12
    told(study, with_first(advice, "features of lite0 at stage5 with lda"))
    found = audit_studies([study])
    (row,) = found.rows
    assert row.followed and row.per_class == found.to_dict()["rows"][0]["per_class"] == 4
    assert row.accuracy == row.best_accuracy == accuracy_at(load_record(study), 4)
    assert any(line.startswith("photos, 4 images a class") for line in audit_lines(found))


def test_the_advice_stands_and_is_held_against_the_same_runs_when_all_images_follow(finished):
    photos, study = finished
    before = said_by(study)
    record = run_study(spec_of(photos, 2, 4, 0), study, advise=True, audits=False)
    assert {row.per_class for row in record.summaries} == {0}
    assert said_by(study) == before
    (row,) = audit_studies([study]).rows
    assert row.per_class == 4 and row.accuracy == accuracy_at(record, 4)


def test_older_advice_is_of_all_images_and_audited_as_before(finished):
    photos, study = finished
    record = run_study(spec_of(photos, 2, 4, 0), study, advise=False, audits=False)
    kept = said_by(study)
    old = predict(tiny_situation("stage5")).to_dict()
    assert "per_class" not in old
    told(study, with_first(old, "features of lite0 at stage5 with lda"))
    (row,) = audit_studies([study]).rows
    assert row.per_class == 0 and row.accuracy == accuracy_at(record, 0)
    told(study, kept)


def test_advice_of_a_number_that_the_study_no_longer_runs_says_so(finished):
    _, study = finished
    kept = said_by(study)
    told(study, {**kept, "per_class": 3})
    with pytest.raises(UsageError, match="no method finished on 3 images a class, which the advice is of"):
        audit_studies([study])
    told(study, kept)


def test_a_record_of_one_number_alone_is_audited_too(finished, monkeypatch):
    from headstart.study import advice_audit

    _, study = finished
    record = load_record(study)
    alone = tuple(row for row in record.sized if row.per_class == 4)
    monkeypatch.setattr(
        advice_audit, "load_record", lambda folder: replace(record, summaries=alone, sized=())
    )
    (row,) = audit_studies([study]).rows
    assert row.per_class == 4
