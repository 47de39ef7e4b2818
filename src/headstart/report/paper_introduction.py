"""The introduction of the paper: objective, classes, origin, label statistics, enough and consistent."""

from __future__ import annotations

from headstart.measure.cannot_tell import CannotTell
from headstart.report.document import (
    Blank,
    Block,
    Claim,
    Column,
    Entry,
    Paragraph,
    Row,
    Section,
    Table,
    blocks_in,
)
from headstart.report.label_facts import LabelFacts, label_facts
from headstart.report.papers import DATASETS
from headstart.report.published import identity
from headstart.report.sections.audited import audited_counts, audited_words
from headstart.report.sections.data import outputs_blocks
from headstart.report.sections.images_a_class import images_section
from headstart.report.sources import Bibliography
from headstart.report.told import ToldApart
from headstart.report.verdict import APART, accuracy, best_of, datasets
from headstart.report.wording import count, interval, listed, percent
from headstart.study.records import StudyRecord

CLASSES_SHOWN = 12
TOGETHER = "intro-images"
"""Section that tells several datasets in one table."""


def introduction(record: StudyRecord, cited: Bibliography, told: dict[str, ToldApart | None]) -> Section:
    """Objective, then a part for each dataset."""
    names = datasets(record)
    tasks = listed(str(task) for task in record.spec.get("task") or ("classification",))
    blocks: list[Block] = [
        Paragraph(
            f"This study compares ways of using pretrained networks for {tasks} of the images of "
            f"{listed(names) or 'the user'}: which way is best on them, and how sure that is."
        ),
        Blank("Say what the classifier is for, what a wrong answer costs, and who will use the answer."),
    ]
    there = [name for name in names if name in record.tables]
    if not there:
        blocks.append(Paragraph("The study stopped before any image was scanned."))
    if len(there) > APART:
        parts: tuple[Section, ...] = (_together(record, there, cited, told),)
    else:
        parts = tuple(
            _dataset(record, name, cited, told.get(name), f"intro-{at}") for at, name in enumerate(there)
        )
    return Section("introduction", "Introduction", tuple(blocks), parts)


def _dataset(record: StudyRecord, name: str, cited: Bibliography, told: ToldApart | None, id: str) -> Section:
    table, target = record.tables[name], record.targets[name]
    facts = label_facts(table, target)
    marks = cited.cite(*DATASETS.get(identity(table), ()))
    origin = f"Origin: {table.source or 'not stated'}" + (f" {marks}" if marks else "")
    outputs = outputs_blocks(table, record.outputs.get(name, ()), id)
    blocks: list[Block] = [
        Paragraph(origin if origin.endswith((".", "]", ")")) else f"{origin}."),
        *(outputs or [Paragraph(statistics_words(facts, target)), _classes(record, name, facts, id)]),
        Blank("Define each class in a sentence: what belongs to it, what does not, and who decides."),
        *([] if outputs else _enough(record, name, told, id)),
        Paragraph(consistent_words(facts, audited_words(record, name))),
    ]
    return Section(id, f"The images of {name}", tuple(blocks))


def _together(
    record: StudyRecord, names: list[str], cited: Bibliography, told: dict[str, ToldApart | None]
) -> Section:
    """Several datasets in one table, and what each of them can tell."""
    rows = []
    for name in names:
        table = record.tables[name]
        facts = label_facts(table, record.targets[name])
        marks = cited.cite(*DATASETS.get(identity(table), ()))
        best = best_of(record, name)
        score = accuracy(best) if best is not None else None
        flaws = [
            f"{n:,} {what}"
            for n, what in (
                (facts.n_copies, "copy" if facts.n_copies == 1 else "copies"), (facts.n_contradictions, "with two labels"),
                (facts.n_across, "in two splits"), (facts.n_left_out, "left out"),
            )
            if n
        ]  # fmt: skip
        rows.append(
            Row(
                (
                    Entry(name, small=marks),
                    Entry(f"{facts.n:,}", facts.n),
                    Entry(f"{facts.n_classes:,}", small=f"of “{record.targets[name]}”"),
                    Entry(f"{facts.most[0]}: {facts.most[1]:,}"),
                    Entry(f"{facts.least[0]}: {facts.least[1]:,}"),
                    Entry(f"{score.n:,}" if score is not None else "–"),
                    Entry(listed(flaws) or "none", small=audited_counts(record, name)),
                    Entry(table.source or "not stated"),
                )
            )
        )
    columns = (
        Column("data set"), Column("images", numeric=True), Column("classes", numeric=True), Column("largest class"),
        Column("smallest class"), Column("tested", numeric=True), Column("flaws found"), Column("origin"),
    )  # fmt: skip
    caption = (
        "The images. “Tested” counts those of one test split; flaws are copies by equal bytes or pixels, labels that "
        "contradict each other, copies across splits and files that could not be read"
    )
    caption += ", and under them what the audit found." if record.audits else "."
    enough = [
        claim
        for at, name in enumerate(names)
        if not record.outputs.get(name)
        for claim in _enough(record, name, told.get(name), f"intro-{at}")[:1]
    ]
    blank = Blank(
        "Define the classes of each data set: what belongs to them, what does not, and who decides."
    )
    return Section(
        TOGETHER, "The images", (Table("images-told", caption, columns, tuple(rows)), blank, *enough)
    )


