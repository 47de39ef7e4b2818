"""What a network sees as one page: its maps with their figures, its filters, and what training changed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from headstart.base.files import write_text
from headstart.explain.cam import Maps
from headstart.explain.see import Seen, View, counterpart, gap_text
from headstart.report import papers
from headstart.report.cited import references_section, together
from headstart.report.document import (
    Block,
    Claim,
    Document,
    Entry,
    Figure,
    Gallery,
    Paragraph,
    Picture,
    Section,
    plain_table,
)
from headstart.report.explain_figures import (
    change_matrix,
    faithfulness_curves,
    is_dot,
    landscape_together,
    landscapes,
    losses_by_step,
    optimiser_paths,
    overlay,
)
from headstart.report.explain_parts import Parts, channels_section, made
from headstart.report.html import render
from headstart.report.pictures import PictureBook
from headstart.report.wording import DASH, count, decimal, duration, percent

if TYPE_CHECKING:
    from headstart.explain.landscape import Starts
    from headstart.explain.optimisers import Race

PICTURE_BYTES = 30_000_000
MOST_IMAGES = 48
METHOD_NAMES = {
    "gradcam": "Grad-CAM", "gradcam++": "Grad-CAM++", "layercam": "Layer-CAM", "eigencam": "Eigen-CAM",
    "integrated_gradients": "Integrated gradients", "occlusion": "Occlusion",
}  # fmt: skip


def write_explain_page(seen: Seen, path: str | Path, parts: Parts | None = None) -> Path:
    """Write the page as one HTML file that needs no network; an older one is replaced whole."""
    return write_text(path, render(explain_document(seen, parts or Parts())))


def explain_document(seen: Seen, parts: Parts) -> Document:
    """The page as values."""
    book = PictureBook(PICTURE_BYTES)
    sections = [
        Section("verdict", "In short", tuple(_claims(seen))),
        *_map_sections(seen, parts.beside, book),
    ]
    if any(view.faithful for view in seen.views):
        sections.append(_trust(seen))
    if parts.channels is not None:
        sections.append(channels_section(seen, parts.channels, book))
    if parts.changes:
        sections.append(_change(seen, parts))
    if parts.starts is not None:
        sections.append(_starts(parts.starts))
    if parts.race is not None:
        sections.append(_race(parts.race))
    if remark := " ".join([book.remark(), *_left_out(seen)]).strip():
        sections.append(Section("left-out", "Left out", (Paragraph(remark),)))
    sections.append(references_section(together(_uses(seen, parts)), of="this page"))
    subtitle = f"{count(len(seen.paths), 'image')}, {duration(seen.seconds)}"
    return Document(f"What {_short(seen.target.name)} sees", subtitle, tuple(sections))


def _uses(seen: Seen, parts: Parts) -> list[tuple[tuple[str, ...], str]]:
    views = (*seen.views, *(parts.beside.views if parts.beside is not None else ()))
    uses = [(papers.EXPLANATIONS[method], METHOD_NAMES[method]) for view in views for method in view.maps]
    for there, name, what in (
        (any(view.sanity for view in views), "random_weights", "maps with random weights"),
        (any(view.faithful for view in views), "deletion", "deletion and insertion"),
        (parts.channels is not None, "channels", "what single channels do"),
        (bool(parts.changes), "cka", "what training changed"),
        (parts.starts is not None, "landscape", "loss surfaces"),
    ):
        uses += [(papers.EXPLANATIONS[name], what)] if there else []
    return uses


def _short(name: str) -> str:
    return Path(name).name or name


def _claims(seen: Seen) -> list[Block]:
    said: list[Block] = []
    for view in seen.views:
        for method, maps in view.maps.items():
            title = METHOD_NAMES[method]
            of = f" of “{view.output.name}”" if len(seen.views) > 1 else ""
            where = _where(seen, view, maps)
            if method not in view.sanity:
                said.append(Claim(f"{title}{of}{where}: not checked against random weights."))
                continue
            checked = view.sanity[method]
            with_random = (
                f"{title}{of}{where}: with random weights the map correlates {decimal(checked.mean, 2)}"
            )
            said.append(Claim(f"{with_random}, {checked.verdict}."))
    return said


def _map_sections(seen: Seen, beside: Seen | None, book: PictureBook) -> list[Section]:
    sections = []
    for number, view in enumerate(seen.views):
        groups = [_group(seen, view, at, book, beside) for at in range(min(len(seen.paths), MOST_IMAGES))]
        caption = (
            "Bright is where the class comes from; the image is set in grey behind it, cut as the network sees it. "
            "Under each map: probability of the class when the brightest pixels are taken away (deletion, better low) "
            "and put back (insertion, better high), as areas under the curves."
        )
        title = "Maps" if len(seen.views) == 1 else f"Maps of “{view.output.name}”"
        sections.append(
            Section(f"maps-{number}", title, (Gallery(f"maps-{number}-gallery", caption, tuple(groups)),))
        )
    return sections


def _group(
    seen: Seen, view: View, at: int, book: PictureBook, beside: Seen | None
) -> tuple[str, str, tuple[Picture, ...]]:
    pictures = [made(book, seen.pixels[at], seen.paths[at], ("the image",))]
    pictures += _pictures(seen, view, at, book, "")
    remark = f"{view.name(at)}, {percent(view.probability(at))}"
    other = None if beside is None else counterpart(beside.views, view.output.name)
    if beside is not None and other is not None and seen.paths[at] in beside.paths:
        row = beside.paths.index(seen.paths[at])
        pictures += _pictures(beside, other, row, book, f"{_short(beside.target.name)}: ")
        remark += f"; {_short(beside.target.name)}: {other.name(row)}, {percent(other.probability(row))}"
    return Path(seen.paths[at]).name, remark, tuple(each for each in pictures if each is not None)


def _pictures(seen: Seen, view: View, at: int, book: PictureBook, before: str) -> list[Picture | None]:
    found = []
    for method, maps in view.maps.items():
        lines = [f"{before}{METHOD_NAMES[method]}{_where(seen, view, maps)}"]
        if method in view.faithful:
            scores = view.faithful[method].scores()
            lines.append(f"del {scores['deletion'][at]:.2f}, ins {scores['insertion'][at]:.2f}")
        if maps.gap is not None:
            lines.append(f"misses {gap_text(float(maps.gap[at]))} of the score")
        if not maps.values[at].any():
            lines.append("nothing speaks for the class")
        picture = overlay(seen.pixels[at], maps.values[at])
        found.append(made(book, picture, f"{METHOD_NAMES[method]} of {view.name(at)}", tuple(lines)))
    return found


def _where(seen: Seen, view: View, maps: Maps) -> str:
    """` at stage5`; nothing of a map in the pixels."""
    return f" at {seen.target.of(view.output.name).called(maps.layer)}" if maps.layer else ""


def _trust(seen: Seen) -> Section:
    rows = []
    blocks: list[Block] = []
    for number, view in enumerate(seen.views):
        for method, faithful in view.faithful.items():
            scores = {name: float(each.mean()) for name, each in faithful.scores().items()}
            checked = view.sanity.get(method)
            rows.append((
                Entry(METHOD_NAMES[method]), Entry(view.output.name),
                Entry(DASH if checked is None else decimal(checked.mean, 2)),
                Entry(DASH if checked is None or np.isnan(checked.other) else decimal(checked.other, 2)),
                Entry(DASH if checked is None else checked.verdict),
                Entry(decimal(scores["deletion"], 2), small=f"random {decimal(scores['chance_deletion'], 2)}"),
                Entry(decimal(scores["insertion"], 2), small=f"random {decimal(scores['chance_insertion'], 2)}"),
            ))  # fmt: skip
            caption = f"{METHOD_NAMES[method]}, {Path(seen.paths[0]).name}, class {view.name(0)}."
            alt = "Probability of the class against the share of the image that is deleted or inserted"
            blocks.append(Figure(f"curve-{number}-{method}", caption, faithfulness_curves(faithful, 0), alt))
    titles = (
        "map",
        "output",
        "correlation with random weights",
        "with another image's",
        "what that says",
        "deletion",
        "insertion",
    )
    text = (
        "Correlation: Spearman’s, of the map with that of the same architecture whose weights were drawn anew (Adebayo "
        "et al. 2018); a map that stays the same (0.3 or more) does not hang on what was learned. Beside it the same "
        "with the random network's map of another of the images: as high where only the place stays. Deletion and "
        "insertion (Petsiuk et al. 2018) are means over the images; a faithful map beats the random order in both."
    )
    return Section(
        "trust", "How far to believe the maps", (plain_table("trust-table", text, titles, rows), *blocks)
    )


def _change(seen: Seen, parts: Parts) -> Section:
    name = _short(parts.beside.target.name) if parts.beside else "before"
    figures = []
    for at, (output, found) in enumerate(parts.changes.items()):
        text = (
            f"{f'The network of “{output}”. ' if output else ''}Linear CKA (Kornblith et al. 2019, with the unbiased "
            f"estimator of HSIC) of mean-pooled layers on {count(found.n, 'image')}: 1 means that a layer still says the "
            "same of the images, up to a rotation; small values mean that training has changed it, and of layers that "
            "have nothing in common it lies around 0, also below. Few images make it rough."
        )
        drawn = change_matrix(found, name, _short(seen.target.name))
        figures.append(Figure(f"cka-{at}" if at else "cka", text, drawn, "CKA of layers with layers"))
    return Section("change", "What training changed", tuple(figures))


def _starts(found: Starts) -> Section:
    bad, good = found.random[0], found.pretrained[0]
    halved = [f"after {count(path.halved, 'step')}" if path.halved else "never" for path in (good, bad)]
    claim = Claim(
        f"After {len(bad.losses) - 1} steps on {count(found.n, 'image')} the loss is {decimal(float(good.losses[-1]))} "
        f"from pretrained and {decimal(float(bad.losses[-1]))} from random weights (at the start "
        f"{decimal(float(good.losses[0]))} and {decimal(float(bad.losses[0]))}); it is halved {halved[0]} and "
        f"{halved[1]}.",
        strong=True,
    )
    both = found.together
    text = (
        "Both starts on one surface. Left the path from random weights, right that from pretrained ones, each from its "
        "start (square) up to its end (star), a dot for each step; between them networks mixed from the two, each as far "
        f"along as the other. The weights moved {bad.moved:.2g} and {good.moved:.2g} far, and their ends are "
        f"{both.apart:.3g} apart. No plane holds both paths (cosine of the two movements {decimal(both.cosine, 2)}, 0 is "
        "at right angles), so this is a sheet, a plane with a twist, through both starts and both ends: it holds "
        f"{_held(both.explained[0])} of the movement from random weights and {_held(both.explained[1])} of that from "
        "pretrained ones. The loss is that of the images trained on and says nothing of others; compare "
        "the widths of valleys in the random directions below, which are as long as the weights’ own filters."
    )
    one = Figure(
        "landscape-together", text, landscape_together(found), "Loss between the two paths of training"
    )
    alt = "Loss surfaces from random and from pretrained weights, with the paths of training"
    figure = Figure("landscape-figure", _surfaces_text(found), landscapes(found), alt)
    steps_figure = Figure(
        "landscape-steps", "The loss step by step.", losses_by_step(found), "Loss against steps"
    )
    return Section("landscape", "Why a good start matters", (claim, one, figure, steps_figure))


def _surfaces_text(found: Starts) -> str:
    starts = (found.random, found.pretrained)
    in_plane = [_held(plane.explained) for _, plane, _ in starts]
    around = [_held(plane.explained) for _, _, plane in starts]
    rates = [f"{start[0].learning_rate:.2g}" for start in starts]
    dot = any(is_dot(start[2]) for start in starts)
    return (
        "Above: the plane in which the weights moved most (principal components of the path; it holds "
        f"{in_plane[0]} of the movement from random weights and {in_plane[1]} of that from pretrained ones), square the "
        "start, star the end. Below: around the end, along random directions with the filters’ own lengths (Li et al. "
        f"2018). They hold {' and '.join(dict.fromkeys(around))} of the movement"
        + (
            f", as two random directions among {len(starts[0][0].weights[-1]):,} do (section 7.1 there): on them each path "
            "is a dot under the star, which the corner shows enlarged, and its way there says nothing"
            if dot
            else ""
        )
        + f". One scale of colours in all these surfaces. Learning rates {rates[0]} and {rates[1]}."
    )


def _held(share: float) -> str:
    """A share of a movement: `93.1 %`, `less than 0.01 %`."""
    if not np.isfinite(share):
        return DASH
    return "less than 0.01 %" if share < 1e-4 else f"{100 * share:.3g} %"


def _race(found: Race) -> Section:
    rates = ", ".join(f"{name} {rate:g}" for name, rate in found.rates.items())
    caption = (
        f"Six optimisers from the same start (square) on the function “{found.surface.name}”"
        + ("; the star is its least value" if found.surface.least else "")
        + f". Learning rates: {rates}. They are chosen to show how each moves, not which is best."
    )
    rows = [(name, f"{found.value(name):.3g}") for name in found.paths]
    still = Figure("race-still", caption, optimiser_paths(found), "Paths of optimisers on a test function")
    moving = Figure("race-moving", "The same, moving.", optimiser_paths(found, animated=True), "Moving dots")
    table = plain_table("race-table", "Value of the function at the end.", ("optimiser", "value"), rows)
    return Section("optimisers", "How optimisers move", (still, moving, table))


def _left_out(seen: Seen) -> Sequence[str]:
    said = []
    if len(seen.paths) > MOST_IMAGES:
        said.append(f"{count(len(seen.paths) - MOST_IMAGES, 'image')} more were explained and are not shown.")
    if seen.problems:
        first = ", ".join(f"{each.path} ({each.reason})" for each in seen.problems[:5])
        said.append(f"{count(len(seen.problems), 'file')} could not be read: {first}.")
    return said
