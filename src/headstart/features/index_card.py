"""What an index says of itself: the network and the way its vectors were made, so that no others are mixed in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from headstart.base.errors import BadOptions, DataError
from headstart.base.events import warn

FORMAT, VERSION = "headstart-index", 1
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
