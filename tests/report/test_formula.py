"""Formulas: one tree, shown as text, Typst, LaTeX and MathML; no text of a study is ever read as one."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from headstart.measure.number import evaluate_number
from headstart.measure.ordinal import evaluate_ordinal
from headstart.measure.retrieval import METRICS as SEARCHED
from headstart.report.document import Document, Section, Table, formula_entry, plain_table
from headstart.report.formula import frac, latex, made, mathml, plain, row, sign, sub, tall, total, typst
from headstart.report.html import render
from headstart.report.latex import latex_table
from headstart.report.markdown import markdown
from headstart.report.pdf import pdf
from headstart.report.sections.metrics import MEASURED, METRICS, SEARCH, SEVERAL, metrics_section
from headstart.testing.pdf import pages_of

FORMULAS = {
    **{name: formula for name, _, formula in (*METRICS, *SEVERAL)},
    **{f"search {name}": formula for name, formula in SEARCH.items()},
}
TREES = [(name, part) for name, formula in FORMULAS.items() for part in formula if not isinstance(part, str)]
HOSTILE = ('"]#read("/etc/passwd")', "\\input{/etc/passwd}", "<script>", "a_b", "$", "right\n", "", "é", "#x")
PAIRS = ("mfrac", "msub", "msup", "mover")


def page(*formulas):
    table = plain_table("t", "", ("formula",), [(formula_entry(formula),) for formula in formulas])
    return Document("title", "subtitle", (Section("s", "section", (table,)),))


@pytest.mark.parametrize("name", FORMULAS)
def test_every_metric_has_its_formula_in_every_language(name):
    formula = FORMULAS[name]
    trees = [part for part in formula if not isinstance(part, str)]
    assert bool(trees) == (name not in MEASURED)
    assert plain(formula).strip() and not re.search(r"[{}\\$\"]|sum|sqrt", plain(formula))
    for tree in trees:
        assert typst(tree).strip() and latex(tree).strip() and mathml(tree).startswith("<math")


def test_every_measure_of_a_search_has_a_formula():
    assert set(SEARCH) == set(SEARCHED)


def test_formulas_read_as_they_are_written_by_hand():
    assert plain(FORMULAS["balanced accuracy"]) == "(1/k) Σ_c right_c/n_c"
    assert plain(FORMULAS["log loss"]).startswith("−(1/n) Σ_i ln p_i(y_i), p_i(y_i) the probability")
    assert plain(FORMULAS["R²"]) == "1 − (Σ_i (ŷ_i − y_i)²)/(Σ_i (y_i − ȳ)²)"
    assert plain(FORMULAS["all right at once"]) == "(right in every output)/n"
    assert plain((frac(row("2", "P"), "R"), " and ", sub("n", "10"))) == "2 P/R and n₁₀"
    assert latex(total("i", sub("x", "i"))) == r"\sum_{i} x_{i}"
    assert typst(made("root", frac("1", "n"))) == "sqrt(frac(1, n))"
    assert tall(made("minus", frac("1", "n"))) and not tall(sub("n", "b"))


@pytest.mark.parametrize(("name", "tree"), TREES)
def test_the_latex_of_each_formula_can_be_set(name, tree):
    from matplotlib.mathtext import MathTextParser

    assert MathTextParser("path").parse(f"${latex(tree)}$").width > 0, name


@pytest.mark.parametrize(("name", "tree"), TREES)
def test_the_mathml_of_each_formula_is_well_formed(name, tree):
    for element in ElementTree.fromstring(mathml(tree)).iter():
        assert element.tag not in PAIRS or len(element) == 2, name


def test_typst_sets_every_formula():
    pytest.importorskip("typst", reason='PDF needs typst (pip install "headstart[pdf]")')
    pytest.importorskip("pypdfium2")
    shown = " ".join(pages_of(pdf(page(*FORMULAS.values()))))
    for word in ("right in every output", "hits", "the probability given for", "degrees of freedom"):
        assert word in re.sub(r"\s+", " ", shown)
    for written in ("frac(", "attach(", "sqrt", "\\", "lr("):
        assert written not in shown


def test_the_report_shows_mathml_and_the_tables_of_latex_dollars():
    (table,) = metrics_section(several=True).blocks
    assert isinstance(table, Table)
    shown = render(Document("t", "s", (metrics_section(several=True),)))
    assert (
        shown.count("<math")
        == shown.count("</math>")
        == sum(not name.startswith("search") for name, _ in TREES)
    )
    made_of = latex_table(table)
    assert (
        r"log loss & " in made_of
        and r"$-\frac{1}{n} \sum_{i} \ln p_{i}\left(y_{i}\right)$, $p_{i}" in made_of
    )
    assert made_of.count("$") % 2 == 0 and made_of.count("{") == made_of.count("}")


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_but_a_sign_is_a_sign(text):
    with pytest.raises(ValueError, match="no sign"):
        sign(text)
    with pytest.raises(ValueError, match="no sign"):
        frac("1", text)


def test_prose_beside_a_formula_is_escaped_as_any_text():
    document = page(('<script>"#read("/etc/passwd") \\input{x} $y$ _z_ ', sign("n"), " [a](b)"))
    shown = render(document)
    assert "<script>&#34;" not in shown and "&lt;script&gt;" in shown and "<mi>n</mi>" in shown
    (table,) = document.sections[0].blocks
    assert r"\textbackslash{}input\{x\} \$y\$ \_z\_ $n$ [a](b)" in latex_table(table)
    assert r"\[a\](b)" in markdown(document)
    pytest.importorskip("typst")
    pytest.importorskip("pypdfium2")
    read = re.sub(r"[\s\u200b\ufffe-]", "", " ".join(pages_of(pdf(document))))
    assert '#read("/etc/passwd")' in read and "root:" not in read


def test_what_the_formulas_say_is_what_is_computed():
    rng = np.random.default_rng(0)
    true, said = rng.integers(0, 4, 60), rng.integers(0, 4, 60)
    found = evaluate_ordinal(true, np.eye(4)[said], ["a", "b", "c", "d"]).scores["kappa"].value
    chance = ((said[:, None] - true[None, :]) ** 2).sum()
    assert found == pytest.approx(1 - len(true) * ((said - true) ** 2).sum() / chance)
    scores = evaluate_number(true, said + 0.5).scores
    assert scores["bias"].value == pytest.approx((said + 0.5 - true).mean())
    assert scores["slope"].value == pytest.approx(np.cov(said, true)[0, 1] / said.var(ddof=1))
