"""What each trick did: its effect over seeds, datasets and images, how sure that is, and what it cost in seconds.

Every effect is a contrast of runs (`trick_designs.Contrast`) under the same seeds on the same test images. Its
error has two parts: the spread over images, each counted once with its mean over seeds and with one image added in
each direction (as in `headstart.measure.paired`), and the spread over seeds, which all runs of a dataset share: the
residual of a two-way layout of runs and seeds. Over datasets their spread comes on top (`headstart.measure.between`).
Holm's correction goes over all contrasts of a table.

Where no epoch bettered the fitted head that training starts from, that head is kept, and a trick of training has
nothing to act on: with it and without the runs are the same. Where that is so in every pair of runs nothing was
measured, so there is no effect, and the dataset counts in no mean.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.measure.between import ALPHA, Part, Pooled, pooled
from headstart.measure.multiple import holm, holm_factors
from headstart.methods.tricks.registry import TRICKS
from headstart.study.records import CellResult, StudyRecord
from headstart.study.store import FILE, StudyStore
from headstart.study.trick_designs import Contrast, Design, make_design
from headstart.study.trick_runs import Ran, ran_of

if TYPE_CHECKING:
    import numpy as np

HELPS, HURTS, CANNOT_TELL, MISSING = "helps", "hurts", "cannot tell", "missing"
NOTHING = "had nothing to act on"
SIGNS, SIZES = "datasets disagree in sign", "datasets differ"


@dataclass(frozen=True)
class TrickEffect:
    """One trick, or two together, in one setting.

    Attributes
    ----------
    trick : str
    aliases : tuple of str
        Interactions that the same runs cannot tell from this one.
    datasets : tuple of str
        Over which the effect is the mean.
    kind : {"helps", "hurts", "cannot tell", "missing", "had nothing to act on"}
        At Holm's correction for all rows of the table. "missing": runs are not there; "had nothing to act on": in
        every pair of runs the head that training started from was kept, so there is no effect to tell.
    effect, low, high : float or None
        Accuracy gained, with the interval at its Holm-adjusted confidence (between -1 and 1, as gains are).
    plain_low, plain_high : float or None
        The interval at 95 %, of this row alone.
    p, adjusted_p : float or None
    n_images, n_seeds : int
    train_seconds, seconds : float or None
        What a run takes longer: training (its steps, the frozen part, a teacher); fit and test (see `trick_costs`).
    times, run_times : float or None
        Time of training, and of the whole run, with it over that without.
    runs : tuple of str
        Ids of the runs behind it.
    why : str
        What is missing.
    values : tuple of float
        The effect on each dataset.
    between : float or None
        Standard deviation of the effect between datasets beyond their noise; None of one dataset.
    differ_p : float or None
        Of the test that it is the same on all datasets; None of one.
    doubt : str
        Where the datasets disagree: `SIGNS` or `SIZES`.
    start_kept, n_pairs : int
        Pairs of fits, with the trick and without, in which both kept the head that training started from, of so many
        on `datasets`: a run is one fit, or one a fold.
    nothing_on : tuple of str
        Datasets that are not among `datasets`, because it had nothing to act on there.
    """

    trick: str
    aliases: tuple[str, ...]
    datasets: tuple[str, ...]
    kind: str
    effect: float | None = None
    low: float | None = None
    high: float | None = None
    plain_low: float | None = None
    plain_high: float | None = None
    p: float | None = None
    adjusted_p: float | None = None
    n_images: int = 0
    n_seeds: int = 0
    train_seconds: float | None = None
    seconds: float | None = None
    times: float | None = None
    runs: tuple[str, ...] = ()
    why: str = ""
    values: tuple[float, ...] = ()
    between: float | None = None
    differ_p: float | None = None
    doubt: str = ""
    run_times: float | None = None
    start_kept: int = 0
    n_pairs: int = 0
    nothing_on: tuple[str, ...] = ()


@dataclass(frozen=True)
class TrickTable:
    """All effects in one setting: one scenario, backbone, cut, size and number of images a class.

    `accuracy` is that of the runs without any trick, or with all of them, over the datasets (None where they are
    missing): where the effects start from. `effects` are over all datasets, `by_dataset` on each.
    """

    scenario: str
    backbone: str
    cut: str
    pixels: str
    per_class: int
    design: str
    resolution: int | None
    datasets: tuple[str, ...]
    n_seeds: int
    accuracy: float | None
    effects: tuple[TrickEffect, ...]
    by_dataset: tuple[TrickEffect, ...]
    left_out: Mapping[str, str]
    runs: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON-like."""
        return asdict(self)


