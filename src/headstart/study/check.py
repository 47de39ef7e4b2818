"""Every mistake of a study at once, of whatever kind: options, names, networks, engines and images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from headstart.base.errors import BadOptions, HeadstartError
from headstart.base.events import unheard
from headstart.images.scan import HUB
from headstart.study.resolve import Variant, resolve
from headstart.study.sources import scan_sources
from headstart.study.spec import StudySpec
from headstart.study.spec_values import with_mistakes


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
        there is told with it: a scan keeps what it reads for the next. Sets of Hugging Face are not fetched for it.
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
            if not given or given.startswith(HUB):
                continue
            try:
                scan_sources(replace(spec, data=(given,)))
            except BadOptions as error:
                wrong += error.mistakes
            except HeadstartError as error:
                wrong.append(f"data: {error}")
    return wrong
