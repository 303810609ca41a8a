"""Chromium at the page, as a person sees it: sizes, dark, keys, and axe on what is shown. Effects: a process, HTTP.

What it waits for is a condition of the page: the script of the page may put a new one in place at any moment.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from selenium import webdriver
from selenium.common.exceptions import (
    ElementClickInterceptedException,
    ElementNotInteractableException,
    NoSuchElementException,
    StaleElementReferenceException,
    WebDriverException,
)
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from tests.conftest import missing
from tests.systemd.host import cache
from tests.waiting import until

T = TypeVar("T")
AXE = "axe-playwright-python==0.1.8"
"""A wheel that carries axe-core, which says what people who do not see, or not well, cannot use."""
SECONDS = 120
"""For what takes a second on a quiet machine; CI has two tests beside this one."""
_REPLACED = (
    StaleElementReferenceException,
    NoSuchElementException,
    ElementNotInteractableException,
    ElementClickInterceptedException,
)
_ANSWERS = ("status of 401", "status of 404")
"""What the tests ask for on purpose; a browser calls each answer that is an error severe."""


@dataclass(frozen=True, kw_only=True)
class Window:
    """What the page is looked at with. Pixels of CSS."""

    name: str
    width: int
    height: int
    dark: bool = False


DESKTOP = Window(name="desktop", width=1200, height=900)
PHONE = Window(name="phone", width=390, height=844)
DARK = Window(name="dark", width=1200, height=900, dark=True)
WINDOWS = (DARK, PHONE, DESKTOP)


def axe() -> str:
    """The script, downloaded once and kept outside the project."""
    path = cache() / f"{AXE}.js"
    if not path.exists():
        with tempfile.TemporaryDirectory() as made:
            pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", made, AXE]
            subprocess.run(pip, check=True, timeout=300)
            [wheel] = Path(made).glob("*.whl")
            with zipfile.ZipFile(wheel) as archive:
                [name] = [one for one in archive.namelist() if one.endswith("/axe.min.js")]
                script = archive.read(name)
        part = path.with_suffix(f".{os.getpid()}.part")
        part.write_bytes(script)
        part.rename(path)
    return path.read_text()


@dataclass
class Person:
    """Somebody at a browser. `url`: of the site; `shots`: where pictures go; `seen`: what was judged."""

    driver: webdriver.Chrome
    shots: Path
    url: str = ""
    seen: list[str] = field(default_factory=list)

    def sit(self, window: Window) -> None:
        """Look with another window from now on."""
        size = {"width": window.width, "height": window.height, "deviceScaleFactor": 1}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {**size, "mobile": window is PHONE})
        scheme = {"name": "prefers-color-scheme", "value": "dark" if window.dark else "light"}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})

    def begin(self, url: str) -> None:
        """Go to another site; what the browser said of the one before is that one's."""
        self.url = url
        self._log()

    def visit(self, path: str) -> None:
        """Open an address."""
        self.driver.get(self.url + path)

    def text(self) -> str:
        """What can be read on the page now."""
        return self.again(lambda: self.driver.find_element(By.TAG_NAME, "body").text, "the page has text")

    def reads(self, *words: str) -> None:
        """Wait until the page says all of these."""
        until(lambda: all(word in self.text() for word in words), SECONDS, f"the page says {words}")

    def find(self, xpath: str) -> list[WebElement]:
        """What the page has of it now."""
        return self.again(lambda: self.driver.find_elements(By.XPATH, xpath), f"{xpath} can be looked for")

    def click(self, xpath: str) -> None:
        """Click on it, as soon as it can be."""
        self.again(lambda: self.driver.find_element(By.XPATH, xpath).click(), f"{xpath} can be clicked")

    def follow(self, words: str, heading: str) -> None:
        """Click on the link of these words; the page that it leads to has this heading."""
        self.click(f"//a[normalize-space()={words!r}]")
        self.at(heading)

    def at(self, heading: str) -> None:
        """Wait until the page has this heading."""
        until(lambda: self.find(f"//h1[normalize-space()={heading!r}]"), SECONDS, f"a page {heading}")

    def decide(self, label: str, **fields: str) -> None:
        """Open the form of that name, fill it in and send it; gives back when the next page is there."""
        form = f"//details[summary[normalize-space()={label!r}]]"
        until(lambda: self._open(form), SECONDS, f"the form {label} opens")
        for name, value in fields.items():
            self.driver.find_element(By.XPATH, f"{form}//input[@name={name!r}]").send_keys(value)
        before = self.driver.find_element(By.TAG_NAME, "html")
        self.driver.find_element(By.XPATH, f"{form}//button").click()
        until(lambda: _is_gone(before), SECONDS, f"the answer to {label}")

    def _open(self, form: str) -> bool:
        try:
            found = self.driver.find_element(By.XPATH, form)
            if found.get_attribute("open") is None:
                found.find_element(By.TAG_NAME, "summary").click()
            return found.get_attribute("open") is not None
        except WebDriverException as exc:
            _need_replaced(exc)
            return False

    def answered(self, *words: str) -> None:
        """Wait for what comes of it, as the page says to: by looking again."""

        def looked() -> bool:
            if all(word in self.text() for word in words):
                return True
            if self.find("//a[normalize-space()='Look again']"):
                self.driver.refresh()
            return False

        until(looked, SECONDS, f"the answer {words}")

    def press(self, *keys: str) -> None:
        """Type keys, wherever the focus is."""
        self.driver.switch_to.active_element.send_keys(*keys)

    def tab_to(self, words: str) -> None:
        """Go there by the keyboard alone."""
        for _ in range(60):
            self.press(Keys.TAB)
            if self.focused() == words:
                return
        raise AssertionError(f"the keyboard does not reach {words}")

    def focused(self) -> str:
        """The words of what has the focus."""
        return str(self.driver.execute_script("return document.activeElement.innerText.trim()"))

    def again(self, act: Callable[[], T], what: str) -> T:
        """Do it until it is not disturbed by a page that is replaced meanwhile."""

        def tried() -> tuple[T] | None:
            try:
                return (act(),)
            except WebDriverException as exc:
                _need_replaced(exc)
                return None

        done: tuple[T] = until(tried, SECONDS, what)
        return done[0]

    def judge(self, name: str) -> None:
        """The page as it is, dark, on a phone and on a desk: nothing is wrong with it. A picture of each is kept."""
        for window in WINDOWS:
            self.sit(window)
            assert self.flaws() == [], f"{name}, {window.name}"
            wide = self.driver.execute_script("return document.documentElement.scrollWidth")
            assert wide <= window.width, f"{name} is {wide} pixels wide on {window.name}"
            self.shoot(f"{name}-{window.name}")
        assert self.complaints() == [], name
        self.seen.append(name)

    def flaws(self) -> list[str]:
        """What axe finds, a line each."""
        self.driver.execute_script(f"if (!window.axe) {{ {axe()} }}")
        run = "const done = arguments[0]; axe.run().then((all) => done(all.violations), (why) => done(String(why)));"
        found: list[dict[str, Any]] | str = self.driver.execute_async_script(run)
        assert isinstance(found, list), found
        return [f"{one['impact']} {one['id']}: {json.dumps(node['html'])}" for one in found for node in one["nodes"]]

    def complaints(self) -> list[str]:
        """What the browser's console says is severe, since it was asked last."""
        logged = [str(line["message"]) for line in self._log() if line["level"] == "SEVERE"]
        return [line for line in logged if not any(answer in line for answer in _ANSWERS)]

    def _log(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.driver.get_log("browser")  # type: ignore[no-untyped-call]  # has no types
        return found

    def shoot(self, name: str) -> Path:
        """Keep a picture of what the window shows."""
        path = self.shots / f"{name}.png"
        assert self.driver.save_screenshot(str(path))
        return path


def _need_replaced(exc: WebDriverException) -> None:
    """Raise what says anything else than that the page was replaced while it was looked at."""
    if not isinstance(exc, _REPLACED) and "does not belong to the document" not in str(exc):
        raise exc


def _is_gone(element: WebElement) -> bool:
    try:
        return not element.is_enabled()
    except WebDriverException as exc:
        _need_replaced(exc)
        return True


@contextmanager
def sitting(folder: Path) -> Iterator[Person]:
    """Somebody at a browser of their own. `folder`: for its profile; CI_WARM_TEST_SCREENSHOTS: where pictures go."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        missing("no browser (apt-get install chromium chromium-driver)")
    shots = Path(os.environ.get("CI_WARM_TEST_SCREENSHOTS") or folder / "shots")
    shots.mkdir(parents=True, exist_ok=True)
    options = Options()
    options.binary_location = str(chromium)
    # Root has no sandbox of Chromium's, and /dev/shm of a container is small.
    words = ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--hide-scrollbars")
    for word in (*words, f"--user-data-dir={folder / 'profile'}"):
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    made = webdriver.Chrome(options=options, service=Service(driver))
    try:
        made.set_script_timeout(SECONDS)
        person = Person(driver=made, shots=shots)
        person.sit(DESKTOP)
        yield person
    finally:
        made.quit()
