"""Maps of the surest errors: made while the network is at hand, kept coarse, read without a network."""

import numpy as np

from headstart.report.build import build_document
from headstart.report.document import Gallery, blocks_in
from headstart.report.paper import build_paper
from headstart.report.pdf import paper_data
from headstart.study.error_maps import N_MAPS, best_heads, error_map, shown_closely, surest_errors
from headstart.study.execute import run_study
from headstart.study.record import load_record
from headstart.study.store import StudyStore
from headstart.testing.records import tiny_record
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
    assert not any("no maps of its errors" in line for line in record.warnings)


def test_report_and_paper_show_them_where_there_are_errors(tmp_path):
    made = stored_study(tmp_path, per_class=10, seeds=(0,))
    best = next(row for row in made.summaries if row.method == made.best["shapes"])
    with StudyStore(tmp_path / "study", must_exist=True) as store:
        store.put_maps(best.cells[0], [error_map("picture 4.jpg", "cross", np.eye(3, dtype=np.float32))])
    record = load_record(tmp_path / "study")
    galleries = [
        block
        for section in build_document(record).sections
        for block in blocks_in(section)
        if isinstance(block, Gallery) and block.id.endswith("-maps")
    ]
    (title, remark, pictures) = galleries[0].groups[0]
    assert (title, remark, len(pictures)) == ("true: circle", "said: cross", 2)
    paper = build_paper(record)
    blocks = [each for section in paper_data(paper.document)["sections"] for each in section["blocks"]]
    assert [len(each["groups"]) for each in blocks if each["kind"] == "gallery"] == [1]
    assert "selvaraju2017" in paper.bibliography.keys
