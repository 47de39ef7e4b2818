"""Under a time budget, methods that train race: at each rung the worse half by validation is cut.

Successive halving (Jamieson and Talwalkar, Non-stochastic Best Arm Identification and Hyperparameter
Optimization, AISTATS 2016): n methods run under the first seed for a short time, the better half for twice as
long, and so on; who is left goes on to the full length and the other seeds. Every rung's runs and cuts are kept
as they are made, and decisions rest on them alone, so a study that goes on decides the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from headstart.base.events import Notice, emit
from headstart.base.hashing import digest_json
from headstart.methods.training_options import own_epochs
from headstart.study.records import Cell, CutMethod
from headstart.study.store import StudyStore
from headstart.study.summarise import most_images

META = "halving"
RunRung = Callable[[Cell, dict[str, Any]], dict[str, Any]]
"""A cell and its shortened options to what the run gave (`headstart.study.trained_cells.run_rung`)."""


class OutOfTime(Exception):
    """The budget is up before the race has ended."""


def contenders(cells: Sequence[Cell]) -> dict[str, list[Cell]]:
    """The runs that race, by dataset: every method that trains, under the first seed, on most images a class.

    Tuned runs do not race: they go on, or not, with the method that they tune. Methods of several outputs do not
    either: what they would be cut by is no one score.
    """
    cells = [cell for cell in cells if not cell.sharing]
    found: dict[str, list[Cell]] = {}
    most = most_images([cell for cell in cells if cell.trains])
    for cell in cells:
        if cell.trains and not cell.tuned and not cell.seed and cell.per_class == most[cell.dataset]:
            found.setdefault(cell.dataset, []).append(cell)
    return {name: group for name, group in found.items() if len(group) > 1}


def rung_shares(n_methods: int) -> tuple[float, ...]:
    """The share of the full length at each rung: 1/4, 1/2 for three or four methods.

    Examples
    --------
    >>> rung_shares(2), rung_shares(4), rung_shares(5)
    ((0.5,), (0.25, 0.5), (0.125, 0.25, 0.5))
    """
    n_rungs = math.ceil(math.log2(n_methods)) if n_methods > 1 else 0
    return tuple(2.0 ** (rung - n_rungs) for rung in range(n_rungs))


def shortened(cell: Cell, share: float, n_train: int) -> dict[str, Any]:
    """Options of a rung: that share of the epochs (one at least), or of the seconds.

    `n_train` images are learned from: a scenario's own length may hang on it.
    """
    options = cell.options
    if options["seconds"] is not None:
        return {"seconds": options["seconds"] * share}
    epochs = options["epochs"] or own_epochs(cell.scenario, n_train)
    return {"epochs": max(1, round(epochs * share))}


def better_half(ranks: Mapping[str, tuple[float, float] | None]) -> tuple[list[str], list[str]]:
    """Names that go on and names that are cut, each in their order.

    Parameters
    ----------
    ranks : mapping
        Name to accuracy and loss on the images that choose; None for what failed, which never goes on. The
        loss settles equal accuracies; where it is equal too, the earlier goes on.

    Examples
    --------
    >>> better_half({"a": (0.5, 1.0), "b": (0.9, 0.2), "c": (0.5, 0.8)})
    (['b', 'c'], ['a'])
    """
    known = {name: rank for name, rank in ranks.items() if rank is not None}
    ordered = sorted(known, key=lambda name: (-known[name][0], known[name][1]))
    kept = set(ordered[: math.ceil(len(ranks) / 2)])
    return [name for name in ranks if name in kept], [name for name in ranks if name not in kept]


@dataclass
class Race:
    """The race of one dataset.

    Attributes
    ----------
    dataset : str
    cells : sequence of Cell
        See `contenders`.
    store : StudyStore
    n_train : int
        Images that a run learns from.
    """

    dataset: str
    cells: Sequence[Cell]
    store: StudyStore
    n_train: int = 0

    def __post_init__(self) -> None:
        self.key = digest_json([cell.id for cell in self.cells])
        self.all: dict[str, Any] = self.store.meta().get(META, {})
        fresh: dict[str, Any] = {"key": self.key, "racing": None, "runs": {}, "cut": [], "decided": False}
        kept = self.all.get(self.dataset)
        if kept is not None and kept["key"] != self.key:  # other methods race now; runs still count
            fresh["runs"] = kept["runs"]
        self.state: dict[str, Any] = kept if kept is not None and kept["key"] == self.key else fresh

    @property
    def decided(self) -> bool:
        """Whether the race has ended."""
        return bool(self.state["decided"])

    @property
    def cut(self) -> tuple[CutMethod, ...]:
        """What has been cut so far."""
        return tuple(CutMethod(**each) for each in self.state["cut"])

    def run(
        self,
        done: frozenset[str],
        run_rung: RunRung,
        time_is_up: Callable[[], bool],
        seconds_so_far: Callable[[], float],
    ) -> None:
        """Run what is left of the race.

        Parameters
        ----------
        done : frozenset of str
            Ids of runs made at full length before the race began: they do not race.
        run_rung, time_is_up, seconds_so_far : callable

        Raises
        ------
        OutOfTime
            It goes on from here when the study is run again.
        """
        if self.state["racing"] is None:
            self.state["racing"] = [cell.id for cell in self.cells if cell.id not in done]
        alive = [cell for cell in self.cells if cell.id in self.state["racing"]]
        shares = rung_shares(len(alive))
        before: dict[str, dict[str, Any]] = {cell.id: shortened(cell, 1.0, self.n_train) for cell in alive}
        for number, share in enumerate(shares, start=1):
            options = {cell.id: shortened(cell, share, self.n_train) for cell in alive}
            if all(options[cell.id] == before[cell.id] for cell in alive):
                continue  # so few epochs that this rung is no longer than the last
            before = {**before, **options}
            if any(options[cell.id] == shortened(cell, 1.0, self.n_train) for cell in alive):
                break
            emit(
                Notice(
                    f"{self.dataset}: rung {number} of {len(shares)}, {len(alive)} methods, {_said(options)}"
                )
            )
            runs = {cell.method: self._run(cell, options[cell.id], run_rung, time_is_up) for cell in alive}
            kept, cut = better_half({name: _rank(run) for name, run in runs.items()})
            self._cut(cut, kept, runs, (number, len(shares), share), seconds_so_far())
            alive = [cell for cell in alive if cell.method in kept]
            if len(alive) < 2:
                break
        self.state["decided"] = True
        self._save()

    def _run(
        self, cell: Cell, options: dict[str, Any], run_rung: RunRung, time_is_up: Callable[[], bool]
    ) -> dict[str, Any]:
        key = f"{cell.id} {sorted(options.items())}"
        if key not in self.state["runs"]:
            if time_is_up():
                raise OutOfTime
            found = run_rung(cell, options)
            if found.get("cut_short"):  # it is no measure of its rung; its training goes on from there
                raise OutOfTime
            self.state["runs"][key] = found
            self._save()
        known: dict[str, Any] = self.state["runs"][key]
        return known

    def _cut(
        self,
        names: Sequence[str],
        kept: Sequence[str],
        runs: Mapping[str, dict[str, Any]],
        rung: tuple[int, int, float],
        after: float,
    ) -> None:
        known = {each["method"] for each in self.state["cut"]}
        least = min((runs[name]["score"] for name in kept), default=None)
        for name in names:
            run = runs[name]
            made = CutMethod(
                self.dataset,
                name,
                *rung,
                run["epochs"],
                run["score"],
                least,
                run["seconds"],
                after,
                run["error"],
            )
            if name not in known:
                self.state["cut"].append(asdict(made))
                emit(Notice(told(made)))
        self._save()

    def _save(self) -> None:
        self.store.put_meta(**{META: {**self.store.meta().get(META, {}), self.dataset: self.state}})


def _rank(run: Mapping[str, Any]) -> tuple[float, float] | None:
    return None if run["score"] is None else (run["score"], math.inf if run["loss"] is None else run["loss"])


def told(cut: CutMethod) -> str:
    """What was cut, when and at which score, as one sentence."""
    if cut.score is None:
        why = f"it failed ({cut.error})"
    else:
        why = f"{100 * cut.score:.1f} % on the images that choose"
        why += (
            ""
            if cut.least_kept is None
            else f", where the worst that went on has {100 * cut.least_kept:.1f} %"
        )
    epochs = f"{cut.epochs} epoch{'' if cut.epochs == 1 else 's'}"
    return f"{cut.dataset}: {cut.method} is cut at rung {cut.rung} of {cut.n_rungs}, after {epochs}: {why}"


def stored_cut(store: StudyStore, cells: Sequence[Cell]) -> tuple[CutMethod, ...]:
    """What the store says was cut of these planned runs."""
    if META not in store.meta():
        return ()
    races = [Race(name, group, store) for name, group in contenders(cells).items()]
    return tuple(cut for race in races for cut in race.cut)


def _said(options: Mapping[str, Mapping[str, Any]]) -> str:
    each = list(options.values())
    name = next(iter(each[0]))
    low, high = min(one[name] for one in each), max(one[name] for one in each)
    return f"{low:g} {name} each" if low == high else f"{low:g} to {high:g} {name}"
