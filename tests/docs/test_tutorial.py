"""Every command and snippet of the tutorial runs, in order, on drawn photos."""

from __future__ import annotations

from pathlib import Path

from headstart.cli.main import main


def test_every_block_of_the_tutorial_runs(run_page, capsys):
    run_page("tutorial.md")
    said = capsys.readouterr()
    assert "Best on photos" in said.out
    assert "['disc']" in said.out
    assert Path("runs/photos/report.html").is_file()
    assert Path("model.onnx").is_file()
    assert main(["study", "--spec", "study.toml", "--out", "runs/photos"]) == 0
    assert "all are done already" in capsys.readouterr().err


def test_the_tutorial_names_only_options_that_there_are(options_of):
    assert options_of("tutorial.md") <= options_of("reference.md") | {"--debug"}
