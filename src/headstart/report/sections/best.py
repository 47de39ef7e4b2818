"""The best method of a dataset, looked at closely: confusion, classes, most confident errors, calibration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from headstart.measure.metrics import most_probable
from headstart.report.document import (
    Beside,
    Block,
    Claim,
    Column,
    Entry,
    Figure,
    Gallery,
    Paragraph,
    Picture,
    Row,
    Section,
    Table,
)
from headstart.report.figures import reliability
from headstart.report.pictures import PictureBook
from headstart.report.sections.error_maps import error_maps
from headstart.report.verdict import best_of, datasets, results_of
from headstart.report.wording import DASH, count, listed, percent
from headstart.study.records import CellResult, MethodSummary, StudyRecord

if TYPE_CHECKING:
    import numpy as np

SHARES = ("precision", "recall", "f1")
MATRIX_SHOWN, PAIRS_SHOWN, ERRORS_SHOWN = 30, 30, 24
ERROR_SIDE = 160
N_BINS = 15


def best_section(record: StudyRecord, dataset: str, book: PictureBook, id: str) -> Section | None:
    """The close look at the best method, or None where nothing finished."""
    best, done = best_of(record, dataset), _done(record, dataset)
    if best is None or not done:
        return None
    shown = _looked_at(record, done)
    blocks: list[Block] = [_opening(best, shown, len(done))]
    blocks += [confusion_table(shown, id)] if shown.confusion else []
    blocks += _side_by_side(record, shown, id)
    blocks += [*error_maps(record, shown, book, id), _errors(record, shown, book, id)]
    title = f"The best on {dataset}" if len(datasets(record)) > 1 else "The best"
    return Section(id, f"{title}, looked at closely", tuple(blocks))


def confused_pairs(record: StudyRecord, dataset: str, id: str) -> Table | None:
    """The pairs of classes that the best method takes for each other most; None where it confuses none."""
    done = _done(record, dataset)
    found = _pairs_table(_looked_at(record, done), id) if done else None
    return found if found is not None and found.rows else None


def _done(record: StudyRecord, dataset: str) -> list[CellResult]:
    best = best_of(record, dataset)
    return [result for result in results_of(record, best) if result.whole] if best is not None else []


def _looked_at(record: StudyRecord, done: list[CellResult]) -> CellResult:
    """The first run whose probabilities are held, else the first."""
    return next((result for result in done if result.cell.id in record.probabilities), done[0])


def _side_by_side(record: StudyRecord, shown: CellResult, id: str) -> list[Block]:
    """Classes beside reliability, or the one under the other where there are many classes."""
    parts: list[Table | Figure] = [_class_table(shown, id)] if shown.per_class else []
    held = _held(record, shown)
    parts += [_reliability(shown, held[1], held[2], id)] if held else []
    return [Beside(tuple(parts))] if parts and len(shown.classes) <= MATRIX_SHOWN else [*parts]


def _held(record: StudyRecord, result: CellResult) -> tuple[tuple[int, ...], np.ndarray, np.ndarray] | None:
    """Table rows, true classes and probabilities of a cell, or None where the record does not hold them."""
    import numpy as np

    cell = result.cell
    rows = record.test_rows.get(cell.id, ())
    given = np.asarray(record.probabilities.get(cell.id, ()), dtype=float)
    if cell.dataset not in record.tables or given.shape != (len(rows), len(result.classes)) or not rows:
        return None
    index = {label: at for at, label in enumerate(result.classes)}
    labels = record.tables[cell.dataset].labels[record.targets[cell.dataset]]
    return rows, np.array([index.get(labels[row] or "", -1) for row in rows]), given


def _not_held() -> Paragraph:
    return Paragraph(
        "The probabilities of this method are not in the record, so its errors cannot be shown as pictures."
    )


def _opening(best: MethodSummary, shown: CellResult, n_done: int) -> Claim:
    said = f"{best.method}{_tuned(shown)}."
    if n_done > 1:
        said += f" What follows is one of its {n_done} runs, {shown.cell.place}; "
        said += "counts are not mixed over seeds."
    return Claim(said, (shown.cell.id,))


def _tuned(shown: CellResult) -> str:
    on = shown.selected_on or "validation"
    if not shown.training:
        tuned = listed(f"{name} = {value}" for name, value in shown.chosen.items())
        return f", with {tuned} chosen on {on}" if tuned else ""
    fit = shown.training[0]
    n_epochs = len(fit.get("curve") or ())
    if fit.get("kept_epoch") == 0 and n_epochs:
        said = (
            f", with the fitted head that training started from, as none of its {n_epochs} epochs was better "
        )
        on = fit.get("epoch_chosen_on") or on
        said += f"{'' if on == 'validation' else 'by more than one standard error '}on {on}"
        said += (
            f"; chosen on {shown.selected_on} and fitted on all of train" if fit.get("head_refitted") else ""
        )
    else:
        said = f", with the weights of epoch {fit.get('kept_epoch')} of {n_epochs}"
        said += ", the last, as asked" if shown.cell.options.get("keep") == "last" else f", chosen on {on}"
    test = fit.get("range_test") or {}
    by = "by a range test on train" if test else "as given"
    if test.get("limit") is not None and test["limit"] < test["chosen"]:
        by += f" ({test['chosen']:.2g}), lowered to the largest that is taken from such a start"
    return (
        f"{said}; learning rate {float(fit['learning_rate']):.2g}, {by}" if fit.get("learning_rate") else said
    )


def confusion_table(result: CellResult, id: str) -> Table:
    """Counts and row shares; above 30 classes the pairs that are taken for each other most."""
    if len(result.classes) > MATRIX_SHOWN:
        return _pairs_table(result, id)
    columns = (Column("true \\ said"), *(Column(label, numeric=True) for label in result.classes))
    rows = []
    for label, counts in zip(result.classes, result.confusion, strict=True):
        total = sum(counts) or 1
        entries = [
            Entry(
                f"{n:,}" if n else "·",
                n,
                small=f"{100 * n / total:.0f} %" if n else "",
                heat=round(10 * n / total),
            )
            for n in counts
        ]
        rows.append(Row((Entry(label), *entries)))
    caption = "Confusion matrix: a row is a true class, a column what was said; "
    caption += "counts, and under them the share of the row. "
    caption += "Dark cells off the diagonal are the classes taken for each other."
    return Table(f"{id}-confusion", caption, columns, tuple(rows), matrix=True, runs=(result.cell.id,))


def _pairs_table(result: CellResult, id: str) -> Table:
    totals = [sum(row) or 1 for row in result.confusion]
    pairs = [
        (n, true, said)
        for true, row in enumerate(result.confusion)
        for said, n in enumerate(row)
        if n and true != said
    ]
    pairs.sort(key=lambda pair: (-pair[0], pair[1], pair[2]))
    rows = [
        Row(
            (
                Entry(result.classes[true], result.classes[true].casefold()),
                Entry(result.classes[said], result.classes[said].casefold()),
                Entry(f"{n:,}", n),
                Entry(percent(n / totals[true]), n / totals[true]),
            )
        )
        for n, true, said in pairs[:PAIRS_SHOWN]
    ]
    caption = f"The pairs of classes confused most, of {len(result.classes)} classes: "
    caption += f"{len(rows)} of {len(pairs)} pairs with an error."
    columns = (
        Column("true class"),
        Column("said"),
        Column("images", numeric=True),
        Column("share of the true class", numeric=True),
    )
    return Table(f"{id}-confusion", caption, columns, tuple(rows), sortable=True, runs=(result.cell.id,))


def _class_table(result: CellResult, id: str) -> Table:
    columns = (
        Column("class"),
        *(Column(name, numeric=True) for name in ("precision", "recall", "F1")),
        Column("test images", numeric=True),
        Column("recall, drawn"),
    )
    rows = []
    for label in result.classes:
        of = result.per_class.get(label, {})
        shares = [of.get(key) for key in SHARES]
        shown = [share_entry(of, key) for key in SHARES]
        n, recall = int(of.get("n", 0)), shares[1] if percent(shares[1]) != DASH else None
        rows.append(
            Row(
                (
                    Entry(label, label.casefold()),
                    *shown,
                    Entry(f"{n:,}", n),
                    Entry("", recall, bars=(recall or 0.0,)),
                )
            )
        )
    caption = (
        "Each class by itself. Low precision: others are taken for it. Low recall: it is taken for others."
    )
    if any("f1_low" in each for each in result.per_class.values()):
        caption += " Under each share stands its 95 % interval over these test images."
    return Table(f"{id}-classes", caption, columns, tuple(rows), sortable=True, runs=(result.cell.id,))


def share_entry(of: Mapping[str, float], key: str) -> Entry:
    """Precision, recall or F1 of one class with its interval, which runs of an older version did not keep."""
    value, low, high = (of.get(name) for name in (key, f"{key}_low", f"{key}_high"))
    if value is None or percent(value) == DASH:
        return Entry(DASH, None)
    if low is None or high is None:
        return Entry(percent(value), value)
    return Entry(percent(value), value, small=f"{percent(low)} to {percent(high)}")


def _errors(record: StudyRecord, result: CellResult, book: PictureBook, id: str) -> Block:
    held = _held(record, result)
    if held is None:
        return _not_held()
    table, (rows, truth, probabilities) = record.tables[result.cell.dataset], held
    said, sure = probabilities.argmax(axis=1), probabilities.max(axis=1)
    wrong = [int(at) for at in (-sure).argsort(kind="stable") if truth[at] != said[at]]
    if not wrong:
        return Paragraph(f"It made no error on its {count(len(rows), 'test image')}.")
    pictures: list[Picture] = []
    for at in wrong[:ERRORS_SHOWN]:
        true = result.classes[truth[at]] if truth[at] >= 0 else "a class not seen in training"
        lines = (
            f"true: {true}",
            f"said: {result.classes[said[at]]}, {percent(float(sure[at]))}",
            table.paths[rows[at]],
        )
        if (made := book.picture(table, rows[at], side=ERROR_SIDE, lines=lines)) is not None:
            pictures.append(made)
    caption = f"The errors it was most sure of: {len(pictures)} of {count(len(wrong), 'error')} "
    caption += f"on {count(len(rows), 'test image')}. "
    caption += f"Look for wrong labels, two classes in one picture, and cues that mislead. {book.remark()}"
    return Gallery(f"{id}-errors", caption.strip(), (("", "", tuple(pictures)),))


def reliability_bins(
    truth: np.ndarray, probabilities: np.ndarray, n_bins: int = N_BINS
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean probability, share right and count of the answers in equal-width bins of their probability.

    Parameters
    ----------
    truth : int array (n,)
    probabilities : float array (n, k)
    n_bins : int

    Returns
    -------
    confidence, correct, n : arrays (n_bins,)
        NaN in the first two where a bin is empty.
    """
    sure, right = probabilities.max(axis=1), most_probable(probabilities) == truth
    return binned(sure, right, n_bins)


