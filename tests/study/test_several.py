"""A study of several outputs: what it asks, what it plans, how a run is measured."""

from __future__ import annotations

import csv
import dataclasses
import json
from types import SimpleNamespace

import numpy as np
import pytest

from headstart.base.errors import BadOptions, UnknownName, UsageError
from headstart.cli.declared import DataOptions, OutputFlags
from headstart.cli.fit_outputs import parsed
from headstart.cli.sources import open_targets, scanned
from headstart.methods.output import Output, encode
from headstart.methods.output_heads import OutputModel
from headstart.report.build import write_report
from headstart.report.sharing import training_words
from headstart.report.summary import summary_lines
from headstart.study.execute import run_study
from headstart.study.handover import hand_over
from headstart.study.joint_cells import model_of, run_joint_cell, split_answers, thresholds_of
from headstart.study.plan import make_plan
from headstart.study.record import load_record
from headstart.study.records import CellResult
from headstart.study.rows import result_from, result_row
from headstart.study.several import labelled_rows, make_several, outputs_in
from headstart.study.several_spec import said_of, several
from headstart.study.sources import scan_sources
from headstart.study.spec import StudySpec, read_spec, spec_mistakes, write_spec
from headstart.study.trained import trained_methods
from headstart.testing.outputs import labelled_files, marked_squares
from headstart.testing.plans import resolved
from headstart.testing.several import OUTPUTS, several_table

TARGETS = tuple(output.name for output in OUTPUTS)


@pytest.fixture
def tools(tmp_path):
    return several_table(tmp_path)


def spec_of(**given):
    return StudySpec(data=("tools",), target=TARGETS, **given)


# ---- the spec ----------------------------------------------------------------------------------------------------


def test_several_targets_or_a_kind_make_a_study_of_outputs():
    assert not several(StudySpec(data=("x",), target=("a",)))
    assert several(StudySpec(data=("x",), target=("a", "b")))
    assert several(StudySpec(data=("x",), target=("a",), kind=("a=number",)))


def test_every_mistake_about_outputs_is_told_at_once():
    spec = spec_of(
        kind=("wron=ordinal", "age=number", "classes"), levels=("low",), task=("retrieval",), per_class=(5,),
        sharing=("hrad",),
    )  # fmt: skip
    found = "\n".join(spec_mistakes(spec))
    for part in (
        "kind: no target is called 'wron'", "did you mean 'worn'", "kind: expected TARGET=VALUE, got 'classes'",
        "levels: expected TARGET=LOWEST,...,HIGHEST, got 'low'",
        "task: retrieval", "per_class: several outputs", "sharing: 'hrad' is not one of hard, soft, separate",
    ):  # fmt: skip
        assert part.casefold() in found.casefold(), (part, found)
    assert spec_mistakes(StudySpec(data=("x",), kind=("a=number",))) == [
        "target: name the columns of which a kind, levels or a separator are said"
    ]


def test_mistakes_about_the_training_of_outputs_are_told_before_anything_runs():
    trains = {"scenario": ("finetune",)}
    spec = spec_of(output_weight=("wron=2",), head_rate=("worn=-1",), class_weights=("grad",), **trains)
    found = "\n".join(spec_mistakes(spec))
    for part in (
        "did you mean 'worn'",
        "head_rate of worn: expected a number of at least 0, got '-1'",
        "'grad'",
    ):
        assert part in found, found
    frozen = spec_mistakes(spec_of(head_rate=("worn=2",), weighting="dwa"))
    assert [line.split(":")[0] for line in frozen] == [
        "weighting",
        "head_rate",
    ] and "add a scenario" in frozen[0]
    assert spec_mistakes(spec_of(class_weights=("worn",))) == []  # heads weigh classes too
    apart = spec_mistakes(spec_of(sharing=("separate",), output_weight=("worn=2",), tie=1.0, **trains))
    assert [line.split(":")[0] for line in apart] == ["output_weight", "tie"]
    alone = StudySpec(data=("x",), target=("a",), class_weights=("a",))
    assert spec_mistakes(alone) == ["class_weights: it is for several targets; leave it out, or name them"]


