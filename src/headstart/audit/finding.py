"""What an audit says: findings with their images, what they do to results, and what mends them; values only."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from headstart.audit.commands import TARGET, Given, audit_command, build_command, split_command
from headstart.images.table import ImageTable

SEVERITIES = ("high", "medium", "low")
CHECKS = ("files", "duplicates", "labels", "balance", "quality", "cues", "drift", "enough")


@dataclass(frozen=True)
class AuditFinding:
    """One thing that is wrong, or looks wrong.

    Attributes
    ----------
    check : str
        One of `CHECKS`.
    kind : str
        Which finding of the check, e.g. "leakage".
    severity : {"high", "medium", "low"}
        Results cannot be trusted; results suffer; worth knowing.
    message : str
        What was found, with its figures.
    effect : str
        What it does to results.
    advice : str
        What to do.
    rows : tuple of int
        Images concerned, the worst first.
    groups : tuple of tuple of int
        Images that belong side by side (copies); empty where each stands for itself.
    remarks : dict of int to str
        A line under the picture of a row.
    leave_out : tuple of int
        Rows that a mended table lacks.
    suggest : dict of int to str
        Rows of a mended table with a suggestion beside their label.
    rename : dict of str to str
        Labels of a mended table that are spelt otherwise.
    resplit : bool
        Whether a new split (`headstart split`) mends it.
    build : tuple of str
        Options of `headstart dataset build` that make a data set without it; empty where none do.
    column : str
        Label column that it is about; "" where it is about images.
    details : tuple of (str, str)
        What is no image row: a file and a reason, a class and its number.
    facts : dict of str to number or str
        The figures of the message.
    """

    check: str
    kind: str
    severity: str
    message: str
    effect: str
    advice: str
    rows: tuple[int, ...] = ()
    groups: tuple[tuple[int, ...], ...] = ()
    remarks: dict[int, str] = field(default_factory=dict)
    leave_out: tuple[int, ...] = ()
    suggest: dict[int, str] = field(default_factory=dict)
    rename: dict[str, str] = field(default_factory=dict)
    resplit: bool = False
    build: tuple[str, ...] = ()
    column: str = ""
    details: tuple[tuple[str, str], ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def mends(self) -> bool:
        """Whether a new table mends it."""
        return bool(self.leave_out or self.suggest or self.rename or (self.details and self.check == "files"))

    def command(self, data: str, given: Given = (), column: str = "") -> str:
        """The command that mends it, by writing a new table or data set; "" where none can.

        Parameters
        ----------
        data : str
        given : tuple of (str, str)
            Options that the audit was given, which the command is given too.
        column : str
            Label column that the command is to be about, where there are several.
        """
        if self.mends:
            return audit_command(data, given, column, ("--only", self.check, "--mend", "mended.csv"))
        if self.resplit:
            return split_command(data, given)
        return build_command(data, given, column, self.build) if self.build else ""


@dataclass(frozen=True)
class RankedLabel:
    """A label as a classifier that has not seen it, nor others of its group, judges it.

    Attributes
    ----------
    row : int
    label : str
        As given.
    quality : float
        Its probability.
    rather : str
        The most probable class.
    probability : float
        Of that class.
    named : bool
        Whether it looks wrong: whether it is in the finding, where the column has one.
    """

    row: int
    label: str
    quality: float
    rather: str
    probability: float
    named: bool = False

    @property
    def remark(self) -> str:
        """The label and what it rather is."""
        return f"{self.label}; rather {self.rather} ({self.probability:.0%})"


@dataclass(frozen=True)
class Checked:
    """That a check was made, of a label column where it is about one: seconds and figures, or why it was not made.

    `ranking` has every label that was judged, the most suspect first; it is of the check `labels` alone.
    """

    check: str
    seconds: float
    skipped: str = ""
    facts: dict[str, Any] = field(default_factory=dict)
    column: str = ""
    ranking: tuple[RankedLabel, ...] = ()


@dataclass(frozen=True, eq=False)
class Audit:
    """Everything an audit found.

    Attributes
    ----------
    table : ImageTable
        As read, problems included.
    source : str
        The data as the caller named them, for commands.
    targets : tuple of str
        Label columns that were looked at; none without labels.
    findings : tuple of AuditFinding
        The severest first.
    checked : tuple of Checked
    backbone : str
    seed : int
    seconds : float
    given : tuple of (str, str)
        Options that the audit was given, for commands.
    kinds : dict of str to str
        What was said of label columns.
    """

    table: ImageTable
    source: str
    targets: tuple[str, ...]
    findings: tuple[AuditFinding, ...]
    checked: tuple[Checked, ...]
    backbone: str
    seed: int
    seconds: float
    given: Given = ()
    kinds: dict[str, str] = field(default_factory=dict)

    @property
    def target(self) -> str | None:
        """The first label column that was looked at; None without labels."""
        return self.targets[0] if self.targets else None

    @property
    def named(self) -> tuple[str, ...]:
        """The label columns that were asked for."""
        return tuple(value for flag, value in self.given if flag == TARGET)

    def again(self) -> str:
        """The command that makes this audit again, of the same checks."""
        made = list(dict.fromkeys(each.check for each in self.checked))
        only = ("--only", ",".join(made)) if len(made) < len(CHECKS) else ()
        return audit_command(self.source, self.given, more=only)

    def mending(self, finding: AuditFinding) -> str:
        """The command that mends a finding of this audit; "" where none can."""
        return finding.command(self.source, self.given, finding.column if len(self.targets) > 1 else "")

    def of(self, kind: str) -> tuple[AuditFinding, ...]:
        """Findings of one kind."""
        return tuple(finding for finding in self.findings if finding.kind == kind)

    def to_dict(self, most: int = 1000, *, ranking: bool = False) -> dict[str, Any]:
        """JSON-like; at most `most` images a finding are listed (`n` counts all); whole rankings where asked for."""
        return {
            "data": self.source, "dataset": self.table.name, "target": self.target, "targets": list(self.targets),
            "n_images": len(self.table), "backbone": self.backbone, "seed": self.seed, "seconds": self.seconds,
            "again": self.again(),
            "findings": [self._finding(each, most) for each in self.findings],
            "checked": [
                {
                    "check": each.check, "column": each.column or None, "seconds": each.seconds,
                    "skipped": each.skipped or None, "facts": each.facts,
                    **({"ranking": [self._ranked(one) for one in each.ranking]} if ranking else {}),
                }
                for each in self.checked
            ],
        }  # fmt: skip

    def _ranked(self, one: RankedLabel) -> dict[str, Any]:
        return {
            "path": self.table.paths[one.row], "label": one.label, "quality": one.quality, "rather": one.rather,
            "probability": one.probability, "named": one.named,
        }  # fmt: skip

    def _finding(self, each: AuditFinding, most: int) -> dict[str, Any]:
        paths = self.table.paths
        return {
            "check": each.check, "kind": each.kind, "column": each.column or None, "severity": each.severity,
            "message": each.message, "effect": each.effect, "advice": each.advice,
            "command": self.mending(each) or None, "n": len(each.rows), "facts": each.facts,
            "images": [
                {"path": paths[row], "remark": each.remarks.get(row, ""), "suggestion": each.suggest.get(row)}
                for row in each.rows[:most]
            ],
            "groups": [[paths[row] for row in group] for group in each.groups[:most]],
            "details": [list(pair) for pair in each.details[:most]],
        }  # fmt: skip


def by_severity(findings: list[AuditFinding]) -> tuple[AuditFinding, ...]:
    """The severest first, then in the order of the checks."""
    return tuple(
        sorted(findings, key=lambda each: (SEVERITIES.index(each.severity), CHECKS.index(each.check)))
    )


def counted(n: int, one: str, many: str = "") -> str:
    """A number with its noun: "1 image", "3,000 images"."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"
