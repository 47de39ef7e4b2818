"""Every command and snippet of the page on fair studies, in order, on drawn photos."""

from __future__ import annotations

from pathlib import Path

from headstart.images.augment.corruptions import CORRUPTIONS
from headstart.study.spec import read_spec
from headstart.testing.images import class_folders


def test_every_block_of_the_page_runs(run_page, capsys, tmp_path):
    class_folders(tmp_path / "photos-later", n_per_class=4, seed=77)
    run_page("how-to-run-a-fair-study.md")
    said = capsys.readouterr()
    assert "second folder" in said.out and "corrupted" in said.out
    assert "equal terms: one split a data set and seed" in said.err and "3 given folds" in said.err
    report = Path("runs/spoilt/report.html").read_text("utf-8")
    assert (
        "Equal terms, checked" in report and "The data, audited" in report and "results-0-severity" in report
    )
    curve = Path("runs/curve/report.html").read_text("utf-8")
    assert "Images a class" in curve and "levels off at" in curve and "for two points more?" in curve
    assert read_spec("study.toml").augment == ("none", "light", "medium")


def test_the_page_names_every_corruption_and_only_options_that_there_are(options_of):
    text = (Path(__file__).parents[2] / "docs" / "how-to-run-a-fair-study.md").read_text("utf-8")
    assert all(f"`{name}`" in text for name in CORRUPTIONS)
    assert options_of("how-to-run-a-fair-study.md") <= options_of("reference.md")
