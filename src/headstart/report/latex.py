r"""The tables of the paper as LaTeX (booktabs), one environment each, to be `\input` or copied.

Every text is escaped sign by sign; a class called `\end{document}` stays a name. Only formulas are set as mathematics.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from headstart.report.document import Document, Entry, Section, Table, blocks_in
from headstart.report.formula import Formula, latex
from headstart.report.html import CONTROLS
from headstart.report.run_links import NAMED

SIGNS = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%",
    "_": r"\_", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": r"\textless{}",
    ">": r"\textgreater{}", "|": r"\textbar{}", '"': r"\textquotedbl{}", "`": r"\textasciigrave{}",
    "–": "--", "−": "-", "≈": r"$\approx$", "“": "``", "”": "''", "…": r"\ldots{}", "·": r"\textperiodcentered{}",
}  # fmt: skip
LEFT_OUT = ("reference-list",)
HEAD = r"""% Tables of a study, written by Headstart. In the preamble: \usepackage{booktabs, longtable, array},
% \usepackage[T1]{fontenc}, \usepackage{textcomp}; signs beyond Latin need XeLaTeX or LuaLaTeX.
"""


def latex_tables(document: Document) -> str:
    """All tables of the document as text, in its order, each with caption and label."""
    parts = [HEAD]
    for table in tables_of(document):
        parts.append(latex_table(table))
    return "\n".join(parts)


def tables_of(document: Document) -> Iterator[Table]:
    """Its tables, in order, less the list of references."""
    sections: tuple[Section, ...] = document.sections
    for section in sections:
        for block in blocks_in(section):
            if isinstance(block, Table) and block.id not in LEFT_OUT:
                yield block


def escaped(text: str) -> str:
    r"""Text on one line in which nothing is a command.

    Examples
    --------
    >>> escaped("50 % of a_b")
    '50 \\% of a\\_b'
    """
    line = " ".join(CONTROLS.sub("\ufffd", text.encode("utf-8", "replace").decode()).split())
    return "".join(SIGNS.get(sign, sign) for sign in line)


def latex_table(table: Table) -> str:
    """One `longtable` with rules of booktabs: it may run over pages."""
    wide = sum(not column.numeric for column in table.columns)
    share = max(0.1, (0.94 - 0.1 * (len(table.columns) - wide)) / max(1, wide))
    spec = "".join(
        "r" if column.numeric else rf">{{\raggedright\arraybackslash}}p{{{share:.2f}\linewidth}}"
        for column in table.columns
    )
    head = " & ".join(escaped(column.title) for column in table.columns)
    body = "\n".join(" & ".join(_cell(entry) for entry in row.entries) + r" \\" for row in table.rows)
    label = re.sub(r"[^a-z0-9-]", "-", table.id.casefold())
    return "\n".join(
        (
            r"\begin{longtable}{@{}" + spec + "@{}}",
            rf"\caption{{{escaped(table.caption + _runs(table.runs))}}}\label{{tab:{label}}}\\",
            r"\toprule",
            head + r" \\",
            r"\midrule",
            r"\endhead",
            body,
            r"\bottomrule",
            r"\end{longtable}",
            "",
        )
    )


def _runs(ids: tuple[str, ...]) -> str:
    """Which runs a table rests on, by the start of their ids."""
    if not ids:
        return ""
    more = f" and {len(ids) - NAMED} more" if len(ids) > NAMED else ""
    return f" (run{'s' * (len(ids) > 1)} {', '.join(id[:8] for id in ids[:NAMED])}{more})"


def _cell(entry: Entry) -> str:
    said = _formula(entry.formula) if entry.formula else escaped(entry.text)
    # a row that begins with "[" or "*" would be read as the option of the line break before it
    said = "{}" + said if said.startswith(("[", "*")) else said
    return said + (rf" {{\footnotesize {escaped(entry.small)}}}" if entry.small else "")


def _formula(formula: Formula) -> str:
    """Prose as text, the rest between dollar signs."""
    return "".join(_prose(part) if isinstance(part, str) else f"${latex(part)}$" for part in formula)


def _prose(text: str) -> str:
    """Escaped, the spaces at its ends kept: a formula stands there."""
    before, after = (" " * text[at].isspace() if text else "" for at in (0, -1))
    return before + escaped(text) + after
