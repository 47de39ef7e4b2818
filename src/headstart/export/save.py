"""Write a fitted classifier as a bundle, whole or not at all: see `headstart.export.bundle` for what it holds."""

from __future__ import annotations

import dataclasses
import errno
import json
import math
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.base.errors import BundleError
from headstart.base.files import folder_written_aside
from headstart.base.hashing import digest_file
from headstart.base.runtime import versions
from headstart.export.bundle import FORMAT, HEAD, VERSION, files_of, skops_io
from headstart.export.outputs import facts_of_model
from headstart.export.weld import check_welded, facts_of, weld
from headstart.images.views import policy
from headstart.methods.teacher import told_of
from headstart.methods.training_options import TrainingOptions

if TYPE_CHECKING:
    from headstart.features.extractor import FeatureExtractor
    from headstart.methods.finetune import FineTuneClassifier
    from headstart.methods.multi_output import MultiOutputTransfer
    from headstart.methods.probe import TransferClassifier

    Fitted = TransferClassifier | FineTuneClassifier | MultiOutputTransfer

FULL_DISK = (errno.ENOSPC, errno.EDQUOT)
ROOM = 2.5  # files of a bundle: weights twice (safetensors, graph) and a little more


def save_bundle(classifier: Fitted, folder: str | Path, *, target: str = "label", data: str = "") -> Path:
    """Write a fitted classifier as a bundle, whole or not at all.

    Parameters
    ----------
    classifier : TransferClassifier, FineTuneClassifier or MultiOutputTransfer
        Fitted.
    folder : path
        A new folder, or an older bundle (replaced); anything else is refused.
    target : str
        Name of the output (the label column); a model with several has their names.
    data : str
        Name of the dataset it was fitted on.

    Raises
    ------
    BundleError
        The folder holds something that is no bundle; the disk is full.
    EngineError
        The network cannot be exported, or its graph differs from it.
    """
    place = check_place(folder)
    with _room_told(place), folder_written_aside(place) as aside:
        facts = _facts(classifier, target, aside)
        (aside / "seen.json").write_text(json.dumps(sorted(set(getattr(classifier, "seen_", ())))))
        names = files_of(classifier.scenario)
        card = {
            "format": FORMAT, "version": VERSION, "scenario": classifier.scenario, **facts,
            **_common(classifier), "data": data, "versions": versions(),
            "digests": {name: digest_file(aside / name) for name in names},
        }  # fmt: skip
        (aside / "card.json").write_text(json.dumps(card, indent=1, ensure_ascii=False), encoding="utf-8")
    return place


def load_writers() -> None:
    """Import what writes a model of the scenario `features` (0.5 s), for who has time before it is wanted."""
    from headstart.features.engines.onnx_engine import load_runtime

    import_module("onnx")
    load_runtime()
    skops_io()


def _facts(classifier: Any, target: str, folder: Path) -> dict[str, Any]:
    """Write graph, weights and heads; what the card says of them."""
    features = classifier.scenario == "features"
    if not hasattr(classifier, "models_"):
        own = _features(classifier, target, folder) if features else _trained(classifier, target, folder)
        return {"target": target, "classes": [str(each) for each in classifier.classes_], **own}
    outputs = [finite(facts_of_model(each)) for each in classifier.models_]
    first = classifier.outputs_[0]
    return {
        "target": first.name, "classes": list(first.levels), "outputs": outputs, "sharing": classifier.sharing,
        "weighting": classifier.weighting,
        **(_joint_features(classifier, folder) if features else _joint_trained(classifier, folder)),
    }  # fmt: skip


def _joint_facts(classifier: MultiOutputTransfer, how: Any) -> dict[str, Any]:
    """The metadata of a graph with several outputs: `classes` and `target` are those of the first."""
    first = classifier.outputs_[0]
    outputs = [finite(facts_of_model(each)) for each in classifier.models_]
    return {**facts_of(list(first.levels), first.name, how), "outputs": outputs}


def _joint_features(classifier: MultiOutputTransfer, folder: Path) -> dict[str, Any]:
    from headstart.export.joint_nodes import check_outputs, weld_outputs

    how = classifier.extractor_.extraction_.card.preprocessing
    graph, said = _frozen(classifier.extractor_, classifier.probe_, folder)
    weld_outputs(graph, classifier.models_, folder / "model.onnx", _joint_facts(classifier, how))
    check_outputs(folder / "model.onnx", classifier.models_, how)
    skops_io().dump([each.head for each in classifier.models_], folder / HEAD)
    return {**said, "class_weights": list(classifier.class_weights or ())}


def _frozen(
    extractor: FeatureExtractor, options: TransferClassifier, folder: Path
) -> tuple[Any, dict[str, Any]]:
    """The graph of a frozen network, its weights beside it, and what the card of a model on its features says."""
    from headstart.features.engines.prepare import graph_for_bundle
    from headstart.features.taps import Place

    found, taps = extractor.extraction_, extractor.taps()
    places = [Place(found.modules[tap], tap.pooling) for tap in taps]
    graph, weights = graph_for_bundle(
        options.backbone, found.card, places, found.engine["precision"], found.calibration
    )
    shutil.copyfile(weights, folder / "backbone.safetensors")
    return graph, {
        "backbone": found.card.to_dict(),
        "layer": extractor.layer if isinstance(extractor.layer, str) else list(extractor.layer),
        "modules": [found.modules[tap] for tap in taps],
        "pooling": extractor.pooling,
        "head": options.head,
        "engine": found.engine,
        "precision": options.precision,
        "refit": options.refit,
    }


