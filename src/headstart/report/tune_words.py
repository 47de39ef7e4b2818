"""A tuning in sentences: what it was worth, how sure that is, what to doubt. For the page and the terminal alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headstart.methods.tune.found import DONE, FAILED, PRUNED, SearchRecord, Tuning, Worth
from headstart.report.wording import count, duration, listed, percent, signed_points


def value_text(value: Any) -> str:
    """A value of an option, short."""
    if isinstance(value, float):
        return f"{value:.3g}"
    return str(value)


def params_text(params: Mapping[str, Any]) -> str:
    """`C 0.0123, unit_length True`."""
    return ", ".join(f"{name} {value_text(value)}" for name, value in params.items())


def gain(worth: Worth) -> str:
    """The difference on test with its interval: `+1.3 points (95 % interval -0.4 to +3.1)`."""
    d = worth.difference
    return f"{signed_points(d['value'])} points (95 % interval {signed_points(d['low'], d['high'])})"


def worth_sentence(worth: Worth) -> str:
    """What tuning was worth for one method."""
    if worth.same:
        return (
            f"{worth.method}: no trial was better than the defaults where methods are chosen, so they stay "
            f"({percent(worth.tuned['value'])} on test)."
        )
    d = worth.difference
    if d["low"] > 0:
        verdict = "tuning helped"
    elif d["high"] < 0:
        verdict = "tuning did harm: it fitted the images that choose"
    else:
        verdict = "the test images cannot tell whether tuning helped"
    return (
        f"{worth.method}: {percent(worth.default['value'])} with the defaults, {percent(worth.tuned['value'])} tuned, "
        f"{gain(worth)}: {verdict}."
    )


def verdict(found: Tuning) -> list[str]:
    """The best method and what tuning was worth for each."""
    best = found.best
    first = (
        f"Best on {found.data} by {found.selected_on}: {best.method}, {percent(best.tuned['value'])} on test"
    )
    first += f" (95 % interval {100 * best.tuned['low']:.1f}–{100 * best.tuned['high']:.1f} %)."
    return [first, *(worth_sentence(each) for each in found.worth)]


def doubts(found: Tuning) -> list[str]:
    """What a reader should know before believing it."""
    said = [border_sentence(record, each) for record in found.searches for each in record.borders]
    for record in found.searches:
        best = record.best_trial
        if best is None:
            said.append(f"{record.method}{fold_text(found, record)}: no trial came to its end.")
        elif not record.default["inside"] and record.default["value"] > (best.value or 0.0):
            said.append(
                f"{record.method}{fold_text(found, record)}: the defaults, which lie outside the space, "
                f"scored higher ({percent(record.default['value'])}) than every trial ({percent(best.value)})."
            )
    if found.n_test_reads > 1:
        said.append(
            f"The test images were read {found.n_test_reads} times, each time after more trials: "
            "the last figures are a little less honest than a first reading."
        )
    said += [each for each in found.warnings if "lies on the border" not in each]
    return list(dict.fromkeys(said))


def border_sentence(record: SearchRecord, each: Mapping[str, Any]) -> str:
    """The warning that the best value lies on a border."""
    end = "lowest" if each["end"] == "low" else "highest"
    return (
        f"{record.method}: the best {each['name']}, {value_text(each['value'])}, lies on the border of the space "
        f"(the {end} values tried): a better one may lie beyond it. Widen it with --space and tune on."
    )


def fold_text(found: Tuning, record: SearchRecord) -> str:
    """` (fold 2)` where there are several."""
    return f" (fold {record.fold + 1})" if int(found.plan["folds"]) else ""


def trials_text(record: SearchRecord) -> str:
    """How many trials, what came of them, and their time."""
    seconds = sum(each.seconds for each in record.trials)
    parts = [count(record.count(DONE), "trial") + " to the end"]
    parts += [f"{record.count(PRUNED):,} given up early"] if record.count(PRUNED) else []
    parts += [f"{record.count(FAILED):,} failed"] if record.count(FAILED) else []
    return f"{listed(parts)}, {duration(seconds)} in all"
