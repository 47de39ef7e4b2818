"""`python -m headstart`: the same as the command `headstart`."""

import sys

from headstart.cli.main import command

if __name__ == "__main__":
    sys.exit(command())
