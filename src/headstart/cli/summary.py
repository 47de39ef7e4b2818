"""`headstart summary`: what a network is made of, layer by layer, as text, Markdown, JSON or a picture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headstart.base.errors import BadOptions
from headstart.base.options import option
from headstart.cli.flags import Json, build, verb
from headstart.cli.screen import shown
from headstart.cli.text import printable, say, say_json, table

if TYPE_CHECKING:
    from headstart.backbones.summary import LayerSummary, Summary

EXAMPLE = """
headstart summary vgg16 --size 100x200
headstart summary vgg16 --pooling avg --dense 256 --classes 10 --trainable block5_conv1
headstart summary timm:resnet18 --top --plot resnet18.svg
"""


@dataclass(frozen=True, kw_only=True)
class SummaryOptions:
    """What `summary` takes beside the network."""

    size: str | None = option(
        None, "image size: 224, or 100x200 (height x width); that of the weights unless given", metavar="SIZE"
    )
    top: bool = option(False, "with the network's own classifier")
    trainable: str | None = option(
        None,
        "what trains, as in fit: last:2, a layer (it and what follows), head, norm, all; the rest is frozen",
    )
    pooling: str | None = option(None, "a new head begins with this pooling", choices=("avg", "max", "flat"))
    dense: tuple[int, ...] = option((), "widths of dense layers of a new head", metavar="NUMBER")
    classes: int | None = option(None, "classes of a new head", low=1, high=1_000_000)
    plot: str | None = option(None, "draw the stages as a picture, to this file", metavar="FILE.svg")
    markdown: bool = option(False, "print as Markdown")


def add_to(app: typer.Typer) -> None:
    """Make `summary` a verb of the app."""
    verb(app, SummaryOptions, example=EXAMPLE)(summary)


def summary(
    network: Annotated[
        str,
        typer.Argument(metavar="NETWORK", help="Any name that `backbones` lists.", show_default=False),
    ],
    json: Json = False,
    **flags: Any,
) -> None:
    """Show a network: every layer's output shape and parameters, then parameters, work, memory and receptive field.

    No weights are loaded or fetched. Shapes are of one image, height x width x channels.
    """
    options = build(SummaryOptions, flags)
    _check(options, json)
    from headstart.backbones.blank import NewHead
    from headstart.backbones.drawing import draw
    from headstart.backbones.summary import summarise
    from headstart.base.files import write_text

    head = NewHead(options.pooling or "", options.dense, options.classes or 0)
    with shown():
        found = summarise(network, options.size, top=options.top, trainable=options.trainable, head=head)
    if options.plot:
        write_text(Path(options.plot), draw(found))
    if json:
        say_json(found.to_dict())
        return
    for line in markdown(found) if options.markdown else text(found):
        say(line)
    if options.plot and not options.markdown:
        say(f"{'picture':22}{printable(options.plot)}")


def _check(options: SummaryOptions, json: bool) -> None:
    wrong = []
    if json and options.markdown:
        wrong.append("--json and --markdown: take one of them")
    if options.plot and not options.plot.lower().endswith(".svg"):
        wrong.append(f"plot: expected a file name that ends with .svg, got {options.plot!r}")
    if wrong:
        raise BadOptions(wrong)


def text(found: Summary) -> list[str]:
    """A heading, an aligned table of layers, and the totals."""
    header, rows = _table(found)
    facts = [f"{name:22}{value}" for name, value in _facts(found)]
    return [_heading(found), "", *table(header, rows, right=range(2, len(header))), "", *facts]


def markdown(found: Summary) -> list[str]:
    """The same as a Markdown table and list."""
    header, rows = _table(found)
    lines = ["| " + " | ".join(_escaped(cell) for cell in row) + " |" for row in (header, *rows)]
    rule = "|" + "|".join("---" if at < 2 else "--:" for at in range(len(header))) + "|"
    facts = [f"- {name.strip()}: {_escaped(value)}" for name, value in _facts(found)]
    return [f"## {_escaped(_heading(found))}", "", lines[0], rule, *lines[1:], "", *facts]


def _escaped(value: str) -> str:
    return printable(value).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("_", "\\_")


def _heading(found: Summary) -> str:
    own = "with its own classifier" if found.top else "without its own classifier"
    return printable(f"{found.name}, images of {found.height}x{found.width} (height x width), {own}")


def _table(found: Summary) -> tuple[list[str], list[list[str]]]:
    header = ["layer", "type", "output", "parameters", "MACs", "sees"]
    some = bool(found.n_frozen)
    return [*header, *(["trains"] if some else [])], [
        [*_cells(layer), *([_trains(layer)] if some else [])] for layer in found.layers
    ]


def _cells(layer: LayerSummary) -> list[str]:
    from headstart.backbones.drawing import shape_text

    seen = layer.receptive_field
    told = seen if isinstance(seen, str) else shape_text(seen)
    return [
        layer.name,
        layer.kind,
        shape_text(layer.output),
        f"{layer.n_parameters:,}",
        f"{layer.macs:,}",
        told,
    ]


def _trains(layer: LayerSummary) -> str:
    if not layer.n_parameters:
        return ""
    if layer.n_trainable in (0, layer.n_parameters):
        return "yes" if layer.n_trainable else "no"
    return f"{layer.n_trainable:,}"


def _facts(found: Summary) -> list[tuple[str, str]]:
    from headstart.backbones.drawing import counted

    facts = [
        ("parameters", f"{found.n_parameters:,}"),
        ("  trainable", f"{found.n_trainable:,}"),
        ("  frozen", f"{found.n_frozen:,}"),
        ("multiply-accumulates", f"{found.macs:,} for one image"),
        ("activation memory", f"{counted(found.activation_bytes)}B: the outputs of all layers for one image in float32"),
        ("receptive field", _field(found)),
    ]  # fmt: skip
    if found.n_statistics:
        facts.insert(
            3, ("running statistics", f"{found.n_statistics:,}, no parameters (Keras counts them in)")
        )
    return facts


def _field(found: Summary) -> str:
    from headstart.backbones.drawing import shape_text

    widest, whole, untold = found.widest, found.first_whole, found.first_untold
    parts = []
    if widest is not None and isinstance(widest.receptive_field, tuple):
        parts.append(f"{shape_text(widest.receptive_field)} pixels at {widest.name}")
    if untold is not None:
        parts.append(
            f"cannot be told (-) from {untold.name}, which moves positions about in a way no rule follows"
        )
    if whole is not None:
        parts.append(f"the whole image from {whole.name}")
    return printable(", ".join(parts) or "-")
