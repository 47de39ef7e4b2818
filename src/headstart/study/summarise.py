"""From single runs to methods, and from methods to the best one: pure functions of plan and results.

Best is the highest selection score (validation or inner folds), less one standard error of the images behind it: a
head is judged by every training image, a network by those of one inner fold. The test scores choose nothing. A method
with a failed run has no mean and stands back behind every method without one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from headstart.measure.intervals import less_one_error, over_seeds
from headstart.measure.values import Score
from headstart.study.records import Cell, CellResult, MethodSummary, ShiftResult

JITTER, JITTER_SECONDS = 1.1, 0.5
ROUNDING = 9
"""Digits of a score beyond which differences are those of summing seeds in another order."""
_RANK = {"done": 0, "partial": 1, "missing": 2, "cut": 3, "failed": 4}


def most_images(cells: Iterable[Cell]) -> dict[str, int]:
    """The largest number of images a class that each dataset's cells learn from (0, all, is the largest)."""
    found: dict[str, int] = {}
    for cell in cells:
        known = found.get(cell.dataset, cell.per_class)
        found[cell.dataset] = max(known, cell.per_class) if known and cell.per_class else 0
    return found


def summarise(
    cells: Sequence[Cell], results: Mapping[str, CellResult], cut: Collection[tuple[str, str]] = ()
) -> tuple[MethodSummary, ...]:
    """One row a dataset, method and number of images a class; datasets in the plan's order, the best methods first.

    Parameters
    ----------
    cells : sequence of Cell
        The plan.
    results : mapping of cell id to CellResult
        What has run, failed runs too.
    cut : collection of (dataset, method)
        What the budget cut.

    Returns
    -------
    tuple of MethodSummary
    """
    groups: dict[tuple[str, str, int], list[Cell]] = {}
    for cell in cells:
        groups.setdefault((cell.dataset, cell.method, cell.per_class), []).append(cell)
    rows = [
        _summary(group, results, (name[0], group[0].base_method) in cut) for name, group in groups.items()
    ]
    order = {name: place for place, name in enumerate(dict.fromkeys(cell.dataset for cell in cells))}
    return tuple(sorted(rows, key=lambda row: (order[row.dataset], _standing(row))))


def _standing(row: MethodSummary) -> tuple[bool, int, float]:
    return row.n_failed > 0, _RANK[row.status], 1.0 if row.standing is None else -row.standing


def _summary(cells: list[Cell], results: Mapping[str, CellResult], cut: bool) -> MethodSummary:
    there = [results[cell.id] for cell in cells if cell.id in results]
    done = [result for result in there if result.whole]
    failed = [result for result in there if result.status == "failed"]
    averaged = [] if failed else done
    first = cells[0]
    return MethodSummary(
        dataset=first.dataset,
        method=first.method,
        cells=tuple(cell.id for cell in cells),
        status=_status(
            len(cells), len(done), len(failed), (cut and not there) or len(there) > len(done) + len(failed)
        ),
        backbone=first.backbone,
        layer=first.layer,
        pooling=first.pooling,
        head=first.head,
        scenario=first.scenario,
        selection=_mean(result.selection for result in averaged),
        scores={
            name: _mean_score(averaged, name)
            for name in (averaged[0].scores if averaged else ())
            if all(name in each.scores for each in averaged)
        },
        seconds=_mean_seconds(done),
        peak_bytes=max((result.peak_bytes for result in done), default=0),
        model_bytes=max((result.model_bytes for result in done), default=0),
        n_seeds=len(done),
        n_failed=len(failed),
        errors=tuple(dict.fromkeys(result.error for result in failed)),
        cut=first.training_of,
        train_seconds=_mean(result.train_seconds for result in done),
        images_seen=round(_mean(result.images_seen for result in done) or 0),
        per_class=first.per_class,
        n_train=max((result.n_train for result in done), default=0),
        options="tuned" if first.tuned else "defaults",
        shifts=_shifts(averaged),
        augment=str(first.options.get("augment", "")),
        sharing=first.sharing,
        standing=_worth(averaged),
    )


def _mean_score(done: Sequence[CellResult], name: str) -> Score:
    """Over seeds; over given folds with the interval that knows that they overlap."""
    scores, metric = [result.scores[name] for result in done], name.rpartition("/")[2]
    if not done[0].cell.fold:
        return over_seeds(scores, metric=metric)
    from headstart.measure.resampled import over_folds

    return over_folds(scores, test_over_train=fold_ratio(done), metric=metric)


def fold_ratio(done: Sequence[CellResult]) -> float:
    """Test images of a given fold over all others: 1 / (k - 1) for k equal folds; the mean over folds.

    The correction stands for the share of test images that two random splits have in common (Nadeau and Bengio 2003,
    section 3), so images count that were left for learning, also where only some a class were taken. A network that
    validates on an inner fold learns from fewer, but that fold is none of the test images either.
    """
    tested = sum({result.cell.fold: result.n_test for result in done}.values())
    each = [r.n_test / max(1, r.n_train + r.n_validation, tested - r.n_test) for r in done]
    return sum(each) / len(each)


