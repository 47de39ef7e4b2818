"""Where a network looked when it was wrong and sure: the maps of its surest errors, and whether they may be believed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from headstart.report.document import Block, Claim, Gallery
from headstart.report.pictures import PictureBook
from headstart.report.verdict import results_of
from headstart.report.wording import count
from headstart.study.error_map import ErrorMap, sanity_of
from headstart.study.records import Cell, CellResult, MethodSummary, StudyRecord


def error_maps(record: StudyRecord, result: CellResult, book: PictureBook, id: str) -> list[Gallery]:
    """The surest errors with their maps: each image as the network sees it, beside the same under its map."""
    found = record.maps.get(result.cell.id, ())
    cell = result.cell
    if not found or cell.dataset not in record.tables:
        return []
    table = record.tables[cell.dataset]
    rows = {path: row for row, path in enumerate(table.paths)}
    labels = table.labels[found[0].output or record.targets[cell.dataset]]
    groups = []
    for each in found:
        row = rows.get(each.path)
        pictures = () if row is None else book.mapped(table, row, _seen_as(record, cell), each.grid())
        if row is not None and pictures:
            said = f"said: {each.said}" + (f"; random weights: {each.words()}" if each.checked else "")
            groups.append((f"true: {labels[row]}", said, pictures))
    if not groups:
        return []
    caption = f"{maps_caption(len(groups))} {_believed(found)}"
    return [Gallery(f"{id}-maps", caption, tuple(groups))]


def maps_caption(n: int, *, short: bool = False) -> str:
    """What a gallery of maps shows and what to look for, of so many images; on one line of a page where `short`."""
    if short:
        each = "an image and its map" if n == 1 else f"{n} images, each beside its map"
        return f"Where it looked when it was wrong and sure (Grad-CAM): {each}; bright is what spoke for the class named."
    it = "it" if n == 1 else "them"
    return (
        f"Where it looked when it was wrong and sure (Grad-CAM): {count(n, 'image')} as the network sees {it}, and "
        "under the map of the class that was named; bright is what spoke for it. Look whether that is the object, its "
        "surroundings or something that has no business there."
    )


def error_maps_of_output(
    record: StudyRecord, rows: Sequence[MethodSummary], output: str, book: PictureBook, id: str
) -> list[Block]:
    """The same of one of several outputs, of the best network that trains, under its name; [] where it has none.

    Parameters
    ----------
    record : StudyRecord
    rows : sequence of MethodSummary
        The best first.
    output : str
    book : PictureBook
    id : str
    """
    trained = ([run for run in results_of(record, row) if run.whole] for row in rows if row.trains)
    best = next((runs for runs in trained if runs), [])
    run = next((run for run in best if record.maps.get(run.cell.id)), None)
    if run is None or record.maps[run.cell.id][0].output != output:
        return []
    said = f"Errors of {run.cell.method}, the best network that trains"
    said += f", {run.cell.place}." if run.cell.seed is not None else "."
    galleries = error_maps(record, run, book, id)
    return [Claim(said, (run.cell.id,)), *galleries] if galleries else []


def _believed(found: Sequence[ErrorMap]) -> str:
    """What the comparison with random weights says of the maps."""
    sanity = sanity_of(found)
    if sanity is None:
        return "These maps were not compared with those of random weights."
    return (
        f"Correlation of {count(len(found), 'map')} with those of random weights (one draw): {sanity.words}."
    )


def _seen_as(record: StudyRecord, cell: Cell) -> dict[str, Any]:
    """The preprocessing of a run's backbone at the run's input size, as a card keeps it."""
    how = dict((record.cards.get(cell.backbone) or {}).get("preprocessing") or {})
    return {**how, "height": cell.height, "width": cell.width}
