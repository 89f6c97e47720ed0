"""The whole loop in a real browser: label, train, correct, train again, export, restart."""

import csv
import json

import pytest
from studio_server import Studio

pytestmark = pytest.mark.xdist_group("browser")

CLASSES = ("swing", "spin", "bounce")


def motions(occurrences):
    """Labels and intervals with the motion as the class."""
    return [(label.split()[-1], start, end) for label, start, end in occurrences]


def stored(project, name):
    with open(project / name, newline="", encoding="utf-8") as file:
        return list(csv.reader(file))[1:]


def saved(browser):
    browser.wait("document.getElementById('saved').dataset.kind === 'saved'")


def label_all(browser, known):
    """Tick what happens in each video by the number keys, and go on by N."""
    for _ in range(len(known)):
        browser.wait("document.querySelectorAll('#ticks .tick').length === 4")
        video = browser.run("return JSON.parse(document.getElementById('data').textContent)")
        labels = {label for label, *_ in motions(known[video["document"]["video"]])}
        for number, name in enumerate(CLASSES, start=1):
            if name in labels:
                browser.press(str(number))
        saved(browser)
        address = browser.run("return location.href")
        browser.press("n")
        browser.wait(
            f"location.href !== {json.dumps(address)} && !!document.getElementById('ticks')"
        )


def train(browser, studio, runs):
    browser.wait("!document.getElementById('train').disabled")
    browser.click("#train")

    def trained(found):
        training = found["status"]["training"]
        assert not training["error"], training["error"]
        return len(training["runs"]) == runs and not training["running"]

    studio.wait(trained, f"{runs} runs")
    browser.wait("!document.getElementById('train').hidden")


def test_label_train_correct_train_export_restart(browser, footage, tmp_path):
    videos, known = footage
    project, cache = tmp_path / "project", tmp_path / "cache"
    with Studio(videos, project, cache=cache) as studio:
        browser.visit(studio.address)
        browser.wait("document.querySelector('#first-class:not([hidden])')")
        assert "What do you want to find" in browser.find("#guide-title").text
        browser.find("#first-name").send_keys(f"{CLASSES[0]}\n")
        browser.wait("document.querySelectorAll('#classes li').length === 1")
        for name in CLASSES[1:]:
            browser.find("#new-class").send_keys(f"{name}\n")
            browser.wait(f"document.getElementById('classes').textContent.includes('{name}')")
        assert browser.faults() == []
        browser.click("#guide-actions a")
        label_all(browser, known)
        labels = {video: set(text.split(";")) for video, text in stored(project, "labels.csv")}
        assert labels == {
            video: {label for label, *_ in motions(each)} for video, each in known.items()
        }

        browser.visit(f"http://{studio.host}/")
        studio.wait(lambda found: found["status"]["features"]["done"] == len(known), "features")
        train(browser, studio, 1)
        assert "Look at what the model found" in browser.find("#guide-title").text
        assert (project / "model.safetensors").is_file()

        browser.click("#guide-actions a")
        browser.wait("document.querySelectorAll('#rows tr.found').length > 0")
        assert browser.faults() == []
        video = correct_two_borders(browser)
        spans = [row for row in stored(project, "intervals.csv") if row[0] == video]
        assert spans
        assert all(row[1] for row in spans)  # corrected: nothing is left that nobody looked at

        browser.visit(f"http://{studio.host}/")
        train(browser, studio, 2)
        assert (project / "model.previous.safetensors").is_file()
        browser.click("#leave summary")
        browser.click('#leave [data-format="csv"]')
        exported = browser.download("csv.csv").read_text("utf-8")
        assert all(f"{video},{row[1]}" in exported for row in spans)
        assert browser.logs() == []
    with Studio(videos, project, cache=cache) as studio:
        browser.visit(studio.address)
        browser.wait("document.querySelectorAll('#rows li[data-key]').length > 0")
        row = studio.rows()[video]
        assert (row["state"], set(row["labels"]) >= labels[video]) == ("corrected", True)
        assert studio.changes()["status"]["training"]["model"]
        assert browser.logs() == []


def correct_two_borders(browser):
    """Accept all, then move the start of one interval and the end of another; the video's id."""
    browser.press("a")
    browser.wait("document.getElementById('complete').getAttribute('aria-pressed') === 'true'")
    for border in ("#edit-start", "#edit-end"):
        browser.press("f")
        value = float(browser.find(border).get_attribute("value"))
        browser.type(border, f"{max(value - 0.25, 0.1):.3f}")
        moved = float(browser.find(border).get_attribute("value"))
        assert moved == pytest.approx(max(value - 0.25, 0.1), abs=1e-3)
    saved(browser)
    return browser.run(
        "return JSON.parse(document.getElementById('data').textContent).document.video"
    )
