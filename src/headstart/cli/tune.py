"""`headstart tune`: options of methods found by machine on what may choose, and what that was worth on test."""

from __future__ import annotations

import dataclasses
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from headstart.base.errors import BadOptions
from headstart.base.events import warn
from headstart.base.files import source_name
from headstart.base.options import option
from headstart.cli.declared import DataOptions, TrainFlags, misplaced, same
from headstart.cli.flags import Data, Json, build, verb
from headstart.cli.screen import shown
from headstart.cli.sources import open_table
from headstart.cli.teacher import teacher_of
from headstart.cli.text import printable, say, say_json, table
from headstart.methods.training_options import TRAINED
from headstart.methods.tune.plan import TunePlan
from headstart.study.spec import budget_seconds

if TYPE_CHECKING:
    from headstart.images.table import ImageTable
    from headstart.methods.tune.found import Tuning

EXAMPLE = """
headstart tune photos/ --trials 100
headstart tune photos/ --head logistic,knn --layer stage4,stage5,pool --budget 5m
headstart tune photos/ --scenario finetune --budget 1h --pruner asha
headstart tune photos/ --folds 5 --trials 50 --workers 2
"""
_PLAN = {field.name: field for field in dataclasses.fields(TunePlan)}


def _plan(name: str) -> Any:
    """An option of the plan as it is declared there."""
    field = _PLAN[name]
    return dataclasses.field(default=field.default, metadata=field.metadata)


@dataclass(frozen=True, kw_only=True)
class TuneFlags:
    """What `tune` takes beside its source and the options of training."""

    out: str = option("", "output folder (default: runs/NAME-tune)", metavar="FOLDER")
    scenario: tuple[str, ...] = _plan("scenario")
    head: tuple[str, ...] = _plan("head")
    backbone: str = _plan("backbone")
    layer: tuple[str, ...] = _plan("layer")
    pooling: tuple[str, ...] = same("pooling", ("avg",), _PLAN["pooling"].metadata["help"])
    engine: str = same("engine")
    precision: str = same("precision")
    input_size: int | str | None = same("input_size", None)
    trials: int | None = _plan("trials")
    budget: str = option(
        "",
        "time for all trials, e.g. 90s, 15m, 2h, in equal parts for each method; features and the final fits "
        "come on top",
        metavar="TIME",
    )
    pruner: str = _plan("pruner")
    workers: int = _plan("workers")
    folds: int = _plan("folds")
    inner_folds: int = _plan("inner_folds")
    test_seeds: int = _plan("test_seeds")
    seed: int = _plan("seed")
    space: str | None = option(
        None,
        "a TOML file that narrows or widens search spaces: a table a method, NAME = [low, high], a list, or a value",
        metavar="FILE",
    )
    begin_with: str | None = option(
        None,
        "a TOML file of configurations to try first, beside the defaults: a table (or several) a method",
        metavar="FILE",
    )
    advice: bool = option(
        False,
        "first ask the adviser (which looks at no test image), and begin with the layers and cuts that it would take",
    )
    cache_gb: float = same("cache_gb")


def add_to(app: typer.Typer) -> None:
    """Make `tune` a verb of the app."""
    verb(app, TuneFlags, TrainFlags, DataOptions, example=EXAMPLE, skip=("seconds",))(tune)


def tune(
    context: typer.Context,
    data: Data,
    json: Json = False,
    **flags: Any,
) -> None:
    """Find good options of one or several methods by machine, and say what that was worth.

    Trials are judged on validation images or inner folds, never on test images: those are read once at the
    end, for the tuned and the default options alike. After Ctrl-C the same command goes on where it stopped.
    """
    options, source = build(TuneFlags, flags), build(DataOptions, flags)
    plan = _planned(options, flags)
    out = Path(options.out) if options.out else Path("runs") / f"{source_name(data)[:80] or 'images'}-tune"
    command = shlex.join(["headstart", *context.obj["arguments"]])
    from headstart.methods.tune.plan import checked, spaces_of
    from headstart.methods.tune.run import check_teacher, tune_table
    from headstart.report.tune_page import write_tuning_page

    spaces_of(checked(plan))
    named = plan.training.get("teacher")
    teacher = teacher_of(named)  # what is no model is told before anything is read
    with shown():
        table = open_table(data, source)
        if options.advice:
            check_teacher(table, plan, teacher, source.target or None)
            plan = _advised(plan, table, source.target)
        found = tune_table(
            table, plan, out, target=source.target or None, command=command,
            teacher=None if teacher is named else teacher, worker="headstart.cli.tune_worker",
            source={"data": data, **dataclasses.asdict(source)},
        )  # fmt: skip
        page = write_tuning_page(found, out / "tuning.html")
    if json:
        say_json(as_json(found, page))
        return
    for line in lines(found, page):
        say(line)