def test_flags_and_a_study_read_what_is_said_of_targets_alike():
    own = {"kind": ("age=number",), "levels": ("grade=low", "a=b", "high"), "separator": ("marks=",)}
    told, mistakes = said_of(spec_of(**own), TARGETS)
    flags = parsed(OutputFlags(**own), TARGETS)
    assert told["levels"] == {"grade": ["low", "a=b", "high"]} and not mistakes
    assert [told["kinds"], told["levels"], told["separators"]] == [
        flags["kind"], flags["levels"], flags["separator"],
    ]  # fmt: skip
    declared = {field.name: field for field in dataclasses.fields(StudySpec)}
    for field in dataclasses.fields(OutputFlags):
        assert field.name not in own or field.metadata == declared[field.name].metadata


def test_a_file_says_the_same_as_flags(tmp_path):
    spec = spec_of(
        levels=("grade=low", "mid", "high"), sharing=("hard",), weighting="dwa", output_weight=("age=2",),
        head_rate=("worn=0.5",), class_weights=("worn", "grade"), scenario=("finetune",),
    )  # fmt: skip
    assert read_spec(write_spec(spec, tmp_path / "study.toml")) == spec
    (tmp_path / "old.toml").write_text('data = ["x"]\ntarget = ""\n')
    assert read_spec(tmp_path / "old.toml").target == ()
    (tmp_path / "one.toml").write_text('data = ["x"]\ntarget = "age"\n')
    assert read_spec(tmp_path / "one.toml").target == ("age",)


# ---- data and plan -----------------------------------------------------------------------------------------------


def test_images_without_any_label_take_no_part(tools):
    cut = dataclasses.replace(tools, labels={"a": (None, "x", None), "b": ("y", None, None)}, paths=tools.paths[:3],
                              digests=tools.digests[:3], splits=None)  # fmt: skip
    assert labelled_rows(cut, ["a", "b"]) == [0, 1]


def test_splits_are_balanced_over_all_outputs(tools):
    data = make_several(dataclasses.replace(tools, splits=None), OUTPUTS[:2], seeds=2, folds=0)
    assert len(data.partitions) == 2 and data.target == "worn, grade"
    for name in ("worn", "grade"):
        column, fold = np.array(data.table.labels[name], dtype=object), data.partitions[0].folds[0]
        for level in {cell for cell in column if cell is not None}:
            share = (column[list(fold.test)] == level).sum() / (column == level).sum()
            assert 0.1 < share < 0.3
    assert data.classes() == ("worn=no", "worn=yes", "grade=low", "grade=mid", "grade=high")


def test_a_network_that_trains_runs_in_every_way_and_a_frozen_one_in_one(tools):
    spec = spec_of(
        scenario=("features", "finetune"), layer=("pool",), head=("logistic",), seeds=2, trainable=("last:1",)
    )
    data, variants = make_several(tools, OUTPUTS, seeds=2, folds=0), resolved(spec)
    plan = make_plan(
        spec, [data], variants, trained=trained_methods(spec, variants), uses_seed=lambda head, v: False
    )
    assert [cell.sharing for cell in plan.cells if not cell.trains] == ["hard"]
    assert {cell.version.split(".")[1] for cell in plan.cells} == {"2"}  # of data with ordered levels
    assert [(c.seed, c.sharing) for c in plan.cells if c.trains] == [
        (seed, way) for seed in (0, 1) for way in ("hard", "soft", "separate")
    ]
    assert len({cell.id for cell in plan.cells}) == len(plan.cells) == 7
    assert plan.cells[-1].target == "worn, grade, marks, age" and plan.cells[-1].method.endswith("separate")
    assert json.loads(plan.cells[-1].outputs)["targets"] == list(TARGETS)


# ---- one run -----------------------------------------------------------------------------------------------------


