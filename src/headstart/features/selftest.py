"""Does a backbone still say what it should? Its own classifier on images whose ImageNet class is known.

A swap of weights or preprocessing can halve accuracy in silence; this check is how it is noticed. The folder
holds images whose file names start with their synset (`n02111889_...`) and a `classes.tsv` (index, synset,
name) or class folders named by synset.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from itertools import compress
from pathlib import Path

import numpy as np

from headstart.backbones.load import Backbone, load
from headstart.base.errors import BackboneError, DataError
from headstart.base.hashing import digest_file
from headstart.features.extract import extract
from headstart.features.normalisations import best_rival
from headstart.features.taps import Tap
from headstart.images.decode import ImageItem
from headstart.measure.intervals import wilson

PASS_TOP1 = 0.5
SYNSET = re.compile(r"n\d{8}")


@dataclass(frozen=True)
class SelfTest:
    """What the pretrained classifier said of known images.

    Attributes
    ----------
    top1, top5 : float
        Shares of images whose class was the first guess, or among the first five.
    low, high : float
        95 % interval of top1 (Wilson).
    better : str
        The normalisation in use (another mean and std, another order of colours) that fits the weights better
        than the card's; "" where none does.
    gain, errors : float or None
        What the best of the other normalisations gains in log-likelihood (nats an image; negative where the
        card's is right), and that in standard errors; None for fewer than 20 images.
    passed : bool
        Whether top1 is at least 0.5 (every usable ImageNet network is far above, shuffled weights far below)
        and no other normalisation fits better.
    """

    backbone: str
    n: int
    top1: float
    top5: float
    low: float
    high: float
    confidence: float
    engine: str
    precision: str
    better: str
    gain: float | None
    errors: float | None
    passed: bool


def self_test(
    backbone: str = "lite0",
    folder: str | Path = "",
    *,
    engine: str = "auto",
    precision: str = "float32",
    input_size: int | None = None,
) -> SelfTest:
    """Run the backbone's own classifier over a folder of ImageNet images.

    Raises
    ------
    BackboneError
        The weights have no classifier of 1,000 classes.
    DataError
        The folder holds no images of known synsets.
    """
    files, truth = known_images(Path(folder))
    return self_test_items(files, truth, backbone, engine=engine, precision=precision, input_size=input_size)


def self_test_items(
    items: list[ImageItem],
    truth: np.ndarray,
    backbone: str | Backbone,
    *,
    digests: list[str] | None = None,
    engine: str = "auto",
    precision: str = "float32",
    input_size: int | None = None,
) -> SelfTest:
    """`self_test` of images at hand; `truth` holds ImageNet-1k class indices (0 to 999)."""
    network = load(backbone) if isinstance(backbone, str) else backbone
    names = digests or [digest_file(str(item)) for item in items]
    found = extract(
        items,
        names,
        backbone=network,
        taps=[Tap("logits")],
        engine=engine,
        precision=precision,
        input_size=input_size,
    )
    logits = found.features[Tap("logits")][found.ok]
    if logits.shape[1] != 1000:
        raise BackboneError(
            f"{network.card.name}: its classifier has {logits.shape[1]} classes, the self-test needs ImageNet's 1,000"
        )
    wanted = np.asarray(truth)[found.ok]
    order = np.argsort(-logits, axis=1)[:, :5]
    first = int((order[:, 0] == wanted).sum())
    among = float((order == wanted[:, None]).any(1).mean())
    low, high = wilson(first, len(wanted))
    shifted = np.exp(logits - logits.max(1, keepdims=True))
    confidence = float((shifted.max(1) / shifted.sum(1)).mean())
    rival = best_rival(network.at(input_size), list(compress(items, found.ok)), wanted)
    better = rival.name if rival is not None and rival.better else ""
    return SelfTest(
        network.card.name, len(wanted), first / len(wanted), among, low, high, confidence,
        str(found.engine["engine"]), str(found.engine["precision"]), better,
        rival.gain if rival else None, rival.errors if rival else None,
        first / len(wanted) >= PASS_TOP1 and not better,
    )  # fmt: skip


def known_images(folder: Path) -> tuple[list[ImageItem], np.ndarray]:
    """Image files of a folder with the ImageNet index of the synset that their name or folder states."""
    table = folder / "classes.tsv"
    if not table.is_file():
        raise DataError(f"{folder}: expected a classes.tsv with the columns index, synset and name")
    index = _indices(table)
    items: list[ImageItem] = []
    truth: list[int] = []
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in (".jpg", ".jpeg", ".png"):
            continue
        named = SYNSET.match(path.name) or SYNSET.match(path.parent.name)
        if named and named.group() in index:
            items.append(path)
            truth.append(index[named.group()])
    if not items:
        raise DataError(f"{folder}: no images whose name or folder starts with a synset such as n02111889")
    return items, np.array(truth)


def _indices(table: Path) -> dict[str, int]:
    found = {}
    with table.open(encoding="utf-8", newline="") as file:
        for row in csv.reader(file, delimiter="\t"):
            number = next((int(cell) for cell in row if cell.strip().isdigit()), None)
            synset = next((cell for cell in row if SYNSET.fullmatch(cell.strip())), None)
            if number is not None and synset is not None:
                found[synset.strip()] = number
    return found
