"""The whole audit of a table: one look at each image, features from the cache, then every check."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.audit.balance import find_alike, find_imbalance, find_spellings
from headstart.audit.cues import find_cues
from headstart.audit.drift import find_drift
from headstart.audit.enough import find_too_few
from headstart.audit.files import find_bad_files
from headstart.audit.finding import CHECKS, Audit, AuditFinding, Checked, by_severity
from headstart.audit.labels import Judged, find_label_errors, judge, principal, remark, suspects
from headstart.audit.leakage import find_leakage
from headstart.audit.look import Looking, Looks
from headstart.audit.quality import find_poor_images
from headstart.backbones.load import card
from headstart.base.errors import MissingPackage, UnknownName, UsageError
from headstart.base.events import warn
from headstart.features.duplicates import Copies, find_copies
from headstart.features.extractor import FeatureExtractor
from headstart.features.store import DEFAULT_CACHE_GB
from headstart.images.prepare import least_side
from headstart.images.table import ImageTable

if TYPE_CHECKING:
    from numpy.typing import NDArray

RANKED = 24
BY_LOOK = ("files", "quality", "cues")
"""Checks that need no features."""
Found = tuple[list[AuditFinding], dict[str, Any], str]


def audit(
    table: ImageTable, *, source: str = "", target: str | None = None, only: Sequence[str] = (),
    backbone: str = "lite0", seed: int = 0, cache_gb: float = DEFAULT_CACHE_GB,
    features: NDArray[np.float32] | None = None,
) -> Audit:  # fmt: skip
    """Look for what is wrong with a dataset.

    Parameters
    ----------
    table : ImageTable
    source : str
        The data as the user named them, for the commands of the findings; default the table's name.
    target : str, optional
        Label column; the first by default. Without labels the checks that need them are skipped.
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

    Returns
    -------
    Audit

    Raises
    ------
    UnknownName
        No such check or label column.
    """
    for name in only:
        if name not in CHECKS:
            raise UnknownName("check", name, CHECKS)
    start = time.perf_counter()
    named = table.target(target) if target is not None or table.labels else None
    checks = [each for each in CHECKS if not only or each in only]
    work = _Work(table, named, backbone, seed, cache_gb, any(each not in BY_LOOK for each in checks))
    if features is not None:
        work.take(features)
    findings: list[AuditFinding] = []
    checked = []
    for check in checks:
        began = time.perf_counter()
        found, facts, skipped = CHECKED[check](work)
        findings += found
        checked.append(Checked(check, time.perf_counter() - began, skipped, facts))
    return Audit(
        table, source or table.name, named, by_severity(findings), tuple(checked), backbone, seed,
        time.perf_counter() - start,
    )  # fmt: skip


@dataclass
class _Work:
    """An audit under way: what several checks need is made once, when it is first asked for."""

    table: ImageTable
    target: str | None
    backbone: str
    seed: int
    cache_gb: float
    featured: bool
    _made: dict[str, Any] = field(default_factory=dict)

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
    def space(self) -> NDArray[np.float32]:
        made: NDArray[np.float32] = self._once("space", lambda: principal(self.features))
        return made

    @property
    def judged(self) -> Judged | str:
        """Probabilities of the labelled images, or why there are none."""
        if self.target is None:
            return "there are no labels"
        labels, clusters = self.table.labels[self.target], self.copies.clusters
        made: Judged | str = self._once(
            "judged", lambda: judge(self.features, labels, clusters, ok=self.ok, seed=self.seed)
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
    return find_leakage(work.table, copies, work.target), facts, ""


def _labels(work: _Work) -> Found:
    judged = work.judged
    if isinstance(judged, str):
        return [], {}, judged
    try:
        named = suspects(judged)
    except MissingPackage as error:
        warn(f"wrong labels were not looked for: {error}")
        return [], {}, str(error)
    facts: dict[str, Any] = {
        "accuracy": judged.accuracy, "n_judged": len(judged.rows), "n_suspect": len(named),
        "ranking": [(work.table.paths[judged.rows[at]], remark(judged, at)) for at in named[:RANKED].tolist()],
    }  # fmt: skip
    return find_label_errors(work.table, judged, named), facts, ""


def _balance(work: _Work) -> Found:
    if work.target is None:
        return [], {}, "there are no labels"
    found = [*find_imbalance(work.table, work.target), *find_spellings(work.table, work.target)]
    judged = work.judged
    if not isinstance(judged, str):
        found += find_alike(judged)
    return found, {"n_classes": len(work.table.classes(work.target))}, ""


def _quality(work: _Work) -> Found:
    return find_poor_images(work.table, work.looks), {}, ""


def _cues(work: _Work) -> Found:
    if work.target is None:
        return [], {}, "there are no labels"
    found, facts = find_cues(work.table, work.looks, work.target, seed=work.seed)
    skipped = str(facts.pop("skipped", ""))
    return found, facts, skipped


def _drift(work: _Work) -> Found:
    if work.table.splits is None:
        return [], {}, "the data give no splits"
    found, facts = find_drift(
        work.table, work.space, work.ok, work.copies.clusters, work.target, seed=work.seed
    )
    return found, facts, "" if facts else "it takes 20 images in train and in another split"


def _enough(work: _Work) -> Found:
    judged = work.judged
    if isinstance(judged, str):
        return [], {}, judged
    found, facts = find_too_few(judged, work.copies.clusters, seed=work.seed)
    skipped = str(facts.pop("skipped", ""))
    return found, facts, skipped


CHECKED: dict[str, Callable[[_Work], Found]] = {
    "files": _files, "duplicates": _duplicates, "labels": _labels, "balance": _balance, "quality": _quality,
    "cues": _cues, "drift": _drift, "enough": _enough,
}  # fmt: skip
