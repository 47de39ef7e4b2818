"""The discussion of the paper: limits, what would improve the result, threats to validity; all from the record."""

from __future__ import annotations

import math
from collections.abc import Sequence

from headstart.measure.cannot_tell import CannotTell
from headstart.measure.paired import MID_P
from headstart.measure.power import images_needed
from headstart.report.document import Blank, Block, Claim, Paragraph, Points, Section
from headstart.report.label_facts import label_facts
from headstart.report.told import ToldApart
from headstart.report.verdict import APART, accuracy, best_of, datasets, results_of
from headstart.report.wording import count, decimal, listed, percent
from headstart.study.records import CellResult, StudyRecord

FEW_TESTED = 30
GAP, HIGH_ECE = 0.02, 0.05


def discussion(record: StudyRecord, told: dict[str, ToldApart | None]) -> Section:
    """Limits, improvements, threats."""
    names = datasets(record)
    most = 1 if len(names) > APART else None
    improving: list[Block] = [
        claim for name in names for claim in _improving(record, name, told.get(name))[:most]
    ]
    improving = improving or [Paragraph(_nothing_to_improve(record))]
    return Section(
        "discussion",
        "Discussion",
        (),
        (
            Section("limits", "Limits", (Points(tuple(_limits(record))), *_warned(record))),
            Section("improving", "What would improve it", tuple(improving)),
            Section(
                "threats",
                "Threats to validity",
                (
                    Points(tuple(_threats(record))),
                    Blank(
                        "Add what you know of how the images were taken that a table of files cannot show."
                    ),
                ),
            ),
        ),
    )


def _nothing_to_improve(record: StudyRecord) -> str:
    """Why the results name nothing that would improve them."""
    if not any(result.status == "done" for result in record.results):
        return "Nothing has finished, so there is nothing to improve on yet."
    shown = [one for name in datasets(record) if (one := _shown(record, name)) is not None]
    if not shown and (record.retrieval or record.joint):
        return "What would improve searches or classifiers of several outputs cannot be read off these results alone."
    if not shown:
        return "No best method has a finished run to look at, so it cannot be told."
    if any(not one.confusion for one in shown):
        return "The errors of the best are not in the record, so it cannot be told."
    on = "on its test images" if len(shown) == 1 else "on any of the data sets"
    return (
        f"The best made no error {on}, in the run that is looked at: these results name nothing to improve."
    )


def _limits(record: StudyRecord) -> list[str]:
    names = datasets(record)
    if not names:
        return ["There are no findings yet."]
    said = [
        f"The findings are of {count(len(names), 'dataset')} ({listed(names)}) and need not hold for others."
    ]
    said += _repeats(record)
    said += _sizes(record)
    for name in names:
        said += _few(record, name)
    if (missing := record.n_planned - len(record.results)) > 0:
        were = "was" if missing == 1 else "were"
        said.append(f"{missing:,} of {count(record.n_planned, 'planned run')} {were} not made.")
    if failed := sum(result.status == "failed" for result in record.results):
        said.append(f"{count(failed, 'run')} failed and {'is' if failed == 1 else 'are'} in no mean.")
    return said


def _sizes(record: StudyRecord) -> list[str]:
    """That networks that train saw images of another size than features are of, where that is so."""
    sides: dict[bool, set[str]] = {True: set(), False: set()}
    for result in record.results:
        cell = result.cell
        sides[cell.trains].add(
            f"{cell.height} px" if cell.height == cell.width else f"{cell.height} x {cell.width} px"
        )
    if not all(sides.values()) or sides[True] <= sides[False]:
        return []
    trained, frozen = (listed(sorted(sides[trains])) for trains in (True, False))
    return [
        f"Networks that train saw images of {trained}, features are of images of {frozen}: a difference between the two "
        "may be one of the size."
    ]


def _repeats(record: StudyRecord) -> list[str]:
    """How often a method was run: under seeds that vary what is drawn, or on folds that the source gives."""
    cells = [result.cell for result in record.results if result.cell.seed is not None]
    n_seeds, n_folds = (
        len({cell.seed for cell in cells if bool(cell.fold) == folded}) for folded in (False, True)
    )
    said = []
    if n_seeds == 1:
        said.append("One seed was run: nothing is known of the spread over seeds.")
    elif n_seeds:
        said.append(f"{n_seeds} seeds were run; with so few the spread over seeds is itself uncertain.")
    if n_folds:
        said.append(
            f"{count(n_folds, 'given fold was', 'given folds were')} run, each once: nothing is known of the spread over "
            "seeds, and that over folds is itself uncertain."
        )
    return said


def _few(record: StudyRecord, name: str) -> list[str]:
    one = _shown(record, name)
    if one is None:
        return []
    few = [label for label, scores in one.per_class.items() if scores.get("n", 0) < FEW_TESTED]
    if not few:
        return []
    shown = listed(few[:5]) + (f" and {len(few) - 5} more" if len(few) > 5 else "")
    return [
        f"In {name}, {count(len(few), 'class has', 'classes have')} fewer than {FEW_TESTED} test images ({shown}); "
        "their own scores are rough."
    ]


def _warned(record: StudyRecord) -> list[Block]:
    return [Points(tuple(record.warnings[:5]), "Warnings of the runs")] if record.warnings else []


