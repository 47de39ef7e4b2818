"""From a tuning to a model: its best method with the options that were found, on the same split of the same images."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.base.errors import DataError, UsageError
from headstart.base.events import Notice, emit, warn
from headstart.base.hashing import digest_json
from headstart.images.table import ImageTable
from headstart.methods.probe import TransferClassifier
from headstart.methods.teacher import content_of
from headstart.methods.training_options import TRAINED
from headstart.methods.tune.divide import content, divide, labelled
from headstart.methods.tune.found import FILE, UNFINISHED, TrialRecord, Tuning, load_tuning
from headstart.methods.tune.job import fixed_options
from headstart.methods.tune.plan import TunePlan, plan_from
from headstart.methods.tune.storage import FILE as TRIALS
from headstart.methods.tune.trials import network_of

if TYPE_CHECKING:
    from headstart.methods.finetune import FineTuneClassifier


@dataclass(frozen=True, eq=False)
class Handover:
    """A fitted classifier with the data and the label column that it learned."""

    classifier: TransferClassifier | FineTuneClassifier
    dataset: str
    target: str


def holds_tuning(folder: str | Path) -> bool:
    """Whether a tuning was begun in the folder."""
    return any((Path(folder) / name).is_file() for name in (FILE, TRIALS))


def finished_tuning(folder: str | Path) -> Tuning:
    """The record in a folder, of a tuning that is at its end and found something.

    Raises
    ------
    UsageError
        Trials are still to come; none of the best method came to its end; an older tuning.
    """
    place = Path(folder)
    if (place / UNFINISHED).is_file() or not (place / FILE).is_file():
        raise UsageError(f"the tuning in {folder} has not finished its trials; run its command again")
    found = load_tuning(place)
    if not found.contents:
        raise UsageError(
            f"the tuning in {folder} does not say which images it was of, as an older Headstart made it; run its "
            "command again"
        )
    if not _bests(found):
        method = found.worth[0].method if found.worth else "any method"
        raise UsageError(
            f"the tuning in {folder} has no best: no trial of {method} came to its end; give more --trials"
        )
    return found


def hand_over(
    found: Tuning, table: ImageTable, *, teacher: Any = None, refit: bool = False, cache_gb: float = 10.0
) -> Handover:
    """Fit the best method of a tuning again.

    Parameters
    ----------
    found : Tuning
        See `finished_tuning`.
    table : ImageTable
        The images that were tuned on, as they are read now.
    teacher : object, optional
        The fitted teacher, where the tuning had one.
    refit : bool
        Let the validation images join train; not for networks that train, which need them to choose the epoch.
    cache_gb : float
        Cap of the feature cache.

    Raises
    ------
    UsageError
        `refit` for a network that trains; another teacher.
    UnknownName
        The images have no such label column.
    DataError
        They are not the same images any more.
    """
    method, plan = found.best.method, replace(plan_from(found.plan), cache_gb=cache_gb)
    if method in TRAINED and refit:
        raise UsageError(
            f"{method} needs its validation images to choose the epoch that is kept; leave refit out"
        )
    if found.teacher != content_of(teacher):
        raise UsageError(
            f"teacher: {plan.training.get('teacher')} is not the model that taught in the tuning; tune again"
        )
    divided = same_split(found, plan, table)
    best = best_trial(found)
    classifier = (
        _network(plan, method, best, teacher) if method in TRAINED else _head(plan, method, best, refit)
    )
    return Handover(classifier.fit_table(divided, found.target), divided.name, found.target)


def best_trial(found: Tuning) -> TrialRecord:
    """The best trial of the best method; of several folds the one that scored highest where it was chosen."""
    bests = _bests(found)
    if len({digest_json(dict(each.params)) for each in bests}) > 1:
        warn(
            f"{found.best.method}: its folds found other options; those of the fold that scored highest are taken"
        )
    return max(bests, key=lambda each: each.value or 0.0)


def _bests(found: Tuning) -> list[TrialRecord]:
    """The best trial of each fold of the best method; [] without any."""
    own = [each for each in found.searches if found.worth and each.method == found.best.method]
    return [each.best_trial for each in own if each.best_trial is not None]


def _head(plan: TunePlan, method: str, best: TrialRecord, refit: bool) -> TransferClassifier:
    """Where the defaults were best the head chooses its own regularisation, as it did there."""
    options = dict(best.params)
    layer, pooling = options.pop("layer"), options.pop("pooling")
    return TransferClassifier(
        backbone=plan.backbone, layer=layer, pooling=pooling, head=method,
        head_options=None if best.default else options, engine=plan.engine, precision=plan.precision,
        input_size=plan.input_size, n_folds=plan.inner_folds, seed=plan.seed, refit=refit, cache_gb=plan.cache_gb,
    )  # fmt: skip


def _network(plan: TunePlan, method: str, best: TrialRecord, teacher: Any) -> FineTuneClassifier:
    """Where the defaults were best the learning rate is measured anew, as it was there."""
    found = {} if best.default else best.params
    return network_of(method, {**fixed_options(plan, teacher), **found, "seed": plan.seed})


def same_split(found: Tuning, plan: TunePlan, table: ImageTable) -> ImageTable:
    """What was learned from and what chose, divided as the tuning had it, in the order of their content.

    Of a nested tuning all images, as each of them was tested.

    Raises
    ------
    UnknownName
        The images have no such label column.
    DataError
        They are not the same images any more.
    """
    name, unread = table.target(found.target), set(found.unread)
    known = labelled(table, name)
    known = known.select([row for row, digest in enumerate(known.digests) if digest not in unread])
    parts = divide(known, name, folds=plan.folds, seed=plan.seed)
    if tuple(content(known, name, part) for part in parts) != found.contents:
        raise DataError(f"the images of {found.data} have changed since the tuning; tune again")
    if not plan.folds:
        return replace(known.select(parts[0].seen), splits=parts[0].splits)
    emit(Notice(f"the tuning tested {found.data} by folds, so the model learns from all of its images"))
    order = sorted(range(len(known)), key=lambda row: (known.digests[row], known.paths[row]))
    return replace(known.select(order), splits=None)