def statistics_words(facts: LabelFacts, target: str) -> str:
    """Images, classes and their balance in two sentences."""
    said = (
        f"There are {count(facts.n, 'image')} in {count(facts.n_classes, 'class', 'classes')} of “{target}”"
    )
    said += f", {facts.n_unlabelled:,} of them without a label" if facts.n_unlabelled else ""
    if facts.n_classes < 2:
        return f"{said}."
    said += f". The largest class, {facts.most[0]}, has {facts.most[1]:,}, the smallest, {facts.least[0]}, "
    said += f"{facts.least[1]:,}"
    ratio = facts.most[1] / max(1, facts.least[1])
    return f"{said}: a ratio of {ratio:.1f}, as hard to guess as {facts.effective:.1f} equal classes."


def consistent_words(facts: LabelFacts, audited: str = "") -> str:
    """What the audit found, where there was one; else copies, contradictions and copies across splits. Files left out."""
    said = "Is it consistent? "
    if audited:
        out = f" {count(facts.n_left_out, 'file was', 'files were')} left out." if facts.n_left_out else ""
        return f"{said}{audited}{out}"
    copies, two = facts.n_copies, facts.n_contradictions
    said += f"{count(copies, 'image repeats', 'images repeat')} the content of another" if copies else ""
    said += "" if copies else "No content repeats"
    said += f"; {count(two, 'content carries', 'contents carry')} more than one label" if two else ""
    said += "" if two else "; none carries two labels"
    said += f"; {count(facts.n_across, 'lies', 'lie')} in more than one split" if facts.n_across else ""
    said += f"; {count(facts.n_left_out, 'file was', 'files were')} left out" if facts.n_left_out else ""
    return said + ". Copies are found by equal bytes or pixels; near copies are not looked for here."


def _classes(record: StudyRecord, name: str, facts: LabelFacts, id: str) -> Table:
    table, labels = record.tables[name], record.tables[name].labels[record.targets[name]]
    counts = {label: labels.count(label) for label in table.classes(record.targets[name])}
    best = best_of(record, name)
    tested = next((r for r in record.results if best and r.cell.id in best.cells and r.per_class), None)
    per_class = tested.per_class if tested else {}
    shown = sorted(counts, key=lambda label: (-counts[label], label))[:CLASSES_SHOWN]
    rows = tuple(
        Row(
            (
                Entry(label),
                Entry(f"{counts[label]:,}", counts[label]),
                Entry(percent(counts[label] / max(1, facts.n - facts.n_unlabelled))),
                Entry(f"{int(per_class[label]['n']):,}" if label in per_class else "–"),
            )
        )
        for label in shown
    )
    caption = f"Classes of {name} with their images; “tested” counts those of one test split."
    if len(counts) > len(shown):
        caption += f" The {len(shown)} largest of {len(counts)} are shown."
    columns = (Column("class"), *(Column(title, numeric=True) for title in ("images", "share", "tested")))
    return Table(f"{id}-classes", caption, columns, rows)


def _enough(record: StudyRecord, name: str, told: ToldApart | None, id: str) -> list[Block]:
    """Is it enough: by the learning curve where there is one, and by what the test images can tell."""
    best = best_of(record, name)
    score = accuracy(best) if best is not None else None
    if name not in {row.dataset for row in record.summaries} and name in {
        row.dataset for row in record.retrieval
    }:
        return []  # what is searched alone has no accuracy of a classifier
    if best is None or score is None:
        none = "No classifier" if record.retrieval else "Nothing"
        return [Paragraph(f"Are the images of {name} enough? {none} has finished, so it cannot be told.")]
    leave = f"{count(score.n, 'test image')} of {name} {'leaves' if score.n == 1 else 'leave'}"
    said = f"Is it enough? The {leave} the accuracy of the best uncertain within "
    said += f"{interval(score) or 'unknown limits'} %"
    said += _seen_words(told) if told is not None else ""
    blocks: list[Block] = [Claim(f"{said}.", best.cells)]
    sized = images_section(record, name, f"{id}-enough")
    if sized is None:
        blocks.append(
            Paragraph(
                "Whether more training images would help was not measured: the study had one number a class."
            )
        )
    else:
        blocks += [block for block in blocks_in(sized) if isinstance(block, Claim)][:1]
    return blocks


def _seen_words(told: ToldApart) -> str:
    """From how many points on a difference from the best would be seen: of the next method, and over the others."""
    told_next = told.verdicts.pairs[0]
    every = [p.smallest for p in told.verdicts.pairs]
    least = [each for each in every if not isinstance(each, CannotTell) and each < 1]
    if isinstance(told_next.smallest, CannotTell):
        return (
            f", and against the next, {told_next.b}, no difference would be seen: {told_next.smallest.reason}"
        )
    if told_next.smallest >= 1:
        return f", and against the next, {told_next.b}, so few could not show any difference"
    said = f", and a difference from the next, {told_next.b}, would be found four times in five from "
    said += f"{100 * told_next.smallest:.1f} points of {told.measure} on"
    if len(least) > 1:
        said += (
            f" (from the {len(least)} others from {100 * min(least):.1f} to {100 * max(least):.1f} points on)"
        )
    if none := len(every) - len(least):
        said += f"; from {count(none, 'other')} no difference would be seen"
    return said
