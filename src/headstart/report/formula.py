r"""Formulas, written once and shown as Unicode text, Typst, LaTeX or MathML.

One idea: a formula is a small tree; each kind of node is one line of `FORMS`, a pattern for each language. Signs are
checked when a node is made, so that no formula holds what a language would take for more than a sign. What is said
about a formula is prose: strings beside the trees, which every format escapes as any text.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

PLAIN, TYPST, LATEX, MATHML = range(4)
DIGITS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
OPERATORS = {
    "=": ("=", "=", "=", "="), "+": ("+", "+", "+", "+"), "−": ("−", "-", "-", "−"),
    "∓": ("∓", "minus.plus", r"\mp", "∓"), "≤": ("≤", "<=", r"\leq", "≤"),
}  # fmt: skip
FUNCTIONS = {
    name: (name, f'op("{name}")', rf"\{name}" if name in ("ln", "log") else rf"\mathrm{{{name}}}", name)
    for name in ("ln", "log", "cov", "var", "sd")
}
FORMS = {
    "letter": ("{0}", "{0}", "{0}", "<mi>{0}</mi>"),
    "number": ("{0}", "{0}", "{0}", "<mn>{0}</mn>"),
    "word": ("{0}", '"{0}"', r"\mathrm{{{0}}}", "<mtext>{0}</mtext>"),
    "operator": ("{0}", "{0}", "{0}", "<mo>{0}</mo>"),
    "function": ("{0}", "{0}", "{0}", "<mi>{0}</mi>"),
    "frac": ("{0}/{1}", "frac({0}, {1})", r"\frac{{{0}}}{{{1}}}", "<mfrac>{0}{1}</mfrac>"),
    "root": ("√({0})", "sqrt({0})", r"\sqrt{{{0}}}", "<msqrt>{0}</msqrt>"),
    "sub": ("{0}{1}", "attach({0}, b: {1})", "{0}_{{{1}}}", "<msub>{0}{1}</msub>"),
    "square": ("{0}²", "attach({0}, t: 2)", "{0}^{{2}}", "<msup>{0}<mn>2</mn></msup>"),
    "sum": ("Σ{0} {1}", "sum_({0}) {1}", r"\sum_{{{0}}} {1}", "<msub><mo>∑</mo>{0}</msub>{1}"),
    "size": ("|{0}|", "abs({0})", r"\left|{0}\right|", "<mo>|</mo>{0}<mo>|</mo>"),
    "group": ("({0})", "lr(({0}))", r"\left({0}\right)", "<mo>(</mo>{0}<mo>)</mo>"),
    "pair": ("{0}, {1}", "{0}, {1}", "{0}, {1}", '{0}<mo separator="true">,</mo>{1}'),
    "call": ("{0}{1}", "{0} {1}", "{0}{1}", "{0}{1}"),
    "hat": ("{0}\u0302", "hat({0})", r"\hat{{{0}}}", '<mover>{0}<mo stretchy="false">^</mo></mover>'),
    "bar": ("{0}\u0304", "macron({0})", r"\bar{{{0}}}", '<mover>{0}<mo stretchy="false">¯</mo></mover>'),
    "minus": ("−{0}", "-{0}", "-{0}", "<mo>−</mo>{0}"),
    "row": ("", "", "", ""),
}
"""Patterns by kind of node: plain text, Typst, LaTeX, MathML."""
WHOLE = ("letter", "number", "word", "sub", "square", "root", "size", "group", "call", "hat", "bar")
"""Kinds that need no brackets in plain text."""

GAPS = ((" ", " "), (" ", " "), (" ", r" \, "), ("", '<mspace width="0.17em"/>'))
"""Between two parts of a row, and where one is of a kind that is `SET_APART`; by language."""
SET_APART = ({""}, {""}, {"word", "call"}, {"word", "call", "function"})


@dataclass(frozen=True)
class Math:
    """A node of a formula: a kind of `FORMS` with its parts, or with its sign where it has none."""

    kind: str
    parts: tuple[Math, ...] = ()
    sign: str = ""


Formula = tuple[str | Math, ...]
"""Prose and formulas in turn, as they are read."""


def sign(text: str | Math) -> Math:
    """A sign as a node: a letter, a number, an operator, the name of a function or upright words.

    Raises
    ------
    ValueError
        It is none of these.

    Examples
    --------
    >>> sign("n").kind, sign("right").kind, sign("15").kind
    ('letter', 'word', 'number')
    """
    if isinstance(text, Math):
        return text
    if text in OPERATORS or text in FUNCTIONS:
        return Math("operator" if text in OPERATORS else "function", sign=text)
    for kind, pattern in (("letter", "[A-Za-z]"), ("number", "[0-9]+"), ("word", "[A-Za-z]+(?: [A-Za-z]+)*")):
        if re.fullmatch(pattern, text):
            return Math(kind, sign=text)
    raise ValueError(f"{text!r} is no sign of a formula")


def made(kind: str, *parts: str | Math) -> Math:
    """A node of a kind of `FORMS` from its parts."""
    return Math(kind, tuple(sign(part) for part in parts))


def row(*parts: str | Math) -> Math:
    """Parts side by side."""
    return made("row", *parts)


def frac(top: str | Math, bottom: str | Math) -> Math:
    """A fraction.

    Examples
    --------
    >>> plain((frac("right", row("n", "k")),))
    'right/(n k)'
    """
    return made("frac", top, bottom)


def sub(base: str | Math, below: str | Math) -> Math:
    """With an index."""
    return made("sub", base, below)


def square(base: str | Math) -> Math:
    """To the power of two."""
    return made("square", base)


def total(index: str | Math, of: str | Math) -> Math:
    """A sum over an index."""
    return made("sum", index, of)


def call(function: str | Math, *values: str | Math) -> Math:
    """A function of one value or two."""
    return made("call", function, made("group", made("pair", *values) if len(values) > 1 else values[0]))


def plain(parts: Formula) -> str:
    """As Unicode text, for Markdown, spreadsheets and readers of text.

    Examples
    --------
    >>> plain((made("minus", row(frac("1", "n"), total("i", row("ln", sub("p", "i"))))), ", in nats"))
    '−(1/n) Σ_i ln p_i, in nats'
    """
    told = "".join(part if isinstance(part, str) else _written(part, PLAIN) for part in parts)
    return unicodedata.normalize("NFC", told)


def typst(node: Math) -> str:
    """As Typst's math, to be read by `eval(mode: "math")`."""
    return _written(node, TYPST)


