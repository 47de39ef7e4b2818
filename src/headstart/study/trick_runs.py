"""The runs of a study of tricks on one dataset, as effects are reckoned from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headstart.base.hashing import digest_bytes
from headstart.study.records import CellResult, StudyRecord
from headstart.study.store import StudyStore
from headstart.study.trick_costs import charged
from headstart.study.trick_designs import Contrast, On
from headstart.study.trick_spec import on_of

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, eq=False)
class Ran:
    """The runs of one setting on one dataset: what each got right, seed after seed, and what they took.

    `images` numbers the images of these answers and `of_seed` their seeds: the same number is the same image,
    whatever the seed; seeds may test on different numbers of images.

    `start_kept` says of each run, fit by fit (one a seed; one a fold and seed), whether the head that training
    started from was kept, because no epoch bettered it; `said` is the digest of each run's probabilities. Both are
    empty where that is not known.
    """

    dataset: str
    at: dict[On, int]
    right: list[np.ndarray]
    images: np.ndarray
    of_seed: np.ndarray
    train_seconds: np.ndarray
    seconds: np.ndarray
    ids: dict[On, tuple[str, ...]]
    start_kept: np.ndarray | None = None
    said: tuple[str, ...] = ()

    def pairs_at_the_start(self, contrast: Contrast) -> tuple[int, int]:
        """Paired fits in which both sides kept what they started from, and all pairs."""
        if self.start_kept is None:
            return 0, len(contrast.plus) * len(self.train_seconds[0])
        pairs = zip(contrast.plus, contrast.minus, strict=True)
        both = [self.start_kept[self.at[plus]] & self.start_kept[self.at[minus]] for plus, minus in pairs]
        return int(sum(each.sum() for each in both)), sum(each.size for each in both)

    def says_the_same(self, contrast: Contrast) -> bool:
        """Whether the two runs of every pair give the same probabilities, to the last bit."""
        pairs = zip(contrast.plus, contrast.minus, strict=True)
        return bool(self.said) and all(
            self.said[self.at[plus]] == self.said[self.at[minus]] for plus, minus in pairs
        )


def ran_of(record: StudyRecord, store: StudyStore, dataset: str, results: Sequence[CellResult]) -> Ran:
    """Runs whose every seed is done; a run that lacks one is not there at all."""
    import numpy as np

    seeds = sorted({result.cell.seed or 0 for result in results})
    by_run: dict[On, dict[int, CellResult]] = {}
    for result in results:
        if result.whole:
            by_run.setdefault(on_of(result.cell.tricks), {})[result.cell.seed or 0] = result
    # a seed that is still under way counts where no seed is whole
    seeds = [seed for seed in seeds if all(seed in runs for runs in by_run.values())] or seeds
    whole = {on: runs for on, runs in by_run.items() if all(seed in runs for seed in seeds)}
    table, target = record.tables[dataset], record.targets[dataset]
    number = {path: row for row, path in enumerate(table.paths)}
    right: list[np.ndarray] = []
    said: list[str] = []
    images = of_seed = np.zeros(0, int)
    for runs in whole.values():
        answers, shown, given = [], [], []
        for seed in seeds:
            found = store.probabilities(runs[seed].cell.id)
            assert found is not None, "a run that is done has probabilities"
            rows = np.array([number[path] for path in found[1]])
            truth = np.array([runs[seed].classes.index(str(table.labels[target][row])) for row in rows])
            order = np.argsort(rows)
            answers.append((found[0].argmax(1) == truth)[order])
            shown.append(rows[order])
            given.append(found[0][order].tobytes())
        said.append(digest_bytes(*given))
        right.append(np.concatenate(answers))
        images = np.concatenate(shown)
        of_seed = np.repeat(np.arange(len(seeds)), [len(each) for each in answers])
    took = [[runs[seed] for seed in seeds] for runs in whole.values()]
    kept = [[fit.get("kept_epoch") == 0 for run in each for fit in run.training] for each in took]
    return Ran(
        dataset, {on: at for at, on in enumerate(whole)}, right, images, of_seed,
        *charged(took),
        {on: tuple(run.cell.id for run in each) for on, each in zip(whole, took, strict=True)},
        np.array(kept), tuple(said),
    )  # fmt: skip
