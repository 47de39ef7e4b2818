"""The work of one process: trial after trial of every search, until the asked trials or the time are used up."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from headstart.base.errors import HeadstartError
from headstart.base.events import warn
from headstart.methods.heads_shared import shared_spaces
from headstart.methods.training_options import TRAINED
from headstart.methods.tune.ended import (
    DEFAULT,
    KEPT,
    START,
    TIME_UP,
    add_seconds,
    ended,
    finished,
    new_starts,
    seconds_allowed,
    spent,
    untried,
    unused_starts,
)
from headstart.methods.tune.job import Job, Search
from headstart.methods.tune.space import Space
from headstart.methods.tune.storage import (
    claim,
    distributions,
    load_optuna,
    lose,
    open_study,
    take_back,
)
from headstart.methods.tune.trials import FAILURES, Measured, NetworkTrials, Trials
from headstart.methods.watch import Abandoned

Counted = Callable[[Search, int], None]


def work(job: Job, storage: Any, *, worker: int = 0, counted: Counted | None = None) -> None:
    """Run trials until none is left to run; `counted` hears how many of a search are done."""
    with shared_spaces():
        for search in job.searches():
            run_search(job, storage, search, worker=worker, counted=counted)


def run_search(
    job: Job, storage: Any, search: Search, *, worker: int = 0, counted: Counted | None = None
) -> None:
    """Run trials of one search until none is left to run."""
    _Work(job, search, storage, worker, counted).run()


@dataclass(eq=False)
class _Work:
    """One search, as far as one process is concerned."""

    job: Job
    search: Search
    storage: Any
    worker: int
    counted: Counted | None

    def __post_init__(self) -> None:
        self.optuna = load_optuna()
        self.state = self.optuna.trial.TrialState
        self.trials: Trials = self.job.trials(self.search)
        self.study = study_of(self.job, self.storage, self.search, self.trials, self.worker)

    def run(self) -> None:
        """Ask, run and tell, until trials, time or the space are used up."""
        take_back(self.study)
        while not ended(self.job, self.study, self.search):
            start = time.monotonic()
            trial = claim(self.study, self.search.space, self.job.plan.most_trials)
            if trial is None:
                return
            self._run(trial, start)
            add_seconds(self.study, self.worker, time.monotonic() - start)
            if self.counted is not None:
                self.counted(self.search, len(finished(self.study)))

    def _run(self, trial: Any, claimed: float) -> None:
        start = time.monotonic()
        params, known = in_full(self.search.space, trial.params), self._known(trial)
        try:
            found = known or self.trials.measure(params, self._teller(trial, claimed))
        except KeyboardInterrupt:
            lose(self.study, trial, again=True)
            raise
        except Abandoned as error:
            self._keep(trial, start, given_up=error.reason)
            self.study.tell(trial, state=self.state.PRUNED)
        except FAILURES as error:
            told = str(error).strip() or "no message"
            named = told if isinstance(error, HeadstartError) else f"{type(error).__name__}: {told}"
            self._keep(trial, start, error=named[:500])
            self.study.tell(trial, state=self.state.FAIL)
        else:
            self._keep(trial, start, **attributes(found))
            self.study.tell(trial, found.value)
        if known is not None and (point := untried(self.study, self.search.space)) is not None:
            self.study.enqueue_trial(point)  # of few points TPE may propose the best again and again

    def _keep(self, trial: Any, start: float, **kept: Any) -> None:
        """One note of all there is to keep: each one costs a commit."""
        trial.set_user_attr(KEPT, {"seconds": time.monotonic() - start, **kept})

    def _known(self, trial: Any) -> Measured | None:
        """What an equal trial gave: it is not run twice."""
        for each in self.study.get_trials(deepcopy=False, states=(self.state.COMPLETE,)):
            if each.params == trial.params:
                kept = each.user_attrs.get(KEPT, {})
                return Measured(
                    float(each.value), kept.get("loss"), dict(trial.params), tuple(kept.get("curve", ()))
                )
        return None

    def _teller(self, trial: Any, claimed: float) -> Callable[[int, float], None]:
        """Tell optuna the score after an epoch, and give the trial up where the pruner or the time says so."""
        allowed = seconds_allowed(self.job)

        def tell(epoch: int, value: float) -> None:
            trial.report(value, epoch)
            over = allowed is not None and spent(self.study) + time.monotonic() - claimed >= allowed
            whole = isinstance(self.trials, NetworkTrials) and epoch >= self.trials.epochs
            if not whole and (over or trial.should_prune()):
                raise Abandoned(TIME_UP if over else f"after epoch {epoch}")

        return tell


def study_of(job: Job, storage: Any, search: Search, trials: Trials, worker: int = 0) -> Any:
    """The search in the storage, with a seed that no earlier process had."""
    epochs = trials.epochs if isinstance(trials, NetworkTrials) else 1
    pruner = job.plan.pruner if search.method in TRAINED else "none"
    study = open_study(storage, search.name, seed=0, pruner=pruner, epochs=epochs)
    import numpy as np

    so_far = len(study.get_trials(deepcopy=False))
    seed = int(np.random.SeedSequence([job.plan.seed, search.number, so_far, worker]).generate_state(1)[0])
    return open_study(storage, search.name, seed=seed, pruner=pruner, epochs=epochs)


def attributes(found: Measured) -> dict[str, Any]:
    """What is kept of a trial beside its value."""
    kept = {"loss": found.loss, "curve": list(found.curve), "notes": list(found.notes)}
    return {name: value for name, value in kept.items() if value not in (None, [])}


def begin(job: Job, storage: Any, search: Search) -> None:
    """Measure the defaults first, as trial number 0, and put what the caller starts from in the queue.

    Where the defaults lie outside a narrowed space they are measured all the same, to compare with, but are no
    trial of the search.
    """
    trials = job.trials(search)
    study = study_of(job, storage, search, trials)
    take_back(study, patience=0.0)
    if DEFAULT not in study.user_attrs:
        start = time.monotonic()
        found = trials.measure({}, lambda epoch, value: None)
        seconds = time.monotonic() - start
        inside = all(each.holds(found.params[each.name]) for each in search.space.dimensions)
        if inside and not any(each.user_attrs.get(DEFAULT) for each in study.get_trials(deepcopy=False)):
            study.add_trial(_default_trial(search.space, found, seconds))
        study.set_user_attr(DEFAULT, {
            "value": found.value, "params": found.params, "seconds": seconds, "inside": inside,
            **attributes(found),
        })  # fmt: skip
    if left := unused_starts(job, study, search):
        warn(left)
    if not ended(job, study, search):
        for params in new_starts(job, study, search):
            study.enqueue_trial(params, user_attrs={START: params})


def _default_trial(space: Space, found: Measured, seconds: float) -> Any:
    optuna = load_optuna()
    params = {each.name: found.params[each.name] for each in space.free}
    return optuna.trial.create_trial(
        value=found.value, params=params, distributions=distributions(space),
        user_attrs={DEFAULT: True, KEPT: {"seconds": seconds, **attributes(found)}},
        intermediate_values={at + 1: value for at, value in enumerate(_best_so_far(found))},
    )  # fmt: skip


def _best_so_far(found: Measured) -> list[float]:
    best, line = 0.0, []
    for value in found.curve:
        best = max(best, value)
        line.append(best)
    return line


def in_full(space: Space, params: Mapping[str, Any]) -> dict[str, Any]:
    """Options of a trial with those that the space fixes, in the order of the space."""
    known = {**space.fixed, **params}
    return {each.name: known[each.name] for each in space.dimensions if each.name in known}
