"""Every output is safe against names that try to break out of it."""

import csv
import dataclasses
import io
import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.report import latex, markdown
from headstart.report.archive_images import inside
from headstart.report.archive_tables import csv_text, run_rows
from headstart.report.document import Claim, Column, Document, Entry, Paragraph, Points, Row, Section, Table
from headstart.report.outputs import build_outputs
from headstart.report.paper import build_paper
from headstart.report.pdf import paper_data, pdf
from headstart.report.slides import slides
from headstart.report.talk import build_talk
from headstart.study.record import load_record
from headstart.testing.pdf import pages_of
from headstart.testing.stored_studies import stored_study

pytest.importorskip("typst", reason='PDF needs typst (pip install "headstart[pdf]")')
pytest.importorskip("pypdfium2")
HOSTILE = (
    '=HYPERLINK("http://evil")',
    "<script>alert(1)</script>",
    '#import "x": y; $a$ *b* @c \\end{document} [d](e)',
)
BREAKING = (
    "</td></script><script>alert(1)</script>", "\\end{longtable}\\input{/etc/passwd}", "#read(\"/etc/passwd\")",
    "| a | b |\n# c", "[x](javascript:alert(1))", "![i](http://evil/x.png)", "`code`", "$x$", "%", "&amp;", "~^_{}",
    "*bold*", "@everyone", "https://evil.example/", "\x1b[2J", "\udce9",
)  # fmt: skip


def of(*texts):
    """A document of hostile texts in every place that shows one."""
    rows = tuple(Row((Entry(text, small=text), Entry(text, href=text, target=text))) for text in texts)
    table = Table("t", texts[0], (Column(texts[0]), Column(texts[-1], numeric=True)), rows)
    blocks = [Claim(text, ("0" * 32,)) for text in texts] + [
        Points(texts),
        Points(texts, code=True),
        Paragraph(texts[0]),
    ]
    return Document(texts[0], texts[-1], (Section("s", texts[0], (*blocks, table)),))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """A study whose classes, files, data set and errors are all hostile."""
    folder = tmp_path_factory.mktemp("hostile")
    names = {"classes": HOSTILE, "file_name": "=cmd|'{}'!A0.jpg", "error": HOSTILE[2] + HOSTILE[1]}
    stored_study(folder, per_class=10, seeds=(0,), **names)
    return load_record(folder / "study")


@pytest.mark.parametrize("text", BREAKING)
def test_no_text_is_markup_in_typst(text):
    shown = " ".join(pages_of(pdf(of(text, "plain"))))
    for sign in ("#read", "javascript", "longtable", "script", "evil"):
        if sign in text:
            assert sign in re.sub(r"[\s\u200b\ufffe\u00ad-]", "", shown)
    assert "root:" not in shown


def test_hostile_names_stay_text_in_the_pdf(hostile):
    text = re.sub(r"[\s\u200b\ufffe]", "", "".join(pages_of(pdf(build_paper(hostile).document))))
    assert "<script>alert(1)</script>" in text and "HYPERLINK" in text


def test_data_of_the_template_is_plain_json(hostile):
    data = paper_data(build_paper(hostile).document)
    assert json.loads(json.dumps(data)) == data


@pytest.mark.parametrize("text", BREAKING)
def test_no_text_is_markup_in_markdown(text):
    made = markdown.markdown(of(text, "plain"))
    outside = re.sub(r"^(`{3,})\n.*?\n\1$", "", made, flags=re.MULTILINE | re.DOTALL)
    assert "<" not in re.sub(r"\(<https?://[^>]*>\)", "", outside)
    assert not re.search(r"(?<!\\)!?\[[^\]\\]*\](?!\\)\((?!<)", outside)
    assert not re.search(r"https?://", re.sub(r"\(<https?://[^>]*>\)", "", outside))
    assert len([line for line in outside.splitlines() if line.startswith("#")]) == 2
    widths = {len(re.findall(r"(?<!\\)\|", line)) for line in outside.splitlines() if line.startswith("| ")}
    assert widths == {3}


def test_hostile_names_stay_text_in_markdown(hostile):
    text = build_outputs(hostile, ("markdown",)).files["paper.md"].decode()
    assert "<script" not in text and "&lt;script&gt;" in text and "\\[d\\](e)" in text


@pytest.mark.parametrize("text", BREAKING)
def test_no_text_is_a_command_in_latex(text):
    made = latex.latex_tables(of(text, "plain"))
    body = made.split("\\begin{longtable}", 1)[1]
    known = (
        r"\\(begin|end)\{longtable\}|\\(caption|label|toprule|midrule|bottomrule|endhead|footnotesize|raggedright|"
        r"arraybackslash|linewidth)\b|\\text\w+\{\}|\\ldots\{\}|\\[%&#$_{}]|\\\\"
    )
    left = re.sub(known, "", body)
    assert "\\" not in left and "$" not in left and "%" not in left
    assert body.count("\\end{longtable}") == 1


def test_hostile_names_stay_text_in_latex(hostile):
    text = build_outputs(hostile, ("latex",)).files["tables.tex"].decode()
    assert "\\end{document}" not in text and "\\textbackslash{}end\\{document\\}" in text


def test_hostile_names_stay_text_in_the_slides(hostile):
    page = slides(build_talk(hostile, build_paper(hostile)))
    assert page.count("<script") == 1 and "&lt;script&gt;alert(1)" in page
    assert not re.search(r"<[^>]* on\w+=", page)


def test_hostile_names_are_no_formulas_in_csv(hostile):
    rows = [{"class": name, "n": -1.5, "=head": "+1", "t": "\tx", "none": None} for name in HOSTILE]
    read = list(csv.reader(io.StringIO(csv_text(rows))))
    assert read[1][0] == "'" + HOSTILE[0] and read[0][2] == "'=head" and read[1][2] == "'+1"
    assert read[1][1] == "-1.5" and read[1][3] == "'\tx" and read[1][4] == ""
    for line in csv.reader(io.StringIO(csv_text(run_rows(hostile)))):
        assert not any(cell.startswith(("=", "+", "@")) for cell in line)


@settings(deadline=None)  # a busy machine counts for nothing
@given(st.lists(st.dictionaries(st.sampled_from("abc"), st.text() | st.none(), min_size=1), min_size=1))
def test_any_text_survives_csv_but_never_begins_a_formula(rows):
    made = csv_text(rows)
    for line in csv.reader(io.StringIO(made, newline="")):
        assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) for cell in line)


def test_images_of_hostile_names_stay_inside(hostile, tmp_path):
    table = hostile.tables["shapes"]
    for path in ("../../etc/passwd", "/etc/passwd", "a/../../b", "C:\\x", "a\nb", ""):
        odd = dataclasses.replace(table, paths=(path, *table.paths[1:]))
        assert re.fullmatch(r"[0-9a-f]{32}(\.\w+)?", inside(odd, 0)), path
    assert inside(table, 1) == table.paths[1]
