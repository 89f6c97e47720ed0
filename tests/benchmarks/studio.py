"""How long the studio keeps people waiting, and whether being killed costs anything.

    python tests/benchmarks/studio.py                 # 2000 videos; 3 hours with 2000 intervals
    python tests/benchmarks/studio.py --kills 100     # kill it at random moments, training included

The first drives a headless Chromium and prints when the list is first painted (goal: 1 s) and the
usual and the longest pause between two frames of what people do (goal: 100 ms). Wall clock: other
work on the machine shows in the longest. The second fails where anything that was called saved is
missing, or a file is not whole.
"""

import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import _packages  # noqa: F401

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
import click
import numpy as np
from browsers import Browser, start_browser
from killed_studio import killed_sessions
from made_reports import write_clip
from report import MEASURE, STEPS
from studio_server import Studio

from basnet_e2e.cli.terminal.tables import new_table, show
from basnet_e2e.demo.footage.collection import Collection

VIDEOS = 2000
SECONDS = 3 * 3600
INTERVALS = 2000
LIST = {
    "scroll": "byId('scroll').scrollTop = n * 1270;",
    "search": "byId('search').value = String(n); byId('search').dispatchEvent(new Event('input'));",
    "sort": (
        "byId('sort').value = ['name', 'state', 'duration'][n % 3];"
        "byId('sort').dispatchEvent(new Event('change'));"
    ),
}
PAGE = {
    "zoom": (
        "byId('lanes').dispatchEvent(new WheelEvent('wheel', {deltaY: n < 60 ? -40 : 40,"
        "ctrlKey: true, clientX: 700, cancelable: true}));"
    ),
    "next interval": "byId('next').click();",
    "tick and undo": (
        "if (n % 2) byId('undo').click(); else document.querySelector('.tick').click();"
    ),
}


def pauses(browser: Browser, motions: dict[str, str]) -> list[tuple[str, float, float]]:
    """Name, usual and longest pause between frames (ms) of each motion."""
    found = []
    for name, body in motions.items():
        between, _ = browser.driver.execute_async_script(MEASURE, body, STEPS)
        found.append((name, median(between), max(between)))
    return found


def painted(browser: Browser, rows: str) -> float:
    """Milliseconds until the first contents of the page are painted, rows among them."""
    browser.wait(f"document.querySelectorAll('{rows}').length > 0", 120)
    return float(
        browser.run("return performance.getEntriesByName('first-contentful-paint')[0].startTime")
    )


def many_videos(browser: Browser, folder: Path) -> list[tuple[str, float, float]]:
    """The list of 2000 videos."""
    videos = folder / "many"
    videos.mkdir()
    clip = write_clip(folder / "clip.webm", seconds=2)
    for number in range(VIDEOS):
        os.link(clip, videos / f"day {number % 20:02}, camera {number:04}.webm")
    with Studio(videos, folder / "many-project", cache=folder / "cache") as studio:
        studio.json("POST", "/api/features", {"paused": True})
        browser.visit(studio.address)
        browser.wait("document.querySelectorAll('#rows li[data-key]').length > 0", 120)
        browser.visit(f"http://{studio.host}/")
        first = painted(browser, "#rows li[data-key]")
        loaded = browser.run("return performance.now()")
        return [("list: first paint", first, loaded), *pauses(browser, LIST)]


def long_video(browser: Browser, folder: Path) -> list[tuple[str, float, float]]:
    """Three hours with 2000 intervals."""
    videos, project = folder / "long", folder / "long-project"
    videos.mkdir()
    project.mkdir()
    write_clip(videos / "long.webm", seconds=SECONDS, rate=1)
    lines = [
        f"long,class {n % 10},{n * SECONDS / INTERVALS:.3f},{(n + 0.6) * SECONDS / INTERVALS:.3f}"
        for n in range(INTERVALS)
    ]
    text = "\n".join(["video,label,start,end", *lines, ""])
    (project / "intervals.csv").write_text(text, "utf-8")
    with Studio(videos, project, cache=folder / "cache") as studio:
        studio.json("POST", "/api/features", {"paused": True})
        studio.wait(lambda found: found["rows"][0]["duration"], "preview")
        browser.visit(studio.address)
        browser.wait("document.querySelectorAll('#rows li[data-key]').length > 0", 120)
        browser.visit(f"http://{studio.host}/videos/{studio.rows()['long']['key']}")
        first = painted(browser, "#rows tr[data-key]")
        loaded = browser.run("return performance.now()")
        return [("video: first paint", first, loaded), *pauses(browser, PAGE)]


@click.command()
@click.option("--kills", type=int, help="Kill the studio so often instead of measuring it.")
def main(kills: int | None) -> None:
    """Measure, or kill."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if kills:
            collection = Collection(training=8, test=0)
            for number in range(8):
                collection.write_one(folder, "train", number)
            began = time.monotonic()
            chance = np.random.default_rng(2026)
            place = (folder / "videos" / "train", folder / "project", folder / "cache")
            changes = killed_sessions(*place, kills, chance, train=True)
            took = time.monotonic() - began
            click.echo(f"{kills} kills, {changes} saved changes, none lost ({took:.0f} s)")
            return
        driver, reason = start_browser(folder)
        if driver is None:
            raise click.ClickException(reason)
        browser = Browser(driver, folder)
        rows = [*many_videos(browser, folder), *long_video(browser, folder)]
        driver.quit()
        table = new_table("the studio's pages, milliseconds", "what", "usual", "longest")
        for what, usual, longest in rows:
            table.add_row(what, f"{usual:.0f}", f"{longest:.0f}")
        show(table)


if __name__ == "__main__":
    main()
