"""The map in a real browser: hover shows the image, a line drawn round selects the right rows, CSV holds them."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from headstart.base.errors import DataError, UnknownName
from headstart.features.cluster import ImageClusterer
from headstart.features.extractor import FeatureExtractor
from headstart.features.map_found import map_table
from headstart.images.scan import scan
from headstart.report.atlas import sheets
from headstart.report.map_columns import map_columns
from headstart.report.map_page import check_page, near_together, write_map_page
from headstart.report.map_words import sentences, subtitle
from headstart.testing.images import class_folders

HOSTILE = "</script><script>alert(1)</script>{{ 7*7 }}"
FORMULA = '=HYPERLINK("x"),\'<img src=x onerror=alert(2)>'


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Thirty images whose features are near or far by their class; three predictions are wrong."""
    table = scan(class_folders(tmp_path_factory.mktemp("map") / "photos", n_per_class=10))
    label = dict(zip(table.paths, table.labels[table.target()], strict=True))
    predictions = {**label, "disc/000.jpg": "square", "disc/001.jpg": "square", "square/004.jpg": "disc"}
    del predictions["disc/009.jpg"]
    return map_table(
        table, extractor=FeatureExtractor(layer="stage2", input_size=48, engine="torch"), method="pca",
        clusterer=ImageClusterer(n=3), predictions=predictions,
    )  # fmt: skip


@pytest.fixture
def opened(browser):
    """Open a page; whatever it says, asks the network for or pops up is kept, and must be nothing."""
    pages = []

    def go(path, width=1280, scheme="light", **options):
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, **options
        )
        page = context.new_page()
        page.heard, page.asked = [], []
        page.on("console", lambda message: page.heard.append(message.text))
        page.on("pageerror", lambda error: page.heard.append(str(error)))
        page.on("dialog", lambda dialog: (page.heard.append(dialog.message), dialog.dismiss()))
        page.on("request", lambda request: page.asked.append(request.url))
        page.goto(path.as_uri())
        settled(page)
        pages.append(page)
        return page

    yield go
    for page in pages:
        assert page.heard == []
        page.context.close()


@pytest.fixture(scope="module")
def address(found, tmp_path_factory):
    return write_map_page(found, tmp_path_factory.mktemp("out") / "map.html").page


def settled(page, also="true"):
    """Wait until a frame is drawn and none is asked for (the page's policy forbids Playwright's own waiting)."""
    for _ in range(250):
        script = f"() => {{ const frame = headstartMap.frame(); return frame.number > 0 && !frame.waiting && {also}; }}"
        if page.evaluate(script):
            return
        page.wait_for_timeout(20)
    pytest.fail(f"the map did not come to rest with {also}")


def spot(page, name):
    """Where an image is drawn, in the window."""
    box = page.locator("#map").bounding_box()
    x, y = page.evaluate("name => headstartMap.pixels(name)", name)
    return box["x"] + x, box["y"] + y


def lone(found, but=()):
    """The path of the image that lies farthest from its nearest neighbour, not counting some images."""
    points = found.projection.points
    far = np.linalg.norm(points[:, None] - points[None], axis=2) + np.eye(len(points)) * 1e9
    far[[path in but for path in found.table.paths]] = -1
    return found.table.paths[int(far.min(1).argmax())]


def draw(page, corners):
    page.mouse.move(*corners[0])
    page.mouse.down()
    for corner in [*corners[1:], corners[0]]:
        page.mouse.move(*corner, steps=4)
    page.mouse.up()


def selected(page):
    return page.evaluate("headstartMap.selected()")


def saved(page):
    with page.expect_download() as waiting:
        page.locator("#save").click()
    text = waiting.value.path().read_text("utf-8")
    return waiting.value.suggested_filename, list(csv.reader(io.StringIO(text)))


def assert_card_shows(page, found, name):
    """The card's picture is that image, by its mean colour."""
    page.mouse.move(*spot(page, name))
    page.locator("#card canvas.picture[data-drawn]").wait_for()
    assert page.locator("#card b").text_content() == name
    image = np.asarray(Image.open(found.table.item(found.table.paths.index(name))).convert("RGB"), float)
    taken = page.locator("#card canvas.picture").screenshot()
    shown = np.asarray(Image.open(io.BytesIO(taken)).convert("RGB"), float)
    edge = len(shown) // 10  # the image is 48 x 40: above and below it lies the card
    assert np.abs(shown[edge:-edge, 8:-8].mean((0, 1)) - image[:, 2:-2].mean((0, 1))).max() < 8


