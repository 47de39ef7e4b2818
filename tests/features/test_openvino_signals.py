"""OpenVINO leaves signals in order, whichever of several runners goes first."""

from __future__ import annotations

import subprocess
import sys

import pytest

SIGNAL_AFTER = """
import gc, os, signal
import openvino
from openvino import opset13 as ops
from pathlib import Path
from headstart.features.engines.openvino_engine import OpenVinoRunner

given = ops.parameter([-1, 4, 4, 3], openvino.Type.u8, name="pixels")
seen = ops.reduce_mean(ops.convert(given, "f32"), [1, 2], keep_dims=False)
openvino.save_model(openvino.Model([seen], [given]), "graph.xml")
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


@pytest.mark.skipif(sys.platform == "win32", reason="signals of Unix")
def test_a_signal_is_handled_after_runners_went_first_come_first_served(tmp_path):
    pytest.importorskip("openvino")
    command = [sys.executable, "-X", "faulthandler", "-c", SIGNAL_AFTER]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr
