"""Every command and snippet of the page on tuning, in order, on drawn photos; its table is of today."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("optuna")

DOCS = Path(__file__).parents[2] / "docs"


def test_every_block_of_the_page_on_tuning_runs(run_page, capsys):
    run_page("how-to-tune.md")
    assert "Best on photos" in capsys.readouterr().out
    assert "What tuning was worth" in Path("runs/photos-tune/tuning.html").read_text("utf-8")


def test_the_table_of_spaces_is_what_the_options_say():
    from headstart.methods.tune.tables import with_table

    kept = (DOCS / "how-to-tune.md").read_text("utf-8")
    assert kept == with_table(kept), "run: python -m headstart.methods.tune.tables docs/how-to-tune.md"
