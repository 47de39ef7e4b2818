"""The paper has 4 to 8 pages whatever the study was."""

from __future__ import annotations

import pytest

from headstart.report.paper import build_paper
from headstart.report.pdf import pdf
from headstart.study.record import load_record
from headstart.testing.records import tiny_record
from headstart.testing.several import stored_several
from headstart.testing.sized_records import with_shifts, with_sizes
from headstart.testing.trained_records import with_training

pytest.importorskip("typst", reason='PDF needs typst (pip install "headstart[pdf]")')
pdfium = pytest.importorskip("pypdfium2")


def n_pages(paper):
    document = pdfium.PdfDocument(pdf(paper.document))
    try:
        return len(document)
    finally:
        document.close()


KINDS_OF_RECORD = {
    "one data set": ({}, ()),
    "one seed of few images": ({"seeds": (0,), "per_class": 5}, ()),
    "two data sets": ({"datasets": ("a", "b")}, ()),
    "four data sets": ({"datasets": ("a", "b", "c", "d")}, ()),
    "many classes": ({"classes": [f"class {at:02d}" for at in range(40)], "per_class": 5, "seeds": (0,)}, ()),
    "every scenario": ({}, (with_training,)),
    "images a class": ({}, (with_sizes,)),
    "other test images": ({}, (with_shifts,)),
    "all of these, on one": ({}, (with_sizes, with_shifts, with_training)),
    "all of these, on four": ({"datasets": ("a", "b", "c", "d")}, (with_sizes, with_shifts, with_training)),
}


@pytest.mark.parametrize("kind", KINDS_OF_RECORD)
def test_the_paper_of_every_kind_of_record_has_4_to_8_pages(tmp_path, kind):
    given, changes = KINDS_OF_RECORD[kind]
    made = tiny_record(tmp_path, **{"per_class": 20, "seeds": (0, 1), **given})
    for change in changes:
        made = change(made)
    assert 4 <= n_pages(build_paper(made, answers={})) <= 8


def test_the_paper_of_several_targets_has_4_to_8_pages(tmp_path):
    record = load_record(stored_several(tmp_path))
    assert len(record.outputs["tools"]) == 4
    assert 4 <= n_pages(build_paper(record)) <= 8
