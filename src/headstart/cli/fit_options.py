"""The options of `fit` in their groups, and the estimators that they make."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.base.errors import BadOptions
from headstart.cli.declared import DataOptions, FitOptions, TrainFlags, misplaced
from headstart.cli.flags import build

if TYPE_CHECKING:
    from headstart.methods.finetune import FineTuneClassifier
    from headstart.methods.probe import TransferClassifier


def options_of(scenario: str, flags: dict[str, Any]) -> tuple[FitOptions, TrainFlags, DataOptions]:
    """The options of a scenario; every mistake of all of them at once."""
    found = misplaced(scenario, [name for name, value in flags.items() if value not in (None, [])])
    built: list[Any] = []
    for declared in (FitOptions, TrainFlags, DataOptions):
        try:
            built.append(build(declared, flags))
        except BadOptions as error:
            found += error.mistakes
    if found:
        raise BadOptions(found)
    return built[0], built[1], built[2]


def probe_of(options: FitOptions) -> TransferClassifier:
    """The estimator of the scenario features."""
    from headstart.methods.probe import TransferClassifier

    return TransferClassifier(
        backbone=options.backbone,
        layer=options.layer[0] if len(options.layer) == 1 else options.layer,
        pooling=options.pooling,
        head=options.head,
        engine=options.engine,
        precision=options.precision,
        input_size=options.input_size,
        n_folds=options.folds,
        seed=options.seed,
        refit=options.refit,
        cache_gb=options.cache_gb,
    )


def tuner_of(scenario: str, options: FitOptions, training: TrainFlags, out: Path) -> FineTuneClassifier:
    """The estimator of a scenario that trains; what cannot be is told before any work."""
    from headstart.backbones.freeze import find_cut
    from headstart.backbones.load import load
    from headstart.export.save import check_place
    from headstart.methods.finetune import FineTuneClassifier

    given = vars(training)
    if isinstance(training.trainable, tuple) and len(training.trainable) == 1:
        given = {**given, "trainable": training.trainable[0]}
    backbone = load(options.backbone).at(options.input_size)
    find_cut(backbone, given["trainable"])
    check_place(out, backbone.card.weights_bytes)
    return FineTuneClassifier(
        scenario=scenario,
        backbone=backbone,
        seed=options.seed,
        n_folds=options.folds,
        cache_gb=options.cache_gb,
        **given,
    )
