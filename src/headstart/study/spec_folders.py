"""Which dataset a second test folder belongs to: `FOLDER` where there is one dataset, `NAME=FOLDER` else."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path

from headstart.base.errors import BadOptions


def shifted_folders(data: Sequence[str], shifted: Sequence[str]) -> dict[int, str]:
    """The second test folder of each dataset that has one, by the dataset's place in `data`.

    Parameters
    ----------
    data : sequence of str
        Datasets as the user named them; the last part of a path names one too.
    shifted : sequence of str
        `FOLDER` or `NAME=FOLDER`.

    Raises
    ------
    BadOptions
        Every dataset that there is not, several folders for one, several datasets and none named.

    Examples
    --------
    >>> shifted_folders(("a", "photos/b"), ("b=later",))
    {1: 'later'}
    """
    names = [Path(each).name or each for each in data]
    found: dict[int, str] = {}
    wrong = []
    for given in shifted:
        name, is_named, folder = given.partition("=")
        fits = [at for at, each in enumerate(data) if is_named and name in (each, names[at])]
        if not fits and len(data) == 1:
            fits, folder = [0], given
        if not fits:
            wrong.append(_unknown(given, name if is_named else "", names))
        elif len(fits) > 1:
            wrong.append(f"shifted: {name!r} names {len(fits)} datasets; give the path as in DATA")
        elif fits[0] in found:
            wrong.append(f"shifted: {names[fits[0]]} has two second test folders; give one")
        else:
            found[fits[0]] = folder
    if wrong:
        raise BadOptions(wrong)
    return found


def _unknown(given: str, name: str, names: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, names, n=1) if name else []
    hint = f"did you mean {near[0]!r}?" if near else f"expected NAME=FOLDER with one of {', '.join(names)}"
    return f"shifted: {given!r} names none of the datasets; {hint}"
