"""What is said of tricks that had nothing to act on, in every form of the report and on the screen."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from headstart.report.wording import listed

if TYPE_CHECKING:
    from headstart.study.trick_effects import TrickEffect

REMEDY = (
    "Where the start is kept, no epoch bettered the fitted head that training starts from, so that this head is what "
    "was tested, with the trick and without (where an inner fold of train chooses, an epoch must better it by more than "
    "one standard error). To give tricks something to act on: more images to learn from, a random "
    "head to start from (--start plain), or the weights of the last epoch in place of the best (--keep last)."
)


def at_the_start(effects: Iterable[TrickEffect]) -> bool:
    """Whether something is to be said: some pair of runs kept what it started from."""
    return any(each.start_kept or each.nothing_on for each in effects)


def kept_words(each: TrickEffect) -> str:
    """In how many of its runs the start was kept; "" where in none."""
    if not each.start_kept:
        return ""
    what = "run" if 2 * each.n_pairs == len(each.runs) else "fold"
    many = f"{what}{'' if each.n_pairs == 1 else 's'}"
    return f"in {each.start_kept} of {each.n_pairs} {many} the start was kept"


def notes_of(each: TrickEffect) -> list[str]:
    """What a verdict does not say: where the start was kept, and the datasets that do not count."""
    found = [kept_words(each)] if each.start_kept else []
    if each.nothing_on:
        found.append(f"not on {listed(each.nothing_on)}, where it had nothing to act on")
    return found
