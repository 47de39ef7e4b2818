"""The report in a real browser: fits a phone, sorts, asks the network for nothing, runs no foreign script."""

import pytest

from headstart.report.answers import load_answers
from headstart.report.build import write_report
from headstart.report.document import Column, Document, Entry, Row, Section, Table
from headstart.report.html import render
from headstart.report.paper import build_paper
from headstart.report.slides import slides
from headstart.report.talk import build_talk
from headstart.study.record import load_record
from headstart.testing.records import tiny_record
from headstart.testing.stored_studies import stored_study
from headstart.testing.trained_records import with_training


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    record = tiny_record(
        folder,
        classes=("<script>alert(1)</script>", "a\"b' onload=alert(2)", "x" * 200),
        file_name="pic \"'<img onerror=alert(4)>{}.jpg",
        error="</td><script>alert(3)</script>" + "e" * 300,
    )
    return write_report(record, folder / "report.html").as_uri()


@pytest.fixture
def seen():
    """What a page did that it must not do."""
    return {"console": [], "requests": [], "dialogs": []}


def opened(browser, address, seen, width, scheme="light"):
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    page.on("console", lambda message: seen["console"].append(message.text))
    page.on("pageerror", lambda error: seen["console"].append(str(error)))
    page.on("request", lambda request: seen["requests"].append(request.url))
    page.on("dialog", lambda dialog: (seen["dialogs"].append(dialog.message), dialog.dismiss()))
    page.goto(address)
    return page


