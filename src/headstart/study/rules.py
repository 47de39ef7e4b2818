"""The rules of a fair comparison, held to while it runs and looked at once more when it is done.

The same splits for every method; what is tuned is tuned on validation or on inner folds of train; the values that
a method tries are counted; the test images of a fit are read once, after everything is chosen. What breaks a rule
does not run, or does not count: a plan that breaks one is refused, a run that breaks one fails with the reason.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from headstart.base.errors import HeadstartError
from headstart.methods.heads_catalog import HEAD_CARDS
from headstart.study.partition import Fold, Rows
from headstart.study.records import Cell, CellResult

SPLITS, TUNING, TRIALS, TEST = "the same splits", "tuning", "trials", "test images"
FAIR = re.compile(
    r"validation|(\d+ of )?\d+ (given )?inner folds|train, each image left out once|nothing\b.*"
)
"""What `selected_on` says where no test image chose."""
N_NAMED = 3


class RuleBroken(HeadstartError):
    """A comparison that would not be fair: a fault of the program, or of a split that holds an image twice."""


@dataclass(frozen=True)
class Rule:
    """One rule as a finished study kept it.

    Attributes
    ----------
    name : str
    kept : bool
    said : str
        What was looked at and found, in a sentence.
    runs : tuple of str
        Ids of the runs that broke it.
    """

    name: str
    kept: bool
    said: str
    runs: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON-like."""
        return {**asdict(self), "runs": list(self.runs)}


class TestRows:
    """The test rows of one fit: handed out once, to a model that has chosen already.

    Parameters
    ----------
    fold : Fold
        Its parts may not share a row.

    Raises
    ------
    RuleBroken
        A row that is to be tested on is learned from or chosen by too.

    Examples
    --------
    >>> rows = TestRows(Fold(train=(0, 1), validation=(), test=(2,)))
    >>> rows.read(has_chosen=True)
    (2,)
    """

    __test__ = False  # no test of pytest's

    def __init__(self, fold: Fold) -> None:
        seen = {*fold.train, *fold.validation}
        shared = len(seen & set(fold.test)) + len(set(fold.train) & set(fold.validation))
        if shared:
            raise RuleBroken(
                f"{shared} image(s) stand in more than one of train, validation and test of one fit; "
                "nothing is tested on what it learned from"
            )
        self._rows = fold.test
        self.n_reads = 0

    def read(self, *, has_chosen: bool) -> Rows:
        """The rows.

        Raises
        ------
        RuleBroken
            Nothing is chosen yet, or they were read before.
        """
        if not has_chosen:
            raise RuleBroken("the test images were asked for before everything was chosen")
        if self.n_reads:
            raise RuleBroken("the test images of one fit were asked for a second time")
        self.n_reads += 1
        return self._rows


def check_plan(cells: Sequence[Cell]) -> None:
    """Refuse a plan whose methods would learn from or be tested on other images than the others.

    Raises
    ------
    RuleBroken
    """
    for (name, _, seed, per_class, _), splits in _comparisons(cells).items():
        if len(splits) > 1:
            size = f", {per_class} images a class" if per_class else ""
            raise RuleBroken(
                f"{name}: methods would be compared on {len(splits)} different splits (seed {seed}{size}); "
                "every method of a data set and seed has the same one"
            )


def _comparisons(cells: Iterable[Cell]) -> dict[tuple[Any, ...], dict[str, list[str]]]:
    """What is compared with what (data, seed, images a class, fold) to its splits, and these to their runs."""
    made = list(cells)
    # a run without a seed: the source gives the split, and no seed changes it
    given = {cell.dataset for cell in made if cell.seed is None}
    found: dict[tuple[Any, ...], dict[str, list[str]]] = {}
    for cell in made:
        seed = None if cell.dataset in given and not cell.per_class else cell.seed
        key = (cell.dataset, cell.data_digest, seed, cell.per_class, cell.fold)
        found.setdefault(key, {}).setdefault(cell.split_digest, []).append(cell.id)
    return found


def rules_of(results: Iterable[CellResult]) -> tuple[Rule, ...]:
    """How the finished runs of a study kept the rules; () where nothing has finished."""
    done = [result for result in results if result.status == "done"]
    if not done:
        return ()
    return (_same_splits(done), _tuned(done), _tried(done), _read_once(done))


def _same_splits(done: Sequence[CellResult]) -> Rule:
    found = _comparisons(each.cell for each in done)
    odd = [runs for splits in found.values() if len(splits) > 1 for runs in splits.values()]
    said = (
        f"{_n(len(done), 'run')} in {_n(len(found), 'comparison')} (a data set, a seed, a number of images)"
    )
    said += ": " + (f"{len(odd)} different splits where one is due" if odd else "one split in each")
    return Rule(SPLITS, not odd, f"{said}.", tuple(run for runs in odd for run in runs))


def _tuned(done: Sequence[CellResult]) -> Rule:
    odd = [each for each in done if not _is_fair(each.selected_on)]
    ways = dict.fromkeys(_way(each.selected_on) for each in done if _is_fair(each.selected_on))
    said = "Everything was chosen on " + (", or on ".join(ways) or "nothing")
    if odd:
        named = sorted({each.selected_on or "what is not known" for each in odd})[:N_NAMED]
        said += f"; {_n(len(odd), 'run')} chose on {', '.join(named)}"
    return Rule(TUNING, not odd, f"{said}.", tuple(each.cell.id for each in odd))


