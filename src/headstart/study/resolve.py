"""From the names of a spec to cards and layers; every unknown name is reported before anything runs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from headstart.backbones.card import BackboneCard, Preprocessing
from headstart.backbones.catalog import PACKAGED
from headstart.backbones.classic import require_pretrained
from headstart.base.errors import BadOptions, HeadstartError, MissingPackage, UnknownName
from headstart.study.spec import ENGINES, PRECISIONS, StudySpec, spec_mistakes, uses
from headstart.study.tuned import tune_mistakes

AUTO = "auto"
FROZEN = {"features", "retrieval"}
"""Uses that take features of the frozen network."""
WHOLLY_TRAINED = ("full", "scratch")
FIRST_AUTO_STAGE = 3


@dataclass(frozen=True)
class Place:
    """Where features are taken: a layer as it was asked for, and the module it stands for."""

    layer: str
    module: str


@dataclass(frozen=True)
class Variant:
    """One backbone at one input size (the card's preprocessing holds it).

    `places` are the layers that features are taken at, first to last; `trains` are the scenarios that train it
    at this size.
    """

    card: BackboneCard
    places: tuple[Place, ...]
    trains: tuple[str, ...] = ()


def resolve(
    spec: StudySpec,
    *,
    card_of: Callable[[str], BackboneCard] | None = None,
    modules_of: Callable[[str], Iterable[str]] | None = None,
    check_size: Callable[[str, Preprocessing], None] | None = None,
) -> tuple[Variant, ...]:
    """Check every name of a spec and find its backbones, input sizes and layers.

    Parameters
    ----------
    spec : StudySpec
    card_of, modules_of : callable, optional
        Name of a backbone to its card and to its module names; by default `headstart.backbones.load`. The
        network is loaded only where a layer is named by its module.
    check_size : callable, optional
        Raises BackboneError where the backbone of that name cannot take the size; by default it is run, where
        `card_of` is not given.

    Raises
    ------
    BadOptions
        With every mistake of the spec: values, backbones, sizes, layers, two names for one place, an engine
        that cannot serve here.
    """
    check_size = check_size or (_run_once if card_of is None else None)
    card_of, modules_of = card_of or _load_card, modules_of or _load_modules
    found, variants = spec_mistakes(spec), []
    found.extend([*_engine_mistakes(spec), *tune_mistakes(spec)])
    for name in dict.fromkeys(spec.backbone):
        try:
            card = card_of(name)
            if set(uses(spec)) != {"scratch"}:
                require_pretrained(card)
            sized = _shapes(spec, card)
        except HeadstartError as error:
            found.append(f"backbone: {error}")
            continue
        found.extend(_size_mistakes(card, sized, check_size) if check_size else ())
        places, wrong = _places(spec.layer, card, modules_of) if FROZEN & set(uses(spec)) else ((), [])
        if "finetune" in uses(spec):
            wrong += _cut_mistakes(spec.trainable, card)
        found.extend(line for line in wrong if line not in found)
        variants += [
            Variant(
                replace(card, preprocessing=shape),
                places if FROZEN & set(used) else (),
                tuple(name for name in used if name not in FROZEN),
            )
            for shape, used in sized.items()
        ]
    if spec.teacher:
        try:
            require_pretrained(card_of(spec.teacher))
        except HeadstartError as error:
            found.append(f"teacher: {error}")
    found = found or _trick_mistakes(spec, variants)
    if found:
        raise BadOptions(list(dict.fromkeys(found)))
    return tuple(variants)


def _trick_mistakes(spec: StudySpec, variants: Iterable[Variant]) -> list[str]:
    from headstart.study.trained import fittings
    from headstart.study.trick_spec import network_mistakes

    return network_mistakes(spec, list(fittings(spec, list(variants)).values()))


def _shapes(spec: StudySpec, card: BackboneCard) -> dict[Preprocessing, list[str]]:
    """Every input size with the scenarios that use it."""
    sized: dict[Preprocessing, list[str]] = {}
    for scenario in dict.fromkeys(uses(spec)):
        sizes = spec.train_input_size if scenario in WHOLLY_TRAINED else ()
        for size in sizes or spec.input_size or (0,):
            used = sized.setdefault(card.preprocessing.at(size or None), [])
            used.extend([scenario] if scenario not in used else [])
    return sized


def _size_mistakes(
    card: BackboneCard, sized: Iterable[Preprocessing], check_size: Callable[[str, Preprocessing], None]
) -> list[str]:
    """Sizes that the network cannot take."""
    found = []
    for shape in sized:
        try:
            check_size(card.name, shape)
        except HeadstartError as error:
            found.append(f"input_size: {error}")
    return found


def _run_once(backbone: str, shape: Preprocessing) -> None:
    """Packaged networks are spared: they take every size there is, and a finished study loads no torch."""
    if backbone not in PACKAGED:
        from headstart.backbones.load import load

        load(backbone).at((shape.height, shape.width))


def _cut_mistakes(trainable: tuple[str, ...], card: BackboneCard) -> list[str]:
    """Cuts that the network has not, and two that are one; it is loaded only where its card does not say so."""
    known = card.layers or {}
    n_stages = sum(bool(re.fullmatch(r"stage\d+", name)) for name in known)
    plain = {"head", "all", "norm", "bias", *(f"last:{k}" for k in range(1, n_stages + 1)), *known}
    # words alone never train the same part of a packaged network
    apart = card.name in PACKAGED and all(not cut or cut in plain - set(known) for cut in trainable)
    needs = dict.fromkeys(cut for cut in trainable if cut and cut not in plain)
    if not apart and len(set(trainable)) > 1:
        needs = dict.fromkeys(cut for cut in trainable if cut)
    found: list[str] = []
    same: dict[tuple[str, ...], str] = {}
    for cut in needs:
        try:
            trains = _find_cut(card.name, cut)
        except BadOptions as error:
            found.extend(error.mistakes)
        except HeadstartError as error:
            found.append(f"trainable: {error} (backbone {card.name})")
        else:
            first = same.setdefault(trains, cut)
            if first != cut:
                found.append(
                    f"trainable: {first!r} and {cut!r} train the same part of {card.name}; leave one of them out"
                )
    return found


def _find_cut(backbone: str, cut: str) -> tuple[str, ...]:
    """The parameters that a cut trains."""
    from headstart.backbones.freeze import find_cut
    from headstart.backbones.load import load

    return find_cut(load(backbone), cut).trainable


def _engine_mistakes(spec: StudySpec) -> list[str]:
    """What keeps the engine from serving in that precision on this machine."""
    if spec.engine not in ENGINES or spec.precision not in PRECISIONS:
        return []  # told already
    from headstart.features.engines.prepare import settle

    try:
        settle(spec.engine, spec.precision)
    except BadOptions as error:
        return list(error.mistakes)
    except MissingPackage as error:
        return [f"engine: {error}"]
    return []


def auto_layers(card: BackboneCard) -> tuple[str, ...]:
    """Aliases that "auto" stands for: the stages from the third on (all where there are fewer) and `pool`."""
    stages = [name for name in card.layers or {} if re.fullmatch(r"stage\d+", name)]
    late = [name for name in stages if int(name.removeprefix("stage")) >= FIRST_AUTO_STAGE]
    return (*(late or stages), *(("pool",) if "pool" in (card.layers or {}) else ()))


def _places(
    asked: tuple[str, ...], card: BackboneCard, modules_of: Callable[[str], Iterable[str]]
) -> tuple[tuple[Place, ...], list[str]]:
    known = card.layers or {}
    found: dict[str, Place] = {}
    wrong: list[str] = []
    names = [each for layer in asked for each in (auto_layers(card) if layer == AUTO else (layer,))]
    if AUTO in asked and not auto_layers(card):
        wrong.append(f"layer: {card.name} has no named stages for 'auto'; name its modules")
    for name in dict.fromkeys(name for name in names if name):
        module = known.get(name) or (name if name in known.values() else "")
        if not module:
            modules = tuple(modules_of(card.name))
            if name not in modules:
                unknown = UnknownName("layer", name, [AUTO, *known, *modules])
                wrong.append(f"layer: {unknown} (backbone {card.name})")
                continue
            module = name
        if module in found and AUTO not in asked:
            wrong.append(f"layer: {found[module].layer!r} and {name!r} are the same place of {card.name}")
        found.setdefault(module, Place(name, module))
    order = {module: place for place, module in enumerate(known.values())}
    ranked = sorted(found.values(), key=lambda place: order.get(place.module, len(order)))
    return tuple(ranked), wrong


def _load_card(name: str) -> BackboneCard:
    from headstart.backbones.load import card

    return card(name)


def _load_modules(name: str) -> Iterable[str]:
    from headstart.backbones.load import load

    return load(name).layers
