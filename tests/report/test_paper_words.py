"""What the paper says where there is nothing, one, or much of a thing: crossings, errors, pictures, runs, shifts."""

import dataclasses
import re

import numpy as np
import pytest

from headstart.measure.cannot_tell import CannotTell
from headstart.measure.curves import learning_curve
from headstart.report import pdf
from headstart.report.build import build_document
from headstart.report.document import Claim, Figure, Gallery, Paragraph, Table, blocks_in
from headstart.report.label_facts import LabelFacts
from headstart.report.markdown import markdown
from headstart.report.paper import build_paper
from headstart.report.paper_discussion import discussion
from headstart.report.paper_introduction import consistent_words
from headstart.report.sections import images_a_class
from headstart.report.sections.best import best_section
from headstart.report.sections.error_maps import maps_caption
from headstart.report.sections.shifted import shift_claims
from headstart.report.talk import build_talk
from headstart.study.error_maps import error_map
from headstart.testing.records import tiny_record
from headstart.testing.sized_records import with_shifts, with_sizes

NUMBERS = (2.0, 5.0, 20.0)


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    return tiny_record(tmp_path_factory.mktemp("words"), per_class=30, seeds=(0, 1))


def texts(document):
    return [getattr(b, "text", "") for s in document.sections for b in blocks_in(s)]


def curve(name, *scores, numbers=NUMBERS):
    each = [[score - 0.002, score + 0.002] for score in scores]
    return learning_curve(name, list(numbers), each, np.random.default_rng(0), n_draws=200)


def crossing_words(*curves):
    return images_a_class._no_crossing_words({str(at): each for at, each in enumerate(curves)})


def test_where_no_curves_cross_it_is_said_and_which_is_on_top():
    high, low = curve("high", 0.7, 0.8, 0.9), curve("low", 0.5, 0.6, 0.7)
    assert crossing_words(low, high) == (
        "The fitted laws do not cross between 2 and 20 images a class: high is on top at every number in between."
    )
    shifted = curve("later", 0.5, 0.6, 0.7, numbers=(25.0, 40.0, 60.0))
    assert "cannot be told: the methods were not measured at the same numbers" in crossing_words(
        high, shifted
    )
    none = CannotTell("too few")
    assert "cannot be told: a law could be fitted to 1 of 2 methods" in crossing_words(high, none)
    assert crossing_words(high) == ""


@pytest.fixture(scope="module")
def sized(tmp_path_factory):
    """Curves that cross on one data set, and do not on the others."""
    names = ("set0", "set1", "set2", "set3")
    made = tiny_record(tmp_path_factory.mktemp("sized"), datasets=names, per_class=20, seeds=(0, 1))
    return with_sizes(made)


def test_a_section_tells_crossings_or_that_there_are_none_but_never_both(sized):
    seen = set()
    for name in sized.tables:
        section = images_a_class.images_section(sized, name, "x")
        said = [block.text for block in section.blocks if isinstance(block, Claim)]
        crossed = [text for text in said if "is more accurate, with more" in text]
        none = [text for text in said if text.startswith(images_a_class.NO_CROSSING)]
        assert len(crossed) == len(images_a_class.crossings_of(sized, name))
        assert len(none) == (not crossed)
        seen.add(bool(crossed))
    assert seen == {True, False}


def test_a_short_paper_says_that_no_curves_cross_and_counts_only_crossings(sized):
    said = texts(build_paper(sized, answers={}).document)
    crossed = [name for name in sized.tables if images_a_class.crossings_of(sized, name)]
    assert len([t for t in said if t.startswith("The fitted laws do not cross")]) == 4 - len(crossed)
    assert len([t for t in said if "more crossing" in t]) == len(crossed)


def test_a_short_paper_keeps_a_sentence_on_other_test_images_of_each_data_set(tmp_path):
    record = with_shifts(tiny_record(tmp_path, datasets=("a", "b", "c"), per_class=10, seeds=(0,)))
    document = build_paper(record, answers={}).document
    said = texts(document)
    for name in ("a", "b", "c"):
        (claim,) = shift_claims(record, name, short=True)
        whole = shift_claims(record, name)
        best = next(r for r in record.summaries if (r.dataset, r.method) == (name, record.best[name]))
        assert claim.text in said and len(whole) == len(best.shifts) == 2
        for shift in best.shifts:
            assert f"{100 * shift.accuracy.value:.1f} %" in claim.text
            assert f"{100 * shift.drop.low:+.1f} to {100 * shift.drop.high:+.1f}" in claim.text
        assert f"later {name}" in claim.text and "corruptions" in claim.text and claim.runs == best.cells


def with_maps(record, n):
    best = next(row for row in record.summaries if row.method == record.best["shapes"])
    paths = record.tables["shapes"].paths[:n]
    maps = tuple(error_map(path, "cross", np.eye(3, dtype=np.float32)) for path in paths)
    return dataclasses.replace(record, maps={best.cells[0]: maps})


