"""The bibliography: real papers out of `references.bib`, cited in one of three styles.

One idea: a label is settled by the whole library (alphabetic, author-date) or by the order of citing (numbered),
so that a text and its list of references cannot disagree. Labels and entries are plain text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from urllib.parse import quote, urlsplit

from headstart.base.errors import UnknownName

NUMBERED, ALPHABETIC, AUTHOR_DATE = "numbered", "alphabetic", "author-date"
STYLES = (NUMBERED, ALPHABETIC, AUTHOR_DATE)
FILE = "references.bib"
OFFICIAL = {
    "aclweb.org": "venue", "dl.acm.org": "publisher", "hal.inria.fr": "authors' deposit", "jmlr.org": "venue",
    "papers.nips.cc": "venue", "www.csie.ntu.edu.tw": "authors", "www.ncbi.nlm.nih.gov": "authors' deposit",
    "www.robots.ox.ac.uk": "authors",
}  # fmt: skip
"""Hosts whose pages may be printed as the place of a work, and whose they are; those of others never are."""
_VENUES = ("journal", "booktitle", "publisher", "howpublished")


@dataclass(frozen=True)
class Source:
    """One paper or book.

    Attributes
    ----------
    key : str
        E.g. "holm1979".
    authors : tuple of (family name, given names)
    title, venue : str
    year : int
    volume, number, pages, edition, doi, arxiv, url : str
        "" where there is none; `url` is a page of the publisher, the venue or the authors (`OFFICIAL`).
    note : str
        The page on which the entry was seen; never printed.
    raw : str
        The entry as it stands in the file.
    """

    key: str
    authors: tuple[tuple[str, str], ...]
    title: str
    venue: str
    year: int
    volume: str = ""
    number: str = ""
    pages: str = ""
    edition: str = ""
    doi: str = ""
    arxiv: str = ""
    url: str = ""
    note: str = ""
    raw: str = ""

    @property
    def address(self) -> str:
        """Where to read it: DOI, arXiv or an official address; "" where none is known."""
        if self.doi:
            return f"https://doi.org/{quote(self.doi, safe='/:;().-_')}"
        return f"https://arxiv.org/abs/{self.arxiv}" if self.arxiv else self.url

    @property
    def text(self) -> str:
        """The entry of a list of references, without its label: authors (year), title, venue."""
        names = [f"{_initials(given)} {family}".strip() for family, given in self.authors]
        said = f"{_listed(names)} ({self.year}). {self.title}{'' if self.title[-1] in '?!' else '.'} {self.venue}"
        said += f", {self.edition} edition" if self.edition else ""
        said += f" {self.volume}" if self.volume else ""
        said += f"({self.number})" if self.number else ""
        said += f", {self.pages}" if self.pages else ""
        if self.doi:
            return f"{said}. doi:{self.doi}"
        if self.arxiv:
            return f"{said}. arXiv:{self.arxiv}"
        return f"{said}. {self.url}" if self.url else f"{said}."


def _initials(given: str) -> str:
    """`Quoc V.` as `Q. V.`; `Rong-En` as `R.-E.`."""
    parts = [re.split(r"(-)", word) for word in given.split()]
    return " ".join("".join(p if p == "-" else f"{p[0]}." for p in word if p) for word in parts)


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def official(url: str) -> str:
    """The address where it is the publisher's, the venue's or the authors' own, else "".

    Examples
    --------
    >>> official("https://jmlr.org/papers/v7/demsar06a.html")
    'https://jmlr.org/papers/v7/demsar06a.html'
    >>> official("https://rdrr.io/cran/sClust/man/VonLuxburgSC.html")
    ''
    """
    return url if urlsplit(url).hostname in OFFICIAL else ""


@cache
def library() -> dict[str, Source]:
    """Every entry of the curated file, by its key.

    Examples
    --------
    >>> library()["holm1979"].address
    'https://doi.org/10.2307/4615733'
    """
    import bibtexparser

    text = files("headstart.report").joinpath(FILE).read_text(encoding="utf-8")
    read = bibtexparser.parse_string(text)
    if read.failed_blocks:
        raise ValueError(f"{FILE} holds {len(read.failed_blocks)} entries that cannot be read")
    return {entry.key: _source(entry.key, _fields(entry), entry.raw.strip()) for entry in read.entries}


def _fields(entry: object) -> dict[str, str]:
    return {each.key: str(each.value) for each in entry.fields}  # type: ignore[attr-defined]


def _source(key: str, has: dict[str, str], raw: str) -> Source:
    families = (name.partition(",") for name in has["author"].split(" and "))
    return Source(
        key,
        tuple((family.strip(), given.strip()) for family, _, given in families),
        has["title"],
        next(has[name] for name in _VENUES if name in has),
        int(has["year"]),
        volume=has.get("volume", ""),
        number=has.get("number", ""),
        pages=has.get("pages", "").replace("--", "–"),
        edition=has.get("edition", ""),
        doi=has.get("doi", ""),
        arxiv=has.get("eprint", ""),
        url=official(has.get("url", "")),
        note=has.get("note", ""),
        raw=raw,
    )


@dataclass(frozen=True)
class Reference:
    """One line of the list of references."""

    label: str
    text: str
    address: str
    key: str


@dataclass
class Bibliography:
    """Cites sources and remembers which, for the list at the end.

    Parameters
    ----------
    style : {"numbered", "alphabetic", "author-date"}

    Raises
    ------
    UnknownName
        No such style; `cite`: no such key.

    Examples
    --------
    >>> cited = Bibliography("author-date")
    >>> cited.cite("holm1979", "demsar2006")
    '(Holm, 1979; Demšar, 2006)'
    """

    style: str = NUMBERED
    keys: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.style not in STYLES:
            raise UnknownName("citation style", self.style, STYLES)

    def cite(self, *keys: str) -> str:
        """The mark in the text, e.g. `[1, 4]`; "" where nothing is cited."""
        for key in keys:
            if key not in library():
                raise UnknownName("paper", key, library())
            if key not in self.keys:
                self.keys.append(key)
        if not keys:
            return ""
        marks = [self.label(key) for key in dict.fromkeys(keys)]
        if self.style == NUMBERED:
            return f"[{', '.join(sorted(marks, key=int))}]"
        return f"[{', '.join(marks)}]" if self.style == ALPHABETIC else f"({'; '.join(marks)})"

    def label(self, key: str) -> str:
        """The label of a cited source, without brackets."""
        if self.style == NUMBERED:
            return str(self.keys.index(key) + 1)
        return _labels(self.style)[key]

    def references(self) -> tuple[Reference, ...]:
        """The list at the end: by number, or by the names of the authors."""
        order = list(self.keys) if self.style == NUMBERED else sorted(self.keys, key=_by_name)
        return tuple(
            Reference(self.label(key), library()[key].text, library()[key].address, key) for key in order
        )

    def bibtex(self) -> str:
        """The cited entries as a BibTeX file, by key.

        The page where an entry was seen is in `annote`, which BibTeX's usual styles do not print as they do `note`.
        """
        return "\n\n".join(_exported(library()[key].raw) for key in sorted(self.keys)) + "\n"


def _exported(raw: str) -> str:
    """An entry of the file as others read it: nothing in `note`, and a number of arXiv told as such."""
    told = re.sub(r"^  note = ", "  annote = ", raw, flags=re.MULTILINE)
    return re.sub(r"^  eprint = ", "  archiveprefix = {arXiv},\n  eprint = ", told, flags=re.MULTILINE)


def _by_name(key: str) -> tuple[str, int, str]:
    source = library()[key]
    return source.authors[0][0].casefold(), source.year, source.title.casefold()


@cache
def _labels(style: str) -> dict[str, str]:
    """Labels of the whole library; equal ones are told apart by a, b ..."""
    made = {key: _label(source, style) for key, source in library().items()}
    groups: dict[str, list[str]] = {}
    for key in sorted(made, key=_by_name):
        groups.setdefault(made[key], []).append(key)
    return {
        key: label + (chr(ord("a") + at) if len(keys) > 1 else "")
        for label, keys in groups.items()
        for at, key in enumerate(keys)
    }


def _label(source: Source, style: str) -> str:
    families = [family for family, _ in source.authors]
    if style == AUTHOR_DATE:
        named = families[0] + " et al." if len(families) > 3 else _listed(families)
        return f"{named}, {source.year}"
    short = families[0][:3] if len(families) == 1 else "".join(name[0] for name in families[:3])
    return f"{short}{'+' if len(families) > 3 else ''}{source.year % 100:02d}"
