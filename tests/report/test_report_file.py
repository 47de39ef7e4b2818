"""The HTML file: whole, self-contained, honest about gaps, safe against hostile names."""

import base64
import dataclasses
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from headstart.images.table import ImageTable
from headstart.report.build import build_document, write_report
from headstart.report.document import Entry
from headstart.report.html import render, safe_href
from headstart.report.sections import best as best_part
from headstart.study.partition import DRAWN_FOLDS
from headstart.testing.records import EXIF_TEXT, tiny_record

HOSTILE = ("<script>alert(1)</script>", "a\"b' onload=alert(2) {{ 7*7 }}", "x" * 300 + "\udce9")


class Tags(HTMLParser):
    """Every tag with its attributes."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def __call__(self, text):
        self.feed(text)
        return self.found


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    return tiny_record(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="module")
def page(record, tmp_path_factory):
    return write_report(record, tmp_path_factory.mktemp("report") / "report.html").read_text(encoding="utf-8")


def test_the_verdict_stands_first_and_every_part_follows(page):
    titles = re.findall(r"<h2>(.*?)</h2>", page)
    assert titles[0] == "Verdict"
    assert titles[1:] == [
        "Introduction", "Methods", "Implementation", "Results", "Discussion", "Conclusion", "References", "Runs",
    ]  # fmt: skip
    parts = re.findall(r"<h3>(.*?)</h3>", page)
    assert parts == [
        "The images of shapes", "The data: shapes", "What was compared", "The methods in short",
        "Equal terms, checked", "The networks", "Notes on metrics", "Statistics", "How to repeat it",
        "The best, looked at closely", "What went wrong", "Limits", "What would improve it", "Threats to validity",
    ]  # fmt: skip


def test_what_only_the_author_knows_is_marked_as_in_the_paper(page):
    assert page.count("To be written by the author:") >= 4


def test_the_file_is_the_same_every_time(record, page):
    assert render(build_document(record)) == page


def test_nothing_is_loaded_from_anywhere(page):
    for tag, attrs in Tags()(page):
        assert tag not in {"iframe", "object", "embed", "base", "form", "audio", "video"}
        assert not any(name.startswith("on") or name in {"style", "srcset", "srcdoc"} for name in attrs), (
            attrs
        )
        if "src" in attrs or tag == "link":
            assert (attrs.get("src") or attrs["href"]).startswith("data:")
        if tag == "a":
            assert attrs["href"].startswith(("#", "https://", "http://"))
    assert "@import" not in page and "url(" not in page


def test_the_policy_names_the_one_style_and_the_one_script(page):
    policy = next(attrs["content"] for tag, attrs in Tags()(page) if attrs.get("http-equiv"))
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    assert "unsafe" not in policy
    assert page.count("<script") == 1 and page.count("<style") == 1


def test_embedded_pictures_carry_no_exif_and_stay_small(page):
    pictures = [
        base64.b64decode(found) for found in re.findall(r"data:image/jpeg;base64,([A-Za-z0-9+/=]+)", page)
    ]
    assert len(pictures) >= 3 * 6
    for picture in pictures:
        assert EXIF_TEXT.encode() not in picture and b"Exif" not in picture
        with Image.open(io.BytesIO(picture)) as opened:
            assert not opened.getexif() and max(opened.size) <= 160


def test_identifiers_are_unique_and_links_to_them_land(page):
    tags = Tags()(page)
    ids = [attrs["id"] for _, attrs in tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert {attrs["href"][1:] for tag, attrs in tags if tag == "a" and attrs["href"].startswith("#")} <= set(
        ids
    )


def test_failed_partial_missing_and_left_out_are_shown(page):
    for said in (
        'class="failed"', 'class="partial"', 'class="missing"', "singular matrix at C = 10",
        "partial: 2 failed of 3",
        "33 of 36 planned runs were made, 3 are missing", "5 runs of 33 failed", "broken.jpg", "truncated",
        "lite1: the export failed; torch serves instead",
    ):  # fmt: skip
        assert said in page


def test_it_says_how_to_repeat_the_study(record, page):
    assert record.command in page
    for said in (
        "onnxruntime",
        "0.99999",
        "python",
        "3.11.2",
        "Seeds: 0, 1, 2",
        record.tables["shapes"].digest(),
    ):
        assert said in page
    assert all(result.cell.id in page for result in record.results)


def test_hostile_names_stay_text(tmp_path):
    classes = (*HOSTILE[:2], HOSTILE[2][:100])
    record = tiny_record(
        tmp_path, classes=classes, file_name="q\"'<i>&{}.jpg", error="</td></script><script>alert(3)</script>"
    )
    warned = dataclasses.replace(
        record, warnings=HOSTILE, command=HOSTILE[0], machine={HOSTILE[0]: HOSTILE[1]}
    )
    page = render(build_document(warned))
    tags = Tags()(page)
    assert [tag for tag, _ in tags].count("script") == 1
    assert not [attrs for _, attrs in tags if any(name.startswith("on") for name in attrs)]
    assert not [tag for tag, _ in tags if tag == "i"]
    assert "{{ 7*7 }}" in page and "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    page.encode("utf-8")


@pytest.mark.parametrize(
    "address",
    [
        "javascript:alert(1)", "data:text/html,x", "//evil", "http://a b",
        'https://a"b', "https://a<b", "file:///x", "\nhttps://a", "https://a\n",
    ],
)  # fmt: skip
def test_only_plain_web_addresses_become_links(address):
    assert safe_href(Entry("x", href=address)) == ""
    assert safe_href(Entry("x", href="https://arxiv.org/abs/1905.11946"))


@pytest.mark.parametrize("n_run", [0, 1, 7])
def test_a_study_that_stopped_says_what_is_missing(tmp_path, n_run):
    page = render(build_document(tiny_record(tmp_path, n_run=n_run)))
    assert f"{n_run} of 36 planned runs were made, {36 - n_run} are missing" in page
    assert "Methods with runs that have not been made" in page
    assert ("no method can be called best" in page) == (n_run == 0)


def test_a_dataset_that_was_not_scanned_yet_is_named_all_the_same(record):
    page = render(
        build_document(dataclasses.replace(record, tables={}, targets={}, probabilities={}, test_rows={}))
    )
    assert "Best on shapes" in page and "<h2>Results</h2>" in page and "The data: shapes" not in page


def test_images_that_have_gone_are_counted_not_fatal(tmp_path):
    record = tiny_record(tmp_path, per_class=5)
    for path in (tmp_path / "shapes").iterdir():
        path.unlink()
    page = render(build_document(record))
    assert "can no longer be read" in page


def test_several_datasets_have_a_section_each(tmp_path):
    document = build_document(tiny_record(tmp_path, datasets=("one", "two"), per_class=5, seeds=(0,)))
    titles = [section.title for section in document.every]
    assert {"The data: one", "The data: two", "Results: one", "Results: two"} <= set(titles)
    said = [getattr(block, "text", "") for block in document.sections[0].blocks]
    assert sum(text.startswith("Best on") for text in said) == 2
    short = document.sections[0].blocks[0]
    assert [row.entries[0].text for row in short.rows] == ["one", "two"]


def test_many_classes_give_the_most_confused_pairs_and_a_small_file(tmp_path):
    classes = [f"class {number:02d}" for number in range(40)]
    path = write_report(tiny_record(tmp_path, classes=classes, per_class=5, seeds=(0,)), tmp_path / "r.html")
    page = path.read_text()
    assert "The pairs of classes confused most, of 40 classes" in page
    assert "The 12 largest of 40 classes are shown" in page
    assert path.stat().st_size < 5_000_000


def test_the_surest_errors_come_first(record):
    document = build_document(record)
    results = next(section for section in document.sections if section.title == "Results")
    gallery = next(block for block in results.parts[0].blocks if block.kind == "gallery")
    sure = [float(re.search(r", ([\d.]+) %", picture.lines[1])[1]) for picture in gallery.groups[0][2]]
    assert sure == sorted(sure, reverse=True) and len(sure) >= 2


def test_a_picture_budget_is_kept(record, monkeypatch):
    monkeypatch.setattr("headstart.report.build.PICTURE_BYTES", 20_000)
    page = render(build_document(record))
    assert len(page) < 400_000
    assert "left out to keep this file small" in page


def test_a_record_without_probabilities_says_so(record):
    without = dataclasses.replace(record, probabilities={}, test_rows={})
    assert "probabilities of this method are not in the record" in render(build_document(without))


def test_datasets_of_pixels_without_splits_are_shown_too(record):
    n = 15
    pixels = np.random.default_rng(0).integers(0, 255, (n, 12, 12), dtype=np.uint8)
    labels = tuple(("circle", "cross", "square")[row % 3] for row in range(n))
    names = tuple(f"row {row}" for row in range(n))
    table = ImageTable("shapes", "", names, names, {"class": labels}, pixels=pixels)
    rows = {id: tuple(range(n)) for id in record.test_rows}
    changed = dataclasses.replace(
        record, tables={"shapes": table}, test_rows=rows, divided={"shapes": DRAWN_FOLDS}
    )
    page = render(build_document(changed))
    assert "15 images in 3 classes" in page
    assert "cross-validated" in page
    assert page.count("data:image/jpeg") >= n


def test_confusion_shades_run_from_none_to_full(record):
    result = next(r for r in record.results if r.cell.id in record.probabilities)
    table = best_part.confusion_table(result, "b")
    shades = [entry.heat for row in table.rows for entry in row.entries[1:]]
    assert min(shades) >= 0 and max(shades) <= 10
