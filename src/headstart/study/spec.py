"""What a study is to compare, as one frozen value: flags, TOML file and docs all come from its fields.

Every mistake is reported at once, with the nearest right name; nothing runs on a spec that holds one.
Importing it loads the standard library alone (pydantic and tomli-w come when a file is read or written).
"""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, get_type_hints

from headstart.backbones.input_size import Size, read_size
from headstart.base.errors import BadOptions, UsageError
from headstart.base.files import write_text
from headstart.base.options import mistakes, option
from headstart.images.augment.corruptions import ALL, CORRUPTIONS
from headstart.methods.heads_catalog import HEAD_NAMES
from headstart.methods.training_options import DEFAULT_TRAINABLE, SCENARIOS, TRAINED, TrainingOptions
from headstart.study.several_spec import SeveralOptions, several_mistakes
from headstart.study.spec_folders import shifted_folders
from headstart.study.spec_values import read_document, read_per_class, read_values, validated, with_mistakes
from headstart.study.trick_designs import DESIGNS, ONE
from headstart.study.trick_spec import trick_mistakes

ENGINES = ("auto", "torch", "onnxruntime", "openvino")
PRECISIONS = ("float32", "bfloat16", "int8")
POOLINGS = ("avg", "max", "avg+std", "gem", "flat")
EQUALS = ("images", "seconds", "own")
TASKS = ("classification", "retrieval")
METRICS = ("accuracy", "balanced_accuracy", "macro_f1", "macro_precision", "macro_recall")
SEARCHES = ("cosine", "l2", "whitened")
TRAINING = {field.name: field for field in dataclasses.fields(TrainingOptions)}

NAMED = (
    "data", "task", "scenario", "backbone", "layer", "pooling", "head", "trainable", "per_class", "search", "augment",
    "sharing",
)  # fmt: skip
MAY_BE_EMPTY = (
    "input_size", "train_input_size", "label_columns", "shifted", "corruptions", "tricks", "target",
)  # fmt: skip

