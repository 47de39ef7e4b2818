"""A worker process of a tuning: `python -m headstart.methods.tune.worker FOLDER [NUMBER]`.

It takes its trials from the storage of the folder and ends when none are left. More of them may be started by
hand while a tuning runs.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from headstart.methods.heads_shared import shared_spaces
from headstart.methods.tune.job import Search, read_job, spaces_folder
from headstart.methods.tune.storage import open_storage
from headstart.methods.tune.work import work

STOPPED = 130


def main(arguments: list[str], open_teacher: Callable[[Any], Any] | None = None) -> int:
    """Work until nothing is left; 130 where Ctrl-C or the end of the parent stopped it.

    `open_teacher` makes a fitted classifier of the teacher that the plan names.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    folder, number = Path(arguments[0]), int(arguments[1]) if len(arguments) > 1 else os.getpid()
    parent = os.getppid()

    def counted(search: Search, done: int) -> None:
        if os.getppid() != parent:
            raise KeyboardInterrupt

    try:
        job = read_job(folder)
        if open_teacher is not None:
            job.teacher = open_teacher(job.plan.training.get("teacher"))
        with shared_spaces(spaces_folder(folder)):
            work(job, open_storage(folder), worker=number, counted=counted)
    except KeyboardInterrupt:
        return STOPPED
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
