"""The papers behind what a study used, each with what it is for and its address."""

from __future__ import annotations

from headstart.measure.many import Comparison
from headstart.report import method_words, papers
from headstart.report.answers import Answers
from headstart.report.document import Column, Entry, Paragraph, Row, Section, Table
from headstart.report.published import identity
from headstart.report.sections.over_datasets import over_datasets
from headstart.report.sources import Bibliography
from headstart.report.training_words import TECHNIQUES, techniques_of
from headstart.study.records import StudyRecord

STATISTICS = {
    "wilson1927": "interval of an accuracy",
    "efron1993": "intervals of the other metrics",
}
OVER = {
    "friedman": "methods over several data sets",
    "wilcoxon": "pairs of methods over several data sets",
    "signed_rank": "chances over several data sets",
    "rank_biserial": "effect size over several data sets",
}
PAIRED = {
    "mcnemar1947": "two methods on the same images",
    "fagerland2013": "its mid-p form",
    "holm1979": "correction for many comparisons",
    "connor1987": "smallest difference that could be seen",
    "cohen1988": "effect sizes",
}


def references_of(record: StudyRecord, answers: dict[str, Answers], style: str) -> Section:
    """References of the methods, backbones, metrics and tests of the study, in one table."""
    uses = used(record, bool(answers))
    cited = Bibliography(style)
    cited.cite(*uses)
    rows = tuple(
        Row((Entry(each.label, each.label), Entry(each.text, href=each.address), Entry(uses[each.key])))
        for each in cited.references()
    )
    columns = (Column("label"), Column("reference"), Column("for"))
    caption = "Papers behind what this study used; each was looked up, none is made up."
    if not rows:
        return Section("references", "References", (Paragraph("Nothing was used that has a paper."),))
    return Section("references", "References", (Table("reference-table", caption, columns, rows),))


def used(record: StudyRecord, paired: bool) -> dict[str, str]:
    """What each paper is for, by its key, in the order of the report."""
    found: dict[str, list[str]] = {}

    def add(keys: tuple[str, ...], what: str) -> None:
        for key in keys:
            if what not in found.setdefault(key, []):
                found[key].append(what)

    rows = [*record.summaries, *record.retrieval, *record.joint]
    for name, table in record.tables.items():
        add(papers.DATASETS.get(identity(table), ()), f"the images of {name}")
    for name, card in record.cards.items():
        keys = papers.backbone_papers(str(card.get("architecture") or ""), str(card.get("trained_on") or ""))
        add(keys, f"backbone {name}")
    for scenario in dict.fromkeys(row.scenario for row in rows):
        add(papers.SCENARIOS[scenario], f"scenario {scenario}")
    for head in dict.fromkeys(row.head for row in (*record.summaries, *record.joint) if row.head):
        add(papers.HEADS[head], method_words.HEADS[head].title)
    for scenario in dict.fromkeys(row.scenario for row in rows if row.trains):
        for technique in techniques_of(record, scenario):
            add(papers.TRAINING[technique], TECHNIQUES[technique].words.title)
    for metric in dict.fromkeys(name.rpartition("/")[2] for row in rows for name in row.scores):
        add(papers.METRICS.get(metric, ()), metric.replace("_", " "))
    for name in dict.fromkeys(name for of in record.tricks.get("of", ()) for name in of["names"]):
        add(papers.TRICKS.get(name, ()), f"trick {name.replace('_', ' ')}")
    if isinstance(over_datasets(record), Comparison):
        for name, what in OVER.items():
            add(papers.TESTS[name], what)
    if record.cut:
        add(papers.RACES["successive_halving"], "the race under a budget")
    if record.maps:
        add(papers.EXPLANATIONS["gradcam"], "maps of errors")
    for key, what in (STATISTICS | PAIRED if paired else STATISTICS).items():
        add((key,), what)
    return {key: "; ".join(uses) for key, uses in found.items()}
