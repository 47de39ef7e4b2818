"""When a search ends: its trials, its time or the points of its space are used up; read from Optuna's storage alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headstart.methods.tune.job import Job, Search
from headstart.methods.tune.space import Space
from headstart.methods.tune.storage import LOST, load_optuna, n_taken

DEFAULT, KEPT, START = "default", "kept", "start"
WORKED = "seconds of worker "
TIME_UP = "the time was up"


def ended(job: Job, study: Any, search: Search) -> str:
    """Why no trial is to come, in words; "" where one is."""
    most, allowed = job.plan.most_trials, seconds_allowed(job)
    if most is not None and len(finished(study)) >= most:
        return f"all {most:,} trials are done"
    if said := all_tried(study, search.space):
        return said
    return "its time is used up" if allowed is not None and spent(study) >= allowed else ""


def finished(study: Any) -> list[Any]:
    """Trials that count and are done, whatever came of them."""
    return [
        each
        for each in study.get_trials(deepcopy=False)
        if each.state.is_finished() and not each.user_attrs.get(LOST)
    ]


# ---- time ----------------------------------------------------------------------------------------------


def seconds_allowed(job: Job) -> float | None:
    """Time of a search, that of all its workers together; None without a budget."""
    n = len(job.plan.methods) * len(job.parts)
    return None if job.plan.seconds is None else job.plan.seconds / n * job.plan.workers


def spent(study: Any) -> float:
    """Seconds of all workers, from claiming trials until they were told: Optuna's own time counts, the defaults do not."""
    return sum(float(each) for name, each in study.user_attrs.items() if name.startswith(WORKED))


def add_seconds(study: Any, worker: int, seconds: float) -> None:
    """Note what one trial took a worker."""
    name = f"{WORKED}{worker}"
    study.set_user_attr(name, float(study.user_attrs.get(name, 0.0)) + seconds)


# ---- points --------------------------------------------------------------------------------------------


def all_tried(study: Any, space: Space) -> str:
    """That every point of a finite space was tried, in words; "" where one is left."""
    n = space.n_points
    if n is None or len(_tried(study)) < n:
        return ""
    return f"every one of the {n:,} points of its space was tried"


def untried(study: Any, space: Space) -> dict[str, Any] | None:
    """The first point of a finite space that no trial had; None where there is none, or the space is not finite."""
    tried = _tried(study)
    return next((each for each in space.points() if _key(each) not in tried), None)


def _tried(study: Any) -> set[tuple[tuple[str, Any], ...]]:
    """Points of trials that are done or under way; those that the time cut short may be tried again."""
    waiting = load_optuna().trial.TrialState.WAITING
    return {
        _key(each.params)
        for each in study.get_trials(deepcopy=False)
        if each.state != waiting
        and not each.user_attrs.get(LOST)
        and each.user_attrs.get(KEPT, {}).get("given_up") != TIME_UP
    }


def _key(params: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    return tuple(sorted(params.items()))


# ---- configurations to begin with ------------------------------------------------------------------------


def new_starts(job: Job, study: Any, search: Search) -> list[dict[str, Any]]:
    """What the caller begins with and the search never had in its queue, by content."""
    free = {each.name for each in search.space.free}
    had = [each.user_attrs.get(START) for each in study.get_trials(deepcopy=False)]
    new: list[dict[str, Any]] = []
    for params in job.plan.start.get(search.method, ()):
        given = {name: value for name, value in params.items() if name in free}
        if given and given not in had and given not in new:
            new.append(given)
    return new


def unused_starts(job: Job, study: Any, search: Search) -> str:
    """That new configurations to begin with find no trial left, in words; "" where they do."""
    new, most, why = new_starts(job, study, search), job.plan.most_trials, ended(job, study, search)
    room = 0 if why else len(new) if most is None else max(0, most - n_taken(study))
    if room >= len(new):
        return ""
    left = len(new) - room
    said = f"{left:,} new configuration{'' if left == 1 else 's'} to begin with {'is' if left == 1 else 'are'} not tried"
    return f"{search.method}: {said}, as {why or f'only {room:,} of {most:,} trials are left'}; give more trials or time"
