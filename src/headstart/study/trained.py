"""The methods of a spec that train a network, on equal terms, and the estimator behind each of their runs.

Equal terms decide how long each is trained: the same images seen (the same epochs), the same seconds, or each
scenario's own length. Every other option is the same for all.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headstart.backbones.catalog import local_weights
from headstart.images.views import policy
from headstart.methods.training_options import DEFAULT_EPOCHS, TrainingOptions, told
from headstart.methods.tricks.registry import options_with
from headstart.study.partition import Dataset
from headstart.study.records import Cell
from headstart.study.spec import StudySpec, trained_scenarios
from headstart.study.trick_spec import Fitting, design_of, fitting, label_of, note_of

if TYPE_CHECKING:
    from headstart.methods.finetune import FineTuneClassifier
    from headstart.study.resolve import Variant

TRAINED_VERSION = "4"
"""Part of the id of every run that trains: raised when the same run would give other numbers."""
MIRROR_VERSION = "5"
"""As `TRAINED_VERSION`, of runs that answer by an image and its mirror image: so is their temperature fitted since."""
SOUP_VERSION = "6"
"""As `TRAINED_VERSION`, of soups: one of nothing but the fitted head has it fitted on all of train since."""

EQUAL_EPOCHS = 8
WHOLE = "all"
NO_RESULT = ("trainable", "checkpoint_minutes", "compile")
"""Options that a cell's id leaves out: the cut stands in it already, the others change no result."""

DIGESTS = ("augment_digest", "teacher_digest")
"""Options that are no option of the estimator: what the files say that others name."""


@dataclass(frozen=True)
class TrainedMethod:
    """A scenario with its cut on one backbone at one size; `options` is JSON text, part of a run's id.

    `tricks` are those that are on, "" where the study is not of tricks.
    """

    scenario: str
    variant: Variant
    cut: str
    options: str
    tricks: str = ""


def trained_methods(spec: StudySpec, variants: Sequence[Variant]) -> tuple[TrainedMethod, ...]:
    """Every method of a spec that trains, in the order of its scenarios; with tricks, every run of their design."""
    found: list[TrainedMethod] = []
    fit = fittings(spec, variants)
    for scenario, variant, cut in trainings(spec, variants):
        if not spec.tricks:
            for augment in spec.augment:
                options = told(options_of(spec, scenario, augment))
                found.append(TrainedMethod(scenario, variant, cut, _text(options)))
            continue
        given = options_of(spec, scenario)
        for on in design_of(spec, fit[scenario, variant.card.name, cut].names).runs:
            options = told(_with_digest(options_with(on, given, _side(variant))))
            found.append(TrainedMethod(scenario, variant, cut, _text(options), label_of(on)))
    return tuple(found)


def trainings(spec: StudySpec, variants: Sequence[Variant]) -> Iterator[tuple[str, Variant, str]]:
    """Scenario, backbone at its size and cut of everything that trains."""
    for scenario in trained_scenarios(spec):
        for variant in variants:
            if scenario in variant.trains:
                for cut in spec.trainable if scenario == "finetune" else (WHOLE,):
                    yield scenario, variant, cut


def fittings(spec: StudySpec, variants: Sequence[Variant]) -> dict[tuple[str, str, str], Fitting]:
    """The tricks of every scenario, backbone and cut that trains; {} where the study is not of tricks."""
    sides: dict[tuple[str, str, str], list[int]] = {}
    for scenario, variant, cut in trainings(spec, variants) if spec.tricks else ():
        sides.setdefault((scenario, variant.card.name, cut), []).append(_side(variant))
    return {key: fitting(spec, *key, sides=each) for key, each in sides.items()}


def _side(variant: Variant) -> int:
    shape = variant.card.preprocessing
    return shape.height if shape.height == shape.width else 0


def tricks_note(spec: StudySpec, variants: Sequence[Variant]) -> dict[str, Any]:
    """What the study keeps of its tricks; {} where it is not of tricks."""
    if not spec.tricks:
        return {}
    return note_of(spec, dict(sorted(fittings(spec, variants).items())))


def _text(options: dict[str, Any]) -> str:
    return json.dumps(options, sort_keys=True)


def options_of(spec: StudySpec, scenario: str, augment: str = "") -> dict[str, Any]:
    """Every option of training that changes the result, as the spec and the rule of equal terms say.

    `augment` is one of the spec's augmentations (default: its first).
    """
    options: dict[str, Any] = {}
    for field in dataclasses.fields(TrainingOptions):
        if field.name not in NO_RESULT:
            options[field.name] = getattr(spec, field.name, field.default)
    options["augment"] = augment or spec.augment[0]
    options["epochs"] = {
        "images": spec.epochs or EQUAL_EPOCHS,
        "own": None if scenario == "full" else DEFAULT_EPOCHS[scenario],  # of full: by the number of images
        "seconds": None,
    }[spec.equal]
    options["seconds"] = spec.train_seconds if spec.equal == "seconds" else None
    if scenario == "scratch":
        options.update(start="plain", batchnorm="update")
    return _with_digest(options)


def _with_digest(options: dict[str, Any]) -> dict[str, Any]:
    """The id of a run hangs on what a file of a policy or of a teacher's weights says, not on its name."""
    kept = {name: value for name, value in options.items() if name not in DIGESTS}
    if str(kept["augment"]).endswith(".toml"):
        kept["augment_digest"] = policy(kept["augment"]).digest()
    if local_weights(str(kept.get("teacher") or "")):
        from headstart.backbones.load import card

        kept["teacher_digest"] = card(kept["teacher"]).weights_digest
    return kept


def trained_cell(
    data: Dataset, method: TrainedMethod, seed: int, per_class: int = 0, shifted: str = ""
) -> Cell:
    """One run of a method that trains; the seed always matters."""
    card = method.variant.card
    shape = card.preprocessing
    return Cell(
        dataset=data.table.name,
        data_digest=data.digest,
        split_digest=data.partition(seed, per_class).digest,
        target=data.target,
        backbone=card.name,
        weights_digest=card.weights_digest,
        layer="",
        module="",
        pooling="",
        height=shape.height,
        width=shape.width,
        preprocessing_digest=shape.digest(),
        engine="",
        precision="",
        scenario=method.scenario,
        head="",
        seed=seed,
        version=_version(json.loads(method.options)),
        cut=method.cut,
        training=method.options,
        per_class=per_class,
        tricks=method.tricks,
        fold=data.fold_of(seed),
        shifted=shifted,
    )


def _version(options: dict[str, Any]) -> str:
    """Part of the id of a run with these options."""
    if options.get("soup", 1) > 1:
        return SOUP_VERSION
    return MIRROR_VERSION if options.get("test_views") == "mirror" else TRAINED_VERSION


def classifier_of(cell: Cell, *, cache_gb: float, **changed: Any) -> FineTuneClassifier:
    """The unfitted estimator of a run; `changed` options win over the run's own.

    Parameters
    ----------
    cell : Cell
        A run that trains.
    cache_gb : float
    """
    from headstart.methods.finetune import FineTuneClassifier

    options = {**estimator_options(cell, cache_gb), **changed}
    return FineTuneClassifier(scenario=cell.scenario, seed=cell.seed or 0, **options)


def estimator_options(cell: Cell, cache_gb: float) -> dict[str, Any]:
    """Every option of the estimator of a run that trains, less its scenario and seed."""
    cut = {"trainable": cell.cut} if cell.scenario == "finetune" else {}
    options = {name: value for name, value in cell.options.items() if name not in DIGESTS}
    size = (cell.height, cell.width)
    return {"backbone": cell.backbone, "input_size": size, "cache_gb": cache_gb, **cut, **options}
