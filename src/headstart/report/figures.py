"""Every drawing of the report, as SVG text; the only home of matplotlib.

One style: marker, line and shade all tell the series apart (readable in black and white and by the
colour-blind; colours after Okabe and Ito 2008, "Color Universal Design"), text as outlines, and ink and
paper that follow the light or dark scheme of the page.
"""

from __future__ import annotations

import io
import math
import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

INK, GRID, PAPER = "#1b1d21", "#d4d6da", "#fefefd"
DARK = {INK: "#e4e5e7", GRID: "#3c4046", PAPER: "#17191c"}
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8a6d00", "#56b4e9", "#7a5195", "#6b6f76")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
LINES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)), (0, (7, 2, 2, 2)))
STYLE = {
    "svg.hashsalt": "headstart",
    "svg.fonttype": "path",
    "text.parse_math": False,
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.facecolor": "none",
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.5,
    "lines.markersize": 6,
}
BEST_LABEL = "best by validation"
_one_at_a_time = threading.Lock()


ACCURACY = "test accuracy, %"


@dataclass(frozen=True)
class Mark:
    """One method in a plot: value and interval in 0..1, `x` in the unit of the axis, `series` its name."""

    series: str
    x: float
    value: float
    low: float
    high: float


def accuracy_against_seconds(marks: Sequence[Mark], frontier: Sequence[int], best: int | None) -> str:
    """Accuracy (with 95 % intervals) against seconds; `frontier` are the positions of marks that none beats.

    Parameters
    ----------
    marks : sequence of Mark
        `x` in seconds.
    frontier : sequence of int
        Positions in `marks`, by growing seconds; numbered 1, 2, ... in the drawing.
    best : int, optional
        Position of the best by validation: it gets a ring.

    Returns
    -------
    str
        SVG text.
    """

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        for number, (series, group) in enumerate(_by_series(marks).items()):
            _errorbar(axes, group, number, series, joined=False)
        steps = [marks[at] for at in frontier]
        axes.step(
            [mark.x for mark in steps],
            [100 * mark.value for mark in steps],
            where="post",
            color=INK,
            lw=1,
            zorder=1,
        )
        for number, mark in enumerate(steps, start=1):
            axes.annotate(
                str(number),
                (mark.x, 100 * mark.value),
                xytext=(-5, 5),
                textcoords="offset points",
                ha="right",
                weight="bold",
            )
        if best is not None:
            axes.plot(
                marks[best].x,
                100 * marks[best].value,
                "o",
                ms=13,
                mfc="none",
                mec=INK,
                mew=1.3,
                label=BEST_LABEL,
            )
        if len(steps) and max(mark.x for mark in marks) > 10 * max(1e-9, min(mark.x for mark in marks)):
            axes.set_xscale("log")
            axes.xaxis.get_major_locator().set_params(subs=(1, 2, 5))
            axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
            axes.xaxis.minorticks_off()
        axes.set_xlabel("seconds")
        _percent_axis(axes, "test accuracy, %")
        _legend(figure, axes)

    return _drawn(draw, 5.2, 3.9)


def accuracy_by_layer(layers: Sequence[str], marks: Sequence[Mark], span: tuple[float, float]) -> str:
    """`accuracy_by_step` over layers, shallow to deep."""
    return accuracy_by_step(layers, marks, span, "layer, shallow to deep")


def accuracy_by_step(
    steps: Sequence[str], marks: Sequence[Mark], span: tuple[float, float], label: str, of: str = ACCURACY
) -> str:
    """Accuracy with 95 % intervals over the layers or the input sizes of one backbone, one line a series.

    Parameters
    ----------
    steps : sequence of str
        Names in order of depth or of size.
    marks : sequence of Mark
        `x` is the position of the mark in `steps`.
    span : tuple of float
        Least and greatest accuracy on the axis, 0..1.
    label : str
        What the steps are.
    of : str
        What the other axis is.
    """

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        groups = _by_series(marks)
        for number, (series, group) in enumerate(groups.items()):
            shift = (number - (len(groups) - 1) / 2) * min(0.09, 0.6 / max(1, len(groups)))
            moved = [Mark(mark.series, mark.x + shift, mark.value, mark.low, mark.high) for mark in group]
            _errorbar(axes, sorted(moved, key=lambda mark: mark.x), number, series, joined=True)
        crowded = len(steps) > 7 or max(map(len, steps), default=0) > 9
        axes.set_xticks(
            range(len(steps)),
            [_drawable(name) for name in steps],
            rotation=35 if crowded else 0,
            ha="right" if crowded else "center",
        )
        axes.set_xlabel(label)
        axes.set_ylim(100 * span[0] - 2, 100 * span[1] + 2)
        _percent_axis(axes, of)
        _legend(figure, axes)

    return _drawn(draw, 5.2, 3.7)


