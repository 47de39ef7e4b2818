"""Several worker processes on one storage: started, watched, stopped together."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from headstart.base.errors import HeadstartError
from headstart.base.runtime import n_threads

POLL_SECONDS = 0.5
STOP_SECONDS = 60
WORKER = "headstart.methods.tune.worker"


class WorkerFailed(HeadstartError):
    """A worker process ended with an error."""


def run_workers(folder: Path, n: int, look: Callable[[], None], module: str = WORKER) -> None:
    """Run `n` workers of a module to their end, with their share of the threads each; `look` is called meanwhile.

    Raises
    ------
    WorkerFailed
        With the last line that a worker wrote.
    """
    threads = str(max(1, n_threads() // n))
    named = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    environment = {**os.environ, **dict.fromkeys(named, threads)}
    command = [sys.executable, "-m", module, str(folder)]
    log = folder / "work" / "workers.log"
    with log.open("wb") as said:
        workers = [
            subprocess.Popen([*command, str(number)], env=environment, stdout=said, stderr=said)
            for number in range(n)
        ]
        try:
            while any(each.poll() is None for each in workers):
                look()
                time.sleep(POLL_SECONDS)
        finally:
            _stop(workers)
    look()
    if any(each.returncode not in (0, None) for each in workers):
        lines = log.read_text("utf-8", "replace").strip().splitlines()
        raise WorkerFailed(
            f"a worker ended with status {max(each.returncode for each in workers)}"
            + (f": {lines[-1][:300]}" if lines else "")
            + f"; see {log}"
        )


def _stop(workers: list[subprocess.Popen[bytes]]) -> None:
    """Ask those that run still to stop (they give their trials back), and wait."""
    for each in workers:
        if each.poll() is None:
            each.send_signal(signal.SIGINT)
    for each in workers:
        try:
            each.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            each.kill()
            each.wait()
