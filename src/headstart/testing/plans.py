"""Tables and plans without images or networks, for tests of what a study will run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from headstart.backbones.card import BackboneCard, Preprocessing
from headstart.base.errors import UnknownName
from headstart.base.hashing import digest_bytes
from headstart.images.table import ImageTable
from headstart.study.partition import make_dataset
from headstart.study.plan import Plan, make_plan
from headstart.study.resolve import Variant, resolve
from headstart.study.spec import StudySpec

LAYERS = {
    "stem": "bn1",
    **{f"stage{n}": f"blocks.{n - 1}" for n in range(1, 6)},
    "pool": "gap",
    "logits": "fc",
}
GIVEN = ("train", "train", "train", "validation", "test")


def card(name: str = "net") -> BackboneCard:
    """A card of that name; "absent" is unknown."""
    if name == "absent":
        raise UnknownName("backbone", name, ["net"])
    return BackboneCard(name, "arch", "here", digest_bytes(name.encode()), Preprocessing(), layers=LAYERS)


def resolved(spec: StudySpec) -> tuple[Variant, ...]:
    """The variants of a spec, of such cards."""
    return resolve(spec, card_of=card, modules_of=lambda name: ["bn1", "blocks.0", "blocks.0.conv"])


def table(
    n: int = 30,
    given: Sequence[str] | None = None,
    order: Sequence[int] | None = None,
    name: str = "shapes",
    groups: tuple[str, ...] | None = None,
) -> ImageTable:
    """n rows of three classes; `given` repeats as the split."""
    rows = list(range(n)) if order is None else list(order)
    whole = ImageTable(
        name=name,
        root="",
        paths=tuple(f"{row}.png" for row in range(n)),
        digests=tuple(digest_bytes(str(row).encode()) for row in range(n)),
        labels={"class": tuple("abc"[row % 3] for row in range(n))},
        groups=groups,
        splits=None if given is None else tuple(given[row % len(given)] for row in range(n)),
    )
    return whole.select(rows)


def planned(spec: StudySpec, tables: Sequence[ImageTable], **options: Any) -> Plan:
    """The plan of a spec over tables."""
    data = [make_dataset(each, "class", seeds=spec.seeds, folds=spec.folds) for each in tables]
    return make_plan(spec, data, resolved(spec), uses_seed=lambda head, validated: not validated, **options)
