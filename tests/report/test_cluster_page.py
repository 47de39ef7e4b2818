"""The page of a clustering: whole, self-contained, safe against hostile names, small."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from headstart.features.cluster import ImageClusterer
from headstart.features.cluster_found import Clustering, cluster_table
from headstart.images.scan import scan
from headstart.report.clusters import cluster_document, write_cluster_page
from headstart.report.html import render

EXIF_TEXT = "secret of the camera"
HOSTILE = "<script>alert(1)</script>{{ 7*7 }}\" onload='x'"


class Attributes(HTMLParser):
    """The names of all attributes."""

    def __init__(self):
        super().__init__()
        self.names = set()

    def handle_starttag(self, tag, attrs):
        self.names |= {name for name, _ in attrs}


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> Clustering:
    from headstart.testing.images import class_folders

    root = class_folders(tmp_path_factory.mktemp("page") / "photos", n_per_class=6)
    for path in root.rglob("*.jpg"):
        image = Image.open(path).copy()
        exif = Image.Exif()
        exif[270] = EXIF_TEXT
        image.save(path, exif=exif)
    clusterer = ImageClusterer(most=4, layer="stage2", input_size=48, engine="torch")
    return cluster_table(scan(root), clusterer)


@pytest.fixture(scope="module")
def page(found, tmp_path_factory):
    return write_cluster_page(found, tmp_path_factory.mktemp("out") / "page.html").read_text("utf-8")


def test_every_part_follows_and_nothing_is_loaded(page):
    titles = re.findall(r"<h2>(.*?)</h2>", page)
    assert titles == [
        "In short",
        "The groups",
        "Outliers",
        "How many clusters",
        "Scores",
        "How to repeat it",
        "References",
    ]
    assert "default-src &#39;none&#39;" in page
    assert not re.findall(r"(?:src|href)=\"(?!data:|#)[^\"]*\"", page)


def test_pictures_are_written_anew(page):
    uris = re.findall(r"data:image/jpeg;base64,([^\"]+)", page)
    assert len(uris) >= 12 and len(page) < 3_000_000
    assert all(EXIF_TEXT.encode() not in base64.b64decode(uri) for uri in uris)
    assert not Image.open(io.BytesIO(base64.b64decode(uris[0]))).getexif()


def test_hostile_names_are_text(found):
    groups = tuple(replace(group, name=HOSTILE) for group in found.groups)
    table = replace(found.table, name=HOSTILE, labels={HOSTILE: (HOSTILE,) * len(found.table)})
    text = render(cluster_document(replace(found, groups=groups, table=table, target=HOSTILE)))
    assert "<script>alert" not in text and "{{ 7*7 }}" in text and text.count("<script>") == 1
    seen = Attributes()
    seen.feed(text)
    assert "src" in seen.names and not {name for name in seen.names if name.startswith("on")}


def test_without_labels_and_without_clusters(found):
    bare = replace(
        found, groups=(), agreement={}, target=None, curve=None, labels=np.full(len(found.labels), -1),
        outliers=np.ones(len(found.labels), bool), shape=dict.fromkeys(found.shape),
        distances=np.full(len(found.labels), np.nan),
    )  # fmt: skip
    text = render(cluster_document(bare))
    assert "0 clusters" in text and "There are no labels" in text
