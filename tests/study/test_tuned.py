"""Tuning as a dimension of a study: every method beside its defaults, on what may choose, and never on test images."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest

pytest.importorskip("optuna")

from headstart.base.errors import BadOptions, DataError, UsageError
from headstart.base.events import listening
from headstart.methods.heads import make_head
from headstart.methods.heads_catalog import HEAD_NAMES
from headstart.methods.training_options import TRAINED
from headstart.methods.tune.trials import HeadTrials, Measured
from headstart.report.answers import load_answers
from headstart.report.build import build_document
from headstart.report.document import Claim, Points
from headstart.report.sections.tuned import overall, tuned_lines, worths_of
from headstart.study import error_maps, execute
from headstart.study.advice_starts import starts_of
from headstart.study.advise import predict
from headstart.study.error_maps import head_maps
from headstart.study.execute import run_study
from headstart.study.handover import hand_over
from headstart.study.record import load_record
from headstart.study.spec import StudySpec
from headstart.study.tuned import how_tuned, whole_space
from headstart.testing.images import class_folders, split_folders
from headstart.testing.situations import tiny_situation

TRIALS = 5


@pytest.fixture(scope="module")
def spec_of(tiny_name):
    """A spec of two heads on a tiny network, tuned."""

    def make(data, **options):
        given = {
            "data": (str(data),), "backbone": (tiny_name,), "layer": ("pool",), "head": ("nearest_mean", "lda"),
            "seeds": 1, "input_size": (32,), "tune": TRIALS,
        }  # fmt: skip
        return StudySpec(**{**given, **options})

    return make


@pytest.fixture(scope="module")
def finished(tmp_path_factory, spec_of, feature_cache):
    """A tuned study, with the spec and folder of it."""
    folder = tmp_path_factory.mktemp("tuned")
    patch = pytest.MonkeyPatch()
    patch.setenv("HEADSTART_CACHE", str(feature_cache))
    spec = spec_of(class_folders(folder / "shapes", n_per_class=10))
    record = run_study(spec, folder / "out", command="headstart study shapes --tune 5")
    patch.undo()
    return spec, folder / "out", record


@pytest.fixture
def measured(monkeypatch):
    """Every trial of a head from here on; raises Ctrl-C at the trial of that number."""
    trials, stop = [], []
    real = HeadTrials.measure

    def measure(self, params, tell):
        if stop and len(trials) == stop[0]:
            raise KeyboardInterrupt
        trials.append(dict(params))
        return real(self, params, tell)

    monkeypatch.setattr(HeadTrials, "measure", measure)
    return trials, stop


def sections(document):
    """Every section, inner ones too."""
    pending, found = list(document.sections), []
    while pending:
        each = pending.pop(0)
        found.append(each)
        pending += each.parts
    return found


def test_every_method_is_run_with_its_defaults_and_tuned_with_equally_many_trials(finished):
    _, _, record = finished
    assert {row.method.removesuffix(", tuned") for row in record.summaries} == {
        row.method for row in record.summaries if not row.tuned
    }
    tuned = [result for result in record.results if result.cell.tuned]
    assert len(tuned) == 2 == len(record.results) - len(tuned)
    for result in tuned:
        (search,) = result.tuning
        assert len(search["trials"]) == TRIALS and result.seconds["tune"] > 0
        default = next(r for r in record.results if r.cell.method == result.cell.base_method)
        first = search["trials"][0]
        assert first["default"] and first["value"] == pytest.approx(default.selection)
        best = next(trial for trial in search["trials"] if trial["number"] == search["best"])
        assert result.selection == pytest.approx(best["value"]) and result.selection >= default.selection


def test_a_finished_tuned_study_runs_nothing(finished, measured):
    spec, folder, record = finished
    again = run_study(spec, folder)
    assert measured[0] == [] and {r.cell.id for r in again.results} == {r.cell.id for r in record.results}


def test_errors_of_a_tuned_head_have_maps_of_the_head_that_was_found(spec_of, tmp_path, monkeypatch):
    """The head is fitted again with what its search chose, so that it says what the run said."""
    made = {}

    def spied(cell, data, features, probabilities, make_head):
        made[cell.id] = (
            make_head(cell.head).get_params(),
            head_maps(cell, data, features, probabilities, make_head),
        )
        return made[cell.id][1]

    monkeypatch.setattr(error_maps, "head_maps", spied)
    monkeypatch.setattr(execute, "best_heads", lambda cells, results: [each for each in cells if each.tuned])
    record = run_study(spec_of(class_folders(tmp_path / "shapes", n_per_class=10)), tmp_path / "out")
    tuned = [each for each in record.results if each.cell.tuned]
    assert {each.cell.id for each in tuned} == set(made) and len(made) == 2
    assert any(error_maps.first_fold_options(each) for each in tuned)
    for each in tuned:
        (search,) = each.tuning
        best = search["trials"][search["best"]]
        params, maps = made[each.cell.id]
        assert params == make_head(each.cell.head, **({} if best["default"] else best["params"])).get_params()
        assert record.maps.get(each.cell.id, ()) == maps
    assert not any("maps of its errors" in line for line in record.warnings)


def test_a_tuned_head_that_is_the_best_is_one_whose_errors_get_maps(finished):
    _, _, record = finished
    cells = [each.cell for each in record.results]
    raised = {
        each.cell.id: replace(each, selection=1.0 if each.cell.tuned else 0.0) for each in record.results
    }
    (found,) = error_maps.best_heads(cells, raised)
    assert found.tuned


def test_a_stopped_search_goes_on_with_the_trials_it_has(spec_of, tmp_path, measured):
    trials, stop = measured
    spec = spec_of(class_folders(tmp_path / "shapes", n_per_class=10), head=("lda",))
    stop.append(3)
    with pytest.raises(KeyboardInterrupt):
        run_study(spec, tmp_path / "out")
    stop.clear()
    record = run_study(spec, tmp_path / "out")
    (result,) = [each for each in record.results if each.cell.tuned]
    assert len(result.tuning[0]["trials"]) == TRIALS and len(trials) <= TRIALS


def test_what_is_tuned_on_is_never_what_is_tested(spec_of, tmp_path, monkeypatch):
    parts = []
    real = HeadTrials.measure
    monkeypatch.setattr(
        HeadTrials, "measure", lambda self, *given: parts.append(self.part) or real(self, *given)
    )
    spec = spec_of(class_folders(tmp_path / "shapes", n_per_class=10), head=("nearest_mean",), folds=2)
    record = run_study(spec, tmp_path / "out")
    (result,) = [each for each in record.results if each.cell.tuned]
    assert len(result.tuning) == 2 and len({part.test for part in parts}) == 2
    assert all(not set(part.seen) & set(part.test) and not part.validation for part in parts)


def test_an_image_that_would_be_tuned_on_and_tested_is_refused(spec_of, tmp_path):
    folder = split_folders(tmp_path / "shapes")
    first = next((folder / "train").rglob("*.jpg"))
    shutil.copy(first, folder / "test" / first.parent.name / "copy.jpg")
    with pytest.raises(DataError, match=r"1 of .* test images would also be tuned on"):
        run_study(spec_of(folder), tmp_path / "out")
    run_study(spec_of(folder, tune=None, head=("nearest_mean",)), tmp_path / "out")


def test_a_folder_that_was_tuned_on_images_that_test_now_is_refused(spec_of, tmp_path):
    folder = split_folders(tmp_path / "shapes")
    spec = spec_of(folder, head=("nearest_mean",), tune=2)
    run_study(spec, tmp_path / "out")
    moved = next((folder / "train").rglob("*.jpg"))
    shutil.move(moved, folder / "test" / moved.parent.name / "moved.jpg")
    with pytest.raises(UsageError, match="tuned on 1 of the images that are to test now"):
        run_study(spec, tmp_path / "out")
    run_study(spec, tmp_path / "other")


def test_few_images_a_class_are_tuned_on_inner_folds_of_them(spec_of, tmp_path):
    spec = spec_of(class_folders(tmp_path / "shapes", n_per_class=10), per_class=(4,), head=("lda",), tune=3)
    record = run_study(spec, tmp_path / "out")
    (result,) = [each for each in record.results if each.cell.tuned]
    assert result.n_train == 12 and result.selected_on == "4 inner folds"


def test_a_network_that_trains_is_tuned_with_what_the_study_fixes_left_alone(spec_of, tmp_path):
    spec = spec_of(
        class_folders(tmp_path / "shapes", n_per_class=10), scenario=("finetune",), trainable=("last:1",),
        epochs=1, views=1, learning_rate=0.003, augment="crop", dtype="float32", tune=2,
    )  # fmt: skip
    record = run_study(spec, tmp_path / "out")
    default, tuned = record.results
    assert not default.cell.tuned and tuned.status == "done", tuned.error
    (search,) = tuned.tuning
    assert {each["name"] for each in search["space"]} == {
        "batch_size", "weight_decay", "layer_decay", "label_smoothing",
    }  # fmt: skip
    assert len(search["trials"]) == 2 and tuned.training[0]["learning_rate"] == 0.003
    assert tuned.cell.base_method == default.cell.method


def test_the_hand_over_fits_with_the_options_that_were_found(finished):
    _, folder, record = finished
    (lda,) = [each for each in record.results if each.cell.head == "lda" and each.cell.tuned]
    made = hand_over(folder, cell=lda.cell.id)
    best = next(each for each in lda.tuning[0]["trials"] if each["number"] == lda.tuning[0]["best"])
    assert made.classifier.head_options == (None if best["default"] else best["params"])
    assert made.classifier.selection_ == pytest.approx(lda.selection)


def _worths(record):
    return [each for found in worths_of(record, load_answers(record)).values() for each in found]


def test_the_report_says_what_tuning_was_worth_from_the_same_numbers(finished):
    _, _, record = finished
    worths = _worths(record)
    assert {each.worth.method for each in worths} == {row.method for row in record.summaries if not row.tuned}
    chosen = [each.worth.chosen_by for each in worths]
    assert chosen == sorted(chosen, reverse=True)
    for each in worths:
        rows = {row.method: row.scores["accuracy"].value for row in record.summaries}
        gap = rows[f"{each.worth.method}, tuned"] - rows[each.worth.method]
        assert each.worth.difference["value"] == pytest.approx(gap)
        assert each.worth.difference["low"] <= gap <= each.worth.difference["high"]
    document = build_document(record, load_answers(record))
    (section,) = [each for each in sections(document) if each.title == "What tuning was worth"]
    assert next(block for block in section.blocks if isinstance(block, Claim)).text == overall(worths)
    assert any("The search of" in each.title for each in sections(document))


def test_a_best_value_on_a_border_is_told(spec_of, tmp_path, monkeypatch):
    def fewer_is_better(self, params, tell):
        full = {each.name: params.get(each.name, each.default) for each in self.space.dimensions}
        full["n_neighbors"] = full["n_neighbors"] or 5
        return Measured(1 / full["n_neighbors"], None, full)

    monkeypatch.setattr(HeadTrials, "measure", fewer_is_better)
    (tmp_path / "space.toml").write_text("[knn]\nn_neighbors = [3, 5]\n")
    spec = spec_of(
        class_folders(tmp_path / "shapes", n_per_class=10), head=("knn",), tune=8,
        tune_space=str(tmp_path / "space.toml"),
    )  # fmt: skip
    record = run_study(spec, tmp_path / "out")
    (knn,) = [each for each in record.results if each.cell.tuned]
    (border,) = knn.tuning[0]["borders"]
    assert (border["name"], border["value"], border["end"]) == ("n_neighbors", 3, "low")
    assert any("lies on the border of the space" in line for line in tuned_lines(_worths(record)))
    document = build_document(record, load_answers(record))
    (section,) = [each for each in sections(document) if each.title == "What tuning was worth"]
    (points,) = [block for block in section.blocks if isinstance(block, Points)]
    assert any("lies on the border of the space" in str(point) for point in points.items)


def test_a_study_begins_with_plain_defaults_as_advice_names_nothing_that_it_searches(spec_of, tmp_path):
    advice = predict(tiny_situation("stage6"))
    first = advice.candidates[0]
    cuts = [replace(first, scenario="finetune", layer="", head="", cut=cut) for cut in ("last:1", "last:2")]
    advice = replace(advice, candidates=(*advice.candidates, *cuts))
    methods = (*HEAD_NAMES, *TRAINED)
    starts = starts_of(advice, methods, ("stage4", "stage6", "pool"))
    assert {name for each in starts.values() for one in each for name in one} == {"layer", "trainable"}
    for name, each in starts.items():
        searched = {dimension.name for dimension in whole_space(name).dimensions}
        assert not any(searched & set(one) for one in each), "then a study should begin with it"
    heard = []
    spec = spec_of(class_folders(tmp_path / "shapes", n_per_class=10), head=("lda",), tune=2)
    with listening(heard.append):
        record = run_study(spec, tmp_path / "out")
    assert any("begin with each method's own defaults" in getattr(each, "message", "") for each in heard)
    (search,) = next(each.tuning for each in record.results if each.cell.tuned)
    assert search["trials"][0]["default"]


def test_spaces_are_narrowed_by_a_file_and_are_part_of_a_runs_id(spec_of, tmp_path):
    file = tmp_path / "space.toml"
    file.write_text("[lda]\nshrinkage = [0.1, 0.5]\nunit_length = true\nstandardise = false\n")
    wide, narrow = how_tuned(spec_of(tmp_path)), how_tuned(spec_of(tmp_path, tune_space=str(file)))
    assert wide["nearest_mean"] == narrow["nearest_mean"] and wide["lda"] != narrow["lda"]
    assert json.loads(narrow["lda"])["space"]["shrinkage"] == [0.1, 0.5]


def test_every_mistake_of_tuning_is_told_at_once(spec_of, tmp_path):
    file = tmp_path / "space.toml"
    file.write_text(
        "[lda]\nshrinkage = 0.5\nunit_length = true\nstandardise = false\n[nearest_mean]\nmetrik = 'cosine'\n[knn]\n"
    )
    with pytest.raises(BadOptions) as told:
        run_study(spec_of(tmp_path, tune_space=str(file), tune_budget="soon"), tmp_path / "out")
    said = "\n".join(told.value.mistakes)
    for part in (
        "tune_budget: 'soon' is no time",
        "lda has one point",
        "did you mean 'metric'",
        "'knn' is not",
    ):
        assert part in said
    with pytest.raises(BadOptions, match="tune_space: nothing is tuned"):
        run_study(spec_of(tmp_path, tune=None, tune_space=str(file)), tmp_path / "out")
    with pytest.raises(BadOptions, match="tune: nothing that the study compares"):
        run_study(spec_of(tmp_path, task=("retrieval",)), tmp_path / "out")


def test_a_record_is_read_as_it_was_kept(finished):
    _, folder, record = finished
    assert json.dumps([r.tuning for r in load_record(folder).results]) == json.dumps(
        [r.tuning for r in record.results]
    )
