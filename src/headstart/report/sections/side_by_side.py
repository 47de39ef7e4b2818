"""Two methods side by side: the reader picks them and sees the images on which they differ.

The answers of all methods lie in the page as one sign an image; pictures are those on which methods disagree most,
within a byte budget.
"""

from __future__ import annotations

import numpy as np

from headstart.report.answers import Answers
from headstart.report.document import Pairs, Section
from headstart.report.pictures import PictureBook
from headstart.report.wording import count
from headstart.study.records import StudyRecord

SIGNS = "".join(chr(code) for code in range(35, 127) if chr(code) not in "&<>\\'`")
MOST_ANSWERS = 2_000_000
SIDE = 96


def side_by_side_section(
    record: StudyRecord, dataset: str, answers: Answers | None, book: PictureBook, id: str
) -> Section | None:
    """None where fewer than two methods have answers on the same images."""
    if answers is None or len(answers.methods) < 2:
        return None
    most = max(2, MOST_ANSWERS // max(1, len(answers.rows)))
    methods = answers.methods[:most]
    table = record.tables[dataset]
    said = np.stack([answers.said[name][0] for name in methods])
    pictures: dict[int, str] = {}
    for at in _by_disagreement(said):
        made = book.picture(table, answers.rows[at], side=SIDE)
        if made is not None:
            pictures[at] = made.uri
    images = count(len(answers.rows), "test image")
    caption = f"Pick two methods: the images that they call differently are shown, of {images}"
    caption += (
        f" (those of seed {answers.seed})."
        if answers.seed is not None
        else "; the first run of each is compared."
    )
    if len(methods) < len(answers.methods):
        caption += f" The {len(methods)} best of {len(answers.methods)} methods are here."
    width = 1 if len(answers.classes) < len(SIGNS) else 2
    block = Pairs(
        f"{id}-pairs",
        f"{caption} {book.remark()}".strip(),
        methods,
        answers.classes,
        tuple(table.paths[row] for row in answers.rows),
        coded(answers.truth, width),
        tuple(coded(row, width) for row in said),
        width,
        pictures,
    )
    return Section(id, "Two methods side by side", (block,))


def coded(numbers: np.ndarray, width: int) -> str:
    """Class numbers as `width` signs each; -1 (no such class) as the last sign.

    Examples
    --------
    >>> coded(np.array([0, 1]), 1)
    '#$'
    """
    base = len(SIGNS)
    if width == 1:
        return "".join(SIGNS[number] for number in numbers)
    return "".join(SIGNS[number // base % base] + SIGNS[number % base] for number in numbers)


def _by_disagreement(said: np.ndarray) -> list[int]:
    """Images on which not all methods agree, those that split them most evenly first."""
    share = np.array([np.bincount(column).max() / len(column) for column in said.T + 0])
    order = np.argsort(share, kind="stable")
    return [int(at) for at in order if share[at] < 1]
