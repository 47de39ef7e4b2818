"""The adviser held to account: what it says of data sets that its parameters were not fitted on.

    python benchmarks/advice.py [--write] [--draws 50]

Each data set in `benchmarks/evidence/` is left out in turn (both label columns of the same images together), the
parameters are fitted on the others, and the product's own ranking (`headstart.study.advise.predict`) says what to run
of its cells (a label column at one number of images a class).
`--write` fits on all and writes the package's parameters. The oracle knows which method was best on these training
images and meets test images drawn anew (bootstrap). Whoever knows each method's expected accuracy, but not which
training images are drawn, is what no adviser can beat (`evidence/noise.py`).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from bars import Bars

sys.path.insert(0, str(Path(__file__).parent / "evidence"))
import fit
import noise

from headstart.measure.paired import paired_accuracy
from headstart.study.advice_model import Parameters
from headstart.study.advise import Candidate, predict
from headstart.study.situation import Likeness, Probe, Situation

PARAMETERS = Path(__file__).parents[1] / "src" / "headstart" / "study" / "advice_parameters.json"
BACKBONE = "lite0"
GOOD_SHARE, MOST_REGRET, HELD = 0.9, 0.7, (0.85, 0.95)


@dataclass(frozen=True)
class Told:
    """One cell: regret on seed means, whether the advice was as good as the best, intervals that held.

    `run_regret` is that of what the adviser said to run, `n_run` methods on average: the better of two, as a study of
    them would choose it.
    """

    dataset: str
    per_class: int
    advised: tuple[str, ...]
    best: str
    regret: float
    good: bool
    run_regret: float
    n_run: float
    held: tuple[bool, ...]
    first_held: tuple[bool, ...]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--draws", type=int, default=50)
    given = parser.parse_args()
    cells = fit.read_cells()
    if given.write:
        fit.write(fit.fit(cells), PARAMETERS)
    told: list[Told] = []
    for group in sorted({cell.group for cell in cells}):
        known = fit.fit([cell for cell in cells if cell.group != group])
        told += [tell(cell, known) for cell in cells if cell.group == group]
    for each in sorted(told, key=lambda one: (one.dataset, one.per_class or 10**9)):
        print(
            f"{each.dataset} {each.per_class or 'all'}: advised {', '.join(dict.fromkeys(each.advised))}; best "
            f"{each.best}; regret {100 * each.regret:.2f} points{'' if each.good else '  WORSE'}; intervals held "
            f"{np.mean(each.held):.0%}"
        )
    summary(told, cells, given.draws)


def summary(told: Sequence[Told], cells: Sequence[fit.Cell], draws: int) -> None:
    """The bars, and the oracle's figures beside them."""
    plain = np.mean([each.regret <= 0.01 for each in told])
    held = np.concatenate([each.held for each in told])
    first = np.concatenate([each.first_held for each in told])
    print(f"{len(told)} left-out cells of {len({each.dataset for each in told})} label columns")
    print(f"within one point, distinguishable or not: {plain:.1%}")
    print(f"oracle under the same noise ({draws} draws): {oracle(cells, draws)}")
    print(
        "mean regret of whoever knows the accuracy of each method on average over all draws of training images: "
        f"{100 * noise.floor(cells):.2f} points"
    )
    print(f"intervals of the first advice that held: {first.mean():.1%} of {len(first)}")
    print(
        "mean regret of what it said to run, the better of two by the score that chooses: "
        f"{100 * np.mean([each.run_regret for each in told]):.2f} points, of {np.mean([each.n_run for each in told]):.2f} "
        "methods"
    )
    bars = Bars()
    bars.bar(
        "cells whose advice is within one point of the best or not distinguishable from it",
        float(np.mean([each.good for each in told])), ">=", GOOD_SHARE,
    )  # fmt: skip
    bars.bar(
        "mean regret", 100 * float(np.mean([each.regret for each in told])), "<=", MOST_REGRET, " points"
    )
    bars.bar("90 % intervals that held, least", float(held.mean()), ">=", HELD[0])
    bars.bar("90 % intervals that held, most", float(held.mean()), "<=", HELD[1])
    bars.done()


