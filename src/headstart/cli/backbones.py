"""`headstart backbones`: list pretrained networks, show one with its layers, test that it is what it says."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headstart.base.errors import UsageError
from headstart.cli.flags import Json, verb
from headstart.cli.screen import shown
from headstart.cli.text import printable, say, say_json, table

if TYPE_CHECKING:
    from headstart.backbones.load import Backbone

EXAMPLE = """
headstart backbones
headstart backbones 'resnet*'
headstart backbones lite0 --layers
headstart backbones lite0 --layers --size 96x192
headstart backbones lite0 --selftest imagenet-sample/
"""


def add_to(app: typer.Typer) -> None:
    """Make `backbones` a verb of the app."""
    verb(app, example=EXAMPLE)(backbones)


def backbones(
    pattern: Annotated[
        str | None,
        typer.Argument(
            metavar="PATTERN",
            help="Part of a name, or a pattern with * and ?; with --layers a name.",
            show_default=False,
        ),
    ] = None,
    layers: Annotated[
        bool, typer.Option("--layers", help="show the card, the layers and the cuts of one backbone")
    ] = False,
    every: Annotated[
        bool, typer.Option("--every", help="with --layers: every module, not the named layers alone")
    ] = False,
    selftest: Annotated[
        Path | None,
        typer.Option(
            "--selftest",
            metavar="FOLDER",
            help="classify ImageNet images whose class is known",
            show_default=False,
        ),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(
            "--size",
            metavar="SIZE",
            help="with --layers: at this input size, 224 or 100x200 (height x width)",
            show_default=False,
        ),
    ] = None,
    json: Json = False,
) -> int | None:
    """List pretrained networks: without PATTERN the packaged ones, with it those of timm too.

    --selftest proves that weights and preprocessing agree; its exit status is 2 where they do not.
    """
    if selftest is not None:
        return _selftest(pattern or "lite0", selftest, json)
    if layers:
        _layers(pattern or "lite0", every, size, json)
    elif size is not None:
        raise UsageError("--size goes with --layers; give both, or neither")
    else:
        _list(pattern, json)
    return None


def _list(pattern: str | None, json: bool) -> None:
    from headstart.backbones.catalog import list_backbones

    rows = list_backbones(pattern)
    if json:
        say_json([asdict(row) for row in rows])
        return
    cells = [[row.name, row.input_size, row.trained_on, row.licence, row.available] for row in rows]
    for line in table(["name", "pixels", "trained on", "licence", "available"], cells, right=(1,)):
        say(line)
    if pattern is None:
        say("\nmore: headstart backbones PATTERN searches timm's networks (fetched when first used)")


def _layers(name: str, every: bool, size: str | None, json: bool) -> None:
    from headstart.backbones.load import load
    from headstart.backbones.sizes import smallest_size

    with shown():
        loaded = load(name).at(size)
        least = smallest_size(loaded)
    rows, cuts = layer_rows(loaded, every), cut_rows(loaded)
    if json:
        own = {"layers": rows, "stages": stage_rows(loaded), "cuts": cuts, "smallest_size": list(least)}
        say_json({**loaded.card.to_dict(), **own})
        return
    card = loaded.card
    shape = card.preprocessing
    facts = {
        "architecture": card.architecture,
        "weights": card.weights,
        "digest": card.weights_digest,
        "licence": card.licence,
        "trained on": card.trained_on,
        "paper": card.paper,
        "parameters": f"{card.n_parameters:,}",
        "input": f"{shape.height} x {shape.width} pixels (smallest {least[0]} x {least[1]})",
        "resize": f"{shape.interpolation}, crop {shape.crop:g} ({shape.crop_mode})",
        "mean, std": f"{shape.mean}, {shape.std}",
    }
    say(printable(card.name))
    for key, value in facts.items():
        if value:
            say(f"  {key:14}{printable(value)}")
    say()
    cells = [
        [row["alias"] or "", row["module"], row["kind"], " x ".join(map(str, row["shape"])), row["channels"]]
        for row in rows
    ]
    for line in table(["layer", "module", "kind", "shape", "channels"], cells, right=(4,)):
        say(line)
    say("\nwhat --trainable may name, beside any layer; the part up to the cut runs once for each view")
    said = [
        [row["trainable"], row["after"] or "(none: all of it runs)", f"{row['n_trained']:,}"] for row in cuts
    ]
    for line in table(["trainable", "cut after", "weights"], said, right=(2,)):
        say(line)


def stage_rows(loaded: Backbone) -> list[dict[str, Any]]:
    """The stages, first to last: alias and module."""
    from headstart.backbones.layers import stage_modules

    alias = {module: name for name, module in (loaded.card.layers or {}).items()}
    return [{"alias": alias[name], "module": name} for name in stage_modules(loaded.module) if name in alias]


def cut_rows(loaded: Backbone) -> list[dict[str, Any]]:
    """What may train, from nothing but a new head to all: the module the network is cut after, and how many weights."""
    from headstart.backbones.freeze import find_cut

    sizes = {name: each.numel() for name, each in loaded.module.named_parameters()}
    last = [f"last:{k + 1}" for k in range(len(stage_rows(loaded)))]
    cuts = [find_cut(loaded, name) for name in ("head", *last, "norm", "bias", "all")]
    return [
        {
            "trainable": cut.asked,
            "after": cut.after or None,
            "n_trained": sum(sizes[n] for n in cut.trainable),
        }
        for cut in cuts
    ]


def layer_rows(loaded: Backbone, every: bool) -> list[dict[str, Any]]:
    """Layers in the order of computation: those with an alias, or every module."""
    alias = {module: name for name, module in (loaded.card.layers or {}).items()}
    return [
        {
            "alias": alias.get(layer.name),
            "module": layer.name,
            "kind": layer.kind,
            "shape": layer.shape,
            "layout": layer.layout,
            "channels": layer.channels,
        }
        for layer in sorted(loaded.layers.values(), key=lambda each: each.order)
        if every or layer.name in alias
    ]


def _selftest(name: str, folder: Path, json: bool) -> int | None:
    from headstart.features.selftest import self_test

    with shown():
        found = self_test(name, folder)
    if json:
        say_json(asdict(found))
        return None if found.passed else 2
    engine = f"{found.engine}, {found.precision}"
    say(printable(f"{found.backbone} on {found.n:,} images of known class ({engine})"))
    between = f"{100 * found.low:.1f}-{100 * found.high:.1f}"
    say(f"top-1 {100 * found.top1:.1f} % (95 % interval {between}), top-5 {100 * found.top5:.1f} %")
    if found.gain is not None and found.errors is not None:
        told = f"{found.gain:+.2f} nats an image ({found.errors:+.1f} standard errors)"
        say(printable(f"the best of other normalisations in use: {told}"))
    why = (
        f": the normalisation {found.better!r} fits the weights better than the card's"
        if found.better
        else ""
    )
    say(printable("passed" if found.passed else f"failed: weights and preprocessing do not agree{why}"))
    return None if found.passed else 2
