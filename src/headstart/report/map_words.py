"""What is said of a map: how it was made, and how far it can be trusted, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headstart.images.collect import clean
from headstart.report import papers
from headstart.report.cited import together
from headstart.report.sources import library
from headstart.report.wording import count, decimal, duration, interval, percent

if TYPE_CHECKING:
    from headstart.features.map_found import ImageMap
    from headstart.measure.values import Score

NAMES = {"umap": "UMAP", "tsne": "t-SNE", "pca": "principal components"}


def subtitle(found: ImageMap) -> str:
    """`3,781 images, UMAP of features of lite0 (pool), 31.0 s`."""
    facts, projection = found.facts, found.projection
    made = f"{count(len(found.table), 'image')}, {NAMES[projection.method]} of features of "
    made += (
        f"{clean(facts['backbone'])} ({', '.join(facts['layer'])}), {duration(sum(found.seconds.values()))}"
    )
    if projection.method == "pca":
        made += f"; the two axes hold {percent(projection.facts['explained'])} of the variance"
    return made


def sentences(found: ImageMap) -> list[str]:
    """How far to trust the map, the plainest first."""
    trust = found.trust
    k = trust.k
    said = [
        f"of each image's {count(k, 'nearest neighbour')}, {_share(trust.preserved)} "
        f"{'is' if k == 1 else 'are'} among its {k} nearest on the map.",
        f"Trustworthiness {_score(trust.trustworthiness)}: 1 where no neighbour on the map is a stranger in the "
        "features, about 0.5 for a map drawn at random (Venna and Kaski, 2001).",
        f"Continuity {_score(trust.continuity)}: 1 where no neighbour in the features is torn away on the map.",
    ]
    if trust.labels_map is not None and trust.labels_space is not None:
        said.append(
            f"Of the {count(k, 'nearest neighbour')}, {_share(trust.labels_map)} on the map and "
            f"{_share(trust.labels_space)} in the features carry the image's own label “{clean(str(found.target))}”."
        )
    asked = (
        "every image" if trust.n_queries == trust.n else f"{count(trust.n_queries, 'image')} drawn by chance"
    )
    said.append(f"Measured on {asked}, against all {trust.n:,}; intervals are 95 %.")
    if found.projection.method != "pca":
        said.append(
            "Distances between far groups, sizes of groups and the axes mean little; what lies close together "
            "is what the map is for."
        )
    return said


def references(found: ImageMap) -> list[str]:
    """The papers behind the map and its measures, each as a line."""
    uses = together(
        (papers.MAPS.get(name, ()), what)
        for name, what in (
            (found.projection.method, NAMES[found.projection.method]),
            ("trustworthiness", "trustworthiness"),
            ("continuity", "continuity"),
        )
    )
    return [f"{what}: {library()[key].text}" for key, what in uses.items()]


def _share(score: Score) -> str:
    return percent(score.value)


def _score(score: Score) -> str:
    return f"{decimal(score.value)} ({interval(score, as_percent=False)})"