class Parrot:
    """Says the truth of each image by its name, but for the class of every fifth."""

    scenario, n_train_, n_validation_, selection_, selected_on_ = "features", 100, 50, 0.9, "validation"
    chosen_, seconds_ = {"worn": {"C": 1.0}}, {"extract": 0.0, "fit": 0.1}

    def fit_table(self, table, targets):
        assert list(targets) == list(TARGETS) and set(table.splits) == {"train", "validation"}
        own = Output("grade", "ordinal", ("low", "high"))  # trained where nothing was mid
        self.outputs_ = (OUTPUTS[0], own, *OUTPUTS[2:])
        limits = {"marks": (0.4, 0.3)}
        self.models_ = tuple(OutputModel(o, limits.get(o.name, ())) for o in self.outputs_)
        self.table = table
        return self

    def predict_outputs(self, items):
        whole = Parrot.whole
        rows = [whole.paths.index(item.name) for item in items]
        found = {}
        for output in self.outputs_:
            cells = [whole.labels[output.name][row] or (output.levels or ("1",))[0] for row in rows]
            coded = encode(output, cells, unknown="missing")
            if output.kind == "number":
                found[output.name] = coded
            elif output.kind == "labels":
                found[output.name] = np.where(coded == 1, 0.45, 0.29)
            else:
                codes = np.maximum(coded, 0)
                if output.name == "worn":
                    codes = np.array(
                        [1 - c if row % 5 == 0 else c for c, row in zip(codes, rows, strict=True)]
                    )
                found[output.name] = np.eye(len(output.levels))[codes] * 0.8 + 0.1
        return found


@pytest.fixture
def outcome(tools):
    Parrot.whole = tools
    spec = spec_of(layer=("pool",), head=("logistic",))
    data = make_several(tools, OUTPUTS, seeds=1, folds=0)
    (cell,) = make_plan(spec, [data], resolved(spec), uses_seed=lambda head, v: False).cells
    return run_joint_cell(cell, data, make_model=lambda cell: Parrot(), extract_seconds=2.0), data


def test_every_output_is_measured_where_it_has_its_label(outcome):
    (found, data) = outcome
    result = found.result
    assert result.status == "done", result.error
    worn = [data.table.labels["worn"][row] for row in found.test_rows]
    wrong = sum(cell is not None and row % 5 == 0 for cell, row in zip(worn, found.test_rows, strict=True))
    known = sum(cell is not None for cell in worn)
    assert result.scores["worn/accuracy"].value == pytest.approx(1 - wrong / known)
    assert result.scores["worn/accuracy"].n == known == result.outputs[0]["n"]
    assert result.scores["age/mae"].value == pytest.approx(0, abs=1e-6)
    assert result.scores["marks/subset_accuracy"].value == 1  # by its own thresholds, not by 0.5
    grades = [data.table.labels["grade"][row] for row in found.test_rows]
    assert result.scores["grade/accuracy"].value == pytest.approx(
        sum(g != "mid" for g in grades) / len(grades)
    )
    assert result.joint["outputs"] == ["worn", "grade", "marks"] and result.joint["n"] == known
    assert result.scores["joint"].value < result.scores["worn/accuracy"].value


def test_levels_that_train_lacks_get_no_probability(outcome):
    (found, data) = outcome
    grade = split_answers(data.outputs, found.probabilities)[1]
    assert (grade[:, 1] == 0).all() and grade[:, [0, 2]].max() > 0.8
    assert found.probabilities.shape == (100, len(data.classes()))


def test_a_result_comes_back_from_the_store_as_it_was(outcome):
    result = outcome[0].result
    back = result_from(json.loads(json.dumps(result_row(result))))
    assert back.scores == result.scores and back.joint == result.joint
    assert thresholds_of(back.outputs[2]).tolist() == [[0.4, 0.3]] * 100
    assert back.cell.id == result.cell.id


def test_what_a_model_raises_is_a_failed_run(outcome):
    (found, data) = outcome

    def broken(cell):
        raise ValueError("no such thing")

    failed = run_joint_cell(found.result.cell, data, make_model=broken).result
    assert failed.status == "failed" and "no such thing" in failed.error


