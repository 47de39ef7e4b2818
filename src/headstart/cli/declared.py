"""Options of the verbs beside `study`; those that a study has too take its declaration."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from headstart.base.options import option
from headstart.methods.sharing_options import SharingOptions
from headstart.methods.training_options import SCENARIOS, TRAINED, TrainingOptions
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

    target: str = same(
        "target", "", help="label column (default: the first, or the model's); several with commas"
    )
    path_column: str = same("path_column")
    label_columns: tuple[str, ...] = same("label_columns")
    group_column: str = same("group_column")
    split_column: str = same("split_column")
    image_root: str = same("image_root")
    on_bad: str = same("on_bad")


@dataclass(frozen=True, kw_only=True)
class VectorOptions:
    """Which features of a network stand for an image: one vector."""

    backbone: str = same("backbone", "lite0")
    layer: tuple[str, ...] = same("layer", ("pool",), "where features are taken; several are joined")
    pooling: str = same("pooling", "avg")
    engine: str = same("engine")
    precision: str = same("precision")
    input_size: int | str | None = same("input_size", None)
    cache_gb: float = same("cache_gb")


@dataclass(frozen=True, kw_only=True)
class FitOptions:
    """One method, as `fit` takes it, less the options of training."""

    backbone: str = same("backbone", "lite0")
    layer: tuple[str, ...] = same("layer", ("pool",), "where features are taken; several are joined")
    pooling: str = same("pooling", "avg")
    head: str = same("head", "logistic")
    engine: str = same("engine")
    precision: str = same("precision")
    input_size: int | str | None = same("input_size", None)
    folds: int = option(
        5,
        "inner folds of train, where there are no validation images (training holds one out)",
        low=2,
        high=50,
    )
    seed: int = option(0, "of everything random, the split where the source gives none too", low=0)
    refit: bool = option(False, "let the validation images join train once the regularisation is chosen")
    cache_gb: float = same("cache_gb")


@dataclass(kw_only=True)
class TrainFlags(TrainingOptions):
    """The options of training, as `fit` takes them."""

    seconds: float | None = option(None, "seconds of training after which no new epoch starts", low=0.0)


@dataclass(kw_only=True)
class OutputFlags(SharingOptions):
    """Several outputs, or one that is no choice among classes, as `fit` takes them."""

    kind: tuple[str, ...] = same("kind")
    levels: tuple[str, ...] = same("levels")
    separator: tuple[str, ...] = same("separator")
    output_weight: tuple[str, ...] = same("output_weight")
    head_rate: tuple[str, ...] = same("head_rate")
    class_weights: tuple[str, ...] = same("class_weights")


_NAMES = tuple(field.name for field in dataclasses.fields(TrainFlags))
BELONGS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("layer", "pooling", "head", "engine", "precision", "refit"), ("features",)),
    **dict.fromkeys(_NAMES, TRAINED),
    **dict.fromkeys(("trainable", "views", "fresh", "prefix_precision"), ("finetune",)),
    **dict.fromkeys(("start", "l2_sp", "batchnorm"), ("finetune", "full")),
    **dict.fromkeys(("weighting", "tie", "output_weight", "head_rate"), TRAINED),
    "zero_gamma": ("scratch",),
}
"""Options of `fit` that some scenarios alone take."""


def misplaced(scenario: str, given: Iterable[str]) -> list[str]:
    """A sentence for each option that the scenario does not take."""
    return [
        f"{name.replace('_', '-')}: is for --scenario {' or '.join(BELONGS[name])}; leave it out with {scenario}"
        for name in given
        if scenario not in BELONGS.get(name, SCENARIOS)
    ]


@dataclass(frozen=True, kw_only=True)
class FeatureOptions:
    """What `features` writes."""

    backbone: str = same("backbone", "lite0")
    layer: tuple[str, ...] = same("layer", ("pool",), "where features are taken; each is a column")
    pooling: tuple[str, ...] = same("pooling")
    engine: str = same("engine")
    precision: str = same("precision")
    input_size: int | str | None = same("input_size", None)
    cache_gb: float = same("cache_gb")
