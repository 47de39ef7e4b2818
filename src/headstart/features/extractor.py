"""`FeatureExtractor`: images in, features out, as a scikit-learn transformer over a frozen backbone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

from headstart.backbones.input_size import Given
from headstart.base.errors import DataError
from headstart.base.hashing import digest_bytes, digest_file
from headstart.features.extract import Extraction, extract
from headstart.features.run import Seen
from headstart.features.store import DEFAULT_CACHE_GB
from headstart.features.taps import Tap
from headstart.images.decode import ImageItem

if TYPE_CHECKING:
    from headstart.backbones.load import Backbone


def item_digest(item: ImageItem) -> str:
    """Content hash of an image: of a file's bytes, or of the pixels of an array or PIL image."""
    if isinstance(item, str | Path):
        if not Path(item).is_file():
            raise DataError(f"{item}: no such image file")
        return digest_file(item)
    if isinstance(item, bytes):
        return digest_bytes(b"bytes", item)
    pixels = np.asarray(item)
    mode = str(getattr(item, "mode", ""))
    return digest_bytes(
        f"{pixels.dtype}{pixels.shape}{mode}".encode(), np.ascontiguousarray(pixels).tobytes()
    )


def listed(X: Any) -> list[ImageItem]:
    """Images as a list; one path or one image alone is refused.

    Raises
    ------
    DataError
    """
    if isinstance(X, str | bytes | Path) or not hasattr(X, "__len__"):
        raise DataError(
            f"X: expected a sequence of paths, PIL images or arrays, got {type(X).__name__}; put it in a list"
        )
    if isinstance(X, np.ndarray) and X.dtype.kind not in "OUS":
        if X.ndim not in (3, 4):
            raise DataError(f"X: an array of images has shape (n, height, width[, 3]), got {X.shape}")
        return list(X)
    items = [str(item) if isinstance(item, np.str_) else item for item in X]
    if not items:
        raise DataError("X: there are no images")
    return items


class FeatureExtractor(TransformerMixin, BaseEstimator):  # type: ignore[misc,unused-ignore]
    """Features of a frozen pretrained network at one layer.

    Parameters
    ----------
    backbone : str or Backbone
        "lite0", "timm:NAME", ... (see `headstart backbones`).
    layer : str or sequence of str
        Alias or module name; several layers are concatenated, from one forward pass.
    pooling : {"avg", "max", "avg+std", "gem", "flat"}
    engine : {"auto", "torch", "onnxruntime", "openvino"}
    precision : {"float32", "bfloat16", "int8"}
    input_size : int, "HEIGHTxWIDTH" or (height, width), optional
        Pixels; default the backbone's own.
    cache_gb : float
        Cap of the feature cache in gigabytes; 0 keeps nothing.

    Attributes
    ----------
    extraction_ : Extraction
        Of the last `transform`: engine, parity, seconds.
    n_features_out_ : int

    Examples
    --------
    >>> import numpy as np
    >>> images = np.zeros((2, 32, 32, 3), np.uint8)
    >>> FeatureExtractor(layer="stage3").fit_transform(images).shape
    (2, 40)
    """

    def __init__(
        self,
        *,
        backbone: str | Backbone = "lite0",
        layer: str | Sequence[str] = "pool",
        pooling: str = "avg",
        engine: str = "auto",
        precision: str = "float32",
        input_size: Given | None = None,
        cache_gb: float = DEFAULT_CACHE_GB,
    ) -> None:
        self.backbone = backbone
        self.layer = layer
        self.pooling = pooling
        self.engine = engine
        self.precision = precision
        self.input_size = input_size
        self.cache_gb = cache_gb

    def fit(self, X: Any, y: Any = None) -> FeatureExtractor:
        """Nothing is learned; the images are not read."""
        listed(X)
        self.fitted_ = True
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def transform(self, X: Any) -> np.ndarray:
        """Features, float32 (n, d).

        Raises
        ------
        DataError
            An image cannot be read; the message names the first ones.
        """
        items = listed(X)
        found = self.extract(items, [item_digest(item) for item in items])
        if found.problems:
            first = "; ".join(f"{problem.path}: {problem.reason}" for problem in found.problems[:3])
            raise DataError(f"{len(found.problems)} of {len(items)} images cannot be read ({first})")
        return self.joined(found)

    def extract(
        self,
        items: Sequence[ImageItem],
        digests: Sequence[str],
        paths: Sequence[str] | None = None,
        seen: Seen | None = None,
    ) -> Extraction:
        """Features with their record, bad images marked instead of raised; `seen` as for `extract`."""
        names = paths or [
            str(item) if isinstance(item, str | Path) else f"image {row}" for row, item in enumerate(items)
        ]
        earlier = getattr(self, "extraction_", None)
        self.extraction_ = extract(
            items,
            digests,
            paths=names,
            backbone=self.backbone,
            taps=self.taps(),
            engine=self.engine,
            precision=self.precision,
            input_size=self.input_size,
            cache_gb=self.cache_gb,
            calibration=earlier.calibration if earlier is not None else None,
            seen=seen,
        )
        return self.extraction_

    def taps(self) -> list[Tap]:
        """The taps that the options name."""
        layers = [self.layer] if isinstance(self.layer, str) else list(self.layer)
        return [Tap(layer, self.pooling) for layer in layers]

    def joined(self, found: Extraction) -> np.ndarray:
        """The matrix of all taps side by side."""
        parts = [found.features[tap] for tap in self.taps()]
        features = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
        self.n_features_out_ = features.shape[1]
        return features
