"""Every mistake of a study at once, of whatever kind: options, names, networks, engines and images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from headstart.base.errors import BadOptions, HeadstartError
from headstart.base.events import unheard
from headstart.images.scan import HUB
from headstart.study.resolve import Variant, resolve
from headstart.study.sources import scan_sources
from headstart.study.spec import StudySpec
from headstart.study.spec_values import with_mistakes

MOST_FILES = 2000


def check_study(spec: StudySpec, unread: Sequence[str] = ()) -> tuple[Variant, ...]:
    """The networks of a spec in which nothing is wrong.

    Parameters
    ----------
    spec : StudySpec
        Of the options that could be read.
    unread : sequence of str
        A sentence on each option that could not.

    Raises
    ------
    BadOptions
        Every mistake of the spec. Where there is one the images are looked at too, so that a folder that is not
        there or a column that it lacks is told with it. Sets of Hugging Face are not fetched for it, and of a folder
        of more than 2,000 files nothing is read: a mistyped option is told at once.
    """
    found: Sequence[str] = ()
    variants: tuple[Variant, ...] = ()
    try:
        variants = resolve(spec)
    except BadOptions as error:
        found = error.mistakes
    if unread or found:
        raise BadOptions(with_mistakes(unread, [*found, *_of_images(spec)]))
    return variants


def _of_images(spec: StudySpec) -> list[str]:
    """What is wrong with each source of images, under its name."""
    wrong: list[str] = []
    with unheard():
        for given in spec.data:
            if not given or given.startswith(HUB) or _is_large(Path(given)):
                continue
            try:
                scan_sources(replace(spec, data=(given,)))
            except BadOptions as error:
                wrong += error.mistakes
            except HeadstartError as error:
                wrong.append(f"data: {error}")
    return wrong


def _is_large(folder: Path) -> bool:
    """Whether a scan of a folder may take longer than a user waits for a mistake."""
    return folder.is_dir() and sum(1 for _ in islice(folder.rglob("*"), MOST_FILES + 1)) > MOST_FILES
