"""From a study record to one self-contained HTML file: record -> document -> text -> file."""

from __future__ import annotations

from pathlib import Path

from headstart.base.files import write_text
from headstart.report.document import Document, Section
from headstart.report.html import render
from headstart.report.pictures import PictureBook
from headstart.report.sections.augmented import augmented_section
from headstart.report.sections.best import best_section
from headstart.report.sections.closing import repeat_section, wrong_section
from headstart.report.sections.compared import compared_section
from headstart.report.sections.data import data_section
from headstart.report.sections.images_a_class import images_section
from headstart.report.sections.metrics import metrics_section
from headstart.report.sections.networks import networks_section
from headstart.report.sections.results import results_section
from headstart.report.sections.retrieval import retrieval_section
from headstart.report.summary import all_claims
from headstart.report.verdict import cut_claims, datasets, missing_claims
from headstart.report.wording import count, duration, listed
from headstart.study.records import StudyRecord

PICTURE_BYTES = 3_000_000


def write_report(record: StudyRecord, path: str | Path) -> Path:
    """Write the report of a study, finished or not, as one HTML file that needs no network.

    Parameters
    ----------
    record : StudyRecord
    path : path
        Where the file goes; an older one is replaced whole.

    Returns
    -------
    Path
        The file.

    Examples
    --------
    >>> write_report(record, "study/report.html")  # doctest: +SKIP
    PosixPath('study/report.html')
    """
    return write_text(path, render(build_document(record)))


def build_document(record: StudyRecord) -> Document:
    """The report as values: verdict, data, what was compared, results, what went wrong, how to repeat it."""
    budget = PICTURE_BYTES // (2 * max(1, len(datasets(record))))
    names = datasets(record)
    data = tuple(
        data_section(record.tables[name], record.targets[name], PictureBook(budget), f"data-{at}")
        for at, name in enumerate(names)
        if name in record.tables
    )
    classified = {row.dataset for row in record.summaries}
    results = tuple(
        _results(record, name, PictureBook(budget), at)
        for at, name in enumerate(names)
        if name in classified or name not in {row.dataset for row in record.retrieval}
    )
    found = [retrieval_section(record, name, f"search-{at}") for at, name in enumerate(names)]
    networks = networks_section(record)
    sections = (
        _verdict(record),
        *data,
        compared_section(record),
        *((networks,) if networks is not None else ()),
        *results,
        *(each for each in found if each is not None),
        wrong_section(record),
        repeat_section(record),
        metrics_section(),
    )
    n_methods = len({row.method for row in (*record.summaries, *record.retrieval)})
    subtitle = f"{count(n_methods, 'method')} on {count(len(names), 'dataset')}, "
    subtitle += (
        f"{len(record.results):,} of {count(record.n_planned, 'run')}, {duration(record.seconds_total)}"
    )
    return Document(f"Which head start for {listed(names) or 'this study'}?", subtitle, sections)


def _verdict(record: StudyRecord) -> Section:
    return Section("verdict", "Verdict", (*all_claims(record), *cut_claims(record), *missing_claims(record)))


def _results(record: StudyRecord, name: str, book: PictureBook, at: int) -> Section:
    close = best_section(record, name, book, f"best-{at}")
    views = augmented_section(record, name, book, f"views-{at}") if name in record.tables else None
    images = images_section(record, name, f"images-{at}")
    parts = tuple(each for each in (images, close, views) if each is not None)
    return results_section(record, name, f"results-{at}", parts)