@dataclass(frozen=True)
class Band:
    """A fitted line with its band: x rising, values in 0..1."""

    series: str
    x: tuple[float, ...]
    value: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


def accuracy_against_images(marks: Sequence[Mark], bands: Sequence[Band]) -> str:
    """Measured points with intervals and fitted laws over images a class, on a logarithmic axis."""

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        fitted = {band.series: band for band in bands}
        ends = sorted({mark.x for mark in marks})
        for number, (series, group) in enumerate(_by_series(marks).items()):
            band = fitted.get(series)
            shift = 1.02 ** (number - len(fitted) / 2)
            moved = [Mark(mark.series, mark.x * shift, mark.value, mark.low, mark.high) for mark in group]
            _errorbar(axes, sorted(moved, key=lambda mark: mark.x), number, series, joined=band is None)
            if band is not None:
                colour = COLOURS[number % len(COLOURS)]
                values = [100 * value for value in band.value]
                axes.plot(band.x, values, color=colour, linestyle=LINES[number % len(LINES)], lw=1.3)
                lower, upper = ([100 * value for value in each] for each in (band.low, band.high))
                axes.fill_between(band.x, lower, upper, color=colour, alpha=0.12, lw=0)
        axes.set_xscale("log")
        axes.set_xticks(ends, [f"{end:,.0f}" for end in ends])
        axes.minorticks_off()
        axes.set_xlabel("training images a class")
        low, high = min(mark.low for mark in marks), max(mark.high for mark in marks)
        axes.set_ylim(max(0.0, 100 * low - 2), min(100.0, 100 * high + 2))
        _percent_axis(axes, ACCURACY)
        _legend(figure, axes)

    return _drawn(draw, 6.4, 4.2)


@dataclass(frozen=True)
class Curve:
    """The training of one network: by epoch the loss and the accuracy (0..1), of train and of validation.

    `held_loss` and `held_accuracy` are empty where there were no validation images; `kept` is the epoch whose
    weights were kept, `start` the validation accuracy that training started from.
    """

    loss: tuple[float, ...]
    accuracy: tuple[float, ...]
    held_loss: tuple[float, ...]
    held_accuracy: tuple[float, ...]
    kept: int
    start: float | None = None


def training_curves(curve: Curve, loss: tuple[float, float], accuracy: tuple[float, float]) -> str:
    """Loss beside accuracy of one run, train and validation.

    Parameters
    ----------
    curve : Curve
    loss, accuracy : tuple of float
        Ends of the two axes (accuracy in 0..1), the same for all runs of a dataset.
    """

    def draw(figure: Any) -> None:
        left, right = figure.subplots(1, 2)
        epochs = range(1, len(curve.loss) + 1)
        pairs = ((left, curve.loss, curve.held_loss, 1), (right, curve.accuracy, curve.held_accuracy, 100))
        for axes, train, held, scale in pairs:
            parts = ((train, "train", 0), (held, "validation", 1))
            for values, name, number in parts:
                if values:
                    axes.plot(
                        epochs,
                        [scale * value for value in values],
                        marker=MARKERS[number],
                        ms=4,
                        linestyle=LINES[number],
                        color=COLOURS[number],
                        mfc=PAPER if number else COLOURS[number],
                        label=name,
                    )
            axes.axvline(curve.kept, color=INK, lw=0.9, ls=":", label="epoch kept")
            axes.set_xlabel("epoch")
            axes.xaxis.get_major_locator().set_params(integer=True)
        if curve.start is not None:
            right.axhline(
                100 * curve.start, color=COLOURS[2], lw=1, ls="-.", label="linear head at the start"
            )
        left.set_ylabel("loss")
        right.set_ylabel("accuracy, %")
        left.set_ylim(loss)
        right.set_ylim(100 * accuracy[0], 100 * accuracy[1])
        _legend(figure, right)

    return _drawn(draw, 5.6, 2.9)


def reliability(confidence: Sequence[float], correct: Sequence[float], n: Sequence[int]) -> str:
    """Share of right answers against stated probability, bin by bin, with the number of images below.

    Parameters
    ----------
    confidence, correct : sequence of float, 0..1
        Mean probability and share of right answers of each bin (NaN where it is empty).
    n : sequence of int
        Images in each of the equal-width bins of 0..1.
    """

    def draw(figure: Any) -> None:
        top, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        filled = [at for at, images in enumerate(n) if images]
        top.plot([0, 100], [0, 100], color=INK, lw=1, ls="--", label="honest probabilities")
        top.plot(
            [100 * confidence[at] for at in filled],
            [100 * correct[at] for at in filled],
            "o-",
            color=COLOURS[0],
            label="this model",
        )
        for axis in (top, below):
            axis.set_xlim(0, 101.5)
        top.set_ylim(0, 103)
        top.set_ylabel("share right, %")
        width = 100 / len(n)
        below.bar(
            [(at + 0.5) * width for at in range(len(n))],
            n,
            width=0.9 * width,
            facecolor=PAPER,
            edgecolor=COLOURS[0],
            hatch="////",
        )
        below.set_ylabel("images")
        below.set_xlabel("probability of the answer, %")
        below.yaxis.get_major_locator().set_params(integer=True, nbins=3)
        _legend(figure, top)

    return _drawn(draw, 5.2, 4.4)


