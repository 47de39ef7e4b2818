"""A list of references as a section of a page: each paper with what it is for and its address."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from headstart.report.document import Column, Entry, Paragraph, Row, Section, Table
from headstart.report.sources import NUMBERED, Bibliography

Uses = Iterable[tuple[tuple[str, ...], str]]
"""Keys of the bibliography with what they are for, in the order of the page."""


def together(uses: Uses) -> dict[str, str]:
    """What each paper is for, by its key; several uses of one paper in one phrase.

    Examples
    --------
    >>> together([(("zeiler2014",), "occlusion"), (("zeiler2014",), "channels"), ((), "a mean")])
    {'zeiler2014': 'occlusion; channels'}
    """
    found: dict[str, list[str]] = {}
    for keys, what in uses:
        for key in keys:
            if what not in found.setdefault(key, []):
                found[key].append(what)
    return {key: "; ".join(each) for key, each in found.items()}


def references_section(
    uses: Mapping[str, str], *, of: str, style: str = NUMBERED, linked: bool = False
) -> Section:
    """The section.

    Parameters
    ----------
    uses : mapping
        What each paper is for, by its key.
    of : str
        What the papers are behind, e.g. "this study".
    style : {"numbered", "alphabetic", "author-date"}
    linked : bool
        Whether each paper is a link to its address, which stands in its text in any case.
    """
    cited = Bibliography(style)
    cited.cite(*uses)
    rows = tuple(
        Row(
            (
                Entry(each.label, each.label),
                Entry(each.text, href=each.address if linked else ""),
                Entry(uses[each.key]),
            )
        )
        for each in cited.references()
    )
    columns = (Column("label"), Column("reference"), Column("for"))
    caption = f"Papers behind what {of} used; each was looked up, none is made up."
    if not rows:
        return Section("references", "References", (Paragraph("Nothing was used that has a paper."),))
    return Section("references", "References", (Table("reference-table", caption, columns, rows),))
