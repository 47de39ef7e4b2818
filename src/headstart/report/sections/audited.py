"""What the fast audit before a study found in each dataset: findings with what they do and what mends them."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

from headstart.report.audit_page import LOOKED
from headstart.report.document import Block, Claim, Entry, Paragraph, Section, plain_table
from headstart.report.wording import count, duration, listed
from headstart.study.records import StudyRecord

NAMED = 3


def audited_section(record: StudyRecord) -> Section | None:
    """None where nothing was audited."""
    if not record.audits:
        return None
    found = list(audit_findings(record))
    blocks: list[Block] = [_claim(found)]
    if found:
        rows = [
            (
                each["dataset"],
                Entry(each["severity"], ("high", "medium", "low").index(each["severity"])),
                Entry(each["message"], small=_examples(each)),
                Entry(each["effect"]),
                Entry(each["advice"], small=each["command"] or ""),
            )
            for each in found
        ]
        titles = ("dataset", "severity", "what was found", "what it does to results", "what to do")
        caption = "High: results cannot be trusted. Medium: they suffer. Low: worth knowing."
        blocks.append(plain_table("audit-findings", caption, titles, rows))
    blocks += [Paragraph(_looked(name, audit)) for name, audit in record.audits.items()]
    return Section("audited", "The data, audited", tuple(blocks))


def audit_findings(record: StudyRecord) -> Iterator[dict[str, Any]]:
    """Every finding with its dataset, dataset by dataset, the severest first."""
    names = ("check", "kind", "severity", "message", "effect", "advice", "command", "n")
    for name, audit in record.audits.items():
        for each in audit["findings"]:
            yield {"dataset": name, **{key: each[key] for key in names}, "images": _paths(each)}


def _paths(finding: dict[str, Any]) -> list[str]:
    return [str(image["path"]) for image in finding.get("images", ())]


def _examples(finding: dict[str, Any]) -> str:
    paths = finding["images"][:NAMED]
    more = finding["n"] - len(paths)
    return ", ".join(paths) + (f" and {more:,} more" if paths and more > 0 else "")


def _claim(found: list[dict[str, Any]]) -> Claim:
    counts = [
        f"{n} {level}"
        for level in ("high", "medium", "low")
        if (n := sum(e["severity"] == level for e in found))
    ]
    said = f"A fast audit before the first run: {count(len(found), 'finding')}"
    said += f" ({listed(counts)})." if counts else "."
    high = [each for each in found if each["severity"] == "high"]
    said += f" {high[0]['message'][:1].upper()}{high[0]['message'][1:]}." if high else ""
    said += " It chose nothing: no image was left out and no method preferred for it."
    return Claim(said, strong=bool(high))


def _looked(name: str, audit: dict[str, Any]) -> str:
    if audit.get("error"):
        return f"{name}: could not be audited: {audit['error']}."
    made = list(dict.fromkeys(LOOKED[each["check"]] for each in audit["checked"] if not each["skipped"]))
    skipped = [f"{each['check']} ({each['skipped']})" for each in audit["checked"] if each["skipped"]]
    said = f"{name}, in {duration(audit['seconds'])} on features of {audit['backbone']}: {'; '.join(made)}."
    said += f" Not looked at: {listed(skipped)}." if skipped else ""
    if audit.get("splits") == "drawn":
        said += " The splits are those that the first seed drew."
    again = audit.get("again") or f"headstart audit {shlex.quote(audit['data'])}"
    return said + f" The whole audit, with pictures: {again} --html audit.html"
