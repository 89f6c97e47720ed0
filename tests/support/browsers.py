"""A real browser for tests of pages, where one is installed."""

import json
import shutil
from pathlib import Path

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless=new",
    "--no-sandbox",  # containers rarely allow it, and the pages are our own
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--autoplay-policy=no-user-gesture-required",
    # The browser's own errands are no requests of the page.
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
)


class Browser:
    """A headless Chromium and what a test wants to know of a page in it."""

    def __init__(self, driver, downloads):
        self.driver = driver
        self.downloads = downloads

    def open(self, path, width=1280, height=1000, theme="light"):
        return self.visit(path.resolve().as_uri(), width, height, theme)

    def visit(self, address, width=1280, height=1000, theme="light"):
        self.resize(width, height)
        features = [{"name": "prefers-color-scheme", "value": theme}]
        self.command("Emulation.setEmulatedMedia", features=features)
        self.driver.get("about:blank")  # leaving a page with unsaved changes would ask
        self.logs()
        self.requests()
        self.driver.get(address)
        self.settle()
        return self

    def resize(self, width, height=1000):
        self.command(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    def command(self, name, **parameters):
        return self.driver.execute_cdp_cmd(name, parameters)

    def run(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def settle(self):
        """Wait until what was asked for is drawn."""
        self.driver.execute_async_script(
            "const done = arguments[0];"
            "requestAnimationFrame(() => requestAnimationFrame(() => requestAnimationFrame(done)));"
        )

    def wait(self, condition, seconds=300):
        """Wait for a script's value to be true."""
        from selenium.webdriver.support.ui import WebDriverWait

        return WebDriverWait(self.driver, seconds, poll_frequency=0.02).until(
            lambda driver: driver.execute_script(f"return {condition}")
        )

    def find(self, selector):
        return self.driver.find_element("css selector", selector)

    def all(self, selector):
        return self.driver.find_elements("css selector", selector)

    def click(self, selector):
        self.find(selector).click()
        self.settle()

    def press(self, *keys):
        from selenium.webdriver.common.action_chains import ActionChains

        ActionChains(self.driver).send_keys(*keys).perform()
        self.settle()

    def drag(self, canvas, begin, end):
        """Press at one place of a canvas (pixels from its corner), move, let go; or click."""
        from selenium.webdriver.common.action_chains import ActionChains

        element = self.find(canvas)
        self.run("arguments[0].scrollIntoView({block: 'center'})", element)
        box = self.run(
            "const b = arguments[0].getBoundingClientRect(); return [b.left, b.top]", element
        )
        actions = ActionChains(self.driver, duration=10)
        pointer = actions.w3c_actions.pointer_action
        pointer.move_to_location(round(box[0] + begin[0]), round(box[1] + begin[1]))
        pointer.pointer_down()
        if end != begin:
            half = [(a + b) / 2 for a, b in zip(begin, end, strict=True)]
            for place in (half, end):
                pointer.move_to_location(round(box[0] + place[0]), round(box[1] + place[1]))
        pointer.pointer_up()
        actions.perform()
        self.settle()

    def tap(self, canvas, place):
        self.drag(canvas, place, place)

    def set_range(self, selector, value):
        self.run(
            "const e = arguments[0]; e.value = arguments[1]; e.dispatchEvent(new Event('input'));",
            self.find(selector),
            str(value),
        )
        self.settle()

    def type(self, selector, text):
        """Put text into a field and leave it."""
        self.run(
            "const e = arguments[0]; e.focus(); e.value = arguments[1];"
            "e.dispatchEvent(new Event('change')); e.blur();",
            self.find(selector),
            text,
        )
        self.settle()

    def pixel(self, canvas, x, y):
        """Colour ``[r, g, b, a]`` of a canvas at CSS pixels."""
        return self.run(
            "const c = arguments[0], r = devicePixelRatio;"
            "return [...c.getContext('2d').getImageData("
            "  Math.round(arguments[1] * r), Math.round(arguments[2] * r), 1, 1).data]",
            self.find(canvas),
            x,
            y,
        )

    def width(self, canvas):
        return self.run("return arguments[0].clientWidth", self.find(canvas))

    def logs(self):
        """Messages of the console since the last call."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self):
        """Addresses that pages asked for since the last call, but what their policy stopped."""
        found = {}
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                found[message["params"]["requestId"]] = message["params"]["request"]["url"]
            elif message["params"].get("blockedReason") == "csp":
                found.pop(message["params"]["requestId"], None)
        return list(found.values())

    def faults(self):
        """What an automated accessibility check finds: rule and places."""
        import axe_core_python

        script = (Path(axe_core_python.__file__).parent / "axe.min.js").read_text("utf-8")
        # By the protocol, since the page's own policy lets no other script in.
        self.command("Runtime.evaluate", expression=script)
        found = self.driver.execute_async_script(
            "const done = arguments[0]; axe.run().then((r) => done(r.violations.map("
            "(v) => `${v.impact} ${v.id}: ${v.nodes.map((n) => n.html.slice(0, 160)).join(' | ')}`"
            ")))"
        )
        return found

    def download(self, name):
        """Text of a file that the page has saved."""
        path = self.downloads / name
        for _ in range(200):
            if path.is_file():
                return path
            self.settle()
        raise AssertionError(f"{name} was not saved; there: {list(self.downloads.iterdir())}")


def start_browser(downloads):
    """A driver, or None and the reason why there is none."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    driver_path = shutil.which("chromedriver")
    if found is None or driver_path is None:
        return None, "no chromium and chromedriver (apt-get install chromium chromium-driver)"
    try:
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service
    except ImportError:
        return None, "selenium is not installed"
    options = webdriver.ChromeOptions()
    options.binary_location = found
    for flag in FLAGS:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(driver_path))
    driver.execute_cdp_cmd(
        "Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(downloads)}
    )
    driver.set_script_timeout(600)
    return driver, ""