def test_the_estimator_of_a_run_has_its_way_and_what_is_said(tools):
    spec = spec_of(
        scenario=("finetune",), trainable=("last:1",), kind=("age=number",), weighting="dwa", seeds=1
    )
    data, variants = make_several(tools, OUTPUTS, seeds=1, folds=0), resolved(spec)
    plan = make_plan(
        spec, [data], variants, trained=trained_methods(spec, variants), uses_seed=lambda h, v: False
    )
    made = {cell.sharing: model_of(cell, cache_gb=1.0) for cell in plan.cells}
    assert {way: model.sharing for way, model in made.items()} == {w: w for w in ("hard", "soft", "separate")}
    assert made["hard"].weighting == "dwa" and made["separate"].weighting == "fixed"
    assert made["hard"].kinds == {"age": "number"} and made["hard"].estimator.scenario == "finetune"


def test_what_is_said_of_training_is_part_of_a_run_and_reaches_its_estimator(tools):
    given = {"scenario": ("finetune",), "trainable": ("last:1",), "seeds": 1}
    data, variants = make_several(tools, OUTPUTS, seeds=1, folds=0), resolved(spec_of(**given))

    def cells(**said):
        spec = spec_of(**given, **said)
        trained = trained_methods(spec, variants)
        plan = make_plan(spec, [data], variants, trained=trained, uses_seed=lambda h, v: False)
        return {cell.sharing: cell for cell in plan.cells}

    said = {"output_weight": ("age=2",), "head_rate": ("worn=0.5",), "class_weights": ("worn",)}
    plain, told, weighed = cells(), cells(**said), cells(output_weight=("age=2",))
    assert all(plain[way].id != told[way].id for way in plain)
    assert plain["separate"].id == weighed["separate"].id and plain["hard"].id != weighed["hard"].id
    hard, alone = (model_of(told[way], cache_gb=1.0) for way in ("hard", "separate"))
    assert (hard.output_weights, hard.head_rates, hard.class_weights) == (
        {"age": 2.0},
        {"worn": 0.5},
        ["worn"],
    )
    assert (alone.output_weights, alone.head_rates) == (None, {"worn": 0.5})
    result = CellResult(cell=told["hard"], status="failed")
    words = training_words(SimpleNamespace(results=(result,)), "tools")
    for part in (
        "given weights (age 2)",
        "factors of the learning rate (worn 0.5)",
        "classes of worn count alike",
    ):
        assert part in words


def test_class_weights_reach_the_heads_of_frozen_networks(tools):
    data, variants = make_several(tools, OUTPUTS, seeds=1, folds=0), resolved(spec_of())

    def cell(**said):
        spec = spec_of(head=("logistic",), seeds=1, **said)
        return make_plan(spec, [data], variants, uses_seed=lambda h, v: False).cells[0]

    plain, told = cell(), cell(class_weights=("worn",))
    assert plain.id != told.id and model_of(told, cache_gb=1.0).class_weights == ["worn"]
    assert cell(class_weights=("worn",), head_rate=("age=2",)).outputs == told.outputs  # of training alone
    with pytest.raises(BadOptions, match="class_weights: 'worn': the head knn cannot weigh classes"):
        outputs_in(tools, spec_of(class_weights=("worn",), head=("knn", "lda")), TARGETS)


# ---- a whole study ----------------------------------------------------------------------------------------------


def test_a_study_reads_a_column_of_numbers_as_fit_does(tmp_path):
    images, columns = marked_squares(30)
    file = labelled_files(tmp_path / "squares", images, columns)
    flags = DataOptions(target="colour,light")
    assert "light" not in scanned(str(file), flags).labels  # it does not look like a column of labels
    fitted, targets = open_targets(str(file), flags)
    (source,) = scan_sources(StudySpec(data=(str(file),), target=("colour", "light")))
    assert targets == ("colour", "light") and source.table.labels == fitted.labels
    assert [output.kind for output in source.outputs] == ["classes", "number"]
    with pytest.raises(UnknownName, match="did you mean 'light'"):
        scan_sources(StudySpec(data=(str(file),), target=("colour", "lihgt")))


