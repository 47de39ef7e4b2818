"""The report in a real browser: fits a phone, sorts, asks the network for nothing, runs no foreign script."""

import os
import shutil

import pytest

from headstart.report.build import write_report
from headstart.testing.records import tiny_record
from headstart.testing.trained_records import with_training

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        said = "no Chromium on this machine (Debian: apt install chromium)"
        if os.environ.get("HEADSTART_REQUIRE_BROWSER"):
            pytest.fail(said)
        pytest.skip(said)
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started:
        made = started.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield made
        made.close()


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
