"""The paper and the talk: academic order, every number with its runs, nothing made up, gaps said aloud."""

import dataclasses

import pytest

from headstart.base.errors import UnknownName
from headstart.images.table import ImageTable
from headstart.measure.cannot_tell import CannotTell
from headstart.measure.power import images_needed
from headstart.report.answers import load_answers
from headstart.report.build import build_document
from headstart.report.document import Claim, Figure, Table, blocks_in
from headstart.report.label_facts import label_facts
from headstart.report.method_words import HEADS, SCENARIOS
from headstart.report.paper import build_paper
from headstart.report.paper_discussion import _more_tests
from headstart.report.paper_introduction import introduction
from headstart.report.run_links import NAMED, named_in
from headstart.report.sections.images_a_class import curve_of
from headstart.report.sources import Bibliography
from headstart.report.talk import build_talk
from headstart.report.told import told_apart
from headstart.report.wording import scored
from headstart.study.record import load_record
from headstart.testing.records import tiny_record
from headstart.testing.sized_records import with_sizes as sized_record
from headstart.testing.stored_studies import stored_study
from headstart.testing.trained_records import with_training

ORDER = [
    "Abstract", "Introduction", "Methods", "Implementation", "Results", "Discussion", "Conclusion", "References", "Runs",
]  # fmt: skip


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    folder = tmp_path_factory.mktemp("paper")
    stored_study(folder, seeds=(0, 1))
    return load_record(folder / "study")


@pytest.fixture(scope="module")
def paper(record):
    return build_paper(record)


def blocks(paper, kind=object):
    return [b for section in paper.document.sections for b in blocks_in(section) if isinstance(b, kind)]


def said(paper):
    return " ".join(getattr(block, "text", "") for block in blocks(paper))


def test_it_stands_in_academic_order(paper):
    assert [section.title for section in paper.document.sections] == ORDER


def test_every_claim_with_a_score_names_runs_that_exist(record, paper):
    known = {result.cell.id for result in record.results}
    claims = blocks(paper, Claim)
    assert len(claims) > 8
    for claim in claims:
        assert set(claim.runs) <= known
    told = [claim for claim in claims if "%" in claim.text and "most frequent class" not in claim.text]
    assert told and all(claim.runs for claim in told)


def test_the_runs_that_sentences_name_are_listed(record, paper):
    ran = {result.cell.id for result in record.results}
    listed = [row.entries[0].sort for row in paper.document.sections[-1].blocks[0].rows]
    named = named_in(block for section in paper.document.sections[:-2] for block in blocks_in(section))
    assert listed == [run for run in named if run in ran]
    assert all(run in listed for claim in blocks(paper, Claim)[:1] for run in claim.runs[:NAMED])


def test_every_row_of_a_methods_table_links_to_a_run_that_is_listed(tmp_path):
    record = tiny_record(tmp_path, datasets=("a", "b", "c", "d"), per_class=5, seeds=(0,))
    paper = build_paper(record)
    anchors = {
        e.anchor for table in blocks(paper, Table) for row in table.rows for e in row.entries if e.anchor
    }
    tables = [
        table for table in blocks(paper, Table) if table.id.endswith("-methods") or table.id == "in-short"
    ]
    assert len(tables) == 5
    for table in tables:
        for row in table.rows:
            targets = [entry.target for entry in row.entries if entry.target]
            scored = any("%" in entry.text for entry in row.entries)
            assert bool(targets) >= scored and set(targets) <= anchors


def test_the_report_links_every_scored_method_to_its_run(record):
    document = build_document(record, load_answers(record), picture_bytes=0)
    found = [b for section in document.sections for b in blocks_in(section) if isinstance(b, Table)]
    anchors = {entry.anchor for table in found for row in table.rows for entry in row.entries}
    for table in (each for each in found if each.id.endswith(("-table", "-told"))):
        for row in table.rows:
            scored = any("%" in entry.text for entry in row.entries)
            targets = [entry.target for entry in row.entries if entry.target]
            assert bool(targets) >= scored and set(targets) <= anchors, table.id


