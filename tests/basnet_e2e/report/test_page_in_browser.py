"""The page of a video in a real browser, as its reader uses it."""

import pytest
from game_page import BAR_TOP, INTERVALS, bare, document, lane_row, player_time, rows
from made_reports import made_result

from basnet_e2e.intervals import Interval
from basnet_e2e.report.pages.page import Report, page_html

pytestmark = pytest.mark.xdist_group("browser")

HOSTILE = ("<script>alert(1)</script>", "</script><img src=x onerror=alert(2)>", "קפיצה לגובה" * 20)


# Loading ----------------------------------------------------------------------------------------


def test_loads_without_console_error_or_network(page):
    addresses = [
        url for url in page.requests() if not url.startswith(("data:", "about:", "chrome"))
    ]
    assert page.logs() == []
    assert addresses
    assert all(url.startswith(("file:", "blob:")) for url in addresses)
    assert {url.rsplit("/", 1)[-1] for url in addresses} == {"page.html", "game.webm"}


def test_policy_stops_what_is_not_ours(page):
    page.run(
        "document.body.insertAdjacentHTML('beforeend', '<img src=\"http://example.org/x.png\">')"
    )
    page.run(
        "const s = document.createElement('script'); s.textContent = 'window.bad = 1';"
        "document.body.append(s);"
    )
    assert page.run("return window.bad") is None
    assert sum("Content Security Policy" in line for line in page.logs()) == 2
    assert not any(url.startswith("http") for url in page.requests())


def test_embedded_video_needs_no_file(report, browser, tmp_path):
    path = tmp_path / "page.html"
    path.write_text(page_html(report, path, embed=True), "utf-8")
    browser.open(path)
    browser.wait("document.getElementById('player').readyState >= 1")
    assert browser.run("return document.getElementById('player').src").startswith("blob:")
    assert not any(url.endswith("game.webm") for url in browser.requests())
    browser.press("n")
    assert player_time(browser) == pytest.approx(2.0, abs=0.01)


# What stands where ------------------------------------------------------------------------------


def test_intervals_stand_at_the_right_pixels(page):
    scale = page.width("#lanes") / 20.0
    for label, start, end, _ in INTERVALS:
        y = lane_row(label)
        panel = page.pixel("#lanes", start * scale - 4, y)
        assert page.pixel("#lanes", end * scale + 4, y) == panel
        for inside in (start * scale + 2, end * scale - 2):
            assert page.pixel("#lanes", inside, y)[:3] != panel[:3], (label, start)


def test_zoom_keeps_time_and_pixels_together(page):
    page.click("#zoom-in")
    page.click("#zoom-in")
    # Zoomed about the playhead, which stands at 0.
    span = 20 / 1.6**2
    scale = page.width("#lanes") / span
    assert page.pixel("#lanes", 2.0 * scale + 3, lane_row("dive"))[3] == 255
    assert page.pixel("#lanes", 2.0 * scale - 3, lane_row("dive"))[3] == 0
    page.drag("#lanes", (600, lane_row("dive") + 20), (600 - round(scale), lane_row("dive") + 20))
    assert page.pixel("#lanes", scale - 5, lane_row("dive"))[3] == 0
    assert page.pixel("#lanes", scale + 5, lane_row("dive"))[3] == 255
    page.click("#fit")
    assert not page.find("#fit").is_enabled()


def test_surer_intervals_are_stronger(page):
    scale = page.width("#lanes") / 20.0
    strong, weak = (sum(page.pixel("#lanes", at * scale, lane_row("dive"))) for at in (4.8, 12.3))
    assert strong < weak < 4 * 255  # darker the surer, on white


def test_ground_truth_has_its_own_bar(browser, tmp_path):
    bare(tmp_path, browser, document(), truth=[Interval("dive", 2.5, 6.0), Interval("swim", 1, 2)])
    scale = browser.width("#lanes") / 20.0
    below = BAR_TOP + 20 + 3 + 3
    assert browser.pixel("#lanes", 2.6 * scale, below)[3] == 255
    assert browser.pixel("#lanes", 2.4 * scale, below)[3] == 0
    assert [each.text.split("\n")[0] for each in browser.all(".lane")] == ["dive", "jump", "swim"]


def test_curves_and_frames_are_drawn(page):
    for canvas in ("frames", "activation", "foreground", "overview", "ruler"):
        count = page.run(
            "const c = document.getElementById(arguments[0]);"
            "const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
            "let n = 0; for (let i = 3; i < d.length; i += 4) n += d[i] > 0; return n;",
            canvas,
        )
        assert count > 500, canvas


# Seeking ----------------------------------------------------------------------------------------


