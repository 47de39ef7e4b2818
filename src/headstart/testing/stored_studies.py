"""A made-up study that lies in a real store, for tests of what reads stores: the command line, archives."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from headstart.study.records import StudyRecord
from headstart.study.store import StudyStore
from headstart.testing.records import tiny_record


def stored_study(folder: str | Path, *, seed: int = 0, **given: Any) -> StudyRecord:
    """`tiny_record` of images in `folder/images`, with its store in `folder/study`.

    Parameters
    ----------
    folder : path
    seed : int
        Of the made-up probabilities of every method but the best, whose own are kept.
    **given
        As `tiny_record` takes them.

    Returns
    -------
    StudyRecord
        As made up; `load_record(folder / "study")` reads it from the store.
    """
    record = tiny_record(Path(folder) / "images", **given)
    generator = np.random.default_rng(seed)
    with StudyStore(Path(folder) / "study") as store:
        store.put_meta(
            plan=_plan(record), spec=record.spec, targets=record.targets, command=record.command,
            cards=record.cards, networks=record.networks, versions=record.versions, machine=record.machine,
            warnings=list(record.warnings), passes=[], seconds_before=record.seconds_total,
        )  # fmt: skip
        for table in record.tables.values():
            store.put_table(table)
        for result in record.results:
            table = record.tables[result.cell.dataset]
            rows = table.rows("test")
            test = [(table.paths[row], table.digests[row]) for row in rows]
            if result.status != "done":
                store.put_result(result)
                continue
            own = record.probabilities.get(result.cell.id)
            made = (
                own
                if own is not None
                else _made_up(result.confusion, rows, table.labels["class"], result.classes, generator)
            )
            store.put_result(result, made, test)
    return record


def _plan(record: StudyRecord) -> list[dict[str, Any]]:
    """The cells that ran, and those that did not, by the methods that are known."""
    ran = [asdict(result.cell) for result in record.results]
    known = {result.cell.id for result in record.results}
    missing = [cell for row in record.summaries for cell in row.cells if cell not in known]
    if not ran or not missing:
        return ran
    like = dict(ran[-1])
    return ran + [{**like, "head": "ridge", "seed": at} for at in range(len(missing))]


def _made_up(
    confusion: tuple[tuple[int, ...], ...],
    rows: list[int],
    labels: tuple[str | None, ...],
    classes: tuple[str, ...],
    generator: np.random.Generator,
) -> np.ndarray:
    """Probabilities that agree with a confusion matrix, with its errors on images by lot."""
    said = np.zeros((len(rows), len(classes)))
    for true, label in enumerate(classes):
        places = [at for at, row in enumerate(rows) if labels[row] == label]
        answers = [guess for guess, n in enumerate(confusion[true]) for _ in range(n)]
        for place, guess in zip(places, generator.permutation(answers), strict=True):
            said[place, guess] = 1.0
    return np.asarray(said, dtype=np.float32)
