"""What every engine offers: pixels in, one matrix a place out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np

ENGINES = ("auto", "torch", "onnxruntime", "openvino")
PRECISIONS = ("float32", "bfloat16", "int8")


class Runner(Protocol):
    """A network ready to run.

    `n_workers` is how many threads may call `run` at the same time with profit: CPU engines run one thread
    a call, so that decoding and the network share the processors without waiting for each other.
    """

    n_workers: int
    batch_size: int

    def run(self, pixels: np.ndarray) -> list[np.ndarray]:
        """Features of uint8 pixels (n, height, width, 3): one float32 (n, d) a place, in order."""
        ...


@dataclass(frozen=True)
class Parity:
    """How an engine's features compare with torch's in float32 on real images.

    `least_cosine` and `mean_cosine` are over images and places; `neighbours` is the share of images whose
    nearest neighbour among the sample is the same (None where not measured); `n` images.
    """

    least_cosine: float
    mean_cosine: float
    neighbours: float | None
    n: int

    def to_dict(self) -> dict[str, Any]:
        """As a JSON-like value."""
        return {
            "least_cosine": self.least_cosine,
            "mean_cosine": self.mean_cosine,
            "neighbours": self.neighbours,
            "n": self.n,
        }


@dataclass(frozen=True)
class EngineFacts:
    """Which engine served, in which precision, and how it was checked; printed in the report."""

    engine: str
    precision: str
    device: str
    parity: Parity | None = None
    export_seconds: float = 0.0
    graph: str = ""
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """As a JSON-like value."""
        return {
            "engine": self.engine,
            "precision": self.precision,
            "device": self.device,
            "parity": self.parity.to_dict() if self.parity else None,
            "export_seconds": self.export_seconds,
            "note": self.note,
        }