def score_by_number(
    numbers: Sequence[int], values: Sequence[float], errors: Sequence[float], chosen: int, label: str
) -> str:
    """A score with one standard error over numbers of clusters; the chosen one gets a ring."""

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        axes.errorbar(numbers, values, yerr=errors, fmt="o-", color=COLOURS[0], elinewidth=0.8, capsize=2)
        at = list(numbers).index(chosen)
        axes.plot(chosen, values[at], "o", ms=13, mfc="none", mec=INK, mew=1.3, label=f"chosen: {chosen}")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.set_xlabel("clusters")
        axes.set_ylabel(label)
        _legend(figure, axes)

    return _drawn(draw, 5.2, 3.4)


def _by_series(marks: Sequence[Mark]) -> dict[str, list[Mark]]:
    groups: dict[str, list[Mark]] = {}
    for mark in marks:
        groups.setdefault(mark.series, []).append(mark)
    return groups


def _errorbar(axes: Any, group: Sequence[Mark], number: int, series: str, *, joined: bool) -> None:
    colour = COLOURS[number % len(COLOURS)]
    below = [100 * max(0.0, mark.value - mark.low) if math.isfinite(mark.low) else 0.0 for mark in group]
    above = [100 * max(0.0, mark.high - mark.value) if math.isfinite(mark.high) else 0.0 for mark in group]
    axes.errorbar(
        [mark.x for mark in group],
        [100 * mark.value for mark in group],
        yerr=[below, above],
        fmt=MARKERS[number % len(MARKERS)],
        linestyle=LINES[number % len(LINES)] if joined else "none",
        color=colour,
        mfc=PAPER if number % 2 else colour,
        elinewidth=0.8,
        capsize=2,
        label=_drawable(series),
    )


def _percent_axis(axes: Any, label: str) -> None:
    axes.set_ylabel(label)
    low, high = axes.get_ylim()
    axes.set_ylim(max(0.0, low), min(101.5, high))


def _legend(figure: Any, axes: Any) -> None:
    handles, labels = axes.get_legend_handles_labels()
    order = sorted(range(len(labels)), key=lambda at: labels[at] == BEST_LABEL)
    handles, labels = [handles[at] for at in order], [labels[at] for at in order]
    columns = (
        1 if max(map(len, labels), default=0) > 24 else 2 if max(map(len, labels), default=0) > 13 else 3
    )
    figure.legend(handles, labels, loc="outside upper left", ncols=columns, handlelength=2.6)


def _drawn(draw: Callable[[Any], None], width: float, height: float) -> str:
    """Draw on a fresh figure (inches) and give it as SVG text that follows the scheme of the page."""
    import matplotlib
    from matplotlib.figure import Figure

    with _one_at_a_time, matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        figure.patch.set_alpha(0)
        draw(figure)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return _follow_scheme(buffer.getvalue())


def _follow_scheme(svg: str) -> str:
    """Turn ink, grid and paper into variables that a dark page changes; leave the drawing alone otherwise."""
    names = {INK: "ink", GRID: "grid", PAPER: "paper"} | {hue: f"hue{at}" for at, hue in enumerate(COLOURS)}
    for colour, name in names.items():
        svg = svg.replace(colour, f"var(--{name})")
    light = ";".join(f"--{name}:{colour}" for colour, name in names.items())
    dark = ";".join(f"--{name}:{DARK.get(colour) or _lighter(colour)}" for colour, name in names.items())
    rules = f"<style>:root{{{light}}}@media (prefers-color-scheme:dark){{:root{{{dark}}}}}</style>"
    svg = re.sub(r"<\?xml.*?\?>|<!DOCTYPE.*?>|<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    return re.sub(r"(<svg\b[^>]*>)", lambda found: found[1] + rules, svg.strip(), count=1)


def _lighter(colour: str, share: float = 0.35) -> str:
    """A colour (#rrggbb) mixed with white."""
    parts = [int(colour[at : at + 2], 16) for at in (1, 3, 5)]
    return "#" + "".join(f"{round(part + share * (255 - part)):02x}" for part in parts)


def _drawable(text: str) -> str:
    """The text with a box for every character that the font lacks, shortened to 40 characters."""
    from matplotlib.font_manager import findfont, get_font

    known = get_font(findfont("DejaVu Sans")).get_charmap()
    shown = "".join(letter if ord(letter) in known else "□" for letter in text)
    return shown if len(shown) <= 40 else shown[:39] + "…"
