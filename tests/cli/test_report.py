"""`headstart report` and `headstart archive`, as a user runs them."""

import zipfile

import pytest

from headstart.testing.stored_studies import stored_study

pytest.importorskip("typst", reason='PDF needs typst (pip install "headstart[pdf]")')


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli")
    stored_study(folder, per_class=5, seeds=(0,))
    return folder / "study"


def test_every_format_is_written_and_told_as_json(run, as_documented, study, tmp_path):
    ran = run("report", study, "--format", "all", "--style", "author-date", "--out", tmp_path, "--json")
    value = as_documented("report", ran.out)
    assert ran.status == 0 and value["style"] == "author-date" and 15 <= value["minutes"] <= 20
    assert set(value["files"]) >= {"report.html", "paper.pdf", "paper.md", "tables.tex", "slides.html"}
    assert "2019). " in (tmp_path / "paper.md").read_text()


def test_by_default_html_goes_beside_the_study(run, study):
    ran = run("report", study)
    assert ran.status == 0 and (study / "report" / "report.html").is_file()
    assert ran.out.splitlines()[0] == str(study / "report" / "report.html")
    assert "the study is not complete" in ran.out


def test_a_wrong_format_and_a_wrong_style_are_told_at_once(run, study):
    ran = run("report", study, "--format", "docx", "--style", "harvard")
    assert ran.status == 2 and "format" in ran.err and "style" in ran.err


def test_a_folder_without_a_study_is_refused_in_one_line(run, tmp_path):
    for verb in ("report", "archive"):
        ran = run(verb, tmp_path / "nothing")
        assert ran.status == 2 and "no study in" in ran.err and ran.err.count("\n") == 1


def test_an_archive_is_written_and_told_as_json(run, as_documented, study, tmp_path):
    out = tmp_path / "study.zip"
    value = as_documented("archive", run("archive", study, "--out", out, "--json").out)
    with zipfile.ZipFile(out) as opened:
        assert list(value["files"]) == opened.namelist() and value["n_images"] == 0
    assert value["bytes"] == out.stat().st_size and value["left_out"]


def test_a_file_in_the_way_is_kept(run, study, tmp_path):
    (tmp_path / "mine.zip").write_text("mine")
    ran = run("archive", study, "--out", tmp_path / "mine.zip")
    assert ran.status == 2 and "not replaced" in ran.err and (tmp_path / "mine.zip").read_text() == "mine"