def test_hover_shows_the_image_and_what_is_known_of_it(opened, address, found):
    page, name = opened(address), lone(found)
    page.mouse.move(*spot(page, name))
    card = page.locator("#card")
    card.wait_for(state="visible")
    assert card.locator("b").text_content() == name
    page.locator("#card canvas.picture[data-drawn]").wait_for()
    row = found.table.paths.index(name)
    facts = dict(
        zip(card.locator("dt").all_text_contents(), card.locator("dd").all_text_contents(), strict=True)
    )
    assert facts["label"] == found.labels[row] and facts["cluster"] == str(found.clusters[row])
    assert facts["right or wrong"] in ("right", "wrong")
    assert_card_shows(page, found, name)
    page.mouse.move(5, 5)
    card.wait_for(state="hidden")


@pytest.mark.parametrize("tool", ["lasso", "box", "shift"])
def test_a_line_drawn_round_selects_the_rows_inside_and_csv_holds_them(opened, address, found, tool):
    page = opened(address)
    box = page.locator("#map").bounding_box()
    places = {name: spot(page, name) for name in found.table.paths}
    middle = box["x"] + box["width"] * 0.45
    inside = sorted(name for name, (x, _) in places.items() if x < middle)
    assert 3 < len(inside) < 27 and min(abs(x - middle) for x, _ in places.values()) > 0.5
    left, top, bottom = box["x"] + 3, box["y"] + 3, box["y"] + box["height"] - 3
    if tool == "shift":
        page.keyboard.down("Shift")
    else:
        page.locator(f"[data-tool={tool}]").click()
    corners = [(left, top), (middle, bottom)]
    draw(
        page, [(left, top), (middle, top), (middle, bottom), (left, bottom)] if tool != "box" else corners[:1]
    )
    if tool == "box":
        page.mouse.move(*corners[0])
        page.mouse.down()
        page.mouse.move(*corners[1], steps=4)
        page.mouse.up()
    page.keyboard.up("Shift")
    assert sorted(selected(page)) == inside
    assert f"{len(inside)} of 30 images" in page.locator("#count").text_content()
    assert page.locator("#list li").count() == len(inside)
    name, (head, *rows) = saved(page)
    assert name == "photos-selection.csv" and head[:3] == ["path", "x", "y"]
    assert [row[0] for row in rows] == inside
    for row in rows:
        at = found.table.paths.index(row[0])
        assert [float(row[1]), float(row[2])] == pytest.approx(found.projection.points[at].tolist(), rel=1e-5)
        cells = dict(zip(head, row, strict=True))
        assert cells["label"] == found.labels[at] and cells["cluster"] == str(found.clusters[at])
    page.locator("#invert").click()
    assert sorted(selected(page)) == sorted(set(found.table.paths) - set(inside))
    page.locator("#select-none").click()
    assert selected(page) == [] and page.locator("#save").is_disabled()


def test_errors_have_a_colour_and_a_hidden_class_cannot_be_touched_or_selected(opened, address, found):
    page = opened(address)
    page.locator("#colour").select_option(label="right or wrong")
    entries = [" ".join(text.split()) for text in page.locator("#legend button").all_inner_texts()]
    assert entries == ["right 26", "wrong 3", "not known 1"]
    page.locator("#legend button", has_text="right").click()
    page.locator("#legend button", has_text="not known").click()
    page.locator("#select-shown").click()
    assert sorted(selected(page)) == ["disc/000.jpg", "disc/001.jpg", "square/004.jpg"]
    hidden = lone(found, but=selected(page))
    page.mouse.move(*spot(page, hidden))
    assert page.locator("#card").is_hidden()
    page.locator("#show-all").click()
    page.locator("#select-shown").click()
    assert len(selected(page)) == 30