@pytest.mark.parametrize("width", [400, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_the_page_and_stays_silent(browser, address, seen, width, scheme):
    page = opened(browser, address, seen, width, scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    assert seen["console"] == [] and seen["dialogs"] == []
    assert [url for url in seen["requests"] if not url.startswith("data:")] == [address]
    page.context.close()


@pytest.mark.parametrize("width", [400, 1280])
def test_a_study_that_trained_networks_fits_the_page_too(browser, seen, width, tmp_path):
    record = with_training(tiny_record(tmp_path, per_class=5, seeds=(0,)))
    page = opened(browser, write_report(record, tmp_path / "report.html").as_uri(), seen, width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    assert seen["console"] == []
    page.context.close()


def test_a_touched_heading_sorts_by_number_and_keeps_absent_values_last(browser, address, seen):
    page = opened(browser, address, seen, 1280)
    heading = page.locator("#results-0-table th", has_text="log loss")
    at = heading.evaluate("heading => heading.cellIndex")

    def column():
        script = "(rows, at) => rows.map(row => row.cells[at].dataset.sort ?? null)"
        return page.locator("#results-0-table tbody tr").evaluate_all(script, at)

    heading.locator("button").click()
    down = column()
    assert heading.get_attribute("aria-sort") == "descending"
    heading.locator("button").click()
    up = column()
    known = [float(value) for value in up if value is not None]
    assert heading.get_attribute("aria-sort") == "ascending"
    assert known == sorted(known) and up[-3:] == [None] * 3 and down[-3:] == [None] * 3
    assert [float(value) for value in down[:-3]] == known[::-1]
    page.context.close()


def test_a_link_to_a_run_opens_the_list_that_holds_it(browser, address, seen):
    page = opened(browser, address, seen, 1280)
    assert not page.locator("#runs").is_visible()
    page.locator("#verdict .runs a").first.click()
    page.locator("#runs").wait_for(state="visible")
    page.context.close()


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A hostile study with a store, so that its methods can be looked at side by side."""
    folder = tmp_path_factory.mktemp("stored")
    stored_study(
        folder, per_class=10, seeds=(0,), classes=("<script>alert(1)</script>", "a\"b' {{x}}", "c&amp;"),
        file_name="pic \"'<img onerror=alert(4)>{}.jpg",
    )  # fmt: skip
    return load_record(folder / "study")


def test_a_box_keeps_the_rows_that_hold_every_word(browser, address, seen):
    page = opened(browser, address, seen, 1280)
    box = page.locator("#results-0-table input[type=search]")
    box.fill("LITE1 knn")
    rows = page.locator("#results-0-table tbody tr")
    assert rows.count() == 3 and all("knn" in text for text in rows.all_inner_texts())
    assert "3 of 12 rows" in page.locator("#results-0-table .filter").inner_text()
    page.locator("#results-0-table th button", has_text="log loss").click()
    assert rows.count() == 3
    box.fill("")
    assert rows.count() == 12
    page.context.close()


@pytest.mark.parametrize("width", [400, 1280])
def test_two_methods_show_the_images_on_which_they_differ(browser, stored, seen, tmp_path, width):
    answers = load_answers(stored)["shapes"]
    page = opened(browser, write_report(stored, tmp_path / "r.html").as_uri(), seen, width)
    for one, other in ((0, 1), (0, 3), (2, 2)):
        page.locator("#pair-0-pairs select").nth(0).select_option(str(one))
        page.locator("#pair-0-pairs select").nth(1).select_option(str(other))
        first, second = (answers.said[answers.methods[at]][0] for at in (one, other))
        n = int((first != second).sum())
        assert page.locator("#pair-0-pairs li").count() == n
        told = page.locator("#pair-0-pairs [role=status]").inner_text()
        alone = int(((first == answers.truth) & (second != answers.truth)).sum())
        assert (
            told.startswith(f"They differ on {n} of {len(answers.rows)} images")
            and f"right on {alone}," in told
        )
    page.locator("#pair-0-pairs select").nth(0).select_option("0")
    names = page.locator("#pair-0-pairs li span:nth-of-type(1)").all_inner_texts()
    assert names and all(name.removeprefix("true: ") in answers.classes for name in names)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert seen["console"] == [] and seen["dialogs"] == []
    page.context.close()


def cpu_seconds(page, at):
    """What a sort costs the page's thread with its layout: processor time, so that a busy machine counts for nothing."""
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})

    def spent():
        return {each["name"]: each["value"] for each in session.send("Performance.getMetrics")["metrics"]}[
            "TaskDuration"
        ]

    before = spent()
    page.evaluate(
        "at => { document.querySelectorAll('#big th button')[at].click(); document.body.offsetHeight; }", at
    )
    after = spent()
    session.detach()
    return after - before


def test_a_table_of_10_000_rows_sorts_without_a_stall(browser, seen, tmp_path):
    names = tuple(Column(f"column {at}", numeric=at > 0) for at in range(12))
    rows = []
    for at in range(10_000):
        name, numbers = f"m {7919 * at % 10007}", [31 * at % n for n in range(90, 101)]
        rows.append(Row((Entry(name, name), *(Entry(str(number), number) for number in numbers))))
    table = Table("big", "Big.", names, tuple(rows), sortable=True)
    place = tmp_path / "big.html"
    place.write_text(render(Document("Big", "", (Section("s", "S", (table,)),))))
    page = opened(browser, place.as_uri(), seen, 1280)
    assert page.locator("#big tbody tr").count() == 200
    took = [cpu_seconds(page, at) for at in (3, 0, 5, 7, 2)]
    assert max(took) < 0.3, took
    page.locator("#big .filter button").click()
    assert page.locator("#big tbody tr").count() == 10_000
    page.context.close()


def test_the_slides_turn_by_keys_and_nothing_runs_off_them(browser, stored, seen, tmp_path):
    place = tmp_path / "slides.html"
    talk = build_talk(stored, build_paper(stored))
    place.write_text(slides(talk))
    page = opened(browser, place.as_uri(), seen, 1440)
    n = page.locator(".slide").count()
    assert page.locator(".slide.shown").get_attribute("id") == "slide-1"
    for _ in range(n - 1):
        page.keyboard.press("ArrowRight")
        inside = "slide => [slide.scrollHeight <= slide.clientHeight, slide.scrollWidth <= slide.clientWidth, slide.id]"
        assert page.locator(".slide.shown").evaluate(inside)[:2] == [True, True], page.url
        fits = "box => box.scrollHeight <= box.clientHeight + 1"
        assert page.locator(".slide.shown .on").evaluate(fits), page.url
    page.keyboard.press("ArrowRight")
    assert page.url.endswith(f"#slide-{talk.runs[-1].id}")
    page.keyboard.press("b")
    assert page.url.endswith("#slide-why-split")
    page.keyboard.press("Home")
    assert page.locator(".slide.shown").get_attribute("id") == "slide-1"
    assert seen["console"] == [] and seen["dialogs"] == []
    assert [url for url in seen["requests"] if not url.startswith("data:")] == [place.as_uri()]
    page.context.close()


def test_a_run_on_a_slide_leads_to_its_row_and_back(browser, stored, seen, tmp_path):
    place = tmp_path / "slides.html"
    talk = build_talk(stored, build_paper(stored))
    place.write_text(slides(talk))
    page = opened(browser, f"{place.as_uri()}#slide-result-0", seen, 1440)
    link = page.locator(".slide.shown .runs a").first
    run = link.get_attribute("href")[1:]
    for turn in (link.click, lambda: link.press("Enter")):
        turn()
        shown = page.locator(".slide.shown")
        page.locator(f"#{run}").wait_for(state="visible")
        assert shown.get_attribute("id").startswith("slide-runs-") and shown.locator(f"#{run}").count() == 1
        assert page.locator("td:target").get_attribute("id") == run  # its row is marked
        page.go_back()
        page.wait_for_function("document.querySelector('.slide.shown').id === 'slide-result-0'")
    assert seen["console"] == [] and set(seen["requests"]) <= {place.as_uri(), "data:,"}
    page.context.close()


def test_the_slides_print_one_a_page(browser, stored, seen, tmp_path):
    pdfium = pytest.importorskip("pypdfium2")
    place = tmp_path / "slides.html"
    talk = build_talk(stored, build_paper(stored))
    place.write_text(slides(talk))
    page = opened(browser, place.as_uri(), seen, 1280)
    document = pdfium.PdfDocument(page.pdf(prefer_css_page_size=True))
    assert len(document) == 1 + len(talk.slides) + len(talk.backup) + len(talk.runs)
    document.close()
    page.context.close()