def test_a_study_of_outputs_runs_goes_on_and_is_reported(tools, tmp_path):
    file = tmp_path / "tools.csv"
    with file.open("w", newline="") as handle:
        columns = [tools.labels[name] for name in TARGETS]
        rows = zip(tools.paths, *columns, tools.splits, strict=True)
        csv.writer(handle).writerows([["path", *TARGETS, "split"], *rows])

    spec = StudySpec(
        data=(str(file),), image_root=tools.root, target=TARGETS, levels=("grade=low", "mid", "high"), kind=("age=number",),
        layer=("pool",), head=("logistic",), input_size=(32,), engine="torch", seeds=1,
    )  # fmt: skip
    record = run_study(spec, tmp_path / "out")
    (row,) = record.joint
    assert row.status == "done" and record.best_joint == {"tools": row.method}, row.errors
    assert {"joint", "worn/accuracy", "grade/kappa", "marks/map", "age/mae"} <= set(row.scores)
    assert [o["kind"] for o in record.outputs["tools"]] == ["classes", "ordinal", "labels", "number"]
    (line,) = [line for line in record.warnings if "have no maps" in line]
    assert line.startswith("tools: the errors of several outputs have no maps here; `headstart explain")
    found = record.audits["tools"]
    assert found["targets"] == list(TARGETS) and found["n_images"] == len(record.tables["tools"])
    looked = {(each["check"], each["column"]): each["skipped"] for each in found["checked"]}
    assert looked["duplicates", None] is looked["balance", "worn"] is looked["balance", "marks"] is None
    assert "is of numbers" in looked["balance", "age"] and "sets of labels" in looked["cues", "marks"]
    assert "--image-root" in found["again"] and "--target worn,grade,marks,age" in found["again"]
    assert record.summaries == () and "all right" not in summary_lines(record).missing
    again = run_study(spec, tmp_path / "out")
    assert again.results == load_record(tmp_path / "out").results
    handed = hand_over(tmp_path / "out")
    assert handed.target == ",".join(TARGETS)
    assert [model.output.name for model in handed.classifier.models_] == list(TARGETS)
    assert "Several outputs" in write_report(record, tmp_path / "out" / "report.html").read_text("utf-8")


def test_a_study_of_outputs_by_given_folds(tools, tmp_path):
    file = tmp_path / "folds.csv"
    with file.open("w", newline="") as handle:
        columns = [tools.labels[name] for name in TARGETS]
        rows = zip(tools.paths, *columns, [row % 3 for row in range(len(tools))], strict=True)
        inner = [
            [*row, *("" if row[-1] == fold else at // 3 % 2 for fold in range(3))]
            for at, row in enumerate(rows)
        ]
        header = ["path", *TARGETS, "fold", *(f"inner_{fold}" for fold in range(3))]
        csv.writer(handle).writerows([header, *inner])
    spec = StudySpec(
        data=(str(file),), image_root=tools.root, target=TARGETS, levels=("grade=low", "mid", "high"), kind=("age=number",),
        layer=("pool",), head=("logistic",), input_size=(32,), engine="torch", fold_column="fold",
    )  # fmt: skip
    record = run_study(spec, tmp_path / "out", audits=False)
    assert [(each.cell.fold, each.status) for each in record.results] == [
        (fold, "done") for fold in (1, 2, 3)
    ]
    assert {each.selected_on for each in record.results} == {"1 of 2 given inner folds"}
    tested = sorted(row for cell in record.test_rows for row in record.test_rows[cell])
    assert tested == list(range(len(tools)))
    scores = record.joint[0].scores
    assert scores["grade/accuracy"].n == len(tools) and scores["age/mae"].high > 1
    assert scores["age/r2"].low < 0  # the interval of a measure that goes below 0 is not cut there
    assert hand_over(tmp_path / "out").target == ",".join(TARGETS)


def test_advice_is_of_one_target(tmp_path):
    with pytest.raises(UsageError, match="advice is of one target"):
        run_study(spec_of(layer=("pool",)), tmp_path / "out", advise=True)


def test_a_level_that_is_not_named_is_told_before_anything_runs(tools, tmp_path):
    from headstart.study.several import outputs_in

    with pytest.raises(BadOptions, match="not named"):
        outputs_in(tools, spec_of(levels=("grade=low", "high")), TARGETS)
