"""Importing the client of Milvus changes nothing else of the process."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip("pymilvus")

PROGRAM = """
import logging

class Told(logging.Handler):
    closed = 0
    def close(self):
        Told.closed += 1

mine = Told()
logging.getLogger("mine").addHandler(mine)
import headstart.features.stores.milvus
assert Told.closed == 0, "a handler of the program was closed"
import logging.config
assert logging.config.dictConfig.__module__ == "logging.config"
print("ok")
"""


def test_importing_the_client_leaves_the_logging_of_the_program_alone():
    ran = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert ran.stdout == "ok\n", ran.stderr
