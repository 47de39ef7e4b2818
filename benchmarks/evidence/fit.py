"""The adviser's few parameters out of the runs in this folder, and what it would have said of each cell.

A cell is a data set (with one label column) at one number of images a class. The probes of a cell are the
inner-fold accuracies of its own training images, 1,000 at most: what `headstart advise` measures.
"""

from __future__ import annotations

import base64
import csv
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from headstart.measure.intervals import less_one_error
from headstart.study.advice_model import (
    Z_90,
    Gain,
    Parameters,
    accuracies,
    deviation,
    layer_means,
    tenfolds,
)

HERE = Path(__file__).parent
POSITIONS = {"pool": 0, "stage7": 1, "stage6": 2, "stage5": 3, "stage4": 4}
LAYERS = {at: name for name, at in POSITIONS.items()}
MOST = 1000
LAYER_SPREADS = (0.01, 0.02, 0.03, 0.04, 0.06, 0.08)
HEAD_SPREADS = (0.001, 0.003, 0.01, 0.02, 0.03)
GRID = np.array([0.0, 0.02, 0.04, 0.06, 0.08, 0.1, 0.15, 0.2])
ROOTS = np.array([0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0])
USUAL_GAIN, USUAL_STRAY, ROUNDS = 0.02, 0.05, 20
"""Of methods that train: deviation of the gain's prior, that of one data set about it, and rounds of both."""
Place = tuple[int, str]


@dataclass(eq=False)
class Cell:
    """Runs of one data set at one size: `right[method][seed]` are bools over the test images."""

    dataset: str
    per_class: int
    n: int = 0
    n_classes: int = 0
    right: dict[object, dict[int, np.ndarray]] = field(default_factory=dict)
    chosen_by: dict[object, dict[int, float]] = field(default_factory=dict)
    probes: dict[int, dict[Place, float]] = field(default_factory=dict)
    measured: dict[int, int] = field(default_factory=dict)
    slopes: dict[int, float] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)

    @property
    def group(self) -> str:
        """The images, whatever the label column."""
        return self.dataset.split("-")[0]

    @property
    def n_test(self) -> int:
        return len(next(iter(next(iter(self.right.values())).values())))

    @property
    def images_a_class(self) -> float:
        return self.n / self.n_classes

    def accuracy(self, method: object, seed: int | None = None) -> float:
        """Of one seed, or the mean over the seeds."""
        runs = self.right[method]
        return float(np.mean([each.mean() for each in runs.values()] if seed is None else runs[seed].mean()))

    @property
    def places(self) -> list[Place]:
        return [method for method in self.right if isinstance(method, tuple)]


def read_cells() -> list[Cell]:
    """Every cell of the evidence that has its probes."""
    cells: dict[tuple[str, int], Cell] = {}
    for file in sorted(HERE.glob("*.csv")):
        if file.stem not in ("situations", "thousand", "features96"):  # the last: see sizes.py
            _add(file.name, cells)
    thousand: dict[tuple[str, int], Cell] = {}
    _add("thousand.csv", thousand)
    for cell in cells.values():
        _probe(cell, cells, thousand)
    return [cell for cell in cells.values() if cell.probes]


def redrawn(cell: Cell, rows: np.ndarray) -> Cell:
    """The cell as it would be on these of its test images."""
    right = {method: {seed: bits[rows] for seed, bits in runs.items()} for method, runs in cell.right.items()}
    return replace(cell, right=right)


def _rows(name: str) -> list[dict[str, str]]:
    file = HERE / name
    if not file.is_file():
        return []
    with file.open(encoding="utf-8", newline="") as opened:
        return list(csv.DictReader(opened))


def _add(name: str, cells: dict[tuple[str, int], Cell]) -> None:
    for row in _rows(name):
        key = (row["dataset"], int(row["per_class"]))
        cell = cells.setdefault(key, Cell(*key))
        features = row["scenario"] == "features"
        if features or not cell.n:  # what trains holds some of its images out, to choose the epoch by
            cell.n, cell.n_classes = int(row["n_train"]), int(row["n_classes"])
        method: object = (POSITIONS[row["layer"]], row["head"]) if features else _trained(row)
        bits = np.unpackbits(np.frombuffer(base64.b64decode(row["right"]), np.uint8))
        seed = int(row["seed"] or 0)
        cell.right.setdefault(method, {})[seed] = bits[: int(row["n_test"])].astype(bool)
        if row["selection"]:
            # what a study goes by (`headstart.study.summarise`)
            behind = int(row["n_validation"]) or int(row["n_train"])
            cell.chosen_by.setdefault(method, {})[seed] = less_one_error(float(row["selection"]), behind)
        if features and row["selection"]:
            cell.probes.setdefault(seed, {})[POSITIONS[row["layer"]], row["head"]] = float(row["selection"])
            cell.measured[seed] = cell.n
        elif not features:
            cell.sizes[str(method)] = int(row["height"])


def _trained(row: dict[str, str]) -> str:
    cut = f" {row['cut']}" if row["scenario"] == "finetune" else ""
    return f"{row['scenario']}{cut}"


