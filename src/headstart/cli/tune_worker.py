"""A worker process of a tuning whose teacher may be the folder of a model; see `headstart.methods.tune.worker`."""

from __future__ import annotations

import sys

from headstart.cli.teacher import teacher_of
from headstart.methods.tune.worker import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], teacher_of))
