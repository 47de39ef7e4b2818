"""Start-up: `import headstart` under 0.3 s without torch, `headstart --help` under 0.5 s (median of 5 starts).

python benchmarks/startup.py
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

from bars import Bars, reference_rate

LOADED = "import headstart, sys; print(sum(name in sys.modules for name in ('torch', 'numpy', 'sklearn')))"


def main() -> None:
    bars = Bars()
    rate = reference_rate()
    loaded = subprocess.run(
        [sys.executable, "-c", LOADED],
        check=True, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    bars.bar("heavy packages that `import headstart` loads", int(loaded.stdout), "<=", 0)
    empty = seconds("pass")
    bars.seconds("import headstart (over an empty Python)", seconds("import headstart") - empty, 0.3, rate)
    help_ = seconds(
        "import sys; sys.argv = ['headstart', '--help']; from headstart.cli.main import main; main()"
    )
    bars.seconds("headstart --help", help_, 0.5, rate)
    bars.done()


def seconds(code: str) -> float:
    """Median wall-clock time of a Python that runs `code`."""
    times = []
    for _ in range(5):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL, check=True)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


if __name__ == "__main__":
    main()