def test_the_abstract_says_what_won_how_sure_that_is_and_at_what_cost(record, paper):
    table = next(block for block in paper.document.sections[0].blocks if isinstance(block, Table))
    (row,) = table.rows
    told = paper.told["shapes"]
    assert row.entries[1].text == record.best["shapes"]
    assert row.entries[3].text == told.kind(told.verdicts.pairs[0].b) and "p " in row.entries[3].small
    assert " s" in row.entries[5].text and "MB" in row.entries[5].small


def test_more_than_two_datasets_are_told_together_so_that_the_paper_stays_short(tmp_path):
    paper = build_paper(tiny_record(tmp_path, datasets=("a", "b", "c"), per_class=5, seeds=(0,)))
    opening = next(section for section in paper.document.sections if section.id == "introduction")
    assert [part.title for part in opening.parts] == ["The images"]
    table = opening.parts[0].blocks[0]
    assert [row.entries[0].text for row in table.rows] == ["a", "b", "c"]


def test_each_mark_in_the_text_stands_in_the_references(paper):
    labels = {row.entries[0].text for row in paper.document.sections[-2].blocks[0].rows}
    assert {f"[{number}]" for number in range(1, len(labels) + 1)} == labels
    small = [entry.small for table in blocks(paper, Table) for row in table.rows for entry in row.entries]
    assert any(mark in small for mark in labels)


def test_every_method_is_summarised_with_its_paper(paper):
    table = next(block for block in blocks(paper, Table) if block.id == "method-words")
    assert {"logistic regression", "k nearest neighbours", "features"} <= {
        row.entries[0].text for row in table.rows
    }
    assert all(row.entries[0].small for row in table.rows)
    assert all(entry.text for row in table.rows for entry in row.entries)


def test_every_head_and_scenario_has_words():
    from headstart.methods.heads_catalog import HEAD_NAMES
    from headstart.methods.training_options import SCENARIOS as NAMES

    assert set(HEADS) == set(HEAD_NAMES) and set(SCENARIOS) == set(NAMES)


def test_what_only_the_author_knows_is_left_blank_and_marked(paper):
    assert len([block for block in blocks(paper) if block.kind == "blank"]) >= 4


@pytest.mark.parametrize("style", ["alphabetic", "author-date"])
def test_other_styles_cite_the_same_papers(record, paper, style):
    other = build_paper(record, style=style)
    assert set(other.bibliography.keys) == set(paper.bibliography.keys)


def test_an_unknown_style_is_refused(record):
    with pytest.raises(UnknownName, match="numbered"):
        build_paper(record, style="harvard")


@pytest.mark.parametrize("n_run", [0, 1, 7, 30])
def test_a_study_that_stopped_at_any_instant_says_what_is_missing(tmp_path, n_run):
    record = tiny_record(tmp_path, n_run=n_run, per_class=5)
    paper = build_paper(record)
    assert f"{n_run} of 36 planned runs were made" in said(paper)
    assert [section.title for section in paper.document.sections][:8] == ORDER[:8]
    talk = build_talk(record, paper)
    assert any(f"{n_run} of 36 planned runs" in getattr(b, "text", "") for s in talk.slides for b in s.blocks)


def test_a_study_that_scanned_nothing_has_a_paper_too(tmp_path):
    record = dataclasses.replace(
        tiny_record(tmp_path, n_run=0),
        tables={},
        targets={},
        summaries=(),
        cards={},
        probabilities={},
        test_rows={},
    )
    paper = build_paper(record)
    assert "before any image was scanned" in said(paper)
    assert build_talk(record, paper).slides


def test_trained_networks_are_described_as_such(tmp_path):
    paper = build_paper(with_training(tiny_record(tmp_path, per_class=5, seeds=(0,))))
    table = next(block for block in blocks(paper, Table) if block.id == "method-words")
    assert "fine-tuning of the last part" in {row.entries[0].text for row in table.rows}


