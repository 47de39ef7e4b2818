"""The papers behind what a study used, each with what it is for and its address."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable

from headstart.report import method_words, papers
from headstart.report.cited import references_section, together
from headstart.report.document import Section
from headstart.report.published import identity, published_of
from headstart.report.sections.tuned import PRUNER
from headstart.report.sharing import NAMES
from headstart.report.statistics_words import STATISTICS
from headstart.report.training_words import TECHNIQUES, techniques_of
from headstart.study.records import StudyRecord


def references_of(record: StudyRecord, tests: Iterable[str], style: str) -> Section:
    """References of the methods, backbones, metrics and tests of the study, in one table."""
    return references_section(used(record, tests), of="this study", style=style, linked=True)


def add_several(record: StudyRecord, add: Callable[[tuple[str, ...], str], None]) -> None:
    """What stands behind several outputs: how they share, what each counts, what kinds there are."""
    for way in dict.fromkeys(row.sharing for row in record.joint if row.trains):
        add(papers.SHARING.get(way, ()), NAMES[way])
    told = [json.loads(run.cell.outputs) for run in record.results if run.cell.trains and run.cell.outputs]
    for weighting in dict.fromkeys(str(each.get("weighting", "")) for each in told):
        add(papers.WEIGHTING.get(weighting, ()), f"weights of the outputs ({weighting})")
    for kind in dict.fromkeys(each["kind"] for run in record.results for each in run.outputs):
        add(papers.OUTPUTS.get(kind, ()), f"{kind} outputs")


def used(record: StudyRecord, tests: Iterable[str]) -> dict[str, str]:
    """What each paper is for, by its key, in the order of the report.

    Parameters
    ----------
    record : StudyRecord
    tests : iterable of str
        Names of the statistics that the results use (`headstart.report.statistics_words.statistics_used`).
    """
    found: list[tuple[tuple[str, ...], str]] = []

    def add(keys: tuple[str, ...], what: str) -> None:
        found.append((keys, what))

    rows = [*record.summaries, *record.retrieval, *record.joint]
    for name, table in record.tables.items():
        add(papers.DATASETS.get(identity(table), ()), f"the images of {name}")
        for row in published_of(record, name):
            add(row.papers, f"published results on {name}")
    for name, card in record.cards.items():
        keys = papers.backbone_papers(str(card.get("architecture") or ""), str(card.get("trained_on") or ""))
        add(keys, f"backbone {name}")
    for scenario in dict.fromkeys(row.scenario for row in rows):
        add(papers.SCENARIOS[scenario], f"scenario {scenario}")
    for head in dict.fromkeys(row.head for row in (*record.summaries, *record.joint) if row.head):
        add(papers.HEADS[head], method_words.HEADS[head].title)
    for pooling in dict.fromkeys(row.pooling for row in rows):
        add(papers.POOLING.get(pooling, ()), f"pooling {pooling}")
    if any(row.head == "whitened" for row in record.retrieval):
        add(papers.SEARCH["whitened"], "whitened vectors of a search")
    for scenario in dict.fromkeys(row.scenario for row in rows if row.trains):
        for technique in techniques_of(record, scenario):
            add(papers.TRAINING[technique], TECHNIQUES[technique].words.title)
    for metric in dict.fromkeys(name.rpartition("/")[2] for row in rows for name in row.scores):
        add(papers.METRICS.get(metric, ()), metric.replace("_", " "))
    for name in dict.fromkeys(name for of in record.tricks.get("of", ()) for name in of["names"]):
        add(papers.TRICKS.get(name, ()), f"trick {name.replace('_', ' ')}")
    add_several(record, add)
    if any(row.tuned for row in rows):
        add(papers.TUNERS["tpe"], "trials of the tuning")
    if any(row.tuned and row.trains for row in rows):
        add(papers.TUNERS[PRUNER], "trials of the tuning that are given up")
    if record.cut:
        add(papers.RACES["successive_halving"], "the race under a budget")
    if record.maps:
        add(papers.EXPLANATIONS["gradcam"], "maps of errors")
    if any(each.checked for maps in record.maps.values() for each in maps):
        add(papers.EXPLANATIONS["random_weights"], "maps of errors with random weights")
    for name in tests:
        for keys, what in STATISTICS[name].papers:
            add(keys, what)
    return together(found)
