"""OpenVINO in a process of its own: signals stay in order, and threads may begin at once."""

from __future__ import annotations

import subprocess
import sys

import pytest

GRAPH = """
import gc, os, signal, sys, threading
import numpy as np
import openvino
from openvino import opset13 as ops
from pathlib import Path
from headstart.features.engines.openvino_engine import OpenVinoRunner

given = ops.parameter([-1, 4, 4, 3], openvino.Type.u8, name="pixels")
seen = ops.reduce_mean(ops.convert(given, "f32"), [1, 2], keep_dims=False)
openvino.save_model(openvino.Model([seen], [given]), "graph.xml")
"""
SIGNAL_AFTER = """
heard = []
signal.signal(signal.SIGUSR1, lambda *_: heard.append(1))
first, second = OpenVinoRunner([Path("graph.xml")]), OpenVinoRunner([Path("graph.xml")])
del first
gc.collect()
del second
gc.collect()
os.kill(os.getpid(), signal.SIGUSR1)
print(len(heard))
"""
AT_ONCE = """
runner, begin, found = OpenVinoRunner([Path("graph.xml")]), threading.Barrier(8), []
sys.setswitchinterval(1e-6)

def run():
    begin.wait()
    found.append(runner.run(np.full((2, 4, 4, 3), 7, np.uint8))[0])

threads = [threading.Thread(target=run) for _ in range(8)]
for each in threads:
    each.start()
for each in threads:
    each.join()
print(len(found), all((each == 7).all() for each in found))
"""


def said_by(code, folder):
    """What a new process prints that runs this on a small graph; it may take a minute."""
    pytest.importorskip("openvino")
    command = [sys.executable, "-X", "faulthandler", "-c", GRAPH + code]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, (done.returncode, done.stderr)
    return done.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="signals of Unix")
def test_a_signal_is_handled_after_runners_went_first_come_first_served(tmp_path):
    assert said_by(SIGNAL_AFTER, tmp_path) == "1\n"


def test_threads_that_begin_at_once_do_not_wait_for_each_other_for_ever(tmp_path):
    assert said_by(AT_ONCE, tmp_path) == "8 True\n"