def binned(
    sure: np.ndarray, right: np.ndarray, n_bins: int = N_BINS
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`reliability_bins` of any stated probabilities (n,) and whether they came true (n,)."""
    import numpy as np

    place = np.clip(np.ceil(sure * n_bins).astype(int) - 1, 0, n_bins - 1)
    n = np.bincount(place, minlength=n_bins)
    with np.errstate(invalid="ignore"):
        confidence = np.bincount(place, weights=sure, minlength=n_bins) / n
        correct = np.bincount(place, weights=right, minlength=n_bins) / n
    return confidence, correct, n


def _reliability(result: CellResult, truth: np.ndarray, probabilities: np.ndarray, id: str) -> Figure:
    ece = result.scores.get("ece")
    return reliability_figure(
        reliability_bins(truth, probabilities), None if ece is None else ece.value, id, (result.cell.id,)
    )


def reliability_figure(
    bins: tuple[np.ndarray, np.ndarray, np.ndarray], ece: float | None, id: str, runs: tuple[str, ...]
) -> Figure:
    """Share right against stated probability, from `reliability_bins`."""
    confidence, correct, n = bins
    caption = (
        f"Reliability in {N_BINS} equal bins. On the dashed line the stated probability is the share of "
    )
    caption += "right answers; below it the model is too sure of itself, above it too modest. "
    caption += "Bins with few images say little."
    if ece is not None:
        caption += f" Expected calibration error: {ece:.3f}."
    svg = reliability(list(confidence), list(correct), [int(images) for images in n])
    return Figure(
        f"{id}-reliability", caption, svg, "Share of right answers against stated probability", (), runs
    )
