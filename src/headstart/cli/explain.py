"""`headstart explain`: what a network looks at, what its channels do, and how far such pictures may be believed."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headstart.base.errors import BadOptions
from headstart.base.events import warn
from headstart.base.options import option
from headstart.cli.declared import DataOptions
from headstart.cli.flags import Json, build, verb
from headstart.cli.screen import shown
from headstart.cli.text import printable, say, say_json, table

if TYPE_CHECKING:
    import numpy as np

    from headstart.backbones.load import Backbone
    from headstart.explain.see import Seen
    from headstart.explain.similarity import Change
    from headstart.explain.target import Target
    from headstart.images.table import ImageTable
    from headstart.report.explain_page import Channels, Parts

EXAMPLE = """
headstart explain lite0 photo.jpg --html seen.html
headstart explain model photos/ --method gradcam,occlusion --label disc
headstart explain model photo.jpg --beside lite0 --set photos/ --html seen.html
headstart explain lite0 photo.jpg --set photos/ --landscape --optimisers beale --html seen.html
"""
METHODS = ("gradcam", "gradcam++", "layercam", "eigencam", "integrated_gradients", "occlusion")


@dataclass(frozen=True, kw_only=True)
class ExplainOptions:
    """What `explain` takes beside the model and the images."""

    method: tuple[str, ...] = option(("gradcam",), "maps that are made", choices=METHODS)
    label: str | None = option(
        None,
        "class that is explained, by name or number (default: each image's most probable)",
        metavar="CLASS",
    )
    output: str | None = option(None, "output of a model with several (default: every one)", metavar="NAME")
    layer: str | None = option(
        None, "layer of the maps and channels (default: the last with rows and columns)", metavar="LAYER"
    )
    channel: tuple[int, ...] = option(
        (), "channels of the layer that are shown (default: the strongest)", low=0
    )
    check: bool = option(True, "compare maps with those of random weights; measure deletion and insertion")
    draws: int = option(3, "networks of random weights", low=1, high=50)
    fractions: int = option(20, "points of the deletion and insertion curves", low=2, high=200)
    steps: int = option(32, "points of integrated gradients", low=2, high=1000)
    windows: int = option(7, "windows of an occlusion along the shorter side", low=2, high=64)
    beside: str | None = option(
        None, "a second model or backbone for the same images, such as the pretrained one", metavar="OTHER"
    )
    set: str | None = option(None, "images for the channels, the change and the landscape", metavar="DATA")
    most: int = option(64, "most images of --set that are used", low=4, high=5000)
    landscape: bool = option(
        False, "loss surfaces of the backbone from random and pretrained weights on --set"
    )
    landscape_side: int = option(64, "input size of the landscape in pixels", low=16, high=512)
    landscape_steps: int = option(24, "steps of the descent of the landscape", low=2, high=500)
    landscape_grid: int = option(9, "points a side of a loss surface", low=3, high=51)
    optimisers: str | None = option(
        None, "add the walks of six optimisers on a test function", choices=("beale", "rosenbrock", "saddle")
    )
    html: str | None = option(None, "write a page with the pictures to this file", metavar="FILE")
    input_size: str | None = option(None, "input size of a backbone in pixels", metavar="SIZE")
    seed: int = option(0, "of everything random", low=0, high=2**31 - 1)


def add_to(app: typer.Typer) -> None:
    """Make `explain` a verb of the app."""
    verb(app, ExplainOptions, DataOptions, example=EXAMPLE)(explain)


def explain(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL", help="Folder that `fit` wrote, or a backbone's name.", show_default=False
        ),
    ],
    images: Annotated[
        list[str],
        typer.Argument(metavar="IMAGE", help="Image files or folders of them.", show_default=False),
    ],
    json: Json = False,
    **flags: Any,
) -> int | None:
    """Show where in images a network sees a class, and whether that picture may be believed.

    The layer is found by itself, for convolutional networks and transformers. Every map is compared with those of
    random weights, and the probability of the class is followed while the image is taken away in the map's order.
    """
    options, source = build(ExplainOptions, flags), build(DataOptions, flags)
    _check(options)
    from headstart.cli.sources import image_files
    from headstart.explain.see import see

    with shown():
        target = open_target(model, options.input_size)
        paths = image_files(images)
        names = [str(path) for path in paths]
        common: dict[str, Any] = {
            "methods": options.method, "draws": options.draws, "fractions": options.fractions,
            "steps": options.steps, "windows": options.windows, "seed": options.seed,
        }  # fmt: skip
        seen = see(
            target, paths, names, layer=options.layer, output=options.output, wanted=options.label,
            check=options.check, **common,
        )  # fmt: skip
        parts = _parts(model, seen, paths, options, source, common)
        if options.html:
            from headstart.report.explain_page import write_explain_page

            write_explain_page(seen, options.html, parts)
    if json:
        say_json(_json(seen, parts, options))
        return None
    for line in [*lines(seen), *extra(parts, options)]:
        say(line)
    return None


def _check(options: ExplainOptions) -> None:
    wrong = []
    if options.landscape and not options.set:
        wrong.append("landscape: say on which images, e.g. --set photos/")
    if options.landscape and not options.html:
        wrong.append("landscape: say where the page goes, e.g. --html seen.html")
    if options.optimisers and not options.html:
        wrong.append("optimisers: say where the page goes, e.g. --html seen.html")
    if wrong:
        raise BadOptions(wrong)


def open_target(name: str, input_size: str | None = None) -> Target:
    """A model folder or a backbone as a target."""
    from headstart.explain.target import target_of_backbone, target_of_bundle

    if (Path(name) / "card.json").is_file() or Path(name).is_dir():
        from headstart.export.bundle import load_bundle
        from headstart.export.trained import load_network

        if input_size is not None:
            raise BadOptions(["input-size: a model has its own input size; leave it out"])
        bundle = load_bundle(name)
        return target_of_bundle(bundle, load_network(bundle) if bundle.trained else None)
    from headstart.backbones.class_names import class_names

    backbone = _backbone(name, input_size)
    return target_of_backbone(backbone, class_names(backbone))


def _backbone(name: str, input_size: str | int | None) -> Backbone:
    from headstart.backbones.load import load

    return load(name).at(int(input_size) if str(input_size).isdecimal() else input_size)  # type: ignore[arg-type]


def _parts(
    model: str,
    seen: Seen,
    paths: list[Path],
    options: ExplainOptions,
    source: DataOptions,
    common: dict[str, Any],
) -> Parts:
    """Everything beside the maps that was asked for."""
    from headstart.explain.optimisers import race
    from headstart.explain.see import see
    from headstart.report.explain_page import Parts

    table, rows = _rows(options, source)
    items = [table.item(row) for row in rows] if table is not None else []
    beside = starts = None
    changes: dict[str, Change] = {}
    pixels = seen.target.prepared(items) if items else None
    if options.beside:
        other = open_target(options.beside)
        own = options.output if options.output in [each.name for each in other.outputs] else None
        beside = see(other, paths, [str(path) for path in paths], output=own, check=False, **common)
        changes = _changes(other, seen, options.output, seen.pixels if pixels is None else pixels)
    if options.landscape and table is not None:
        starts = _landscape(model, table, rows, options, source)
    found = _channels(seen, options, pixels) if options.html else None
    return Parts(beside, found, changes, starts, race(options.optimisers) if options.optimisers else None)


def _changes(other: Target, seen: Seen, output: str | None, pixels: np.ndarray) -> dict[str, Change]:
    """CKA of the layers of two networks, by output where one of them has a trunk for each; "" for all outputs.

    Where they cannot be compared, a warning says why.
    """
    from headstart.explain.similarity import representation_change, trunk_pairs

    if not _comparable(other, seen.target, pixels):
        return {}
    return {
        name: representation_change(before, after, pixels)
        for name, (before, after) in trunk_pairs(other, seen.target, output).items()
    }


def _comparable(before: Target, after: Target, pixels: np.ndarray) -> bool:
    from headstart.explain.similarity import LEAST_IMAGES

    one, two = asdict(after.preprocessing), asdict(before.preprocessing)
    if differ := [f"{name} {one[name]} and {two[name]}" for name in one if one[name] != two[name]]:
        warn(
            f"beside: no CKA of {printable(after.name)} with {printable(before.name)}, which prepare images "
            f"differently: {'; '.join(differ)}"
        )
        return False
    if len(pixels) < LEAST_IMAGES:
        warn(
            f"beside: no CKA of {len(pixels)} images, it needs {LEAST_IMAGES} or more; give a set, e.g. --set photos/"
        )
        return False
    return True


def _rows(options: ExplainOptions, source: DataOptions) -> tuple[ImageTable | None, list[int]]:
    """The set, and some of its rows: spread over it, never of its test split where it has others."""
    if not options.set:
        return None, []
    import numpy as np

    from headstart.cli.sources import open_table

    found = open_table(options.set, source)
    rows = found.rows("train") if found.splits is not None else found.rows("all")
    order = np.random.default_rng(options.seed).permutation(len(rows))[: options.most]
    return found, [int(rows[int(at)]) for at in np.sort(order)]


def _channels(seen: Seen, options: ExplainOptions, pixels: np.ndarray | None) -> Channels:
    from headstart.base.errors import BackboneError
    from headstart.explain.filters import (
        convolution,
        exciting_images,
        feature_maps,
        first_filters,
        strongest_channels,
    )
    from headstart.report.explain_page import Channels

    view = seen.views[0]
    target = seen.target.of(view.output.name)
    place = next((maps.layer for maps in view.maps.values() if maps.layer), options.layer)
    maps = feature_maps(target, seen.pixels[:1], place)[0]
    chosen = list(options.channel) or strongest_channels(maps, 8)
    if wrong := [each for each in chosen if each >= len(maps)]:
        raise BadOptions([f"channel: {wrong[0]} is outside 0 .. {len(maps) - 1} of layer {place}"])
    kernels: np.ndarray | None = None
    worked = None
    try:
        kernels, worked = first_filters(target), convolution(target, seen.pixels[0])
    except BackboneError as error:
        warn(str(error))
    exciting = [] if pixels is None else exciting_images(target, pixels, chosen, layer=place)
    of = view.output.name if seen.target.n_trunks > 1 else ""
    return Channels(str(place), kernels, worked, chosen, maps[chosen], exciting, pixels, of)


def _landscape(
    model: str, table: ImageTable, rows: list[int], options: ExplainOptions, source: DataOptions
) -> Any:
    import torch

    from headstart.explain.landscape import starts_of_backbone
    from headstart.images.prepare import normalise, prepare

    name = model
    if Path(model).is_dir():
        from headstart.export.bundle import load_bundle

        name = load_bundle(model).backbone.name
    backbone = _backbone(name, options.landscape_side)
    labels = table.labels[table.target(source.target or None)]
    known = [row for row in rows if labels[row] is not None]
    import numpy as np

    pixels = np.stack([prepare(table.item(row), backbone.card.preprocessing) for row in known])
    images = torch.from_numpy(normalise(pixels, backbone.card.preprocessing))
    return starts_of_backbone(
        backbone, images, [str(labels[row]) for row in known], steps=options.landscape_steps,
        side=options.landscape_grid, seed=options.seed,
    )  # fmt: skip


def _json(seen: Seen, parts: Parts, options: ExplainOptions) -> dict[str, Any]:
    starts = parts.starts
    return {
        **seen.to_dict(),
        "beside": None if parts.beside is None else parts.beside.to_dict(),
        "changes": [
            {"output": name or None, "n": each.n, "layers": each.rows, "cka": each.cka}
            for name, each in parts.changes.items()
        ],
        "landscape": None if starts is None else {
            name: {"losses": path.losses, "learning_rate": path.learning_rate, "explained": plane.explained}
            for name, (path, plane, _) in (("random", starts.random), ("pretrained", starts.pretrained))
        },
        "html": options.html,
    }  # fmt: skip


def lines(seen: Seen) -> list[str]:
    """The maps as text."""
    facts = seen.to_dict()
    rows = []
    for image in facts["images"]:
        for output, view in image["outputs"].items():
            for method, found in view["maps"].items():
                top = found["peak"]
                rows.append((
                    image["path"], output, view["class"], f"{100 * view['probability']:.1f} %", method,
                    "" if top is None else f"{100 * top[1]:.0f} %, {100 * top[0]:.0f} %",
                    _number(found.get("randomised")), _number(found.get("deletion")), _number(found.get("insertion")),
                ))  # fmt: skip
    head = (
        "image",
        "output",
        "class",
        "probability",
        "map",
        "peak (x, y)",
        "random weights",
        "deletion",
        "insertion",
    )
    said = table(head, rows, right=(3, 6, 7, 8))
    for each in facts["methods"]:
        if "randomised" in each:
            said.append(
                f"{each['method']}: correlation with random weights {_number(each['randomised'])}, {each['verdict']}"
            )
    said += [
        f"left out: {printable(each['path'])}: {printable(each['reason'])}" for each in facts["unreadable"]
    ]
    return said


def extra(parts: Parts, options: ExplainOptions) -> list[str]:
    """What stands beside the maps, as text."""
    said = []
    for output, change in parts.changes.items():
        same = ", ".join(f"{name} {value:.2f}" for name, value in change.same_layer().items())
        of = f"{printable(output)}: " if output else ""
        said.append(f"{of}CKA with {printable(str(options.beside))}, layer by layer: {same}")
    if parts.starts is not None:
        ends = [path.losses[-1] for path, _, _ in (parts.starts.random, parts.starts.pretrained)]
        said.append(
            f"loss after {options.landscape_steps} steps: {ends[0]:.3f} from random, {ends[1]:.3f} from pretrained"
        )
    if options.html:
        said.append(f"page: {printable(options.html)}")
    return said


def _number(value: float | None) -> str:
    return "" if value is None or value != value else f"{value:.2f}"
