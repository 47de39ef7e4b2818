"""The talk as one HTML file that loads nothing: arrow keys, space, Home and End turn the slides; it prints, too."""

from __future__ import annotations

from headstart.report.html import filled, policy, resource
from headstart.report.talk import Talk, minutes_words, numbered


def slides(talk: Talk) -> str:
    """The page as text."""
    style, script = resource("slides.css"), resource("slides.js")
    return filled(
        "slides.html",
        talk=talk,
        numbered=numbered(talk),
        minutes=minutes_words(talk),
        style=style,
        script=script,
        policy=policy(style, script),
    )