def test_zoom_keeps_the_place_under_the_pointer_and_pictures_come(opened, address, found):
    page, name = opened(address), lone(found)
    before = spot(page, name)
    page.mouse.move(*before)
    for _ in range(3):
        page.mouse.wheel(0, -300)
    settled(page, "frame.pictures > 0")
    near = spot(page, name)
    assert near == pytest.approx(before, abs=5.1), (
        "a wheel tells whole pixels, and the map is 5 times as large"
    )
    page.mouse.down()
    page.mouse.move(before[0] + 50, before[1] - 30, steps=3)
    page.mouse.up()
    assert spot(page, name) == pytest.approx((near[0] + 50, near[1] - 30), abs=1.1)
    page.locator("#reset").click()
    assert spot(page, name) == pytest.approx(before, abs=0.5)
    page.locator("#map").focus()
    page.keyboard.press("ArrowLeft")
    assert spot(page, name) != pytest.approx(before, abs=5)
    page.keyboard.press("0")
    page.locator("#mode").select_option("never")
    settled(page, "frame.pictures === 0")


def test_search_finds_by_name_and_its_finds_can_be_selected(opened, address):
    page = opened(address)
    page.locator("#search").fill("STRIPES/00")
    assert page.locator("#matches").text_content() == "10 images"
    page.locator("#select-matches").click()
    assert sorted(selected(page)) == [f"stripes/{at:03d}.jpg" for at in range(10)]
    page.locator("#search").fill("no such thing")
    assert page.locator("#select-matches").is_hidden()


