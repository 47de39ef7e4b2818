"""One network with two outputs against two networks, and the published protocol of the solar cells; packaged `elpv`.

    python benchmarks/outputs.py [--seeds 3] [--images 2624] [--trainable last:2] [-- OPTIONS OF STUDY]

Deitsch et al. (2019, Solar Energy 185): 75 % of the cells train and 25 % test, balanced by defect and type; a cell is
defective where its probability is above one half (thirds, so 2/3 and 1). An eighth of the training cells chooses the
epoch. Three studies, each a command of its own with an empty cache: both outputs in one network, each alone; every
seed trains on the same split. Seconds are those of the whole commands; the processor's own are printed beside them,
which other programs on the machine disturb less. Published: hand-made features and an SVM 82.4 %, VGG-19 88.4 %.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from bars import Bars

from headstart.images.scan import scan
from headstart.images.split import split_table
from headstart.images.table import ImageTable

TARGETS = ("defect", "type")
PUBLISHED = 88.4
RATIOS = (0.75 * 7 / 8, 0.75 / 8, 0.25)


@dataclass(frozen=True)
class Found:
    """Accuracy by output (mean over seeds, with its interval), seconds of the command, processor seconds."""

    accuracy: dict[str, dict[str, float]]
    joint: dict[str, float] | None
    wall: float
    processor: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--images", type=int, default=0, help="only so many cells (0: all), for a smoke test")
    parser.add_argument("--trainable", default="last:2")
    options, more = parser.parse_known_args()
    more = [word for word in more if word != "--"]
    bars = Bars()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        table = divided(options.images)
        data = written(table, place / "cells.csv")
        given = ["--seeds", str(options.seeds), "--trainable", options.trainable, *more]
        ran = {
            ",".join(targets): studied(place, data, table, targets, given)
            for targets in (TARGETS, *((name,) for name in TARGETS))
        }
    shared, alone = ran[",".join(TARGETS)], [ran[name] for name in TARGETS]
    for name, single in zip(TARGETS, alone, strict=True):
        gap = 100 * (shared.accuracy[name]["value"] - single.accuracy[name]["value"])
        bars.bar(f"{name}: points of the shared network above the separate one", gap, ">=", -1.0)
    print(
        f"  processor seconds, shared over separate: {shared.processor / sum(e.processor for e in alone):.3f}"
    )
    bars.bar("seconds, shared over the sum of separate", shared.wall / sum(e.wall for e in alone), "<=", 0.6)
    bars.bar(
        "defect: test accuracy of the shared network, percent",
        100 * shared.accuracy["defect"]["value"],
        ">=",
        PUBLISHED,
    )
    bars.done()


def divided(n_images: int) -> ImageTable:
    """The cells with a split that is balanced by defect and type at once."""
    table = scan("elpv")
    pairs = tuple(f"{a} {b}" for a, b in zip(*(table.labels[name] for name in TARGETS), strict=True))
    with_pairs = ImageTable(**{**vars(table), "labels": {**table.labels, "pair": pairs}})
    if n_images:
        with_pairs = with_pairs.select(list(range(0, len(table), max(1, len(table) // n_images)))[:n_images])
    return split_table(with_pairs, ratios=RATIOS, seed=0, target="pair")


def written(table: ImageTable, path: Path) -> Path:
    """The table as a ground-truth file."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["path", *TARGETS, "split"])
        columns = [table.labels[name] for name in TARGETS]
        writer.writerows(zip(table.paths, *columns, table.splits or (), strict=True))
    return path


def studied(place: Path, data: Path, table: ImageTable, targets: tuple[str, ...], more: list[str]) -> Found:
    """One study as a whole command with an empty cache."""
    name = "-".join(targets)
    command = [
        sys.executable, "-m", "headstart.cli.main", "study", str(data), "--image-root", table.root, "--target",
        ",".join(targets), "--scenario", "finetune", *(("--sharing", "hard") if len(targets) > 1 else ()),
        "--out", str(place / name), "--no-advice", "--json", *more,
    ]  # fmt: skip
    environment = {**os.environ, "HEADSTART_CACHE": str(place / f"{name}-cache")}
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    said = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    found = json.loads(said)
    if len(targets) > 1:
        (row,) = found["outputs"]
        accuracy, joint = {each: row["outputs"][each]["accuracy"] for each in targets}, row["joint"]
    else:
        (row,) = found["methods"]
        accuracy, joint = {targets[0]: row["accuracy"]}, None
    told = {each: {key: round(value, 4) for key, value in score.items()} for each, score in accuracy.items()}
    print(f"  {name}: {told}, all right {joint}, {wall:.0f} s, {processor:.0f} s of processor", flush=True)
    return Found(accuracy, joint, wall, processor)


if __name__ == "__main__":
    main()
