"""From a study record to one self-contained HTML file: record -> document -> text -> file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from headstart.base.files import write_text
from headstart.report.answers import Answers, load_answers
from headstart.report.document import Beside, Document, Figure, Paragraph, Section, Table
from headstart.report.html import render
from headstart.report.paper import conclusion
from headstart.report.paper_discussion import discussion
from headstart.report.paper_introduction import TOGETHER, introduction
from headstart.report.paper_methods import method_summaries
from headstart.report.pictures import PictureBook
from headstart.report.published import published_section
from headstart.report.sections.audited import audited_section
from headstart.report.sections.augmented import augmented_section
from headstart.report.sections.best import best_section
from headstart.report.sections.closing import repeat_section, runs_section, wrong_section
from headstart.report.sections.compared import compared_section
from headstart.report.sections.data import data_section
from headstart.report.sections.every_dataset import every_dataset
from headstart.report.sections.images_a_class import images_section
from headstart.report.sections.in_short import in_short_table
from headstart.report.sections.metrics import metrics_section
from headstart.report.sections.networks import networks_section
from headstart.report.sections.over_datasets import over_datasets_section
from headstart.report.sections.references import references_of, used
from headstart.report.sections.results import results_section
from headstart.report.sections.retrieval import retrieval_section
from headstart.report.sections.rules import rules_section
from headstart.report.sections.several import several_section
from headstart.report.sections.side_by_side import side_by_side_section
from headstart.report.sections.told_apart import told_apart_section
from headstart.report.sections.tricks import tricks_section
from headstart.report.sections.tuned import TunedWorth, tuned_section, worths_of
from headstart.report.sources import NUMBERED, Bibliography
from headstart.report.statistics_words import Worths, statistics_section, statistics_used
from headstart.report.summary import all_claims
from headstart.report.told import Told, told_all
from headstart.report.verdict import cut_claims, datasets, missing_claims, subtitle_words
from headstart.report.wording import listed
from headstart.study.records import StudyRecord

PICTURE_BYTES = 3_000_000
PAIR_BYTES = 1_500_000
"""Of the pictures for two methods side by side, beside the others."""


def write_report(record: StudyRecord, path: str | Path, *, style: str = NUMBERED) -> Path:
    """Write the report of a study, finished or not, as one HTML file that needs no network.

    Parameters
    ----------
    record : StudyRecord
    path : path
        Where the file goes; an older one is replaced whole.
    style : {"numbered", "alphabetic", "author-date"}
        Of the references.

    Returns
    -------
    Path
        The file.

    Examples
    --------
    >>> write_report(record, "study/report.html")  # doctest: +SKIP
    PosixPath('study/report.html')
    """
    return write_text(path, render(build_document(record, load_answers(record), style=style)))


def build_document(
    record: StudyRecord,
    answers: dict[str, Answers] | None = None,
    *,
    style: str = NUMBERED,
    picture_bytes: int | None = None,
) -> Document:
    """The report as values: the verdict, then the academic order, then every run.

    Introduction, methods, implementation, results, discussion, conclusion, references: those of the paper, with all
    that a page of any length can hold.

    Parameters
    ----------
    record : StudyRecord
    answers : dict of str to Answers, optional
        By dataset; with them the methods are compared image by image.
    style : {"numbered", "alphabetic", "author-date"}
        Of the references.
    picture_bytes : int, optional
        Most bytes of pictures in all (default: 3 million); 0: none.
    """
    most = PICTURE_BYTES if picture_bytes is None else picture_bytes
    budget = most // (2 * max(1, len(datasets(record))))
    pairs = (PAIR_BYTES if most else 0) // max(1, len(given := answers or {}))
    names, told = datasets(record), told_all(record, given)
    worths = worths_of(record, given)
    tests = statistics_used(record, told, worths)
    cited = Bibliography(style)
    cited.cite(*used(record, tests))  # so that marks in the text and labels of the list agree
    sections = (
        _verdict(record, told),
        _introduction(record, cited, told, budget),
        _methods(record, cited, tests),
        Section("implementation", "Implementation", (), (repeat_section(record),)),
        _all_results(record, given, told, budget, pairs, cited, worths),
        _discussion(record, told),
        conclusion(record, told),
        references_of(record, tests, style),
        runs_section(record),
    )
    return Document(
        f"Which head start for {listed(names) or 'this study'}?", subtitle_words(record), sections
    )


def _introduction(record: StudyRecord, cited: Bibliography, told: Told, budget: int) -> Section:
    """The introduction of the paper, each dataset with its images and counts, and what the audit found."""
    opening = introduction(record, cited, dict(told))
    data = [
        data_section(
            record.tables[name],
            record.targets[name],
            PictureBook(budget),
            f"data-{at}",
            record.outputs.get(name, ()),
        )
        for at, name in enumerate(datasets(record))
        if name in record.tables
    ]
    parts = [_without_counts(part) for part in opening.parts]
    together = len(parts) != len(data)
    told_each = (
        [*parts, *data] if together else [part for pair in zip(parts, data, strict=True) for part in pair]
    )
    audited = audited_section(record)
    return replace(opening, parts=(*told_each, *((audited,) if audited is not None else ())))


def _without_counts(part: Section) -> Section:
    """A part of the introduction without the short tables of what `data_section` shows in full beside it."""
    if part.id == TOGETHER:
        return part
    kept = tuple(block for block in part.blocks if not isinstance(block, Table | Beside | Figure))
    return replace(part, blocks=kept)


def _methods(record: StudyRecord, cited: Bibliography, tests: list[str]) -> Section:
    """What was compared, each method in short, by which rules, with which networks, measured and tested how."""
    short = method_summaries(record, cited)
    parts = (
        compared_section(record),
        Section("method-summaries", "The methods in short", tuple(short)) if short else None,
        rules_section(record),
        networks_section(record),
        metrics_section(several=bool(record.joint)),
        statistics_section(cited, tests),
    )
    return Section("methods", "Methods", (), tuple(part for part in parts if part is not None))


def _all_results(
    record: StudyRecord, answers: dict[str, Answers], told: Told, budget: int, pairs: int, cited: Bibliography,
    worths: Worths,
) -> Section:  # fmt: skip
    """Dataset by dataset, then what was found over all of them."""
    names = datasets(record)
    classified = {row.dataset for row in record.summaries}
    others = {row.dataset for row in (*record.retrieval, *record.joint)}
    parts: list[Section | None] = [
        _results(
            record,
            name,
            (PictureBook(budget), PictureBook(pairs)),
            at,
            answers.get(name),
            told,
            cited,
            worths.get(name, ()),
        )
        for at, name in enumerate(names)
        if name in classified or name not in others
    ]
    parts += [over_datasets_section(record), tricks_section(record)]
    parts += [
        several_section(record, name, f"outputs-{at}", PictureBook(budget)) for at, name in enumerate(names)
    ]
    parts += [retrieval_section(record, name, f"search-{at}") for at, name in enumerate(names)]
    there = tuple(part for part in parts if part is not None)
    if there and there[0].title == "Results":  # of the only dataset
        return replace(there[0], parts=(*there[0].parts, *there[1:]))
    blocks = every_dataset(record, told) if there else [Paragraph("Nothing has finished yet.")]
    return Section("results", "Results", tuple(blocks), there)


def _discussion(record: StudyRecord, told: Told) -> Section:
    """The discussion of the paper, with all that went wrong."""
    found = discussion(record, dict(told))
    return replace(found, parts=(wrong_section(record), *found.parts))


def _verdict(record: StudyRecord, told: Told) -> Section:
    said = (*all_claims(record, told), *cut_claims(record), *missing_claims(record))
    short = in_short_table(record, told) if len(datasets(record)) > 1 else None
    return Section("verdict", "Verdict", (*((short,) if short is not None else ()), *said))


def _results(
    record: StudyRecord, name: str, books: tuple[PictureBook, PictureBook], at: int, answers: Answers | None,
    told: Told, cited: Bibliography, worths: Sequence[TunedWorth],
) -> Section:  # fmt: skip
    close = best_section(record, name, books[0], f"best-{at}")
    views = augmented_section(record, name, books[0], f"views-{at}") if name in record.tables else None
    images = images_section(record, name, f"images-{at}")
    apart = told_apart_section(record, told.get(name), f"told-{at}")
    others = published_section(record, name, f"published-{at}", cited)
    pair = side_by_side_section(record, name, answers, books[1], f"pair-{at}")
    tuned = tuned_section(record, answers, worths, f"tuned-{at}")
    parts = tuple(each for each in (apart, others, tuned, pair, images, close, views) if each is not None)
    return results_section(record, name, f"results-{at}", parts, told.get(name))