def _advised(plan: TunePlan, table: ImageTable, target: str) -> TunePlan:
    """The plan with what the adviser would take before what was given to begin with; what is no option stays out."""
    from headstart.methods.tune.plan import spaces_of
    from headstart.study.advice_starts import advised_starts, open_methods

    spaces = spaces_of(plan)
    found = advised_starts(
        table, table.target(target or None), open_methods(spaces), backbone=plan.backbone, layers=plan.layer,
        seed=plan.seed, folds=plan.folds, engine=plan.engine, cache_gb=plan.cache_gb,
    )  # fmt: skip
    start = {name: list(each) for name, each in plan.start.items()}
    for name, each in found.items():
        known = {dimension.name: dimension for dimension in spaces[name].dimensions}
        fits = [one for one in each if all(key in known and known[key].holds(one[key]) for key in one)]
        start[name] = fits + [one for one in start.get(name, []) if one not in fits]
        if not fits:
            warn(f"advice: of what the adviser would take nothing lies in the space of {name}")
    return dataclasses.replace(plan, start=start)


def _planned(options: TuneFlags, flags: dict[str, Any]) -> TunePlan:
    training, wrong = _training(options, flags)
    given = {name: getattr(options, name) for name in _PLAN if hasattr(options, name)}
    given |= {"space": _tables(options.space, "space"), "start": _starts(options.begin_with)}
    cuts = training.get("trainable", ())
    if isinstance(cuts, tuple) and len(cuts) == 1:
        training["trainable"] = cuts[0]
    elif isinstance(cuts, tuple) and cuts:  # several cuts are a dimension of the search
        given["space"].setdefault("finetune", {}).setdefault("trainable", list(training.pop("trainable")))
    seconds = None
    try:
        seconds = budget_seconds(options.budget)
    except BadOptions as error:
        wrong += error.mistakes
    if wrong:
        raise BadOptions(wrong)
    return TunePlan(**{**given, "seconds": seconds, "training": training})


def _training(options: TuneFlags, flags: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Options of training that every trial has alike, and those that no scenario takes."""
    given = [f.name for f in dataclasses.fields(TrainFlags) if flags.get(f.name) is not None]
    made = build(TrainFlags, flags)
    trained = [name for name in options.scenario if name in TRAINED]
    wrong = [line for name in trained for line in misplaced(name, given)]
    if given and not trained:
        wrong += misplaced("features", given)
    return {name: getattr(made, name) for name in given}, list(dict.fromkeys(wrong))


def _tables(path: str | None, what: str) -> dict[str, Any]:
    from headstart.methods.tune.space_file import read_tables

    return {} if path is None else read_tables(path, what)


def _starts(path: str | None) -> dict[str, Any]:
    """One table or an array of tables a method, as a list."""
    found = {
        name: [value] if isinstance(value, dict) else value
        for name, value in _tables(path, "begin_with").items()
    }
    odd = [name for name, items in found.items() if not all(isinstance(each, dict) for each in items)]
    if odd:
        raise BadOptions(
            [
                f"begin_with: {name} is no table; write [{name}] or [[{name}]] above its options"
                for name in odd
            ]
        )
    return found


def as_json(found: Tuning, page: Path) -> dict[str, Any]:
    """The record, less what only the page needs."""
    searches = [
        {
            "method": each.method, "fold": each.fold, "space": list(each.space), "best": each.best,
            "default": dict(each.default["params"]), "default_value": each.default["value"],
            "n_trials": len(each.trials), "importance": dict(each.importance), "cannot_tell": each.cannot_tell,
            "borders": [dict(border) for border in each.borders],
            "trials": [dataclasses.asdict(trial) for trial in each.trials],
        }
        for each in found.searches
    ]  # fmt: skip
    return {
        "data": found.data, "target": found.target, "classes": list(found.classes), "n_train": found.n_train,
        "n_validation": found.n_validation, "n_test": found.n_test, "selected_on": found.selected_on,
        "best": found.best.method, "methods": [dataclasses.asdict(each) for each in found.worth],
        "searches": searches, "seconds": found.seconds, "n_test_reads": found.n_test_reads,
        "warnings": list(found.warnings), "report": str(page),
    }  # fmt: skip


def lines(found: Tuning, page: Path) -> list[str]:
    """Verdict, table, the best options and the path of the page."""
    from headstart.report.tune_words import doubts, params_text, verdict
    from headstart.report.wording import percent, signed_points

    rows = [
        [
            each.method, sum(len(s.trials) for s in found.searches if s.method == each.method),
            percent(each.default_chosen_by), percent(each.chosen_by), percent(each.default["value"]),
            percent(each.tuned["value"]), signed_points(each.difference["value"]),
            signed_points(each.difference["low"], each.difference["high"]),
        ]
        for each in found.worth
    ]  # fmt: skip
    header = ["method", "trials", "chosen by: defaults", "tuned", "test: defaults", "tuned", "points", "95 %"]
    said = [*verdict(found), "", *table(header, rows, right=range(1, 8)), ""]
    for each in found.worth:
        for fold, params in enumerate(each.params):
            where = f", fold {fold + 1}" if len(each.params) > 1 else ""
            said.append(f"{each.method}{where}: {params_text(params)}")
    if warned := doubts(found):
        said += ["", *warned]
    return [printable(line) for line in [*said, "", f"report: {page}"]]