def _probe(cell: Cell, cells: dict[tuple[str, int], Cell], thousand: dict[tuple[str, int], Cell]) -> None:
    """Give a cell of more than 1,000 images the probes of a run on 1,000, and each seed its slope."""
    own = [each for (name, _), each in {**cells, **thousand}.items() if name == cell.dataset]
    own += [each for (name, _), each in thousand.items() if name == cell.dataset]
    small = sorted({id(each): each for each in own if each.probes}.values(), key=lambda each: each.n)
    source = cell
    if cell.n > MOST or cell.per_class == 0:
        fitting = [each for each in small if each.n <= MOST and each is not cell]
        source = max(fitting, key=lambda each: each.n) if cell.n > MOST else cell
    if source is not cell:
        cell.probes, cell.measured = dict(source.probes), dict(source.measured)
    before = [each for each in small if each.n <= source.n / 1.4 and each.per_class]
    for seed in cell.probes:
        cell.slopes[seed] = 0.0
        if before and seed in before[-1].probes:
            rise = _mean(source.probes[seed]) - _mean(before[-1].probes[seed])
            cell.slopes[seed] = float(np.clip(rise / math.log2(source.n / before[-1].n), 0, 0.1))


def _mean(probes: dict[Place, float]) -> float:
    return float(np.mean(list(probes.values())))


# ---- fitting ------------------------------------------------------------------------------------------


def fit(cells: Sequence[Cell]) -> Parameters:
    """Every parameter from these cells."""
    layers, heads = _effects(cells)
    known = Parameters(layers, heads, 0.04, 0.01, (0.0, 0.0), (0.1, 0.0), (0.1, 0.0), 1.0)
    pairs = [(a, b) for a in LAYER_SPREADS for b in HEAD_SPREADS]
    best = min(pairs, key=lambda pair: _lost(cells, _with(known, layer_spread=pair[0], head_spread=pair[1])))
    known = _with(known, layer_spread=best[0], head_spread=best[1])
    known = _with(known, bias=_bias(cells, known))
    known = _with(known, spread=_spread(cells, known), relative=_relative_spread(cells, known))
    known = _with(known, stretch=_stretch(cells, known))
    known = _with(known, trained=_gains(cells, known))
    return _with(known, datasets=tuple(sorted({cell.dataset for cell in cells})))


def _with(known: Parameters, **changed: object) -> Parameters:
    return Parameters(**{**vars(known), **changed})  # type: ignore[arg-type]


def _effects(cells: Sequence[Cell]) -> tuple[dict[int, float], dict[str, float]]:
    """Mean effect of each layer and head over the cells, each data set's images counting the same."""
    found: dict[object, dict[str, list[float]]] = {}
    for cell in cells:
        seen = {place: cell.accuracy(place) for place in cell.places}
        middle = float(np.mean(list(seen.values())))
        for part in (0, 1):
            for name, mean in layer_means(seen, part).items():
                found.setdefault(name, {}).setdefault(cell.group, []).append(mean - middle)
    effects = {name: float(np.mean([np.mean(v) for v in each.values()])) for name, each in found.items()}
    layers = {name: effect for name, effect in effects.items() if isinstance(name, int)}
    return layers, {name: effect for name, effect in effects.items() if isinstance(name, str)}


def guesses(cell: Cell, known: Parameters) -> Iterable[tuple[int, int, dict[Place, float]]]:
    """(seed, images measured, predicted accuracy of each place) of each seed with probes."""
    for seed, probes in cell.probes.items():
        m = cell.measured[seed]
        yield seed, m, accuracies(probes, m, cell.n, cell.slopes[seed], known)


def _lost(cells: Sequence[Cell], known: Parameters) -> float:
    """Mean regret of the first guess."""
    return float(np.mean([features_regret(cell, known) for cell in cells]))


def features_regret(cell: Cell, known: Parameters) -> float:
    means = {place: cell.accuracy(place) for place in cell.places}
    best = max(means.values())
    return float(
        np.mean(
            [
                best - found_accuracy(cell, max(found, key=found.__getitem__), seed)
                for seed, _, found in guesses(cell, known)
            ]
        )
    )


def found_accuracy(cell: Cell, method: object, seed: int) -> float:
    """Accuracy of a method under a seed; of its only run where it has one."""
    runs = cell.right[method]
    return float(runs[seed if seed in runs else min(runs)].mean())


def better(cell: Cell, methods: Sequence[object], seed: int) -> object:
    """Which of these a study of them would choose: by validation images or inner folds, never by test images."""

    def chosen_by(method: object) -> float:
        known = cell.chosen_by.get(method, {})
        return known.get(seed, known[min(known)] if known else -1.0)

    return max(methods, key=chosen_by)


def _residuals(cells: Sequence[Cell], known: Parameters) -> list[tuple[float, float, int, int]]:
    """(seen - predicted, predicted, images measured, test images) of each place and seed."""
    found = []
    for cell in cells:
        for seed, m, predicted in guesses(cell, known):
            found += [
                (found_accuracy(cell, place, seed) - each, each, m, cell.n_test)
                for place, each in predicted.items()
            ]
    return found