def trick_tables(record: StudyRecord) -> tuple[TrickTable, ...]:
    """Every table of a study of tricks; () where it is none, or its store is not there.

    Parameters
    ----------
    record : StudyRecord
        Its store lies in `record.folder`.
    """
    if not record.tricks or not (Path(record.folder) / FILE).is_file():
        return ()
    settings: dict[tuple[Any, ...], list[CellResult]] = {}
    for result in record.results:
        cell = result.cell
        if cell.tricks:
            key = (cell.scenario, cell.backbone, cell.cut, cell.height, cell.width, cell.per_class)
            settings.setdefault(key, []).append(result)
    notes = {(of["scenario"], of["backbone"], of["cut"]): of for of in record.tricks["of"]}
    with StudyStore(record.folder, must_exist=True) as store:
        return tuple(_table(record, store, key, notes[key[:3]], results) for key, results in settings.items())


def _table(
    record: StudyRecord, store: StudyStore, key: tuple[Any, ...], note: Mapping[str, Any], results: Sequence[CellResult]
) -> TrickTable:  # fmt: skip
    scenario, backbone, cut, height, width, per_class = key
    design = make_design(record.tricks["design"], note["names"], note["asked_resolution"])
    names = tuple(dict.fromkeys(result.cell.dataset for result in results))
    planned = tuple(name for name in record.targets if name in names)
    ran = [ran_of(record, store, name, [r for r in results if r.cell.dataset == name]) for name in planned]
    effects = judged(design, ran)
    alone = tuple(effect for one in ran for effect in judged(design, [one])) if len(ran) > 1 else ()
    start = design.contrasts[0].plus if record.tricks["design"] == "leave-one-out" else (frozenset(),)
    known = [one.right[one.at[start[0]]].mean() for one in ran if start[0] in one.at]
    return TrickTable(
        scenario, backbone, cut, f"{height}x{width}", per_class, design.kind, design.resolution, planned,
        max((len(one.train_seconds[0]) for one in ran if len(one.at)), default=0),
        float(sum(known) / len(known)) if known and len(known) == len(ran) else None,
        effects, alone, dict(note["left_out"]), tuple(result.cell.id for result in results),
    )  # fmt: skip


def judged(design: Design, ran: Sequence[Ran]) -> tuple[TrickEffect, ...]:
    """The effect of every contrast over these datasets, with Holm's correction for those that can be told."""
    from scipy.stats import t

    found = [_estimate(contrast, ran) for contrast in design.contrasts]
    known = [each.pooled for each in found if each is not None and each.pooled is not None]
    p = [2 * float(t.sf(abs(each.value) / each.error, each.degrees)) for each in known]
    adjusted, factors = holm(p), holm_factors(p)
    names, made, at = tuple(one.dataset for one in ran), [], 0
    for contrast, each in zip(design.contrasts, found, strict=True):
        if each is None:
            lacking = sum(run not in one.at for one in ran for run in (*contrast.plus, *contrast.minus))
            why = (
                f"{lacking} of {len(ran) * len((*contrast.plus, *contrast.minus))} combinations are not there"
            )
            made.append(TrickEffect(contrast.name, contrast.aliases, names, MISSING, why=why))
            continue
        more: dict[str, Any] = {
            "n_images": each.n, "n_seeds": each.n_seeds, "train_seconds": each.cost["train_seconds"],
            "seconds": each.cost["seconds"], "times": _finite(each.cost["times"]),
            "run_times": _finite(each.cost["run_times"]), "runs": each.runs, "start_kept": each.start_kept,
            "n_pairs": each.n_pairs,
        }  # fmt: skip
        mean = each.pooled
        if mean is None:
            made.append(TrickEffect(contrast.name, contrast.aliases, names, NOTHING, **more))
            continue
        low, high = _interval(mean, ALPHA / factors[at])
        kind = CANNOT_TELL if low <= 0 <= high else HELPS if mean.value > 0 else HURTS
        made.append(TrickEffect(
            contrast.name, contrast.aliases, each.datasets, kind, mean.value, low, high, *_interval(mean, ALPHA), p[at],
            float(adjusted[at]), values=each.values, between=mean.between, differ_p=mean.differ_p, doubt=_doubt(each),
            nothing_on=tuple(name for name in names if name not in each.datasets), **more,
        ))  # fmt: skip
        at += 1
    return tuple(made)


def _interval(mean: Pooled, alpha: float) -> tuple[float, float]:
    from scipy.stats import t

    half = float(t.isf(alpha / 2, mean.degrees)) * mean.error
    return max(-1.0, mean.value - half), min(1.0, mean.value + half)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _doubt(each: _Estimate) -> str:
    """Where they differ by more than noise."""
    mean = each.pooled
    if mean is None or mean.differ_p is None or mean.differ_p >= ALPHA:
        return ""
    return SIGNS if min(each.values) < 0 < max(each.values) else SIZES


