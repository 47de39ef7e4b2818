"""The rules of the comparison as the runs kept them, and how many settings each method tried."""

from __future__ import annotations

from headstart.methods.heads_catalog import HEAD_CARDS
from headstart.report.document import Block, Claim, Column, Entry, Paragraph, Row, Section, Table
from headstart.report.wording import DASH, count
from headstart.study.records import StudyRecord
from headstart.study.rules import rules_of, trials


def rules_section(record: StudyRecord) -> Section | None:
    """What was held to and looked at once more; None where nothing has finished."""
    found = rules_of(record.results)
    if not found:
        return None
    broken = [rule for rule in found if not rule.kept]
    said = (
        "Every rule was kept. " if not broken else f"{count(len(broken), 'rule was', 'rules were')} broken. "
    )
    said += "A plan with unequal splits is refused, and a fit that asks for its test images too early or twice fails."
    rows = tuple(
        Row(
            (
                Entry(rule.name),
                Entry("kept" if rule.kept else "broken", int(rule.kept)),
                Entry(rule.said, small=f"first run: {rule.runs[0][:8]}" if rule.runs else ""),
            ),
            "" if rule.kept else "failed",
        )
        for rule in found
    )
    caption = "Rules of the comparison, looked at in the finished runs."
    blocks: list[Block] = [
        Claim(said, tuple(run for rule in broken for run in rule.runs), strong=bool(broken)),
        Table("rules", caption, (Column("rule"), Column("kept"), Column("what was found")), rows),
    ]
    tried = _tried(record)
    return Section("rules-kept", "Equal terms, checked", (*blocks, *((tried,) if tried else ())))


def _tried(record: StudyRecord) -> Table | Paragraph | None:
    """How many settings each head or scenario compared."""
    counts = trials(record.results)
    if not counts:
        return None
    rows = []
    for name, (least, most) in counts.items():
        head = HEAD_CARDS.get(name.partition(" ")[0])
        span = str(most) if least == most else f"{least} to {most}"
        rows.append(
            Row(
                (
                    Entry(name, name.casefold()),
                    Entry(span if most > 1 or not head or head.tuned else "nothing to tune", most),
                    Entry(head.title if head else DASH),
                )
            )
        )
    caption = (
        "Settings that a fit compared on validation or inner folds. A head that tries more has more chances; "
        "a path ends early where held-out accuracy falls twice."
    )
    columns = (Column("method (what is tuned)"), Column("settings tried", numeric=True), Column("what it is"))
    return Table("trials", caption, columns, tuple(rows), sortable=True)
