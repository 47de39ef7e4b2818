"""Maps of the surest errors: made while the network is at hand, kept coarse, read without a network."""

import csv
import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from headstart.report.build import build_document, write_report
from headstart.report.document import Gallery
from headstart.report.paper import build_paper
from headstart.report.pdf import paper_data
from headstart.study.error_map import sanity_of
from headstart.study.error_maps import (
    N_MAPS,
    best_heads,
    error_map,
    mapped_output,
    shown_closely,
    surest_errors,
    without_maps,
)
from headstart.study.execute import run_study
from headstart.study.record import load_record
from headstart.study.spec import StudySpec
from headstart.study.store import StudyStore
from headstart.testing.records import tiny_record
from headstart.testing.several import OUTPUTS, several_table
from headstart.testing.stored_studies import stored_study


def test_the_surest_errors_come_first_and_right_answers_never():
    said = np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.05, 0.95]])
    assert surest_errors(said, np.array([1, 0, 1, 0]), 2) == [3, 0]
    assert surest_errors(said, np.array([0, 1, 1, 1])) == []


def test_a_map_is_kept_in_256_steps_and_reads_back():
    grid = np.array([[0.0, 2.0, 1.0], [0.5, 0.0, 4.0]], np.float32)
    kept = error_map("a.jpg", "cat", grid)
    assert np.abs(kept.grid() / 255 - grid / 4).max() <= 1 / 255
    assert error_map("a.jpg", "cat", np.zeros((2, 2))).grid().max() == 0


def test_the_run_that_a_report_looks_at_is_the_first_of_its_method(tmp_path):
    record = tiny_record(tmp_path, per_class=5, seeds=(0, 1))
    cells = [each.cell for each in record.results]
    assert [cell.seed for cell in cells if shown_closely(cell, cells)] == [0] * len({c.method for c in cells})
    found = best_heads(cells, {each.cell.id: each for each in record.results})
    assert [(cell.method, cell.seed) for cell in found] == [(record.best["shapes"], 0)]


def test_the_runs_that_a_report_may_show_have_maps_of_their_errors(small, tiny_name, tmp_path):
    spec = small(
        scenario=("features", "finetune"), backbone=(tiny_name,), trainable=("last:1",), layer=("pool",), head=("lda",),
        seeds=1, engine="auto", epochs=1, views=1, learning_rate=0.003, dtype="float32",
    )  # fmt: skip
    record = run_study(spec, tmp_path / "study")
    with StudyStore(tmp_path / "study", must_exist=True) as store:
        kept = {each.cell.method: store.maps(each.cell.id) for each in record.results}
        assert not any(name.startswith("maps ") for name in store.meta())
    trained = next(maps for method, maps in kept.items() if method.startswith("finetune"))
    for maps in (trained, kept[record.best["shapes"]]):
        assert maps is not None and len(maps) <= N_MAPS
        assert all(each.grid().shape == (each.rows, each.columns) and each.rows >= 1 for each in maps)
        assert all(each.checked and each.words() for each in maps)
    assert not any("no maps of its errors" in line for line in record.warnings)


def galleries_of(record):
    return [
        (section.id, block)
        for section in sections_in(build_document(record).sections)
        for block in section.blocks
        if isinstance(block, Gallery) and block.id.endswith("-maps")
    ]


def sections_in(sections):
    for section in sections:
        yield section
        yield from sections_in(section.parts)


def with_maps(folder, *maps):
    """The record of a stored study whose best method has these maps of errors."""
    made = stored_study(folder, per_class=10, seeds=(0,))
    best = next(row for row in made.summaries if row.method == made.best["shapes"])
    with StudyStore(folder / "study", must_exist=True) as store:
        store.put_maps(best.cells[0], list(maps))
    return load_record(folder / "study"), best.cells[0]


CHECKED = replace(error_map("picture 4.jpg", "cross", np.eye(3)), checked=True, randomised=0.124, other=-0.2)
FLAT = replace(error_map("picture 5.jpg", "cross", np.zeros((3, 3))), checked=True)


def test_report_and_paper_show_them_where_there_are_errors(tmp_path):
    record, _ = with_maps(tmp_path, error_map("picture 4.jpg", "cross", np.eye(3, dtype=np.float32)))
    ((_, gallery),) = galleries_of(record)
    (title, remark, pictures) = gallery.groups[0]
    assert (title, remark, len(pictures)) == ("true: circle", "said: cross", 2)
    assert "were not compared with those of random weights" in gallery.caption
    paper = build_paper(record)
    blocks = [each for section in paper_data(paper.document)["sections"] for each in section["blocks"]]
    assert [len(each["groups"]) for each in blocks if each["kind"] == "gallery"] == [1]
    assert "selvaraju2017" in paper.bibliography.keys and "adebayo2018" not in paper.bibliography.keys


