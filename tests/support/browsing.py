"""A real browser, and what axe finds wrong with a page for people with a keyboard, a screen reader or weak eyes."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

from tests.support.needs import missing

FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
#: What keeps somebody from using a page; the rest is advice.
GRAVE = ("serious", "critical")


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start Chromium; skip the test where there is none."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        missing("Chromium is not installed")
    with sync_playwright() as playwright, playwright.chromium.launch(executable_path=path, args=FLAGS) as browser:
        yield browser


def grave_findings(page: Page) -> list[str]:
    """Return a line for each grave finding: the rule, and the first element that breaks it."""
    return [f"{name}: {html}" for impact, name, html in _violations(page) if impact in GRAVE]


def all_findings(page: Page) -> list[str]:
    """Return the same for every finding, also what is only advice."""
    return [f"{name}: {html}" for _, name, html in _violations(page)]


def _violations(page: Page) -> Iterator[tuple[str, str, str]]:
    for each in Axe().run(page).response["violations"]:
        yield each["impact"], each["id"], each["nodes"][0]["html"][:200]