def test_clicking_an_interval_seeks_to_its_start(page):
    scale = page.width("#lanes") / 20.0
    page.tap("#lanes", (17.0 * scale, lane_row("jump")))
    assert player_time(page) == pytest.approx(15.0, abs=0.01)
    assert page.find("#rows tr.selected").text.startswith("jump")


def test_clicking_free_space_seeks_there(page):
    scale = page.width("#lanes") / 20.0
    page.tap("#lanes", (9.0 * scale, lane_row("dive")))
    assert player_time(page) == pytest.approx(9.0, abs=0.05)
    page.drag("#ruler", (30, 10), (14.0 * scale, 10))
    assert player_time(page) == pytest.approx(14.0, abs=0.05)
    assert page.find("#axis").get_attribute("aria-valuenow").startswith("14.")


def test_clicking_a_row_seeks(page):
    page.find("#rows tr:not(.space) + tr:not(.space)").click()
    assert player_time(page) == pytest.approx(4.0, abs=0.01)


def test_keyboard(page):
    from selenium.webdriver.common.keys import Keys

    page.run("document.getElementById('axis').focus()")
    page.press(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    assert player_time(page) == pytest.approx(3.0, abs=0.01)
    page.press(Keys.ARROW_LEFT)
    assert player_time(page) == pytest.approx(2.0, abs=0.01)
    assert "dive, score 0.90" in page.find("#axis").get_attribute("aria-valuetext")
    page.press("n")
    assert player_time(page) == pytest.approx(4.0, abs=0.01)
    assert page.find("#say").get_attribute("textContent").startswith("jump, 0:04.00 to 0:08.00")
    page.press("n", "n", "p")
    assert player_time(page) == pytest.approx(10.0, abs=0.01)
    page.press(Keys.END)
    assert page.find("#axis").get_attribute("aria-valuenow") == "20.000"
    page.press(Keys.HOME)
    assert player_time(page) == 0


def test_space_plays_and_pauses(page):
    page.run("document.getElementById('axis').focus()")
    page.press(" ")
    page.wait("!document.getElementById('player').paused")
    page.wait("document.getElementById('player').currentTime > 0.1")
    page.press(" ")
    page.wait("document.getElementById('player').paused")


def test_everything_can_be_reached_with_tab(page):
    from selenium.webdriver.common.keys import Keys

    page.run("document.activeElement.blur()")
    reached = []
    for _ in range(30):
        page.driver.switch_to.active_element.send_keys(Keys.TAB)
        reached.append(page.run("const e = document.activeElement; return e.id || e.className"))
    assert {"theme", "copy", "rows-scroll", "threshold", "edit", "axis", "lane"} <= set(reached)


# Filter, table, hover ---------------------------------------------------------------------------


def test_slider_hides_and_shows(page):
    scale = page.width("#lanes") / 20.0
    weak = (11.0 * scale, lane_row("dive"))
    assert page.pixel("#lanes", *weak)[3] == 255
    page.set_range("#threshold", 0.6)
    assert page.pixel("#lanes", *weak)[3] == 0
    assert [row[0] for row in rows(page)] == ["dive", "jump"]
    assert page.find("#shown").text == "2 of 4"
    page.set_range("#threshold", 0)
    assert page.pixel("#lanes", *weak)[3] == 255
    assert len(rows(page)) == 4


def test_a_class_is_switched_off_and_on(page):
    page.click(".lane")
    assert [row[0] for row in rows(page)] == ["jump", "jump"]
    assert page.find(".lane").get_attribute("aria-pressed") == "false"
    page.click(".lane")
    assert len(rows(page)) == 4


def test_table_sorts_and_copies(page):
    assert [row[1] for row in rows(page)] == ["0:02.00", "0:04.00", "0:10.00", "0:15.00"]
    page.click('th[data-column="score"] button')
    assert [row[4] for row in rows(page)] == ["0.90", "0.70", "0.50", "0.30"]
    page.click('th[data-column="length"] button')
    assert [row[3] for row in rows(page)] == ["2.50", "3.00", "4.00", "4.00"]
    head = page.find('th[data-column="length"]')
    assert head.get_attribute("aria-sort") == "ascending"
    page.run(
        "Object.defineProperty(navigator, 'clipboard', {configurable: true,"
        " value: {writeText: async (text) => { window.copied = text; }}})"
    )
    page.click("#copy")
    lines = page.run("return window.copied").splitlines()
    assert lines[:2] == ["label\tstart\tend\tscore", "dive\t10.000\t12.500\t0.300000"]
    assert len(lines) == 5


def test_hovering_says_what_it_is(page):
    from selenium.webdriver.common.action_chains import ActionChains

    scale = page.width("#lanes") / 20.0
    element = page.find("#lanes")
    box = element.rect
    ActionChains(page.driver, duration=0).move_to_element_with_offset(
        element, round(3.0 * scale - box["width"] / 2), round(lane_row("dive") - box["height"] / 2)
    ).perform()
    page.settle()
    assert page.find("#tip").text.splitlines() == [
        "dive",
        "0:02.00 – 0:05.00 (3.00 s)",
        "score 0.90",
    ]
    assert page.run("return document.getElementById('tip-picture').naturalWidth") > 0


# Names are text ---------------------------------------------------------------------------------


def test_markup_in_names_stays_text(browser, tmp_path):
    found = document(
        [(label, n, n + 1.5, 0.5) for n, label in enumerate(HOSTILE)],
        file="</title><script>alert(3)</script>.avi",
        model="<b>model</b>",
        classes=dict.fromkeys(HOSTILE, 0.5),
    )
    bare(tmp_path, browser, found, truth=[Interval(HOSTILE[1], 5, 6)])
    assert browser.logs() == []
    assert browser.run("return document.querySelectorAll('script').length") == 2
    assert browser.run("return document.querySelectorAll('#rows img, h1 b, .facts b').length") == 0
    assert [row[0] for row in rows(browser)] == list(HOSTILE)
    assert browser.find("h1").text == found["file"]
    assert browser.driver.title.startswith(found["file"])
    for width in (1280, 390):
        browser.resize(width)
        browser.settle()
        assert browser.run("return document.documentElement.scrollWidth") <= width


# Without a player, on a phone, for everyone -----------------------------------------------------


def test_a_video_that_does_not_play_keeps_timeline_and_frames(report, browser, tmp_path):
    broken = tmp_path / "game.webm"
    broken.write_bytes(b"no video")
    path = tmp_path / "page.html"
    path.write_text(
        page_html(Report(report.document, report.evidence, None, broken), path), "utf-8"
    )
    browser.open(path)
    browser.wait("!document.getElementById('still').hidden")
    assert "cannot play game.webm" in browser.find("#still-note").text
    before = browser.find("#still-picture").get_attribute("src")
    browser.press("n", "n", "n")
    assert browser.find("#axis").get_attribute("aria-valuenow") == "10.000"
    assert browser.find("#still-picture").get_attribute("src") != before


def test_fits_a_phone(report, browser, tmp_path):
    path = tmp_path / "page.html"
    path.write_text(page_html(report, path), "utf-8")
    browser.open(path, width=390, height=844)
    assert browser.run("return document.documentElement.scrollWidth") == 390
    assert all(each.is_displayed() for each in browser.all(".lane, #edit, #threshold, #copy"))
    # Bars stand below the names, over the whole width.
    scale = browser.width("#lanes") / 20.0
    assert browser.width("#lanes") > 360
    assert browser.pixel("#lanes", 3 * scale, 26 + 6 + 10)[3] == 255
    assert all(
        cell.size["width"] >= browser.run("return arguments[0].scrollWidth", cell)
        for cell in browser.all("#rows td.number")
        if cell.is_displayed()
    )


@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 390)])
def test_accessible(report, browser, tmp_path, theme, width):
    path = tmp_path / "page.html"
    truth = [Interval("dive", 2.5, 6.0)]
    shown = Report(report.document, report.evidence, truth, report.video)
    path.write_text(page_html(shown, path, index="./index.html"), "utf-8")
    browser.open(path, width=width, theme=theme)
    browser.click("#edit")
    browser.click("#next")
    assert browser.run("return document.documentElement.dataset.theme") == theme
    assert browser.faults() == []


