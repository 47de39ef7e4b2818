"""The whole audit of a table: one look at each image, features from the cache, then every check.

Files, copies, quality and drift are of images; labels, balance, cues and enough of each label column for itself, by
what the column holds: numbers are no classes, and of sets of labels only their numbers are looked at.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.audit.balance import find_alike, find_imbalance, find_spaces, find_spellings
from headstart.audit.commands import TARGET, Given
from headstart.audit.cues import find_cues
from headstart.audit.drift import find_drift
from headstart.audit.enough import find_too_few
from headstart.audit.files import find_bad_files
from headstart.audit.finding import CHECKS, Audit, AuditFinding, Checked, by_severity
from headstart.audit.labels import Judged, find_label_errors, judge, principal, ranked, suspects
from headstart.audit.leakage import find_leakage
from headstart.audit.look import Looking, Looks
from headstart.audit.quality import find_poor_images
from headstart.backbones.load import card
from headstart.base.errors import MissingPackage, UnknownName, UsageError
from headstart.base.events import warn
from headstart.features.duplicates import Copies, find_copies
from headstart.features.extractor import FeatureExtractor
from headstart.features.store import DEFAULT_CACHE_GB
from headstart.images.column_kinds import check_kind, kind_of, split_labels
from headstart.images.prepare import least_side
from headstart.images.split_whole import joined_groups
from headstart.images.table import ImageTable

if TYPE_CHECKING:
    from numpy.typing import NDArray

BY_LOOK = ("files", "quality", "cues")
"""Checks that need no features."""
LIGHT = ("brightness", "contrast", "darkest", "brightest", "sharpness")
"""Numbers of a look that tell splits apart, beside the features."""
NO_LABELS = "there are no labels"
Found = tuple[list[AuditFinding], dict[str, Any], str]


def audit(
    table: ImageTable, *, source: str = "", target: str | Sequence[str] | None = None, only: Sequence[str] = (),
    backbone: str = "lite0", seed: int = 0, cache_gb: float = DEFAULT_CACHE_GB,
    features: NDArray[np.float32] | None = None, kinds: Mapping[str, str] | None = None, given: Given = (),
) -> Audit:  # fmt: skip
    """Look for what is wrong with a dataset.

    Parameters
    ----------
    table : ImageTable
    source : str
        The data as the user named them, for the commands of the findings; default the table's name.
    target : str or sequence of str, optional
        Label columns; all by default. Without labels the checks that need them are skipped.
    only : sequence of str
        Names of `CHECKS`; all by default.
    backbone : str
        Network whose features are looked at.
    seed : int
        Of folds and draws.
    cache_gb : float
        Cap of the feature cache.
    features : ndarray of float32, shape (n, d), optional
        Of the backbone's last layer, where the caller has them: one row an image, all of them readable.
    kinds : dict of str to str, optional
        What label columns hold (see `headstart.images.column_kinds.KINDS`) where that is known; found from their
        cells by default.
    given : tuple of (str, str)
        Options by which the data were read, for the commands of the findings.

    Returns
    -------
    Audit

    Raises
    ------
    UnknownName
        No such check or label column.
    BadOptions
        No such kind, or numbers that are none.
    """
    for name in only:
        if name not in CHECKS:
            raise UnknownName("check", name, CHECKS)
    for name, kind in (kinds or {}).items():
        check_kind(name, kind, table.labels[table.target(name)])
    start = time.perf_counter()
    asked = () if target is None else (target,) if isinstance(target, str) else tuple(target)
    targets = tuple(table.target(name) for name in asked) or table.targets
    checks = [each for each in CHECKS if not only or each in only]
    featured = any(each not in BY_LOOK for each in checks)
    work = _Work(table, targets, backbone, seed, cache_gb, featured, dict(kinds or {}))
    if features is not None:
        work.take(features)
    findings: list[AuditFinding] = []
    checked = []
    for check in checks:
        for found, each in _made(work, check):
            findings += found
            checked.append(each)
    own = [(TARGET, name) for name in asked]
    own += [("--backbone", backbone)] if backbone != "lite0" else []
    own += [("--seed", str(seed))] if seed else []
    return Audit(
        table, source or table.name, targets, by_severity(findings), tuple(checked), backbone, seed,
        time.perf_counter() - start, (*given, *own), dict(kinds or {}),
    )  # fmt: skip


def _made(work: _Work, check: str) -> Iterator[tuple[list[AuditFinding], Checked]]:
    """A check, once, or once for each label column; where there are several, findings name theirs."""
    columns = (work.targets or ("",)) if check in OF_COLUMNS else ("",)
    for column in columns:
        began = time.perf_counter()
        if check not in OF_COLUMNS:
            found, facts, skipped = CHECKED[check](work)
        elif not column:
            found, facts, skipped = [], {}, NO_LABELS
        elif reason := work.unfit(check, column):
            found, facts, skipped = [], {}, reason
        else:
            found, facts, skipped = OF_COLUMNS[check](work, column)
            found = [replace(each, column=column) for each in found]
        if len(work.targets) > 1:
            found = [_named(each) for each in found]
        ranking = facts.pop("ranking", ())
        yield found, Checked(check, time.perf_counter() - began, skipped, facts, column, ranking)


def _named(each: AuditFinding) -> AuditFinding:
    if not each.column or repr(each.column) in each.message:
        return each
    return replace(each, message=f"{each.column}: {each.message}")


@dataclass
class _Work:
    """An audit under way: what several checks need is made once, when it is first asked for."""

    table: ImageTable
    targets: tuple[str, ...]
    backbone: str
    seed: int
    cache_gb: float
    featured: bool = True
    kinds: dict[str, str] = field(default_factory=dict)
    _made: dict[str, Any] = field(default_factory=dict)

    def kind(self, column: str) -> str:
        """What a label column holds: "classes", "labels" or "number"."""
        kind: str = self._once(
            f"kind {column}", lambda: kind_of(column, self.table.labels[column], self.kinds)
        )
        return kind

    @property
    def columns(self) -> dict[str, str]:
        """Label columns and what they hold."""
        return {name: self.kind(name) for name in self.targets}

    def unfit(self, check: str, column: str) -> str:
        """Why a check is not for a label column; "" where it is."""
        kind = self.kind(column)
        if kind == "number":
            return f"column {column!r} is of numbers, and this is about classes"
        if kind == "labels" and check != "balance":
            return f"column {column!r} holds sets of labels, and this is about one class an image"
        return ""

    def _once(self, name: str, make: Callable[[], Any]) -> Any:
        if name not in self._made:
            self._made[name] = make()
        return self._made[name]

    def take(self, features: NDArray[np.float32]) -> None:
        """Use the caller's features."""
        if len(features) != len(self.table):
            raise UsageError(
                f"{len(features)} rows of features for {len(self.table)} images; give one an image"
            )
        self._made.update(features=features, readable=np.ones(len(features), dtype=bool))

    @property
    def looks(self) -> Looks:
        """Looks at every row; where features are wanted too, they are made of the same decoded pictures."""
        if self.featured:
            self.features  # noqa: B018 (shows the looks what it decodes)
        made: Looks = self._once("looks", self._looking.rest)
        return made

    @property
    def _looking(self) -> Looking:
        how = card(self.backbone).preprocessing
        made: Looking = self._once("looking", lambda: Looking(self.table, least_side(how)))
        return made

    @property
    def features(self) -> NDArray[np.float32]:
        """Features of every row; zero where an image cannot be read."""
        made: NDArray[np.float32] = self._once("features", self._extract)
        return made

    def _extract(self) -> NDArray[np.float32]:
        extractor = FeatureExtractor(backbone=self.backbone, cache_gb=self.cache_gb)
        found = extractor.extract(
            self.table.items(), self.table.digests, self.table.paths, seen=self._looking.see
        )
        self._made["readable"] = found.ok
        return extractor.joined(found)

    @property
    def ok(self) -> NDArray[np.bool_]:
        """Rows that can be decoded, by the look and by the network."""
        self.features  # noqa: B018 (made for what it notes)
        made: NDArray[np.bool_] = self.looks.ok & self._made["readable"]
        return made

    @property
    def copies(self) -> Copies:
        made: Copies = self._once(
            "copies", lambda: find_copies(self.looks.prints, self.table.digests, self.features)
        )
        return made

    @property
    def groups(self) -> NDArray[np.int64]:
        """What no fold may part: a number that copies share, and images of one group of the table, in chains."""
        made: NDArray[np.int64] = self._once(
            "groups", lambda: joined_groups(self.table, self.copies.clusters)
        )
        return made

    @property
    def space(self) -> NDArray[np.float32]:
        made: NDArray[np.float32] = self._once("space", lambda: principal(self.features))
        return made

    def judged(self, column: str) -> Judged | str:
        """Probabilities of the images that a column of classes labels, or why there are none."""
        labels = self.table.labels[column]
        made: Judged | str = self._once(
            f"judged {column}", lambda: judge(self.features, labels, self.groups, ok=self.ok, seed=self.seed)
        )
        return made


