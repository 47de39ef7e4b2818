"""Defaults of heads from tuning over datasets: every value of their few options, and what the choice is worth.

    python benchmarks/defaults.py clothing=DATA textiles digits elpv:defect elpv:type [--out TRIALS.jsonl]

Options with a number (C, shrinkage ...) are found by each head itself on its path; what is searched in full here is
the rest. A configuration's value is its mean accuracy on the images that choose, over datasets and layers. Worth is
told by leaving one dataset out: the others choose, its test images judge, against the defaults of today. Trials
that TRIALS.jsonl holds already are not run again.

    python benchmarks/defaults.py clothing=DATA textiles digits --few 1,2,5,20,80 --heads nearest_mean,knn

prints instead the accuracy on validation of every configuration with so many training images a class.

    python benchmarks/defaults.py clothing=DATA textiles --scenario finetune --budget 30m [--out FOLDER]

uses the project's own tuner in place of the grid, for networks that train (finetune, full, scratch) and, with
`--scenario features`, for every option of the heads, those with a number too. Each dataset has so much time for its
trials (the defaults, features and the final fits come on top) and says what the defaults cost on its test images,
with an interval; then comes the mean over datasets. The same command goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from bars import Bars
from defaults_tuned import compare

from headstart.base.events import unheard
from headstart.images.scan import scan
from headstart.images.split import subsample
from headstart.methods.heads import make_head
from headstart.methods.heads_catalog import HEAD_NAMES
from headstart.methods.heads_shared import shared_spaces
from headstart.methods.tune.plan import TunePlan
from headstart.methods.tune.run import make_job
from headstart.methods.tune.space import head_space
from headstart.study.spec import budget_seconds

Key = tuple[str, str]
"""A dataset and a layer."""


def configurations(head: str) -> list[dict[str, Any]]:
    """Every combination of the options that are one of some values; the defaults first."""
    free = [each for each in head_space(head).dimensions[2:] if each.search.choices]
    names = [each.name for each in free]
    default = {each.name: each.default for each in free}
    found = [
        dict(zip(names, values, strict=True))
        for values in itertools.product(*(each.search.choices for each in free))
    ]
    return [default, *(each for each in found if each != default)]


def trials(
    source: str, layers: tuple[str, ...], heads: tuple[str, ...], seeds: int
) -> Iterator[dict[str, Any]]:
    """Every trial of a dataset: accuracy on what chooses and on test."""
    name, _, given = source.partition("=")
    known, _, target = name.partition(":")
    table = scan(given or known)
    for seed in range(1 if table.has_split("test") else seeds):
        job = make_job(table, TunePlan(head=heads, layer=layers, seed=seed), target or None)
        with shared_spaces():
            for search, layer in itertools.product(job.searches(), layers):
                maker = job.trials(search)
                test = job.codes[list(job.parts[0].test)]
                for options in configurations(search.method):
                    start = time.perf_counter()
                    full = {"layer": layer, "pooling": "avg", **options}
                    found = maker.measure(full, lambda epoch, value: None)
                    right = maker.probabilities(full, 0)[0].argmax(1) == test
                    yield {
                        "data": name, "layer": layer, "seed": seed, "head": search.method, "options": options,
                        "value": found.value, "test": float(right.mean()), "n_test": len(test),
                        "found": {each: found.params[each] for each in found.params if each not in full},
                        "seconds": time.perf_counter() - start,
                    }  # fmt: skip


def few(source: str, layers: tuple[str, ...], heads: tuple[str, ...], numbers: list[int], seeds: int) -> None:
    """Print the mean accuracy on validation with few images a class, which all learn and choose by inner folds."""
    name, _, given = source.partition("=")
    known, _, target = name.partition(":")
    job = make_job(scan(given or known), TunePlan(head=heads, layer=layers), target or None)
    train, held = np.array(job.parts[0].train), np.array(job.parts[0].validation)
    for layer, number, head in itertools.product(layers, numbers, heads):
        features, found = job.features[layer, "avg"], []
        for options in configurations(head):
            scores = []
            for seed in range(seeds):
                rows = train[np.array(subsample(job.codes[train], number, seed=seed))]
                with unheard():
                    made = make_head(head, **options).fit(features[rows], job.codes[rows], seed=seed)
                scores.append(float(np.mean(made.predict(features[held]) == job.codes[held])))
            said = ", ".join(f"{each} {value}" for each, value in options.items())
            found.append(f"{100 * np.mean(scores):.1f} ({said})")
        print(f"  {name} {layer}, {number} a class, {head}: {'; '.join(found)}", flush=True)


def collected(path: Path | None, sources: list[str], **asked: Any) -> list[dict[str, Any]]:
    """Trials of all datasets, those of the file first."""
    known = (
        [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path and path.is_file() else []
    )
    done = {(each["data"], each["head"]) for each in known}
    for source in sources:
        name = source.partition("=")[0]
        heads = tuple(head for head in asked["heads"] if (name, head) not in done)
        for (
            head
        ) in heads:  # a head is written as a whole, so that a run that was stopped goes on with the next
            new = list(trials(source, asked["layers"], (head,), asked["seeds"]))
            known += new
            print(
                f"  {name} {head}: {len(new)} trials, {sum(each['seconds'] for each in new):.0f} s",
                flush=True,
            )
            if path:
                with path.open("a", encoding="utf-8") as file:
                    file.writelines(json.dumps(each) + "\n" for each in new)
    return known


def means(some: list[dict[str, Any]], options: list[dict[str, Any]], what: str) -> dict[str, np.ndarray]:
    """By dataset: the mean over layers and seeds of each configuration, shape (n_configurations,)."""
    return {
        data: np.array([
            np.mean([each[what] for each in some if each["data"] == data and each["options"] == one])
            for one in options
        ])
        for data in dict.fromkeys(each["data"] for each in some)
    }  # fmt: skip


def told(head: str, some: list[dict[str, Any]]) -> float:
    """Print what a head's options did; the mean worth on test of defaults chosen without the dataset judged."""
    options = configurations(head)
    value, test = means(some, options, "value"), means(some, options, "test")
    chosen = np.mean(list(value.values()), axis=0)
    print(f"{head}: mean over {len(value)} datasets on what chooses / on test, in %")
    for at in np.argsort(-chosen, kind="stable"):
        said = ", ".join(f"{name} {given}" for name, given in options[at].items())
        here = " ".join(f"{100 * value[data][at]:.1f}" for data in value)
        mean = np.mean([each[at] for each in test.values()])
        print(
            f"  {100 * chosen[at]:.2f} / {100 * mean:.2f}  {said}{'  (today)' if at == 0 else ''}  [{here}]"
        )
    worth = []
    for data in value:
        others = np.mean([value[other] for other in value if other != data], axis=0)
        at = int(others.argmax())
        worth.append(test[data][at] - test[data][0])
        best = test[data][int(value[data].argmax())] - test[data][0]
        print(
            f"  without {data}: {options[at]}, {100 * worth[-1]:+.1f} points on its test against today's defaults "
            f"(its own choice: {100 * best:+.1f})"
        )
    return float(np.mean(worth))


