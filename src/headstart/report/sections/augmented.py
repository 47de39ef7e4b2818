"""The augmentation in use, on real images of the set: what a network that trained has seen."""

from __future__ import annotations

from headstart.base.errors import HeadstartError
from headstart.images.table import ImageTable
from headstart.report.document import Gallery, Paragraph, Picture, Section
from headstart.report.pictures import PictureBook
from headstart.study.records import StudyRecord

IMAGES_SHOWN, VIEWS_SHOWN, SIDE = 3, 5, 112


def augmented_section(record: StudyRecord, name: str, book: PictureBook, id: str) -> Section | None:
    """Some training images of a dataset, plain and in some views; None where nothing trained on views."""
    used: dict[str, int] = {}
    for result in record.results:
        if result.cell.dataset == name and result.cell.trains:
            used.setdefault(str(result.cell.options.get("augment", "none")), int(result.cell.seed or 0))
    galleries = [
        made
        for at, (augment, seed) in enumerate(used.items())
        if (made := _gallery(record.tables[name], augment, seed, book, f"{id}-{at}")) is not None
    ]
    if not galleries:
        return None
    opening = Paragraph(
        "What the networks saw while they trained: the first picture of each row is the image as evaluation sees it, "
        "the others are views of it. Validation and test images are never changed. Whether a change destroys labels "
        "is measured by “headstart augment DATA --check”."
    )
    return Section(id, "Augmentation in use", (opening, *galleries))


def _gallery(table: ImageTable, augment: str, seed: int, book: PictureBook, id: str) -> Gallery | None:
    from headstart.backbones.card import Preprocessing
    from headstart.images.views import PLAIN, policy, views_of

    try:
        by = policy(augment)
    except HeadstartError:
        return None  # a policy file that is gone: the runs keep its digest, the report cannot draw it
    if not by.changes:
        return None
    how = Preprocessing(SIDE, SIDE, crop=1.0)
    rows = sorted(table.rows("train") or table.rows("all"), key=lambda row: table.digests[row])[:IMAGES_SHOWN]
    groups = []
    for row in rows:
        try:
            views = views_of(table.item(row), table.digests[row], [PLAIN, *range(VIEWS_SHOWN)], how, by, seed)
        except HeadstartError:
            book.n_unreadable += 1
            continue
        pictures = [book.small(view, f"{table.paths[row]}, view {at}") for at, view in enumerate(views)]
        if shown := tuple(each for each in pictures if isinstance(each, Picture)):
            groups.append((table.paths[row], "", shown))
    if not groups:
        return None
    return Gallery(
        id, f"Policy “{by.name}”: {len(groups)} training images, plain and in views.", tuple(groups)
    )
