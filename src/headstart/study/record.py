"""From the store of a study to its record: reads only, needs no torch, works while the study still runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.base.errors import UnknownName, UsageError
from headstart.study.advice_record import META as ADVICE
from headstart.study.advice_record import MISSING
from headstart.study.audit_record import META as AUDIT
from headstart.study.findings import all_findings
from headstart.study.halving import META, stored_cut
from headstart.study.records import Cell, CellResult, MethodSummary, StudyRecord
from headstart.study.retrieval import RETRIEVAL
from headstart.study.store import StudyStore
from headstart.study.summarise import choose_best, most_images, summarise

if TYPE_CHECKING:
    import numpy as np

    from headstart.images.table import ImageTable


UNPLANNED: dict[str, Any] = {
    "plan": [], "targets": {}, "passes": [], "warnings": [], "command": "", "spec": {}, "cards": {}, "versions": {},
    "machine": {},
}  # fmt: skip
"""What a store lacks until the plan is made; what was asked, and where, is there from the start of the study."""


def load_record(folder: str | Path) -> StudyRecord:
    """Everything a report needs of the study in `folder`: finished, failed and missing runs of its last plan.

    Parameters
    ----------
    folder : path
        Output folder of a study, finished, stopped or still running; of one that stopped before its plan was made
        nothing is known but what was asked.

    Raises
    ------
    UsageError
        The folder holds no study.
    """
    with StudyStore(folder, must_exist=True) as store:
        known = store.meta()
        meta = {**UNPLANNED, **known}
        cells = planned = [Cell(**row) for row in meta["plan"]]
        stored = store.results()
        results = {cell.id: stored[cell.id] for cell in cells if cell.id in stored}
        cut = stored_cut(store, cells) if meta["spec"].get("budget") else ()
        away = {(each.dataset, each.method) for each in cut}
        together = summarise([cell for cell in cells if cell.sharing], results)
        cells = [cell for cell in cells if not cell.sharing]
        every = summarise(cells, results, away)
        retrieval = tuple(row for row in every if row.scenario == RETRIEVAL)
        sized = tuple(row for row in every if row.scenario != RETRIEVAL)
        most = most_images(cell for cell in cells if cell.scenario != RETRIEVAL)
        summaries = tuple(row for row in sized if row.per_class == most[row.dataset])
        best = choose_best(summaries, results)
        tables = {name: table for name in meta["targets"] if (table := store.table(name)) is not None}
        best_joint = choose_best(together, results)
        shown = [row for row in summaries if best.get(row.dataset) == row.method]
        shown += retrieval
        shown += [row for row in together if row.trains or best_joint.get(row.dataset) == row.method]
        rows, probabilities = _held(store, shown, tables)
        maps = {cell: found for cell in rows if (found := store.maps(cell))}
        passes = store.passes()
        facts = [passes[key] for key in meta["passes"] if key in passes]
        seconds = seconds_so_far(store)
    return StudyRecord(
        folder=str(folder),
        command=meta["command"],
        spec=meta["spec"],
        tables=tables,
        targets=meta["targets"],
        summaries=summaries,
        results=tuple(results.values()),
        best=best,
        test_rows=rows,
        probabilities=probabilities,
        cards=meta["cards"],
        networks=meta.get("networks") or {},
        versions=meta["versions"],
        machine=meta["machine"],
        warnings=_warnings(meta, facts, results),
        seconds_total=seconds,
        n_planned=sum(cell.id in results or (cell.dataset, cell.base_method) not in away for cell in planned),
        engines=tuple(_engine(each) for each in facts),
        findings=(*all_findings(summaries, results), *all_findings(together, results)),
        cut=cut,
        sized=sized if len(sized) > len(summaries) else (),
        retrieval=retrieval,
        best_retrieval=choose_best(retrieval, results),
        tricks=meta.get("tricks") or {},
        maps=maps,
        audits={name: each for name, each in (meta.get(AUDIT) or {}).items() if name in meta["targets"]},
        advised=tuple(name for name in meta.get(ADVICE) or {} if name in meta["targets"]),
        unadvised={name: why for name, why in (meta.get(MISSING) or {}).items() if name in meta["targets"]},
        joint=together,
        best_joint=best_joint,
        outputs={name: tuple(each) for name, each in (meta.get("outputs") or {}).items()},
        divided=meta.get("divided") or {},
        digests={cell.dataset: cell.data_digest for cell in planned},
        planned="plan" in known,
    )


def find_cell(record: StudyRecord, name: str = "", dataset: str = "") -> CellResult:
    """A finished run: the best method's first where nothing is named, else by the start of its id.

    Raises
    ------
    UnknownName
        No finished run of that id or dataset.
    UsageError
        The start fits several runs; several datasets and none named; nothing finished.
    """
    done = {result.cell.id: result for result in record.results if result.whole}
    if name:
        fits = [key for key in done if key.startswith(name)]
        if not fits:
            raise UnknownName("finished run", name, done)
        if len(fits) > 1:
            raise UsageError(f"{len(fits)} runs start with {name!r}; give more of the id")
        return done[fits[0]]
    best = {**record.best_joint, **record.best}
    if dataset and dataset not in best:
        raise UnknownName("dataset with a finished run", dataset, best)
    if not best:
        raise UsageError(f"no run of the study in {record.folder} has finished; run its command again")
    if not dataset and len(best) > 1:
        raise UsageError(f"the study has several datasets; name one of {', '.join(best)}")
    dataset = dataset or next(iter(best))
    rows = (*record.summaries, *record.joint)
    row = next(s for s in rows if (s.dataset, s.method) == (dataset, best[dataset]))
    return next(done[cell] for cell in row.cells if cell in done)


def _held(
    store: StudyStore, shown: Iterable[MethodSummary], tables: Mapping[str, ImageTable]
) -> tuple[dict[str, tuple[int, ...]], dict[str, np.ndarray]]:
    """Test rows and probabilities of the cells of some methods."""
    rows: dict[str, tuple[int, ...]] = {}
    probabilities: dict[str, np.ndarray] = {}
    for summary in shown:
        if summary.dataset not in tables:
            continue
        number = {path: row for row, path in enumerate(tables[summary.dataset].paths)}
        for cell in summary.cells:
            found = store.probabilities(cell)
            if found is not None and all(path in number for path in found[1]):
                probabilities[cell] = found[0]
                rows[cell] = tuple(number[path] for path in found[1])
    return rows, probabilities


def _warnings(
    meta: Mapping[str, Any], facts: list[dict[str, Any]], results: Mapping[str, CellResult]
) -> tuple[str, ...]:
    said = [*(line for each in facts for line in each["warnings"]), *meta["warnings"]]
    said += [note for result in results.values() for note in result.notes]
    apart = {str(finding) for result in results.values() for finding in result.findings}
    races = meta.get(META, {}).values()
    apart |= {line for race in races for run in race["runs"].values() for line in run["findings"]}
    return tuple(line for line in dict.fromkeys(said) if line not in apart)


def seconds_so_far(store: StudyStore) -> float:
    """Seconds of all runs so far; of one that was killed or still runs, those up to its last stored cell."""
    meta = store.meta()
    before = float(meta.get("seconds_before", 0.0))
    if not meta.get("running"):
        return before
    return before + max(0.0, store.last_finished() - float(meta["began"]))


def _engine(facts: Mapping[str, Any]) -> dict[str, Any]:
    engine = dict(facts["engine"])
    parity = engine.pop("parity", None) or {}
    kept = {
        name: facts[name] for name in ("seconds", "n_cached", "n_computed", "images_per_second", "peak_bytes")
    }
    return {"dataset": facts["dataset"], "backbone": facts["backbone"], **engine, **parity, **kept}
