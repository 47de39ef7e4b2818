"""`headstart fit`: one method, or the winner of a study or a tuning, fitted and kept as a model."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headstart.base.early import meanwhile
from headstart.base.errors import UnknownName, UsageError
from headstart.base.runtime import rank
from headstart.cli.declared import DataOptions, FitOptions, OutputFlags, TrainFlags
from headstart.cli.fit_from import NEITHER, handed_over
from headstart.cli.fit_options import options_of, probe_of, tuner_of
from headstart.cli.fit_outputs import asks_for_outputs, fit_outputs
from headstart.cli.fitted import fit_json, show_fit
from headstart.cli.flags import Json, verb
from headstart.cli.screen import shown
from headstart.cli.shown_outputs import fit_outputs_json, show_fit_outputs
from headstart.cli.sources import open_table
from headstart.cli.teacher import teacher_of
from headstart.cli.text import say_json
from headstart.methods.training_options import SCENARIOS

if TYPE_CHECKING:
    from headstart.images.table import ImageTable

EXAMPLE = """
headstart fit photos/ --out model
headstart fit photos/ --scenario features --backbone lite0 --layer stage6 --head linear_svm --out model
headstart fit photos/ --scenario finetune --trainable last:1 --epochs 12 --out model
headstart fit cells.csv --target defect,type --kind defect=ordinal --out model
headstart fit --from runs/photos --out model
headstart fit --from runs/photos-tune --out model
"""


def add_to(app: typer.Typer) -> None:
    """Make `fit` a verb of the app."""
    verb(app, FitOptions, TrainFlags, OutputFlags, DataOptions, example=EXAMPLE)(fit)


def fit(
    out: Annotated[
        Path, typer.Option("--out", metavar="MODEL", help="folder of the model", show_default=False)
    ],
    data: Annotated[
        str | None,
        typer.Argument(
            metavar="DATA",
            help="A folder, a table, COCO or Parquet file, or the name of a packaged set.",
            show_default=False,
        ),
    ] = None,
    scenario: Annotated[
        str | None,
        typer.Option(
            "--scenario",
            metavar="NAME",
            help="features: the network stays, a classifier is fitted on what it says; finetune: its last part "
            "trains; full: all of it trains; scratch: all of it from random weights; default: features",
        ),
    ] = None,
    study: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="FOLDER[:NAME]",
            help="the best method of a study, or of one of its datasets by name, or a run by the start of its id; "
            "or the best method of a tuning (DATA says where its images lie, if not where they lay)",
        ),
    ] = None,
    json: Json = False,
    **flags: Any,
) -> None:
    """Fit one method and keep it as a model: a folder that predicts anywhere, offline, without torch.

    It learns on the train split and chooses on validation, else on inner folds of train; the test split is
    never read. Images without a split are divided 60/20/20. Training that was stopped goes on when the same
    command is given again.
    """
    from headstart.export.save import check_place, save_bundle
    from headstart.methods.kept import kept_until_done

    if study is not None and scenario is not None:
        raise UsageError("scenario: the study or tuning decides it; leave it out with --from")
    scenario = scenario or SCENARIOS[0]
    if scenario not in SCENARIOS:
        raise UnknownName("scenario", scenario, SCENARIOS)
    if study is None and data is None:
        raise UsageError(NEITHER)
    first = rank() == 0
    with shown() if first else nullcontext(), kept_until_done():
        check_place(out)
        if study is not None:
            classifier, target, name = handed_over(study, data, flags)
        elif asks_for_outputs(flags):
            classifier, target, name = fit_outputs(data or "", scenario, flags, out)
        elif scenario == "features":
            classifier, target, name = _on_features(data or "", flags)
        else:
            classifier, target, name = _trained(data or "", scenario, flags, out)
        if not first:
            return
        save_bundle(classifier, out, target=target, data=name)
    if hasattr(classifier, "models_"):
        facts = fit_outputs_json(classifier, name, out)
        say_json(facts) if json else show_fit_outputs(facts)
        return
    facts = fit_json(classifier, target, name, out)
    say_json(facts) if json else show_fit(facts)


def _divided(data: str, source: DataOptions, seed: int, wanted: str) -> tuple[ImageTable, str]:
    """The images with their splits, and the label column; a module that will be wanted is loaded meanwhile."""
    from headstart.images.split import split_table

    with meanwhile(partial(import_module, wanted)):
        given = open_table(data, source)
    target = given.target(source.target or None)
    return split_table(given, seed=seed, target=target), target


def _on_features(data: str, flags: dict[str, Any]) -> tuple[Any, str, str]:
    from headstart.export.save import load_writers

    options, _, source = options_of("features", flags)
    table, target = _divided(data, source, options.seed, "headstart.methods.probe")
    with meanwhile(load_writers):
        return probe_of(options).fit_table(table, target), target, table.name


def _trained(data: str, scenario: str, flags: dict[str, Any], out: Path) -> tuple[Any, str, str]:
    options, training, source = options_of(scenario, flags)
    training.teacher = teacher_of(training.teacher)  # what is no model is told before anything is read
    table, target = _divided(data, source, options.seed, "headstart.methods.training")
    return tuner_of(scenario, options, training, out).fit_table(table, target), target, table.name
