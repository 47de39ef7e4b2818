"""Advice recorded before a study, held against what the study found."""

import dataclasses

import pytest

from headstart.base.errors import UsageError
from headstart.study.advice_audit import audit_studies
from headstart.study.advice_record import META, advice_before
from headstart.study.advise import predict
from headstart.study.execute import run_study
from headstart.study.partition import make_dataset
from headstart.study.spec import StudySpec
from headstart.study.store import StudyStore
from headstart.testing.images import class_folders
from headstart.testing.situations import tiny_situation


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A study of two layers and two heads on drawn photos, without advice."""
    folder = tmp_path_factory.mktemp("audit")
    photos = class_folders(folder / "photos", n_per_class=8)
    spec = StudySpec(
        data=(str(photos),),
        layer=("stage4", "stage5"),
        head=("lda", "ridge"),
        seeds=1,
        input_size=(32,),
        engine="torch",
    )
    run_study(spec, folder / "study")
    return folder / "study", spec


def tell(study, advice):
    with StudyStore(study, must_exist=True) as store:
        store.put_meta(**{META: {"photos": advice} if advice else {}})


def test_a_study_without_advice_cannot_be_audited(finished):
    tell(finished[0], None)
    with pytest.raises(UsageError, match="run a study with --advice"):
        audit_studies([finished[0]])


def test_the_audit_takes_the_first_advice_that_the_study_ran(finished):
    advice = predict(tiny_situation("stage7")).to_dict()
    tell(finished[0], advice)
    (row,) = audit_studies([finished[0]]).rows
    named = [each["name"] for each in advice["candidates"]]
    assert row.advised == named[row.rank - 1] and row.advised.split(" at ")[1].startswith(
        ("stage4", "stage5")
    )
    assert row.regret == pytest.approx(row.best_accuracy - row.accuracy) and row.regret >= 0
    assert row.n_intervals == 4


def test_intervals_that_hold_everything_hold_and_those_of_nothing_do_not(finished):
    advice = predict(tiny_situation()).to_dict()
    for each in advice["candidates"]:
        each.update(low=0.0, high=1.0)
    tell(finished[0], advice)
    assert audit_studies([finished[0]]).held == 1.0
    for each in advice["candidates"]:
        each.update(low=-2.0, high=-1.0)
    tell(finished[0], advice)
    found = audit_studies([finished[0]])
    assert found.held == 0.0 and found.to_dict()["rows"][0]["dataset"] == "photos"


def test_advice_is_not_asked_after_the_first_run_nor_with_folds(finished):
    study, spec = finished
    tell(study, None)
    run_study(spec, study, advise=True)
    with StudyStore(study, must_exist=True) as store:
        assert store.meta()[META] == {}
        table = store.table("photos")
    assert table is not None
    folded = make_dataset(dataclasses.replace(table, splits=None), "label", seeds=1, folds=2)
    assert advice_before(folded, ["lite0"], spec) is None
