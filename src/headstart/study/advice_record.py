"""What the adviser says before a study's first run: kept in the store, never changed afterwards."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from headstart.backbones.card import BackboneCard
from headstart.base.errors import HeadstartError
from headstart.base.events import warn
from headstart.study.partition import Dataset
from headstart.study.spec import StudySpec
from headstart.study.store import StudyStore

META = "advice"
"""Name of the advice in the store: data set to advice as JSON."""
MISSING = "advice_missing"
"""Name of the reasons in the store: data set to why there is no advice on it."""
FOLDS = "with folds every image is tested on, and the adviser may see none of those"
SEVERAL = "the adviser is of one target, and the study has several outputs"
UNWANTED = "the study was told not to ask for it (--no-advice)"
COSTLY = "it costs more than half of the study"
LATE = "runs were done before it was asked for"
MOST_BACKBONES = 2
"""Backbones that the adviser measures; those named first."""
SECONDS_A_BACKBONE, SECONDS_A_DATASET = 30.0, 10.0
"""What it costs on 1,000 images on two processors, features that the study wants too left out."""
MOST_SHARE = 0.5
"""Of the study's expected time; where the advice would take more it is left out, unless it is asked for."""


def advised_number(data: Dataset, spec: StudySpec) -> int:
    """Images a class that the advice is of: those of the study's main table, the most that it runs (0: all)."""
    from headstart.study.plan import sizes_of

    return sizes_of(data, spec)[0]


def advice_seconds(datasets: Sequence[Dataset], backbones: Sequence[str], spec: StudySpec) -> float:
    """Expected seconds of the advice on some data sets."""
    from headstart.study.measure_situation import MOST_IMAGES

    n_backbones = min(MOST_BACKBONES, len(set(backbones)))
    each = [min(1.0, _n_images(data, spec) / MOST_IMAGES) for data in datasets]
    return sum(SECONDS_A_DATASET + share * n_backbones * SECONDS_A_BACKBONE for share in each)


def _n_images(data: Dataset, spec: StudySpec) -> int:
    number = advised_number(data, spec)
    return len(data.partition(0, number).folds[0].train) if number else len(data.table)


def is_worth_it(advice: float, study: float) -> bool:
    """Whether the advice takes little beside the study, both in expected seconds."""
    return advice <= MOST_SHARE * study


def advice_places(card: BackboneCard) -> tuple[tuple[str, str], ...]:
    """(module, pooling) that the adviser looks at, so that the study's own pass over the images takes them too."""
    from headstart.study.measure_situation import looked_at

    layers = dict(card.layers or {})
    return tuple((layers[name], "avg") for name in looked_at(card))


def advice_before(
    data: Dataset, backbones: Sequence[str], spec: StudySpec
) -> tuple[dict[str, Any] | None, str]:
    """The advice on what the first seed learns from; or None and, with a warning, why there can be none.

    With folds every image is a test image of some fold, so the adviser, which must not see any, is not asked. Beside
    the advice stands what it is of: the sizes of the networks (`sizes`), and the images a class (`per_class`, 0: all).
    """
    splits = data.partitions[0].splits
    if splits is None:
        warn(f"{data.table.name}: no advice is recorded: {FOLDS}")
        return None, FOLDS
    from headstart.backbones.load import card
    from headstart.study.advise import predict
    from headstart.study.measure_situation import measure

    table, number = data.table.with_splits(splits), advised_number(data, spec)
    if number:  # of the test images, which no one looks at, the adviser is to know how many there are
        drawn = data.partition(0, number).folds[0]
        table = table.select(sorted((*drawn.train, *drawn.test)))
    try:
        found = measure(
            table,
            data.target,
            backbones=tuple(dict.fromkeys(backbones))[:MOST_BACKBONES],
            engine=spec.engine,
            cache_gb=spec.cache_gb,
        )
    except HeadstartError as error:
        warn(f"{data.table.name}: no advice is recorded: {error}")
        return None, str(error)
    shapes = {name: card(name).preprocessing for name in found.backbones}
    sizes = {name: [shape.height, shape.width] for name, shape in shapes.items()}
    return {**predict(found).to_dict(), "sizes": sizes, "per_class": number}, ""


def keep_reasons(store: StudyStore, names: Iterable[str], reason: str) -> None:
    """Keep why there is no advice on some data sets; the first reason stands, and falls when there is advice."""
    meta = store.meta()
    said, kept = meta.get(META) or {}, dict(meta.get(MISSING) or {})
    for name in names:
        if name not in said:
            kept.setdefault(name, reason)
    store.put_meta(**{MISSING: {name: why for name, why in kept.items() if name not in said}})
