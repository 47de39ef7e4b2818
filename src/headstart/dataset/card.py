"""The data card: a README.md that says where a data set is from, what it holds and what is known against it.

After Gebru et al. 2021, "Datasheets for datasets"; the head is the one that the Hugging Face hub reads. What
the program cannot know (licence, purpose, consent) stands there to be filled in, and is never guessed.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from headstart.base.findings import Finding
from headstart.dataset.classes import NO_LABEL
from headstart.dataset.edit import shuffled
from headstart.images.collect import clean
from headstart.images.table import SPLITS, ImageTable

MARKS = re.compile(r"([\\`*_{}\[\]|<>~&$])")
FILL_IN = "**to fill in**"
MOST_CLASSES, MOST_MEASURED = 200, 2_000
READ = {
    "folders": "a folder a class; `headstart study .` and `scan` read it, and so does any image folder reader",
    "csv": "images/ and labels.csv; `headstart study .` reads it",
    "imagefolder": "images with metadata.jsonl under each split; `datasets.load_dataset` reads it as an image folder",
    "parquet": "images inside Parquet files; `datasets.load_dataset` reads it",
    "coco": "images/ and COCO annotations with one box, the whole image, for each",
}


@dataclass(frozen=True, eq=False)
class CardFacts:
    """What the card is made of.

    Attributes
    ----------
    table : ImageTable
    counts : dict of split to dict of class to int
    layout, ways : str
    steps : sequence of str
        What was done to the source.
    findings : sequence of Finding
    made : str
        The day, year first.
    """

    table: ImageTable
    counts: Mapping[str, Mapping[str, int]]
    layout: str
    ways: str
    steps: Sequence[str]
    findings: Sequence[Finding]
    made: str


def write_card(facts: CardFacts, path: Path) -> None:
    """Write the card as Markdown."""
    path.write_text(card_text(facts), encoding="utf-8")


def card_text(facts: CardFacts) -> str:
    """The card."""
    table = facts.table
    lines = [
        "---", "task_categories:", "- image-classification", "license: unknown", "---", "",
        f"# {escaped(table.name)}", "",
        f"{len(table):,} images, made with Headstart on {facts.made}.", "",
        "## Origin", "",
        f"- Source: {escaped(table.source) or _unknown(table)}",
        f"- Licence: {FILL_IN}",
        f"- Consent of the people shown, if any: {FILL_IN}",
        "", "## How it was made", "",
        *[f"- {escaped(step)}" for step in facts.steps or ["images and labels as in the source"]],
        f"- layout `{facts.layout}`: {READ[facts.layout]}"
        + ("; the images are links to the originals" if facts.ways == "symlink" else ""),
        "", "## Images", "",
        *_counts(facts), "",
        *_sizes(table), "",
        "## Known limits", "",
        *_limits(facts.findings),
        f"- What it is not fit for: {FILL_IN}", "",
    ]  # fmt: skip
    return "\n".join(lines)


def escaped(text: str) -> str:
    """A text in one line in which nothing is taken for Markdown or HTML.

    Examples
    --------
    >>> escaped("a|b <c>")
    'a\\\\|b \\\\<c\\\\>'
    """
    whole = "".join(sign if sign.isprintable() else " " for sign in clean(text))
    return MARKS.sub(r"\\\1", " ".join(whole.split()))


def _unknown(table: ImageTable) -> str:
    return f"{escaped(table.name)} ({FILL_IN}: who took the images, when, where, for what)"


def _counts(facts: CardFacts) -> list[str]:
    splits = [split for split in (*SPLITS, "all") if split in facts.counts]
    classes = sorted({name for split in splits for name in facts.counts[split]})
    if classes == [""]:
        return ["Nothing is labelled."]
    lines = ["| class | " + " | ".join(splits) + " |", "|---|" + "---:|" * len(splits)]
    for name in classes[:MOST_CLASSES]:
        cells = [f"{facts.counts[split].get(name, 0):,}" for split in splits]
        lines.append(f"| {escaped(name)} | " + " | ".join(cells) + " |")
    if len(classes) > MOST_CLASSES:
        lines.append(f"| ... and {len(classes) - MOST_CLASSES:,} classes more |" + " |" * len(splits))
    n = len(classes) - (NO_LABEL in classes)
    total = [f"{sum(facts.counts[split].values()):,}" for split in splits]
    return [*lines, f"| all {n:,} | " + " | ".join(total) + " |"]


def _sizes(table: ImageTable) -> list[str]:
    """Width and height of the images, of a random part where there are very many."""
    sizes = []
    rows = shuffled(table, range(len(table)), 0)[:MOST_MEASURED]
    if table.pixels is not None:
        sizes = [(int(table.pixels.shape[2]), int(table.pixels.shape[1]))] * len(rows)
    else:
        from PIL import Image

        for row in rows:
            with Image.open(Path(table.root) / table.paths[row]) as image:
                sizes.append(image.size)
    wide, high = [size[0] for size in sizes], [size[1] for size in sizes]
    part = "" if len(rows) == len(table) else f" (of {len(rows):,} images, drawn at random)"
    return [
        f"Width in pixels: {min(wide):,} to {max(wide):,}, median {statistics.median(wide):,.0f}; "
        f"height: {min(high):,} to {max(high):,}, median {statistics.median(high):,.0f}{part}."
    ]


def _limits(findings: Sequence[Finding]) -> list[str]:
    if not findings:
        return [
            "- Nothing was found; that is no proof that nothing is wrong (`headstart audit` looks closer)."
        ]
    return [f"- {escaped(finding.message)}. What to do: {escaped(finding.advice)}." for finding in findings]
