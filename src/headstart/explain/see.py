"""Images through one network: what it says, its maps for every output, and how far each map may be believed."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from headstart.base.errors import BadImage, DataError
from headstart.base.events import warn
from headstart.explain.cam import CAMS, Maps
from headstart.explain.checked import Sanity, known_mean, told
from headstart.explain.faithful import DRAWS, FRACTIONS, Faithful, faithfulness, sanity
from headstart.explain.gradients import MOST_GAP, STEPS, WINDOWS, explain
from headstart.explain.target import Output, Target
from headstart.images.collect import told as told_problems
from headstart.images.decode import ImageItem
from headstart.images.prepare import prepare
from headstart.images.table import Problem

OPTIONS = {"integrated_gradients": "steps", "occlusion": "windows"}


@dataclass(frozen=True, eq=False)
class View:
    """One output of the model for all images.

    Attributes
    ----------
    output : Output
    probabilities : ndarray of float32, shape (n, k)
    classes : ndarray of int64, shape (n,)
        The class that is explained of each image.
    maps : dict of str to Maps
        By method.
    sanity : dict of str to Sanity
        Empty where nothing was checked.
    faithful : dict of str to Faithful
    """

    output: Output
    probabilities: np.ndarray
    classes: np.ndarray
    maps: dict[str, Maps]
    sanity: dict[str, Sanity]
    faithful: dict[str, Faithful]

    def name(self, at: int) -> str:
        """The class that is explained of image `at`."""
        return self.output.classes[int(self.classes[at])]

    def randomised(self, method: str, at: int) -> str:
        """The correlation of a map with those of random weights, in words where it cannot be told."""
        return told(known_mean(self.sanity[method].correlations[:, at]), self.maps[method].coarse[at])

    def probability(self, at: int) -> float:
        """Its probability."""
        return float(self.probabilities[at, int(self.classes[at])])


@dataclass(frozen=True, eq=False)
class Seen:
    """What `see` found.

    Attributes
    ----------
    target : Target
    paths : tuple of str
        Of the images that could be read.
    pixels : ndarray of uint8, shape (n, height, width, 3)
        As the network sees them.
    views : tuple of View
        One an output.
    problems : tuple of Problem
        Images that could not be read.
    seconds : float
    """

    target: Target
    paths: tuple[str, ...]
    pixels: np.ndarray
    views: tuple[View, ...]
    problems: tuple[Problem, ...]
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """As a JSON-like value (docs/json.md)."""
        how = self.target.preprocessing
        return {
            "model": self.target.name, "height": how.height, "width": how.width,
            "images": [self._image(at, path) for at, path in enumerate(self.paths)],
            "methods": [_method(view, name) for view in self.views for name in view.maps],
            "unreadable": [{"path": each.path, "reason": each.reason} for each in self.problems],
            "seconds": self.seconds,
        }  # fmt: skip

    def _image(self, at: int, path: str) -> dict[str, Any]:
        outputs = {
            view.output.name: {
                "class": view.name(at), "number": int(view.classes[at]), "probability": view.probability(at),
                "maps": {name: _map(view, name, at) for name in view.maps},
            }
            for view in self.views
        }  # fmt: skip
        return {"path": path, "outputs": outputs}


def counterpart(views: Sequence[View], output: str) -> View | None:
    """Of another model's views the one of an output: by its name, or the only one (a backbone's classes)."""
    same = next((each for each in views if each.output.name == output), None)
    return views[0] if same is None and len(views) == 1 else same


def peak(values: np.ndarray) -> tuple[float, float] | None:
    """Row and column of the largest value, 0 .. 1 of height and width; None for a map of zeros."""
    if values.max() <= 0:
        return None
    row, column = np.unravel_index(values.argmax(), values.shape)
    return (float(row) + 0.5) / values.shape[0], (float(column) + 0.5) / values.shape[1]


def spread(values: np.ndarray) -> float:
    """Least share of the image that holds half of the map's mass; NaN for a map of zeros."""
    total = float(values.sum())
    if total <= 0:
        return float("nan")
    mass = np.cumsum(np.sort(values.ravel())[::-1].astype(np.float64))
    return float((np.searchsorted(mass, total / 2) + 1) / values.size)


def _map(view: View, name: str, at: int) -> dict[str, Any]:
    maps = view.maps[name]
    facts: dict[str, Any] = {"peak": peak(maps.values[at]), "half_of_mass": spread(maps.values[at])}
    if maps.gap is not None:
        facts["gap"] = float(maps.gap[at])
    if name in view.sanity:
        facts["randomised"] = _or_none(known_mean(view.sanity[name].correlations[:, at]))
    if name in view.faithful:
        facts |= {kind: float(each[at]) for kind, each in view.faithful[name].scores().items()}
    return facts


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else value


