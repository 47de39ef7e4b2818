"""`headstart explain`: what a network looks at, what its channels do, and how far such pictures may be believed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from headstart.base.errors import BadOptions
from headstart.base.options import option
from headstart.cli.declared import DataOptions
from headstart.cli.flags import Json, build, verb
from headstart.cli.screen import shown
from headstart.cli.text import say, say_json

EXAMPLE = """
headstart explain lite0 photo.jpg --html seen.html
headstart explain model photos/ --method gradcam,occlusion --label disc
headstart explain model photo.jpg --beside lite0 --set photos/ --html seen.html
headstart explain lite0 photo.jpg --set photos/ --landscape --optimisers beale --html seen.html
"""
CAMS = ("gradcam", "gradcam++", "layercam", "eigencam")  # as explain.cam has them, which loads torch
METHODS = (*CAMS, "integrated_gradients", "occlusion")


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
    _check(options, [name for name, value in flags.items() if value is not None])
    from headstart.cli.explain_parts import chosen_set, open_beside, open_target, parts_of
    from headstart.cli.explain_text import as_json, beside_lines, extra, lines
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
        targets = [target] if options.beside is None else [target, open_beside(options.beside, target)]
        for each in targets:
            if set(options.method) - {"occlusion"}:
                each.check_gradient()
            if set(options.method) & set(CAMS):
                each.check_stride()
        chosen = None if options.set is None else chosen_set(target, options, source)
        seen = see(
            target, paths, names, layer=options.layer, output=options.output, wanted=options.label,
            check=options.check, on_bad=source.on_bad, **common,
        )  # fmt: skip
        parts = parts_of(model, seen, targets[1:], paths, options, chosen, common)
        if options.html:
            from headstart.report.explain_page import write_explain_page

            write_explain_page(seen, options.html, parts)
    if json:
        say_json(as_json(seen, parts, options.html))
        return None
    second = [] if parts.beside is None else beside_lines(parts.beside)
    for line in [*lines(seen), *second, *extra(parts, options)]:
        say(line)
    return None


def _check(options: ExplainOptions, given: Sequence[str]) -> None:
    """Refuse what would be ignored, before any work."""
    html, cams = options.html is not None, set(options.method) & set(CAMS)
    page = "say where the page goes, e.g. --html seen.html"
    needed = {
        "landscape": (html, page), "optimisers": (html, page), "channel": (html, page),
        "set": (html or options.beside, "only a page or a second model looks at it: give --html seen.html or --beside"),
        "layer": (html or cams, f"{' and '.join(options.method)} is computed in the pixels and takes no layer"),
        "most": (options.set, "say of which images, e.g. --set photos/"),
        "steps": ("integrated_gradients" in options.method, "only for --method integrated_gradients"),
        "windows": ("occlusion" in options.method, "only for --method occlusion"),
        "draws": (options.check, "nothing is checked with --no-check"),
        "fractions": (options.check, "nothing is checked with --no-check"),
        **dict.fromkeys(
            ("landscape_side", "landscape_steps", "landscape_grid"), (options.landscape, "only with --landscape")
        ),
    }  # fmt: skip
    wrong = [
        f"{name.replace('_', '-')}: {why}"
        for name, (there, why) in needed.items()
        if name in given and getattr(options, name) and not there
    ]
    if options.landscape and not options.set:
        wrong.insert(0, "landscape: say on which images, e.g. --set photos/")
    if wrong:
        raise BadOptions(wrong)
