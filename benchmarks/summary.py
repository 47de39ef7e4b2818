"""Summary of every network that timm knows, on the meta device: how many succeed, how long each takes.

python benchmarks/summary.py [--top] [--every N] [--limit SECONDS]
"""

from __future__ import annotations

import argparse
import resource
import signal
import statistics
import time
import warnings
from typing import Any

import timm
from bars import Bars

from headstart.backbones.summary import WHOLE, summarise


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--top", action="store_true", help="with their own classifiers")
    parser.add_argument("--every", type=int, default=1, help="take every n-th network alone")
    parser.add_argument("--limit", type=int, default=60, help="seconds after which a network has failed")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGALRM, out_of_time)
    names = timm.list_models()[:: given.every]
    summarise("lite0")
    before = peak_megabytes()
    failed, seconds, told, largest = 0, [], 0, 0
    for name in names:
        start = time.perf_counter()
        signal.alarm(given.limit)
        try:
            found = summarise(f"timm:{name}", top=given.top)
            told += any(layer.receptive_field == WHOLE for layer in found.layers) or found.widest is not None
            largest = max(largest, 4 * found.n_parameters)
        except Exception as error:  # noqa: BLE001 (whatever fails is told and counted)
            failed += 1
            print(f"failed: {name}: {type(error).__name__}: {' '.join(str(error).split())}", flush=True)
        finally:
            signal.alarm(0)
        seconds.append(time.perf_counter() - start)
    slow = sorted(zip(seconds, names, strict=True), reverse=True)[:3]
    print(f"networks: {len(names)}, failed: {failed}, with a receptive field that is told: {told}")
    print(f"slowest: {', '.join(f'{name} {taken:.1f} s' for taken, name in slow)}")
    print(
        f"peak memory grew by {peak_megabytes() - before:.0f} MB; the largest weights are {largest / 1e6:.0f} MB"
    )
    bars = Bars()
    bars.bar("networks summarised", 100 * (1 - failed / len(names)), ">=", 97, " %")
    bars.bar("median time of a network", statistics.median(seconds), "<=", 2, " s")
    bars.done()


def out_of_time(*_: Any) -> None:
    raise TimeoutError("took longer than the limit")


def peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
