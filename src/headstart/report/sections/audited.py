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
SEVERITIES = ("high", "medium", "low")


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
                Entry(each["severity"], SEVERITIES.index(each["severity"])),
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
    said = f"A fast audit before the first run: {count(len(found), 'finding')}"
    said += f" ({_severities(found)})." if found else "."
    high = [each for each in found if each["severity"] == "high"]
    said += f" {high[0]['message'][:1].upper()}{high[0]['message'][1:]}." if high else ""
    said += " It chose nothing: no image was left out and no method preferred for it."
    return Claim(said, strong=bool(high))


def audited_words(record: StudyRecord, name: str) -> str:
    """What the audit found in one dataset, as a sentence; "" where it was not audited."""
    found = _found_in(record, name)
    if found is None:
        return ""
    checked = record.audits[name]["checked"]
    made = dict.fromkeys(str(each["check"]) for each in checked if not each["skipped"])
    n = count(len(found), "finding") if found else "no finding"
    said = f"A fast audit before the first run ({listed(made)}) has {n}"
    if not found:
        return f"{said}."
    said += f" ({_severities(found)}): {'; '.join(each['message'] for each in found[:NAMED])}"
    more = len(found) - NAMED
    return said + (f"; {more:,} more {'is' if more == 1 else 'are'} in the HTML report." if more > 0 else ".")


def audited_counts(record: StudyRecord, name: str) -> str:
    """How many findings one dataset has, for a place of a table; "" where it was not audited."""
    found = _found_in(record, name)
    if found is None:
        return ""
    return f"audit: {_severities(found)}" if found else "audit: nothing"


def _found_in(record: StudyRecord, name: str) -> list[dict[str, Any]] | None:
    """The findings of one dataset, the severest first; None where it was not audited."""
    audit = record.audits.get(name)
    if not audit or audit.get("error"):
        return None
    found = [each for each in audit_findings(record) if each["dataset"] == name]
    return sorted(found, key=lambda each: SEVERITIES.index(each["severity"]))


def _severities(found: list[dict[str, Any]]) -> str:
    """How many findings of each severity: `1 high and 2 low`."""
    counts = {level: sum(each["severity"] == level for each in found) for level in SEVERITIES}
    return listed(f"{n} {level}" for level, n in counts.items() if n)


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