@pytest.mark.parametrize("width", [400, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_the_window_and_asks_for_nothing(opened, address, width, scheme):
    page = opened(address, width, scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert [url for url in page.asked if not url.startswith(("data:", "blob:"))] == [address.as_uri()]
    lightness = page.evaluate(
        "() => document.querySelector('#map').getContext('2d').getImageData(2, 2, 1, 1).data[0]"
    )
    assert (lightness < 60) == (scheme == "dark")


def test_a_finger_shows_the_card_too(opened, address, found):
    page, name = opened(address, 400, has_touch=True), lone(found)
    page.touchscreen.tap(*spot(page, name))
    page.locator("#card").wait_for(state="visible")
    assert page.locator("#card b").text_content() == name


def test_hostile_names_stay_text_and_no_cell_is_a_formula(opened, found, tmp_path):
    names = (HOSTILE, FORMULA, "+1\udcff.jpg", *found.table.paths[3:])
    labels = (HOSTILE, FORMULA, "@x", *found.labels[3:])
    table = replace(
        found.table,
        name=HOSTILE,
        paths=names,
        labels={FORMULA: labels},
        pixels=np.zeros((30, 8, 8, 3), np.uint8),
    )
    hostile = replace(found, table=table, target=FORMULA, predictions=(HOSTILE, *labels[1:]))
    path = write_map_page(hostile, tmp_path / "a#b %.html").page
    text = path.read_text("utf-8")
    assert "<script>alert" not in text and text.count("<script") == 2 and "onerror=alert(2)>" not in text
    page = opened(path)
    page.locator("#select-shown").click()
    legend = page.locator("#legend .name").all_text_contents()
    assert HOSTILE in legend and FORMULA in legend
    name, (head, *rows) = saved(page)
    assert name == re.sub(r"[^\w.-]+", "-", HOSTILE).strip("-.") + "-selection.csv"
    cells = [
        cell
        for at, _ in enumerate(head)
        if head[at] not in ("x", "y")
        for cell in (head[at], *(row[at] for row in rows))
    ]
    assert not [cell for cell in cells if cell[:1] in ("=", "+", "-", "@", "\t", "\r")]
    assert "'" + FORMULA in cells and HOSTILE in cells


def test_above_the_limit_pictures_lie_in_a_folder_beside_the_page(opened, found, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "headstart.report.atlas.SHEET", 256
    )  # four pictures a sheet, and a sample of every eighth
    place = tmp_path / "my #map%20.html"
    files = write_map_page(found, place, most_inside=29)
    assert files.folder == tmp_path / "my #map%20_files"
    assert sorted(each.name for each in files.folder.iterdir()) == [f"{at:04d}.jpg" for at in range(9)]
    assert "data:image/jpeg" not in place.read_text("utf-8")
    page = opened(place)
    page.locator("#mode").select_option("never")  # no picture covers another mark
    assert_card_shows(page, found, lone(found))
    assert_card_shows(page, found, lone(found, but=[lone(found)]))
    page.locator("#mode").select_option("everywhere")
    settled(page, "frame.pictures > 1")
    asked = {url.rsplit("/", 1)[-1] for url in page.asked[1:] if not url.startswith("data:")}
    assert "0008.jpg" in asked and asked <= {each.name for each in files.folder.iterdir()}
    assert write_map_page(found, place, most_inside=29).folder == files.folder


def test_nothing_of_the_users_is_replaced(found, tmp_path):
    mine = tmp_path / "mine.html"
    mine.write_text("mine")
    with pytest.raises(DataError, match="no page of Headstart and is not replaced"):
        write_map_page(found, mine)
    with pytest.raises(DataError, match="is a folder"):
        check_page(tmp_path)
    (tmp_path / "map_files").mkdir()
    (tmp_path / "map_files" / "letter.txt").write_text("mine")
    with pytest.raises(DataError, match="holds other things"):
        write_map_page(found, tmp_path / "map.html", most_inside=1)
    assert mine.read_text() == "mine" and (tmp_path / "map_files" / "letter.txt").read_text() == "mine"


def test_the_page_is_written_with_data_that_can_be_read_back(address, found):
    text = address.read_text("utf-8")
    data = json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1])
    rows = near_together(found.projection.points)
    assert data["names"] == [found.table.paths[row] for row in rows]
    x = np.frombuffer(base64.b64decode(data["x"]), "<f4")
    assert np.array_equal(x, found.projection.points[rows, 0])
    assert [column["name"] for column in data["columns"]] == [
        "label", "right or wrong", "prediction", "cluster", "neighbours kept",
    ]  # fmt: skip
    assert data["columns"][0]["values"] == data["columns"][2]["values"], "a class has one colour in both"


def test_columns_of_many_classes_and_of_numbers(found):
    table = found.table
    numbers = tuple(f"{at / 7:.3f}" for at in range(30))
    names = ("common",) * 20 + tuple(f"rare {at}" for at in range(10))
    splits = ("train",) * 20 + ("test",) * 10
    many = replace(
        found,
        table=replace(table, labels={"size": numbers, "kind": names}, splits=splits, groups=numbers),
        target="size",
    )
    made = {column.name: column for column in map_columns(replace(many, predictions=None))}
    assert made["size"].numeric and made["size"].codes[7] == pytest.approx(1)
    assert made["split"].values == ("train", "test") and len(made["group"].values) == 30
    assert made["kind"].values[0] == "common" and not made["kind"].numeric
    with pytest.raises(UnknownName, match="column of the map"):
        write_map_page(found, "never.html", colour="colour")


def test_pictures_keep_their_shape_and_hold_no_metadata(tmp_path, found):
    table = replace(
        found.table, paths=("wide", "gone", "small"), digests=("0" * 32,) * 3, labels={}, splits=None, pixels=None,
        root=str(tmp_path),
    )  # fmt: skip
    exif = Image.Exif()
    exif[270] = "secret"
    Image.new("RGB", (300, 100), (250, 0, 0)).save(tmp_path / "wide", "JPEG", exif=exif)
    Image.new("RGB", (5, 9), (0, 0, 250)).save(tmp_path / "small", "PNG")
    (sheet,) = sheets(table, range(3), 64)
    assert sheet.sizes == ((62, 21), (0, 0), (5, 9)) and b"secret" not in sheet.jpeg
    image = np.asarray(Image.open(io.BytesIO(sheet.jpeg)), int)
    assert image.shape == (64, 192, 3)
    assert (
        abs(image[1:22, 1:63] - (250, 0, 0)).max() < 12 and abs(image[1:10, 129:134] - (0, 0, 250)).max() < 25
    )


def test_it_says_in_words_how_far_to_trust_the_map(found):
    said = sentences(found)
    assert re.match(r"of each image's 14 nearest neighbours, \d+\.\d % are among its 14 nearest", said[0])
    assert "Trustworthiness 0." in said[1] and "“label”" in said[3] and "every image" in said[4]
    assert "the two axes hold" in subtitle(found)
