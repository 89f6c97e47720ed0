"""Fixtures for the tests of the pages."""

import pytest


@pytest.fixture(scope="session")
def clip(tmp_path_factory):
    """Twenty seconds of video whose brightness grows with time."""
    from made_reports import write_clip

    return write_clip(tmp_path_factory.mktemp("clip") / "game.webm", seconds=20)


@pytest.fixture(scope="session")
def report(clip):
    """The made video's result with all that a page can show."""
    from game_page import document
    from made_reports import made_evidence

    from basnet_e2e.report.pages.page import Report
    from basnet_e2e.report.thumbnails import take_thumbnails

    found = document(made={"basnet": "0.1"})
    return Report(found, made_evidence(found, take_thumbnails(clip)), None, clip)


@pytest.fixture
def page(report, browser, tmp_path):
    """The page of the made video, opened."""
    from basnet_e2e.report.pages.page import page_html

    path = tmp_path / "page.html"
    path.write_text(page_html(report, path), "utf-8")
    browser.open(path)
    browser.wait("document.getElementById('player').readyState >= 1")
    return browser
