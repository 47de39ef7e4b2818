"""The page on ways of sharing is run as it is written."""

from pathlib import Path


def test_the_page_compares_two_ways_of_sharing(run_page):
    run_page("how-to-compare-sharing.md")
    report = Path("runs/tools/report.html").read_text("utf-8")
    assert "Several outputs" in report and "separate networks" in report
