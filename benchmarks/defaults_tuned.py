"""What the defaults of methods cost against options found by the project's own tuner: the part of `defaults.py` for
methods that train, and for all options of heads. Each dataset has a folder, so what was stopped goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bars import Bars

from headstart.images.scan import scan
from headstart.measure.between import pooled
from headstart.methods.tune.found import Tuning, Worth
from headstart.methods.tune.plan import TunePlan
from headstart.methods.tune.run import tune_table

Z = 1.959964


def tuned(source: str, plan: TunePlan, out: Path) -> Tuning:
    """The tuning of a dataset in its folder; read where it is done, gone on with where it was stopped."""
    name, _, given = source.partition("=")
    known, _, target = name.partition(":")
    folder = out / f"{name.replace(':', '-').replace('/', '-')}-{'-'.join(plan.scenario)}"
    return tune_table(scan(given or known), plan, folder, target=target or None)


def told(name: str, worth: Worth, seconds: float) -> None:
    """Print what the defaults of a method cost on one dataset."""
    low, high = (100 * worth.difference[end] for end in ("low", "high"))
    print(
        f"  {name} {worth.method}: defaults {100 * worth.default['value']:.1f} %, tuned {100 * worth.tuned['value']:.1f} "
        f"% of {worth.n} test images ({worth.n_seeds} run{'s' * (worth.n_seeds > 1)} each): the defaults cost "
        f"{100 * worth.difference['value']:+.1f} points ({low:+.1f} to {high:+.1f}); by what chooses "
        f"{100 * (worth.chosen_by - worth.default_chosen_by):+.1f}; {seconds:.0f} s"
    )
    said = "the defaults" if worth.same else "; ".join(str(dict(each)) for each in worth.params)
    print(f"    found: {said}", flush=True)


def cost(worths: Sequence[Worth]) -> tuple[float, float, float]:
    """What the defaults cost on test, the mean over datasets with its 95 % interval, in points."""
    from scipy.stats import t

    noise = [
        # some noise is left even where no answer differs: one image in each direction
        (
            max((each.difference["high"] - each.difference["low"]) / (2 * Z), 2**0.5 / each.n) ** 2,
            each.n - 1.0,
        )
        for each in worths
    ]
    found = pooled([each.difference["value"] for each in worths], [[part] for part in noise])
    half = float(t.isf(0.025, found.degrees)) * found.error
    return 100 * found.value, 100 * (found.value - half), 100 * (found.value + half)


def compare(sources: Sequence[str], plan: TunePlan, out: Path) -> None:
    """Tune every dataset, say what the defaults cost on each and over all."""
    by_method: dict[str, list[Worth]] = {}
    for source in sources:
        found = tuned(source, plan, out)
        spent: dict[str, Any] = {
            method: sum(
                trial.seconds
                for search in found.searches
                if search.method == method
                for trial in search.trials
            )
            for method in plan.methods
        }
        for worth in found.worth:
            told(source.partition("=")[0], worth, spent[worth.method])
            by_method.setdefault(worth.method, []).append(worth)
    bars = Bars()
    for method, worths in by_method.items():
        value, low, high = cost(worths)
        print(
            f"{method}: over {len(worths)} datasets the defaults cost {value:+.2f} points ({low:+.2f} to {high:+.2f})"
        )
        bars.bar(f"{method}, what its defaults cost on test against tuned options, points", value, "<=", 0.5)
    bars.done()
