"""Optuna's SQLite storage of a tuning: searches by name, who is at work on what, and how many trials count.

Several processes may share it. Every trial has a number of its own, so that exactly the asked number of trials
is kept, however many processes ask; a trial whose process is gone is not counted and its options are tried again.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from headstart.base.errors import UsageError
from headstart.base.optional import require
from headstart.methods.tune.space import Dimension, Space

FILE = "trials.sqlite"
WAIT_SECONDS = 60
NAMED_SECONDS = 60.0
STARTUP_TRIALS = 10
LOST = "lost"


def load_optuna() -> Any:
    """The package, silenced: what happens is told by events."""
    import warnings

    found = require("optuna", extra="tune", purpose="tuning")
    found.logging.set_verbosity(found.logging.ERROR)
    warnings.filterwarnings("ignore", category=found.exceptions.ExperimentalWarning)
    return found


def open_storage(folder: Path) -> Any:
    """The storage in a folder, made where there is none.

    Raises
    ------
    MissingPackage
        optuna is not installed.
    UsageError
        The file is no such storage.
    """
    taken_once = _taken_once()
    import sqlalchemy

    address = sqlalchemy.URL.create("sqlite", database=str(folder / FILE))
    options = {"connect_args": {"timeout": WAIT_SECONDS}}
    try:
        storage = taken_once(address.render_as_string(), engine_kwargs=options)
        sqlalchemy.event.listen(storage.engine, "connect", _quick)
        storage.engine.dispose()  # connections from here on are quick
        return storage
    except (sqlalchemy.exc.SQLAlchemyError, RuntimeError) as error:
        said = " ".join(str(error).split())[:160]
        raise UsageError(f"{folder / FILE} cannot be used ({said}); name another --out") from error


@cache
def _taken_once() -> Any:
    """Optuna's storage in a database, where a trial that waits goes to one process alone.

    Optuna reads its state, then writes it, with a lock that SQLite does not know: of two processes that read at the
    same time both took the trial, and the second to end it failed. One statement reads and writes here.
    """
    optuna = load_optuna()
    import sqlalchemy
    from optuna.storages._rdb.models import TrialModel

    states = optuna.trial.TrialState

    class TakenOnce(optuna.storages.RDBStorage):  # type: ignore[misc, name-defined, unused-ignore]
        def set_trial_state_values(
            self, trial_id: int, state: Any, values: Sequence[float] | None = None
        ) -> bool:
            if state != states.RUNNING:
                return bool(super().set_trial_state_values(trial_id, state, values))
            taking = sqlalchemy.update(TrialModel).where(
                TrialModel.trial_id == trial_id, TrialModel.state == states.WAITING
            )
            with self.engine.begin() as connection:
                begun = taking.values(state=states.RUNNING, datetime_start=datetime.now())
                return int(connection.execute(begun).rowcount) == 1

    return TakenOnce


def _quick(connection: Any, _: Any) -> None:
    """Write-ahead log: a trial's twenty commits need not wait for the disk; a crash leaves a whole file."""
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")


def open_study(storage: Any, name: str, *, seed: int, pruner: str = "none", epochs: int = 1) -> Any:
    """A search by name, made where there is none; TPE (Bergstra et al. 2011) proposes its trials.

    Parameters
    ----------
    seed : int
        Of the proposals; give every process another.
    pruner : {"hyperband", "asha", "none"}
        Hyperband (Li et al. 2018, JMLR 18) or asynchronous successive halving (Li et al. 2020, MLSys).
    epochs : int
        Of a whole trial.
    """
    optuna = load_optuna()
    made = {
        "hyperband": lambda: optuna.pruners.HyperbandPruner(1, max(1, epochs), 3),
        "asha": lambda: optuna.pruners.SuccessiveHalvingPruner(1, 3),
        "none": optuna.pruners.NopPruner,
    }[pruner]()
    sampler = optuna.samplers.TPESampler(
        seed=seed % 2**32, n_startup_trials=STARTUP_TRIALS, multivariate=True, constant_liar=True
    )
    return optuna.create_study(
        storage=storage, study_name=name, direction="maximize", sampler=sampler, pruner=made,
        load_if_exists=True,
    )  # fmt: skip


def distribution(dimension: Dimension) -> Any:
    """A dimension as optuna's distribution."""
    d, s = load_optuna().distributions, dimension.search
    if s.choices:
        return d.CategoricalDistribution(s.choices)
    if s.whole:
        return d.IntDistribution(int(s.low or 0), int(s.high or 0), log=s.log)
    return d.FloatDistribution(s.low, s.high, log=s.log)


def distributions(space: Space) -> dict[str, Any]:
    """Those of the dimensions with more than one value."""
    return {each.name: distribution(each) for each in space.free}


def claim(study: Any, space: Space, most: int | None) -> Any:
    """The next trial of this process; None where the asked number is reached.

    A trial whose number is beyond it is given back unused.
    """
    if most is not None and n_taken(study) >= most:
        return None
    trial = study.ask(distributions(space))
    trial.set_user_attr("process", _me())
    if most is not None and trial.number >= most and n_taken(study, before=trial.number) >= most:
        lose(study, trial)
        return None
    return trial


def lose(study: Any, trial: Any, again: bool = False) -> None:
    """Give a trial back: it does not count; with `again` its options are tried next."""
    number = getattr(trial, "number", trial)
    study._storage.set_trial_user_attr(study.get_trials(deepcopy=False)[number]._trial_id, LOST, True)
    if again:
        study.enqueue_trial(dict(trial.params), user_attrs={"again": number})
    study.tell(number, state=load_optuna().trial.TrialState.FAIL)


def n_taken(study: Any, before: int | None = None) -> int:
    """Trials that count: begun or done, and not given back; with `before` those of a lower number."""
    waiting = load_optuna().trial.TrialState.WAITING
    return sum(
        each.state != waiting and not each.user_attrs.get(LOST) and (before is None or each.number < before)
        for each in study.get_trials(deepcopy=False)
    )


def take_back(study: Any, patience: float = NAMED_SECONDS) -> int:
    """Give back the trials whose process is gone; how many there were.

    Parameters
    ----------
    patience : float
        Seconds that a process has to name itself after it took a trial; 0 where no other can be at work.
    """
    state = load_optuna().trial.TrialState
    gone = [
        each
        for each in study.get_trials(deepcopy=False, states=(state.RUNNING,))
        if not _alive(each.user_attrs.get("process"))
        and ("process" in each.user_attrs or _age(each) >= patience)
    ]
    for each in gone:
        with suppress(ValueError, RuntimeError):  # another process was faster
            lose(study, each, again=True)
    return len(gone)


def _age(trial: Any) -> float:
    """Seconds since a trial was taken."""
    import datetime

    return float(
        (datetime.datetime.now() - trial.datetime_start).total_seconds()
    )  # as Optuna writes it: local time


def _me() -> dict[str, Any]:
    import platform

    import psutil

    return {"pid": os.getpid(), "began": psutil.Process().create_time(), "host": platform.node()}


def _alive(process: Mapping[str, Any] | None) -> bool:
    """Whether the process runs still; one of another machine is taken for alive."""
    import platform

    import psutil

    if not process:
        return False
    if process["host"] != platform.node():
        return True
    try:
        began = psutil.Process(process["pid"]).create_time()
    except psutil.NoSuchProcess:
        return False
    return bool(abs(began - float(process["began"])) < 1.0)