def _method(view: View, name: str) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "output": view.output.name,
        "method": name,
        "layer": view.maps[name].layer or None,
    }
    if (gap := view.maps[name].gap) is not None:
        facts["gap"] = float(gap.max())
    if name in view.sanity:
        found = view.sanity[name]
        facts |= {
            "randomised": _or_none(found.mean),
            "size": _or_none(found.size),
            "passed": found.passed,
            "other_image": _or_none(found.other),
            "verdict": found.verdict,
        }
    if name in view.faithful:
        facts |= {kind: float(each.mean()) for kind, each in view.faithful[name].scores().items()}
    return facts


def see(
    target: Target,
    items: Sequence[ImageItem],
    paths: Sequence[str],
    *,
    methods: Sequence[str] = ("gradcam",),
    layer: str | None = None,
    output: str | None = None,
    wanted: str | int | Mapping[str, str | int] | None = None,
    check: bool = True,
    on_bad: str = "skip",
    draws: int = DRAWS,
    fractions: int = FRACTIONS,
    steps: int = STEPS,
    windows: int = WINDOWS,
    seed: int = 0,
) -> Seen:
    """Explain images.

    Parameters
    ----------
    target : Target
    items, paths : sequence
        The images, and what they are called.
    methods : sequence of str
        Of `headstart.explain.gradients.METHODS`.
    layer : str, optional
        For class-activation maps.
    output : str, optional
        One output of the model; every one by default.
    wanted : str, int or mapping, optional
        The class that is explained, by output where it is a mapping; the most probable of each image by default.
    check : bool
        Compare with random weights, and measure deletion and insertion.
    on_bad : {"skip", "fail"}
        Leave images out that cannot be read, or stop.
    draws, fractions, steps, windows, seed
        See `sanity`, `faithfulness`, `explain`.

    Raises
    ------
    DataError
        No image can be read; or `on_bad` is "fail" and one cannot.
    UnknownName, BadOptions, BackboneError, MissingPackage
    """
    start = time.perf_counter()
    outputs = target.outputs if output is None else (target.output(output),)
    for each in outputs if set(methods) & set(CAMS) else ():
        target.check_stride(each.name)
    rows, pixels, problems = read_pixels(target, items, paths)
    if problems and on_bad == "fail":
        raise DataError(f"{told_problems(problems)}; mend or remove them, or use --on-bad skip")
    own = {"integrated_gradients": {"steps": steps}, "occlusion": {"windows": windows}}
    views = []
    for each in outputs:
        probabilities = target.probabilities(pixels, each.name)
        one = wanted.get(each.name) if isinstance(wanted, Mapping) else wanted
        number = None if one is None else each.number(one)
        classes = probabilities.argmax(1) if number is None else np.full(len(pixels), number)
        view = View(each, probabilities, classes.astype(np.int64), {}, {}, {})
        for method in methods:
            given = own.get(method, {})
            place = layer if method not in own else None
            maps = explain(
                target, pixels, view.classes.tolist(), method=method, layer=place, output=each.name, **given
            )
            view.maps[method] = maps
            _warn_of_gaps(maps)
            if check:
                view.sanity[method] = sanity(target, pixels, maps, draws=draws, seed=seed, **given)
                view.faithful[method] = faithfulness(target, pixels, maps, steps=fractions, seed=seed)
        views.append(view)
    good = tuple(paths[row] for row in rows)
    return Seen(target, good, pixels, tuple(views), problems, time.perf_counter() - start)


def _warn_of_gaps(maps: Maps) -> None:
    if maps.gap is not None and (n := int((maps.gap > MOST_GAP).sum())):
        most = gap_text(float(maps.gap.max()))
        warn(
            f"{maps.method}: the maps of {n} of {len(maps.gap)} images miss more than {100 * MOST_GAP:.0f} % of the "
            f"difference of scores that they should add up to (at most {most}); give more --steps"
        )


def gap_text(gap: float) -> str:
    """A gap of integrated gradients as a percentage; of a score that hardly differs it has no bound."""
    return f"{100 * gap:.0f} %" if gap < 10 else "over 1,000 %"


def read_pixels(
    target: Target, items: Sequence[ImageItem], paths: Sequence[str]
) -> tuple[list[int], np.ndarray, tuple[Problem, ...]]:
    """Numbers of the images that can be read, their pixels as the network sees them, and why others cannot.

    Raises
    ------
    DataError
        None can.
    """
    good: list[int] = []
    pixels, problems = [], []
    for number, (item, path) in enumerate(zip(items, paths, strict=True)):
        try:
            pixels.append(prepare(item, target.preprocessing))
            good.append(number)
        except BadImage as error:
            problems.append(Problem(path, error.reason))
    if not good:
        first = f": {problems[0].path}: {problems[0].reason}" if problems else ""
        raise DataError(f"none of {len(items)} images can be read{first}")
    return good, np.stack(pixels), tuple(problems)
