"""Short names of methods for drawings: what all of them share is left out; two never get the same name."""

from __future__ import annotations

import re
from collections.abc import Sequence

from headstart.report.wording import listed
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


POOLED = {
    "avg": "avg the mean over its positions",
    "max": "max the largest value over its positions",
    "avg+std": "avg+std their mean and standard deviation",
    "gem": "gem their generalised mean",
    "flat": "flat every position as it is",
}
CUTS = (
    ("head", "head: the classifier alone trains"),
    ("norm", "norm: the normalisation layers train"),
    ("bias", "bias: the biases train"),
)


def naming_words(rows: Sequence[MethodSummary]) -> str:
    """What the parts of these methods' names mean, in one sentence; "" where there is none."""
    layers = {row.layer for row in rows if row.layer}
    said = []
    if any(re.fullmatch(r"stage\d+", name) for name in layers):
        said.append("stage6, say, is the end of the network's sixth stage")
    if "pool" in layers:
        said.append("pool is its last layer before the classifier")
    if "logits" in layers:
        said.append("logits are the scores of its own classifier")
    said += [POOLED[name] for name in dict.fromkeys(row.pooling for row in rows) if name in POOLED]
    cuts = {row.cut for row in rows if row.scenario == "finetune"}
    lasts = sorted({int(name[5:]) for name in cuts if re.fullmatch(r"last:\d+", name)})
    if lasts:
        n, say = lasts[-1], ", say" if len(lasts) > 1 else ""
        said.append(f"last:{n}{say}: the last {'stage trains' if n == 1 else f'{n} stages train'}")
    said += [words for name, words in CUTS if name in cuts]
    if any(row.trains and row.cut == "all" for row in rows):
        said.append("all: every weight trains")
    if not said:
        return ""
    return (
        "A method's name: scenario, network, layer or part that trains, classifier and side of the input in pixels; "
        f"{listed(said)}."
    )