def test_theme_switch_is_kept(page):
    page.click("#theme")
    assert page.run("return document.documentElement.dataset.theme") == "dark"
    page.driver.refresh()
    page.settle()
    assert page.run("return document.documentElement.dataset.theme") == "dark"
    page.run("localStorage.clear()")


def test_thousands_of_rows_are_not_all_in_the_document(browser, tmp_path):
    found = made_result("long", 10800.0, 2000)
    bare(tmp_path, browser, found)
    assert browser.find("#table").get_attribute("aria-rowcount") == "2001"
    assert len(rows(browser)) < 60
    browser.run("document.getElementById('rows-scroll').scrollTop = 1e7")
    browser.settle()
    last = max(each["start"] for each in found["intervals"])
    minutes, seconds = divmod(last, 60)
    hours, minutes = divmod(int(minutes), 60)
    assert rows(browser)[-1][1] == f"{hours}:{minutes:02}:{seconds:05.2f}"


def test_rows_are_shown_where_the_table_gets_shorter_than_it_was_scrolled(browser, tmp_path):
    bare(tmp_path, browser, made_result("long", 10800.0, 2000))
    browser.run("document.getElementById('rows-scroll').scrollTop = 1e7")
    browser.settle()
    browser.set_range("#threshold", 0.99)
    browser.settle()
    assert len(rows(browser)) > 4