def _files(work: _Work) -> Found:
    bad = work.looks.problems
    return find_bad_files(work.table, bad), {"n_problems": len(work.table.problems) + len(bad)}, ""


def _duplicates(work: _Work) -> Found:
    copies = work.copies
    facts = {
        "n_pairs": len(copies.pairs), "n_clusters": len(copies.groups()), "threshold": copies.threshold,
        "n_compared": copies.n_compared,
    }  # fmt: skip
    return find_leakage(work.table, copies, work.columns), facts, ""


def _labels(work: _Work, column: str) -> Found:
    judged = work.judged(column)
    if isinstance(judged, str):
        return [], {}, judged
    try:
        named = suspects(judged)
    except MissingPackage as error:
        warn(f"wrong labels were not looked for: {error}")
        return [], {"ranking": ranked(judged, judged.rows[:0])}, str(error)
    facts: dict[str, Any] = {
        "accuracy": judged.accuracy, "n_judged": len(judged.rows), "n_suspect": len(named),
        "ranking": ranked(judged, named),
    }  # fmt: skip
    return find_label_errors(work.table, judged, named), facts, ""


def _balance(work: _Work, column: str) -> Found:
    kind = work.kind(column)
    found = [*find_imbalance(work.table, column, kind), *find_spellings(work.table, column, kind)]
    found += find_spaces(work.table, column)
    if kind == "labels":
        cells = [cell for cell in work.table.labels[column] if cell is not None]
        return found, {"n_labels": len({label for cell in cells for label in split_labels(cell)})}, ""
    judged = work.judged(column)
    if not isinstance(judged, str):
        found += find_alike(judged)
    return found, {"n_classes": len(work.table.classes(column))}, ""


