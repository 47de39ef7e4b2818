"""The label page in a real browser: by keyboard alone, with undo, suggestions, hostile names and many classes."""

from __future__ import annotations

import json
import re
import shutil
import time
from contextlib import contextmanager

import pytest

from headstart.base.events import collected_warnings
from headstart.dataset.journal import FILE_NAME, open_journal

HOSTILE = ("<script>alert(1)</script>", "a\"b' onload=alert(2)", "=cmd()", "x" * 150)
WAIT = 10_000


@contextmanager
def opened(browser, served, width=1280, height=860, scheme="light"):
    """The page, and what it did that it must not do."""
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
    page = context.new_page()
    page.set_default_timeout(WAIT)
    seen = {"console": [], "dialogs": [], "foreign": []}
    page.on("console", lambda message: seen["console"].append(message.text))
    page.on("pageerror", lambda error: seen["console"].append(str(error)))
    page.on("dialog", lambda dialog: (seen["dialogs"].append(dialog.message), dialog.dismiss()))
    page.on(
        "request",
        lambda asked: None if asked.url.startswith(served.origin) else seen["foreign"].append(asked.url),
    )
    page.goto(served.address)
    page.locator(".cell").first.wait_for()
    until(page, "nShown === 1")
    yield page, seen
    context.close()
    assert seen == {"console": [], "dialogs": [], "foreign": []}


def until(page, expression, arg=None, seconds=15.0):
    """Wait until an expression holds (polled from here: the page's policy forbids evaluating text in it)."""
    end = time.monotonic() + seconds
    while not page.evaluate(expression, arg):
        assert time.monotonic() < end, f"not within {seconds} s: {expression}"
        page.wait_for_timeout(20)


def press(page, *keys):
    for key in keys:
        page.keyboard.press(key)


def turn(page, *keys):
    """Press keys that show other images, one after the other."""
    for key in keys:
        before = page.evaluate("nShown")
        press(page, key)
        until(page, "before => nShown > before", arg=before)


def told(page, text):
    """Wait until the line at the bottom says so."""
    until(page, "text => document.getElementById('status').textContent.includes(text)", arg=text)


def shown(page):
    """Rows of the images shown, as the page holds them."""
    return page.evaluate(
        "rows.map(row => row.map(cell => ({row: cell.row, path: cell.path, label: cell.label})))"
    )


def kind(cell):
    return cell["path"].split("-")[0]


def test_a_folder_is_labelled_by_keyboard_alone_as_fast_as_keys_come(browser, photos, serve):
    kinds = ("disc", "square", "stripes")
    with serve(photos) as served, opened(browser, served) as (page, _):
        turn(page, "o")  # uncertain -> diverse
        for _turn in range(20):
            rows = shown(page)
            if not rows:
                break
            press(page, *(str(kinds.index(kind(cell)) + 1) for row in rows for cell in row))
            told(page, "press N")
            turn(page, "n")
        assert page.locator("#empty").is_visible()
        assert served.session.counts().n_labelled == 60
    text = (photos.with_name("photos-labels") / "labels.csv").read_text().splitlines()
    assert text[0] == "path,label" and len(text) == 61
    assert all(re.match(r"(disc|square|stripes)-\d+\.jpg,\1$", line) for line in text[1:])


def test_a_whole_row_is_labelled_at_a_stroke_and_undone_at_a_stroke(browser, served):
    with opened(browser, served) as (page, _):
        row = [cell["row"] for cell in shown(page)[0]]
        press(page, "Shift+Digit2")
        told(page, f"{len(row)} images: square")
        assert served.session.labelled() == dict.fromkeys(row, "square")
        assert page.evaluate("at[0]") == 1  # on to the next row
        press(page, "u")
        told(page, "Undone")
        assert served.session.labelled() == {}
        assert page.evaluate("at[0]") == 0


def test_selected_images_get_the_class_together(browser, served):
    with opened(browser, served) as (page, _):
        press(page, "Space", "ArrowRight", "Space", "ArrowDown", "r", "3")
        told(page, "images: stripes")
        rows = shown(page)
        wanted = {rows[0][0]["row"], rows[0][1]["row"], *(cell["row"] for cell in rows[1])}
        assert set(served.session.labelled()) == wanted
        press(page, "a", "Escape")
        assert page.locator('[aria-selected="true"].cell').count() == 0
        press(page, "Control+z")
        told(page, "Undone")
        assert served.session.labelled() == {}


def test_suggestions_follow_the_labels_and_are_accepted_by_enter(browser, served):
    paths = served.session.table.paths
    with opened(browser, served) as (page, _):
        assert "once two classes" in page.locator("#model").text_content()
        first = {
            row: path.split("-")[0] for row, path in enumerate(paths) if path.endswith(("000.jpg", "001.jpg"))
        }
        served.session.give(first)
        served.session.refit()
        turn(page, "n")
        until(page, "rows.flat().every(cell => cell.suggestion !== null)")
        cell = page.evaluate("({row: rows[0][0].row, said: rows[0][0].suggestion})")
        press(page, "Enter")
        told(page, "accepted for 1 image")
        assert served.session.label_of(cell["row"]) == cell["said"]
        until(page, "state.model_version === state.version && state.model.n === 7")
        before = page.evaluate("state.version")
        press(page, "Shift+Enter")
        until(page, f"state.version > {before}")
        assert served.session.counts().n_labelled > 7