def split_ratio(done: Sequence[CellResult], n_images: int = 0) -> float:
    """Test images of a split over its train split, of a dataset of `n_images`; the mean over splits.

    See `fold_ratio` for why the whole train split counts where only some images a class were learned from.
    """
    each = [r.n_test / max(1, r.n_train, n_images - r.n_test - r.n_validation) for r in done]
    return sum(each) / len(each)


def _shifts(done: Sequence[CellResult]) -> tuple[ShiftResult, ...]:
    """What the runs of a method did on other test images, over its seeds."""
    if not done or not all(len(result.shifts) == len(done[0].shifts) for result in done):
        return ()
    made = []
    for each in zip(*(result.shifts for result in done), strict=True):
        by = {name: sum(shift.by[name] for shift in each) / len(each) for name in each[0].by}
        accuracy = over_seeds([shift.accuracy for shift in each], metric="accuracy")
        drop = over_seeds([shift.drop for shift in each], metric="drop")
        clean = sum(shift.clean for shift in each) / len(each)
        n = min(shift.n for shift in each)
        made.append(ShiftResult(each[0].kind, each[0].name, n, accuracy, drop, clean, by))
    return tuple(made)


def _status(planned: int, done: int, failed: int, cut: bool) -> str:
    if done == planned:
        return "done"
    if done:
        return "partial"
    if cut:
        return "cut"
    return "failed" if failed else "missing"


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _mean_seconds(done: Sequence[CellResult]) -> dict[str, float]:
    keys = dict.fromkeys(key for result in done for key in result.seconds)
    return {key: _mean(result.seconds.get(key) for result in done) or 0.0 for key in keys}


def choose_best(summaries: Sequence[MethodSummary], results: Mapping[str, CellResult]) -> dict[str, str]:
    """The best method of each dataset by selection score less one standard error; ties go to the one that takes less time.

    Times within a tenth and half a second count as equal (the same study must choose the same method twice);
    then the first in the plan is taken.

    Methods whose later seeds have not run yet (a budget, a stopped study) are compared with the others on
    the seeds that all of them have. Methods with a failed run are considered only where there is nothing
    else.
    """
    best = {}
    for dataset in dict.fromkeys(row.dataset for row in summaries):
        rows = [row for row in summaries if row.dataset == dataset and row.n_seeds]
        candidates = [row for row in rows if not row.n_failed] or rows
        shared = _shared_seeds(candidates, results)
        scored = [(row, _selection_on(shared, _done(row, results))) for row in candidates]
        known = [(score, row) for row, score in scored if score is not None]
        if known:
            top = max(score for score, _ in known)
            best[dataset] = _fastest([row for score, row in known if score == top], results).method
    return best


def _fastest(rows: Sequence[MethodSummary], results: Mapping[str, CellResult]) -> MethodSummary:
    """The first in the plan among those as fast as the fastest, give or take what clocks jitter."""
    order = {cell: place for place, cell in enumerate(results)}
    least = min(_seconds(row) for row in rows)
    near = [row for row in rows if _seconds(row) <= JITTER * least + JITTER_SECONDS]
    return min(near, key=lambda row: min(order.get(cell, len(order)) for cell in row.cells))


def _seconds(row: MethodSummary) -> float:
    """Seconds of a method; a way of sharing counts its training alone, as the first way runs the frozen part for all."""
    whole = sum(row.seconds.values())
    if not row.sharing or row.train_seconds is None:
        return whole
    return whole - row.seconds.get("fit", 0.0) + row.train_seconds


def _shared_seeds(rows: Sequence[MethodSummary], results: Mapping[str, CellResult]) -> set[int]:
    """Seeds that every method has that depends on one."""
    each = [{result.cell.seed for result in _done(row, results)} for row in rows]
    driven = [{seed for seed in seeds if seed is not None} for seeds in each if None not in seeds]
    return set.intersection(*driven) if driven else set()


def _selection_on(shared: set[int], done: Sequence[CellResult]) -> float | None:
    kept = [result for result in done if result.cell.seed is None or result.cell.seed in shared]
    return _worth(kept or done)


def _worth(done: Sequence[CellResult]) -> float | None:
    """The mean selection score of some runs, less one standard error of the images behind it; a tie is a tie."""
    score = _mean(result.selection for result in done)
    return None if score is None else round(less_one_error(score, max(1, _n_behind(done))), ROUNDING)


def _n_behind(done: Sequence[CellResult]) -> int:
    """Images by which a method was chosen: each training image once over the folds, or those held out.

    Every seed holds out another inner fold, so seeds add up, to all training images at most; where one run had few,
    the mean of the scores is as sure as that of so many images each as their harmonic mean.
    """
    known = [result for result in done if result.selection is not None]
    each = [result.n_validation or result.n_train for result in known]
    there = [
        result.n_validation if result.selected_on == "validation" else result.n_train + result.n_validation
        for result in known
    ]
    return min(*there, round(len(known) ** 2 / sum(1 / max(1, n) for n in each)))


def _done(row: MethodSummary, results: Mapping[str, CellResult]) -> list[CellResult]:
    there = [results[cell] for cell in row.cells if cell in results]
    return [result for result in there if result.whole]
