"""A drawing of the report for paper: its variables (which follow a dark page) become plain colours."""

from __future__ import annotations

import re

_RULES = re.compile(r"<style>:root\{(.*?)\}@media.*?</style>", re.DOTALL)


def plain_svg(svg: str) -> str:
    """The drawing with the colours of a light page, for readers that know no variables."""
    found = _RULES.search(svg)
    if found is None:
        return svg
    colours = dict(pair.split(":", 1) for pair in found[1].split(";") if ":" in pair)
    plain = _RULES.sub("", svg, count=1)
    return re.sub(r"var\((--[\w-]+)\)", lambda name: colours.get(name[1], "#000000"), plain)
