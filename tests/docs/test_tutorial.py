"""Every command and snippet of the tutorial runs, in order, on drawn photos."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from headstart.cli.main import main
from headstart.testing.images import class_folders

DOCS = Path(__file__).parents[2] / "docs"
BLOCKS = re.findall(
    r"^```(\w+)\n(.*?)^```", (DOCS / "tutorial.md").read_text("utf-8"), re.MULTILINE | re.DOTALL
)


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """A folder `photos` in the working folder."""
    monkeypatch.chdir(tmp_path)
    return class_folders(tmp_path / "photos", n_per_class=10)


def test_every_block_of_the_tutorial_runs(photos, capsys):
    for language, block in BLOCKS:
        if language == "sh":
            for line in block.splitlines():
                assert main(shlex.split(line)[1:]) == 0, f"{line}: {capsys.readouterr().err}"
        elif language == "python":
            exec(compile(block, "tutorial.md", "exec"), {})
        else:
            Path("study.toml").write_text(block)
    said = capsys.readouterr()
    assert "Best on photos" in said.out
    assert "['disc']" in said.out
    assert Path("runs/photos/report.html").is_file()
    assert Path("model.onnx").is_file()
    assert main(["study", "--spec", "study.toml", "--out", "runs/photos"]) == 0
    assert "all are done already" in capsys.readouterr().err


def test_the_tutorial_names_only_options_that_there_are():
    named = set(re.findall(r"--[a-z][a-z-]+", (DOCS / "tutorial.md").read_text("utf-8")))
    assert named <= set(re.findall(r"--[a-z][a-z-]+", (DOCS / "reference.md").read_text("utf-8"))) | {
        "--debug"
    }