def tuner_plan(given: argparse.Namespace) -> TunePlan:
    """What the tuner is asked for each dataset; `--seeds` is of the grid, a tuning has one seed."""
    return TunePlan(
        scenario=tuple(given.scenario.split(",")), head=tuple(given.heads.split(",")), backbone=given.backbone,
        layer=tuple(given.layers.split(",")), trials=given.trials, seconds=budget_seconds(given.budget),
        test_seeds=given.test_seeds, input_size=given.input_size,
        training={} if given.epochs is None else {"epochs": given.epochs},
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", nargs="+")
    parser.add_argument("--heads", default=",".join(HEAD_NAMES))
    parser.add_argument("--layers", default="pool,stage5")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--few", default="")
    parser.add_argument("--scenario", default="")
    parser.add_argument("--budget", default="")
    parser.add_argument("--trials", type=int)
    parser.add_argument("--test-seeds", type=int, default=3)
    parser.add_argument("--backbone", default="lite0")
    parser.add_argument("--input-size", type=int)
    parser.add_argument("--epochs", type=int)
    given = parser.parse_args()
    heads = tuple(given.heads.split(","))
    if given.scenario:
        compare(given.data, tuner_plan(given), given.out or Path("runs") / "defaults")
        return
    if given.few:
        numbers = [int(each) for each in given.few.split(",")]
        for source in given.data:
            few(source, tuple(given.layers.split(",")), heads, numbers, max(4, given.seeds))
        return
    known = collected(
        given.out, given.data, heads=heads, layers=tuple(given.layers.split(",")), seeds=given.seeds
    )
    bars = Bars()
    for head in heads:
        worth = told(head, [each for each in known if each["head"] == head])
        bars.bar(
            f"{head}, defaults chosen on other datasets less today's, points on test", 100 * worth, "<=", 0.5
        )
    bars.done()


if __name__ == "__main__":
    main()