@pytest.mark.parametrize("n", [1, 4, 6])
def test_the_caption_of_a_gallery_counts_the_pictures_that_a_page_shows(record, n):
    made = with_maps(record, n)
    paper = build_paper(made, answers={}).document
    (gallery,) = (b for s in paper.sections for b in blocks_in(s) if isinstance(b, Gallery))
    (shown,) = (b for s in pdf.paper_data(paper)["sections"] for b in s["blocks"] if b["kind"] == "gallery")
    drawn = len(shown["groups"])
    assert drawn == min(n, 4) and f"{drawn} image{'s' if drawn > 1 else ''} as the" in shown[
        "caption"
    ].replace("\u00a0", " ")
    assert gallery.caption.startswith(maps_caption(drawn)) and gallery.caption in markdown(paper)
    whole = [b for s in build_document(made, {}).sections for b in blocks_in(s) if isinstance(b, Gallery)]
    (every,) = (b for b in whole if b.id.endswith("-maps"))
    assert len(every.groups) == n and every.caption.startswith(maps_caption(n))


def faultless(record):
    """The record as if no run of the best method had made an error or been off in its probabilities."""
    best = next(row for row in record.summaries if row.method == record.best["shapes"])
    results = tuple(
        dataclasses.replace(
            each,
            confusion=tuple(
                tuple(sum(row) if at == own else 0 for at in range(len(row)))
                for own, row in enumerate(each.confusion)
            ),
            scores={key: score for key, score in each.scores.items() if key != "ece"},
        )
        if each.cell.id in best.cells
        else each
        for each in record.results
    )
    return dataclasses.replace(record, results=results)


def improving(record):
    found = discussion(record, {})
    return [block.text for block in next(part for part in found.parts if part.id == "improving").blocks]


def test_a_classifier_without_errors_is_told_as_such_and_searches_only_where_there_are_some(record):
    (said,) = improving(faultless(record))
    assert said.startswith("The best made no error on its test images") and "searches" not in said
    searched = dataclasses.replace(record, best={}, summaries=(), retrieval=record.summaries)
    assert improving(searched) == [
        "What would improve searches or classifiers of several outputs cannot be read off these results alone."
    ]
    assert improving(dataclasses.replace(record, best={})) == [
        "No best method has a finished run to look at, so it cannot be told."
    ]
    assert "errors of one run" in " ".join(improving(record))


def of_one_run(record):
    best = next(row for row in record.summaries if row.method == record.best["shapes"])
    row = dataclasses.replace(best, cells=best.cells[:1], n_seeds=1)
    results = tuple(each for each in record.results if each.cell.id in row.cells)
    return dataclasses.replace(record, summaries=(row,), results=results, n_planned=1)


def test_one_of_a_thing_is_told_in_the_singular(record):
    one = of_one_run(record)
    paper = build_paper(one, answers={})
    document = build_document(one, {}, picture_bytes=0)
    drawn = [
        b
        for d in (paper.document, document)
        for s in d.sections
        for b in blocks_in(s)
        if isinstance(b, Figure)
    ]
    said = [*texts(paper.document), *texts(document), *(each.alt for each in drawn)]
    said += [b.caption for s in paper.document.sections for b in blocks_in(s) if isinstance(b, Table)]
    assert any(text.startswith("The only run took") for text in said)
    assert any(text.startswith("Accuracy of 1 method against") for text in said)
    wrong = re.compile(
        r"\b1 (methods|runs|images|classes|errors|findings|datasets|seeds|trials|rows)\b|[Aa]ll 1 |"
        r"\b1 (planned )?run were"
    )
    assert [text for text in said if wrong.search(text)] == []


def test_a_study_without_a_run_says_that_none_was_made(tmp_path):
    said = texts(build_paper(tiny_record(tmp_path, n_run=0, per_class=5)).document)
    assert "No run was made." in said and not any(
        " took 2 min" in text and "run" in text[:12] for text in said
    )


@pytest.mark.parametrize(
    ("n", "words"),
    [
        (0, "No content repeats; none carries two labels."),
        (
            1,
            "1 image repeats the content of another; 1 content carries more than one label; 1 lies in more than one",
        ),
        (
            2,
            "2 images repeat the content of another; 2 contents carry more than one label; 2 lie in more than one",
        ),
    ],
)
def test_copies_are_counted_in_the_right_number(n, words):
    facts = LabelFacts(9, 2, ("a", 5), ("b", 4), 2.0, 0, n, n, n, 0)
    assert words in consistent_words(facts)


def test_a_confusion_slide_has_a_whole_matrix_or_the_pairs_that_are_confused(tmp_path):
    for n, matrix in ((3, True), (12, False)):
        names = [f"class {at:02d}" for at in range(n)]
        record = tiny_record(tmp_path / str(n), classes=names, per_class=10, seeds=(0,))
        talk = build_talk(record, build_paper(record, answers={}), picture_bytes=0)
        slide = next(each for each in (*talk.slides, *talk.backup) if each.id == "confusion")
        (table,) = slide.blocks
        assert table.matrix == matrix and (not matrix or len(table.rows) == n)
        assert matrix or [column.title for column in table.columns][:2] == ["true class", "said"]
    assert best_section(record, "nothing", None, "x") is None


def test_many_data_sets_leave_a_note_where_their_drawings_are(tmp_path):
    names = tuple("abcdef")
    record = with_shifts(tiny_record(tmp_path, datasets=names, per_class=5, seeds=(0,)))
    document = build_paper(record, answers={}).document
    found = next(section for section in document.sections if section.id == "results")
    notes = [block.text for block in found.blocks if isinstance(block, Paragraph)]
    assert notes == ["Tables and drawings of each data set alone are in the HTML report."]
    said = texts(document)
    assert all(any(text.startswith(f"Best on {name}:") for text in said) for name in names)
    assert all(shift_claims(record, name, short=True)[0].text in said for name in names)
