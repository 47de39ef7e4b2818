"""What a study does before its first run, beside the plan: its rules and remarks said, advice recorded, data audited."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from headstart.backbones.card import BackboneCard
from headstart.base.events import Notice, emit, warn
from headstart.study import advice_record, audit_record
from headstart.study.estimate import spoken
from headstart.study.partition import Dataset
from headstart.study.plan import Plan
from headstart.study.records import Cell
from headstart.study.rules import planned_words
from headstart.study.several_spec import several
from headstart.study.shifted import FOLDER, Shift, Shifts
from headstart.study.sources import FeatureKey, Source
from headstart.study.spec import StudySpec
from headstart.study.store import StudyStore
from headstart.study.tuned import is_tuned


def remarks(
    spec: StudySpec,
    cells: Sequence[Cell],
    datasets: Mapping[str, Dataset],
    shifts: Mapping[str, Shifts],
) -> list[str]:
    """The rules that hold, and what a plan leaves out or adds, each as a sentence."""
    from headstart.methods.heads import HEADS

    said = [planned_words(cells, {name: HEADS[name].most_tried() for name in HEADS})]
    if len(spec.augment) > 1 and any(not cell.trains for cell in cells):
        said.append(
            "augmentation is of networks that train; features are of plain images, so their methods run once"
        )
    if is_tuned(spec):
        said.append(
            "searches begin with each method's own defaults; layers and cuts, which advice ranks, are methods of the "
            "study and not searched"
        )
    said += [
        f"{name}: {len(data.partitions)} given folds, a run each in place of seeds"
        for name, data in datasets.items()
        if data.by_fold
    ]
    said += [
        f"{name}: {_each(datasets[name], each)}tested on {_words(shift)} too"
        for name, each in shifts.items()
        for shift in each.by_partition[0]
    ]
    if any(each.n for each in shifts.values()) and any(not cell.classifies for cell in cells):
        said.append("the task retrieval is not tested on other test images")
    return said


def _each(data: Dataset, shifts: Shifts) -> str:
    """What has other test images of its own, where not all runs share them."""
    if len(set(shifts.by_partition)) < 2:
        return ""
    return f"each {'given fold' if data.by_fold else 'seed'} is "


def _words(shift: Shift) -> str:
    if shift.kind == FOLDER:
        return f"{shift.n:,} images of a second folder"
    n_kinds = len({name.rpartition("/")[0] for name in shift.conditions})
    kinds = f"{n_kinds} corruption{'s' * (n_kinds > 1)} at {len(shift.conditions) // n_kinds} severities"
    return f"{shift.n:,} test images under {kinds}"


def advice_due(
    store: StudyStore, plan: Plan, datasets: Mapping[str, Dataset], spec: StudySpec, *, asked: bool | None
) -> tuple[Dataset, ...]:
    """The data sets whose advice is to be recorded; of the others the reason is kept.

    Where a run is done it comes too late. Where it is not `asked` for (None) it is left out, aloud, if it would cost
    more than half of the study; False: it is not wanted.
    """
    if several(spec) or asked is False:
        why = advice_record.SEVERAL if several(spec) else advice_record.UNWANTED
        advice_record.keep_reasons(store, datasets, why)
        return ()
    ran = store.done()
    served = {cell.dataset for cell in plan.cells if cell.id in ran}
    said = store.meta().get(advice_record.META) or {}
    advice_record.keep_reasons(store, served & set(datasets), advice_record.LATE)
    silent = tuple(data for name, data in datasets.items() if name not in said and name not in served)
    folded = tuple(data for data in silent if data.partitions[0].splits is None)
    if not asked:  # with folds every image is a test image, which the adviser may not see
        advice_record.keep_reasons(store, [data.table.name for data in folded], advice_record.FOLDS)
        silent = tuple(data for data in silent if data not in folded)
    if not silent or not plan.pending:
        return ()
    expected = advice_record.advice_seconds(silent, _backbones(plan), spec)
    if not asked and not advice_record.is_worth_it(expected, plan.estimate.seconds):
        why = f"at about {spoken(expected)} {advice_record.COSTLY}"
        advice_record.keep_reasons(
            store, [data.table.name for data in silent], f"{why}; --advice asks for it"
        )
        emit(Notice(f"no advice is recorded: {why}"))
        return ()
    emit(Notice(f"what the adviser says is recorded before the first run: about {spoken(expected)}"))
    return silent


def record_advice(store: StudyStore, plan: Plan, due: Sequence[Dataset], spec: StudySpec) -> None:
    """Keep what the adviser says of these data sets, on features that were extracted for the study where it has them."""
    said = dict(store.meta().get(advice_record.META) or {})
    for data in due:
        advice, why = advice_record.advice_before(data, _backbones(plan), spec)
        if advice is None:
            advice_record.keep_reasons(store, [data.table.name], why)
        else:
            said[data.table.name] = advice
    store.put_meta(**{advice_record.META: said})
    advice_record.keep_reasons(store, (), "")


def _backbones(plan: Plan) -> list[str]:
    return list(dict.fromkeys(cell.backbone for cell in plan.cells))


def record_audits(
    store: StudyStore,
    datasets: Mapping[str, Dataset],
    sources: Mapping[str, Source],
    card: BackboneCard,
    spec: StudySpec,
    *,
    runs: bool = True,
) -> None:
    """Audit each dataset that is not audited yet as it is now, on features that are at hand.

    Parameters
    ----------
    card : BackboneCard
        Whose features are preferred: the first backbone of the study.
    runs : bool
        Whether the study is to run at all: then it is warned of data that are not audited.
    """
    found = dict(store.meta().get(audit_record.META) or {})
    for given, (name, source) in zip(spec.data, sources.items(), strict=True):
        data = datasets[name]
        if (found.get(name) or {}).get("data_digest") == data.digest:
            continue
        if not source.features:
            if runs:
                again = audit_record.command_of(given, spec)
                warn(f"{name}: not audited, for the study has no features of it; `{again}` makes them")
            continue
        key = max(source.features, key=lambda key: _rank(key, card))
        found[name] = audit_record.audit_before(data, given, key[0], source.rows(key), spec)
    store.put_meta(**{audit_record.META: found})


def _rank(key: FeatureKey, card: BackboneCard) -> tuple[bool, int]:
    """Features of the card's network before others, later layers before earlier ones, `logits` last of all."""
    layers = dict(card.layers or {})
    logits = layers.pop("logits", "")
    places = list(layers.values())
    own = key[0] == card.name and key[4] == "avg" and key[3] != logits
    return own, places.index(key[3]) if own and key[3] in places else -1


def tell_what_changed(store: StudyStore, cells: Sequence[Cell], datasets: Mapping[str, Dataset]) -> None:
    """Say which earlier runs of the folder the results leave out: of data that have changed, or not asked for."""
    shown, runs = {cell.id for cell in cells}, store.runs()
    for name, data in datasets.items():
        others = [run for run in runs if run.dataset == name and run.id not in shown]
        n_changed = sum(run.data_digest != data.digest for run in others)
        if n_changed:
            warn(
                f"{name} has changed since {_runs(n_changed)} of this folder; "
                "they are kept in the store and left out of the results"
            )
        if rest := len(others) - n_changed:
            emit(Notice(f"{name}: {_runs(rest)} that this command does not ask for are kept in the store"))


def _runs(n: int) -> str:
    return f"{n} earlier run{'' if n == 1 else 's'}"
