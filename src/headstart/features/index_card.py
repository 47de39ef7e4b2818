"""What an index says of itself: the network and the way its vectors were made, so that no others are mixed in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from headstart.base.errors import BadOptions, DataError
from headstart.base.events import warn
from headstart.features.neighbours.exact import METRICS
from headstart.images.decode import DECODER

if TYPE_CHECKING:
    from headstart.backbones.load import Backbone

FORMAT, VERSION = "headstart-index", 1
DEFAULTS: dict[str, Any] = {
    "backbone": "lite0",
    "layer": "pool",
    "pooling": "avg",
    "metric": "cosine",
    "whiten": 0,
}
FLAGS = ("backbone", "layer", "pooling", "input_size", "metric", "whiten")


@dataclass(frozen=True, kw_only=True)
class IndexCard:
    """Everything that decides a vector of an index.

    Attributes
    ----------
    backbone, weights_digest : str
    layer, pooling : str
    input_size : str
        "HEIGHTxWIDTH" in pixels.
    preprocessing_digest, decoder, precision : str
    metric : {"cosine", "l2"}
    whiten : int
        Dimensions kept by PCA-whitening; 0: none.
    dimension : int
        Values of a vector.
    """

    backbone: str
    weights_digest: str
    layer: str
    pooling: str
    input_size: str
    preprocessing_digest: str
    decoder: str
    precision: str
    metric: str
    whiten: int
    dimension: int = 0

    def to_dict(self) -> dict[str, Any]:
        """As a JSON-like value."""
        return {"format": FORMAT, "version": VERSION, **asdict(self)}

    @staticmethod
    def from_dict(value: Mapping[str, Any], where: str) -> IndexCard:
        """The card that `to_dict` described.

        Raises
        ------
        DataError
            It is no card of an index, or of a later version.
        """
        if value.get("format") != FORMAT:
            raise DataError(f"{where}: not an index of Headstart")
        if value.get("version") != VERSION:
            raise DataError(
                f"{where}: an index of version {value.get('version')!r}; this Headstart reads {VERSION}"
            )
        own = {field.name: field.type for field in fields(IndexCard)}
        kinds: dict[Any, type] = {"str": str, "int": int}
        wrong = [name for name, kind in own.items() if type(value.get(name)) is not kinds[kind]]
        if wrong:
            raise DataError(f"{where}: its card is damaged ({', '.join(wrong)}); index again")
        return IndexCard(**{name: value[name] for name in own})

    def refuse_other(self, asked: Mapping[str, Any]) -> None:
        """Refuse options (those that are not None) that would make other vectors.

        Raises
        ------
        BadOptions
            With every difference.
        """
        found = [
            f"{name.replace('_', '-')}: the index was made with {getattr(self, name)!r}, not {asked[name]!r}"
            for name in FLAGS
            if asked.get(name) is not None and str(asked[name]) != str(getattr(self, name))
        ]
        if found:
            raise BadOptions([*found, "leave these options out, or write to another index"])

    def refuse_weights(self, made: IndexCard) -> None:
        """Refuse a network of that name whose weights or preprocessing are others.

        Raises
        ------
        DataError
        """
        if self.decoder != made.decoder:
            warn(f"the index was made with another decoder ({self.decoder}); pixels may differ by a little")
        for name in ("weights_digest", "preprocessing_digest"):
            if getattr(self, name) != getattr(made, name):
                raise DataError(
                    f"the index was made with another {name.replace('_', ' ')} of {self.backbone} "
                    f"({getattr(self, name)[:12]}, now {getattr(made, name)[:12]}); index anew"
                )

    def sized(self, dimension: int) -> IndexCard:
        """The card with the length of its vectors."""
        return replace(self, dimension=dimension)


def make_card(asked: dict[str, Any], module: Backbone | None) -> IndexCard:
    """The card that these options make; what is None takes its default."""
    from headstart.backbones.load import card as card_of

    told = {name: DEFAULTS[name] if asked.get(name) is None else asked[name] for name in DEFAULTS}
    wrong = (
        []
        if told["metric"] in METRICS
        else [f"metric: {told['metric']!r} is not one of {', '.join(METRICS)}"]
    )
    if told["whiten"] < 0:
        wrong.append(f"whiten: {told['whiten']} is below 0")
    if wrong:
        raise BadOptions(wrong)
    card = card_of(module if module is not None else told["backbone"])
    shape = card.preprocessing.at(asked.get("input_size"))
    return IndexCard(
        **told, weights_digest=card.weights_digest, input_size=f"{shape.height}x{shape.width}",
        preprocessing_digest=shape.digest(), decoder=str(DECODER), precision="float32",
    )  # fmt: skip


def size_text(size: str | int | None) -> str | None:
    """An input size as the card holds it.

    Raises
    ------
    BadOptions
    """
    from headstart.backbones.input_size import sides

    if size is None:
        return None
    try:
        height, width = sides(size)
    except ValueError as error:
        raise BadOptions([f"input size: {error}"]) from error
    return f"{height}x{width}"
