"""Short names of methods for drawings: what all of them share is left out; two never get the same name."""

from __future__ import annotations

from collections.abc import Sequence

from headstart.study.records import MethodSummary

PARTS = ("scenario", "backbone", "place", "pooling", "head")


def short_names(rows: Sequence[MethodSummary]) -> dict[str, str]:
    """A short name for each method, by its whole name.

    Parameters
    ----------
    rows : sequence of MethodSummary
        The methods that stand together in one drawing.

    Examples
    --------
    >>> short_names(rows)  # doctest: +SKIP
    {'features lite0 pool avg lda 224px': 'pool lda', 'features lite0 stage6 avg lda 224px': 'stage6 lda'}
    """
    kept = [part for part in PARTS if len({getattr(row, part) for row in rows if getattr(row, part)}) > 1]
    found: dict[str, str] = {}
    for row in rows:
        words = [str(getattr(row, part)) for part in kept if getattr(row, part)]
        words += ["tuned"] if row.tuned else []
        if row.trains and row.scenario != "finetune":
            words = [word for word in words if word != row.cut]
        found[row.method] = " ".join(dict.fromkeys(words)) or row.method
    said = list(found.values())
    return {method: name if said.count(name) == 1 else method for method, name in found.items()}