def test_report_and_paper_tell_the_correlation_with_random_weights_of_each_and_of_all(tmp_path):
    record, _ = with_maps(tmp_path, CHECKED, FLAT)
    paper = build_paper(record)
    blocks = [each for section in paper_data(paper.document)["sections"] for each in section["blocks"]]
    (printed,) = [each for each in blocks if each["kind"] == "gallery"]
    html = write_report(record, tmp_path / "report.html").read_text("utf-8")
    for text in (html, json.dumps(printed)):
        assert (
            "said: cross; random weights: 0.12" in text and "said: cross; random weights: map is flat" in text
        )
        assert "with those of random weights (one draw): 0.12, below 0.3: the map hangs on what" in text
    assert "adebayo2018" in paper.bibliography.keys


def test_a_record_of_an_older_study_has_maps_without_a_figure(tmp_path):
    record, cell = with_maps(tmp_path, CHECKED)
    older = {name: getattr(CHECKED, name) for name in ("path", "said", "rows", "columns", "values")}
    with StudyStore(tmp_path / "study", must_exist=True) as store:
        store.put_meta(**{f"maps {cell}": [older]})
    (found,) = load_record(tmp_path / "study").maps[cell]
    assert not found.checked and found.words() == "" and sanity_of([found]) is None
    assert np.array_equal(found.grid(), CHECKED.grid())
    assert record.maps[cell] == (CHECKED,) and sanity_of([CHECKED]).passed


# ---- several outputs ---------------------------------------------------------------------------------------------


def outputs_study(folder, tiny_name, **given):
    """A study of ordered levels and of classes, in that order, that means nothing: every network errs."""
    table = several_table(folder, n=48)
    file = folder / "tools.csv"
    with file.open("w", newline="") as handle:
        rows = zip(table.paths, table.labels["grade"], table.labels["worn"], table.splits, strict=True)
        csv.writer(handle).writerows([["path", "grade", "worn", "split"], *rows])
    spec = StudySpec(
        data=(str(file),), image_root=table.root, target=("grade", "worn"), levels=("grade=low", "mid", "high"),
        backbone=(tiny_name,), layer=("pool",), head=("logistic",), input_size=(64,), engine="torch", seeds=1,
        epochs=1, views=1, dtype="float32", learning_rate=0.003, **given,
    )  # fmt: skip
    return run_study(spec, folder / "out", audits=False)


@pytest.mark.parametrize("sharing", ["hard", "separate"])
def test_errors_of_the_first_output_of_classes_of_a_network_of_several_have_maps(
    tiny_name, tmp_path, sharing
):
    record = outputs_study(
        tmp_path, tiny_name, scenario=("features", "finetune"), trainable=("last:1",), sharing=(sharing,)
    )
    assert not any("have no maps" in line or "maps of its errors" in line for line in record.warnings)
    (result,) = [each for each in record.results if each.cell.trains]
    assert list(record.maps) == [result.cell.id]
    maps, table = record.maps[result.cell.id], record.tables["tools"]
    assert 1 <= len(maps) <= N_MAPS and all(each.checked and each.output == "worn" for each in maps)
    rows, answers = record.test_rows[result.cell.id], record.probabilities[result.cell.id]
    for each in maps:
        row = table.paths.index(each.path)
        true, said = table.labels["worn"][row], answers[rows.index(row), 3:]
        assert each.said == ("no", "yes")[int(said.argmax())] != true is not None
    ((section, gallery),) = galleries_of(record)
    assert section == "outputs-0-1" and len(gallery.groups) == len(maps)
    assert all("; random weights: " in remark for _, remark, _ in gallery.groups)
    paper = paper_data(build_paper(record).document)["sections"]
    assert json.dumps(paper).count("Where it looked when it was wrong") == 1


def test_an_output_of_classes_is_the_one_whose_errors_have_maps_and_without_one_it_is_told():
    data = SimpleNamespace(outputs=OUTPUTS[1:])
    assert mapped_output(data) is None and mapped_output(SimpleNamespace(outputs=OUTPUTS)).name == "worn"
    trains = [SimpleNamespace(dataset="tools", sharing="hard", trains=True)]
    (line,) = without_maps(trains, {"tools": data})
    assert line.startswith("tools: the errors of several outputs have no maps here")
    assert without_maps(trains, {"tools": SimpleNamespace(outputs=OUTPUTS)}) == []
