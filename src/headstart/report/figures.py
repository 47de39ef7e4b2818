"""Every drawing of a study's report, as SVG text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from headstart.report.figure_style import (
    BEST_LABEL,
    COLOURS,
    INK,
    LINES,
    MARKERS,
    PAPER,
    Mark,
    by_series,
    drawable,
    drawn,
    errorbar,
    legend,
    percent_axis,
)

ACCURACY = "test accuracy, %"


def accuracy_against_cost(
    marks: Sequence[Mark],
    frontier: Sequence[int],
    best: int | None,
    cost: str = "seconds",
    *,
    from_zero: bool = True,
) -> str:
    """Accuracy (with 95 % intervals) against a cost; `frontier` are the positions of marks that none beats.

    Parameters
    ----------
    marks : sequence of Mark
        `x` is the cost.
    frontier : sequence of int
        Positions in `marks`, by growing cost; numbered 1, 2, ... in the drawing.
    best : int, optional
        Position of the best by validation: it gets a ring.
    cost : str
        What the axis is called.
    from_zero : bool
        Whether an even axis begins at zero.

    Returns
    -------
    str
        SVG text.
    """

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        for number, (series, group) in enumerate(by_series(marks).items()):
            errorbar(axes, group, number, series, joined=False)
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
        else:
            axes.ticklabel_format(axis="x", style="plain", useOffset=False)
            if from_zero:
                axes.set_xlim(0.0, 1.07 * max((mark.x for mark in marks), default=1.0))
        axes.set_xlabel(cost)
        percent_axis(axes, "test accuracy, %")
        legend(figure, axes)

    return drawn(draw, 5.2, 3.9)


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
        groups = by_series(marks)
        for number, (series, group) in enumerate(groups.items()):
            shift = (number - (len(groups) - 1) / 2) * min(0.09, 0.6 / max(1, len(groups)))
            moved = [Mark(mark.series, mark.x + shift, mark.value, mark.low, mark.high) for mark in group]
            errorbar(axes, sorted(moved, key=lambda mark: mark.x), number, series, joined=True)
        crowded = len(steps) > 7 or max(map(len, steps), default=0) > 9
        axes.set_xticks(
            range(len(steps)),
            [drawable(name) for name in steps],
            rotation=35 if crowded else 0,
            ha="right" if crowded else "center",
        )
        axes.set_xlabel(label)
        axes.set_ylim(100 * span[0] - 2, 100 * span[1] + 2)
        percent_axis(axes, of)
        legend(figure, axes)

    return drawn(draw, 5.2, 3.7)


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
        for number, (series, group) in enumerate(by_series(marks).items()):
            band = fitted.get(series)
            shift = 1.02 ** (number - len(fitted) / 2)
            moved = [Mark(mark.series, mark.x * shift, mark.value, mark.low, mark.high) for mark in group]
            errorbar(axes, sorted(moved, key=lambda mark: mark.x), number, series, joined=band is None)
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
        percent_axis(axes, ACCURACY)
        legend(figure, axes)

    return drawn(draw, 6.4, 4.2)


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
        legend(figure, right)

    return drawn(draw, 5.6, 2.9)


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
        legend(figure, top)

    return drawn(draw, 5.2, 4.4)


def said_against_true(true: Sequence[float], said: Sequence[float], name: str) -> str:
    """Answers against true numbers, one dot an image, with the line on which they are equal."""

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        ends = (min(*true, *said), max(*true, *said))
        axes.plot(ends, ends, color=INK, lw=1, ls="--", label="answer = truth")
        axes.plot(true, said, "o", ms=3.5, color=COLOURS[0], mfc="none", mew=0.9, label="test image")
        axes.set_xlabel(drawable(f"{name}, true"))
        axes.set_ylabel(drawable(f"{name}, said"))
        legend(figure, axes)

    return drawn(draw, 5.2, 4.4)


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
        legend(figure, axes)

    return drawn(draw, 5.2, 3.4)
