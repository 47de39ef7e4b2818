"""Measure a data set for the adviser, in two minutes or less: every step on 1,000 images at most.

One pass of each network gives the features of its last layers and what its own classifier says; likeness to the
source is measured on lite0 whatever the backbones, so that figures of different data sets compare.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headstart.base.errors import DataError
from headstart.base.events import Progress, collected_warnings, emit
from headstart.images.table import ImageTable
from headstart.study.resolve import auto_layers
from headstart.study.situation import Likeness, Probe, Situation, Transfer, deepest_best

if TYPE_CHECKING:
    import numpy as np

    from headstart.backbones.card import BackboneCard

MOST_IMAGES = 1000
SOURCE_IMAGES = 160
REFERENCE = "lite0"
PROBED_HEADS = ("logistic", "lda", "linear_svm", "ridge")
N_LAYERS = 5
TEST_SHARE = 0.2
CURVE_SHARES = (0.25, 0.5, 1.0)
MOST_SLOPE = 0.1
TASK = "measuring"
SOURCE_ACCURACY = {"lite0": 0.883, "lite1": 0.895, "lite2": 0.905}
"""Of 1,000 ImageNet images, one a class: the plain ranking that other scores are to beat."""


@dataclass(frozen=True, eq=False)
class _Part:
    """The images measured: readable, labelled, 1,000 at most."""

    table: ImageTable
    codes: np.ndarray
    groups: np.ndarray | None
    folds: list[tuple[np.ndarray, np.ndarray]]


def measure(
    table: ImageTable,
    target: str | None = None,
    *,
    backbones: Sequence[str] = (REFERENCE,),
    engine: str = "auto",
    cache_gb: float = 10.0,
    seed: int = 0,
) -> Situation:
    """Measure the images that a method may learn from; those of a given test split are never read.

    Parameters
    ----------
    table : ImageTable
    target : str, optional
        Label column; the first by default.
    backbones : sequence of str
    engine : str
        What runs the networks.
    cache_gb : float
        Cap of the feature cache in gigabytes.
    seed : int
        Of the draw of 1,000 images and of the folds.

    Raises
    ------
    DataError
        Fewer than two classes, or a class with a single image only: nothing can be held out.
    UnknownName, BackboneError
        Of the backbones.
    """
    import numpy as np

    start = time.perf_counter()
    name = table.target(target)
    rows = [row for row in _learning_rows(table) if table.labels[name][row] is not None]
    counts = _counts(table, name, rows)
    n_test = len(table.rows("test")) if table.has_split("test") else round(TEST_SHARE * len(rows))
    drawn = table.select(_drawn(table, name, rows, seed))
    tell = _steps(2 + len(backbones) * (N_LAYERS + 1))
    part, probes, transfers, best = None, [], [], None
    for backbone in backbones:
        features, logits, speed, ok, card = _extracted(drawn, backbone, engine, cache_gb)
        tell()
        part = _part(drawn.select(np.flatnonzero(ok).tolist()), name, seed)
        own = _probed(part, features, backbone, seed, tell)
        probes += own
        transfers.append(_transfer(part, features, logits, card, speed))
        best = features[deepest_best(own)] if best is None else best
        if backbone == REFERENCE:
            source = logits
    if REFERENCE not in backbones:
        _, source, *_ = _extracted(drawn, REFERENCE, engine, cache_gb)
    assert part is not None and best is not None
    likeness = _likeness(part.table, source)
    tell()
    curve = _curve(part, best)
    tell()
    return Situation(
        name=table.name, target=name, n=len(rows), n_test=max(n_test, 1), class_counts=counts,
        n_measured=len(part.table), likeness=likeness, probes=tuple(probes), transfers=tuple(transfers), curve=curve,
        slope=_slope(curve), seconds=time.perf_counter() - start,
    )  # fmt: skip


def _learning_rows(table: ImageTable) -> list[int]:
    """The train split where the source gives one, else all but a given test split."""
    if not table.has_split("train"):
        held = set(table.rows("test"))
        return [row for row in range(len(table)) if row not in held]
    return sorted(table.rows("train"))


def _counts(table: ImageTable, target: str, rows: Sequence[int]) -> tuple[tuple[str, int], ...]:
    counts: dict[str, int] = {}
    for row in rows:
        label = str(table.labels[target][row])
        counts[label] = counts.get(label, 0) + 1
    if len(counts) < 2:
        raise DataError(
            f"{table.name}: {target!r} has {len(counts)} class{'' if len(counts) == 1 else 'es'}; advice needs two"
        )
    few = [name for name, n in counts.items() if n < 2]
    if few:
        alone = "1 class has" if len(few) == 1 else f"{len(few)} classes have"
        raise DataError(
            f"{table.name}: {alone} a single image to learn from ({', '.join(sorted(few)[:5])}); "
            "advice needs two images of each class, so that one can be held out"
        )
    return tuple(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))


def _drawn(table: ImageTable, target: str, rows: Sequence[int], seed: int) -> list[int]:
    """At most 1,000 of the rows, in the shares of the classes, by content and seed; two of each class at least."""
    import numpy as np

    order = sorted(rows, key=lambda row: (table.digests[row], table.paths[row]))
    shuffled = [order[at] for at in np.random.default_rng(seed).permutation(len(order))]
    by_class: dict[str, list[int]] = {}
    for row in shuffled:
        by_class.setdefault(str(table.labels[target][row]), []).append(row)
    ranked = [
        (0.0 if at < 2 else at / len(members), row)
        for members in by_class.values()
        for at, row in enumerate(members)
    ]
    return sorted(row for _, row in sorted(ranked)[: max(MOST_IMAGES, 2 * len(by_class))])


def _steps(total: int) -> Callable[[], None]:
    done = iter(range(1, total + 1))
    emit(Progress(TASK, 0, total))
    return lambda: emit(Progress(TASK, next(done, total), total))


def probed_layers(card: BackboneCard) -> tuple[str, ...]:
    """The last five places that a study compares, first to last.

    Raises
    ------
    DataError
        The network names no stages.
    """
    found = auto_layers(card)[-N_LAYERS:]
    if not found:
        raise DataError(
            f"{card.name} has no named stages to take features at; advice is for networks that have"
        )
    return found


def looked_at(card: BackboneCard) -> tuple[str, ...]:
    """The places of a network that are measured: the probed layers, and its own classifier where it has one."""
    return (*probed_layers(card), *(["logits"] if "logits" in (card.layers or {}) else []))


def _extracted(table: ImageTable, backbone: str, engine: str, cache_gb: float) -> tuple[Any, ...]:
    """Features by layer, source probabilities (None where there are none), images a second, readable rows, card."""
    import numpy as np

    from headstart.backbones.load import card as card_of
    from headstart.features.extract import Tap, extract

    card = card_of(backbone)
    taps = {name: Tap(name, "avg") for name in looked_at(card)}
    found = extract(
        table.items(), table.digests, paths=table.paths, backbone=backbone, taps=list(taps.values()),
        engine=engine, cache_gb=cache_gb,
    )  # fmt: skip
    if not found.ok.any():
        raise DataError(
            f"{table.name}: none of its images can be read; the first: {found.problems[0].reason}"
        )
    features = {name: found.features[tap][found.ok] for name, tap in taps.items() if name != "logits"}
    logits = found.features[taps["logits"]][found.ok].astype(np.float64) if "logits" in taps else None
    running = found.seconds - float(found.engine.get("export_seconds") or 0.0)
    speed = found.n_computed / running if found.n_computed >= 32 and running > 0 else None
    return features, None if logits is None else _softmax(logits), speed, found.ok, card


def _softmax(logits: np.ndarray) -> np.ndarray:
    import numpy as np

    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


def _part(table: ImageTable, target: str, seed: int) -> _Part:
    import numpy as np

    from headstart.images.split import k_folds

    labels = [str(label) for label in table.labels[target]]
    _, codes, counts = np.unique(labels, return_inverse=True, return_counts=True)
    if len(counts) < 2 or counts.min() < 2:
        raise DataError(f"{table.name}: a class has fewer than two readable images; advice needs two of each")
    named = table.groups or (table.digests if len(set(table.digests)) < len(table) else None)
    groups = None if named is None else np.unique(named, return_inverse=True)[1]
    n_units = len(table) if groups is None else len(np.unique(groups))
    folds = k_folds(codes, min(5, int(counts.min()), n_units), seed=seed, groups=groups)
    return _Part(table, codes, groups, folds)


def _probed(
    part: _Part, features: dict[str, np.ndarray], backbone: str, seed: int, tell: Callable[[], None]
) -> list[Probe]:
    """Every probed head on every layer, by the inner folds that a study would choose on."""
    from headstart.methods.heads import make_head

    found, last = [], len(features) - 1
    groups = None if part.groups is None else part.groups.tolist()
    for at, (layer, matrix) in enumerate(features.items()):
        for name in PROBED_HEADS:
            start = time.perf_counter()
            with collected_warnings():
                head = make_head(name).fit(matrix, part.codes, seed=seed, groups=groups)
            if not math.isfinite(head.selection_):
                raise DataError(
                    f"{part.table.name}: too few images or groups to hold any out; give more of each class"
                )
            seconds = time.perf_counter() - start
            found.append(Probe(backbone, layer, last - at, name, float(head.selection_), seconds))
        tell()
    return found


def _transfer(
    part: _Part,
    features: dict[str, np.ndarray],
    shares: np.ndarray | None,
    card: BackboneCard,
    speed: float | None,
) -> Transfer:
    from headstart.features import transferability as scores

    last = list(features.values())[-1]
    return Transfer(
        backbone=card.name,
        neighbours=scores.neighbours_accuracy(last, part.codes, groups=part.groups),
        probe=float(scores.probe_right(last, part.codes, part.folds).mean()),
        logme=scores.logme(last, part.codes),
        h_score=scores.h_score(last, part.codes),
        nce=None if shares is None else scores.nce(shares.argmax(axis=1), part.codes),
        leep=None if shares is None else scores.leep(shares, part.codes),
        source_accuracy=SOURCE_ACCURACY.get(card.name),
        images_per_second=speed,
    )


def _likeness(table: ImageTable, shares: np.ndarray) -> Likeness:
    import numpy as np

    from headstart.backbones.load import load
    from headstart.features.calibration import sample_rows
    from headstart.features.similarity import batchnorm_distance, source_guess
    from headstart.images.prepare import prepare

    backbone = load(REFERENCE)
    rows = sample_rows(table.digests)[:SOURCE_IMAGES]
    pixels = np.stack([prepare(table.item(row), backbone.card.preprocessing) for row in rows])
    said = source_guess(shares)
    return Likeness(
        batchnorm_distance(pixels, backbone), said.confidence, said.entropy, said.coverage, len(pixels)
    )


def _curve(part: _Part, features: np.ndarray) -> tuple[tuple[int, float], ...]:
    """Accuracy of the quick probe that learns from a quarter, half and all of each fold's images."""
    from headstart.features.transferability import probe_right
    from headstart.images.split import shares

    found = []
    for share in CURVE_SHARES:
        fewer = [
            train if share == 1 else train[shares(part.codes[train], share, 0)] for train, _ in part.folds
        ]
        if min(len(train) for train in fewer) == 0:
            continue
        folds = [(train, held) for train, (_, held) in zip(fewer, part.folds, strict=True)]
        n = round(sum(len(train) for train, _ in folds) / len(folds))
        found.append((n, float(probe_right(features, part.codes, folds).mean())))
    return tuple(found)


def _slope(curve: Sequence[tuple[int, float]]) -> float:
    """Least-squares accuracy a doubling, held within 0 to 0.1: a curve that falls is noise."""
    import numpy as np

    logs = np.log2([n for n, _ in curve])
    if np.ptp(logs) == 0:
        return 0.0
    return float(np.clip(np.polyfit(logs, [value for _, value in curve], 1)[0], 0.0, MOST_SLOPE))
