"""Names of classes: what can be one."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from headstart.base.errors import BadOptions
from headstart.images.spelling import alike

LONGEST = 200
NO_LABEL = "(no label)"
"""What images without a label are counted under."""


def check_classes(names: Sequence[str]) -> tuple[str, ...]:
    """The names, stripped, each once.

    Raises
    ------
    BadOptions
        Fewer than two, an empty or overlong one, control characters, or two that differ in spelling alone.
    """
    made = [unicodedata.normalize("NFC", name).strip() for name in names]
    wrong = [f"classes: {name[:40]!r} is no name of a class; {why}" for name in made if (why := _odd(name))]
    again = sorted({name for name in made if made.count(name) > 1}) if len(set(made)) < len(made) else []
    wrong += [f"classes: {name!r} is given twice; leave one out" for name in again[:5]]
    for group in alike(made)[:5]:
        said = " and ".join(map(repr, group))
        wrong.append(f"classes: {said} differ in case, spaces, hyphens or underscores alone; leave one out")
    if len(made) < 2:
        wrong.append(f"classes: two or more are needed, got {len(made)}")
    if wrong:
        raise BadOptions(wrong)
    return tuple(made)


def _odd(name: str) -> str:
    if not name:
        return "it is empty"
    if len(name) > LONGEST:
        return f"it is longer than {LONGEST} characters"
    if not name.isprintable():
        return "it holds signs that cannot be shown"
    return ""