def _shown(record: StudyRecord, name: str) -> CellResult | None:
    """One finished run of the best method."""
    best = best_of(record, name)
    return next((r for r in results_of(record, best) if r.whole), None) if best is not None else None


def _improving(record: StudyRecord, name: str, told: ToldApart | None) -> list[Claim]:
    best, one = best_of(record, name), _shown(record, name)
    if best is None or one is None:
        return []
    claims = []
    pairs = [
        (n, one.classes[true], one.classes[guess])
        for true, row in enumerate(one.confusion)
        for guess, n in enumerate(row)
        if n and true != guess
    ]
    if pairs:
        n, true, guess = max(pairs, key=lambda pair: (pair[0], pair[1], pair[2]))
        errors = sum(pair[0] for pair in pairs)
        are = "is" if n == 1 else "are"
        said = f"On {name}, {n:,} of {count(errors, 'error')} of one run {are} {true} taken for {guess}: "
        claims.append(
            Claim(
                said + "more images of the two, or a sharper line between them, is what to try first.",
                (one.cell.id,),
            )
        )
    ece = one.scores.get("ece")
    if ece is not None and ece.value > HIGH_ECE:
        said = f"The probabilities of the best method on {name} are off by {decimal(ece.value)} on average (ECE): "
        claims.append(Claim(said + "calibrate them before they are used as such.", (one.cell.id,)))
    return [*claims, *_more_tests(name, told)]


def _more_tests(name: str, told: ToldApart | None) -> list[Claim]:
    """How many test images it would take to see one point, from the images on which the two best differ.

    At the level at which Holm's correction tested the pair. Nothing of several runs each, whose spread more images
    would not lessen.
    """
    pair = next((p for p in told.verdicts.pairs if p.b in told.level()), None) if told is not None else None
    if (
        told is None
        or pair is None
        or isinstance(pair.difference, CannotTell)
        or pair.difference.test != MID_P
    ):
        return []
    found = pair.difference
    needed = images_needed(0.01, found.n_differ / found.n, alpha=1 - found.level)
    if isinstance(needed, CannotTell):
        return []
    said = f"To see a difference of one point between {pair.a} and {pair.b} on {name} four times in five it would take "
    said += f"about {needed:,} test images, by the share on which they differ ({percent(found.n_differ / found.n)} of "
    said += f"{found.n:,}) and with Holm's correction as it is here."
    return [Claim(said, (*told.runs[pair.a], *told.runs[pair.b]))]


def _threats(record: StudyRecord) -> list[str]:
    ungrouped = [name for name, table in record.tables.items() if table.groups is None]
    said = (
        [
            f"No groups were given for {listed(ungrouped)}: where several images show one object, they may lie on both "
            "sides of the split, and scores are then too high."
        ]
        if ungrouped
        else []
    )
    names = datasets(record)
    for name in names:
        if name in record.tables:
            said += _of_data(record, name)
        said += _of_choice(record, name) if len(names) <= APART else []
    said += _of_choices(record, names) if len(names) > APART else []
    trained = sorted(
        {str(card.get("trained_on")) for card in record.cards.values() if card.get("trained_on")}
    )
    if trained:
        said.append(
            f"The networks were trained on {listed(trained)}; whether some of these images, or images like them, "
            "were among those is not known."
        )
    return said


def _of_data(record: StudyRecord, name: str) -> list[str]:
    facts = label_facts(record.tables[name], record.targets[name])
    said = []
    if facts.n_across:
        lie = "lies" if facts.n_across == 1 else "lie"
        said.append(f"{count(facts.n_across, 'content')} of {name} {lie} in more than one split.")
    if record.outputs.get(name):
        return said
    if facts.n_contradictions:
        carry = "carries" if facts.n_contradictions == 1 else "carry"
        said.append(
            f"{count(facts.n_contradictions, 'content')} of {name} {carry} more than one label: no method can be right."
        )
    ratio = facts.most[1] / max(1, facts.least[1])
    if facts.n_classes > 1 and ratio >= 3:
        said.append(
            f"The largest class of {name} is {ratio:.1f} times the smallest: accuracy tells more of the large "
            "classes; balanced accuracy weighs them alike."
        )
    return said


def _of_choice(record: StudyRecord, name: str) -> list[str]:
    best = best_of(record, name)
    score = accuracy(best) if best is not None else None
    if best is None or score is None or best.selection is None:
        return []
    n = sum(row.dataset == name and row.selection is not None for row in record.summaries)
    gap = best.selection - score.value
    said = f"The best on {name} was chosen among {count(n, 'method')}, so its choosing score ({percent(best.selection)}) "
    said += f"is expected to be too high; its test score is {percent(score.value)}"
    if math.isfinite(gap) and gap > GAP:
        said += f", {100 * gap:.1f} points lower"
    return [said + "."]


def _of_choices(record: StudyRecord, names: Sequence[str]) -> list[str]:
    """The same of many datasets, in one sentence."""
    said = []
    for name in names:
        best = best_of(record, name)
        score = accuracy(best) if best is not None else None
        if best is not None and score is not None and best.selection is not None:
            said.append(f"{percent(best.selection)} and {percent(score.value)} on {name}")
    if not said:
        return []
    return [
        "The best of each dataset was chosen among its methods, so its choosing score is expected to be too high. "
        f"Choosing score and test score of the best are {listed(said)}."
    ]
