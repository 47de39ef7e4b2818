"""Twelve tricks one at a time: `headstart study DATA --tricks ...` with `last:1`, two seeds, 40 images a class.

    python benchmarks/tricks.py DATA [DATA ...] [--per-class 40] [--seeds 2] [-- OPTIONS OF STUDY]
    python benchmarks/tricks.py DATA --all [--start plain] [--design leave-one-out] [--teacher lite1]

DATA are folders or packaged sets. The cache is empty at the start: features, views of the frozen part and training
count. Printed are the verdicts with their intervals, wall and processor seconds; the bar on wall time is stretched
by how slow this machine is in this run. Nothing is said of how large an effect ought to be: what is held to account
is that every trick gets an interval, and in time; in the sets and designs below one may also be told to have had
nothing to act on.

With `--all` it is every trick of the registry that the network can have, distillation from `--teacher`; those that it
cannot have are named with the reason. Zero gamma sets starting weights, so it has a study of its own, from scratch.
In a design that fills a bag those come first that stand first in the registry; tricks that they exclude are named.
The bar on wall time is that of the twelve one at a time; other sets and designs have none.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bars import Bars, reference_rate

from headstart.methods.tricks.needs import unfit
from headstart.methods.tricks.registry import ALL, bag
from headstart.methods.tricks.registry import TRICKS as REGISTRY
from headstart.study.trick_designs import DESIGNS, ONE

TRICKS = (
    "warmup", "no_bias_decay", "cosine", "one_cycle", "label_smoothing", "manifold_mixup", "random_erasing", "dropout",
    "ema", "sam", "l2_sp", "focal_loss",
)  # fmt: skip
SCRATCH = "zero_gamma"
NOTHING = "had nothing to act on"
MINUTES = 30


def main() -> None:
    options, more = read(sys.argv[1:])
    bars = Bars()
    timed = not options.all and options.design == ONE
    rate = reference_rate() if timed else 0.0
    tables, n_done, n_planned, wall, busy = [], 0, 0, 0.0, 0.0
    asked, not_run = asked_of(options)
    with tempfile.TemporaryDirectory() as folder:
        for scenario, names in asked:
            found, *took = study(command_of(options, scenario, names, more), Path(folder), scenario)
            (table,) = found["tricks"]
            tables.append(table)
            for each in (*table["effects"], *table["by_dataset"]):
                print(f"  {'+'.join(each['datasets'])}: {line(each)}", flush=True)
            n_done, n_planned = n_done + found["n_done"], n_planned + found["n_planned"]
            wall, busy = wall + took[0], busy + took[1]
            not_run = {**table["left_out"], **not_run}
    effects = [each for table in tables for each in table["effects"]]
    run = {each["trick"] for each in effects}
    not_run = {name: why for name, why in not_run.items() if name not in run}
    for name, why in not_run.items():
        print(f"  not run: {name}: {why}", flush=True)
    print(f"  {n_done} runs, {wall:.0f} s of wall time, {busy:.0f} s of processor time", flush=True)
    n_runs = len(options.data) * options.seeds * (len(TRICKS) + 1) if timed else n_planned
    bars.bar("runs done", n_done, ">=", n_runs)
    with_interval = sum(each["low"] is not None for each in effects)
    if timed:
        bars.bar("tricks with an interval", with_interval, ">=", len(TRICKS))
    else:
        idle = sum(each["kind"] == NOTHING for each in effects)
        bars.bar("tricks with an interval, or nothing to act on", with_interval + idle, ">=", len(effects))
    known = set(REGISTRY) if options.all else set(TRICKS)
    bars.bar("tricks run, or named with the reason", len(known & {*run, *not_run}), ">=", len(known))
    if timed:
        bars.seconds("wall seconds", wall, 60.0 * MINUTES * len(options.data), rate)
    bars.done()


def read(arguments: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """Own options, and those that the study gets."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("data", nargs="+")
    parser.add_argument("--per-class", type=int, default=40)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--all", action="store_true", help="every trick that the network can have")
    parser.add_argument("--design", choices=DESIGNS, default=ONE)
    parser.add_argument("--start", choices=("head-first", "plain"), default="head-first")
    parser.add_argument("--keep", choices=("best", "last"), default="last")
    parser.add_argument("--backbone", default="lite0")
    parser.add_argument("--teacher", default="lite1", help="with --all: what distillation learns from")
    at = arguments.index("--") if "--" in arguments else len(arguments)
    options, more = parser.parse_known_args(arguments[:at])
    return options, [*more, *arguments[at + 1 :]]


def asked_of(options: argparse.Namespace) -> tuple[list[tuple[str, tuple[str, ...]]], dict[str, str]]:
    """Scenarios with the tricks that are asked of each, and tricks that are in none with the reason."""
    if not options.all:
        names = TRICKS if options.design == ONE else bag(TRICKS)
        rivals = {
            name: next(each for each in names if name in REGISTRY[each].excludes)
            for name in {*TRICKS} - {*names}
        }
        return [("finetune", names)], {name: f"{rival} is in the bag" for name, rival in rivals.items()}
    asked: list[tuple[str, tuple[str, ...]]] = [("finetune", (ALL,))]
    not_run = unfit((SCRATCH,), "scratch", options.backbone, "all")
    if options.design == ONE and not not_run:
        asked.append(("scratch", (SCRATCH,)))
    return asked, not_run


def command_of(
    options: argparse.Namespace, scenario: str, names: tuple[str, ...], more: list[str]
) -> list[str]:
    """The study of one scenario, less where it puts what it finds."""
    given = ["--trainable", "last:1"] if scenario == "finetune" else []
    if ALL in names:
        given += ["--teacher", options.teacher]
    return [
        sys.executable, "-m", "headstart.cli.main", "study", *options.data, "--scenario", scenario, *given,
        "--backbone", options.backbone, "--per-class", str(options.per_class), "--seeds", str(options.seeds),
        "--design", options.design, "--start", options.start, "--keep", options.keep, "--tricks", ",".join(names),
        "--json", *more,
    ]  # fmt: skip


def line(each: dict[str, Any]) -> str:
    """One effect in points, with its interval, verdict and price; in how many pairs of runs the start was kept."""
    if each["kind"] == "missing":
        return f"{each['trick']} missing: {each['why']}"
    price = "" if each["times"] is None else f", training {each['times']:.2f}x"
    kept = f", start kept in {each['start_kept']} of {each['n_pairs']} pairs" if each["start_kept"] else ""
    kept += f", not on {'+'.join(each['nothing_on'])}" if each["nothing_on"] else ""
    if each["low"] is None:
        return f"{each['trick']} {each['kind']}{price}{kept}"
    low, high = 100 * each["low"], 100 * each["high"]
    gained = f"{100 * each['effect']:+.1f} ({low:+.1f} to {high:+.1f})"
    return f"{each['trick']} {gained} {each['kind']}{price}{kept}"


def study(command: list[str], place: Path, name: str) -> tuple[dict[str, Any], float, float]:
    """What the study says, its wall seconds and the processor's."""
    start, used = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [*command, "--out", str(place / f"study-{name}")], capture_output=True, text=True,
        env={**os.environ, "HEADSTART_CACHE": str(place / "cache")},
    )  # fmt: skip
    if done.returncode:
        sys.exit(f"the study of {name} ended with status {done.returncode}: {done.stderr.strip()[-2000:]}")
    wall, now = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    busy = now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime
    return json.loads(done.stdout), wall, busy


if __name__ == "__main__":
    main()