def _is_fair(selected_on: str) -> bool:
    return FAIR.fullmatch(selected_on) is not None


def _way(selected_on: str) -> str:
    return "inner folds of train" if "inner" in selected_on else selected_on.partition(" (")[0]


def _tried(done: Sequence[CellResult]) -> Rule:
    """Whether no fit compared more settings than its kind may, and searches of one comparison had one budget."""
    odd = {each.cell.id: why for each in done if each.cell.classifies and (why := _excess(each))}
    for group in _unequal_budgets(done):
        odd |= dict.fromkeys(group, "searches of one comparison with different budgets")
    if odd:
        named = sorted(set(odd.values()))[:N_NAMED]
        return Rule(TRIALS, False, f"{_n(len(odd), 'run')} had other terms: {'; '.join(named)}.", tuple(odd))
    counts = trials(done)
    if not counts:
        return Rule(TRIALS, True, "Nothing was tuned.")
    parts = [f"{name} {_span(ends)}" for name, ends in counts.items()]
    said = f"Settings compared on the images that choose, a fit: {'; '.join(parts)}. "
    return Rule(TRIALS, True, f"{said}None has more than its kind may try.")


def _excess(result: CellResult) -> str:
    """What a run compared more than its kind may try; "" where it did not."""
    cell = result.cell
    kind = cell.head or cell.scenario
    if cell.tuned:
        allowed = json.loads(cell.tuned)["trials"]
        found = [len(search["trials"]) for search in result.tuning]
        if not found:
            return f"{kind} tuned: no trial was recorded"
        if allowed is not None and max(found) > allowed:
            return f"{kind} tuned: {max(found)} trials in a fit where {allowed} are allowed"
        return ""
    if result.tuning:
        return (
            f"{kind}: {len(result.tuning[0]['trials'])} trials of a method that is compared with its defaults"
        )
    most, n = _most(cell), max(result.tried.values(), default=0)
    return f"{kind}: {n} settings in a fit where {most} are allowed" if most is not None and n > most else ""


def _most(cell: Cell) -> int | None:
    """The most settings that a fit with its own defaults may compare; None where that is not known."""
    if cell.trains:
        epochs = cell.options.get("epochs")
        return int(epochs) if epochs else None
    return HEAD_CARDS[cell.head].most_tried if cell.head in HEAD_CARDS else None


def _unequal_budgets(done: Sequence[CellResult]) -> list[list[str]]:
    """Runs of comparisons in which tuned methods had different numbers of trials or seconds."""
    found: dict[tuple[Any, ...], dict[tuple[Any, Any], list[str]]] = {}
    for cell in (each.cell for each in done if each.cell.tuned):
        how = json.loads(cell.tuned)
        key = (cell.dataset, cell.data_digest, cell.per_class, cell.fold)
        found.setdefault(key, {}).setdefault((how["trials"], how["seconds"]), []).append(cell.id)
    return [[run for runs in each.values() for run in runs] for each in found.values() if len(each) > 1]


def trials(results: Iterable[CellResult]) -> dict[str, tuple[int, int]]:
    """Least and most settings that a fit of each head or scenario compared, e.g. {"logistic (C)": (7, 9)}."""
    found: dict[str, tuple[int, int]] = {}
    for result in results:
        cell = result.cell
        if result.status != "done" or not cell.classifies:
            continue
        kind = f"{cell.head or cell.scenario}{' tuned' if cell.tuned else ''}"
        tuned = {"trials": len(result.tuning[0]["trials"])} if result.tuning else {}
        for what, n in (tuned or result.tried or {"": 1}).items():
            name = f"{kind}{f' ({what})' if what else ''}"
            low, high = found.get(name, (n, n))
            found[name] = (min(low, n), max(high, n))
    return found


def _read_once(done: Sequence[CellResult]) -> Rule:
    counted = [each for each in done if each.test_reads]
    odd = [each for each in counted if each.test_reads != max(1, each.n_fits)]
    said = f"The test images were read once a fit, after everything was chosen, in {_n(len(counted), 'run')}"
    if odd:
        said = f"{_n(len(odd), 'run')} read the test images more or less often than once a fit"
    elif len(counted) < len(done):
        said += f"; {_n(len(done) - len(counted), 'run')} of an older version did not count it"
    return Rule(TEST, not odd, f"{said}.", tuple(each.cell.id for each in odd))


def planned_words(cells: Sequence[Cell], most_tried: Mapping[str, int]) -> str:
    """The rules as a plan says them before anything runs.

    Parameters
    ----------
    cells : sequence of Cell
    most_tried : mapping of head to int
        The most settings that a head compares; heads that tune nothing have 1.
    """
    heads = dict.fromkeys(cell.head for cell in cells if cell.head and cell.classifies)
    tried = ", ".join(f"{head} {most_tried[head]}" for head in heads if head in most_tried)
    trained = dict.fromkeys(cell.scenario for cell in cells if cell.trains)
    said = (
        "equal terms: one split a data set and seed for every method (checked); tuned on validation or inner "
    )
    said += "folds alone"
    said += f", settings at most {tried}" if tried else ""
    said += f", epochs of {' and '.join(trained)} by the same images" if trained else ""
    return said + "; test images are read once a fit"


def _span(ends: tuple[int, int]) -> str:
    return str(ends[0]) if ends[0] == ends[1] else f"{ends[0]} to {ends[1]}"


def _n(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'' if n == 1 else 's'}"