def table_of(labels, digests, splits=None):
    names = tuple(f"{at}.jpg" for at in range(len(labels)))
    return ImageTable("t", "", names, digests, {"class": labels}, splits=splits)


def test_copies_contradictions_and_copies_across_splits_are_counted():
    digests = ("a" * 32, "a" * 32, "b" * 32, "c" * 32)
    facts = label_facts(
        table_of(("x", "y", "x", None), digests, ("train", "test", "train", "train")), "class"
    )
    assert (facts.n_copies, facts.n_contradictions, facts.n_across, facts.n_unlabelled) == (1, 1, 1, 1)
    assert facts.most == ("x", 2) and facts.least == ("y", 1)


def test_equal_classes_are_as_hard_to_guess_as_their_number():
    digests = tuple(f"{at:032x}" for at in range(8))
    assert label_facts(table_of(("a", "b", "c", "d") * 2, digests), "class").effective == pytest.approx(4)


@pytest.mark.parametrize("datasets", [("one",), ("one", "two"), ("one", "two", "three")])
def test_the_talk_takes_15_to_20_minutes_and_answers_the_likely_questions(tmp_path, datasets):
    record = tiny_record(tmp_path, datasets=datasets, per_class=10, seeds=(0, 1))
    talk = build_talk(record, build_paper(record))
    assert 15 <= talk.minutes <= 20
    titles = [slide.title for slide in talk.backup]
    assert titles[:3] == ["Why this split?", "Is the difference real?", "What did it cost?"]
    assert all(slide.blocks for slide in (*talk.slides, *talk.backup))


def with_sizes(record, *sizes):
    """The record as if its best method had run on these (images a class, training images); 0 a class is all."""
    best = next(row for row in record.summaries if row.method == record.best["shapes"])
    rows = tuple(dataclasses.replace(best, per_class=number, n_train=n_train) for number, n_train in sizes)
    return dataclasses.replace(record, sized=rows)


def half_slide(record, paper):
    return next((slide for slide in build_talk(record, paper).backup if slide.id == "half"), None)


@pytest.mark.parametrize(
    ("sizes", "why"),
    [
        ((), "every run learned from the same number of images a class"),
        (((0, 45),), "every run learned from the same number of images a class"),
        (((2, 6), (0, 45)), "no run was near half, and a law needs three training sizes or more"),
        (((5, 15), (12, 36), (0, 45)), "no run was near half, and a law needs three training sizes or more"),
        (((8, 24), (15, 45)), "no run learned from all training images"),
    ],
    ids=["one size", "all alone", "a seventh", "a third and four fifths", "half, and not all"],
)
def test_half_the_images_cannot_be_told_where_no_number_near_half_was_run_and_no_law_reaches_it(
    record, paper, sizes, why
):
    (said,) = half_slide(with_sizes(record, *sizes), paper).blocks
    assert said.text.startswith("It cannot be told of shapes: ") and why in said.text


def test_half_the_images_are_answered_by_the_law_of_the_curve_where_none_near_half_was_run(tmp_path):
    record = sized_record(tiny_record(tmp_path, per_class=30, seeds=(0, 1, 2)), (2, 4, 14))
    (claim,) = half_slide(record, build_paper(record, answers={})).blocks
    best = record.best["shapes"]
    curve, most = curve_of(record, "shapes", best)
    found = curve.predict(most / 2)
    assert most == 18 and found.low < found.value < found.high
    assert claim.text.startswith(
        f"shapes: no run was near half; by the law fitted to 4 numbers of images a class {best} scores {scored(found)} "
        "with half of all, 9 a class, against "
    )
    rows = [row for row in record.sized if row.method == best]
    assert set(claim.runs) == {cell for row in rows for cell in row.cells}
    few = sized_record(tiny_record(tmp_path / "few", per_class=30, seeds=(0, 1)), (14, 15))
    (said,) = half_slide(few, build_paper(few, answers={})).blocks
    assert "9 images a class lie outside 14 to 72" in said.text


