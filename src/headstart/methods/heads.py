"""The seven heads by name: `make_head("logistic")` gives an unfitted scikit-learn classifier on features.

`TRUSTED` is the fixed list of types that skops may load; fitted heads hold arrays and plain values only.
"""

from __future__ import annotations

import dataclasses
import difflib
from typing import Any

from headstart.base.errors import BadOptions
from headstart.base.registry import Registry
from headstart.methods.heads_base import Head
from headstart.methods.heads_distance import KNNHead, NearestMeanHead
from headstart.methods.heads_gram import LDAHead, RidgeHead
from headstart.methods.heads_kernel import RBFSVMHead
from headstart.methods.heads_linear import LinearSVMHead, LogisticHead
from headstart.methods.heads_outputs import OUTPUT_HEADS

HEADS: Registry[type[Head]] = Registry("head")
for _head in (LogisticHead, LinearSVMHead, RBFSVMHead, KNNHead, NearestMeanHead, LDAHead, RidgeHead):
    HEADS.add(_head.name, _head)

TRUSTED: tuple[str, ...] = tuple(
    f"{head.__module__}.{head.__qualname__}" for head in (*map(HEADS.__getitem__, HEADS), *OUTPUT_HEADS)
)


def make_head(name: str, **options: Any) -> Head:
    """An unfitted head.

    Parameters
    ----------
    name : str
        One of `HEADS`.
    **options
        Its options; they are stored untouched and their values checked at `fit`.

    Raises
    ------
    UnknownName
        No such head; the nearest names are in the message.
    BadOptions
        Options that the head does not have, all of them at once.

    Examples
    --------
    >>> make_head("knn", n_neighbors=5).n_neighbors
    5
    """
    kind = HEADS[name]
    known = [field.name for field in dataclasses.fields(kind)]
    if found := [_unknown(name, given, known) for given in options if given not in known]:
        raise BadOptions(found)
    return kind(**options)


def _unknown(head: str, given: str, known: list[str]) -> str:
    near = difflib.get_close_matches(given, known, n=1)
    said = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
    return f"head {head!r} has no option {given!r}; {said}"