def situation_of(cell: fit.Cell, seed: int) -> Situation:
    """What the adviser would have measured of a cell under a seed; what no ranking reads is left empty."""
    probes = tuple(
        Probe(BACKBONE, fit.LAYERS[position], position, head, accuracy, 0.0)
        for (position, head), accuracy in cell.probes[seed].items()
    )
    share, rest = divmod(cell.n, cell.n_classes)
    return Situation(
        name=cell.dataset, target="", n=cell.n, n_test=cell.n_test,
        class_counts=tuple((str(at), share + (at < rest)) for at in range(cell.n_classes)),
        n_measured=cell.measured[seed], likeness=Likeness(0.0, 0.0, 0.0, 0.0, 0), probes=probes, transfers=(),
        curve=(), slope=cell.slopes[seed], seconds=0.0,
    )  # fmt: skip


def method_of(each: Candidate) -> object:
    """A candidate as the evidence names it."""
    if each.scenario == "features":
        return fit.POSITIONS[each.layer], each.head
    return f"{each.scenario} {each.cut}".strip()


def tell(cell: fit.Cell, known: Parameters) -> Told:
    """What the adviser says of a cell under each seed, among what the cell has runs of, against what was found."""
    best = max(cell.right, key=cell.accuracy)
    advised, held, first_held, rows, run, n_run = [], [], [], [], [], []
    for seed in cell.probes:
        advice = predict(situation_of(cell, seed), known)
        ranked = [each for each in advice.candidates if method_of(each) in cell.right]
        to_run = [method for each in advice.run if (method := method_of(each)) in cell.right]
        n_run.append(len(advice.run))
        run.append(fit.found_accuracy(cell, fit.better(cell, to_run or [method_of(ranked[0])], seed), seed))
        inside = {}
        for each in ranked:
            method = method_of(each)
            if seed in cell.right[method] or not isinstance(method, str):
                inside[method] = each.low <= fit.found_accuracy(cell, method, seed) <= each.high
        first = method_of(ranked[0])
        held += list(inside.values())
        first_held += [inside[first]] if first in inside else []
        advised.append(first)
        rows.append(cell.right[first].get(seed, next(iter(cell.right[first].values()))))
    mean = float(np.mean([row.mean() for row in rows]))
    regret = cell.accuracy(best) - mean
    return Told(
        cell.dataset, cell.per_class, tuple(map(spoken, advised)), spoken(best), regret, good(rows, cell, best),
        cell.accuracy(best) - float(np.mean(run)), float(np.mean(n_run)), tuple(held), tuple(first_held),
    )  # fmt: skip


def good(rows: Sequence[np.ndarray], cell: fit.Cell, best: object) -> bool:
    """Within one point of the best on seed means, or not distinguishable from it (95 %, paired by image)."""
    other = np.stack(list(cell.right[best].values()))
    if other.mean() - np.mean(rows) <= 0.01:
        return True
    if all(np.array_equal(row, rows[0]) for row in rows) and len(other) == 1:
        rows = rows[:1]
    return paired_accuracy(other, np.stack(rows)).p > 0.05


def oracle(cells: Sequence[fit.Cell], draws: int) -> str:
    """Share as good as the best and mean regret of whoever knows the best, on test images drawn anew."""
    rng = np.random.default_rng(0)
    regrets, goods = [], []
    for cell in cells:
        chosen = max(cell.right, key=cell.accuracy)
        for _ in range(draws):
            rows = rng.integers(cell.n_test, size=cell.n_test)
            drawn = fit.redrawn(cell, rows)
            best = max(drawn.right, key=drawn.accuracy)
            regrets.append(drawn.accuracy(best) - drawn.accuracy(chosen))
            goods.append(good(list(drawn.right[chosen].values()), drawn, best))
    return f"{np.mean(goods):.1%} as good as the best, mean regret {100 * np.mean(regrets):.2f} points"


def spoken(method: object) -> str:
    """A method as a person says it."""
    return method if isinstance(method, str) else f"{fit.LAYERS[method[0]]} {method[1]}"  # type: ignore[index]


if __name__ == "__main__":
    main()