def _joint_trained(classifier: MultiOutputTransfer, folder: Path) -> dict[str, Any]:
    from headstart.export.joint import write_joint_graph, write_joint_network

    how = classifier.card_.preprocessing
    check = write_joint_graph(classifier, folder / "model.onnx", _joint_facts(classifier, how))
    write_joint_network(classifier.network_, folder / "backbone.safetensors")
    tuner: Any = classifier.estimator
    record: dict[str, Any] = finite(classifier.record_)
    return {
        "backbone": classifier.card_.to_dict(),
        "trainable": record.get("trainable"),
        "cut": record.get("after"),
        "options": finite({
            **_options(tuner),
            "seed": tuner.seed, "n_folds": tuner.n_folds, "seconds": tuner.seconds, "tie": classifier.tie,
            "output_weights": classifier.output_weights, "head_rates": classifier.head_rates,
            "class_weights": list(classifier.class_weights or ()),
        }),
        "start_selection": finite(classifier.start_selection_),
        "record": record,
        "findings": [each.to_dict() for each in classifier.findings_],
        "check": check,
    }  # fmt: skip


def check_place(folder: str | Path, weights_bytes: int = 0) -> Path:
    """Refuse, before any work, a folder that a bundle cannot be written to.

    Parameters
    ----------
    folder : path
    weights_bytes : int
        Size of the network's weights, for which there must be room on the disk.

    Raises
    ------
    BundleError
    """
    place = Path(folder)
    if (
        place.exists()
        and not (place / "card.json").is_file()
        and (not place.is_dir() or any(place.iterdir()))
    ):
        raise BundleError(f"{place} exists and is no bundle; choose another folder")
    there = next(each for each in (place.absolute(), *place.absolute().parents) if each.exists())
    if not os.access(there, os.W_OK):
        raise BundleError(f"{there} may not be written to; choose another folder for the model")
    needed, free = int(ROOM * weights_bytes), shutil.disk_usage(there).free
    if needed > free:
        raise BundleError(
            f"{place}: the model needs {needed / 1e6:,.0f} MB and {free / 1e6:,.0f} MB are free; "
            "free some, or choose another folder"
        )
    return place


@contextmanager
def _room_told(place: Path) -> Iterator[None]:
    """A disk that is full, whichever library meets it, is told as such."""
    try:
        yield
    except Exception as error:
        if getattr(error, "errno", None) not in FULL_DISK and "os error 28" not in str(error):
            raise
        raise BundleError(
            f"{place}: the disk is full; nothing was written; free some room, or choose another folder"
        ) from error


def _common(classifier: Fitted) -> dict[str, Any]:
    return {
        "chosen": classifier.chosen_,
        "selection": finite(classifier.selection_),
        "selected_on": classifier.selected_on_,
        "n_train": getattr(classifier, "n_train_", None),
        "n_validation": getattr(classifier, "n_validation_", None),
        "seconds": classifier.seconds_,
    }


def _features(classifier: TransferClassifier, target: str, folder: Path) -> dict[str, Any]:
    """Graph, weights and head of the scenario `features`; what the card says of them."""
    how = classifier.extractor_.extraction_.card.preprocessing
    graph, said = _frozen(classifier.extractor_, classifier, folder)
    classes = [str(each) for each in classifier.classes_]
    weld(graph, classifier.head_, folder / "model.onnx", facts_of(classes, target, how))
    check_welded(folder / "model.onnx", classifier.head_, how)
    skops_io().dump(classifier.head_, folder / HEAD)
    return said


def _trained(classifier: FineTuneClassifier, target: str, folder: Path) -> dict[str, Any]:
    """Graph and weights of a trained network; what the card says of them."""
    from headstart.export.trained import write_graph, write_network

    check = write_graph(classifier, target, folder / "model.onnx")
    write_network(classifier.network_, folder / "backbone.safetensors")
    record: dict[str, Any] = finite(classifier.record_)
    return {
        "backbone": classifier.card_.to_dict(),
        "trainable": record.get("trainable"),
        "cut": record.get("after"),
        "options": {
            **_options(classifier),
            "seed": classifier.seed,
            "n_folds": classifier.n_folds,
            "seconds": classifier.seconds,
        },
        "unit_length": bool(classifier.network_.head.unit_length),
        "temperature": float(classifier.temperature_),
        "start_selection": finite(classifier.start_selection_),
        "record": record,
        "findings": [each.to_dict() for each in classifier.findings_],
        "check": check,
    }


def _options(tuner: Any) -> dict[str, Any]:
    """Options of training, JSON-like: of a teacher what identifies it, of a policy of one's own its name."""
    own = {field.name: getattr(tuner, field.name) for field in dataclasses.fields(TrainingOptions)}
    by = own["augment"]
    return {**own, "augment": by if isinstance(by, str) else policy(by).name, **told_of(tuner.teacher)}


def finite(value: Any) -> Any:
    """JSON-like values with None for what is no finite number."""
    if isinstance(value, dict):
        return {str(name): finite(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [finite(each) for each in value]
    if hasattr(value, "tolist"):
        return finite(value.tolist())
    return None if isinstance(value, float) and not math.isfinite(value) else value
