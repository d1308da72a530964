"""A real browser, and what a reader does with a page in it: fixtures that conftest.py hands to all tests."""

import shutil
import time

import pytest

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")


class Page:
    """A page that is open, and what a reader does with it."""

    def __init__(self, driver):
        self.driver = driver

    def open(self, file, hash=""):
        self.driver.get("about:blank")
        self.driver.get(f"{file.as_uri()}{hash}")
        self.wait(lambda: self.js("return document.querySelector('.tfxai-page').dataset.drawn"))
        return self

    def js(self, code, *given):
        return self.driver.execute_script(code, *given)

    def wait(self, condition):
        end = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < end, "nothing was drawn"
            time.sleep(0.02)

    def settled(self):
        """When what was asked for is drawn."""
        self.driver.execute_async_script(
            "const done = arguments[0];"
            "setTimeout(() => requestAnimationFrame(() => requestAnimationFrame(() => done())), 60);"
        )
        return self

    def drawn(self):
        """Pixels of all maps and colours of all words and bars, as text."""
        self.settled()
        return self.js("""
            const canvases = [...document.querySelectorAll('.panels canvas')].map((one) => one.toDataURL());
            const told = [...document.querySelectorAll('.word, .bar')].map((one) => one.getAttribute('style'));
            return JSON.stringify([canvases, told]);""")

    def set(self, name, value):
        """Move a slider or choose, as a hand does."""
        self.js(
            """
            const control = document.querySelector(`.control.${arguments[0]}`).querySelector('input, select');
            control.value = arguments[1];
            control.dispatchEvent(new Event(control.tagName === 'INPUT' ? 'input' : 'change', { bubbles: true }));""",
            name,
            value,
        )

    def press(self, *keys):
        self.driver.switch_to.active_element.send_keys(*keys)
        return self.settled()

    def click(self, selector):
        self.js("document.querySelector(arguments[0]).click()", selector)
        return self.settled()

    def texts(self, selector):
        return self.js("return [...document.querySelectorAll(arguments[0])].map((one) => one.textContent)", selector)

    def hash(self):
        return self.js("return location.hash")

    def errors(self):
        return self.driver.get_log("browser")

    def screen(self, width, dark=False):
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})


@pytest.fixture(scope="module")
def driver():
    webdriver = pytest.importorskip(
        "selenium.webdriver", reason='drives a browser by selenium: pip install "tfxai[browser]"'
    )
    if not (BROWSER and DRIVER):
        pytest.skip("opens pages in Chromium, which is not installed with its driver")
    options = webdriver.ChromeOptions()
    for one in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking"):
        options.add_argument(one)
    options.binary_location = BROWSER
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    opened = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    opened.execute_cdp_cmd("Network.enable", {})
    offline = {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0}
    opened.execute_cdp_cmd("Network.emulateNetworkConditions", offline)
    yield opened
    opened.quit()


@pytest.fixture
def page(driver):
    shown = Page(driver)
    shown.screen(1200)
    yield shown
    assert shown.errors() == []
