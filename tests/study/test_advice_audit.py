"""Advice recorded before a study, held against what the study found."""

import dataclasses

import pytest

from headstart.base.errors import UsageError
from headstart.cli.advise import audit_lines
from headstart.study.advice_audit import AUGMENT, NOT_PLANNED, Silent, _row, audit_studies
from headstart.study.advice_record import COSTLY, FOLDS, META, advice_before
from headstart.study.advise import predict
from headstart.study.execute import run_study
from headstart.study.partition import make_dataset
from headstart.study.record import load_record
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
        engine="torch",
    )
    run_study(spec, folder / "study")
    return folder / "study", spec


def tell(study, advice):
    with StudyStore(study, must_exist=True) as store:
        store.put_meta(**{META: {"photos": advice} if advice else {}})


def test_a_study_without_advice_cannot_be_audited_and_the_reason_is_told(finished):
    tell(finished[0], None)
    with pytest.raises(UsageError, match=r"costs more than half of the study.*run a study with --advice"):
        audit_studies([finished[0]])
    assert "half of the study" in load_record(finished[0]).unadvised["photos"]


def test_studies_too_short_for_advice_are_counted_and_it_is_said_that_the_shares_are_not_of_them(finished):
    advice = predict(tiny_situation("stage7")).to_dict()
    tell(finished[0], with_names(advice, features("stage4", "lda")))
    found = audit_studies([finished[0]])
    assert found.n_costly == 0 and not any("short studies" in line for line in audit_lines(found))
    silent = (Silent("a", "b", f"at about 40 s {COSTLY}; --advice asks for it"), Silent("a", "c", FOLDS))
    found = dataclasses.replace(found, silent=silent)
    assert found.n_costly == found.to_dict()["n_costly"] == 1
    assert any(line.startswith("1 data set has none because it costs") for line in audit_lines(found))


def test_a_study_that_stopped_before_its_plan_is_named_among_those_without_advice(finished, tmp_path):
    with StudyStore(tmp_path / "stopped") as store:
        store.put_meta(spec={"data": ["photos", "others"]})
    tell(finished[0], with_names(predict(tiny_situation("stage7")).to_dict(), features("stage4", "lda")))
    found = audit_studies([tmp_path / "stopped", finished[0]])
    assert len(found.rows) == 1
    assert found.silent == (Silent(str(tmp_path / "stopped"), "photos, others", NOT_PLANNED),)
    assert audit_lines(found)[-1].endswith(f"photos, others: {NOT_PLANNED}")


def with_names(advice, *first):
    """The advice as if it had said to run these methods, the candidates put first."""
    ranked = sorted(advice["candidates"], key=lambda each: each["name"] not in first)
    return {**advice, "candidates": ranked, "run": list(first)}


def features(layer, head):
    return f"features of lite0 at {layer} with {head}"


def test_what_the_adviser_said_to_run_counts_the_better_of_two_by_the_choosing_score(finished):
    advice = predict(tiny_situation("stage7")).to_dict()
    rows = {(row.layer, row.head): row for row in load_record(finished[0]).summaries}
    two = (("stage4", "lda"), ("stage5", "ridge"))
    tell(finished[0], with_names(advice, *(features(*each) for each in two)))
    (row,) = audit_studies([finished[0]]).rows
    assert row.followed and row.rank in (1, 2)
    chosen = max(rows[each].selection for each in two)
    assert row.accuracy in {
        rows[each].scores["accuracy"].value for each in two if rows[each].selection == chosen
    }


def test_a_study_that_did_not_run_what_it_was_advised_to_run_counts_in_no_share(finished):
    advice = predict(tiny_situation("stage7")).to_dict()
    tell(finished[0], with_names(advice, features("stage4", "lda"), features("stage7", "logistic")))
    found = audit_studies([finished[0]])
    assert [row.followed for row in found.rows] == [False]
    assert found.within_a_point is None and found.mean_regret is None and found.rows[0].n_intervals == 4


@pytest.mark.parametrize("changed", [{"sizes": {"lite0": [96, 96]}}, {"size": 64}])
def test_runs_at_another_size_than_the_advice_is_of_are_not_held_against_it(finished, changed):
    advice = predict(tiny_situation()).to_dict()
    if "size" in changed:
        advice["candidates"] = [{**each, **changed} for each in advice["candidates"]]
    tell(finished[0], {**advice, **changed})
    with pytest.raises(UsageError, match="at the size and with the augmentation that the advice is of"):
        audit_studies([finished[0]])


def test_fewer_images_a_class_and_other_augmentations_are_not_what_the_advice_is_of(finished):
    tell(finished[0], None)
    record = load_record(finished[0])
    advice = predict(tiny_situation()).to_dict()
    fewer = tuple(dataclasses.replace(row, per_class=4) for row in record.summaries)
    said = _row(dataclasses.replace(record, summaries=fewer), "photos", advice)
    assert isinstance(said, str) and "all images" in said
    trained = dataclasses.replace(
        record.summaries[0], scenario="finetune", cut="last:2", layer="", head="", pooling="", augment="light"
    )
    cut = {**advice["candidates"][0], "scenario": "finetune", "cut": "last:2", "size": 0}
    alone = {**advice, "candidates": [cut], "run": [cut["name"]]}
    for augment, found in (("heavy", False), (AUGMENT, True)):
        rows = (dataclasses.replace(trained, augment=augment),)
        row = _row(dataclasses.replace(record, summaries=rows), "photos", alone)
        assert isinstance(row, str) is not found


def test_without_what_was_to_be_run_the_first_advice_that_ran_is_shown(finished):
    advice = with_names(predict(tiny_situation("stage7")).to_dict(), features("stage7", "logistic"))
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
    assert advice_before(folded, ["lite0"], spec) == (None, FOLDS)
