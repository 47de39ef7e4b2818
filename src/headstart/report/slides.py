"""The talk as one HTML file that loads nothing: arrow keys, space, Home and End turn the slides; it prints, too."""

from __future__ import annotations

import re

from headstart.report.html import filled, policy, resource
from headstart.report.talk import Talk, minutes_words, numbered

TO_A_RUN = re.compile(r'<a href="#run-[0-9a-f]+"[^>]*>([^<]*)</a>')


def slides(talk: Talk) -> str:
    """The page as text; runs are named as in the paper, whose list of runs it has no room for."""
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
    return TO_A_RUN.sub(r"\1", page)
