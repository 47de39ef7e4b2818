"""Several outputs in the report: every way, whether sharing helped, each output looked at closely."""

import dataclasses
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from headstart.cli.study import joint_measures
from headstart.measure.verdicts import BETTER, WORSE
from headstart.report import told_values
from headstart.report.archive_tables import method_rows, run_rows
from headstart.report.build import build_document, write_report
from headstart.report.document import Figure, Table, blocks_in
from headstart.report.html import render
from headstart.report.latex import latex_tables
from headstart.report.markdown import markdown
from headstart.report.paper import build_paper
from headstart.report.sections.references import used
from headstart.report.sections.several import shared_words
from headstart.report.sharing import helped, run_scores, ways_of
from headstart.report.statistics_words import statistics_used
from headstart.report.summary import summary_lines
from headstart.report.told_values import over_folds
from headstart.report.without_paths import without_paths
from headstart.study.record import load_record
from headstart.testing.several import stored_several


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return stored_several(tmp_path_factory.mktemp("several"))


@pytest.fixture(scope="module")
def record(folder):
    return load_record(folder)


@pytest.fixture(scope="module")
def document(record):
    return build_document(record, picture_bytes=0)


def tables(document):
    blocks = (block for section in document.sections for block in blocks_in(section))
    return {block.id: block for block in blocks if isinstance(block, Table)}


def test_every_method_has_a_row_in_every_way_with_a_joint_column(record, document):
    assert {row.sharing for row in record.joint} == {"hard", "soft", "separate"} and len(record.joint) == 4
    table = tables(document)["outputs-0-table"]
    titles = [column.title for column in table.columns]
    assert titles[3:8] == [
        "all right", "worn: accuracy", "grade: accuracy", "marks: macro F1", "age: mean abs. error",
    ]  # fmt: skip
    assert [row.entries[1].text for row in table.rows] == ["hard", "frozen", "separate", "soft"]
    best = record.joint[0].scores["joint"]
    assert table.rows[0].entries[3].sort == best.value and table.rows[0].mark == "best"


def test_ways_of_sharing_and_ordered_levels_are_cited(record):
    uses = used(record, ["intervals"])
    assert uses["caruana1997"] == "hard sharing" and uses["duong2015"] == "soft sharing"
    assert uses["cao2020"] == "ordinal outputs" and "kappa" in uses["cohen1968"]
    assert "bergstra2011" not in uses and "hendrycks2019" not in uses


def test_tuning_pooling_and_other_test_images_are_cited_where_they_were_used(record):
    first = dataclasses.replace(
        record.joint[0],
        options="tuned",
        pooling="gem",
        cut="all",
        shifts=(SimpleNamespace(kind="corruptions"),),
    )
    changed = dataclasses.replace(record, joint=(first,))
    uses = used(changed, statistics_used(changed, {}, {}))
    assert {"bergstra2011", "li2017", "radenovic2017", "hendrycks2019"} <= set(uses)


def test_the_ways_are_compared_in_pairs_output_by_output(record):
    (ways,) = ways_of(record, "tools")
    assert set(ways.verdicts) == {"worn", "grade", "marks", "age", "joint"}
    assert ways.verdicts["worn"].between("hard sharing", "separate networks").kind == BETTER
    assert ways.verdicts["grade"].between("hard sharing", "separate networks").kind == WORSE
    assert helped(ways, "hard") == (["worn"], ["grade"])
    assert ways.seconds_ratio("hard") == pytest.approx(10 / 40) and ways.seconds_ratio("separate") == 1


def test_the_sentence_tells_the_numbers_of_the_table(record, document):
    (ways,) = ways_of(record, "tools")
    said = shared_words(ways, "hard")
    assert "hard sharing helped on worn and cost accuracy on grade" in said
    assert "in 0.25 of the seconds of training (10.0 s against 40.0 s for all of them)" in said
    rows = tables(document)["outputs-0-ways-0"].rows
    pair = next(
        r for r in rows if [e.text for e in r.entries[:3]] == ["worn", "hard sharing", "separate networks"]
    )
    low, high = pair.entries[3].small.split(" to ")
    assert f"worn +{pair.entries[3].text} points, {low} to {high}" in said
    assert said in summary_lines(record).verdict


def test_missing_labels_are_compared_nowhere(record):
    run = next(result for result in record.results if result.cell.sharing == "hard")
    scores = run_scores(record, run)
    missing = [label is None for label in record.tables["tools"].labels["worn"]]
    tested = sorted(record.test_rows[run.cell.id])
    assert np.isnan(scores["worn"]).tolist() == [missing[row] for row in tested]
    assert np.isnan(scores["joint"]).tolist() == np.isnan(scores["worn"]).tolist()
    assert run.outputs[0]["n_missing"] == sum(missing[row] for row in tested) > 0


