"""Correcting a result in its page, in a real browser."""

import json

import pytest
from game_page import bare, document, lane_row, rows

from basnet_e2e.data.annotations.predictions import read_results

pytestmark = pytest.mark.xdist_group("browser")


def saved(browser):
    browser.click("#save")
    path = browser.download("game.corrected.json")
    return json.loads(path.read_text("utf-8")), path


def test_an_edit_survives_the_round_trip(page):
    scale = page.width("#lanes") / 20.0
    page.click("#edit")
    # Drag the end of the first dive from 5 to 7 s.
    page.drag("#lanes", (5 * scale - 1, lane_row("dive")), (7 * scale - 1, lane_row("dive")))
    # Relabel the first jump, and give its start by number.
    page.tap("#lanes", (6 * scale, lane_row("jump")))
    page.type("#edit-label", "leap")
    page.type("#edit-start", "3.25")
    # Delete the second dive, add a jump over free space.
    page.tap("#lanes", (11 * scale, lane_row("dive")))
    page.click("#delete")
    assert [each.text.split("\n")[0] for each in page.all(".lane")] == ["dive", "jump", "leap"]
    page.drag("#lanes", (9 * scale, lane_row("jump")), (13 * scale, lane_row("jump")))

    found, path = saved(page)
    assert found["corrected"] is True
    assert found["made"] == {"basnet": "0.1"}  # fields that the page does not know are kept
    assert (found["video"], found["duration"], found["model"]) == ("day/game", 20.0, "made")
    (result,), failed = read_results(path)
    assert not failed
    ours = {(each.label, each.score): (each.start, each.end) for each in result.intervals}
    assert ours.keys() == {("dive", 0.9), ("leap", 0.5), ("jump", 0.7), ("jump", 1.0)}
    assert ours["dive", 0.9] == (2.0, pytest.approx(7.0, abs=2 / scale))
    assert ours["leap", 0.5] == (3.25, 8.0)
    assert ours["jump", 0.7] == (15.0, 19.0)
    assert ours["jump", 1.0] == pytest.approx((9.0, 13.0), abs=2 / scale)
    assert page.logs() == []


def test_a_saved_result_makes_a_page_again(page, tmp_path):
    page.click("#edit")
    page.press("n", "n")
    page.click("#delete")
    found, _ = saved(page)
    bare(tmp_path, page, found)
    assert len(rows(page)) == 3
    assert page.find(".badge").text == "corrected"


def test_moving_keeps_the_length_and_undo_takes_back(page):
    scale = page.width("#lanes") / 20.0
    page.click("#edit")
    page.drag("#lanes", (16.5 * scale, lane_row("jump")), (13.5 * scale, lane_row("jump")))
    assert ["jump", "4.00"] in [[row[0], row[3]] for row in rows(page)]
    assert "0:15.00" not in [row[1] for row in rows(page)]
    assert page.find("#save").text == "Save *"
    page.click("#undo")
    assert "0:15.00" in [row[1] for row in rows(page)]
    assert page.find("#save").text == "Save"
    page.click("#redo")
    assert "0:15.00" not in [row[1] for row in rows(page)]


def test_borders_stay_in_order_and_in_the_video(page):
    scale = page.width("#lanes") / 20.0
    page.click("#edit")
    page.drag("#lanes", (16.5 * scale, lane_row("jump")), (20.6 * scale, lane_row("jump")))
    assert ["0:16.00", "0:20.00"] in [row[1:3] for row in rows(page)]
    page.tap("#lanes", (3 * scale, lane_row("dive")))
    page.type("#edit-start", "6")  # after its end
    assert ["0:02.00", "0:05.00"] in [row[1:3] for row in rows(page)]
    assert page.find("#say").get_attribute("textContent").startswith("Not changed")


def test_keys_set_borders_at_the_playhead(page):
    from selenium.webdriver.common.keys import Keys

    page.click("#edit")
    page.run("document.getElementById('axis').focus()")
    page.press("n", Keys.ARROW_RIGHT, "i")
    assert ["0:03.00", "0:05.00"] in [row[1:3] for row in rows(page)]
    page.press(Keys.DELETE)
    assert len(rows(page)) == 3


def test_first_interval_of_a_video_without_any(browser, tmp_path):
    bare(tmp_path, browser, document([]))
    assert "No action was found" in browser.find("#no-rows").text
    browser.click("#edit")
    browser.click("#add")
    browser.type("#edit-label", "swim")
    found, _ = saved(browser)
    (interval,) = found["intervals"]
    assert interval == {"label": "swim", "start": 0, "end": 2, "score": 1}
