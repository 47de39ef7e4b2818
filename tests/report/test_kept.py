"""A report is written anew where its record, its file or its code differ, and only there."""

from __future__ import annotations

from dataclasses import replace

import pytest

from headstart.report import build, kept
from headstart.report.kept import keep_report
from headstart.testing.records import tiny_record


@pytest.fixture
def written(monkeypatch):
    """How often a report was made."""
    made = []
    real = build.build_document
    monkeypatch.setattr(build, "build_document", lambda *given: made.append(1) or real(*given))
    return made


def test_a_finished_study_keeps_its_report(tmp_path, written):
    record = tiny_record(tmp_path / "study")
    path = keep_report(record, tmp_path / "report.html")
    before = path.read_bytes()
    keep_report(replace(record, seconds_total=record.seconds_total + 2), path)
    assert len(written) == 1 and path.read_bytes() == before


def test_it_is_written_anew_where_anything_differs(tmp_path, written, monkeypatch):
    record = tiny_record(tmp_path / "study")
    path = keep_report(record, tmp_path / "report.html")
    path.write_text(path.read_text().replace("Which head start", "What"))
    keep_report(record, path)
    assert "Which head start" in path.read_text() and len(written) == 2
    keep_report(replace(record, warnings=("one more",)), path)
    assert "one more" in path.read_text() and len(written) == 3
    keep_report(replace(record, warnings=("one more",), unadvised={"shapes": "it was late"}), path)
    assert "it was late" in path.read_text() and len(written) == 4
    monkeypatch.setattr(kept, "_code", lambda: "other code")
    keep_report(replace(record, warnings=("one more",)), path)
    assert len(written) == 5
