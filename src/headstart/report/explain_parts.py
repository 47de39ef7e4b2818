"""What a page on a network may show beside its maps, and the section on single channels."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from headstart.explain.see import Seen
from headstart.report.document import Block, Figure, Gallery, Paragraph, Picture, Section
from headstart.report.explain_figures import (
    blown_up,
    coloured,
    convolution_sum,
    filter_picture,
    framed,
    picture_svg,
    sheet,
    shown_range,
    signed_picture,
)
from headstart.report.pictures import PictureBook
from headstart.report.wording import count

if TYPE_CHECKING:
    from headstart.explain.filters import Convolution, Exciting
    from headstart.explain.landscape import Starts
    from headstart.explain.optimisers import Race
    from headstart.explain.similarity import Change


@dataclass(frozen=True, eq=False)
class OfSet:
    """The images of a set that excite channels most.

    Attributes
    ----------
    exciting : list of Exciting
    pixels : ndarray of uint8
        The images that `exciting` counts.
    paths : list of str
        Their paths.
    n_all : int
        Images of the set that they were drawn from.
    """

    exciting: list[Exciting]
    pixels: np.ndarray
    paths: list[str]
    n_all: int


@dataclass(frozen=True, eq=False)
class Channels:
    """What single channels do: for one image, and over a set.

    Attributes
    ----------
    layer : str
    filters : ndarray or None
        `first_filters`; None where the network has no convolution of colours.
    convolution : Convolution or None
    channels : list of int
        Those of the layer that are shown.
    maps : ndarray of float32, shape (channels, rows, columns)
        Of the first image.
    asked : bool
        Whether the caller named the channels; else they are those that the image excites most.
    of_set : OfSet or None
        None where no set was given.
    output : str
        Whose network they are of, where every output has its own; "" else.
    """

    layer: str
    filters: np.ndarray | None
    convolution: Convolution | None
    channels: list[int]
    maps: np.ndarray
    asked: bool = False
    of_set: OfSet | None = None
    output: str = ""


@dataclass(frozen=True, eq=False)
class Parts:
    """Everything that a page may show beside the maps."""

    beside: Seen | None = None
    channels: Channels | None = None
    changes: dict[str, Change] = field(default_factory=dict)
    starts: Starts | None = None
    race: Race | None = None


def made(book: PictureBook, pixels: np.ndarray, alt: str, lines: tuple[str, ...]) -> Picture | None:
    """A picture with lines under it; None where the book is full."""
    small = book.small(pixels, alt)
    return None if small is None else Picture(small.uri, alt, lines)


def channels_section(seen: Seen, found: Channels, book: PictureBook) -> Section:
    """What single channels do, for one image and over a set."""
    blocks: list[Block] = []
    if found.output:
        blocks.append(
            Paragraph(f"Every output has a network of its own; this one is that of “{found.output}”.")
        )
    if found.filters is not None:
        n = len(found.filters)
        pictures = [blown_up(filter_picture(each), 48) for each in found.filters[:192]]
        whole = sheet(pictures, columns=min(16, n))
        caption = f"The {count(n, 'filter')} of the first convolution; grey is 0."
        blocks.append(Figure("filters", caption, picture_svg(whole), "Filters as small coloured pictures"))
    if found.convolution is not None:
        blocks += _convolution(seen, found.convolution, book)
    tiles = [
        made(
            book, blown_up(coloured(shown_range(values)), 112), f"channel {channel}", (f"channel {channel}",)
        )
        for channel, values in zip(found.channels, found.maps, strict=True)
    ]
    name = Path(seen.paths[0]).name
    which = "the channels that were asked for" if found.asked else "the channels that it excites most"
    caption = f"Feature maps of {name} at {found.layer}: {which}."
    blocks.append(Gallery("feature-maps", caption, (("", "", tuple(each for each in tiles if each)),)))
    if found.of_set is not None:
        n, n_all = len(found.of_set.pixels), found.of_set.n_all
        of = f"{n:,} of {count(n_all, 'image')}" if n < n_all else count(n, "image")
        caption = (
            f"The images that excite each of these channels most, among {of} of the set; the frame is where (at "
            f"{found.layer})."
        )
        groups = tuple(_exciting(each, found.of_set, book) for each in found.of_set.exciting)
        blocks.append(Gallery("exciting", caption, groups))
    return Section("channels", "What single channels do", tuple(blocks))


def _convolution(seen: Seen, found: Convolution, book: PictureBook) -> list[Block]:
    row, column = found.place
    value = float(found.response[row, column])
    pictures = (
        made(book, framed(seen.pixels[0], found.window), "input", ("input", "framed: one window")),
        made(
            book, blown_up(filter_picture(found.kernel), 112), "kernel", (f"kernel, filter {found.channel}",)
        ),
        made(book, blown_up(signed_picture(found.response), 224), "response", ("response", "red +, blue -")),
    )
    text = (
        f"A convolution ({found.layer}): the kernel is laid on every window of the image; each number of the response is "
        f"the sum of window times kernel. In the frame the products add up to {float(found.product.sum()):.3f}"
        + (f", with the bias {found.bias:.3f} to {value:.3f}." if found.bias else ".")
    )
    blocks: list[Block] = [
        Gallery("convolution", text, (("", "", tuple(each for each in pictures if each)),))
    ]
    if found.kernel.shape[0] <= 7:
        caption = "The same sum number by number: input as the network gets it, kernel, product."
        blocks.append(
            Figure("convolution-sum", caption, convolution_sum(found), "Numbers of one convolution")
        )
    return blocks


def _exciting(found: Exciting, of: OfSet, book: PictureBook) -> tuple[str, str, tuple[Picture, ...]]:
    tiles = []
    for row, value, place in zip(found.rows, found.values, found.places, strict=True):
        image, path = of.pixels[int(row)], of.paths[int(row)]
        side = max(image.shape[:2]) // 5
        window = (
            int(place[0] * image.shape[0] - side / 2),
            int(place[1] * image.shape[1] - side / 2),
            side,
            side,
        )
        tiles.append(made(book, framed(image, window), path, (f"{float(value):.2f}", path)))
    return f"channel {found.channel}", "", tuple(each for each in tiles if each)