def test_a_fold_without_a_label_of_an_output_is_left_out_of_its_comparison():
    at = np.repeat([0.0, 1.0, 2.0], 4)
    one, other = np.tile([1.0, 0.0, 1.0, 1.0], 3), np.repeat([0.0, 0.5, 1.0], 4)
    one[:4] = other[:4] = np.nan
    difference = over_folds(["a", "b"], [[one], [other]], [at]).pairs[0].difference
    assert difference.n == 2 and difference.value == pytest.approx(0.75 - 0.75)


def test_given_folds_are_compared_with_one_over_k_minus_one(tmp_path, monkeypatch):
    record = load_record(stored_several(tmp_path, seeds=3, ways=("hard", "separate")))
    results, ids, ratios = [], {}, []
    for each in record.results:
        cell = dataclasses.replace(each.cell, fold=each.cell.seed + 1, split_digest=f"fold {each.cell.seed}")
        results.append(dataclasses.replace(each, cell=cell, n_test=20, n_train=60, n_validation=20))
        ids[each.cell.id] = cell.id
    folded = dataclasses.replace(
        record,
        results=tuple(results),
        joint=tuple(dataclasses.replace(row, cells=tuple(map(ids.get, row.cells))) for row in record.joint),
        probabilities={ids[id]: each for id, each in record.probabilities.items()},
        test_rows={ids[id]: each for id, each in record.test_rows.items()},
    )
    real = told_values.compare_all_splits
    monkeypatch.setattr(
        told_values,
        "compare_all_splits",
        lambda *given, **named: ratios.append(named["test_over_train"]) or real(*given, **named),
    )
    (ways,) = ways_of(folded, "tools")
    assert ways.how == "over 3 given folds" and set(ratios) == {0.25} and len(ratios) == len(ways.verdicts)


def test_each_output_has_its_confusion_labels_or_dots_in_order(document):
    found = tables(document)
    assert [column.title for column in found["outputs-0-1-confusion"].columns[1:]] == ["low", "mid", "high"]
    assert [row.entries[0].text for row in found["outputs-0-2-labels"].rows] == ["dent", "rust"]
    assert [row.entries[5].text for row in found["outputs-0-2-labels"].rows] == ["0.50", "0.40"]
    figures = {b.id for s in document.sections for b in blocks_in(s) if isinstance(b, Figure)}
    assert {
        "outputs-0-0-reliability",
        "outputs-0-1-reliability",
        "outputs-0-2-reliability",
        "outputs-0-3-dots",
    } <= figures


def test_the_data_are_told_output_by_output(document):
    found = tables(document)
    assert [row.entries[0].text for row in found["data-0-output-1"].rows] == ["low", "mid", "high"]
    assert "data-0-counts" not in found
    page = render(document)
    assert "20 images have no label of worn" in page and "not used here: maker" in page
    assert "quadratic" in page or "weighted kappa" in page


def test_a_study_of_outputs_says_nothing_of_one_class(document, record):
    page = render(document)
    assert "Nothing has finished" not in page
    assert "4 methods: 1 backbone (lite0)" in page and "ways of sharing: hard, soft and separate" in page
    assert render(build_document(load_record(record.folder), picture_bytes=0)) == page


def test_the_paper_and_the_archive_tell_it_too(record):
    text = markdown(build_paper(record).document)
    assert "Several outputs" in text and "hard sharing helped on worn" in text
    assert "every method in every way" in latex_tables(build_paper(without_paths(record)).document)
    (row, *_), runs = method_rows(record), run_rows(record)
    assert row["joint"] == record.joint[0].scores["joint"].value and row["grade/kappa"] is not None
    assert runs[0]["sharing"] in ("hard", "soft", "separate") and runs[0]["age/mae"] > 0


def test_a_way_alone_has_no_verdict(tmp_path):
    record = load_record(stored_several(tmp_path, ways=("hard",), seeds=1))
    assert ways_of(record, "tools") == [] and summary_lines(record).sharing == ()
    assert "outputs-0-table" in tables(build_document(record, picture_bytes=0))


def test_nothing_finished_is_said(record):
    empty = dataclasses.replace(record, results=(), joint=tuple(
        dataclasses.replace(row, scores={}, status="missing", n_seeds=0) for row in record.joint
    ), best_joint={})  # fmt: skip
    assert "No run of several outputs has finished yet" in render(build_document(empty, picture_bytes=0))


def test_the_report_of_outputs_loads_no_torch(folder, tmp_path):
    code = (
        "import sys; from headstart.study.record import load_record; from headstart.report.build import write_report; "
        f"write_report(load_record({str(folder)!r}), {str(tmp_path / 'page.html')!r}); "
        "assert 'torch' not in sys.modules, 'torch was loaded'"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert write_report(load_record(folder), tmp_path / "again.html").is_file()


def test_the_table_of_the_terminal_says_what_the_columns_of_outputs_are(record):
    said = joint_measures(list(summary_lines(record).joint))
    assert said == "worn: accuracy; grade: accuracy; marks: macro F1; age: mean abs. error"
    assert joint_measures([]) == ""
