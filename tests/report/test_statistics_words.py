"""The statistics of a study: what was used is told with its papers, in the paper and the report alike, and nothing else."""

import re
from dataclasses import replace
from types import SimpleNamespace

import pytest

from headstart.report.answers import load_answers
from headstart.report.build import build_document
from headstart.report.document import Claim, Paragraph, Points, Table, blocks_in
from headstart.report.papers import TESTS
from headstart.report.sections.references import used
from headstart.report.sources import Bibliography
from headstart.report.statistics_words import STATISTICS, statistics_section, statistics_used
from headstart.study.record import load_record
from headstart.testing.records import tiny_record
from headstart.testing.several import stored_several
from headstart.testing.sized_records import with_shifts, with_sizes
from headstart.testing.stored_studies import stored_study
from headstart.testing.trained_records import with_training

PAIRED = {
    "mcnemar": {"mcnemar1947", "fagerland2013", "connor1987", "cohen1988"},
    "corrected_t": {"nadeau2003", "bouckaert2004", "cohen1988"},
    "over_splits": {"bouthillier2021", "cohen1988"},
    "paired_bootstrap": {"efron1993"},
}
ALWAYS = {"wilson1927", "efron1993"}
EVERY = {key for each in STATISTICS.values() for keys, _ in each.papers for key in keys}


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    return tiny_record(tmp_path_factory.mktemp("tests"), per_class=10, seeds=(0, 1))


def papers_of(record, tests):
    """The papers of statistics that a list of references has."""
    return set(used(record, tests)) & EVERY


def test_where_nothing_is_compared_intervals_alone_are_told(record):
    assert statistics_used(record, {"shapes": None}, {}) == ["intervals"]
    assert papers_of(record, ["intervals"]) == ALWAYS


@pytest.mark.parametrize("test", PAIRED)
def test_each_paired_test_brings_its_own_papers_and_no_others(record, test):
    tests = statistics_used(record, {"shapes": SimpleNamespace(test=test)}, {})
    assert tests == ["intervals", test, "holm"]
    assert papers_of(record, tests) == ALWAYS | PAIRED[test] | {"holm1979"}


@pytest.mark.parametrize(
    ("test", "named"),
    [("McNemar's test (mid-p)", "tuned"), ("paired t-test over images and splits", "tuned_splits")],
)
def test_what_tuning_was_worth_is_compared_without_a_correction(record, test, named):
    worth = SimpleNamespace(worth=SimpleNamespace(difference={"test": test}))
    tests = statistics_used(record, {}, {"shapes": [worth]})
    assert tests == ["intervals", named] and "holm1979" not in papers_of(record, tests)
    assert papers_of(record, tests) > ALWAYS


def test_several_datasets_are_ranked_from_three_on(tmp_path, record):
    three = tiny_record(tmp_path / "three", datasets=("a", "b", "c"), per_class=5, seeds=(0,))
    two = tiny_record(tmp_path / "two", datasets=("a", "b"), per_class=5, seeds=(0,))
    assert statistics_used(three, {}, {}) == ["intervals", "friedman"] and statistics_used(two, {}, {}) == [
        "intervals"
    ]
    assert {"demsar2006", "benavoli2016", "kerby2014", "benavoli2017"} <= papers_of(three, ["friedman"])


def test_a_learning_curve_is_told_where_a_law_was_fitted(record):
    assert statistics_used(with_sizes(record), {}, {}) == ["intervals", "learning_curve"]
    assert set(TESTS["learning_curve"]) <= papers_of(record, ["learning_curve"])
    assert statistics_used(with_sizes(record, (2,)), {}, {}) == [
        "intervals"
    ]  # two numbers of images have no law


def test_other_test_images_and_given_folds_are_told_where_they_were(record):
    assert statistics_used(with_shifts(record), {}, {}) == ["intervals", "folder", "corruptions"]
    assert papers_of(record, ["folder", "corruptions"]) == {"newcombe1998", "hendrycks2019"}
    cell = replace(record.results[0].cell, fold=1)
    folded = replace(record, results=(replace(record.results[0], cell=cell), *record.results[1:]))
    assert statistics_used(folded, {}, {}) == ["intervals", "over_folds"]
    assert "nadeau2003" in papers_of(record, ["over_folds"])


def test_tricks_and_ways_of_sharing_are_told_where_they_were(record, tmp_path):
    cell = replace(record.results[0].cell, tricks="ema")
    tricky = replace(record, results=(replace(record.results[0], cell=cell), *record.results[1:]))
    assert statistics_used(tricky, {}, {}) == ["intervals", "tricks"]
    several = load_record(stored_several(tmp_path))
    assert {"mcnemar", "values", "holm"} <= set(statistics_used(several, {}, {}))


def test_the_text_has_a_mark_for_each_paper():
    cited = Bibliography("author-date")
    section = statistics_section(cited, STATISTICS)
    assert set(cited.keys) == EVERY
    assert len(section.blocks) == len(STATISTICS)
    assert not any("{" in block.text for block in section.blocks)


def marks(document):
    """Every mark like [3, 7] in a document, less the list of references."""
    found = set()
    for section in document.sections:
        for block in blocks_in(section) if section.id != "references" else ():
            texts = [block.text] if isinstance(block, Paragraph | Claim) else []
            texts += block.items if isinstance(block, Points) and not block.code else []
            if isinstance(block, Table):
                texts += [part for row in block.rows for e in row.entries for part in (e.text, e.small)]
            found |= {
                n for text in texts for m in re.findall(r"\[(\d+(?:, \d+)*)\]", text) for n in m.split(", ")
            }
    return found


@pytest.mark.parametrize("kind", ["stored", "trained", "several", "sizes and shifts"])
def test_every_mark_of_the_report_stands_in_its_list(tmp_path, kind):
    if kind == "stored":
        stored_study(tmp_path, seeds=(0, 1), per_class=10)
        record = load_record(tmp_path / "study")
    elif kind == "several":
        record = load_record(stored_several(tmp_path))
    else:
        made = tiny_record(tmp_path, per_class=10, seeds=(0, 1))
        record = with_training(made) if kind == "trained" else with_shifts(with_sizes(made))
    document = build_document(record, load_answers(record), picture_bytes=0)
    (listed,) = (
        b
        for s in document.sections
        for b in blocks_in(s)
        if isinstance(b, Table) and b.id == "reference-table"
    )
    labels = {row.entries[0].text for row in listed.rows}
    assert labels == {str(at) for at in range(1, len(labels) + 1)}
    assert marks(document) and marks(document) <= labels


def test_the_report_has_the_methods_in_short_and_the_statistics(record, tmp_path):
    stored_study(tmp_path, seeds=(0, 1), per_class=10)
    study = load_record(tmp_path / "study")
    document = build_document(study, load_answers(study), picture_bytes=0)
    sections = {section.id: section for section in document.every}
    (table,) = sections["method-summaries"].blocks
    assert {"logistic regression", "k nearest neighbours", "features"} <= {
        row.entries[0].text for row in table.rows
    }
    for row in table.rows:
        assert all(entry.text for entry in row.entries) and row.entries[0].small.startswith("[")
    said = " ".join(block.text for block in sections["statistics"].blocks)
    assert (
        "McNemar's test in its mid-p form" in said and "Holm's procedure" in said and "Friedman" not in said
    )
