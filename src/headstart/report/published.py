"""What others have published on the same images, beside the user's results: a small curated table.

A data set is known by what it is (a packaged set; a data set of Hugging Face by its owner, name, size and classes),
never by the name of a folder. Each row cites its paper and was read on the page that it names; where nothing is
curated there is no table. Protocols differ, and how is said.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from headstart.images.packaged import DATASETS
from headstart.images.table import ImageTable
from headstart.report.document import Column, Entry, Row, Section, Table
from headstart.report.sources import Bibliography
from headstart.report.verdict import accuracy, best_of
from headstart.report.wording import DASH, interval, percent
from headstart.study.records import StudyRecord

HUB = re.compile(r"Hugging Face data set (?P<name>[\w.-]+(?:/[\w.-]+)?), commit ")


@dataclass(frozen=True)
class Benchmark:
    """A data set as it is published: its name here, how many images it has, in how many classes."""

    name: str
    n_images: int
    n_classes: int


CIFAR10 = Benchmark("cifar10", 60_000, 10)
FASHION_MNIST = Benchmark("fashion_mnist", 70_000, 10)
MNIST = Benchmark("mnist", 70_000, 10)
HUB_SETS = {
    "uoft-cs/cifar10": CIFAR10,
    "cifar10": CIFAR10,
    "zalando-datasets/fashion_mnist": FASHION_MNIST,
    "fashion_mnist": FASHION_MNIST,
    "ylecun/mnist": MNIST,
    "mnist": MNIST,
}
"""By the repository that is the benchmark; names without an owner are the hub's own older ones of the same.

Those without rows in `PUBLISHED` are known too: introduction and references cite the papers of their images
(`headstart.report.papers.DATASETS`).
"""


@dataclass(frozen=True)
class Published:
    """One published accuracy.

    Attributes
    ----------
    who : str
        The method, in a phrase.
    value : float
        Accuracy, 0..1.
    protocol : str
        How it was measured, as far as the page says.
    source : str
        Address of the page where the figure was read.
    papers : tuple of str
        Keys of `references.bib`; none is without.
    target : str
        Label column that it is of; "" for the only one.
    """

    who: str
    value: float
    protocol: str
    source: str
    papers: tuple[str, ...]
    target: str = ""


ELPV = "https://tomesphere.com/paper/1807.02894"
BIT, BIT_PAPER = "https://github.com/google-research/big_transfer", ("kolesnikov2020",)
PUBLISHED: dict[str, tuple[Published, ...]] = {
    "elpv": (
        Published(
            "convolutional network trained end to end", 0.8842,
            "functional against defective; trained on 1,968 of the 2,624 cells", ELPV, ("deitsch2019",), "defect",
        ),
        Published(
            "SVM on hand-crafted features", 0.8244,
            "functional against defective; trained on 1,968 of the 2,624 cells", ELPV, ("deitsch2019",), "defect",
        ),
    ),
    "cifar10": (
        Published("BiT-M R50x1, fine-tuned", 0.974, "all 50,000 training images, 10,000 test images", BIT, BIT_PAPER),
        Published("BiT-M R50x1, fine-tuned", 0.823, "5 images a class; median of runs (80.3 to 84.9 %)", BIT, BIT_PAPER),
        Published("BiT-M R50x1, fine-tuned", 0.579, "1 image a class; median of runs (45.8 to 65.7 %)", BIT, BIT_PAPER),
        Published(
            "ViT-B/16 of ImageNet-21k, fine-tuned", 0.989,
            "all 50,000 training images, 10,000 test images; 98.9 to 99.0 %",
            "https://github.com/google-research/vision_transformer", ("dosovitskiy2021",),
        ),
    ),
}  # fmt: skip


def identity(table: ImageTable) -> str:
    """What the images are: the name of a packaged set or of a known data set; "" where it is not known.

    Parameters
    ----------
    table : ImageTable
        Its `source` says where it is from; a folder of the same name has none, and is not taken for the set, nor is
        a data set of the same name of another owner.
    """
    for name in DATASETS:
        if table.source == DATASETS[name].source and len(table) <= DATASETS[name].n_images:
            return str(name)
    found = HUB.match(table.source)
    known = HUB_SETS.get(found["name"].casefold()) if found is not None else None
    return known.name if known is not None and _is(table, known) else ""


def _is(table: ImageTable, known: Benchmark) -> bool:
    """Whether a table holds no more images than a benchmark, and one label column with its number of classes."""
    if len(table) > known.n_images:
        return False
    return any(len(table.classes(target)) == known.n_classes for target in table.targets)


def published_of(record: StudyRecord, dataset: str) -> tuple[Published, ...]:
    """The curated results on the images and the label column of a dataset; () where there are none."""
    if dataset not in record.tables:
        return ()
    rows = PUBLISHED.get(identity(record.tables[dataset]), ())
    return tuple(row for row in rows if row.target in ("", record.targets[dataset]))


def published_table(
    record: StudyRecord, dataset: str, id: str, cited: Bibliography | None = None
) -> Table | None:
    """The best of the study above what others have published; None where nothing is curated.

    Parameters
    ----------
    record : StudyRecord
    dataset : str
    id : str
        Of the table.
    cited : Bibliography, optional
        Cites the papers of the rows.
    """
    rows, best = published_of(record, dataset), best_of(record, dataset)
    if not rows:
        return None
    mine = [_mine(record, dataset)] if best is not None and accuracy(best) is not None else []
    made = [
        Row(
            (
                Entry(row.who, small=cited.cite(*row.papers) if cited is not None else ""),
                Entry(percent(row.value), row.value),
                Entry(row.protocol),
                Entry(row.source.removeprefix("https://"), href=row.source),
            )
        )
        for row in rows
    ]
    caption = (
        f"Published accuracies on the images of {dataset}, beside the best of this study. They were measured on other "
        "splits, with other numbers of training images: they say what is within reach, and nothing is tested between "
        "them and this study."
    )
    columns = (
        Column("method"), Column("accuracy", numeric=True), Column("how it was measured"), Column("read at"),
    )  # fmt: skip
    return Table(f"{id}-published", caption, columns, (*mine, *made))


def _mine(record: StudyRecord, dataset: str) -> Row:
    best = best_of(record, dataset)
    score = accuracy(best) if best is not None else None
    if best is None or score is None:
        return Row((Entry(DASH),) * 4)
    n_train = f"{best.n_train:,} training images, " if best.n_train else ""
    return Row(
        (
            Entry(f"this study: {best.method}"),
            Entry(percent(score.value), score.value, small=interval(score)),
            Entry(f"{n_train}{score.n:,} test images"),
            Entry(best.cells[0][:8], best.cells[0], target=f"run-{best.cells[0]}"),
        ),
        "best",
    )


def published_section(record: StudyRecord, dataset: str, id: str, cited: Bibliography) -> Section | None:
    """The table under a heading, for the report; None where nothing is curated."""
    table = published_table(record, dataset, id, cited)
    return Section(id, "What others have published on these images", (table,)) if table is not None else None
