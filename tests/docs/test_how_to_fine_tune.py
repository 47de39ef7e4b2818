"""Every command and snippet of the page on training runs, in order, on drawn photos."""

from __future__ import annotations

from pathlib import Path


def test_every_block_of_the_page_on_training_runs(run_page, capsys):
    run_page("how-to-fine-tune.md")
    said = capsys.readouterr().out
    assert "trained last:1 (what comes after blocks.5) of lite0: " in said
    assert "last:7" in said
    assert " weights\n" in said
    assert Path("model.onnx").is_file()


def test_the_page_names_only_options_that_there_are(options_of):
    assert options_of("how-to-fine-tune.md") <= options_of("reference.md") | {"--nproc-per-node"}
