"""What the adviser says before a study's first run: kept in the store, never changed afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from headstart.backbones.card import BackboneCard
from headstart.base.errors import HeadstartError
from headstart.base.events import warn
from headstart.study.partition import Dataset
from headstart.study.spec import StudySpec

META = "advice"
"""Name of the advice in the store: data set to advice as JSON."""
MOST_BACKBONES = 2
"""Backbones that the adviser measures; those named first."""
SECONDS_A_BACKBONE, SECONDS_A_DATASET = 30.0, 10.0
"""What it costs on 1,000 images on two processors, features that the study wants too left out."""
MOST_SHARE = 0.5
"""Of the study's expected time; where the advice would take more it is left out, unless it is asked for."""


def advice_seconds(datasets: Sequence[Dataset], backbones: Sequence[str]) -> float:
    """Expected seconds of the advice on some data sets."""
    from headstart.study.measure_situation import MOST_IMAGES

    n_backbones = min(MOST_BACKBONES, len(set(backbones)))
    each = [min(1.0, len(data.table) / MOST_IMAGES) for data in datasets]
    return sum(SECONDS_A_DATASET + share * n_backbones * SECONDS_A_BACKBONE for share in each)


def is_worth_it(advice: float, study: float) -> bool:
    """Whether the advice takes little beside the study, both in expected seconds."""
    return advice <= MOST_SHARE * study


def advice_places(card: BackboneCard) -> tuple[tuple[str, str], ...]:
    """(module, pooling) that the adviser looks at, so that the study's own pass over the images takes them too."""
    from headstart.study.measure_situation import looked_at

    layers = dict(card.layers or {})
    return tuple((layers[name], "avg") for name in looked_at(card))


def advice_before(data: Dataset, backbones: Sequence[str], spec: StudySpec) -> dict[str, Any] | None:
    """The advice on what the first seed learns from; None, with a warning, where there can be none.

    With folds every image is a test image of some fold, so the adviser, which must not see any, is not asked.
    """
    splits = data.partitions[0].splits
    if splits is None:
        warn(f"{data.table.name}: no advice is recorded with folds: every image is tested on")
        return None
    from headstart.study.advise import predict
    from headstart.study.measure_situation import measure

    table = data.table.with_splits(splits)
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
        return None
    return predict(found).to_dict()
