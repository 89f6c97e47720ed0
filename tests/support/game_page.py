"""The page that the browser tests read: a game of twenty seconds with four intervals."""

from made_reports import made_result

from basnet_e2e.report.evidence import Evidence
from basnet_e2e.report.pages.page import Report, page_html

BAR_TOP, LANE = 6, 32  # pixels of a lane on wide screens, without ground truth
INTERVALS = (
    ("dive", 2.0, 5.0, 0.9),
    ("jump", 4.0, 8.0, 0.5),
    ("dive", 10.0, 12.5, 0.3),
    ("jump", 15.0, 19.0, 0.7),
)


def document(intervals=INTERVALS, **fields):
    made = made_result("day/game", 20.0, 0, labels=("dive", "jump"), file="game.webm")
    named = ("label", "start", "end", "score")
    made["intervals"] = [dict(zip(named, each, strict=True)) for each in intervals]
    return made | fields


def bare(tmp_path, browser, found, **fields):
    """A page of a result alone."""
    path = tmp_path / "page.html"
    path.write_text(
        page_html(Report(found, Evidence.none(found["video"], found["duration"]), **fields), path),
        "utf-8",
    )
    return browser.open(path)


def lane_row(label):
    """Y of the middle of a class's bars: dive is the first lane, jump the second."""
    return ("dive", "jump").index(label) * LANE + BAR_TOP + 4


def rows(browser):
    """Texts of the rows that are in the document."""
    return browser.run(
        "return [...document.querySelectorAll('#rows tr:not(.space)')]"
        ".map((row) => [...row.cells].map((cell) => cell.textContent))"
    )


def player_time(browser):
    browser.wait("!document.getElementById('player').seeking")
    return browser.run("return document.getElementById('player').currentTime")
