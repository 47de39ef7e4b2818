"""A tuning as files that every worker process reads: the plan, the images and their division, the features.

Plain JSON and `.npy` (no pickles); features are mapped into memory, so that workers share one copy.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from headstart.base.errors import UsageError
from headstart.base.files import write_text, written_aside
from headstart.base.hashing import digest_json
from headstart.images.table import ImageTable
from headstart.methods.training_options import TRAINED
from headstart.methods.tune.divide import Part, content
from headstart.methods.tune.plan import TunePlan, plan_from, search_id, spaces_of
from headstart.methods.tune.space import Space
from headstart.methods.tune.trials import HeadTrials, NetworkTrials, Trials

FOLDER, FILE, SPACES = "work", "job.json", "spaces"


@dataclass(frozen=True)
class Search:
    """One method on one part: `number` counts all searches, `name` is its name in the storage."""

    number: int
    method: str
    fold: int
    space: Space
    name: str


@dataclass(eq=False)
class Job:
    """Everything that trials need.

    Attributes
    ----------
    plan : TunePlan
    table : ImageTable
        Every row labelled and readable.
    target : str
    parts : tuple of Part
    features : dict of (layer, pooling) to float32 array (n, d)
    n_stages : int
    teacher : object or None
        A fitted classifier in place of the backbone that the plan names as the teacher; see `tune_table`.
    unread : tuple of str
        Digests of the labelled images that cannot be read.
    """

    plan: TunePlan
    table: ImageTable
    target: str
    parts: tuple[Part, ...]
    features: Mapping[tuple[str, str], np.ndarray]
    n_stages: int
    teacher: Any = None
    unread: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.classes = self.table.classes(self.target)
        number = {name: code for code, name in enumerate(self.classes)}
        self.codes = np.array([number[str(label)] for label in self.table.labels[self.target]])

    def content(self, part: Part) -> str:
        """Images, labels and division of a part."""
        return content(self.table, self.target, part)

    def searches(self) -> list[Search]:
        """Every method on every part."""
        spaces = spaces_of(self.plan, self.n_stages)
        pairs = [(method, fold) for method in self.plan.methods for fold in range(len(self.parts))]
        contents, teacher = [self.content(part) for part in self.parts], str(getattr(self.teacher, "id", ""))
        return [
            Search(
                number, method, fold, spaces[method],
                f"{method} {search_id(self.plan, method, spaces[method], contents[fold], teacher)}",
            )
            for number, (method, fold) in enumerate(pairs)
        ]  # fmt: skip

    def trials(self, search: Search) -> Trials:
        """What measures the trials of a search."""
        plan, part = self.plan, self.parts[search.fold]
        if search.method in TRAINED:
            fixed = fixed_options(plan, self.teacher)
            return NetworkTrials(search.space, self.table, self.target, self.classes, part, fixed, plan.seed)
        return HeadTrials(
            search.space, self.features, self.codes, len(self.classes), part, self.table.groups,
            plan.seed, plan.inner_folds,
        )  # fmt: skip


def fixed_options(plan: TunePlan, teacher: Any = None) -> dict[str, Any]:
    """What all trials that train have alike, less their seed; a fitted teacher in place of the one that is named."""
    return {
        "backbone": plan.backbone, "input_size": plan.input_size, "n_folds": plan.inner_folds,
        "cache_gb": plan.cache_gb, **plan.training, **({} if teacher is None else {"teacher": teacher}),
    }  # fmt: skip


def spaces_folder(folder: Path) -> Path:
    """Where the workers of a tuning share what they compute of its features."""
    return folder / FOLDER / SPACES


def write_job(job: Job, folder: Path) -> None:
    """Write a job for the workers of a folder; features that stand there already stay."""
    place = folder / FOLDER
    place.mkdir(parents=True, exist_ok=True)
    arrays = {}
    for (layer, pooling), matrix in job.features.items():
        name = f"features-{digest_json([layer, pooling, job.plan.to_dict(), list(matrix.shape)])[:12]}.npy"
        with written_aside(place / name) as aside, aside.open("wb") as file:
            np.save(file, np.ascontiguousarray(matrix, np.float32), allow_pickle=False)
        arrays[name] = [layer, pooling]
    pixels = None
    if job.table.pixels is not None:
        pixels = "pixels.npy"
        with written_aside(place / pixels) as aside, aside.open("wb") as file:
            np.save(file, job.table.pixels, allow_pickle=False)
    t = job.table
    document = {
        "plan": job.plan.to_dict(), "target": job.target, "n_stages": job.n_stages, "features": arrays,
        "pixels": pixels, "parts": [[p.train, p.validation, p.test, p.inner] for p in job.parts],
        "table": {
            "name": t.name, "root": str(Path(t.root).absolute()) if t.root else "", "paths": t.paths,
            "digests": t.digests, "labels": {job.target: t.labels[job.target]}, "groups": t.groups,
        },
    }  # fmt: skip
    write_text(place / FILE, json.dumps(document))


def read_job(folder: Path) -> Job:
    """The job that `write_job` wrote.

    Raises
    ------
    UsageError
        There is none.
    """
    place = folder / FOLDER
    try:
        document: dict[str, Any] = json.loads((place / FILE).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{place / FILE} is no tuning's job: {error}") from error
    pixels = document["pixels"]
    kept = document["table"]
    table = ImageTable(
        name=kept["name"], root=kept["root"], paths=tuple(kept["paths"]), digests=tuple(kept["digests"]),
        labels={name: tuple(values) for name, values in kept["labels"].items()},
        groups=None if kept["groups"] is None else tuple(kept["groups"]),
        pixels=None if pixels is None else np.load(place / pixels, mmap_mode="r", allow_pickle=False),
    )  # fmt: skip
    features = {
        (layer, pooling): np.load(place / name, mmap_mode="r", allow_pickle=False)
        for name, (layer, pooling) in document["features"].items()
    }
    parts = tuple(Part(*(tuple(rows) for rows in each)) for each in document["parts"])
    return Job(plan_from(document["plan"]), table, document["target"], parts, features, document["n_stages"])
