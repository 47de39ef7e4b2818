"""`headstart augment`: see what a policy does to an image, and whether operators destroy the labels of a dataset."""

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
    from headstart.audit.augmentation import AugmentationCheck

EXAMPLE = """
headstart augment photo.jpg --policy heavy --grid 4x6 --out preview.png
headstart augment photo.jpg --policy all --out operators.png
headstart augment photos/ --check
headstart augment --policy medium --show > mine.toml
"""
EVERY = "all"
SAID = {
    "destroys": "destroys labels", "unclear": "crosses; unclear", "far": "crosses; can be learned", "safe": "safe",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class AugmentOptions:
    """What `augment` takes beside its source."""

    policy: str = option(
        "medium",
        "none, crop, light, medium, heavy, rand_augment, trivial_augment, augmix, a file NAME.toml, or all: every "
        "operator by itself",
        metavar="POLICY",
    )
    grid: str = option("4x6", "rows x columns of the preview", metavar="ROWSxCOLUMNS")
    out: str | None = option(None, "where the preview goes, a .png or .jpg", metavar="FILE")
    side: int = option(160, "longer side of a tile in pixels", low=16, high=1024)
    seed: int = option(0, "of everything that is drawn", low=0, high=2**31)
    show: bool = option(False, "print the policy as TOML")
    check: bool = option(
        False, "measure which operators (or steps of --policy) carry images to other classes"
    )
    images: int = option(300, "most images that --check looks at", low=20, high=600)
    backbone: str = option("lite0", "network whose features --check measures with")
    target: str | None = option(None, "label column that --check goes by", metavar="COLUMN")


def add_to(app: typer.Typer) -> None:
    """Make `augment` a verb of the app."""
    verb(app, AugmentOptions, example=EXAMPLE)(augment)


def augment(
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="SOURCE", help="An image; with --check images with labels (DATA).", show_default=False
        ),
    ] = None,
    json: Json = False,
    **flags: Any,
) -> None:
    """Draw what an augmentation does to an image, or measure what it does to the labels of a dataset.

    --check compares how far each operator moves images, by the features of a frozen network, with how far classes
    lie apart. Test images are not looked at.
    """
    options = build(AugmentOptions, flags)
    _refuse(source, options, json)
    if options.show:
        from headstart.images.augment import find_policy

        say(find_policy(options.policy).to_toml().rstrip())
    elif options.check:
        _check(str(source), options, "policy" in flags and flags["policy"] is not None, json)
    else:
        _preview(str(source), options)


def _refuse(source: str | None, options: AugmentOptions, json: bool) -> None:
    wrong = []
    if source is None and not options.show:
        wrong.append("an image is missing (or with --check a dataset)")
    if json and not options.check:
        wrong.append("--json goes with --check")
    if options.show and (options.check or options.policy == EVERY):
        wrong.append("--show prints one policy; give it without --check and with a policy's name")
    if not options.show and not options.check:
        if options.out is None:
            wrong.append("out: say where the preview goes, e.g. --out preview.png")
        elif Path(options.out).suffix.lower() not in (".png", ".jpg", ".jpeg"):
            wrong.append(f"out: expected a name that ends with .png or .jpg, got {options.out!r}")
    if wrong:
        raise BadOptions(wrong)


def _grid(text: str) -> tuple[int, int]:
    rows, cross, columns = text.lower().partition("x")
    if not (cross and rows.strip().isdigit() and columns.strip().isdigit()):
        raise BadOptions([f"grid: expected rows x columns, e.g. 4x6, got {text!r}"])
    return int(rows), int(columns)


def _preview(source: str, options: AugmentOptions) -> None:
    from PIL import Image

    from headstart.base.files import written_aside
    from headstart.images.augment import find_policy
    from headstart.images.augment.preview import operator_sheet, policy_sheet

    rows, columns = _grid(options.grid)
    with shown():
        if options.policy == EVERY:
            drawn = operator_sheet(Path(source), columns=columns, side=options.side, seed=options.seed)
        else:
            chosen = find_policy(options.policy)
            drawn = policy_sheet(Path(source), chosen, rows, columns, side=options.side, seed=options.seed)
    out = Path(str(options.out))
    with written_aside(out) as aside:
        Image.fromarray(drawn).save(aside, "PNG" if out.suffix.lower() == ".png" else "JPEG", quality=90)
    say(f"{printable(out)}: {drawn.shape[1]} x {drawn.shape[0]} pixels")


def _check(source: str, options: AugmentOptions, own_policy: bool, json: bool) -> None:
    from headstart.audit.augmentation import check_augmentation
    from headstart.images.augment import find_policy
    from headstart.images.scan import scan

    chosen = find_policy(options.policy) if own_policy and options.policy != EVERY else None
    with shown():
        found = check_augmentation(
            scan(source), target=options.target, backbone=options.backbone, policy=chosen,
            n_images=options.images, seed=options.seed,
        )  # fmt: skip
    if json:
        say_json(found.to_dict())
        return
    for line in lines(found):
        say(line)


def lines(found: AugmentationCheck) -> list[str]:
    """The check as text."""
    rows = [
        (
            each.name, f"{each.distance:.2f}", f"{each.crossed:.0%}",
            f"{each.crossed_low:.0%} .. {each.crossed_high:.0%}",
            "" if each.verdict == "safe" else f"{each.learned:.0%}", SAID[each.verdict],
            ", ".join(f"{a} -> {b} ({share:.0%})" for a, b, share in each.pairs),
        )
        for each in found.operators
    ]  # fmt: skip
    head = ("operator", "moves", "crosses", "95 %", "learned", "verdict", "confused")
    flagged = sum(each.flagged for each in found.operators)
    return [
        f"{printable(found.dataset)}: {found.n_images} images of {found.n_classes} classes, told rightly when plain: "
        f"{found.plain_accuracy:.0%}",
        "moves: distance to the changed image, in distances between classes; crosses: images told rightly when",
        "plain and wrongly when changed; learned: accuracy on changed images, of that on plain ones, by a",
        "classifier that has seen such",
        "",
        *table(head, rows, right=(1, 2, 3, 4)),
        "",
        f"{flagged} of {len(found.operators)} operators cross between classes; leave out those that destroy labels, "
        "and take those that can be learned only where such images will come; more --images settle what is unclear",
    ]
