"""The page of a clustering: verdict, groups with their typical images, outliers, the number, the scores."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from headstart.base.files import write_text
from headstart.features.cluster_methods import MANY
from headstart.report import papers
from headstart.report.cited import references_section, together
from headstart.report.document import (
    Block,
    Claim,
    Column,
    Document,
    Entry,
    Figure,
    Gallery,
    Paragraph,
    Picture,
    Row,
    Section,
    Table,
    plain_table,
)
from headstart.report.html import render
from headstart.report.pictures import PictureBook
from headstart.report.wording import DASH, count, decimal, duration, interval, percent

if TYPE_CHECKING:
    from headstart.features.cluster_found import Clustering, Group
    from headstart.measure.values import Score

PICTURE_BYTES = 2_000_000
GROUPS_SHOWN, EACH_SHOWN, OUTLIERS_SHOWN, SIDE = 40, 6, 24, 128
RULES = {
    "modularity": "modularity of the nearest neighbours",
    "silhouette": "silhouette",
    "gap": "gap (natural logarithm)",
    "stability": "stability (adjusted Rand index)",
}
MEANINGS = {
    "silhouette": ("silhouette", "how much nearer images lie to their own cluster than to the next; -1 to 1"),
    "davies_bouldin": ("Davies-Bouldin", "spread of clusters over the distance between them; 0 is best"),
    "stability": ("stability", "adjusted Rand index of groupings of two random 80 % of the images"),
    "nmi": ("NMI", "information that clusters and labels share, 0 to 1; larger with more clusters"),
    "ari": ("adjusted Rand index", "pairs of images that both treat alike, corrected for chance; 1 is best"),
    "v_measure": ("V-measure", "harmonic mean of homogeneity and completeness (equal to this NMI)"),
    "homogeneity": ("homogeneity", "1 where every cluster holds one class alone"),
    "completeness": ("completeness", "1 where every class lies in one cluster alone"),
    "purity": ("purity", "images of the most frequent class of their cluster; grows with more clusters"),
    "accuracy": ("clustering accuracy", "images right when each cluster stands for one class at most"),
}


def write_cluster_page(found: Clustering, path: str | Path) -> Path:
    """Write the page as one HTML file that needs no network; an older one is replaced whole."""
    return write_text(path, render(cluster_document(found)))


def cluster_document(found: Clustering) -> Document:
    """The page as values."""
    book = PictureBook(PICTURE_BYTES)
    sections = [
        Section("verdict", "In short", tuple(_claims(found))),
        _groups_section(found, book),
        _outliers_section(found, book),
    ]
    if found.curve is not None:
        sections.append(_number_section(found))
    sections += [_scores_section(found), _facts_section(found)]
    sections.append(references_section(together(_uses(found)), of="this clustering"))
    subtitle = f"{count(len(found.labels), 'image')}, {found.facts['method']} on features of "
    subtitle += f"{found.facts['backbone']}, {duration(sum(found.seconds.values()))}"
    return Document(f"Groups of images in {found.table.name}", subtitle, tuple(sections))


def _uses(found: Clustering) -> list[tuple[tuple[str, ...], str]]:
    method = str(found.facts["method"])
    name = "quick_kmeans" if method == "kmeans" and len(found.labels) > MANY else method
    uses = [(papers.CLUSTERING[name], f"clustering by {method}")]
    uses.append((papers.POOLING.get(str(found.facts.get("pooling")), ()), "pooling"))
    if found.curve is not None:
        uses.append((papers.CLUSTER_NUMBER[found.curve.rule], "number of clusters"))
    scores = {**found.shape, **found.agreement}
    uses += [
        (papers.CLUSTER_SCORES.get(name, ()), MEANINGS[name][0])
        for name in scores
        if scores[name] is not None
    ]
    return uses


def _claims(found: Clustering) -> list[Block]:
    n = len(found.groups)
    how = f", chosen by {found.curve.rule}" if found.curve is not None else ""
    claims: list[Block] = [
        Claim(
            f"{count(n, 'cluster')}{how}; {count(int(found.outliers.sum()), 'outlier')} of "
            f"{count(len(found.labels), 'image')}.",
            strong=True,
        )
    ]
    steady = found.shape["stability"]
    if steady is not None:
        claims.append(
            Claim(
                f"Grouping other random parts of the images gives the same groups to {decimal(steady.value, 2)} "
                "(adjusted Rand index; 1 is the same, 0 is chance)."
            )
        )
    if found.agreement:
        ari, right = found.agreement["ari"], found.agreement["accuracy"]
        claims.append(
            Claim(
                f"Against the labels “{found.target}” of {count(ari.n, 'image')}: adjusted Rand index "
                f"{decimal(ari.value, 2)}, clustering accuracy {percent(right.value)}. The labels took no part."
            )
        )
    return claims


def _groups_section(found: Clustering, book: PictureBook) -> Section:
    shown = found.groups[:GROUPS_SHOWN]
    pictures: dict[int, list[Picture]] = {group.number: [] for group in shown}
    for turn in range(EACH_SHOWN):  # by turns, so that the budget is spent evenly
        for group in shown:
            rows = _first_the_medoid(group)
            if turn < len(rows) and (made := _picture(found, book, rows[turn])) is not None:
                pictures[group.number].append(made)
    caption = "Each cluster by its medoid (first: least mean distance to the others) and the images nearest to its centre."
    if len(found.groups) > len(shown):
        caption += f" The {len(shown)} largest of {len(found.groups)} are shown."
    galleries = tuple(
        (group.title, count(group.n, "image"), tuple(pictures[group.number])) for group in shown
    )
    blocks: list[Block] = [_groups_table(found)]
    if any(pictures.values()):
        blocks.append(Gallery("groups-pictures", f"{caption} {book.remark()}".strip(), galleries))
    return Section("groups", "The groups", tuple(blocks))


def _first_the_medoid(group: Group) -> list[int]:
    return [group.medoid, *(row for row in group.typical if row != group.medoid)]


def _picture(found: Clustering, book: PictureBook, row: int) -> Picture | None:
    label = None if found.target is None else found.table.labels[found.target][row]
    return book.picture(found.table, row, side=SIDE, lines=() if label is None else (label,))


def _groups_table(found: Clustering) -> Table:
    columns = (
        Column("cluster", numeric=True), Column("images", numeric=True), Column("outliers", numeric=True),
        Column("most frequent label"), Column("share", "of the labelled images in the cluster", numeric=True),
        Column("share of the largest cluster"),
    )  # fmt: skip
    largest = max((group.n for group in found.groups), default=1)
    rows = tuple(
        Row(
            (
                Entry(str(group.number), group.number), Entry(f"{group.n:,}", group.n),
                Entry(f"{group.n_outliers:,}", group.n_outliers), Entry(group.name or DASH, group.name),
                Entry(percent(group.share), group.share), Entry("", group.n, bars=(group.n / largest,)),
            )
        )
        for group in found.groups
    )  # fmt: skip
    caption = "Clusters by size. A name is the most frequent label, which the clustering never saw."
    return Table("groups-table", caption, columns, rows, sortable=True)


def _outliers_section(found: Clustering, book: PictureBook) -> Section:
    rows = found.far_rows(OUTLIERS_SHOWN)
    n = int(found.outliers.sum())
    if not rows:
        return Section("outliers", "Outliers", (Paragraph("No image lies far from its cluster."),))
    made = [_picture(found, book, row) for row in rows]
    said = "In no cluster, or much farther from the centre than is usual in their cluster (3.5 robust deviations)."
    every = f"All {n}, the farthest first." if n > 1 else "The only one."
    caption = f"The {len(rows)} farthest of {n}." if n > len(rows) else every
    shown = tuple(each for each in made if each is not None)
    gallery = Gallery("outliers-pictures", f"{caption} {book.remark()}".strip(), (("", "", shown),))
    return Section("outliers", "Outliers", (Paragraph(said), *((gallery,) if shown else ())))


def _number_section(found: Clustering) -> Section:
    from headstart.report.figures import score_by_number

    curve = found.curve
    assert curve is not None
    rule = RULES[curve.rule]
    svg = score_by_number(curve.numbers, curve.values, curve.errors, curve.chosen, rule)
    how = {
        "modularity": "the smallest number that falls short of 1 by hardly more than the best",
        "gap": "the smallest number whose gap is within one standard error of the largest",
    }.get(curve.rule, "the number with the highest value")
    caption = f"Chosen is {how}. Bars are one standard error; {count(curve.n, 'image')} were looked at."
    alt = f"{rule} over {curve.numbers[0]} to {curve.numbers[-1]} clusters; chosen {curve.chosen}"
    rows = [
        (str(number), decimal(value), decimal(error))
        for number, value, error in zip(curve.numbers, curve.values, curve.errors, strict=True)
    ]
    table = plain_table("number-table", "The curve as numbers.", ("clusters", rule, "standard error"), rows)
    table = replace(table, folded="The curve as numbers")
    return Section("number", "How many clusters", (Figure("number-curve", caption, svg, alt), table))


def _scores_section(found: Clustering) -> Section:
    rows = [_score_row(name, score) for name, score in {**found.shape, **found.agreement}.items()]
    caption = "The first three need no labels."
    if found.agreement:
        caption += " The others hold the clusters against the labels; images in no cluster count as one cluster more."
    else:
        caption += " There are no labels to hold the clusters against."
    return Section(
        "scores", "Scores", (plain_table("scores-table", caption, ("score", "value", "meaning"), rows),)
    )


def _score_row(name: str, score: Score | None) -> tuple[Entry, Entry, Entry]:
    title, meaning = MEANINGS[name]
    value = Entry(DASH)
    if score is not None:
        ends = interval(score, as_percent=False)
        value = Entry(decimal(score.value), score.value, small=f"95 %: {ends}" if ends else "")
    return Entry(title, title), value, Entry(meaning, meaning)


def _facts_section(found: Clustering) -> Section:
    facts = {**found.facts, "layer": ", ".join(found.facts["layer"])}
    rows = [(name, DASH if value is None else str(value)) for name, value in facts.items()]
    rows += [(f"seconds, {name}", f"{value:.1f}") for name, value in found.seconds.items()]
    table = plain_table("facts", "What gives the same groups again.", ("option", "value"), rows)
    blocks: list[Block] = [table]
    if found.table.problems:
        left = [(each.path, each.reason) for each in found.table.problems[:200]]
        said = f"{count(len(found.table.problems), 'file was', 'files were')} left out."
        blocks.append(plain_table("left-out", said, ("file", "reason"), left))
    return Section("repeat", "How to repeat it", tuple(blocks))
