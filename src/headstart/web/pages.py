"""Templates and files of the pages; every text is escaped by Jinja2."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Environment

KINDS = {".css": "text/css", ".js": "text/javascript"}


def filled(template: str, **values: object) -> str:
    """A template with its values, as valid UTF-8."""
    return _environment().get_template(template).render(**values).encode("utf-8", "replace").decode("utf-8")


def static(name: str) -> tuple[str, str] | None:
    """Text and media type of a file in `static`; None where there is no such file."""
    known = {each.name: each for each in files("headstart.web").joinpath("static").iterdir()}
    kind = KINDS.get("." + name.rpartition(".")[2])
    if name not in known or kind is None:
        return None
    return known[name].read_text(encoding="utf-8"), kind


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("headstart.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
