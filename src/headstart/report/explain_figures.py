"""Pictures of what a network sees: heat on an image, filters, feature maps, loss surfaces, walks of optimisers."""

from __future__ import annotations

import base64
import io
import math
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.report.figure_style import COLOURS, INK, LINES, PAPER, drawn, legend, log_norm

if TYPE_CHECKING:
    from headstart.explain.faithful import Faithful
    from headstart.explain.filters import Convolution
    from headstart.explain.landscape import Landscape, Sheet, Starts
    from headstart.explain.optimisers import Race
    from headstart.explain.similarity import Change

HEAT = np.array([
    (0, 0, 4), (40, 11, 84), (101, 21, 110), (159, 42, 99), (212, 72, 66), (245, 125, 21), (250, 193, 39), (252, 255, 164),
], np.float32)  # fmt: skip
"""The scale "inferno" of matplotlib: brightness grows evenly, so it reads in black and white."""
DIVERGING = np.array([(33, 102, 172), (247, 247, 247), (178, 24, 43)], np.float32)
SECONDS = 8
START, END = "start", "end"
DOT = 0.05
"""A path of a smaller share of its plane is shown enlarged."""


def coloured(values: np.ndarray, scale: np.ndarray = HEAT) -> np.ndarray:
    """Values 0..1 of any shape as colours, uint8 (..., 3)."""
    at = np.clip(np.nan_to_num(values), 0, 1) * (len(scale) - 1)
    low = np.minimum(at.astype(int), len(scale) - 2)
    part = (at - low)[..., None]
    out: np.ndarray = np.round(scale[low] * (1 - part) + scale[low + 1] * part).astype(np.uint8)
    return out


def overlay(image: np.ndarray, values: np.ndarray) -> np.ndarray:
    """A map (0..1) as heat on an image in grey, uint8 (height, width, 3)."""
    grey = np.repeat(image.mean(2, keepdims=True), 3, axis=2)
    strength = (0.25 + 0.5 * np.clip(values, 0, 1))[..., None]
    out: np.ndarray = np.round((1 - strength) * grey + strength * coloured(values)).astype(np.uint8)
    return out


def shown_range(values: np.ndarray) -> np.ndarray:
    """Values scaled so that the least is 0 and the largest 1 (a flat array is 0.5)."""
    low, high = float(values.min()), float(values.max())
    return (values - low) / (high - low) if high > low else np.full(values.shape, 0.5, np.float32)


def filter_picture(kernel: np.ndarray) -> np.ndarray:
    """A kernel (height, width, 3) as colours: grey is 0, uint8."""
    top = max(float(np.abs(kernel).max()), 1e-12)
    return np.round(127.5 + 127.5 * kernel / top).astype(np.uint8)


def signed_picture(values: np.ndarray) -> np.ndarray:
    """Values (height, width) in blue (negative), white (0) and red, uint8."""
    top = max(float(np.abs(values).max()), 1e-12)
    return coloured(0.5 + values / (2 * top), DIVERGING)


def blown_up(pixels: np.ndarray, side: int) -> np.ndarray:
    """Small pictures with whole pixels, the longer side about `side`."""
    factor = max(1, round(side / max(pixels.shape[:2])))
    return np.repeat(np.repeat(pixels, factor, 0), factor, 1)


def sheet(pictures: list[np.ndarray], columns: int, gap: int = 2) -> np.ndarray:
    """Pictures of one size on white, row by row."""
    high, wide = pictures[0].shape[:2]
    rows = math.ceil(len(pictures) / columns)
    out = np.full((rows * (high + gap) + gap, columns * (wide + gap) + gap, 3), 255, np.uint8)
    for at, picture in enumerate(pictures):
        top, left = gap + at // columns * (high + gap), gap + at % columns * (wide + gap)
        out[top : top + high, left : left + wide] = picture
    return out


def picture_svg(pixels: np.ndarray) -> str:
    """Pixels as an SVG that shows them at the full width of the page."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", optimize=True)
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    high, wide = pixels.shape[:2]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{wide}" height="{high}" viewBox="0 0 {wide} {high}">'
        f'<image width="{wide}" height="{high}" href="data:image/png;base64,{data}"/></svg>'
    )


def framed(image: np.ndarray, window: tuple[int, int, int, int]) -> np.ndarray:
    """The image with a frame around (top, left, height, width), as far as it lies inside."""
    out = image.copy()
    top, left = max(0, window[0] - 2), max(0, window[1] - 2)
    bottom, right = window[0] + window[2] + 2, window[1] + window[3] + 2
    for colour, inset in (((0, 0, 0), 0), ((255, 230, 0), 1)):
        y, x = slice(top + inset, bottom - inset), slice(left + inset, right - inset)
        out[y, left + inset : left + inset + 1] = colour
        out[y, right - inset - 1 : right - inset] = colour
        out[top + inset : top + inset + 1, x] = colour
        out[bottom - inset - 1 : bottom - inset, x] = colour
    return out


def convolution_sum(found: Convolution) -> str:
    """The sum at one place: patch, kernel and product of each colour, as numbers in coloured squares."""
    columns = ("input there", "kernel", "product")

    def draw(figure: Any) -> None:
        grid = figure.subplots(3, 3)
        for row, colour in enumerate(("red", "green", "blue")):
            for column, values in enumerate((found.patch, found.kernel, found.product)):
                axes, part = grid[row][column], values[:, :, row]
                top = max(float(np.abs(values).max()), 1e-12)
                axes.imshow(part, cmap="RdBu_r", vmin=-top, vmax=top)
                axes.grid(visible=False)
                axes.set_xticks([])
                axes.set_yticks([])
                if row == 0:
                    axes.set_title(columns[column])
                if column == 0:
                    axes.set_ylabel(colour)
                if part.size <= 25:
                    for (y, x), value in np.ndenumerate(part):
                        dark = abs(value) > 0.6 * top
                        axes.text(
                            x, y, f"{value:.2f}", ha="center", va="center", fontsize=6.5,
                            color="#ffffff" if dark else "#111111",
                        )  # fmt: skip

    return drawn(draw, 5.2, 5.0)


def faithfulness_curves(found: Faithful, at: int) -> str:
    """Deletion and insertion of one image, with a random order for comparison."""

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        lines = (
            (found.deletion, "deletion", 0, 1.6), (found.insertion, "insertion", 1, 1.6),
            (found.chance_deletion, "deletion, random", 2, 0.9), (found.chance_insertion, "insertion, random", 3, 0.9),
        )  # fmt: skip
        for values, name, number, width in lines:
            axes.plot(
                100 * found.share,
                100 * values[at],
                label=name,
                lw=width,
                ls=LINES[number],
                color=COLOURS[number],
            )
        axes.set_xlabel("share of the image, %")
        axes.set_ylabel("probability of the class, %")
        axes.set_ylim(-2, 102)
        legend(figure, axes)

    return drawn(draw, 5.2, 3.2)


def change_matrix(found: Change, first: str, second: str) -> str:
    """CKA of layers against layers, as a grid of numbers."""

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        axes.imshow(found.cka, cmap="viridis", vmin=0, vmax=1)
        axes.grid(visible=False)
        axes.set_xticks(range(len(found.columns)), found.columns, rotation=35, ha="right")
        axes.set_yticks(range(len(found.rows)), found.rows)
        axes.set_xlabel(second)
        axes.set_ylabel(first)
        for (y, x), value in np.ndenumerate(found.cka):
            shown = f"{value:.2f}" if math.isfinite(value) else ""
            colour = "#111111" if value > 0.55 else "#ffffff"
            axes.text(x, y, shown, ha="center", va="center", fontsize=7, color=colour)

    side = 1.8 + 0.42 * len(found.columns)
    return drawn(draw, min(side, 7), min(side, 7))


def landscapes(found: Starts) -> str:
    """Loss surfaces from random and from pretrained weights, the same levels of colour for all four, with the paths."""
    both = (("random weights", found.random), ("pretrained weights", found.pretrained))
    levels = _levels(found)

    def draw(figure: Any) -> None:
        grid = figure.subplots(2, 2)
        for column, (name, (_, plane, around)) in enumerate(both):
            filled = None
            for row, part in enumerate((plane, around)):
                axes = grid[row][column]
                filled = _surface(axes, part, levels)
                if part.path is not None:
                    _track(axes, part.path, square=not is_dot(part))
                    if is_dot(part):
                        _enlarged(axes, part.path)
            grid[0][column].set_title(f"from {name}: the path")
            grid[1][column].set_title("around its end, random directions")
        _loss_bar(figure, filled, list(grid.ravel()))

    return drawn(draw, 6.6, 6.0)


def landscape_together(found: Starts) -> str:
    """The loss between the descents from random and from pretrained weights, both drawn in, colours as `landscapes`."""
    levels = _levels(found)

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        filled = _surface(axes, found.together, levels)
        for path in found.together.paths:
            _track(axes, path)
        axes.set_xticks((0, 0.5, 1), ("from random\nweights", "half of each", "from pretrained\nweights"))
        axes.set_yticks((0, 0.5, 1), ("start", "half-way", "end"))
        axes.set_ylabel("along its path")
        _loss_bar(figure, filled, axes)

    return drawn(draw, 6.6, 4.4)


def _levels(found: Starts) -> np.ndarray:
    surfaces = [part.loss for start in (found.random, found.pretrained) for part in start[1:]]
    known = np.concatenate([each[np.isfinite(each)].ravel() for each in (*surfaces, found.together.loss)])
    low, high = max(float(known.min()), 0.01), float(np.quantile(known, 0.98))
    return np.geomspace(low, max(high, 1.1 * low), 16)


def _loss_bar(figure: Any, filled: Any, axes: Any) -> None:
    bar = figure.colorbar(filled, ax=axes, shrink=0.7, format="%.2g")
    bar.set_label("loss (cross-entropy)")


def _surface(axes: Any, found: Landscape | Sheet, levels: np.ndarray) -> Any:
    shown = np.clip(np.nan_to_num(found.loss, nan=levels[-1], posinf=levels[-1]), levels[0], levels[-1])
    norm = log_norm(levels[0], levels[-1])
    filled = axes.contourf(found.x, found.y, shown, levels=levels, norm=norm, cmap="viridis", extend="both")
    axes.grid(visible=False)
    axes.tick_params(labelsize=7)
    return filled


def _track(axes: Any, path: np.ndarray, size: float = 1.0, square: bool = True) -> None:
    axes.plot(*path.T, "-", color="#ffffff", lw=2.6 * size)
    axes.plot(*path.T, "o-", color="#111111", lw=1.1 * size, ms=2.5 * size)
    if square:
        axes.plot(*path[0], "s", color="#d55e00", ms=7 * size, mec="#ffffff")
    axes.plot(*path[-1], "*", color="#d55e00", ms=12 * size, mec="#ffffff")


def is_dot(found: Landscape) -> bool:
    """Whether the path is too short to be seen in its plane; then a corner shows it enlarged."""
    return found.path is not None and float(np.ptp(found.path, axis=0).max()) < DOT * float(np.ptp(found.x))


def _enlarged(axes: Any, path: np.ndarray) -> None:
    wide = max(float(np.ptp(path, axis=0).max()), 1e-30)
    inset = axes.inset_axes((0.03, 0.03, 0.34, 0.34), facecolor="#ffffff")
    inset.grid(visible=False)
    _track(inset, (path - path.min(0)) / wide, size=0.6)
    inset.set(xlim=(-0.3, 1.3), ylim=(-0.15, 1.45), xticks=(), yticks=())
    times = float(np.ptp(axes.get_xlim())) * 0.34 / (1.6 * wide)
    inset.text(
        0.03, 0.97, f"{float(f'{times:.1g}'):,.0f} times", transform=inset.transAxes, va="top", fontsize=6.5,
        color="#111111",
    )  # fmt: skip


def losses_by_step(found: Starts) -> str:
    """The loss step by step from both starts."""

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        for number, (name, start) in enumerate((("random", found.random), ("pretrained", found.pretrained))):
            path = start[0]
            axes.plot(path.losses, ls=LINES[number], color=COLOURS[number], label=f"from {name} weights")
        axes.set_xlabel("step")
        axes.set_ylabel("loss")
        axes.set_ylim(bottom=0)
        legend(figure, axes)

    return drawn(draw, 5.2, 2.8)


def optimiser_paths(found: Race, *, animated: bool = False) -> str:
    """Walks of optimisers over a test function; animated: a dot runs along each walk, all in step.

    The animation is SVG's own (SMIL), so it needs no script and runs inside an image.
    """
    tracks: dict[str, list[tuple[float, float]]] = {}

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        x, y, values = found.grid()
        shown = np.log10(values - values.min() + 1e-2)
        axes.contourf(x, y, shown, levels=16, cmap="Greys_r", alpha=0.45)
        axes.contour(x, y, shown, levels=16, colors=INK, linewidths=0.25)
        axes.grid(visible=False)
        for number, (name, path) in enumerate(found.paths.items()):
            axes.plot(*path.T, color=COLOURS[number], ls=LINES[number], label=name, lw=1.6)
            axes.plot(*path[-1], "o", color=COLOURS[number], ms=5, mec=PAPER)
        axes.plot(*found.surface.start, "s", color=INK, ms=6)
        if found.surface.least is not None:
            axes.plot(*found.surface.least, "*", color=INK, ms=11)
        axes.set_xlim(found.surface.x)
        axes.set_ylim(found.surface.y)
        legend(figure, axes)
        if animated:
            figure.set_dpi(72)
            figure.draw_without_rendering()
            height = figure.get_figheight() * 72
            for name, path in found.paths.items():
                inside = np.clip(
                    path, [found.surface.x[0], found.surface.y[0]], [found.surface.x[1], found.surface.y[1]]
                )
                tracks[name] = [(float(a), height - float(b)) for a, b in axes.transData.transform(inside)]

    svg = drawn(draw, 5.6, 4.6)
    return _moving(svg, tracks) if animated else svg


def _moving(svg: str, tracks: dict[str, list[tuple[float, float]]]) -> str:
    dots = []
    for number, track in enumerate(tracks.values()):
        where = "".join(f"{'L' if at else 'M'}{x:.1f} {y:.1f}" for at, (x, y) in enumerate(track))
        times = ";".join(f"{at / (len(track) - 1):.4f}" for at in range(len(track)))
        lengths = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(np.array(track), axis=0).T))])
        share = lengths / max(float(lengths[-1]), 1e-9)
        points = ";".join(f"{each:.4f}" for each in share)
        dots.append(
            f'<circle r="5" fill="var(--hue{number})" stroke="var(--ink)" stroke-width="0.8">'
            f'<animateMotion dur="{SECONDS}s" repeatCount="indefinite" calcMode="linear" path="{where}" '
            f'keyPoints="{points}" keyTimes="{times}"/></circle>'
        )
    return re.sub(r"</svg>\s*$", "".join(dots) + "</svg>", svg)
