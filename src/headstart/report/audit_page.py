"""The page of an audit: in short, each finding with its images, what was looked at, how to repeat it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from headstart.base.files import write_text
from headstart.report.document import (
    Block,
    Claim,
    Document,
    Entry,
    Gallery,
    Paragraph,
    Picture,
    Points,
    Section,
    plain_table,
)
from headstart.report.html import render
from headstart.report.pictures import PictureBook
from headstart.report.wording import DASH, count, decimal, duration

if TYPE_CHECKING:
    from headstart.audit.finding import Audit, AuditFinding, Checked

PICTURE_BYTES = 4_000_000
IMAGES_SHOWN, GROUPS_SHOWN, EACH_SHOWN, SIDE = 24, 12, 4, 128
DETAILS_SHOWN = 50
TITLES = {
    "files": "Files and rows", "duplicates": "Copies and leakage", "labels": "Labels", "balance": "Classes",
    "quality": "Quality of the images", "cues": "Cues", "drift": "Drift between splits", "enough": "Enough images?",
}  # fmt: skip
LOOKED = {
    "files": "files and rows that cannot be used, and images that cannot be decoded",
    "duplicates": "copies across splits, under different labels and within a split; groups across splits",
    "labels": "labels that a classifier and the nearest images speak against",
    "balance": "tiny, unequal and absent classes, spellings, classes that cannot be told apart",
    "quality": "dark, bright, blurred and empty images, odd sizes and shapes",
    "cues": "whether file size, border, brightness, size or camera alone tell the label",
    "drift": "whether a classifier tells the splits apart, and whether classes have other shares",
    "enough": "whether accuracy still rises with the number of images",
}
FIGURES = {
    "accuracy": "accuracy of a linear head out of sample", "threshold": "threshold of likeness",
    "n_compared": "pairs compared", "n_judged": "labels judged", "n_suspect": "labels worth a look",
    "test_area": "area under the curve, test", "validation_area": "area under the curve, validation",
    "gain": "points of accuracy from twice the images", "n_classes": "classes", "n_labels": "labels",
    "file_size": "file size", "format": "kind of file", "resolution": "size in pixels", "brightness": "brightness",
    "sharpness": "sharpness", "border": "border", "camera": "camera",
}  # fmt: skip


def write_audit_page(found: Audit, path: str | Path) -> Path:
    """Write the page as one HTML file that needs no network; an older one is replaced whole."""
    return write_text(path, render(audit_document(found)))


def audit_document(found: Audit) -> Document:
    """The page as values."""
    book = PictureBook(PICTURE_BYTES)
    sections = [Section("verdict", "In short", tuple(_claims(found)))]
    for check in TITLES:
        own = [each for each in found.findings if each.check == check]
        blocks = tuple(block for each in own for block in _finding(found, each, book))
        if check == "labels":
            blocks += tuple(block for each in _unnamed(found) for block in _ranking(found, each, book))
        if blocks:
            sections.append(Section(check, TITLES[check], blocks))
    sections.append(_checks(found))
    subtitle = f"{count(len(found.table), 'image')}, features of {found.backbone}, {duration(found.seconds)}"
    return Document(f"Audit of {found.table.name}", subtitle, tuple(sections))


def _claims(found: Audit) -> list[Block]:
    by = {
        level: sum(each.severity == level for each in found.findings) for level in ("high", "medium", "low")
    }
    if not found.findings:
        return [Claim("Nothing was found wrong by the checks listed below.", strong=True)]
    said = ", ".join(f"{n} {level}" for level, n in by.items() if n)
    rows = [
        (Entry(each.severity, each.severity), Entry(each.message, each.message, target=_anchor(found, each)))
        for each in found.findings
    ]
    return [
        Claim(f"{count(len(found.findings), 'finding')}: {said}.", strong=True),
        plain_table("findings", "High: results cannot be trusted. Medium: they suffer. Low: worth knowing.",
                    ("severity", "finding"), rows),
    ]  # fmt: skip


def _anchor(found: Audit, each: AuditFinding) -> str:
    split = f"-{each.facts['split']}" if "split" in each.facts else ""
    several = len(found.targets) > 1 and each.column in found.targets
    column = f"-{found.targets.index(each.column) + 1}" if several else ""
    return f"finding-{each.kind}{split}{column}"


def _finding(found: Audit, each: AuditFinding, book: PictureBook) -> list[Block]:
    name = _anchor(found, each)
    head = Entry(each.severity, each.severity, anchor=name)
    blocks: list[Block] = [
        Claim(f"{each.message[:1].upper()}{each.message[1:]}.", strong=True),
        plain_table(
            f"{name}-what", "", ("severity", "effect", "what to do"), [(head, each.effect, each.advice)]
        ),
    ]
    if command := found.mending(each):
        blocks.append(Points((command,), title="Mend it", code=True))
    gallery = _grouped(found, each, book) if each.groups else _single(found, each.rows, each.remarks, book)
    shown = tuple(group for group in gallery if group[2])
    if shown:
        blocks.append(Gallery(f"{name}-pictures", f"{_caption(each)} {book.remark()}".strip(), shown))
    if each.details:
        more = (
            f" The first {DETAILS_SHOWN} of {len(each.details):,}."
            if len(each.details) > DETAILS_SHOWN
            else ""
        )
        blocks.append(
            plain_table(f"{name}-details", f"In detail.{more}", ("what", "which"), each.details[:DETAILS_SHOWN])
        )  # fmt: skip
    return blocks


def _caption(each: AuditFinding) -> str:
    n, most = (len(each.groups), GROUPS_SHOWN) if each.groups else (len(each.rows), IMAGES_SHOWN)
    if each.kind == "parted_groups":
        what = "groups, two images of each split"
        return f"The first {most} of {n:,} {what}." if n > most else f"{what.capitalize()}."
    what = "pictures and their copies" if each.groups else "images"
    if n <= most:
        return "Pictures and their copies." if each.groups else "The images, the worst first."
    return f"The first {most} of {n:,} {what}, the worst first."


def _grouped(
    found: Audit, each: AuditFinding, book: PictureBook
) -> list[tuple[str, str, tuple[Picture, ...]]]:
    made = []
    for number, group in enumerate(each.groups[:GROUPS_SHOWN], 1):
        pictures = [_picture(found, row, each.remarks, book) for row in group[:EACH_SHOWN]]
        said = count(len(group), "image") + (f", {EACH_SHOWN} shown" if len(group) > EACH_SHOWN else "")
        made.append((str(number), said, tuple(one for one in pictures if one is not None)))
    return made


def _single(
    found: Audit, rows: tuple[int, ...], remarks: dict[int, str], book: PictureBook
) -> list[tuple[str, str, tuple[Picture, ...]]]:
    pictures = [_picture(found, row, remarks, book) for row in rows[:IMAGES_SHOWN]]
    return [("", "", tuple(one for one in pictures if one is not None))]


def _picture(found: Audit, row: int, remarks: dict[int, str], book: PictureBook) -> Picture | None:
    name = found.table.paths[row].rsplit("/", 1)[-1]
    lines = (remarks[row], name) if row in remarks else (name,)
    return book.picture(found.table, row, side=SIDE, lines=lines)


def _unnamed(found: Audit) -> list[Checked]:
    """Label columns whose labels were judged, without a finding."""
    named = {each.column for each in found.findings if each.check == "labels"}
    return [each for each in found.checked if each.check == "labels" and each.column not in named]


def _ranking(found: Audit, checked: Checked, book: PictureBook) -> list[Block]:
    """Labels that are worth a look though the surest images say that labels are right."""
    remarks = {each.row: each.remark for each in checked.ranking if each.named}
    if not remarks:
        return []
    gallery = _single(found, tuple(remarks), remarks, book)
    said = (
        "No finding: where a classifier is surest, labels agree with it. Of the images that it and their nearest "
        "images speak against, some may still be labelled wrongly; most are hard."
    )
    of, number = "", ""
    if len(found.targets) > 1:
        of, number = f"Of {checked.column}. ", f"-{found.targets.index(checked.column) + 1}"
    caption = f"{of}The most suspect first."
    return [Paragraph(said), Gallery(f"labels-ranking{number}", caption, tuple(gallery))]


def _checks(found: Audit) -> Section:
    rows = []
    for each in found.checked:
        own = [one for one in found.findings if one.check == each.check]
        n = sum(not each.column or one.column == each.column for one in own)
        of = f": {each.column}" if len(found.targets) > 1 and each.column else ""
        result = (
            f"not looked at: {each.skipped}"
            if each.skipped
            else count(n, "finding")
            if n
            else "nothing found"
        )
        seconds = Entry(f"{each.seconds:.1f}", each.seconds)
        rows.append((TITLES[each.check] + of, LOOKED[each.check], result, _figures(each.facts), seconds))
    caption = "A figure of a cue is the largest area under the curve of a class; 0.5 is chance."
    table = plain_table("checks-table", caption, ("check", "looks for", "result", "figures", "seconds"), rows)
    repeat = Points((found.again(),), title="Again", code=True)
    return Section("checks", "What was looked at", (table, repeat))


def _figures(facts: dict[str, object]) -> str:
    said = []
    for name, value in facts.items():
        if name in FIGURES and isinstance(value, int | float):
            shown = (
                f"{100 * value:.1f}"
                if name == "gain"
                else f"{value:,}"
                if isinstance(value, int)
                else decimal(value, 2)
            )
            said.append(f"{FIGURES[name]}: {shown}")
    return "; ".join(said) or DASH
