"""The list of all videos in a real browser."""

import json

import pytest
from made_reports import made_result

from basnet_e2e.intervals import Failure
from basnet_e2e.report.evidence import Evidence
from basnet_e2e.report.gather import Result
from basnet_e2e.report.pages.page import Report
from basnet_e2e.report.pages.site import write_report

pytestmark = pytest.mark.xdist_group("browser")

LONG = "<script>alert(1)</script> " + "very long name " * 20
VIDEOS = (
    made_result("day2/game", 300.0, 9, labels=("dive",)),
    made_result("day10/game", 20.0, 0),
    made_result("other", 60.0, 4, labels=("swim", LONG, "קפיצה")),
)


@pytest.fixture
def site(browser, tmp_path):
    results = [Result(each, tmp_path / "out.json") for each in VIDEOS]

    def report(result):
        return Report(result.document, Evidence.none(result.id, float(result.document["duration"])))

    failed = [Failure("broken", "broken.mp4", "broken.mp4: the file is empty")]
    write_report(results, report, tmp_path / "site", failed)
    browser.open(tmp_path / "site" / "index.html")
    return browser


def names(browser):
    return browser.run(
        "return [...document.querySelectorAll('#rows tr:not([hidden]) a')]"
        ".map((link) => link.textContent)"
    )


def search(browser, text):
    browser.run("document.getElementById('search').value = ''")
    browser.find("#search").send_keys(text)
    browser.settle()


def test_searches_names_and_classes(site):
    assert site.logs() == []
    assert not any(url.startswith("http") for url in site.requests())
    search(site, "GAME")
    assert names(site) == ["day2/game", "day10/game"]
    assert site.find("#found").text == "2 of 3"
    search(site, "swim")
    assert names(site) == ["other"]
    search(site, "game swim")
    assert names(site) == []
    assert site.find("#nothing").is_displayed()


def test_sorts(site):
    site.click('th[data-column="duration"] button')
    assert names(site) == ["day2/game", "other", "day10/game"]
    site.click('th[data-column="intervals"] button')
    site.click('th[data-column="intervals"] button')
    assert names(site) == ["day10/game", "other", "day2/game"]
    site.click('th[data-column="video"] button')
    assert names(site) == ["day2/game", "day10/game", "other"]


def test_each_has_a_timeline(site):
    scale = site.width("#rows tr canvas") / 300.0
    canvas = "#rows tr:first-child canvas"
    for each in VIDEOS[0]["intervals"]:
        assert site.pixel(canvas, (each["start"] + 2) * scale, 8)[3] > 0
        assert site.pixel(canvas, (each["end"] + 2) * scale, 8)[3] == 0


def test_leads_to_a_page_and_back(site):
    site.click("#rows tr:last-child a")
    site.wait("document.getElementById('lanes') !== null")
    data = json.loads(site.find("#data").get_attribute("textContent"))
    assert data["document"]["video"] == "other"
    colours = [each.value_of_css_property("background-color") for each in site.all(".lane i")]
    assert len(set(colours)) == 3
    site.click(".back")
    site.wait("document.getElementById('search') !== null")
    assert site.logs() == []


@pytest.mark.parametrize(("theme", "width"), [("dark", 1280), ("light", 390)])
def test_accessible_and_within_the_screen(site, tmp_path, theme, width):
    site.open(tmp_path / "site" / "index.html", width=width, theme=theme)
    assert site.faults() == []
    assert site.run("return document.documentElement.scrollWidth") <= width
    assert "broken.mp4: the file is empty" in site.find("#failed").text
