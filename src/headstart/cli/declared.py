"""Options of the verbs beside `study`; those that a study has too take its declaration."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from headstart.base.options import option
from headstart.study.spec import StudySpec

_STUDY = {field.name: field for field in dataclasses.fields(StudySpec)}


def same(name: str, default: Any = dataclasses.MISSING, help: str = "") -> Any:
    """The option `name` of a study, here with another default or help."""
    field = _STUDY[name]
    metadata = {**field.metadata, **({"help": help} if help else {})}
    value = field.default if default is dataclasses.MISSING else default
    return dataclasses.field(default=value, metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """How a source of images is read."""

    target: str = same("target", help="label column (default: the first, or the model's)")
    path_column: str = same("path_column")
    label_columns: tuple[str, ...] = same("label_columns")
    group_column: str = same("group_column")
    split_column: str = same("split_column")
    image_root: str = same("image_root")
    on_bad: str = same("on_bad")


@dataclass(frozen=True, kw_only=True)
class FitOptions:
    """One method of the scenario `features`, as `fit` takes it."""

    backbone: str = same("backbone", "lite0")
    layer: tuple[str, ...] = same("layer", ("pool",), "where features are taken; several are joined")
    pooling: str = same("pooling", "avg")
    head: str = same("head", "logistic")
    engine: str = same("engine")
    precision: str = same("precision")
    input_size: int | None = same("input_size", None)
    folds: int = option(5, "inner folds of train, where there are no validation images", low=2, high=50)
    seed: int = option(0, "of the inner folds, and of the split where the source gives none", low=0)
    refit: bool = option(False, "let the validation images join train once the regularisation is chosen")
    cache_gb: float = same("cache_gb")


@dataclass(frozen=True, kw_only=True)
class FeatureOptions:
    """What `features` writes."""

    backbone: str = same("backbone", "lite0")
    layer: tuple[str, ...] = same("layer", ("pool",), "where features are taken; each is a column")
    pooling: tuple[str, ...] = same("pooling")
    engine: str = same("engine")
    precision: str = same("precision")
    input_size: int | None = same("input_size", None)
    cache_gb: float = same("cache_gb")
