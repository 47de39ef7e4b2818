"""Every command and snippet of the page on tricks, in order, on drawn photos; its table is of today."""

from __future__ import annotations

import csv
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def test_every_block_of_the_page_on_tricks_runs(run_page, capsys):
    run_page("how-to-hold-tricks-to-account.md")
    said = capsys.readouterr().out
    assert "one-at-a-time, 2 effects" in said and "factorial, 3 effects" in said
    assert "'name': 'TransferClassifier'" in said
    report = Path("runs/tricks/report.html").read_text("utf-8")
    assert "Forest plot of tricks" in report and "label smoothing" in report
    with Path("runs/pairs/tricks.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["trick"] for row in rows] == ["label_smoothing", "dropout", "label_smoothing x dropout"]


def test_the_table_of_tricks_is_what_they_declare():
    from headstart.methods.tricks.tables import with_table

    kept = (DOCS / "how-to-hold-tricks-to-account.md").read_text("utf-8")
    assert kept == with_table(kept), (
        "run: python -m headstart.methods.tricks.tables docs/how-to-hold-tricks-to-account.md"
    )