def _bias(cells: Sequence[Cell], known: Parameters) -> tuple[float, float]:
    seen = _residuals(cells, known)
    x = np.array([[1.0, 1 / math.sqrt(m)] for _, _, m, _ in seen])
    y = np.array([each[0] for each in seen])
    fixed, root = np.linalg.lstsq(x, y, rcond=None)[0]
    return float(fixed), float(root)


def _spread(cells: Sequence[Cell], known: Parameters) -> tuple[float, float]:
    return _likeliest(_residuals(cells, known))


def _likeliest(seen: Sequence[tuple[float, float, int, int]]) -> tuple[float, float]:
    """The pair on the grid under which these residuals are likeliest."""

    def lost(pair: tuple[float, float]) -> float:
        each = np.array([max(deviation(p, m, n, pair), 1e-4) for _, p, m, n in seen])
        gone = np.array([row[0] for row in seen])
        return float((np.log(each) + np.square(gone / each) / 2).sum())

    return min(((float(a), float(b)) for a in GRID for b in ROOTS), key=lost)


def _relative_spread(cells: Sequence[Cell], known: Parameters) -> tuple[float, float]:
    seen = []
    for cell in cells:
        for seed, m, relative in guesses(cell, known):
            real = {place: found_accuracy(cell, place, seed) for place in relative}
            middle = float(np.mean(list(real.values())))
            first = max(relative, key=relative.__getitem__)
            seen += [
                (real[first] - real[place] - relative[first] + relative[place], middle, m, cell.n_test)
                for place in relative
                if place != first
            ]
    return _likeliest(seen)


def _stretch(cells: Sequence[Cell], known: Parameters) -> float:
    """What makes 90 % of the intervals hold, each data set counting the same."""
    ratios, weights = [], []
    for name in {cell.group for cell in cells}:
        own = _residuals([cell for cell in cells if cell.group == name], known)
        ratios += [abs(gone) / max(Z_90 * deviation(p, m, n, known.spread), 1e-6) for gone, p, m, n in own]
        weights += [1 / len(own)] * len(own)
    order = np.argsort(ratios)
    share = np.cumsum(np.array(weights)[order]) / sum(weights)
    return float(np.clip(np.array(ratios)[order][np.searchsorted(share, 0.9)], 0.5, 2.0))


def _gains(cells: Sequence[Cell], known: Parameters) -> dict[str, Gain]:
    """What training adds to the features that the adviser puts first, method by method.

    Each data set's images count the same, however many runs there are of them. A gain, and the rise with each tenfold
    of images, are drawn towards none, as what is seen of so few data sets is mostly their own: normal priors of
    deviation `USUAL_GAIN` against the spread that the runs have about the line (Lindley and Smith 1972). A loss is
    believed as it is: nobody is sent astray by it.
    """
    found = {}
    names = sorted({method for cell in cells for method in cell.right if isinstance(method, str)})
    for name in names:
        own = [cell for cell in cells if name in cell.right]
        pairs = [(cell, gain) for cell in own for gain in _gains_of(cell, name, known)]
        n_of = {
            group: sum(cell.group == group for cell, _ in pairs) for group in {cell.group for cell in own}
        }
        x = np.array([[1.0, tenfolds(cell.images_a_class)] for cell, _ in pairs])
        y = np.array([gain for _, gain in pairs])
        weights = np.array([1 / n_of[cell.group] for cell, _ in pairs])
        spread, line = USUAL_GAIN, np.zeros(2)
        for _ in range(ROUNDS):
            drawn = np.diag([float(weights @ y > 0), 1.0])
            square = x.T @ (weights[:, None] * x) + (spread / USUAL_GAIN) ** 2 * drawn
            line = np.linalg.solve(square, x.T @ (weights * y))
            left = np.square(y - x @ line)
            # as if one more data set had strayed as far as is usual
            spread = math.sqrt(float(weights @ left + USUAL_STRAY**2) / (len(n_of) + 1))
        size = max(cell.sizes[name] for cell in own)
        found[name] = Gain(float(line[0]), float(line[1]), spread, len(pairs), size if size != 224 else 0)
    return found


def _gains_of(cell: Cell, name: str, known: Parameters) -> list[float]:
    """Of each seed that the method has; of the first where it has none of the features' seeds."""
    firsts = {seed: max(relative, key=relative.__getitem__) for seed, _, relative in guesses(cell, known)}
    seeds = [seed for seed in firsts if seed in cell.right[name]] or [next(iter(firsts))]
    return [found_accuracy(cell, name, seed) - found_accuracy(cell, firsts[seed], seed) for seed in seeds]


def write(known: Parameters, file: Path) -> None:
    """The parameters as the package reads them, four digits each."""

    def short(value: object) -> object:
        if isinstance(value, float):
            return float(f"{value:.4g}")
        if isinstance(value, dict):
            return {str(name): short(each) for name, each in value.items()}
        if isinstance(value, list | tuple):
            return [short(each) for each in value]
        return {k: short(v) for k, v in vars(value).items()} if isinstance(value, Gain) else value

    file.write_text(json.dumps(short(dict(vars(known))), indent=1) + "\n", encoding="utf-8")
