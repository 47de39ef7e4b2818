"""What comes before the first run: advice where it takes little, an audit that chooses nothing."""

from __future__ import annotations

import shutil
from types import SimpleNamespace

import pytest

from headstart.backbones.load import card
from headstart.base.events import Notice, collected_warnings, listening
from headstart.report.build import build_document
from headstart.report.sections.audited import audit_findings, audited_section
from headstart.study import advice_record, audit_record
from headstart.study.before import record_audits, remarks
from headstart.study.execute import run_study
from headstart.study.shifted import Shift, Shifts
from headstart.study.sources import scan_sources
from headstart.study.spec import StudySpec
from headstart.testing.images import split_folders


def said_in(work):
    said = []
    with listening(lambda event: said.append(event.message) if isinstance(event, Notice) else None):
        record = work()
    return said, record


def test_copies_across_splits_are_found_before_the_first_run(small, tmp_path):
    root = split_folders(tmp_path / "given")
    first = sorted((root / "train" / "disc").iterdir())[0]
    shutil.copy(first, root / "test" / "disc" / "copy.jpg")
    record = run_study(small(data=(str(root),), layer=("pool",)), tmp_path / "out")
    found = list(audit_findings(record))
    assert any(each["kind"] == "leakage" and each["severity"] == "high" for each in found)
    section = audited_section(record)
    assert section is not None and section.title == "The data, audited"
    assert section.id in {each.id for each in build_document(record).every}
    assert len(record.results) == 2 and all(each.n_test == 10 for each in record.results)


def test_an_audit_is_made_once_and_anew_when_the_data_change(small, shapes, tmp_path, monkeypatch):
    made = []
    real = audit_record.audit_before
    monkeypatch.setattr(
        audit_record, "audit_before", lambda data, *rest: made.append(data.digest) or real(data, *rest)
    )
    run_study(small(layer=("pool",)), tmp_path / "out")
    run_study(small(layer=("pool",), head=("lda", "nearest_mean", "ridge")), tmp_path / "out")
    assert len(made) == 1
    shutil.copy(next((shapes / "disc").iterdir()), tmp_path / "spare.jpg")
    next((shapes / "disc").iterdir()).unlink()
    record = run_study(small(layer=("pool",)), tmp_path / "out")
    assert len(set(made)) == 2 and record.audits["shapes"]["n_images"] == 29


@pytest.mark.parametrize(
    "by_fold, said", [(True, "each given fold is tested on"), (False, "each seed is tested on")]
)
def test_what_has_other_test_images_of_its_own_is_a_seed_or_a_given_fold(by_fold, said):
    source = SimpleNamespace(table=range(10))
    shifts = Shifts(tuple((Shift("corruptions", source, ("jpeg/1", "jpeg/2"), (at,)),) for at in range(2)))
    data = SimpleNamespace(by_fold=by_fold, partitions=(0, 1))
    lines = remarks(StudySpec(data=("x",)), (), {"x": data}, {"x": shifts})
    assert f"x: {said} 5 test images under 1 corruption at 2 severities too" in lines


def test_data_without_features_are_not_audited_and_it_is_told(small, shapes):
    spec = small(target=("label",), on_bad="fail")
    (source,) = scan_sources(spec)
    kept = {}
    store = SimpleNamespace(meta=dict, put_meta=lambda **given: kept.update(given))
    data = {"shapes": source.dataset(spec)}
    with collected_warnings() as said:
        record_audits(store, data, {"shapes": source}, card("lite0"), spec, runs=False)
        assert said == []  # a study that runs nothing has nothing to add
        record_audits(store, data, {"shapes": source}, card("lite0"), spec)
    assert kept == {audit_record.META: {}} and len(said) == 1
    assert said[0].startswith("shapes: not audited, for the study has no features of it")
    assert f"`headstart audit {shapes} --on-bad fail --target label`" in said[0]


def test_an_audit_may_be_left_out(small, tmp_path):
    record = run_study(small(layer=("pool",)), tmp_path / "out", audits=False)
    assert record.audits == {} and audited_section(record) is None


def test_a_study_that_takes_less_than_the_advice_leaves_it_out_aloud(small, tmp_path):
    said, record = said_in(lambda: run_study(small(layer=("pool",)), tmp_path / "out"))
    assert record.advised == () and any(line.startswith("no advice is recorded: at about") for line in said)
    assert "costs more than half of the study" in record.unadvised["shapes"]


def test_advice_is_recorded_by_default_where_it_takes_little(small, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(advice_record, "is_worth_it", lambda advice, study: True)
    monkeypatch.setattr(
        advice_record,
        "advice_before",
        lambda data, backbones, spec: asked.append(backbones) or ({"verdict": "x"}, ""),
    )
    record = run_study(small(layer=("pool",)), tmp_path / "out")
    assert record.advised == ("shapes",) and asked == [["lite0"]]
    run_study(small(layer=("pool",), head=("ridge",)), tmp_path / "out")
    other = run_study(small(layer=("pool",)), tmp_path / "other", advise=False)
    assert len(asked) == 1 and record.unadvised == {}
    assert other.unadvised == {"shapes": advice_record.UNWANTED}


@pytest.mark.parametrize(("advice", "study", "worth"), [(30.0, 61.0, True), (30.0, 59.0, False)])
def test_advice_is_worth_half_of_the_study(advice, study, worth):
    assert advice_record.is_worth_it(advice, study) is worth


def test_with_folds_no_advice_is_recorded_unless_it_is_asked_for(small, tmp_path, monkeypatch):
    monkeypatch.setattr(advice_record, "is_worth_it", lambda advice, study: True)
    record = run_study(small(layer=("pool",), folds=3, seeds=1), tmp_path / "out")
    assert record.advised == () and not any("advice" in line for line in record.warnings)
    assert record.unadvised == {"shapes": advice_record.FOLDS}


def test_the_networks_run_once_for_the_study_and_the_advice(small, tmp_path, monkeypatch):
    from headstart.features import extract as extraction

    ran = []
    real = extraction.run_items
    monkeypatch.setattr(extraction, "run_items", lambda *given: ran.append(len(given[3])) or real(*given))
    spec = small(layer=("stage6", "pool"), backbone=("lite0",), seeds=1, input_size=())
    record = run_study(spec, tmp_path / "out", advise=True)
    assert record.advised
    assert sum(ran) == len(record.tables[record.advised[0]]), ran
