"""Would another normalisation in use fit the weights better than the card's? Asked of images of known class.

Accuracy alone does not tell: a good network answers most photos right through a wrong mean and standard
deviation (lite0 83 instead of 88 of 100). The log-likelihood of the known classes does, image by image: the
right normalisation wins by 4.5 standard errors and more on 100 images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from headstart.backbones.card import Preprocessing
from headstart.images.decode import ImageItem
from headstart.images.prepare import normalise, prepare

if TYPE_CHECKING:
    from headstart.backbones.load import Backbone

LEAST_IMAGES, MOST_IMAGES = 20, 200
MOST_ERRORS = 3.0  # standard errors of the mean gain; 5 rivals are all below it 993 times of 1,000 by chance
BATCH = 20
Triple = tuple[float, float, float]
IN_USE: dict[str, tuple[Triple, Triple]] = {
    "ImageNet's mean and std": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "-1 to 1": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "0 to 1": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    "0 to 255": ((0.0, 0.0, 0.0), (1 / 255, 1 / 255, 1 / 255)),
    "ImageNet's mean, 0 to 255": ((0.485, 0.456, 0.406), (1 / 255, 1 / 255, 1 / 255)),
}
SAME = 0.02  # of a standard deviation: 127/128 is the same normalisation as 0.5/0.5


@dataclass(frozen=True)
class Rival:
    """A normalisation the card does not name, and how it does.

    Attributes
    ----------
    name : str
    gain : float
        Mean log-likelihood (nats an image) of the known classes, less that under the card's normalisation.
    errors : float
        The gain in its standard errors over the images; above 3 the rival fits better.
    """

    name: str
    gain: float
    errors: float

    @property
    def better(self) -> bool:
        """Whether it fits better than the card by more than chance."""
        return self.errors > MOST_ERRORS


def best_rival(backbone: Backbone, items: Sequence[ImageItem], truth: np.ndarray) -> Rival | None:
    """The normalisation in use, other than the card's, under which known images are most likely.

    Parameters
    ----------
    backbone : Backbone
        With its own classifier, at the input size to test.
    items : sequence
        Images that can be decoded; the first 200 serve, in steps over all.
    truth : ndarray of int, shape (n,)
        Index of each image's class among the classifier's.

    Returns
    -------
    Rival or None
        None for fewer than 20 images: too few to tell.
    """
    rows = np.unique(np.linspace(0, len(items) - 1, min(len(items), MOST_IMAGES)).astype(int))
    if len(rows) < LEAST_IMAGES:
        return None
    how = backbone.card.preprocessing
    pixels = np.stack([prepare(items[row], how) for row in rows])
    own = _likelihood(backbone, pixels, truth[rows], how)
    found = []
    for name, each, seen in _rivals(how, pixels):
        gains = _likelihood(backbone, seen, truth[rows], each) - own
        spread = float(gains.std(ddof=1)) / np.sqrt(len(gains))
        found.append(Rival(name, float(gains.mean()), float(gains.mean() / max(spread, 1e-12))))
    return max(found, key=lambda rival: rival.errors)


def _rivals(how: Preprocessing, pixels: np.ndarray) -> list[tuple[str, Preprocessing, np.ndarray]]:
    named = [(name, replace(how, mean=mean, std=std), pixels) for name, (mean, std) in IN_USE.items()]
    others = [each for each in named if not _same(each[1], how)]
    return [*others, ("blue, green, red", how, pixels[..., ::-1])]


def _same(a: Preprocessing, b: Preprocessing) -> bool:
    apart = np.subtract(a.mean, b.mean) / np.asarray(b.std)
    return bool(np.abs(apart).max() < SAME and np.abs(np.divide(a.std, b.std) - 1).max() < SAME)


def _likelihood(backbone: Backbone, pixels: np.ndarray, truth: np.ndarray, how: Preprocessing) -> np.ndarray:
    """Log-likelihood of each image's class, shape (n,)."""
    import torch

    network = backbone.module
    found = []
    with torch.inference_mode():
        for start in range(0, len(pixels), BATCH):
            planes = torch.from_numpy(normalise(pixels[start : start + BATCH], how))
            found.append(torch.log_softmax(network(planes).float(), 1).numpy())
    likely: np.ndarray = np.concatenate(found)[np.arange(len(truth)), truth]
    return likely
