"""The effects of tricks as CSV: the file beside a study and the one of its archive."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from headstart.images.file_names import cell
from headstart.study.spec_values import per_class_word

if TYPE_CHECKING:
    from headstart.study.trick_effects import TrickTable

FIELDS = (
    "trick", "kind", "effect", "low", "high", "plain_low", "plain_high", "p", "adjusted_p", "n_images", "n_seeds",
    "train_seconds", "seconds", "times", "why", "between", "differ_p", "doubt", "run_times",
    "start_kept", "n_pairs",
)  # fmt: skip
SETTING = ("scenario", "backbone", "cut", "pixels", "per_class", "design", "resolution")


def tricks_csv(found: Sequence[TrickTable]) -> str:
    """Every effect, over all datasets and on each, one a line; names of datasets and files are anybody's."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("datasets", *SETTING, "aliases", *FIELDS, "nothing_on"))
    for one in found:
        for each in (*one.effects, *one.by_dataset):
            setting = {name: getattr(one, name) for name in SETTING}
            setting["per_class"] = per_class_word(one.per_class)
            values = [getattr(each, name) for name in FIELDS]
            cells = [";".join(each.datasets), *setting.values(), ";".join(each.aliases), *values]
            cells.append(";".join(each.nothing_on))
            writer.writerow([_plain(value) for value in cells])
    return out.getvalue()


def _plain(value: object) -> object:
    """Absent values are empty, and no text is one that a spreadsheet takes for a formula."""
    if value is None:
        return ""
    return cell(value) if isinstance(value, str) else value
