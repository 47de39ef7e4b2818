"""What `explain` adds to the maps: the models it opens, a second one beside, a set, channels, a landscape."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.base.errors import BadOptions, DataError
from headstart.base.events import warn
from headstart.cli.declared import DataOptions
from headstart.cli.text import printable

if TYPE_CHECKING:
    import numpy as np

    from headstart.backbones.load import Backbone
    from headstart.cli.explain import ExplainOptions
    from headstart.explain.see import Seen
    from headstart.explain.similarity import Change
    from headstart.explain.target import Target
    from headstart.images.table import ImageTable
    from headstart.report.explain_parts import Channels, Parts


def open_target(name: str, input_size: str | int | tuple[int, int] | None = None) -> Target:
    """A model folder or a backbone as a target."""
    from headstart.explain.target import target_of_backbone, target_of_bundle

    if _is_model(name):
        from headstart.export.bundle import load_bundle
        from headstart.export.trained import load_network

        if input_size is not None:
            raise BadOptions(["input-size: a model has its own input size; leave it out"])
        bundle = load_bundle(name)
        return target_of_bundle(bundle, load_network(bundle) if bundle.trained else None)
    from headstart.backbones.class_names import class_names

    backbone = _backbone(name, input_size)
    return target_of_backbone(backbone, class_names(backbone))


def open_beside(name: str, target: Target) -> Target:
    """The second model; a backbone at the input size of the first, so that layers can be compared."""
    how = target.preprocessing
    return open_target(name, None if _is_model(name) else (how.height, how.width))


def _is_model(name: str) -> bool:
    return (Path(name) / "card.json").is_file() or Path(name).is_dir()


def _backbone(name: str, input_size: str | int | tuple[int, int] | None) -> Backbone:
    from headstart.backbones.load import load

    return load(name).at(
        int(input_size) if isinstance(input_size, str) and input_size.isdecimal() else input_size
    )


@dataclass(frozen=True, eq=False)
class ChosenSet:
    """Images of `--set` that can be read.

    Attributes
    ----------
    table : ImageTable
    rows : list of int
    pixels : ndarray of uint8, shape (n, height, width, 3)
        As the network sees them.
    n_all : int
        Images that they were drawn from.
    labels : list of str or None
        For the landscape; empty without one.
    """

    table: ImageTable
    rows: list[int]
    pixels: np.ndarray
    n_all: int
    labels: list[str | None]


def chosen_set(target: Target, options: ExplainOptions, source: DataOptions) -> ChosenSet:
    """Some images of the set: spread over it, never of its test split where it has others.

    Raises
    ------
    DataError
        There is none, or none can be read; for a landscape fewer than two classes.
    """
    import numpy as np

    from headstart.cli.sources import open_table
    from headstart.explain.see import read_pixels

    table = open_table(str(options.set), source)
    every = table.rows("train") if table.splits is not None else table.rows("all")
    if not len(every):
        raise DataError(
            f"set: {table.name} has no image{'' if table.splits is None else ' in its train split'}"
        )
    order = np.random.default_rng(options.seed).permutation(len(every))[: options.most]
    rows = [int(every[int(at)]) for at in np.sort(order)]
    good, pixels, problems = read_pixels(
        target, [table.item(row) for row in rows], [table.paths[row] for row in rows]
    )
    if problems:
        warn(
            f"set: {len(problems)} of {len(rows)} images cannot be read and are left out (first: {problems[0].path}: "
            f"{problems[0].reason})"
        )
    kept = [rows[at] for at in good]
    labels: list[str | None] = []
    if options.landscape:
        column = table.labels[table.target(source.target or None)]
        labels = [column[row] for row in kept]
        if len({label for label in labels if label is not None}) < 2:
            raise DataError("landscape: it needs images of two classes or more in --set")
    return ChosenSet(table, kept, pixels, len(every), labels)


def parts_of(
    model: str,
    seen: Seen,
    others: list[Target],
    paths: list[Path],
    options: ExplainOptions,
    chosen: ChosenSet | None,
    common: dict[str, Any],
) -> Parts:
    """Everything beside the maps that was asked for; `others` holds the second model, if there is one."""
    from headstart.explain.optimisers import race
    from headstart.report.explain_parts import Parts

    beside = starts = None
    changes: dict[str, Change] = {}
    for other in others:
        beside = _see_beside(other, seen, paths, options, common)
        changes = _changes(other, seen, options.output, seen.pixels if chosen is None else chosen.pixels)
    if options.landscape and chosen is not None:
        starts = _landscape(model, chosen, options)
    found = _channels(seen, options, chosen) if options.html else None
    return Parts(beside, found, changes, starts, race(options.optimisers) if options.optimisers else None)


def _see_beside(
    other: Target, seen: Seen, paths: list[Path], options: ExplainOptions, common: dict[str, Any]
) -> Seen:
    """The same images through the second model: the output, class and layer that were asked for, where it has them."""
    from headstart.explain.cam import CAMS
    from headstart.explain.see import counterpart, see

    own = options.output if options.output in [each.name for each in other.outputs] else None
    wanted, layer = {}, options.layer if set(options.method) & set(CAMS) else None
    for output in other.outputs:
        view = counterpart(seen.views, output.name)
        if options.label is not None and view is not None and view.name(0) in output.classes:
            wanted[output.name] = view.name(0)
        if layer is not None and own in (None, output.name) and not _has(other.of(output.name), layer):
            warn(
                f"beside: {printable(other.name)} has no layer {printable(layer)} for maps; its last one is shown"
            )
            layer = None
    names = [str(path) for path in paths]
    return see(other, paths, names, output=own, layer=layer, wanted=wanted, check=options.check, **common)


def _has(target: Target, layer: str) -> bool:
    return target.aliases.get(layer, layer) in target.layers


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


def _channels(seen: Seen, options: ExplainOptions, chosen: ChosenSet | None) -> Channels:
    from headstart.base.errors import BackboneError
    from headstart.explain.filters import (
        convolution,
        exciting_images,
        feature_maps,
        first_filters,
        strongest_channels,
    )
    from headstart.report.explain_parts import Channels, OfSet

    view = seen.views[0]
    target = seen.target.of(view.output.name)
    named = next((maps.layer for maps in view.maps.values() if maps.layer), options.layer)
    place = (target.layer(named, view.output.name) if named else target.deepest(view.output.name)).name
    maps = feature_maps(target, seen.pixels[:1], place)[0]
    shown = list(options.channel) or strongest_channels(maps, 8)
    if wrong := [each for each in shown if each >= len(maps)]:
        raise BadOptions([f"channel: {wrong[0]} is outside 0 .. {len(maps) - 1} of layer {place}"])
    kernels: np.ndarray | None = None
    worked = None
    try:
        kernels, worked = first_filters(target), convolution(target, seen.pixels[0])
    except BackboneError as error:
        warn(str(error))
    of_set = None
    if chosen is not None:
        names = [chosen.table.paths[row] for row in chosen.rows]
        exciting = exciting_images(target, chosen.pixels, shown, layer=place)
        of_set = OfSet(exciting, chosen.pixels, names, chosen.n_all)
    of = view.output.name if seen.target.n_trunks > 1 else ""
    return Channels(
        target.called(place), kernels, worked, shown, maps[shown], bool(options.channel), of_set, of
    )


def _landscape(model: str, chosen: ChosenSet, options: ExplainOptions) -> Any:
    import numpy as np
    import torch

    from headstart.explain.landscape import starts_of_backbone
    from headstart.images.prepare import normalise, prepare

    name = model
    if Path(model).is_dir():
        from headstart.export.bundle import load_bundle

        name = load_bundle(model).backbone.name
    backbone = _backbone(name, options.landscape_side)
    known = [
        (row, str(label)) for row, label in zip(chosen.rows, chosen.labels, strict=True) if label is not None
    ]
    how = backbone.card.preprocessing
    pixels = np.stack([prepare(chosen.table.item(row), how) for row, _ in known])
    images = torch.from_numpy(normalise(pixels, how))
    return starts_of_backbone(
        backbone, images, [label for _, label in known], steps=options.landscape_steps,
        side=options.landscape_grid, seed=options.seed,
    )  # fmt: skip
