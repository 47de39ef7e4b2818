"""The talk as one HTML file that loads nothing: arrow keys, space, Home and End turn the slides; it prints, too."""

from __future__ import annotations

import re

from headstart.report.document import anchors_in
from headstart.report.html import filled, policy, resource
from headstart.report.talk import Talk, minutes_words, numbered

LINK = re.compile(r'<a href="#([^"]+)"[^>]*>([^<]*)</a>')


def slides(talk: Talk) -> str:
    """The page as text; a run that is named leads to its row in the last slides, which list them."""
    style, script = resource("slides.css"), resource("slides.js")
    page = filled(
        "slides.html",
        talk=talk,
        numbered=numbered(talk),
        minutes=minutes_words(talk),
        style=style,
        script=script,
        policy=policy(style, script),
    )
    known = anchors_in(block for slide in talk.runs for block in slide.blocks)
    return LINK.sub(lambda found: found[0] if found[1] in known else found[2], page)
