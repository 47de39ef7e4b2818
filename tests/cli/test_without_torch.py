"""A model predicts in another folder, with an empty cache, where torch cannot be imported."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

CODE = """
import sys

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "torchvision", "timm"):
            raise ModuleNotFoundError(f"{name} is hidden")

sys.meta_path.insert(0, Hidden())
from headstart.cli.main import main
sys.exit(main(sys.argv[1:]))
"""
SEEN = """
import sys
from headstart.cli.main import main
status = main(sys.argv[1:])
print([name for name in ("torch", "timm", "torchvision") if name in sys.modules], file=sys.stderr)
sys.exit(status)
"""


def python(code, *arguments, cache):
    environment = {**os.environ, "HEADSTART_CACHE": str(cache)}
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)


def test_a_moved_model_predicts_where_torch_is_hidden(tiny_model, new_photos, tmp_path, run):
    expected = json.loads(run("predict", tiny_model, new_photos, "--json").out)
    moved = shutil.copytree(tiny_model, tmp_path / "elsewhere" / "model")
    cache = tmp_path / "empty"
    ran = python(CODE, "predict", moved, new_photos, "--json", cache=cache)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == expected
    assert not cache.exists()


def test_a_trained_model_predicts_evaluates_and_exports_where_torch_is_hidden(
    trained, new_photos, tmp_path, run
):
    expected = json.loads(run("predict", trained.folder, new_photos, "--views", "2", "--json").out)
    moved = shutil.copytree(trained.folder, tmp_path / "elsewhere" / "model")
    cache = tmp_path / "empty"
    ran = python(CODE, "predict", moved, new_photos, "--views", "2", "--json", cache=cache)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == expected
    ran = python(CODE, "evaluate", moved, new_photos, "--json", cache=cache)
    assert ran.returncode == 0, ran.stderr
    ran = python(CODE, "export", moved, "--onnx", tmp_path / "m.onnx", "--json", cache=cache)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["largest_difference"] < 1e-4


def test_predict_does_not_load_torch_where_it_is_there(tiny_model, trained, new_photos, tmp_path):
    for model, more in ((tiny_model, ()), (trained.folder, ("--views", "2"))):
        image = new_photos / "disc" / "000.jpg"
        ran = python(SEEN, "predict", model, image, *more, cache=tmp_path / "empty")
        assert ran.returncode == 0, ran.stderr
        assert ran.stderr == "[]\n"
