"""A network's stages as a picture: one block a stage, as high and deep as its maps, as thick as it has channels.

Plain SVG text, without a package; sides are drawn by their logarithm, so that 224 and 7 fit in one picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from itertools import pairwise
from math import log2, sqrt

from headstart.backbones.summary import StageSummary, Summary

PER_ROW = 8
"""Blocks side by side, at most."""
CELL, EDGE, TITLE = 140, 24, 60
TEXT = 118
"""Height of what stands under a block."""
COLOURS = {
    "trains": ("#3b7dd8", "#7fb0ee", "#2a5ca3"),
    "frozen": ("#a9b4c2", "#cfd7e0", "#87929f"),
    "part": ("#7d9bc9", "#afc4e4", "#5d7aa8"),
    "image": ("#e5b567", "#f3d6a1", "#bf8f3f"),
    "none": ("#c9b8e0", "#e0d5ee", "#a590c4"),
}
"""Front, top and side of a block."""
SAID = {"trains": "trains", "frozen": "frozen", "part": "trains in part", "none": "no parameters"}
STYLE = (
    "text{font-family:system-ui,'DejaVu Sans',sans-serif;fill:#1d2733;text-anchor:middle}"
    ".t{font-size:17px;font-weight:600;text-anchor:start}.s{font-size:12px;fill:#55606e;text-anchor:start}"
    ".n{font-size:13px;font-weight:600}.o{font-size:12px}.p{font-size:11px;fill:#55606e}"
)


@dataclass(frozen=True)
class Block:
    """One block: its lines of text, and the sides in pixels."""

    title: str
    lines: tuple[str, ...]
    colour: str
    thick: float
    high: float
    deep: float


def draw(summary: Summary) -> str:
    """The stages of a network as the text of an SVG file.

    Parameters
    ----------
    summary : Summary

    Examples
    --------
    >>> from headstart.backbones.summary import summarise
    >>> draw(summarise("lenet5")).startswith("<svg ")
    True
    """
    blocks = [_image(summary), *(_block(stage) for stage in summary.stages)]
    n_rows = -(-len(blocks) // PER_ROW)
    per_row = -(-len(blocks) // n_rows)
    rows = [blocks[at : at + per_row] for at in range(0, len(blocks), per_row)]
    legend = [each for each in SAID if any(block.colour == each for block in blocks)]
    width = 2 * EDGE + CELL * max(4, per_row)
    height = TITLE + sum(_high(row) + TEXT for row in rows) + 28
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img" aria-label="{_told(f"stages of {summary.name}")}">',
        f"<style>{STYLE}</style>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        f'<text class="t" x="{EDGE}" y="28">{_told(summary.name)}</text>',
        f'<text class="s" x="{EDGE}" y="48">{_told(_subtitle(summary))}</text>',
    ]
    low: float = TITLE
    for row in rows:
        low += _high(row)
        for at, block in enumerate(row):
            parts += _drawn(block, EDGE + CELL * at, low)
        parts += [_arrow(*two, EDGE + CELL * at, low) for at, two in enumerate(pairwise(row))]
        low += TEXT
    parts += _legend(legend, low)
    return "\n".join([*parts, "</svg>", ""])


def _high(row: list[Block]) -> float:
    """Height of the highest block of a row."""
    return round(max(block.high + block.deep for block in row)) + 12


def _told(text: str) -> str:
    return escape("".join(sign if sign.isprintable() else "?" for sign in text), quote=True)


def _subtitle(summary: Summary) -> str:
    return f"{summary.n_parameters:,} parameters, {counted(summary.macs)} multiply-accumulates for one image"


def counted(n: int) -> str:
    """A count in three figures: 15.3 G, 423 k.

    Examples
    --------
    >>> counted(15_346_630_656), counted(999), counted(0)
    ('15.3 G', '999', '0')
    """
    for size, sign in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if n >= size:
            return f"{n / size:.3g} {sign}" if n < 999.5 * size else f"{n / size:.0f} {sign}"
    return str(n)


def shape_text(shape: tuple[int, ...] | None) -> str:
    """`7x7x512`, `1000`; `-` for none.

    Examples
    --------
    >>> shape_text((7, 7, 512))
    '7x7x512'
    """
    return "-" if shape is None else "x".join(map(str, shape))


def _image(summary: Summary) -> Block:
    shape = (summary.height, summary.width, 3)
    return Block("image", (shape_text(shape),), "image", *_sides(shape))


def _block(stage: StageSummary) -> Block:
    colour = "part"
    if not stage.n_parameters:
        colour = "none"
    elif stage.n_trainable in (0, stage.n_parameters):
        colour = "trains" if stage.n_trainable else "frozen"
    n = "1 layer" if stage.n_layers == 1 else f"{stage.n_layers} layers"
    weights = f"{counted(stage.n_parameters)} parameters" if stage.n_parameters else "no parameters"
    lines = (shape_text(stage.output), n, weights, f"{counted(stage.macs)} MACs", f"to {_short(stage.last)}")
    return Block(stage.name, lines, colour, *_sides(stage.output or ()))


def _short(name: str, longest: int = 20) -> str:
    return name if len(name) <= longest else "…" + name[-longest + 1 :]


def _sides(shape: tuple[int, ...]) -> tuple[float, float, float]:
    """Thickness, height and depth in pixels of a shape: maps, tokens, or one vector."""
    high = wide = 1.0
    channels = (shape or (1,))[-1]
    if len(shape) == 3:
        high, wide = float(shape[0]), float(shape[1])
    elif len(shape) == 2:
        high = wide = sqrt(shape[0])
    return 6 + 4.5 * log2(channels + 1), 10 + 13 * log2(high + 1), 4 + 4.5 * log2(wide + 1)


def _drawn(block: Block, x: float, low: float) -> list[str]:
    front, top, side = COLOURS[block.colour]
    left, high = x + _left(block), low - block.high
    right, back = left + block.thick, block.deep
    middle = x + CELL / 2
    texts = [(f'<text class="{kind}" x="{middle:g}" y="{at:g}">{_told(text)}</text>')
             for kind, at, text in _lines(block, low)]  # fmt: skip
    return [
        _face(front, (left, high), (right, high), (right, low), (left, low)),
        _face(top, (left, high), (left + back, high - back), (right + back, high - back), (right, high)),
        _face(side, (right, high), (right + back, high - back), (right + back, low - back), (right, low)),
        *texts,
    ]


def _left(block: Block) -> float:
    return (CELL - block.thick - block.deep) / 2


def _lines(block: Block, low: float) -> list[tuple[str, float, str]]:
    """What stands under a block: class, place and text."""
    under = [("p" if at else "o", low + 37 + 15 * at, line) for at, line in enumerate(block.lines)]
    return [("n", low + 20, block.title), *under]


def _face(colour: str, *corners: tuple[float, float]) -> str:
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)
    return f'<polygon points="{points}" fill="{colour}" stroke="#ffffff" stroke-width="1" stroke-linejoin="round"/>'


def _arrow(block: Block, after: Block, x: float, low: float) -> str:
    """From the right of a block to the left of the next, near the ground."""
    start = x + _left(block) + block.thick + block.deep + 6
    end, at = x + CELL + _left(after) - 6, low - 8
    return (f'<path d="M{start:.1f} {at} H{end:.1f} m-6 -4 l6 4 l-6 4" fill="none" stroke="#8b95a1" '
            'stroke-width="1.5"/>')  # fmt: skip


def _legend(colours: list[str], y: float) -> list[str]:
    parts = []
    x = float(EDGE)
    for each in colours:
        parts.append(f'<rect x="{x}" y="{y}" width="12" height="12" fill="{COLOURS[each][0]}"/>')
        parts.append(f'<text class="s" x="{x + 18}" y="{y + 10.5}">{SAID[each]}</text>')
        x += 30 + 8 * len(SAID[each]) + 18
    return parts