def latex(node: Math) -> str:
    """As LaTeX's math, without dollar signs; needs no package."""
    return _written(node, LATEX)


def mathml(node: Math) -> str:
    """As an element of MathML; its fractions have the size of the text."""
    return f'<math displaystyle="true">{_written(node, MATHML)}</math>'


def tall(node: Math) -> bool:
    """Whether it is higher than a line of text."""
    return node.kind in ("frac", "root", "sum") or any(tall(part) for part in node.parts)


def _written(node: Math, language: int) -> str:
    if node.kind == "row":
        return _row(node, language)
    if not node.parts:
        return FORMS[node.kind][language].format(_sign(node, language))
    parts = [_written(part, language) for part in node.parts]
    if language == PLAIN:
        parts = [_told(node, at, part) for at, part in enumerate(parts)]
    written = FORMS[node.kind][language].format(*parts)
    return f"<mrow>{written}</mrow>" if language == MATHML else written


def _row(node: Math, language: int) -> str:
    parts = [_written(part, language) for part in node.parts]
    gap, wide = GAPS[language]
    told = ""
    for part, here, after in zip(parts, node.parts, (*node.parts[1:], None), strict=True):
        beside = after is not None and "operator" not in (here.kind, after.kind)
        if language == PLAIN and here.kind == "frac" and beside:  # what follows would be read as part of it
            part = f"({part})"
        told += part
        if after is not None:
            apart = (
                beside
                and {here.kind, after.kind} & SET_APART[language]
                and (here.kind, language) != ("function", LATEX)
            )
            told += wide if apart else gap
    return f"<mrow>{told}</mrow>" if language == MATHML else told


def _sign(node: Math, language: int) -> str:
    forms = {"operator": OPERATORS, "function": FUNCTIONS}.get(node.kind)
    if forms is not None:
        return forms[node.sign][language]
    return node.sign.replace(" ", r"\ ") if language == LATEX else node.sign


def _told(node: Math, at: int, text: str) -> str:
    """A part of a node in plain text: an index is marked, what would be read wrongly stands in brackets."""
    part = node.parts[at]
    if (node.kind == "sub" and at == 1) or (node.kind == "sum" and at == 0):
        short = text.replace(" ", "")
        if part.kind == "number":
            return short.translate(DIGITS)
        return f"_{short}" if part.kind in ("letter", "word") else f"_({short})"
    product = (
        node.kind == "frac"
        and at == 0
        and part.kind == "row"
        and all(each.kind in WHOLE for each in part.parts)
    )
    if node.kind in ("frac", "square") and (" " in part.sign or (part.kind not in WHOLE and not product)):
        return f"({text})"
    return text
