"""Tune methods on the user's images: divide, search on what may choose, read the test images once at the end."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from headstart.base.errors import BadOptions, UsageError
from headstart.base.events import Event, Notice, Progress, emit, listening, unheard, warn
from headstart.base.files import folder_lock, write_text
from headstart.base.runtime import versions
from headstart.images.table import ImageTable, Problem
from headstart.methods.heads_shared import shared_spaces
from headstart.methods.teacher import content_of
from headstart.methods.training_options import TRAINED
from headstart.methods.tune.divide import divide, labelled
from headstart.methods.tune.ended import all_tried, ended, finished, unused_starts
from headstart.methods.tune.found import FILE, UNFINISHED, SearchRecord, Tuning, Worth, load_tuning
from headstart.methods.tune.job import Job, Search, spaces_folder, write_job
from headstart.methods.tune.judge import search_record, worth_of
from headstart.methods.tune.plan import FEATURES, TunePlan, checked, spaces_of
from headstart.methods.tune.processes import WORKER, run_workers
from headstart.methods.tune.storage import load_optuna, open_storage, take_back
from headstart.methods.tune.taught import refuse_other_classes, refuse_taught
from headstart.methods.tune.work import begin, study_of, work

SEEN = "tuned_on.json"
TASK = "trials"


def tune_table(
    table: ImageTable, plan: TunePlan, out: str | Path, *, target: str | None = None, command: str = "",
    teacher: Any = None, worker: str = WORKER, source: Mapping[str, Any] | None = None,
) -> Tuning:  # fmt: skip
    """Tune, or go on with it, in the folder `out`.

    Parameters
    ----------
    table : ImageTable
    plan : TunePlan
        Its `start` holds configurations to begin with, beside the methods' own defaults.
    out : path
        Holds Optuna's storage and the record; what was run already is not run again.
    target : str, optional
        Label column; the first by default.
    command : str
        The command line that would repeat it, for the report.
    teacher : object, optional
        A fitted classifier in place of the backbone that `plan.training` names as the teacher. Its `id`, where it
        has one, says its content: trials that ask about the same images share what it answers. Its `seen_`, where
        it has that, are the digests of the images it was fitted on.
    worker : str
        The module that worker processes run: one that opens such a teacher.
    source : mapping, optional
        How the table was read, for who reads it again (see `Tuning`).

    Returns
    -------
    Tuning

    Raises
    ------
    BadOptions
        Every mistake of the plan at once; a search space of one point; a teacher that no worker process would open.
    DataError
        Images that cannot be tuned on: two classes are needed, and none may both choose and test.
    UsageError
        The folder holds a tuning that looked at images which are test images now, or the teacher did; the teacher
        knows other classes.
    MissingPackage
        Optuna is not installed.
    Busy
        Another run holds the folder.
    """
    started = time.monotonic()
    load_optuna()
    spaces_of(checked(plan))
    if teacher is not None and plan.workers > 1 and worker == WORKER:
        raise BadOptions([
            f"workers: {plan.workers} processes cannot be handed a fitted teacher; give 1, or the module of a worker "
            "that opens it"
        ])  # fmt: skip
    if Path(out).exists() and not Path(out).is_dir():
        raise UsageError(f"{out} is a file; give an output folder")
    heard: list[str] = []

    def hear(event: Event) -> None:
        if isinstance(event, Notice) and event.level == "warning" and event.message not in heard:
            heard.append(event.message)

    folder = Path(out)
    with folder_lock(out), listening(hear), _spaces(folder, plan.workers):
        job = make_job(table, plan, target, teacher)
        found = _tuned(job, folder, command, started, heard, worker, source or {})
        (folder / UNFINISHED).unlink(missing_ok=True)
        return found


@contextmanager
def _spaces(folder: Path, workers: int) -> Iterator[None]:
    """Shared with the worker processes, through a folder that is gone at the end."""
    place = spaces_folder(folder) if workers > 1 else None
    try:
        with shared_spaces(place):
            yield
    finally:
        if place is not None:
            shutil.rmtree(place, ignore_errors=True)


def _tuned(
    job: Job,
    folder: Path,
    command: str,
    started: float,
    heard: list[str],
    worker: str,
    source: Mapping[str, Any],
) -> Tuning:
    searches = job.searches()
    _refuse_tested(job, folder)
    refuse_taught(job.teacher, _tested(job))
    earlier = _earlier(folder, searches)
    storage = open_storage(folder)
    try:
        if earlier is not None and _complete(job, storage, searches, earlier):
            emit(Notice("all trials are done already"))
            return _kept(replace(earlier, **_of_what(job, source or earlier.source)), folder)
        write_text(folder / UNFINISHED, command)
        _note_seen(job, folder, searches)
        emit(Notice(described(job)))
        for search in searches:
            begin(job, storage, search)
        _search(job, folder, storage, searches, worker)
        _tell_all_tried(job, storage, searches)
        records = [search_record(job, storage, each) for each in searches]
    finally:
        storage.engine.dispose()
    _tell_borders(records)
    worth = _worth(job, searches, records)
    found = _record(job, command, records, worth, heard, earlier, time.monotonic() - started, searches)
    return _kept(replace(found, **_of_what(job, source or (earlier.source if earlier else {}))), folder)


def _kept(found: Tuning, folder: Path) -> Tuning:
    write_text(folder / FILE, json.dumps(found.to_dict(), indent=1))
    return found


def _of_what(job: Job, source: Mapping[str, Any]) -> dict[str, Any]:
    """What the record says of the images and the teacher, by which both are known again."""
    return {
        "source": dict(source), "contents": tuple(job.content(part) for part in job.parts),
        "unread": job.unread, "teacher": content_of(job.teacher),
    }  # fmt: skip


# ---- before the trials ---------------------------------------------------------------------------------


def make_job(table: ImageTable, plan: TunePlan, target: str | None = None, teacher: Any = None) -> Job:
    """Label, read, divide: everything that trials need."""
    from headstart.backbones.load import card

    name = table.target(target)
    table = labelled(table, name)
    known = card(plan.backbone)
    n_stages = sum(key.startswith("stage") and key[5:].isdigit() for key in known.layers or {})
    spaces_of(plan, n_stages)
    # what cannot be is told before features are computed
    refuse_other_classes(teacher, table, name, divide(table, name, folds=plan.folds, seed=plan.seed))
    whole = table
    table, features = _read(whole, plan)
    parts = divide(table, name, folds=plan.folds, seed=plan.seed)
    unread = tuple(sorted(set(whole.digests) - set(table.digests)))
    return Job(plan, table, name, parts, features, n_stages, teacher, unread)


def check_teacher(table: ImageTable, plan: TunePlan, teacher: Any, target: str | None = None) -> None:
    """Refuse a teacher of other classes, for who looks at images before `tune_table` does.

    Raises
    ------
    UsageError
    """
    with unheard():
        name = table.target(target)
        known = labelled(table, name)
        refuse_other_classes(teacher, known, name, divide(known, name, folds=plan.folds, seed=plan.seed))


def _read(table: ImageTable, plan: TunePlan) -> tuple[ImageTable, dict[tuple[str, str], Any]]:
    """Features at every place of the search, and the table without images that cannot be read."""
    problems: Sequence[Problem]
    if FEATURES not in plan.scenario:
        from headstart.backbones.load import card
        from headstart.methods.finetune import unreadable

        how = card(plan.backbone).preprocessing.at(plan.input_size)
        problems, _ = unreadable(table.items(), table.paths, how)
        return _without(table, problems), {}
    from headstart.features.extract import Tap, extract

    places = [(layer, pooling) for layer in plan.layer for pooling in plan.pooling]
    found = extract(
        table.items(), table.digests, paths=table.paths, backbone=plan.backbone,
        taps=[Tap(*place) for place in places], engine=plan.engine, precision=plan.precision,
        input_size=plan.input_size, cache_gb=plan.cache_gb,
    )  # fmt: skip
    features = {place: found.features[Tap(*place)][found.ok] for place in places}
    return _without(table, found.problems), features


def _without(table: ImageTable, problems: Sequence[Problem]) -> ImageTable:
    if problems:
        warn(
            f"{table.name}: {len(problems)} images cannot be read and are left out (first: {problems[0].path})"
        )
    return table.without(list(problems)) if problems else table


def _refuse_tested(job: Job, folder: Path) -> None:
    """Refuse a folder whose trials looked at images that are test images now."""
    path = folder / SEEN
    if not path.is_file():
        return
    kept = json.loads(path.read_text("utf-8"))
    seen = {digest for each in kept.values() for digest in each}
    if {search.name for search in job.searches()} <= set(kept):
        return  # the same division: checked when it was made
    if job.plan.folds == 0 and (shared := seen & _tested(job)):
        raise UsageError(
            f"{folder} was tuned on {len(shared)} of the images that are to test now; what was tuned on its test "
            "split says nothing: name another --out, or divide the images as before"
        )


def _tested(job: Job) -> set[str]:
    """Digests of every image that tests."""
    return {job.table.digests[row] for part in job.parts for row in part.test}


def _note_seen(job: Job, folder: Path, searches: Sequence[Search]) -> None:
    path = folder / SEEN
    kept = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    for search in searches:
        kept[search.name] = sorted({job.table.digests[row] for row in job.parts[search.fold].seen})
    write_text(path, json.dumps(kept))


def described(job: Job) -> str:
    """The plan in a sentence."""
    plan, methods = job.plan, ", ".join(job.plan.methods)
    each = f"{plan.most_trials} trials" if plan.most_trials else ""
    if plan.seconds:
        n = len(plan.methods) * len(job.parts)
        each += f"{' within ' if each else ''}{plan.seconds / n:.0f} s"
    nested = f" in each of {len(job.parts)} outer folds" if len(job.parts) > 1 else ""
    shared = f", {plan.workers} workers" if plan.workers > 1 else ""
    return f"tuning {methods}: {each} each{nested}{shared}; the test images are read at the end"


# ---- the trials ------------------------------------------------------------------------------------------


def _search(job: Job, folder: Path, storage: Any, searches: Sequence[Search], worker: str) -> None:
    studies = [study_of(job, storage, search, job.trials(search)) for search in searches]
    done = {search.name: len(finished(study)) for search, study in zip(searches, studies, strict=True)}
    most = job.plan.most_trials
    total = None if most is None else most * len(searches)

    def counted(search: Search, n: int) -> None:
        done[search.name] = n
        emit(Progress(TASK, sum(done.values()), total))

    def count() -> None:
        for search, study in zip(searches, studies, strict=True):
            counted(search, len(finished(study)))

    emit(Progress(TASK, sum(done.values()), total))
    if job.plan.workers == 1:
        work(job, storage, counted=counted)
        return
    write_job(job, folder)
    run_workers(folder, job.plan.workers, count, worker)


def _tell_all_tried(job: Job, storage: Any, searches: Sequence[Search]) -> None:
    for search in searches:
        study = study_of(job, storage, search, job.trials(search))
        most, n = job.plan.most_trials, len(finished(study))
        if (most is None or n < most) and (said := all_tried(study, search.space)):
            warn(
                f"{search.method}: {said}, so its search ended before its {'time' if most is None else 'trials'} did"
            )


def _tell_borders(records: Sequence[SearchRecord]) -> None:
    for record in records:
        for each in record.borders:
            side = "lowest" if each["end"] == "low" else "highest"
            value = each["value"]
            shown = f"{value:.3g}" if isinstance(value, float) else value
            warn(
                f"{record.method}: the best {each['name']}, {shown}, lies on the border of the space "
                f"(the {side} values tried); widen it with --space and tune on"
            )


# ---- the end -----------------------------------------------------------------------------------------------


def _worth(job: Job, searches: Sequence[Search], records: Sequence[SearchRecord]) -> list[Worth]:
    """Every method on the test images, the best by what chose first."""
    found = []
    for method in job.plan.methods:
        own = [at for at, search in enumerate(searches) if search.method == method]
        found.append(worth_of(job, [searches[at] for at in own], [records[at] for at in own]))
    return sorted(found, key=lambda each: -each.chosen_by)


def _record(
    job: Job, command: str, records: Sequence[SearchRecord], worth: Sequence[Worth], heard: Sequence[str],
    earlier: Tuning | None, seconds: float, searches: Sequence[Search],
) -> Tuning:  # fmt: skip
    part = job.parts[0]
    trained = [name for name in job.plan.methods if name in TRAINED]
    inner = "1 inner fold of train" if len(trained) == len(job.plan.methods) else "inner folds of train"
    return Tuning(
        data=job.table.name, target=job.target, command=command, plan=job.plan.to_dict(), classes=job.classes,
        n_train=len(part.train), n_validation=len(part.validation),
        n_test=sum(len(each.test) for each in job.parts),
        selected_on="validation" if part.validation else inner,
        searches=tuple(records), worth=tuple(worth),
        seconds=seconds + (earlier.seconds if earlier else 0.0),
        n_test_reads=1 + (earlier.n_test_reads if earlier else 0),
        warnings=tuple(dict.fromkeys([*(earlier.warnings if earlier else ()), *heard])),
        names=tuple(each.name for each in searches), versions=versions(),
    )  # fmt: skip


def _earlier(folder: Path, searches: Sequence[Search]) -> Tuning | None:
    """The record of the same searches, where there is one."""
    if not (folder / FILE).is_file():
        return None
    found = load_tuning(folder)
    return found if found.names == tuple(each.name for each in searches) else None


def _complete(job: Job, storage: Any, searches: Sequence[Search], earlier: Tuning) -> bool:
    """Whether nothing of what is asked is left to do."""
    same = replace(job.plan, workers=1).to_dict()
    asked = json.loads(json.dumps(same))
    kept = {**earlier.plan, "workers": 1}
    if asked == kept:
        return True
    if asked.get("test_seeds") != kept.get("test_seeds"):
        return False
    studies = [study_of(job, storage, each, job.trials(each)) for each in searches]
    for study in studies:
        take_back(study, patience=0.0)
    if not all(ended(job, study, each) for study, each in zip(studies, searches, strict=True)):
        return False
    for study, search in zip(studies, searches, strict=True):
        if left := unused_starts(job, study, search):
            warn(left)
    return True