def test_skip_take_away_and_look_again(browser, served):
    with opened(browser, served) as (page, _):
        row = shown(page)[0][0]["row"]
        press(page, "s")
        told(page, "1 image skipped")
        assert served.session.label_of(row) == "" and served.session.counts().n_skipped == 1
        press(page, "1")
        told(page, "1 image: disc")
        turn(page, "o", "o", "o")
        until(page, "rows.length === 1 && rows[0][0].label === 'disc'")
        press(page, "x")
        told(page, "label taken away")
        assert served.session.labelled() == {}


def test_what_was_undone_out_of_sight_is_shown_again(browser, served):
    served.session.give({7: "disc"})
    with opened(browser, served) as (page, _):
        assert 7 not in [cell["row"] for row in shown(page) for cell in row]
        press(page, "u")
        told(page, "Undone for 1 image")
        assert [[cell["row"] for cell in row] for row in shown(page)] == [[7]]
        press(page, "u")
        told(page, "nothing to undo")


def test_a_large_view_and_the_keys_open_and_close_by_keyboard(browser, served):
    with opened(browser, served) as (page, _):
        press(page, "v")
        page.locator("#large-image").wait_for()
        until(page, "document.getElementById('large-image').naturalWidth > 0")
        press(page, "v", "?")
        page.locator("#help").wait_for()
        press(page, "2", "Escape")
        assert served.session.labelled() == {}
        until(page, "document.activeElement.classList.contains('cell')")


@pytest.mark.parametrize("width", [400, 700, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_the_window(browser, served, width, scheme):
    with opened(browser, served, width=width, scheme=scheme) as (page, _):
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        until(page, "[...document.images].every(image => image.complete)")
        assert page.evaluate(
            "[...document.querySelectorAll('.cell img')].every(image => image.naturalWidth > 0)"
        )


def test_hostile_names_are_text(browser, photos, serve):
    (photos / "disc-000.jpg").rename(photos / "<img src=x onerror=alert(3)>.jpg")
    with serve(photos, HOSTILE) as served, opened(browser, served) as (page, _):
        press(page, "1", "2", "3", "4")
        told(page, "x" * 150)
        until(page, "state.n_labelled === 4 && state.model_version === state.version")
        assert page.evaluate("document.documentElement.scrollWidth") <= 1280
        assert page.locator("#classes button").first.text_content().startswith("1<script>alert(1)</script>")
        press(page, "/")
        page.locator("#search-list li", has_text="<script>").wait_for()
        press(page, "Escape", "v")
    table = (photos.with_name("photos-labels") / "labels.csv").read_text()
    assert "'=cmd()" in table and "\n=cmd" not in table and ",=cmd" not in table


def test_ten_thousand_classes_are_found_by_name(browser, photos, serve):
    classes = [f"kind {at:05d}" for at in range(10_000)]
    with serve(photos, classes) as served, opened(browser, served) as (page, _):
        assert page.locator("#classes button").count() == 11
        row = shown(page)[0][0]["row"]
        press(page, "/")
        page.keyboard.type("09999")
        until(page, "document.querySelectorAll('#search-list li').length === 1")
        press(page, "Enter")
        told(page, "1 image: kind 09999")
        assert served.session.label_of(row) == "kind 09999"


def test_a_stopped_server_is_told_and_nothing_is_taken_for_kept(browser, photos, serve):
    with serve(photos) as served:
        context = browser.new_context()
        page = context.new_page()
        page.goto(served.address)
        page.locator(".cell").first.wait_for()
        until(page, "document.activeElement.classList.contains('cell')")
        press(page, "1")
        told(page, "1 image: disc")
        until(page, "state.model_version === state.version")
        context.set_offline(True)
        press(page, "2")
        told(page, "Not kept")
        assert page.locator(".cell.labelled").count() == 1
        context.close()


def test_finish_by_button_ends_the_server_and_keeps_the_table(browser, photos, serve):
    with serve(photos) as served, opened(browser, served) as (page, _):
        press(page, "Shift+Digit1")
        told(page, "images: disc")
        until(page, "state.model_version === state.version")
        page.locator("#finish").focus()
        press(page, "Enter")
        told(page, "Finished")
    assert "disc-" in (photos.with_name("photos-labels") / "labels.csv").read_text()


def test_renamed_images_keep_their_labels_and_lost_ones_are_counted(photos, serve):
    with serve(photos) as served:
        served.session.give({0: "disc", 1: "square"})
        first, second = served.session.table.paths[:2]
    (photos / first).rename(photos / "zz.jpg")
    (photos / second).unlink()
    with serve(photos) as served:
        session = served.session
        row = session.table.paths.index("zz.jpg")
        assert session.labelled() == {row: "disc"} and session.n_gone == 1
        assert session.undo() == [row] and session.labelled() == {}
    lines = (photos.with_name("photos-labels") / FILE_NAME).read_text().splitlines()
    assert len(lines) == 3 and json.loads(lines[2])["undo"] is True


def test_an_undo_that_was_cut_off_is_dropped_at_the_next_start(photos, serve):
    with serve(photos) as served:
        served.session.give({0: "disc"})
    path = photos.with_name("photos-labels") / FILE_NAME
    with path.open("a") as file:
        file.write('{"at": 1, "un')
    with serve(photos) as served:
        assert served.session.labelled() == {0: "disc"}
    with open_journal(path.parent) as journal:
        assert journal.n_cut == 0
    shutil.rmtree(path.parent)


def test_files_that_are_no_images_and_broken_ones_are_told(photos, serve):
    (photos / "notes.txt").write_text("mine")
    (photos / "broken.jpg").write_bytes((photos / "disc-000.jpg").read_bytes()[:200])
    with collected_warnings() as warned, serve(photos) as served:
        assert len(served.session.table) == 60
    assert any("notes.txt: not an image file" in said and "broken.jpg" in said for said in warned)
