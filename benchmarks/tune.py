"""Tuning heads on warm features: seconds of 200 trials, and what a second worker brings.

python benchmarks/tune.py DATA [--trials 200] [--heads logistic,linear_svm,knn,nearest_mean,lda,ridge]

Bars: 200 trials (in equal parts for each head whose space is not finite) within 120 s; two workers of one thread
each on one storage do at least 1.6 times the trials of one such worker in the same time. One worker with two threads
is printed beside them.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bars import Bars, reference_rate

from headstart.methods.tune.storage import open_storage

HEADS = "logistic,linear_svm,knn,nearest_mean,lda,ridge"
FINITE = "nearest_mean"  # its space has eight points, so its search ends before the others
NAMES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def tuned(data: str, out: Path, *words: str, threads: int | None = None) -> tuple[float, dict]:
    """Seconds and result of one command."""
    limits = {} if threads is None else dict.fromkeys(NAMES, str(threads))
    command = [sys.executable, "-m", "headstart.cli.main", "tune", data, "--out", str(out), "--json", *words]
    start = time.perf_counter()
    done = subprocess.run(
        command, env={**os.environ, **limits}, check=True, stdout=subprocess.PIPE, text=True
    )
    return time.perf_counter() - start, json.loads(done.stdout)


def rate(out: Path) -> float:
    """Trials a second from the start of the first trial to the end of the last, the defaults left out."""
    storage = open_storage(out)
    (study,) = storage.get_all_studies()
    trials = [each for each in storage.get_all_trials(study._study_id) if "default" not in each.user_attrs]
    began, ended = min(each.datetime_start for each in trials), max(each.datetime_complete for each in trials)
    return len(trials) / (ended - began).total_seconds()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--heads", default=HEADS)
    parser.add_argument("--pairs", type=int, default=3)
    given = parser.parse_args()
    bars, heads = Bars(), given.heads.split(",")
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        tuned(given.data, place / "warm", "--head", "nearest_mean", "--trials", "2")
        each = -(-given.trials // sum(head != FINITE for head in heads))
        speed = reference_rate()
        seconds, found = tuned(given.data, place / "all", "--head", given.heads, "--trials", str(each))
        n = sum(search["n_trials"] for search in found["searches"])
        for line in found["methods"]:
            print(
                f"  {line['method']}: {line['default']['value']:.3f} -> {line['tuned']['value']:.3f} {line['params']}"
            )
        bars.seconds(f"{n} trials of {len(heads)} heads, process start to exit", seconds, 120, speed)
        ratios, threaded = [], []
        for pair in range(given.pairs):
            few = ("--head", "logistic", "--trials", "60", "--seed", str(pair))
            kinds = (("one", 1, 1), ("two", 2, 1), ("threads", 1, 2))
            took = {}
            for name, workers, threads in kinds:
                out = place / f"{name}{pair}"
                tuned(given.data, out, *few, "--workers", str(workers), threads=threads)
                took[name] = rate(out)
            print("  trials a second: " + ", ".join(f"{name} {value:.2f}" for name, value in took.items()))
            ratios.append(took["two"] / took["one"])
            threaded.append(took["two"] / took["threads"])
        middle = sorted(ratios)[len(ratios) // 2]
        print(
            f"  two workers against one worker with two threads: {sorted(threaded)[len(threaded) // 2]:.2f} times"
        )
        bars.bar("two workers against one, trials in the same time", middle, ">=", 1.6, " times")
    bars.done()


if __name__ == "__main__":
    main()
