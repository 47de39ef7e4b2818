"""The methods of the paper: metrics by formula, statistics, each method with its pros, cons and paper."""

from __future__ import annotations

from collections.abc import Iterable

from headstart.report import method_words, papers
from headstart.report.document import (
    Block,
    Column,
    Entry,
    Paragraph,
    Row,
    Section,
    Table,
    formula_entry,
    plain_table,
)
from headstart.report.naming import naming_words
from headstart.report.sections.compared import use_of_splits
from headstart.report.sections.equal import rule_words, trained_words
from headstart.report.sections.metrics import MEASURED, METRICS, SEARCH, SEVERAL
from headstart.report.sections.retrieval import METRICS as SEARCH_METRICS
from headstart.report.sections.tuned import PRUNER
from headstart.report.sources import Bibliography
from headstart.report.statistics_words import statistics_section
from headstart.report.training_words import TECHNIQUES, techniques_of
from headstart.report.verdict import APART, datasets
from headstart.report.wording import listed
from headstart.study.records import StudyRecord

CITED = {
    "balanced accuracy": "balanced_accuracy",
    "precision, recall, F1": "macro_f1",
    "macro F1": "macro_f1",
    "ECE": "ece",
    "NDCG": "ndcg",
    "weighted kappa": "kappa",
}


def methods(record: StudyRecord, cited: Bibliography, tests: Iterable[str]) -> Section:
    """What was compared and by what; `tests` are the names of the statistics that the results use."""
    return Section(
        "methods", "Methods", (), (_compared(record, cited), _measures(record, cited), statistics_section(cited, tests))
    )  # fmt: skip


def _compared(record: StudyRecord, cited: Bibliography) -> Section:
    blocks = method_summaries(record, cited) or [Paragraph("No method was planned.")]
    named, trained = naming_words((*record.summaries, *record.joint)), trained_words(record)
    blocks += [Paragraph(named)] if named else []
    blocks += [Paragraph(f"{rule_words(record)} {trained}")] if trained else []
    blocks += [Paragraph(_backbone(name, card, cited)) for name, card in record.cards.items()]
    blocks += [Paragraph(f"{name}: {use_of_splits(record, name)}") for name in datasets(record)]
    blocks.append(
        Paragraph(
            "The best method is the one with the highest score on validation images or inner folds of train, less one "
            f"standard error (Wilson's {cited.cite(*papers.TESTS['wilson'])}), so that a score by few images does "
            "not win by luck; the test score is reported and chooses nothing."
        )
    )
    return Section("what-was-compared", "What was compared", tuple(blocks))


def method_summaries(record: StudyRecord, cited: Bibliography) -> list[Block]:
    """Each way, classifier and technique of training in a sentence, with its pros, cons and paper; [] where none ran."""
    rows = [*record.summaries, *record.retrieval, *record.joint]
    scenarios = list(dict.fromkeys(row.scenario for row in rows))
    heads = list(dict.fromkeys(row.head for row in (*record.summaries, *record.joint) if row.head))
    words = [
        (method_words.SCENARIOS.get(name, method_words.RETRIEVAL), papers.SCENARIOS[name])
        for name in scenarios
    ]
    words += [(method_words.HEADS[name], papers.HEADS[name]) for name in heads]
    made = [
        Row((Entry(said.title, small=cited.cite(*keys)), Entry(said.what), Entry(said.pro), Entry(said.con)))
        for said, keys in words
    ]
    table = Table(
        "method-words",
        "The ways that were compared, with what speaks for and against each.",
        tuple(Column(title) for title in ("method", "what it is", "for it", "against it")),
        tuple(made),
    )
    return [*([table] if made else []), *_training(record, cited), *_tuning(record, cited)]


def _training(record: StudyRecord, cited: Bibliography) -> list[Block]:
    """How the networks were trained: the techniques in use, each with its paper; nothing where none trained."""
    rows = tuple(
        Row(
            (
                Entry(said.title, small=cited.cite(*papers.TRAINING[name])),
                Entry(said.what),
                Entry(said.pro),
                Entry(said.con),
            )
        )
        for name in techniques_of(record)
        for said in (TECHNIQUES[name].words,)
    )
    if not rows:
        return []
    caption = "How the networks were trained: the techniques in use, with what speaks for and against each."
    titles = ("technique", "what it is", "for it", "against it")
    return [Table("training-words", caption, tuple(Column(title) for title in titles), rows)]


def _tuning(record: StudyRecord, cited: Bibliography) -> list[Block]:
    """How options were searched; nothing where none were."""
    tuned = [row for row in (*record.summaries, *record.joint) if row.tuned]
    if not tuned:
        return []
    said = (
        f"Options were searched by the tree-structured Parzen estimator {cited.cite(*papers.TUNERS['tpe'])}"
    )
    if any(row.trains for row in tuned):
        said += f"; trials of networks were given up by Hyperband {cited.cite(*papers.TUNERS[PRUNER])}"
    return [Paragraph(f"{said}.")]


def _backbone(name: str, card: dict[str, object], cited: Bibliography) -> str:
    architecture, source = str(card.get("architecture") or ""), str(card.get("trained_on") or "")
    marks = cited.cite(*papers.backbone_papers(architecture, source))
    raw = card.get("n_parameters")
    n = int(raw) if isinstance(raw, int) else 0
    said = f"Backbone {name}: {architecture or 'architecture not stated'}"
    said += f", {n / 1e6:.1f} million parameters" if n else ""
    said += f", trained on {source}" if source else ""
    said += f" {marks}" if marks else f"; paper: {card.get('paper') or 'not stated'}"
    return f"{said}; licence {card.get('licence') or 'not stated'}."


def _measures(record: StudyRecord, cited: Bibliography) -> Section:
    rows = [(name, said, formula) for name, said, formula in METRICS if name not in MEASURED]
    rows += SEVERAL if record.joint else ()
    if record.retrieval:
        rows += [(title, f"Of a search: {help}.", SEARCH[key]) for key, title, help in SEARCH_METRICS]
    made = [
        (
            Entry(name, small=cited.cite(*papers.METRICS.get(CITED.get(name, ""), ()))),
            said,
            formula_entry(formula),
        )
        for name, said, formula in rows
    ]
    shown: list[Block] = []
    if record.maps:
        said = f"Maps of errors are Grad-CAM {cited.cite(*papers.EXPLANATIONS['gradcam'])}"
        if any(map.checked for maps in record.maps.values() for map in maps):
            marks = cited.cite(*papers.EXPLANATIONS["random_weights"])
            said += f"; beside each stands its rank correlation with the map of random weights {marks}"
        shown.append(Paragraph(f"{said}."))
    caption = "Metrics by formula, for n images of k classes."
    if len(datasets(record)) > APART:
        caption += " Those that no table here holds are in the HTML report and in results.csv of the archive."
    return Section(
        "measures",
        "Metrics",
        (plain_table("paper-metrics", caption, ("metric", "meaning", "formula"), made), *shown),
    )


def methods_named(record: StudyRecord) -> str:
    """Scenarios and heads of a study in one phrase, for a slide."""
    rows = (*record.summaries, *record.joint)
    heads = [method_words.HEADS[name].title for name in dict.fromkeys(r.head for r in rows if r.head)]
    ways = [method_words.SCENARIOS[name].title for name in dict.fromkeys(r.scenario for r in rows)]
    return listed(ways) + (f"; classifiers: {listed(heads)}" if heads else "")
