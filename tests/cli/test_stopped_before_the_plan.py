"""A study that was stopped before it had a plan: every output says what was asked, and that nothing was planned or run."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys

import pytest

from headstart.base.errors import UsageError
from headstart.report.archive import write_archive
from headstart.report.outputs import build_outputs
from headstart.study.advice_audit import NOT_PLANNED
from headstart.study.execute import run_study
from headstart.study.record import find_cell, load_record
from headstart.study.spec import StudySpec, spec_dict
from headstart.study.store import StudyStore
from headstart.testing.images import class_folders
from headstart.testing.pdf import pages_of

FORMATS = ("html", "markdown", "latex", "slides")


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """The folder of a study that was killed while it looked for its images."""
    folder = tmp_path_factory.mktemp("killed")
    photos = class_folders(folder / "photos", n_per_class=8)
    script = f"""
import os, signal
from headstart.study import execute, prepared
from headstart.study.spec import StudySpec

prepared.scan_sources = lambda spec: os.kill(os.getpid(), signal.SIGKILL)
spec = StudySpec(data=({str(photos)!r},), layer=("stage5",), head=("nearest_mean",), seeds=1, engine="torch")
execute.run_study(spec, {str(folder / "study")!r}, command="headstart study photos --seeds 1")
"""
    ended = subprocess.run([sys.executable, "-c", script], env={**os.environ}, check=False)
    assert ended.returncode == -signal.SIGKILL
    return folder / "study"


def plain(text):
    text = re.sub(r"(?s)<(script|style)>.*?</\1>", "", text)
    return " ".join(re.sub(r"<[^>]+>", " ", text).replace("\u00a0", " ").replace("\\", "").split())


def test_every_format_says_what_was_asked_and_that_nothing_ran(killed):
    record = load_record(killed)
    assert not record.planned and record.n_planned == 0 and record.results == ()
    made = build_outputs(record, FORMATS)
    for name in ("report.html", "paper.md", "slides.html"):
        said = plain(made.files[name].decode())
        assert "Nothing of this study was planned or run yet" in said, name
        assert "layer stage5; head nearest_mean; seeds 1" in said and "photos" in said, name
        assert "headstart study photos --seeds 1" in said and "()" not in said, name
        assert "0 of 0" not in said and "0 methods" not in said, name


def test_the_pdf_says_it_too(killed):
    pytest.importorskip("typst", reason='PDF needs typst (pip install "headstart[pdf]")')
    pytest.importorskip("pypdfium2")
    text = plain(" ".join(pages_of(build_outputs(load_record(killed), ("pdf",)).files["paper.pdf"])))
    assert "Nothing of this study was planned or run yet" in text and "headstart study photos" in text


def test_the_command_line_writes_the_report_and_says_why_it_is_empty(run, as_documented, killed, tmp_path):
    ran = run("report", killed, "--format", "html,markdown,slides", "--out", tmp_path)
    assert ran.status == 0 and (tmp_path / "report.html").is_file() and (tmp_path / "slides.html").is_file()
    assert ran.out.splitlines()[-1].startswith("nothing of the study was planned or run yet")
    value = as_documented("report", run("report", killed, "--out", tmp_path / "again", "--json").out)
    assert (value["n_planned"], value["n_runs"]) == (0, 0)


def test_an_archive_and_an_audit_of_it_are_refused_in_one_line(run, killed, tmp_path):
    with pytest.raises(UsageError, match="nothing to archive"):
        write_archive(load_record(killed), tmp_path / "study.zip")
    ran = run("archive", killed, "--out", tmp_path / "study.zip")
    assert ran.status == 2 and ran.err.count("\n") == 1 and not (tmp_path / "study.zip").exists()
    ran = run("advise", "--audit", killed)
    assert ran.status == 2 and ran.err.count("\n") == 1 and NOT_PLANNED in ran.err
    with pytest.raises(UsageError, match="has finished; run its command again"):
        find_cell(load_record(killed))


def test_a_store_that_holds_nothing_gives_a_report_too(tmp_path):
    with StudyStore(tmp_path / "study"):
        pass
    made = build_outputs(load_record(tmp_path / "study"), FORMATS)
    assert "What was asked was not recorded" in plain(made.files["report.html"].decode())


def test_the_same_command_makes_the_study(killed):
    spec = load_record(killed).spec
    record = run_study(StudySpec(**{name: _value(each) for name, each in spec.items()}), killed)
    assert record.planned and len(record.results) == record.n_planned == 1


def test_a_plan_that_is_there_keeps_its_spec_until_there_is_another(tmp_path):
    photos = class_folders(tmp_path / "photos", n_per_class=8)
    given = {"data": (str(photos),), "layer": ("stage5",), "seeds": 1, "engine": "torch"}
    run_study(StudySpec(head=("nearest_mean",), **given), tmp_path / "study", command="first")
    script = f"""
import os, signal
from headstart.study import execute, prepared
from headstart.study.spec import StudySpec

prepared.scan_sources = lambda spec: os.kill(os.getpid(), signal.SIGKILL)
execute.run_study(StudySpec(head=("lda",), **{given!r}), {str(tmp_path / "study")!r}, command="second")
"""
    subprocess.run([sys.executable, "-c", script], env={**os.environ}, check=False)
    record = load_record(tmp_path / "study")
    assert record.command == "first" and record.spec["head"] == ["nearest_mean"] and len(record.results) == 1
    assert record.spec == spec_dict(StudySpec(head=("nearest_mean",), **given))


def _value(given):
    return tuple(given) if isinstance(given, list) else given
