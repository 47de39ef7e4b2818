"""The end of a study as plain values, for a terminal: verdict, table rows, what is missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headstart.measure.cannot_tell import CannotTell
from headstart.measure.retrieval import METRICS as SEARCH_METRICS
from headstart.report.answers import Answers, load_answers
from headstart.report.document import Claim
from headstart.report.sections.retrieval import ranked_for_search, search_claims
from headstart.report.sections.several import several_claims
from headstart.report.sections.shifted import shift_claims, shift_dicts
from headstart.report.sections.sizes import sides_of
from headstart.report.sharing import NAMES, Ways, ranked_jointly, ways_of
from headstart.report.told import Told, ToldApart, told_all
from headstart.report.told_search import search_told
from headstart.report.verdict import cut_claims, datasets, missing_claims, ranked, results_of, verdict
from headstart.report.wording import total_seconds
from headstart.study.joint_cells import JOINT
from headstart.study.records import MethodSummary, StudyRecord

SCORE_KEYS = ("accuracy", "balanced_accuracy", "macro_f1", "log_loss", "ece")


@dataclass(frozen=True)
class Summary:
    """What the command line prints when a study ends.

    Attributes
    ----------
    verdict : tuple of str
        The sentences that open the report, dataset by dataset.
    missing : tuple of str
        What was planned and is not there, and what the budget cut.
    rows : tuple of dict
        One a method and dataset, the best first. Keys: dataset, method, scenario, backbone, height and width
        of the input in pixels (None where nothing has run), layer, pooling, head, cut, tuned (bool), status, best (bool),
        against_best ("worse", "not distinguishable", "practically equivalent", "better"; "" for the best and where it
        was not compared), selection (0..1 or None), one of {"value", "low", "high"} or None for each of `SCORE_KEYS`,
        n, n_seeds, n_failed, seconds, train_seconds, images_seen, peak_bytes, model_bytes, per_class, n_train, augment,
        shifts (see `headstart.report.sections.shifted.shift_dicts`), errors.
    findings : tuple of dict
        Keys: dataset, method, kind, message, advice, level, runs.
    sized : tuple of dict
        As `rows`, for every number of images a class, where there are several.
    searches : tuple of dict
        Of the task retrieval, one a way and dataset, the best first. Keys: dataset, backbone, height, width, layer,
        pooling, search, status, best, against_best (as in `rows`, by mAP), selection (mAP), map, precision_at_k,
        recall_at_k, r_precision and ndcg (each {"value", "low", "high"} or None), n, n_seeds, seconds, errors.
    joint : tuple of dict
        Of several outputs, one a method, way and dataset, the best first. Keys: dataset, method, scenario, backbone,
        height, width, layer, pooling, head, cut, sharing, status, best, selection, joint ({"value", "low", "high"} or
        None), outputs (output to metric to {"value", "low", "high"}), errors_together (of one run), n, n_seeds,
        n_failed, seconds, fit_seconds, train_seconds, images_seen, peak_bytes, model_bytes, errors.
    sharing : tuple of dict
        Pairs of ways of one method: dataset, method, output ("" for all at once), a, b, verdict, difference, low, high
        and p (None where it cannot be told), seconds_ratio (training of a over training of b).
    """

    verdict: tuple[str, ...]
    missing: tuple[str, ...]
    rows: tuple[dict[str, Any], ...]
    findings: tuple[dict[str, Any], ...] = ()
    searches: tuple[dict[str, Any], ...] = ()
    sized: tuple[dict[str, Any], ...] = ()
    joint: tuple[dict[str, Any], ...] = ()
    sharing: tuple[dict[str, Any], ...] = ()


def all_claims(record: StudyRecord, told: Told) -> list[Claim]:
    """What the study found, dataset by dataset: the best method, and what is best for search."""
    return [claim for name in datasets(record) for claim in dataset_claims(record, name, told)]


def dataset_claims(record: StudyRecord, name: str, told: Told) -> list[Claim]:
    """What the study found on one dataset, each of its tasks in turn."""
    claims: list[Claim] = []
    others = {row.dataset for row in (*record.retrieval, *record.joint)}
    if name in {row.dataset for row in record.summaries} or name not in others:
        claims += [*verdict(record, name, told.get(name)).claims, *shift_claims(record, name)]
    return [*claims, *several_claims(record, name), *search_claims(record, name)]


def summary_lines(record: StudyRecord, answers: Mapping[str, Answers] | None = None) -> Summary:
    """Verdict, table and gaps of a study as plain values.

    Parameters
    ----------
    record : StudyRecord
    answers : mapping of str to Answers, optional
        By dataset; read from the study's store where not given.

    Examples
    --------
    >>> summary = summary_lines(record)  # doctest: +SKIP
    >>> summary.rows[0]["method"]  # doctest: +SKIP
    'features lite0 pool avg logistic 224px'
    """
    told = told_all(record, load_answers(record) if answers is None else answers)
    said = [claim.text for claim in all_claims(record, told)]
    rows = [_row(record, row, told) for name in datasets(record) for row in ranked(record, name)]
    gaps = [*cut_claims(record), *missing_claims(record)]
    searches = [line for name in datasets(record) for line in _search_rows(record, name)]
    return Summary(
        tuple(said),
        tuple(claim.text for claim in gaps),
        tuple(rows),
        _findings(record),
        tuple(searches),
        tuple(_row(record, row, {}) for row in record.sized),
        tuple(_joint_row(record, row) for name in datasets(record) for row in ranked_jointly(record, name)),
        tuple(
            line
            for name in datasets(record)
            for ways in ways_of(record, name)
            for line in _sharing_rows(name, ways)
        ),
    )


def _findings(record: StudyRecord) -> tuple[dict[str, Any], ...]:
    return tuple(
        {"dataset": each.dataset, "method": each.method, **each.finding.to_dict(), "runs": list(each.runs)}
        for each in record.findings
    )


def _row(record: StudyRecord, row: MethodSummary, told: Told) -> dict[str, Any]:
    height, width = sides_of(record.cells, row) or (None, None)
    scores = {key: row.scores[key].to_dict() if key in row.scores else None for key in SCORE_KEYS}
    return {
        "dataset": row.dataset,
        "method": row.method,
        "scenario": row.scenario,
        "backbone": row.backbone,
        "height": height,
        "width": width,
        "layer": row.layer,
        "pooling": row.pooling,
        "head": row.head,
        "cut": row.cut,
        "tuned": row.tuned,
        "status": row.status,
        "best": record.best.get(row.dataset) == row.method,
        "against_best": of.kind(row.method) if (of := told.get(row.dataset)) is not None else "",
        "selection": row.selection,
        **scores,
        "n": max((score.n for score in row.scores.values()), default=0),
        "n_seeds": row.n_seeds,
        "n_failed": row.n_failed,
        "seconds": total_seconds(row.seconds),
        "train_seconds": row.train_seconds,
        "images_seen": row.images_seen,
        "peak_bytes": row.peak_bytes,
        "model_bytes": row.model_bytes,
        "per_class": row.per_class,
        "n_train": row.n_train,
        "augment": row.augment,
        "shifts": shift_dicts(record, row),
        "errors": list(row.errors),
    }


def _search_rows(record: StudyRecord, dataset: str) -> list[dict[str, Any]]:
    rows = ranked_for_search(record, dataset)
    told = search_told(record, rows)
    return [_search_row(record, row, told) for row in rows]


def _search_row(record: StudyRecord, row: MethodSummary, told: ToldApart | None) -> dict[str, Any]:
    height, width = sides_of(record.cells, row) or (None, None)
    return {
        "dataset": row.dataset,
        "backbone": row.backbone,
        "height": height,
        "width": width,
        "layer": row.layer,
        "pooling": row.pooling,
        "search": row.head,
        "status": row.status,
        "best": record.best_retrieval.get(row.dataset) == row.method,
        "against_best": told.kind(row.method) if told is not None else "",
        "selection": row.selection,
        **{key: row.scores[key].to_dict() if key in row.scores else None for key in SEARCH_METRICS},
        "n": row.scores["map"].n if "map" in row.scores else 0,
        "n_seeds": row.n_seeds,
        "seconds": total_seconds(row.seconds),
        "errors": list(row.errors),
    }


def _joint_row(record: StudyRecord, row: MethodSummary) -> dict[str, Any]:
    height, width = sides_of(record.cells, row) or (None, None)
    outputs: dict[str, dict[str, Any]] = {}
    for key, score in row.scores.items():
        name, _, metric = key.rpartition("/")
        if name:
            outputs.setdefault(name, {})[metric] = score.to_dict()
    first = next((r for r in results_of(record, row) if r.whole), None)
    joint = row.scores.get(JOINT)
    return {
        "dataset": row.dataset, "method": row.method, "scenario": row.scenario, "backbone": row.backbone,
        "height": height, "width": width, "layer": row.layer, "pooling": row.pooling, "head": row.head,
        "cut": row.cut, "sharing": row.sharing, "status": row.status,
        "best": record.best_joint.get(row.dataset) == row.method, "selection": row.selection,
        "joint": None if joint is None else joint.to_dict(), "outputs": outputs,
        "errors_together": list(first.joint.get("pairs", ())) if first else [],
        "n": max((score.n for score in row.scores.values()), default=0), "n_seeds": row.n_seeds,
        "n_failed": row.n_failed, "seconds": total_seconds(row.seconds), "fit_seconds": row.seconds.get("fit"),
        "train_seconds": row.train_seconds,
        "images_seen": row.images_seen, "peak_bytes": row.peak_bytes, "model_bytes": row.model_bytes,
        "errors": list(row.errors),
    }  # fmt: skip


def _sharing_rows(dataset: str, ways: Ways) -> list[dict[str, Any]]:
    """Every pair of ways on every output, with the words' own numbers."""
    way, rows = {name: key for key, name in NAMES.items()}, []
    for output, found in ways.verdicts.items():
        for pair in found.pairs:
            gap, told = pair.difference, not isinstance(pair.difference, CannotTell)
            ends = {key: getattr(gap, key) if told else None for key in ("value", "low", "high")}
            a, b = way[pair.a], way[pair.b]
            rows.append({
                "dataset": dataset, "method": ways.name, "output": "" if output == JOINT else output, "a": a, "b": b,
                "verdict": pair.kind, "difference": ends["value"], "low": ends["low"], "high": ends["high"],
                "p": pair.p if told else None, "seconds_ratio": ways.seconds_ratio(a, b),
            })  # fmt: skip
    return rows
