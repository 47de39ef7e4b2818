"""Files and rows that could not be used: missing, corrupt, unnamed, or named twice with different labels."""

from __future__ import annotations

from collections.abc import Sequence

from headstart.audit.finding import AuditFinding, counted
from headstart.images.table import ImageTable, Problem

MUCH = 0.01
KINDS = (
    ("two_labels", "named twice with different", "high", "named twice with different labels, splits or groups",
     "each of them contradicts itself; they take no part", "keep one row of each in the ground-truth file"),
    ("missing", "no such", "medium", "named in the ground truth but not there",
     "what they would teach is lost; results are of fewer images than you think",
     "find the files, or the right image folder (--image-root)"),
    ("not_named", "not named in", "low", "named by no row of the ground truth",
     "they take no part", "add rows for them, or move them elsewhere"),
)  # fmt: skip
OTHER = (
    "unreadable", "", "medium", "unusable", "they take no part; a program that does not check them stops, or learns noise",
    "replace or remove them",
)  # fmt: skip


def find_bad_files(table: ImageTable, undecodable: Sequence[Problem]) -> list[AuditFinding]:
    """Findings on what was left out when the source was read, and on what could not be decoded.

    Parameters
    ----------
    table : ImageTable
    undecodable : sequence of Problem
        Of rows of the table.
    """
    sorted_out: dict[str, list[Problem]] = {}
    for problem in (*table.problems, *undecodable):
        kind = next((each for each in KINDS if each[1] in problem.reason), OTHER)
        sorted_out.setdefault(kind[0], []).append(problem)
    at = {path: row for row, path in enumerate(table.paths)}
    found = []
    for name, _, severity, what, effect, advice in (*KINDS, OTHER):
        problems = sorted_out.get(name, [])
        if not problems:
            continue
        share = len(problems) / (len(table) + len(table.problems))
        graver = "high" if share >= MUCH and severity == "medium" else severity
        found.append(
            AuditFinding(
                "files", name, graver,
                f"{counted(len(problems), 'file or row is', 'files or rows are')} {what}",
                effect, advice + "; a mended table leaves them out",
                leave_out=tuple(at[problem.path] for problem in problems if problem.path in at),
                details=tuple((problem.path, problem.reason) for problem in problems),
                facts={"n": len(problems), "share": share},
            )
        )  # fmt: skip
    return found
