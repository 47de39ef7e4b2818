"""What the adviser says before a study's first run: kept in the store, never changed afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from headstart.base.errors import HeadstartError
from headstart.base.events import warn
from headstart.study.partition import Dataset
from headstart.study.spec import StudySpec

META = "advice"
"""Name of the advice in the store: data set to advice as JSON."""


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
            backbones=tuple(dict.fromkeys(backbones)),
            engine=spec.engine,
            cache_gb=spec.cache_gb,
        )
    except HeadstartError as error:
        warn(f"{data.table.name}: no advice is recorded: {error}")
        return None
    return predict(found).to_dict()