def test_half_the_images_are_answered_by_the_number_nearest_half_of_all_which_is_named(record, paper):
    sized = with_sizes(record, (2, 6), (6, 18), (8, 24), (9, 27), (0, 45))
    (claim,) = half_slide(sized, paper).blocks
    assert "with 24 training images (8 a class, 53 % of all)" in claim.text
    assert "against" in claim.text and "with 45 training images (all)" in claim.text and claim.runs


def test_drawings_have_captions_that_say_what_to_see(paper):
    for figure in blocks(paper, Figure):
        assert len(figure.caption) > 40 and figure.alt


def enough(record, told):
    """The sentence on whether the test images are enough."""
    (part,) = introduction(record, Bibliography(), {"shapes": told}).parts
    return next(block.text for block in part.blocks if getattr(block, "text", "").startswith("Is it enough?"))


def test_what_could_be_seen_is_told_of_the_best_against_the_next_and_over_all_others(record, paper):
    told = paper.told["shapes"]
    sizes = (0.08, 0.02, 0.11)
    pairs = tuple(
        dataclasses.replace(pair, smallest=least)
        for pair, least in zip(told.verdicts.pairs, sizes, strict=False)
    )
    given = dataclasses.replace(told, verdicts=dataclasses.replace(told.verdicts, pairs=pairs))
    assert (
        f"a difference from the next, {pairs[0].b}, would be found four times in five from 8.0 points of accuracy on (from "
        "the 3 others from 2.0 to 11.0 points on)."
    ) in enough(record, given)
    none = dataclasses.replace(pairs[0], smallest=CannotTell("too few images differ"))
    given = dataclasses.replace(told, verdicts=dataclasses.replace(told.verdicts, pairs=(none, *pairs[1:])))
    assert f"against the next, {none.b}, no difference would be seen: too few images differ." in enough(
        record, given
    )
    wide = (dataclasses.replace(pairs[0], smallest=1.22), *pairs[1:])
    given = dataclasses.replace(told, verdicts=dataclasses.replace(told.verdicts, pairs=wide))
    assert f"against the next, {none.b}, so few could not show any difference." in enough(record, given)
    last = (*pairs[:-1], dataclasses.replace(pairs[-1], smallest=1.22))
    given = dataclasses.replace(told, verdicts=dataclasses.replace(told.verdicts, pairs=last))
    assert "from 2.0 to 8.0 points on); from 1 other no difference would be seen." in enough(record, given)
    assert "122" not in enough(record, given)


def test_classification_that_has_not_finished_is_told_though_searches_have(record, paper):
    """A study of both tasks: what is unfinished is not passed over."""
    waiting = dataclasses.replace(record, best={}, retrieval=record.summaries[:1])
    (part,) = introduction(waiting, Bibliography(), {}).parts
    said = " ".join(getattr(block, "text", "") for block in part.blocks)
    assert "Are the images of shapes enough? No classifier has finished, so it cannot be told." in said
    searched = dataclasses.replace(waiting, summaries=())
    (part,) = introduction(searched, Bibliography(), {}).parts
    assert "enough?" not in " ".join(getattr(block, "text", "") for block in part.blocks)


def needed(record):
    """The sentence on how many test images one point would take, with the pair that it is of; None without one."""
    told = told_apart(record, "shapes", load_answers(record)["shapes"])
    claims = _more_tests("shapes", told)
    pair = next(pair for pair in told.verdicts.pairs if pair.b in told.level())
    return (claims[0].text if claims else None), pair


def test_how_many_test_images_one_point_takes_is_at_the_level_that_holm_tested_at(tmp_path):
    stored_study(tmp_path, seeds=(0,))
    said, pair = needed(load_record(tmp_path / "study"))
    gap = pair.difference
    assert gap.level > 0.95
    n = images_needed(0.01, gap.n_differ / gap.n, alpha=1 - gap.level)
    assert n > images_needed(0.01, gap.n_differ / gap.n) and f"about {n:,} test images" in said


def test_of_several_runs_it_is_not_said_how_many_test_images_one_point_takes(record):
    assert needed(record)[0] is None