@dataclass(frozen=True)
class _Estimate:
    """A contrast over the datasets where it was measured, before Holm's correction; over all where it was nowhere."""

    pooled: Pooled | None
    datasets: tuple[str, ...]
    values: tuple[float, ...]
    n: int
    n_seeds: int
    cost: Mapping[str, float]
    runs: tuple[str, ...]
    start_kept: int
    n_pairs: int


def _estimate(contrast: Contrast, ran: Sequence[Ran]) -> _Estimate | None:
    """Effect and error over datasets; None where a run is missing."""
    import numpy as np

    sides = (*contrast.plus, *contrast.minus)
    if not ran or any(run not in one.at for one in ran for run in sides):
        return None
    weights = [_weights(contrast, one) for one in ran]
    each = [
        np.tensordot(w, np.stack(one.right).astype(float), 1) for w, one in zip(weights, ran, strict=True)
    ]
    acted = [at for at, one in enumerate(ran) if not _at_the_start(contrast, one, each[at])]
    shown = acted or range(len(ran))
    values = [float(each[at].mean()) for at in acted]
    parts = [(_over_images(each[at], ran[at].images), _over_seeds(ran[at], weights[at])) for at in acted]
    costs = [_cost(ran[at], weights[at]) for at in shown]
    pairs = [ran[at].pairs_at_the_start(contrast) for at in shown]
    return _Estimate(
        pooled(values, parts) if acted else None, tuple(ran[at].dataset for at in shown), tuple(values),
        sum(len(np.unique(ran[at].images)) for at in shown), len(ran[0].train_seconds[0]),
        {name: float(np.mean([cost[name] for cost in costs])) for name in costs[0]},
        tuple(id for at in shown for run in sides for id in ran[at].ids[run]),
        sum(n for n, _ in pairs), sum(n for _, n in pairs),
    )  # fmt: skip


def _weights(contrast: Contrast, one: Ran) -> np.ndarray:
    """What each run counts in a contrast."""
    import numpy as np

    weights = np.zeros(len(one.at))
    for side, sign in ((contrast.plus, 1.0), (contrast.minus, -1.0)):
        for run in side:
            weights[one.at[run]] += sign / len(side)
    return weights


def _at_the_start(contrast: Contrast, one: Ran, each: np.ndarray) -> bool:
    """Whether a trick had nothing to act on: every run kept what it started from, and no image tells them apart.

    A trick that changes what any weights answer acts there too, unless the runs say the same to the last bit.
    """
    kept, n = one.pairs_at_the_start(contrast)
    if not n or kept < n or each.any():
        return False
    return one.says_the_same(contrast) or not all(
        TRICKS[name].answers for name in contrast.name.split(" x ") if name in TRICKS
    )


def _over_images(each: np.ndarray, images: np.ndarray) -> Part:
    """Variance of the mean by the spread over images, an answer each (n,), and its degrees of freedom.

    An image that several seeds test counts once, with the sum over them; an image more in each direction keeps
    few differing images from looking like certainty.
    """
    import numpy as np

    _, place = np.unique(images, return_inverse=True)
    sums = np.bincount(place, weights=each)
    n, most = len(sums), each.size / len(sums)
    centre = sums.sum() / (n + 2)
    spread = (float((sums**2).sum()) + 2 * most**2) / (n + 2) - centre**2
    return n * spread / each.size**2, n - 1.0


def _over_seeds(one: Ran, weights: np.ndarray) -> Part:
    """Variance of the contrast by the spread over seeds: residual of runs x seeds, shared by all runs.

    Runs with the same answers throughout (all that kept the same start) are one: they show no spread.
    """
    import numpy as np

    n = np.bincount(one.of_seed)
    apart = np.unique(np.stack(one.right), axis=0)
    scores = np.stack([np.bincount(one.of_seed, weights=answers) / n for answers in apart])
    n_runs, n_seeds = scores.shape
    degrees = (n_runs - 1) * (n_seeds - 1)
    if not degrees:
        return 0.0, 0.0
    rest = scores - scores.mean(1, keepdims=True) - scores.mean(0, keepdims=True) + scores.mean()
    return float((rest**2).sum() / degrees * (weights**2).sum() / n_seeds), float(degrees)


def _cost(one: Ran, weights: np.ndarray) -> dict[str, float]:
    training, whole = one.train_seconds.mean(1), one.seconds.mean(1)
    return {
        "train_seconds": float(weights @ training), "seconds": float(weights @ whole),
        "times": _ratio(training, weights), "run_times": _ratio(whole, weights),
    }  # fmt: skip


def _ratio(seconds: np.ndarray, weights: np.ndarray) -> float:
    """Seconds of the runs with a trick over those of the runs without it; NaN where these took none."""
    without = float((-weights).clip(0) @ seconds)
    return float(weights.clip(0) @ seconds) / without if without else float("nan")
