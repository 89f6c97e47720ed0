"""Labelling and correcting a video in a real browser, and what is on the disk after each step."""

import csv

import pytest
from made_reports import made_evidence, made_result, write_clip, write_result
from studio_server import Studio

pytestmark = pytest.mark.xdist_group("browser")

LANE, SAID, FOUND = 47, 16, 35  # pixels: height of a lane, middle of a person's and a model's bars
SECONDS = 20


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Three videos, of which the model has looked at the first."""
    folder = tmp_path_factory.mktemp("clips")
    for name in "abc":
        write_clip(folder / f"{name}.webm", seconds=SECONDS)
    return folder


@pytest.fixture(scope="module")
def server(clips, tmp_path_factory):
    result = made_result("a", float(SECONDS), 0)
    times = [("dive", 2.0, 5.0, 0.9), ("jump", 8.0, 11.0, 0.4)]
    result["intervals"] = [
        {"label": label, "start": start, "end": end, "score": score}
        for label, start, end, score in times
    ]
    project = tmp_path_factory.mktemp("project")
    write_result(project / "results", result, made_evidence(result))
    with Studio(clips, project, cache=tmp_path_factory.mktemp("cache")) as server:
        server.json("POST", "/api/features", {"paused": True})
        server.wait(lambda found: all(row["duration"] for row in found["rows"]), "previews")
        yield server


@pytest.fixture
def studio(server):
    """The server after somebody has deleted all annotations, which it notices."""
    for name in ("labels.csv", "intervals.csv"):
        (server.project / name).unlink(missing_ok=True)
    (server.project / "classes.txt").write_text("dive\njump\n", "utf-8")

    def is_new(found):
        names = [each["name"] for each in found["status"]["classes"]]
        states = {row["state"] for row in found["rows"]}
        return names == ["dive", "jump"] and states == {"unlabelled"}

    server.wait(is_new, "a project without annotations")
    return server


@pytest.fixture
def page(studio, browser):
    """Opens the page of a video."""
    browser.visit(studio.address)
    browser.wait("document.querySelectorAll('#rows li[data-key]').length === 3")

    def page(video, **how):
        browser.visit(f"http://{studio.host}/videos/{studio.rows()[video]['key']}", **how)
        browser.wait("document.getElementById('player').readyState >= 1")
        browser.wait("document.querySelectorAll('#ticks .tick').length === 3")
        return browser

    yield page
    assert browser.logs() == []


def stored(studio, name="intervals.csv"):
    path = studio.project / name
    if not path.is_file():
        return []
    with open(path, newline="", encoding="utf-8") as file:
        return [tuple(row) for row in csv.reader(file)][1:]


def saved(browser):
    browser.settle()
    browser.wait("document.getElementById('saved').dataset.kind === 'saved'")


def at(browser, seconds, lane, bar=SAID):
    return seconds * browser.width("#lanes") / SECONDS, lane * LANE + bar


def test_number_keys_tick_and_undo_takes_back(page, studio):
    browser = page("b")
    browser.press("1", "2")
    saved(browser)
    assert stored(studio, "labels.csv") == [("b", "dive;jump")]
    browser.press("1")
    saved(browser)
    assert stored(studio, "labels.csv") == [("b", "jump")]
    browser.click("#undo")
    saved(browser)
    assert stored(studio, "labels.csv") == [("b", "dive;jump")]
    browser.click("#ticks .none")
    saved(browser)
    assert stored(studio, "labels.csv") == [("b", "")]
    assert stored(studio) == []


def test_a_click_marks_a_moment(page, studio):
    browser = page("b")
    browser.tap("#lanes", at(browser, 7, lane=1))
    saved(browser)
    (row,) = stored(studio)
    assert (row[0], row[1], row[3]) == ("b", "jump", "")
    assert float(row[2]) == pytest.approx(7.0, abs=0.05)
    assert studio.rows()["b"]["state"] == "points"
    assert studio.rows()["b"]["labels"] == ["jump"]


def test_marking_an_interval_leaves_the_rest_unknown_until_all_is_marked(page, studio):
    browser = page("b")
    browser.drag("#lanes", at(browser, 5, lane=0), at(browser, 10, lane=0))
    saved(browser)
    kinds = [row[1] for row in stored(studio)]
    assert sorted(kinds) == ["", "", "dive"]
    assert studio.rows()["b"]["state"] == "partial"
    browser.drag("#lanes", at(browser, 12, lane=1), at(browser, 14, lane=1))
    saved(browser)
    unknown = [(float(start), float(end)) for _, label, start, end in stored(studio) if not label]
    assert [round(each) for pair in unknown for each in pair] == [0, 5, 10, 12, 14, 20]
    browser.press("m")
    saved(browser)
    assert [row[1] for row in stored(studio)] == ["dive", "jump"]
    assert studio.rows()["b"]["state"] == "corrected"
    browser.click("#undo")
    saved(browser)
    assert studio.rows()["b"]["state"] == "partial"


def test_nothing_happens(page, studio):
    browser = page("c")
    assert browser.find("#complete").text == "Nothing happens"
    browser.click("#complete")
    saved(browser)
    assert stored(studio) == [("c", "", "", "")]
    assert studio.rows()["c"]["state"] == "corrected"


def test_a_held_key_marks_an_interval_while_the_video_plays(page, studio):
    browser = page("b")
    browser.run("document.getElementById('player').muted = true")
    browser.press(" ")
    browser.wait("document.getElementById('player').currentTime > 0.3")
    hold = "document.dispatchEvent(new KeyboardEvent('{}', {{key: '2', bubbles: true}}))"
    before = browser.run(
        "document.body.dispatchEvent(new KeyboardEvent('keydown', {key: '2', bubbles: true}));"
        "return document.getElementById('player').currentTime"
    )
    browser.wait(f"document.getElementById('player').currentTime > {before + 1}")
    browser.run(hold.format("keyup"))
    saved(browser)
    (row,) = [row for row in stored(studio) if row[1]]
    assert row[1] == "jump"
    assert float(row[2]) == pytest.approx(before, abs=0.3)
    assert float(row[3]) - float(row[2]) >= 0.9


def test_borders_to_the_playhead_and_a_stretch_that_nobody_looked_at(page, studio):
    browser = page("b")
    browser.drag("#lanes", at(browser, 5, lane=0), at(browser, 10, lane=0))
    browser.press("m")
    seek = "const p = document.getElementById('player'); p.currentTime = arguments[0]"
    for time, name in ((6, "i"), (9, "o")):
        browser.run(seek, time)
        browser.wait("!document.getElementById('player').seeking")
        browser.settle()
        browser.press(name)
    saved(browser)
    assert stored(studio) == [("b", "dive", "6.0", "9.0")]
    for time in (12, 15):
        browser.run(seek, time)
        browser.wait("!document.getElementById('player').seeking")
        browser.settle()
        browser.press("u")
    saved(browser)
    assert stored(studio) == [("b", "dive", "6.0", "9.0"), ("b", "", "12.0", "15.0")]


def test_findings_are_accepted_dragged_and_deleted(page, studio):
    browser = page("a")
    assert browser.faults() == []
    assert stored(studio) == []
    browser.drag("#lanes", at(browser, 5, 0, FOUND), at(browser, 6, 0, FOUND))
    saved(browser)
    (row,) = [row for row in stored(studio) if row[1]]
    assert row[:3] == ("a", "dive", "2.0")
    assert float(row[3]) == pytest.approx(6.0, abs=0.1)
    browser.tap("#lanes", at(browser, 9, 1, FOUND))
    assert browser.find("#edit-label").get_attribute("value") == "jump"
    browser.click("#accept")
    saved(browser)
    assert ("a", "jump", "8.0", "11.0") in stored(studio)
    browser.tap("#lanes", at(browser, 9, 1, SAID))
    browser.press("\ue017")  # Delete
    saved(browser)
    assert [row[1] for row in stored(studio) if row[1]] == ["dive"]


def test_accepting_all_corrects_the_video(page, studio):
    browser = page("a")
    browser.press("a")
    saved(browser)
    assert stored(studio) == [("a", "dive", "2.0", "5.0"), ("a", "jump", "8.0", "11.0")]
    assert studio.rows()["a"]["state"] == "corrected"
    browser.click("#undo")
    saved(browser)
    assert stored(studio) == []


def test_all_is_marked_only_where_every_ticked_class_is(page, studio):
    browser = page("b")
    browser.press("1", "2")
    browser.drag("#lanes", at(browser, 5, lane=0), at(browser, 10, lane=0))
    saved(browser)
    assert not browser.find("#complete").is_enabled()
    browser.press("m")
    assert studio.rows()["b"]["state"] == "partial"
    browser.press("2")  # it does not happen after all
    browser.press("m")
    saved(browser)
    assert (studio.rows()["b"]["state"], studio.rows()["b"]["labels"]) == ("corrected", ["dive"])
    browser.press("2")  # it does: then not everything is marked
    saved(browser)
    assert studio.rows()["b"]["state"] == "partial"
    assert studio.rows()["b"]["labels"] == ["dive", "jump"]


def test_two_tabs_see_each_other_and_lose_nothing(page, studio):
    browser = page("b")
    driver = browser.driver
    first = driver.current_window_handle
    address = driver.current_url
    driver.switch_to.new_window("tab")
    try:
        driver.get(address)
        browser.wait("document.querySelectorAll('#ticks .tick').length === 3")
        browser.press("1")
        saved(browser)
        second = driver.current_window_handle
        driver.switch_to.window(first)
        browser.wait("document.querySelector('#ticks .tick').ariaPressed === 'true'")
        # Both mark something before they hear of each other.
        browser.run("window.fetch_ = window.fetch; window.fetch = () => new Promise(() => {})")
        driver.switch_to.window(second)
        browser.drag("#lanes", at(browser, 3, 0), at(browser, 5, 0))
        saved(browser)
        driver.switch_to.window(first)
        browser.run("window.fetch = window.fetch_")
        browser.drag("#lanes", at(browser, 12, 1), at(browser, 15, 1))
        saved(browser)
        browser.wait("document.querySelectorAll('#rows tr:not(.space)').length >= 4")
        marks = [row[1:3] for row in stored(studio) if row[1]]
        assert [label for label, _ in marks] == ["dive", "jump"]
        statuses = [line for line in browser.logs() if "409" not in line]
        assert statuses == []
    finally:
        driver.switch_to.window(driver.window_handles[-1])
        driver.close()
        driver.switch_to.window(first)


def test_a_class_renamed_elsewhere_follows(page, studio):
    browser = page("a")
    browser.press("a")
    saved(browser)
    studio.json("POST", "/api/classes", {"do": "rename", "name": "jump", "new": "leap"})
    browser.wait("document.getElementById('ticks').textContent.includes('leap')")
    browser.wait("document.getElementById('rows').textContent.includes('leap')")
    browser.drag("#lanes", at(browser, 14, 0), at(browser, 16, 0))
    saved(browser)
    assert [row[1] for row in stored(studio)] == ["dive", "leap", "dive"]


def test_what_cannot_be_saved_is_told_and_saved_later(page, studio):
    browser = page("b")
    path = studio.project / "labels.csv"
    good = path.read_text("utf-8") if path.is_file() else "video,labels\n"
    path.write_text("video,labels\n,jump\n", "utf-8")
    browser.press("1")
    browser.wait("document.getElementById('saved').dataset.kind === 'failed'")
    assert "labels.csv" in browser.find("#notes").text
    path.write_text(good, "utf-8")
    saved(browser)
    assert stored(studio, "labels.csv") == [("b", "dive")]
    assert all("422" in line for line in browser.logs())


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_pages_are_accessible_and_fit(page, studio, width, theme):
    browser = page("a", width=width, theme=theme)
    browser.press("f")
    for address in (browser.driver.current_url, f"http://{studio.host}/"):
        browser.visit(address, width=width, theme=theme)
        browser.wait("document.querySelectorAll('#rows > *').length > 0")
        browser.settle()
        assert browser.faults() == []
        assert browser.run("return document.documentElement.scrollWidth") <= width


def test_many_videos_are_a_few_lines_of_the_document(browser, clips, tmp_path):
    videos = tmp_path / "videos"
    videos.mkdir()
    for number in range(600):
        (videos / f"{number:03}.webm").hardlink_to(clips / "a.webm")
    with Studio(videos, tmp_path / "project", cache=tmp_path / "cache") as studio:
        studio.json("POST", "/api/features", {"paused": True})
        browser.visit(studio.address)
        browser.wait("document.getElementById('found').textContent === '600'")
        browser.run("document.getElementById('scroll').scrollTop = 300 * 76")
        browser.wait("document.querySelector('#rows').textContent.includes('303')")
        assert len(browser.all("#rows li[data-key]")) < 40
        browser.find("#search").send_keys("59")
        browser.wait("document.getElementById('found').textContent.startsWith('1')")
        names = browser.run(
            "return [...document.querySelectorAll('#rows .name')].map((each) => each.textContent)"
        )
        assert names
        assert all("59" in name for name in names)
        assert browser.logs() == []