def _quality(work: _Work) -> Found:
    return find_poor_images(work.table, work.looks), {}, ""


def _cues(work: _Work, column: str) -> Found:
    found, facts = find_cues(work.table, work.looks, column, seed=work.seed)
    skipped = str(facts.pop("skipped", ""))
    return found, facts, skipped


def _drift(work: _Work) -> Found:
    if work.table.splits is None:
        return [], {}, "the data give no splits"
    light = np.stack([work.looks.numbers[name] for name in LIGHT], axis=1)
    found, facts = find_drift(
        work.table, work.space, work.ok, work.groups, work.columns, light=light, seed=work.seed
    )
    return found, facts, "" if facts else "it takes 20 images in train and in another split"


def _enough(work: _Work, column: str) -> Found:
    judged = work.judged(column)
    if isinstance(judged, str):
        return [], {}, judged
    found, facts = find_too_few(judged, seed=work.seed)
    skipped = str(facts.pop("skipped", ""))
    return found, facts, skipped


CHECKED: dict[str, Callable[[_Work], Found]] = {
    "files": _files, "duplicates": _duplicates, "quality": _quality, "drift": _drift,
}  # fmt: skip
OF_COLUMNS: dict[str, Callable[[_Work, str], Found]] = {
    "labels": _labels, "balance": _balance, "cues": _cues, "enough": _enough,
}  # fmt: skip
"""Checks of each label column."""