_UNIT_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def _training(name: str, default: Any = dataclasses.MISSING, help: str = "") -> Any:
    """An option of training as it is declared there, here with another default or help."""
    field = TRAINING[name]
    value = field.default if default is dataclasses.MISSING else default
    metadata = {**field.metadata, **({"help": help} if help else {})}
    return dataclasses.field(default=value, metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class StudySpec(SeveralOptions):
    """Datasets x backbones x methods x input sizes x seeds, and how to run them.

    Methods of the scenario `features` are layers x poolings x heads; those that train (`finetune`, `full`,
    `scratch`) are scenarios x cuts, on equal terms.

    Examples
    --------
    >>> StudySpec(data=("photos",), head=("logistic", "knn")).seeds
    3
    """

    data: tuple[str, ...] = option(
        (), "folders, ground-truth files or names of packaged sets", metavar="DATA"
    )
    target: tuple[str, ...] = option(
        (), "label column to learn (default: the first); several are outputs of one model", metavar="COLUMN"
    )
    path_column: str = option("", "column that holds the image paths (default: found)", metavar="COLUMN")
    label_columns: tuple[str, ...] = option((), "label columns to keep (default: found)", metavar="COLUMN")
    group_column: str = option("", "column whose groups no split may part", metavar="COLUMN")
    split_column: str = option("", "column that holds the given split", metavar="COLUMN")
    fold_column: str = option(
        "",
        "column with the fold that holds each image out, as split --folds writes it: a run a fold; columns "
        "inner_FOLD beside it are the inner folds (of several targets the first of them chooses)",
        metavar="COLUMN",
    )
    image_root: str = option("", "folder that the image paths are relative to", metavar="FOLDER")
    task: tuple[str, ...] = option(
        ("classification",),
        "classification: methods name the class; retrieval: layers and backbones find images of the same class",
        choices=TASKS,
    )
    scenario: tuple[str, ...] = option(
        ("features",),
        "how the network is used: features of the frozen network and a classifier; finetune: its last part "
        "trains; full: all of it trains; scratch: all of it, from random weights",
        choices=SCENARIOS,
    )
    backbone: tuple[str, ...] = option(("lite0",), "pretrained network", metavar="NAME")
    layer: tuple[str, ...] = option(
        ("auto",), "where features are taken; auto: every stage from the third on, and pool", metavar="NAME"
    )
    pooling: tuple[str, ...] = option(("avg",), "how a feature map becomes one vector", choices=POOLINGS)
    head: tuple[str, ...] = option(
        ("logistic", "linear_svm", "knn", "nearest_mean", "lda", "ridge"),
        "classifier on top of the features",
        choices=HEAD_NAMES,
    )
    search: tuple[str, ...] = option(
        ("cosine",),
        "how the task retrieval compares features; whitened: by cosine, after PCA",
        choices=SEARCHES,
    )
    per_class: tuple[int, ...] = option(
        (0,),
        "images a class to learn from: numbers, or all; fewer than all have no validation split",
        metavar="NUMBER",
        read=read_per_class,
    )
    input_size: tuple[Size, ...] = option(
        (),
        "size of the input in pixels: 224, or 100x200 for height x width (default: the backbone's own)",
        metavar="SIZE",
        read=read_size,
        also=("size", "sizes"),
    )
    tune: int | None = option(
        None,
        "tune each method too, with so many trials a run, beside its own defaults",
        low=2,
        high=100_000,
        metavar="TRIALS",
    )
    tune_budget: str = option("", "tune each method too, for so long a run, e.g. 30s, 5m", metavar="TIME")
    tune_space: str = option(
        "",
        "a TOML file that narrows or widens search spaces: a table a method, NAME = [low, high], a list, or a value",
        metavar="FILE",
    )
    shifted: tuple[str, ...] = option(
        (),
        "a second test folder (another camera, another month), with the same classes or some of them; "
        "DATASET=FOLDER where there are several datasets",
        metavar="FOLDER",
    )
    corruptions: tuple[str, ...] = option(
        (),
        "test on corrupted test images too, each at five severities: names, or all (Hendrycks and Dietterich 2019)",
        choices=(ALL, *CORRUPTIONS),
    )
    metric: str = option(
        "accuracy",
        "what methods are compared by on the test images, with intervals of the difference; it chooses nothing",
        choices=METRICS,
    )
    corruption_images: int = option(
        500, "most test images that are corrupted, of each split", low=1, high=1000000
    )
    seeds: int = option(3, "runs of each method, wherever the seed changes something", low=1, high=100)
    folds: int = option(
        0, "test on every image once, in this many folds (0: the given split, or 60/20/20)", low=0, high=50
    )
    trainable: tuple[str, ...] = _training("trainable", (DEFAULT_TRAINABLE,))
    train_input_size: tuple[Size, ...] = option(
        (), "size of the scenarios full and scratch (default: as size)", metavar="SIZE", read=read_size
    )
    train_seeds: int | None = option(
        None, "runs of each method that trains (default: as seeds)", low=1, high=100, metavar="NUMBER"
    )
    equal: str = option(
        "images",
        "what methods that train have alike: images seen (the same epochs), seconds of training, or nothing "
        "(own: each scenario's default of epochs, of full by its number of images)",
        choices=EQUALS,
    )
    train_seconds: float | None = option(
        None, "training time of each method, with equal seconds", low=0.1, high=1e7, metavar="NUMBER"
    )
    epochs: int | None = _training(
        "epochs", help="passes over the training images (default: 8; with equal own each scenario's)"
    )
    batch_size: int = _training("batch_size")
    learning_rate: float | None = _training("learning_rate")
    start: str = _training("start")
    batchnorm: str = _training("batchnorm")
    balance: str = _training("balance")
    label_smoothing: float = _training("label_smoothing")
    patience: int = _training("patience")
    keep: str = _training("keep")
    views: int = _training("views")
    augment: tuple[str, ...] = _training("augment", (TRAINING["augment"].default,))
    fresh: bool = _training("fresh")
    dtype: str = _training("dtype")
    tricks: tuple[str, ...] = option(
        (),
        "tricks of training to hold to account, each against the same training without it; all: every trick",
        metavar="TRICK",
    )
    design: str = option(
        ONE,
        "which tricks are on in which run: one at a time over bare training, one left out of the full bag, added "
        "in order, or a factorial design for interactions",
        choices=DESIGNS,
    )
    resolution: int = option(
        4,
        "least resolution of the factorial design: 4: effects apart from interactions of two tricks; 5: these "
        "apart from one another too",
        low=3,
        high=5,
    )
    teacher: str = _training("teacher", help="network that distillation learns from")
    teacher_by: str = _training("teacher_by")
    engine: str = option("auto", "what runs the network", choices=ENGINES)
    precision: str = option("float32", "precision of the network", choices=PRECISIONS)
    budget: str = option(
        "",
        "start no new run after this time, e.g. 90s, 10m, 2h, and end a training under way in order; methods that "
        "train are cut by successive halving",
        metavar="TIME",
    )
    on_bad: str = option("skip", "unreadable images: leave them out aloud, or stop", choices=("skip", "fail"))
    cache_gb: float = option(10.0, "most disk the feature cache may use, in GB", low=0.0, high=100000.0)

    def __post_init__(self) -> None:
        given: Any = self.augment
        if isinstance(given, str):  # one name stands for a tuple of one, as specs once had it
            object.__setattr__(self, "augment", (given,))


FIELDS = {field.name: field for field in dataclasses.fields(StudySpec)}


def budget_seconds(text: str) -> float | None:
    """Seconds of "90s", "10m", "2h" or "1h30m"; None for "".

    Raises
    ------
    BadOptions
        The text is no time, or the time is zero.
    """
    if not text:
        return None
    parts = re.findall(r"(\d+(?:\.\d+)?)\s*([smhd])", text.strip().lower())
    if not parts or re.sub(r"(\d+(?:\.\d+)?)\s*([smhd])|\s", "", text.strip().lower()):
        raise BadOptions([f"budget: {text!r} is no time; write it as 90s, 10m, 2h or 1h30m"])
    seconds = sum(float(number) * _UNIT_SECONDS[unit] for number, unit in parts)
    if seconds <= 0:
        raise BadOptions([f"budget: {text!r} leaves no time; write it as 90s, 10m, 2h or 1h30m"])
    return seconds


def spec_mistakes(spec: StudySpec) -> list[str]:
    """Everything wrong with the values of a spec (unknown backbones and layers are `resolve`'s to find)."""
    from headstart.images.views import policy

    found = mistakes(spec)
    for name in NAMED + MAY_BE_EMPTY:
        values = getattr(spec, name)
        if not values and name not in MAY_BE_EMPTY:
            found.append(f"{name}: nothing is named; name at least one")
        twice = sorted({str(value) for value in values if values.count(value) > 1})
        found.extend(f"{name}: {value!r} is named twice" for value in twice)
        found.extend(f"{name}: a name is empty" for value in values if value == "")
    if spec.metric != FIELDS["metric"].default and "classification" not in spec.task:
        found.append("metric: ways of searching are compared by mean average precision; leave the metric out")
    if spec.folds and spec.fold_column:
        found.append("folds: the fold column says the folds; leave one of the two out")
    if spec.folds == 1:
        found.append("folds: 1 fold leaves nothing to train on; give 2 or more, or 0 for one split")
    looks: list[Callable[[], Any]] = [partial(budget_seconds, spec.budget)]
    looks.append(partial(shifted_folders, spec.data, spec.shifted))
    looks += [partial(policy, name) for name in dict.fromkeys(spec.augment) if name]
    for look in looks:
        try:
            look()
        except BadOptions as error:
            found.extend(error.mistakes)
        except UsageError as error:
            found.append(f"augment: {error}")
    trained = bool(trained_scenarios(spec))
    found += _unequal(spec) + several_mistakes(spec, trained=trained)
    return found + trick_mistakes(spec, trained=trained)


def _unequal(spec: StudySpec) -> list[str]:
    """Options that contradict the rule of equal terms."""
    if spec.equal == "seconds" and trained_scenarios(spec) and spec.train_seconds is None:
        return ["train_seconds: equal seconds needs to know how many; give train_seconds"]
    if spec.equal != "seconds" and spec.train_seconds is not None:
        return [f"train_seconds: it counts with equal seconds alone, and equal is {spec.equal!r}"]
    if spec.equal != "images" and spec.epochs is not None:
        return [
            f"epochs: with equal {spec.equal} they are not yours to give; leave them out, or use equal images"
        ]
    return []


def trained_scenarios(spec: StudySpec) -> tuple[str, ...]:
    """The scenarios of a spec that train a network."""
    return tuple(name for name in uses(spec) if name in TRAINED)


def uses(spec: StudySpec) -> tuple[str, ...]:
    """What a backbone is used for: the scenarios of classification, and "retrieval"."""
    scenarios = spec.scenario if "classification" in spec.task else ()
    return (*scenarios, *(("retrieval",) if "retrieval" in spec.task else ()))


def n_seeds(spec: StudySpec) -> int:
    """Seeds that some method of a spec runs under."""
    return max(spec.seeds, spec.train_seeds or 0) if trained_scenarios(spec) else spec.seeds


def read_spec(path: str | Path, data: Sequence[str] = ()) -> StudySpec:
    """Read a spec from a TOML file whose keys are the fields of `StudySpec`; `data` wins over the file's own.

    `sizes = [96, "100x200"]` is another name of `input_size`.

    Relative paths stay as written: they are relative to the folder the command is run in.

    Raises
    ------
    BadOptions
        With every mistake of the file.
    UsageError
        The file is absent or no TOML.
    """
    return spec_from(read_document(path, data))


def spec_from(document: dict[str, Any]) -> StudySpec:
    """The spec of a TOML-like mapping; one string may stand for a tuple of one.

    Raises
    ------
    BadOptions
        With every mistake: unknown keys (and the nearest known ones), wrong types, values out of range.
    """
    spec, found = spec_parts(document)
    if found := with_mistakes(found, spec_mistakes(spec)):
        raise BadOptions(found)
    return spec


def spec_parts(document: dict[str, Any]) -> tuple[StudySpec, list[str]]:
    """The spec of what can be read of a mapping, and a sentence on each option that cannot."""
    hints = get_type_hints(StudySpec)
    found: list[str] = []
    values: dict[str, Any] = {}
    other = {each: name for name, field in FIELDS.items() for each in field.metadata["also"]}
    for key, raw in document.items():
        name = other.get(key, key)
        # shifted = {photos = "later"} is written as the flags are: photos=later
        named = name == "shifted" and isinstance(raw, dict)
        given = [f"{dataset}={folder}" for dataset, folder in raw.items()] if named else raw
        given = [] if name == "target" and given == "" else given  # the first column, as older files say it
        if name not in hints:
            near = difflib.get_close_matches(key, [*hints, *other], n=1)
            hint = f"did you mean {near[0]!r}?" if near else "known: " + ", ".join(hints)
            found.append(f"{key}: no such option; {hint}")
        elif name != key and name in document:
            found.append(f"{key}: the same as {name}, which is given too; leave one out")
        else:
            read = FIELDS[name].metadata["read"]
            value, wrong = read_values(key, read, given) if read else validated(key, hints[name], given)
            found.extend(wrong)
            if not wrong:
                values[name] = value
    return StudySpec(**values), found


def spec_dict(spec: StudySpec) -> dict[str, Any]:
    """The spec as JSON- and TOML-like values (tuples become lists)."""
    given = dataclasses.asdict(spec)
    return {name: list(value) if isinstance(value, tuple) else value for name, value in given.items()}


def write_spec(spec: StudySpec, path: str | Path) -> Path:
    """Write a spec that `read_spec` reads back as the same value."""
    import tomli_w

    given = {name: value for name, value in spec_dict(spec).items() if value is not None}
    return write_text(path, tomli_w.dumps(given))
