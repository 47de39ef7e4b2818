"""A document as one HTML page that loads nothing: styles, script and pictures stand in it.

Every text is escaped by Jinja2 (names of classes, files and methods are hostile); a content security policy
with the hashes of the one style and the one script forbids everything else.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from headstart.report.document import Document, Entry
from headstart.report.formula import Formula, mathml

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

MARK = '<meta name="generator" content="Headstart">'
"""In the head of every page: a file without it is not replaced."""
ADDRESS = re.compile(r"https?://[^\s\"'<>\\]+", re.ASCII)
NUMBER_AND_UNIT = re.compile(r"(?<=\d) (?=(?:%|s|ms|min|h|px|M|B|kB|MB|GB)(?!\w))")
CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def render(document: Document) -> str:
    """The page as text (valid UTF-8: what no text can hold becomes a replacement character)."""
    style, script = resource("style.css"), resource("page.js")
    return filled("report.html", document=document, style=style, script=script, policy=policy(style, script))


def filled(template: str, **values: object) -> str:
    """A template with its values, as valid UTF-8 without control characters."""
    page = _environment().get_template(template).render(**values)
    return CONTROLS.sub("\ufffd", page.encode("utf-8", "replace").decode("utf-8"))


def svg_uri(svg: str) -> str:
    """SVG text as a data address."""
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode("utf-8", "replace")).decode("ascii")


def safe_href(entry: Entry) -> str:
    """The web address of an entry, or "" where it is anything but plain http or https."""
    return entry.href if ADDRESS.fullmatch(entry.href) else ""


def json_text(value: object) -> str:
    """A value as JSON on one line, valid Unicode; as any text it is escaped where it stands."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace").decode()


def tied(text: str) -> str:
    """The text with numbers tied to their units and intervals kept in one piece by no-break spaces."""
    return NUMBER_AND_UNIT.sub("\u00a0", text)


def set_formula(formula: Formula) -> Markup:
    """Prose escaped as any text, the rest as MathML, whose signs were checked when it was made."""
    from markupsafe import Markup, escape

    told = (escape(tied(part)) if isinstance(part, str) else Markup(mathml(part)) for part in formula)
    return Markup("").join(told)


def policy(style: str, script: str, images: str = "data:") -> str:
    """The content security policy of a page with this one style and script; `images` says where pictures lie."""
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (style, script)]
    return (
        f"default-src 'none'; img-src {images}; style-src 'sha256-{hashes[0]}'; "
        f"script-src 'sha256-{hashes[1]}'; "
        "base-uri 'none'; form-action 'none'"
    )


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("headstart.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(
        svg_uri=svg_uri, safe_href=safe_href, tied=tied, json_text=json_text, set_formula=set_formula
    )
    return made


@cache
def resource(name: str) -> str:
    """The text of a file in `templates`."""
    return files("headstart.report").joinpath("templates", name).read_text(encoding="utf-8")
